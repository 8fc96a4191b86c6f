"""Where a convolution finds its elements: extents, and tables of places, for every device.

Of images (N, D..., C), each flat, the factor of pixel p of the result and of element k of a window
(its tap, its channel) lies at pixels[p] + taps[k]. So does every matrix that a convolution
multiplies with: transposed, it is that of the gradient by kernel; of the upstream gradient, that of
the gradient by input. One pair of tables serves any number of dimensions, strides and dilation.

At an image's edges windows reach beyond it. Either pixels are sorted by the taps that lie on the
image (`Pixels`), and multiplied with those alone; or the image is copied into the midst of zeros.
Of a finite kernel the bits are the same.
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
        """The extents of the result, 0 where a window is larger than an image."""
        windows = zip(self.padded(extents), self.kernel, self.strides, self.dilation, strict=True)
        return tuple(max(0, (n - (k - 1) * d - 1) // s + 1) for n, k, s, d in windows)


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


def dimensions(conv, extents):
    """Of each of three dimensions, of which the first may be none: extents of images, of the kernel
    and of the result, stride, dilation, zeros before."""
    before = [pair[0] for pair in conv.padding]
    out = conv.output(extents)
    own = zip(extents, conv.kernel, out, conv.strides, conv.dilation, before, strict=True)
    return np.array([[1, 1, 1, 1, 1, 0]] * (3 - len(extents)) + [*map(list, own)], np.int64)


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


class Pixels(NamedTuple):
    """Pixels of a result which take the same taps: where they lie in it; where the first of their
    factors lie; how far on those of the other taps and channels do; which rows of the kernel (taps
    and channels, filters) are multiplied with these."""

    places: np.ndarray
    pixels: np.ndarray
    taps: np.ndarray
    rows: np.ndarray


def _alike(source, is_there):
    """Of each (pixel, tap) along a dimension the place of the factor and whether there is one: for
    pixels that have the same taps (pixels, taps, place of the first tap's factor of each, how far
    on the others' are), taps in the order of their factors."""
    found = []
    patterns, which = np.unique(is_there, axis=0, return_inverse=True)
    for n, pattern in enumerate(patterns):
        pixels, taps = np.flatnonzero(which.reshape(-1) == n), np.flatnonzero(pattern)
        places = source[np.ix_(pixels, taps)]
        order = np.argsort(places[0])
        places = places[:, order]
        first = places[:, 0] if taps.size else np.zeros(pixels.size, np.int64)
        found.append((pixels, taps[order], first, places[0] - first[0]))
    return found


class Way(NamedTuple):
    """How a convolution may be made: the zeros around images, and classes of pixels; how many
    elements are copied for each image; filters of a group, and how many groups."""

    zeros: tuple[tuple[int, int], ...]
    classes: list[Pixels]
    copied: int
    columns: int
    groups: int

    def multiply_adds(self, images):
        """How many, of so many images, in whole tiles of rows (of 10, those of the widest vectors)
        and a vector's columns at least."""
        rows = sum(-(-images * c.pixels.size // 10) * 10 * c.taps.size for c in self.classes)
        return rows * max(self.columns, 16) * self.groups

    def tables(self):
        """What kernels read: of each class (start and stop of its pixels, of its taps), and the
        four tables of all classes, one after another."""
        pixels = np.cumsum([0, *[c.pixels.size for c in self.classes]])
        taps = np.cumsum([0, *[c.taps.size for c in self.classes]])
        bounds = np.stack([pixels[:-1], pixels[1:], taps[:-1], taps[1:]], axis=1)
        return bounds, *[np.concatenate(t) for t in zip(*self.classes, strict=True)]


def _way(along, zeros, x, y, channels, filters, groups, kernel):
    """Of what `_alike` finds along each dimension; x, y: extents of the images that are read,
    within zeros, of so many channels, and of the result, with its filters."""
    part = channels // groups
    of_x, of_y, of_kernel = _steps(x, channels), _steps(y, filters), _steps(kernel, part)
    classes, own = [], np.arange(part)
    for parts in product(*along):
        places, taps_of, pixels, taps = (
            [p[n] * step for p, step in zip(parts, steps, strict=True)]
            for n, steps in enumerate((of_y, of_kernel, of_x, of_x))
        )
        found = _places(*places), _places(*pixels), _places(*taps, own), _places(*taps_of, own)
        classes.append(Pixels(*found))
    copied = prod(x) * channels if any(map(any, zeros)) else 0
    if channels == filters == groups:  # channels are a vector's elements, not products
        return Way(zeros, classes, copied, filters, 1)
    return Way(zeros, classes, copied, filters // groups, groups)


@lru_cache(maxsize=256)
def forward(conv, extents, channels, filters, groups, is_padded):
    """The Way of a convolution of images of these extents; is_padded: within zeros."""
    none = ((0, 0),) * len(extents)
    zeros, out, along = conv.padding if is_padded else none, conv.output(extents), []
    for size, k, s, d, (before, _), (low, high), o in zip(
        extents, conv.kernel, conv.strides, conv.dilation, conv.padding, zeros, out, strict=True
    ):
        source = np.arange(o)[:, None] * s + np.arange(k) * d - before
        along.append(_alike(source + low, (source >= -low) & (source < size + high)))
    x = conv.padded(extents) if is_padded else extents
    return _way(along, zeros, x, out, channels, filters, groups, conv.kernel)


@lru_cache(maxsize=256)
def by_kernel(conv, extents, channels, filters, groups, is_padded):
    """The Way of the gradient by kernel: pixels are rows of the upstream gradient, and `places`
    their numbers. Of several classes these rows are copied, but stay in L1: a third of the cost."""
    way = forward(conv, extents, channels, filters, groups, is_padded)
    classes = [c._replace(places=c.places // filters) for c in way.classes]
    rows = 0 if len(classes) == 1 else prod(conv.output(extents)) * filters // 3
    return way._replace(classes=classes, copied=way.copied + rows)


@lru_cache(maxsize=256)
def by_input(conv, extents, channels, filters, groups, is_padded):
    """The Way of the gradient by input of images of these extents; is_padded: of an upstream
    gradient within as many zeros as it takes. A pixel i has the tap t of output pixel o if
    o s + t d = i + before."""
    out, zeros, along = conv.output(extents), [], []
    for size, k, s, d, (before, _), o in zip(
        extents, conv.kernel, conv.strides, conv.dilation, conv.padding, out, strict=True
    ):
        reached = np.arange(size)[:, None] + before - np.arange(k) * d
        source, is_there = reached // s, reached % s == 0
        low = high = 0
        if is_padded and is_there.any():
            low, high = max(0, -source[is_there].min()), max(0, source[is_there].max() - o + 1)
        zeros.append((int(low), int(high)))
        along.append(_alike(source + low, is_there & (source >= -low) & (source < o + high)))
    dy = tuple(n + sum(pair) for n, pair in zip(out, zeros, strict=True))
    return _way(along, tuple(zeros), dy, extents, filters, channels, groups, conv.kernel)
