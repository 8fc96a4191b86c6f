"""Draws on CUDA are the CPU's, bit for bit."""

import numpy as np
import pytest

from fastnn import ops
from fastnn.compile.target import processor
from fastnn.kernels.cuda import random
from fastnn.ops.random import permutation

from .both import FLOATS, missed, on_both, on_cuda, same_bits, sectors

STATE = np.array([-1234567890123, 5])
LATE = np.array([7, (1 << 32) - 1])  # the number of the draw takes more than 32 bits
SIZES = (0, 1, 31, 33, 511, 512, 513, 2049)
floats = pytest.mark.parametrize("dtype", FLOATS)
aligned_or_not = pytest.mark.parametrize("shift", [0, 1])


@floats
@aligned_or_not
def test_uniform(dtype, shift):
    for n in SIZES:
        for state in (STATE, LATE):
            given = {"low": -1.0, "high": 3.0, "draw_offset": 2, "dtype": dtype}
            on_both(ops.uniform, state, shape=(n,), shift=shift, **given)


def check_normal(op, attributes, expected, found):
    """AVX-512's logarithm has other last places."""
    if processor().target.vector_bytes > 32:
        np.testing.assert_array_max_ulp(expected[0], found[0], 16)
    else:
        same_bits(op, attributes, expected, found)


@floats
@aligned_or_not
def test_normal(dtype, shift):
    for n in SIZES:
        given = {"mean": 0.5, "deviation": 2.0, "draw_offset": 2, "dtype": dtype}
        on_both(ops.normal, STATE, shape=(n,), shift=shift, check=check_normal, **given)


@floats
@aligned_or_not
def test_dropout(dtype, shift):
    rng = np.random.default_rng(1)
    for n in SIZES:
        for rate in (0.0, 0.3, 0.999999):
            x = rng.normal(size=n).astype(dtype)
            on_both(ops.dropout, x, LATE, rate=rate, draw_offset=2, shift=shift)


@pytest.mark.parametrize("n", [0, 1, 2, 31, 33, 1023, 1025, 3000])
def test_permutations(n):
    words, order = np.zeros(n + -n % 4, np.uint32), np.zeros(n, np.int64)
    places = words, order, np.array([7])
    given = {"draw_offset": 2, "shift": 1, "schedule": "fuzz"}
    _, order, _ = on_both(permutation, STATE, places=places, **given)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


KERNELS = (
    random.uniform_elements,
    random.normal_elements,
    random.dropout_elements,
    random.draw_swaps,
    random.swap_all,
)


def test_every_basic_block_is_executed():
    if any(missed(k) for k in KERNELS):  # the tests above have not run in this process
        for shift in (0, 1):
            for test in (test_uniform, test_normal, test_dropout):
                test("float32", shift)
        test_permutations(1025)
    assert {k.name: missed(k) for k in KERNELS} == {k.name: [] for k in KERNELS}


@floats
def test_no_sector_is_moved_twice(dtype):
    n = 1 << 14
    x = np.ones(n, dtype)
    for op, inputs, attributes in [
        (ops.uniform, [STATE], {"shape": (n,)}),
        (ops.normal, [STATE], {"shape": (n,)}),
        (ops.dropout, [x, STATE], {"rate": 0.5}),
    ]:
        assert sectors(on_cuda(op, inputs, [x], **attributes)) == 1, op
