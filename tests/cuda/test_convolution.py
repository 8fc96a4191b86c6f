"""Convolutions on CUDA: results and gradients by input have the CPU's bits, gradients by kernel its
numbers, whose sums have another order."""

import numpy as np
import pytest

from fastnn.ops.convolution import by_input, by_kernel, convolution

from .both import QUICKLY, on_both

# images, kernel, strides, dilation, padding: of one to three dimensions; groups, and one for each
# channel; images that strides leave parts of
CASES = [
    ((2, 4, 5, 3), (3, 2, 3, 4), (1, 1), (1, 1), ((1, 1), (0, 1))),
    ((1, 6, 5, 4), (2, 3, 2, 2), (2, 3), (1, 1), ((0, 0), (1, 0))),
    ((2, 9, 3), (2, 1, 3), (1,), (3,), ((3, 0),)),
    ((1, 2, 3, 4, 2), (2, 2, 1, 2, 3), (1, 2, 1), (1, 1, 2), ((0, 1), (1, 0), (0, 0))),
    ((1, 7, 9, 5), (1, 1, 5, 9), (2, 2), (1, 1), ((0, 0), (0, 0))),
]


def same_sums(_op, _attributes, expected, found):
    for a, b in zip(expected, found, strict=True):
        eps = np.finfo(a.dtype).eps
        np.testing.assert_allclose(b, a, rtol=16 * eps, atol=64 * eps)


@pytest.mark.parametrize("dtype", QUICKLY)
def test_convolution(dtype):
    rng = np.random.default_rng(0)
    for shape, kernel, strides, dilation, padding in CASES:
        x, w, bias = (rng.normal(size=s).astype(dtype) for s in (shape, kernel, kernel[-1:]))
        conv = {"strides": strides, "dilation_rate": dilation, "padding": padding}
        (y,) = on_both(convolution, x, w, shift=1, **conv)
        on_both(convolution, x, w, bias, shift=1, activation="relu", **conv)
        dy = rng.normal(size=y.shape).astype(dtype)
        conv["groups"] = shape[-1] // kernel[-2]
        on_both(by_input, dy, w, shift=1, extents=shape[1:-1], **conv)
        conv["kernel"] = kernel[:-2]
        on_both(by_kernel, x, dy, shift=1, check=same_sums, **conv)
        dw = rng.normal(size=kernel).astype(dtype)
        on_both(by_kernel, x, dy, places=(dw,), check=same_sums, accumulate=True, **conv)


def test_an_activation_by_its_formula():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 3, 3, 2)), rng.normal(size=(2, 2, 2, 3))
    conv = {"strides": (1, 1), "dilation_rate": (1, 1), "padding": ((0, 0), (0, 0))}
    on_both(convolution, x, w, activation="tanh", check=same_sums, **conv)
