"""Pooling on CUDA has the CPU's bits, but for the sign of NaN: sums over windows, and of gradients,
have its order."""

import numpy as np
import pytest

from fastnn.kernels.cuda import pooling
from fastnn.ops.pooling import (
    _average_gradient,
    _average_of_images,
    _max_gradient,
    _max_of_images,
)

from .both import FLOATS, missed, on_both, same_numbers

# shape, pool_size, strides, padding: whole windows, padding at all edges, windows that overlap and
# that leave elements out, more results than a block has threads
WINDOWS = [
    ((2, 4, 5, 3), (2, 2), (2, 2), "valid"),
    ((1, 7, 6, 2), (3, 3), (2, 2), "same"),
    ((1, 5, 9, 1), (2, 3), (3, 4), "valid"),
    ((2, 3, 2, 33), (5, 5), (1, 1), "same"),
    ((1, 1, 40, 9), (1, 3), (1, 1), "same"),
    ((2, 0, 3, 4), (2, 2), (2, 2), "same"),
    ((1, 4, 3, 2), (2, 1), (2, 2), "valid"),
    ((1, 18, 20, 1), (17, 16), (1, 2), "valid"),
]


@pytest.mark.parametrize("dtype", FLOATS)
def test_pooling(dtype):
    rng = np.random.default_rng(0)
    for shape, pool_size, strides, padding in WINDOWS:
        windows = {"pool_size": pool_size, "strides": strides, "padding": padding}
        x = rng.integers(-3, 3, shape).astype(dtype)  # with equal elements
        x[rng.random(shape) < 0.02] = np.nan
        y, index = on_both(_max_of_images, x, shift=1, check=same_numbers, **windows)
        dy = rng.standard_normal(y.shape).astype(dtype)
        on_both(_max_gradient, index, dy, shape=shape, shift=1, **windows)
        on_both(_average_of_images, x, shift=1, check=same_numbers, **windows)
        on_both(_average_gradient, dy, shape=shape, shift=1, **windows)
    letter = np.dtype(dtype).str[1:]
    for kernel in (
        pooling.max_of_windows["u1"],
        pooling.mean_of_windows,
        pooling.max_gradient["u1"],
        pooling.mean_gradient,
    ):
        assert missed(kernel, letter) == [], kernel
