"""dx = derivative(y, dy) and the sums of its columns, on CUDA: dx has the CPU's bits, the sums are
the same whatever the grid."""

import numpy as np
import pytest

from fastnn.kernels.cuda import loops
from fastnn.ops.elementwise import gradient_from_output

from .both import FLOATS, missed, on_both, on_cuda, sectors

relu = gradient_from_output["relu"]
SHAPES = [(0, 3), (1, 1), (5, 0), (31, 7), (33, 8), (32, 9), (300, 17), (2100, 3)]
floats = pytest.mark.parametrize("dtype", FLOATS)
aligned_or_not = pytest.mark.parametrize("shift", [0, 1])


def close(op, attributes, expected, found):
    assert expected[0].tobytes() == found[0].tobytes()
    terms = np.abs(expected[0].astype(float)).sum(0) + 4  # sums began below 4
    error = np.abs(expected[1].astype(float) - found[1])
    assert (error <= 8 * np.finfo(expected[0].dtype).eps * terms).all(), error


def drawn(rng, shape, dtype):
    y = rng.uniform(0.1, 1, shape)  # where every activation has a gradient
    return [a.astype(dtype) for a in (y, rng.normal(size=shape), y[:1].sum(0))]


@floats
@aligned_or_not
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_gradients_and_sums(name, dtype, shift):
    rng, op = np.random.default_rng(1), gradient_from_output[name].gradient_and_sums
    for shape in SHAPES:
        y, dy, sums = drawn(rng, shape, dtype)
        places = np.zeros_like(dy), sums
        for accumulate in (False, True):
            given = {"check": close, "shift": shift, "schedule": "fuzz", "accumulate": accumulate}
            on_both(op, y, dy, places=places, **given)


KERNEL = loops.gradient_and_chunk_sums(relu.derivative)


def test_every_basic_block_is_executed():
    if missed(KERNEL):  # the test above has not run in this process
        for shift in (0, 1):
            test_gradients_and_sums("relu", "float32", shift)
    assert missed(KERNEL) == []


@floats
def test_no_sector_is_moved_twice(dtype):
    y, dy, sums = drawn(np.random.default_rng(2), (96, 64), dtype)
    stats = on_cuda(relu.gradient_and_sums, [y, dy], [np.zeros_like(dy), sums])
    assert sectors(stats) <= 1.1
    assert stats.bank_conflict_factor() <= 1.1
