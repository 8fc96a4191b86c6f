"""Pooling of x (N, H, W, C) by windows of rows and columns; a row of steps is an image of one row.

    max_pool      y = the largest element of each window, NaN if one is
                  dx = dy where the largest stands first, of NaN the first, else 0
    average_pool  y = the sum of a window's elements / how many they are
                  dx = dy / how many, for each element

Of a window that reaches beyond x, those elements count that are there. Where windows overlap, dx is
the sum over them, in their order.
"""

from ..declare import helper, kernel
from ..intrinsics import flat
from ..windows import span, windows_of
from .simd.rows import clear
from .simd.windows import (
    window_maximum,
    window_maximum_gradient,
    window_mean,
    window_mean_gradient,
)
from .threads import ELEMENT_GRAIN

# images are divided, or of a single one rows of windows; of gradients, where windows that overlap
# have elements in common, channels
BY_ROWS, BY_CHANNELS = [("N", 1), ("P", 1)], [("N", 1), ("C", ELEMENT_GRAIN)]


@helper
def element(x, n, i, j, channel):
    """Where a channel of an element of images x lies, in x as one array."""
    return ((n * x.shape[1] + i) * x.shape[2] + j) * x.shape[3] + channel


def forward(of_window):
    """The kernel that makes each element of y of its window."""

    @kernel(
        split=BY_ROWS,
        name=f"pool_by_{of_window.name}",
        x="T[N, H, W, C]",
        windows="i8[D, E]",
        y="out T[N, P, Q, C]",
    )
    def pool(x, windows, y, row_start, row_stop, col_start, col_stop):
        _, height, width, channels = x.shape
        for n in range(row_start, row_stop):
            for i in range(col_start, col_stop):
                h, rows = span(windows, 0, i, height)
                for j in range(y.shape[2]):
                    w, columns = span(windows, 1, j, width)
                    window = flat(x), element(x, n, h, w, 0), width * channels, channels
                    target = flat(y), element(y, n, i, j, 0)
                    of_window(window, rows, columns, channels, target)

    return pool


max_of_windows, mean_of_windows = forward(window_maximum), forward(window_mean)


@helper
def clear_channels(dx, start, stop):
    """0 in these channels of an image."""
    if stop - start == dx.shape[2]:
        clear(flat(dx))
    else:
        for h in range(dx.shape[0]):
            for w in range(dx.shape[1]):
                clear(dx[h, w, start:stop])


@helper
def overlap(windows):
    """Whether an element may be of several windows."""
    return windows[0, 1] < windows[0, 0] or windows[1, 1] < windows[1, 0]


@helper
def cover(windows, y, x):
    """Whether the windows have every element of an image, each once."""
    rows_end = y.shape[1] * windows[0, 1] - windows[0, 2]
    columns_end = y.shape[2] * windows[1, 1] - windows[1, 2]
    return (
        windows[0, 0] == windows[0, 1]
        and windows[1, 0] == windows[1, 1]
        and rows_end >= x.shape[1]
        and columns_end >= x.shape[2]
    )


@kernel(
    split=BY_CHANNELS,
    x="T[N, H, W, C]",
    y="T[N, P, Q, C]",
    dy="T[N, P, Q, C]",
    windows="i8[D, E]",
    dx="out T[N, H, W, C]",
)
def max_gradient(x, y, dy, windows, dx, row_start, row_stop, col_start, col_stop):
    _, height, width, channels = x.shape
    row_step, count, adds = width * channels, col_stop - col_start, overlap(windows)
    is_whole = cover(windows, y, x)
    for n in range(row_start, row_stop):
        if not is_whole:
            clear_channels(dx[n], col_start, col_stop)
        for i in range(y.shape[1]):
            h, rows = span(windows, 0, i, height)
            for j in range(y.shape[2]):
                w, columns = span(windows, 1, j, width)
                place, of_y = element(x, n, h, w, col_start), element(y, n, i, j, col_start)
                window, target = (
                    (flat(x), place, row_step, channels),
                    (flat(dx), place, row_step, channels),
                )
                top, above = (flat(y), of_y), (flat(dy), of_y)
                if adds:
                    window_maximum_gradient(window, top, above, rows, columns, count, target, 1)
                else:
                    window_maximum_gradient(window, top, above, rows, columns, count, target, 0)


@kernel(split=BY_CHANNELS, dy="T[N, P, Q, C]", windows="i8[D, E]", dx="out T[N, H, W, C]")
def mean_gradient(dy, windows, dx, row_start, row_stop, col_start, col_stop):
    _, height, width, channels = dx.shape
    row_step, count, adds = width * channels, col_stop - col_start, overlap(windows)
    is_whole = cover(windows, dy, dx)
    for n in range(row_start, row_stop):
        if not is_whole:
            clear_channels(dx[n], col_start, col_stop)
        for i in range(dy.shape[1]):
            h, rows = span(windows, 0, i, height)
            for j in range(dy.shape[2]):
                w, columns = span(windows, 1, j, width)
                target = flat(dx), element(dx, n, h, w, col_start), row_step, channels
                above = flat(dy), element(dy, n, i, j, col_start)
                if adds:
                    window_mean_gradient(above, rows, columns, count, target, 1)
                else:
                    window_mean_gradient(above, rows, columns, count, target, 0)


# ---- launchers


def max_pool(call, x, y, *, pool_size, strides, padding):
    call(max_of_windows, x, call.constant(windows_of(x.shape, pool_size, strides, padding)), y)


def average_pool(call, x, y, *, pool_size, strides, padding):
    call(mean_of_windows, x, call.constant(windows_of(x.shape, pool_size, strides, padding)), y)


def max_pool_gradient(call, x, y, dy, dx, *, pool_size, strides, padding):
    windows = call.constant(windows_of(x.shape, pool_size, strides, padding))
    call(max_gradient, x, y, dy, windows, dx)


def average_pool_gradient(call, dy, dx, *, shape, pool_size, strides, padding):
    windows = call.constant(windows_of(shape, pool_size, strides, padding))
    call(mean_gradient, dy, windows, dx)
