"""Pooling in NumPy, of any number of spatial dimensions."""

from itertools import product
from math import prod

import numpy as np

from ..windows import padding_before, windows_along


def _pool(of_window, x, pool_size, strides=None, padding="valid", data_format=None):
    """of_window(elements (N, K, C)) -> (N, C), for each window of x (N, ..., C)."""
    if data_format == "channels_first":
        y = _pool(of_window, np.moveaxis(x, 1, -1), pool_size, strides, padding)
        return np.moveaxis(y, -1, 1)
    extents = x.shape[1:-1]
    strides = pool_size if strides is None else strides
    sizes, steps = (np.broadcast_to(given, len(extents)).tolist() for given in (pool_size, strides))
    along = list(zip(extents, sizes, steps, strict=True))
    counts = [windows_along(*d, padding) for d in along]
    y = np.zeros((len(x), *counts, x.shape[-1]), x.dtype)
    for place in product(*map(range, counts)):
        starts = [
            i * step - padding_before(extent, size, step, padding)
            for i, (extent, size, step) in zip(place, along, strict=True)
        ]
        spans = [slice(max(s, 0), s + size) for s, size in zip(starts, sizes, strict=True)]
        window = x[(slice(None), *spans)]
        y[(slice(None), *place)] = of_window(
            window.reshape(len(x), prod(window.shape[1:-1]), x.shape[-1])
        )
    return y


def _largest(window):
    first = np.real(window).argmax(axis=1)
    return np.take_along_axis(window, first[:, None], axis=1)[:, 0]


def _mean(window):
    return window.mean(axis=1)


def max_pool(x, pool_size, strides=None, padding="valid", data_format=None):
    """The largest of each window: of equal ones the first; NaN if one is."""
    return _pool(_largest, x, pool_size, strides, padding, data_format)


def average_pool(x, pool_size, strides=None, padding="valid", data_format=None):
    """The mean of the elements of x in each window; padding has none."""
    return _pool(_mean, x, pool_size, strides, padding, data_format)


def _adaptive(of_window, x, output_size, data_format):
    if data_format == "channels_first":
        return np.moveaxis(_adaptive(of_window, np.moveaxis(x, 1, -1), output_size, None), -1, 1)
    counts = np.broadcast_to(output_size, x.ndim - 2).tolist()
    y = np.zeros((len(x), *counts, x.shape[-1]), x.dtype)
    for place in product(*map(range, counts)):
        own = zip(place, x.shape[1:-1], counts, strict=True)
        spans = [slice(i * n // p, -(-(i + 1) * n // p)) for i, n, p in own]
        window = x[(slice(None), *spans)]
        y[(slice(None), *place)] = of_window(
            window.reshape(len(x), prod(window.shape[1:-1]), x.shape[-1])
        )
    return y


def adaptive_max_pool(x, output_size, data_format=None):
    """The largest of each of so many windows, as equal as can be."""
    return _adaptive(_largest, x, output_size, data_format)


def adaptive_average_pool(x, output_size, data_format=None):
    """The mean of each of so many windows, as equal as can be."""
    return _adaptive(_mean, x, output_size, data_format)
