"""Windows along a dimension, as pooling has them: how many there are, and how many elements of
padding stand before the first. Window i begins at element i stride - before."""

from functools import lru_cache

import numpy as np

from .declare import helper


def windows_along(extent, window, stride, padding):
    """How many windows of so many elements there are along `extent`: whole ones for "valid", which
    may be none, and one for each `stride` elements for "same"."""
    if padding == "same":
        return -(-extent // stride)
    return max((extent - window) // stride + 1, 0)


def padding_before(extent, window, stride, padding):
    """Of "same", half of what is missing for whole windows, the smaller half if it is odd."""
    if padding != "same":
        return 0
    missing = (windows_along(extent, window, stride, padding) - 1) * stride + window - extent
    return max(missing, 0) // 2


@lru_cache(maxsize=256)
def adaptive_windows(extent, count):
    """So many windows along `extent`, as equal as can be: window i from i extent / count, rounded
    down, to before (i + 1) extent / count, rounded up. Places (count, the longest's), a shorter
    one's last repeated; how many each has."""
    start = np.arange(count) * extent // count
    counts = -(-np.arange(1, count + 1) * extent // count) - start
    return start[:, None] + np.minimum(np.arange(counts.max()), counts[:, None] - 1), counts


@lru_cache(maxsize=256)
def windows_of(shape, pool_size, strides, padding):
    """The windows of images (N, H, W, C) as kernels read them: of rows, then of columns, (extent,
    stride, elements of padding before, how many there are)."""
    found = [
        (size, stride, padding_before(*along, padding), windows_along(*along, padding))
        for along in zip(shape[1:3], pool_size, strides, strict=True)
        for _, size, stride in [along]
    ]
    return np.array(found, np.int64)


@helper
def span(windows, dimension, i, extent):
    """Where window i begins and how many elements it has, of those that there are."""
    start = i * windows[dimension, 1] - windows[dimension, 2]
    stop = min(start + windows[dimension, 0], extent)
    start = max(start, 0)
    return start, stop - start
