"""Softmax of rows and its gradient."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.kernels.cuda import softmax
from fastnn.ops.losses import _softmax_gradient as gradient

from .both import QUICKLY, on_cuda, sectors
from .emulator import run
from .rounding import ROWS, close, hold_to_cpu, not_covered

LENGTHS = (1, 100, 2000)  # of rows of a few threads, a warp, a block


def work(x, dy):
    ops.softmax(fastnn.tensor(x, requires_gradient=True)).backward(dy)


def close_rows(op, attributes, expected, found):
    """Close, but for row_max of a row with NaN, which may be NaN, or not."""
    if op is ops.softmax:
        for _, row_max, exp_sum in expected, found:
            row_max[np.isnan(exp_sum)] = 0
    close(op, attributes, expected, found)


def results(x):
    return [np.empty_like(x), *[np.empty(len(x), x.dtype) for _ in range(2)]]


@pytest.mark.parametrize("dtype", QUICKLY)
def test_rows_of_any_length(dtype):
    rng = np.random.default_rng(1)
    for shape in ROWS:
        x, dy = (rng.normal(scale=3, size=shape).astype(dtype) for _ in range(2))
        assert len(hold_to_cpu(work, x, dy)) == 4
    for columns in LENGTHS:
        assert not_covered(softmax.softmax_kernel(columns), dtype) == []
        assert not_covered(softmax.softmax_gradient_kernel(columns), dtype) == []


@pytest.mark.slow
@pytest.mark.parametrize("dtype", QUICKLY)
def test_many_and_long_rows(dtype):
    rng = np.random.default_rng(1)
    for shape in [(2000, 10), (300, 129), (2, 50001), (2, 20000)]:
        x, dy = (rng.normal(scale=3, size=shape).astype(dtype) for _ in range(2))
        hold_to_cpu(work, x, dy)


@pytest.mark.parametrize("dtype", QUICKLY)
def test_extreme_rows(dtype):
    """Of the largest numbers, equal ones, infinities and NaN: what the CPU makes of them."""
    limit = np.finfo(dtype).max
    rows = [
        [limit, -limit, limit, 0.0],
        [-1e30, -1e30, -1e30, -1e30],
        [-np.inf, 0.0, -200.0, -np.inf],
        [-np.inf, -np.inf, -np.inf, -np.inf],
        [np.inf, 1.0, 2.0, 3.0],
        [1.0, np.nan, 2.0, 3.0],
        [np.nan, np.nan, np.nan, np.nan],
    ]
    for times in (1, 10, 500):
        x = np.tile(np.array(rows, dtype), (1, times))
        hold_to_cpu(work, x, np.ones_like(x), check=close_rows)


@pytest.mark.parametrize("columns", LENGTHS)
def test_a_row_does_not_depend_on_the_others(columns):
    x = np.random.default_rng(2).normal(size=(35, columns)).astype("f4")
    whole, _ = run(ops.softmax, [x], results(x), {})
    for rows in (1, 33):
        part, _ = run(ops.softmax, [x[:rows]], results(x[:rows]), {}, schedule="fuzz")
        for a, b in zip(part, whole, strict=True):
            assert a.tobytes() == b[:rows].tobytes()


@pytest.mark.parametrize("columns", [32, 512, 4096])
def test_memory_is_read_and_written_by_whole_sectors(columns):
    x = np.zeros((8192 // columns, columns), "f4")
    for stats in on_cuda(ops.softmax, [x], results(x)), on_cuda(gradient, [x, x], [x]):
        assert sectors(stats) <= 1.1
        assert stats.bank_conflict_factor() <= 1.1
