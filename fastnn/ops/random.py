"""Ops that draw random numbers. What they draw is a function of a generator's key and count of
draws, which they are given."""

import numpy as np

from fastnn.errors import DTypeError
from fastnn.kernels import reference
from fastnn.kernels.cpu import random as kernels

from .record import Case, Op, expect_float, expect_shape

# around the 64 blocks and 512 elements of a unit
SIZES = [(0, 3), (1,), (63,), (65,), (511,), (513,), (7, 150)]


def _infer(x, state, *, rate, earlier=0):
    dtype = expect_float("dropout", x=x)
    expect_shape(
        "dropout",
        "state",
        state.shape,
        (2,),
        "It is a generator's: fastnn.random.Generator().draw()[0].",
    )
    if state.dtype != np.dtype("int64"):
        raise DTypeError(f"dropout: state must be int64, as generators have it; got {state.dtype}")
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate must lie between 0 and 1; got {rate!r}")
    return [(x.shape, dtype)]


def _calls(outputs, inputs, rate, earlier=0):
    x, state = inputs
    return [(kernels.dropout, (x.flat(), state, earlier, float(rate), outputs[0].flat()))]


def _gradient(g, dys, inputs, outputs, rate, earlier=0):
    g.gradient(0, dropout, dys[0], inputs[1], rate=rate, earlier=earlier)


dropout = Op(
    "dropout",
    _infer,
    _calls,
    _gradient,
    reference.dropout,
    [
        Case((shape, lambda _: np.array([1234567890123, 5])), {"rate": 0.3, "earlier": 2})
        for shape in SIZES
    ],
    indices=(1,),
    flops=1,
    # Philox multiplies 20 times for 64 numbers, whatever their type; then a comparison and a
    # product
    instructions=(7, 4.5),
    gradient_instructions=(7, 4.5),
    doc="x, of any shape, with each number zero with probability `rate` and the others multiplied "
    "with 1 / (1 - rate). state: "
    "(2,), int64, a generator's key and count of draws, to which `earlier` is added; the gradient "
    "drops the same ones.",
)
