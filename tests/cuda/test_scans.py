"""Cumulative sums and products on CUDA have the CPU's bits; products of all are within rounding."""

import numpy as np
import pytest

from fastnn.kernels.cuda import scans
from fastnn.ops.scans import _cumprod, _cumprod_gradient, _cumsum, _prod, _prod_gradient

from .both import FLOATS, missed, on_both, slow

THREADS = scans.THREADS
# (A, R, B): one column, fewer and more than a block has threads, and one that is empty
EXTENTS = [(1, 1, 1), (1, 40, 1), (3, 0, 2), (2, 3, THREADS // 2 + 1), (THREADS + 1, 2, 1)]


def drawn(extents, dtype):
    rng = np.random.default_rng(0)
    return rng.choice((0, 1, 2, -1, 3), extents).astype(dtype)


@pytest.mark.parametrize("dtype", [*FLOATS, slow("int64"), "int32"])
def test_scans(dtype):
    for extents in EXTENTS:
        x = drawn(extents, dtype)
        for reverse in (False, True):
            on_both(_cumsum, x, axis=1, reverse=reverse, shift=1)
        on_both(_cumprod, x, axis=1, shift=1)
        on_both(_prod, x)
    letter = np.dtype(dtype).str[1:]
    assert missed(scans.cumsum_columns, letter) == missed(scans.cumprod_columns, letter) == []


@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients_of_products(dtype):
    for extents in EXTENTS:
        x = drawn(extents, dtype)
        on_both(_cumprod_gradient, x, drawn(extents, dtype) + 1, axis=1, shift=1)
        on_both(_prod_gradient, x, drawn(extents[::2], dtype) + 1, shift=1)
