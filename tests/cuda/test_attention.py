"""Attention and its gradient: what the CPU makes of them, within rounding."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.kernels.cuda.attention import DEPTH, KEYS, ROWS
from fastnn.ops.record import registry
from tests.oracle import as_type, draw

from .both import QUICKLY
from .rounding import hold_to_cpu


def work(op, arrays, **attributes):
    tensors = [fastnn.tensor(a, requires_gradient=a.dtype.kind == "f") for a in arrays]
    y = op(*tensors, **attributes)
    y.backward(np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype))


def drawn(batch, length, keys, heads, groups, depth, width):
    rng, of_keys = np.random.default_rng(1), (batch, keys, groups)
    shapes = (batch, length, heads, depth), (*of_keys, depth), (*of_keys, width)
    return [rng.normal(size=shape) for shape in shapes]


def hold(op, arrays, dtype, **attributes):
    hold_to_cpu(lambda: work(op, as_type(arrays, dtype), **attributes))


@pytest.mark.parametrize("dtype", QUICKLY)
def test_several_tiles_of_queries_keys_and_numbers(dtype):
    """With the last of each in part; heads that share keys; a mask; queries that see no key."""
    arrays = drawn(1, ROWS + 1, KEYS + 1, 2, 1, DEPTH + 1, 3)
    mask = np.random.default_rng(2).uniform(size=(1, 2, ROWS + 1, KEYS + 1)) > 0.3
    mask[0, 0, 2] = mask[0, 1, ROWS] = False
    state = np.array([123456789, 5])
    hold(ops.dropout_attention, [*arrays, state, mask], dtype, rate=0.3, is_causal=True)


@pytest.mark.parametrize("dtype", QUICKLY)
def test_queries_and_keys_of_which_some_are_not_there(dtype):
    for extents in [(2, 3, 0, 2, 2, 3, 3), (2, 0, 3, 2, 2, 3, 3), (1, 2, 3, 1, 1, 0, 2)]:
        hold(ops.attention, drawn(*extents), dtype)


CASES = [
    (name, n)
    for name in ("attention", "dropout_attention")
    for n in range(len(registry[name].cases))
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), CASES)
def test_the_records_cases(name, number):
    case = registry[name].cases[number]
    for dtype in ("float32", "float64"):
        hold(registry[name], draw(case, number), dtype, **case.attributes)
