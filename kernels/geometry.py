"""Where a convolution finds its elements: extents, and tables of places, for every device.

Of an image (D..., C) within zeros, flat, the factor of output pixel p and of element k of a window
(its tap, its channel) lies at pixels[p] + taps[k]. So does every matrix that a convolution
multiplies with: transposed, it is that of the gradient by kernel; of the padded upstream gradient,
that of the gradient by input, with taps of its own for each class of pixels modulo the strides. One
pair of tables serves any number of dimensions, strides and dilation.
"""

from functools import lru_cache
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np


class Convolution(NamedTuple):
    """What a convolution does, a number for each dimension; of `padding`, (before, after)."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]

    def padded(self, extents):
        """The extents of an image within zeros."""
        return tuple(n + sum(pair) for n, pair in zip(extents, self.padding, strict=True))

    def output(self, extents):
        """The extents of the result; of 0 and fewer there is none."""
        windows = zip(self.padded(extents), self.kernel, self.strides, self.dilation, strict=True)
        return tuple((n - (k - 1) * d - 1) // s + 1 for n, k, s, d in windows)


def padding_of(mode, extents, kernel, strides, dilation):
    """(before, after) of each dimension that "valid", "same" and "causal" stand for: "same" gives
    ceil(extent / stride) pixels, and where the zeros are odd one more behind."""
    found = []
    for n, k, s, d in zip(extents, kernel, strides, dilation, strict=True):
        window = (k - 1) * d + 1
        total = max((-(-n // s) - 1) * s + window - n, 0) if mode == "same" else 0
        found.append((window - 1, 0) if mode == "causal" else (total // 2, total - total // 2))
    return tuple(found)


def transposed_extent(mode, extent, kernel, stride, dilation, output_padding=None):
    """Of the transpose of a convolution, along a dimension: (extent of its result, how many pixels
    before are cut off). Without `output_padding` "same" gives extent stride pixels, "valid" all
    that a window reaches and at least that many; with it (extent - 1) stride pixels and those of
    one window, of "same" 1 if that is odd and 0 if not, and so many more behind."""
    window = (kernel - 1) * dilation + 1
    if mode == "valid":
        more = max(window, stride) - window if output_padding is None else output_padding
        return (extent - 1) * stride + window + more, 0
    if output_padding is None:
        found, zeros = extent * stride, stride + window - 2
    else:
        found = (extent - 1) * stride + window % 2 + output_padding
        zeros = window + window % 2 - 2 + output_padding
    return found, window - 1 - min(zeros - zeros // 2, window - 1)


def _places(*axes):
    """The sums of one number from each axis, in the order of a grid's points."""
    found = np.zeros(1, np.int64)
    for axis in axes:
        found = np.add.outer(found, np.asarray(axis, np.int64)).reshape(-1)
    return found


def _steps(extents, channels):
    """From one pixel to the next, in elements, along each dimension."""
    return [channels * prod(extents[d + 1 :]) for d in range(len(extents))]


@lru_cache(maxsize=256)
def padded_rows(extents, channels, padding):
    """Where the rows of an image (its last dimension's pixels) lie within zeros."""
    padded = tuple(n + sum(pair) for n, pair in zip(extents, padding, strict=True))
    steps, last = _steps(padded, channels), len(extents) - 1
    return _places(
        *[
            np.arange(before, before + (1 if d == last else n)) * step
            for d, (n, (before, _), step) in enumerate(zip(extents, padding, steps, strict=True))
        ]
    )


@lru_cache(maxsize=256)
def windows(conv, extents, channels, groups):
    """(pixels, taps) of images of these extents before padding."""
    steps = _steps(conv.padded(extents), channels)
    pixels = [
        np.arange(n) * (s * step)
        for n, s, step in zip(conv.output(extents), conv.strides, steps, strict=True)
    ]
    taps = [
        np.arange(k) * (d * step)
        for k, d, step in zip(conv.kernel, conv.dilation, steps, strict=True)
    ]
    return _places(*pixels), _places(*taps, np.arange(channels // groups))


@lru_cache(maxsize=256)
def pixel_places(count, channels):
    """Where the pixels of an image without zeros begin."""
    return np.arange(count, dtype=np.int64) * channels


class Pixels(NamedTuple):
    """Pixels of an image which are alike modulo the strides: where they lie; places in the padded
    upstream gradient, of pixels and of taps and channels; of which rows of the table of all taps
    these are, the first."""

    places: np.ndarray
    pixels: np.ndarray
    taps: np.ndarray
    first: int


class ByInput(NamedTuple):
    """The gradient by input as convolutions of the upstream gradient `padding` within zeros: taps
    of the kernel in the order in which the classes of pixels read them."""

    padding: tuple[tuple[int, int], ...]
    order: np.ndarray
    classes: list[Pixels]


def _classes(size, k, s, d, before, out):
    """Along a dimension, for each remainder c of a pixel i = c + m s modulo the stride: how many
    pixels; the taps t by which an output pixel o has it, o s + t d = i + before; o - m of each."""
    found = []
    for c in range(min(s, size)):
        taps = [t for t in range(k) if (c + before - t * d) % s == 0]
        found.append((c, len(range(c, size, s)), taps, [(c + before - t * d) // s for t in taps]))
    low = min([o for *_, offsets in found for o in offsets], default=0)
    high = max([o + n - 1 for _, n, _, offsets in found for o in offsets], default=0)
    return found, (max(0, -low), max(0, high - out + 1))


@lru_cache(maxsize=256)
def by_input(conv, extents, channels, filters, groups):
    """The ByInput of images of these extents."""
    out, strides = conv.output(extents), conv.strides
    found = [
        _classes(size, k, s, d, before, o)
        for size, k, s, d, (before, _), o in zip(
            extents, conv.kernel, strides, conv.dilation, conv.padding, out, strict=True
        )
    ]
    padding = tuple(pair for _, pair in found)
    padded = tuple(n + sum(pair) for n, pair in zip(out, padding, strict=True))
    to, of_dy = _steps(extents, channels), _steps(padded, filters)
    of_kernel = _steps(conv.kernel, 1)
    order, classes = [], []
    for parts in product(*[c for c, _ in found]):
        dims = list(zip(parts, strides, to, of_dy, padding, of_kernel, strict=True))
        places = [(c + np.arange(n) * s) * step for (c, n, _, _), s, step, *_ in dims]
        pixels = [np.arange(n) * step for (_, n, _, _), _, _, step, *_ in dims]
        taps = [(np.array(o, np.int64) + low) * step for (*_, o), _, _, step, (low, _), _ in dims]
        first = sum(o.size for o in order) * (filters // groups)
        order.append(_places(*[np.array(t) * step for (_, _, t, _), *_, step in dims]))
        taps = _places(*taps, np.arange(filters // groups))
        classes.append(Pixels(_places(*places), _places(*pixels), taps, first))
    none = np.zeros(0, np.int64)
    return ByInput(padding, np.concatenate([none, *order]), classes)
