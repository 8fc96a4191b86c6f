"""Ops that draw random numbers. What they draw is a function of a generator's state, its key and
count of draws, and of `draw_offset`, which is added to the count."""

from typing import Any

import numpy as np

from fastnn.checks import fraction
from fastnn.dtypes import FLOATS, INT64, expected
from fastnn.errors import DTypeError
from fastnn.kernels.reference import random as reference

from .record import Case, Op, expect_dtype, expect_shape

# around the 64 blocks and 512 elements of a unit of dropout
SIZES = [(0, 3), (1,), (63,), (65,), (511,), (513,), (7, 150)]


def a_state(_rng: Any) -> np.ndarray:
    """A generator's state, for cases."""
    return np.array([1234567890123, 5])


def expect_state(name: str, state: Any) -> None:
    """Raise unless it is a generator's."""
    expect_shape(
        name,
        "state",
        state.shape,
        (2,),
        "It is a generator's: fastnn.random.Generator().draw()[0].",
    )
    if state.dtype != INT64:
        raise DTypeError(f"{name}: state must be int64, as generators have it; got {state.dtype}")


def _infer(x, state, *, rate, draw_offset=0):
    dtype = expect_dtype("dropout", x=x)
    expect_state("dropout", state)
    if rate.__class__ is not float or not 0 <= rate < 1:
        fraction("dropout: rate", rate)
    return [(x.shape, dtype)]


def _gradient(g, dys, inputs, outputs, rate, draw_offset=0):
    g.gradient(0, dropout, dys[0], inputs[1], rate=rate, draw_offset=draw_offset)


dropout = Op(
    "dropout",
    _infer,
    kernels="random.dropout",
    gradient=_gradient,
    reference=reference.dropout,
    cases=[Case((shape, a_state), {"rate": 0.3, "draw_offset": 2}) for shape in SIZES],
    indices=(1,),
    flops=1,
    # Philox multiplies 20 times for 64 numbers, whatever their type; then a comparison and a
    # product
    instructions=(7, 4.5),
    gradient_instructions=(7, 4.5),
    doc="x, of any shape, with each number zero with probability `rate` and the others multiplied "
    "with 1 / (1 - rate). state: (2,), int64, a generator's key and count of draws, to which "
    "`draw_offset` is added; the gradient drops the same ones.",
)


def _drawn(name, state, shape, dtype):
    expect_state(name, state)
    return [(tuple(shape), expected(dtype, name, FLOATS))]


def _cases(dtypes, **attributes):
    return [
        Case((a_state,), {"shape": shape, "dtype": dtype, "draw_offset": 2, **attributes})
        for shape in [(0, 3), (1,), (65,), (3, 41)]
        for dtype in dtypes
    ]


uniform = Op(
    "uniform",
    lambda state, *, shape, low=0.0, high=1.0, draw_offset=0, dtype="float32": _drawn(
        "uniform", state, shape, dtype
    ),
    kernels="random.uniform",
    reference=reference.uniform,
    cases=_cases(("float32", "float64"), low=-1.0, high=3.0),
    indices=(0,),
    flops=0,
    doc="Numbers in [low, high), each as likely as any other. state, draw_offset: as for dropout.",
)

normal = Op(
    "normal",
    lambda state, *, shape, mean=0.0, deviation=1.0, draw_offset=0, dtype="float32": _drawn(
        "normal", state, shape, dtype
    ),
    kernels="random.normal",
    reference=reference.normal,
    # in float64 the cosine is good to 3e-11
    cases=_cases(("float32",), mean=0.5, deviation=2.0),
    indices=(0,),
    flops=0,
    doc="Normally distributed numbers. state, draw_offset: as for dropout.",
)

permutation = Op(
    "permutation",
    lambda state, *, draw_offset=0: [],
    kernels="random.permutation",
    reference=reference.permutation,
    cases=[
        Case(
            (
                a_state,
                lambda _, n=n: np.zeros(n + -n % 4, np.uint32),
                lambda _, n=n: np.zeros(n, np.int64),
                lambda _: np.array([7]),
            ),
            {"draw_offset": 2},
        )
        for n in (0, 1, 5, 64)
    ],
    indices=(0,),
    flops=0,
    results=3,
    in_place=True,
    doc="order = the numbers from 0 to n - 1, shuffled, by random `words` (at least n, and whole "
    "fours); cursor = 0: an epoch begins.",
)
