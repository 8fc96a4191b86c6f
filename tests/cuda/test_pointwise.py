"""Pointwise ops are on CUDA what they are on the CPU (with vectors of 256 bits, to the last one);
`make slow` looks at all of them."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.dtypes import FLOATS
from fastnn.ops.record import registry

from .emulator import mirrored
from .rounding import close

POINTWISE = sorted(
    name
    for name, op in registry.items()
    if op.kernels == "loops.elementwise" and not any(op.conditions)
)
SOME = ("arctan2", "mod", "sin")


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name", [n if n in SOME else pytest.param(n, marks=pytest.mark.slow) for n in POINTWISE]
)
def test_elements_and_their_gradients_are_the_cpus(name, dtype):
    op, rng = registry[name], np.random.default_rng(0)
    if not set(op.dtypes) & set(FLOATS):
        whole = [rng.integers(-9, 70, 43).astype(dtype.replace("float", "int")) for _ in range(2)]
        with mirrored(close):
            op(*whole)
        return
    edges = np.array([e for e in op.edges if np.isfinite(e)])
    x = [
        fastnn.tensor(
            np.concatenate([rng.uniform(*op.cases[0].domain, 40), edges]).astype(dtype),
            requires_gradient=True,
        )
        for _ in range(op.arity)
    ]
    with mirrored(close):
        y = op(*x)
        if y.requires_gradient:
            y.backward(np.ones(y.shape, dtype))


@pytest.mark.parametrize("axis", [-1, (0, 2)], ids=str)
def test_log_softmax_along_any_axis(axis):
    rng, run = np.random.default_rng(0), []

    def check(op, attributes, expected, found):
        run.append(op.name)
        close(op, attributes, expected, found)

    x = fastnn.tensor(rng.normal(scale=3, size=(5, 3, 7)).astype("f4"), requires_gradient=True)
    with mirrored(check):
        ops.log_softmax(x, axis=axis).backward(rng.normal(size=x.shape))
    assert run == ["log_softmax", "gradient of log_softmax"]
