"""Sums and maxima over a warp, a block and its columns."""

import numpy as np
import pytest

from fastnn.kernels.cuda.grid import block_index, shared_array, thread_index
from fastnn.kernels.cuda.reductions import (
    BLOCK_THREADS,
    BLOCK_WARPS,
    COLUMN_PARTIAL,
    COLUMNS,
    block_sum,
    column_sum,
    warp_max,
    warp_sum,
)
from fastnn.kernels.declare import T, kernel

from .emulator import Emulator

ARRAYS = dict.fromkeys(("sums", "largest", "of_block", "of_column"), "out T[N]")


@kernel(threads=BLOCK_THREADS, split=[("N", BLOCK_THREADS)], x="T[N]", **ARRAYS)
def reduce(x, sums, largest, of_block, of_column):
    warps, lines = shared_array(T(0), BLOCK_WARPS), shared_array(T(0), COLUMN_PARTIAL)
    i = block_index() * BLOCK_THREADS + thread_index()
    sums[i], largest[i] = warp_sum(x[i]), warp_max(x[i])
    of_block[i] = block_sum(x[i], warps)
    of_block[i] += block_sum(x[i], warps)  # the memory is free again
    of_column[i] = column_sum(x[i], lines) + column_sum(x[i], lines)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_thread_has_the_sum(dtype):
    x = np.random.default_rng(1).normal(size=(3, BLOCK_THREADS)).astype(dtype)
    x[1, 7] = np.inf
    emulator = Emulator(shift=1, schedule="fuzz")
    given = emulator.place(x.ravel())
    made = [emulator.place(np.zeros(x.size, dtype), is_known=False) for _ in ARRAYS]
    emulator(reduce, given, *made)
    sums, largest, of_block, of_column = (emulator.read(y).reshape(x.shape) for y in made)
    warps, columns = x.reshape(3, -1, 32), x.reshape(3, -1, COLUMNS)
    close = {"rtol": 0, "atol": 1e3 * np.finfo(dtype).eps}
    for found, expected, group in [
        (sums, warps.sum(2, keepdims=True), warps),
        (largest, warps.max(2, keepdims=True), warps),
        (of_block, 2 * x.sum(1, keepdims=True), x),
        (of_column, 2 * columns.sum(1, keepdims=True), columns),
    ]:
        expected = np.broadcast_to(expected, group.shape).reshape(x.shape)
        np.testing.assert_allclose(found, expected, **close)
