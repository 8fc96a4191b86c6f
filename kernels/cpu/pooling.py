"""Pooling of x (N, H, W, C) by windows of rows and columns; a row of steps is an image of one row.

    max_pool      y = the largest element of each window, NaN if one is; index = the number of the
                  first such in the window (beside NaN any): a byte, or four of windows over 256
                  dx = dy where that stands, else 0
    average_pool  y = the sum of a window's elements / how many they are
                  dx = dy / how many, for each element

Of a window that reaches beyond x, those elements count that are there. Where windows overlap, dx is
the sum over them, in their order. `windows`: see kernels/windows.py.

Windows that lie side by side and have all of their columns are made in one call, unrolled where
they have 2 x 2 or 3 x 3 elements: one by one, 32 x 28 x 28 x 16 took 1.6 times as long (AVX-512).
The index halves the gradient's time, which no longer reads x and y.
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


@helper
def whole_until(windows, width):
    """The first window of a row that reaches beyond its end, or how many there are."""
    size, stride, before, count = windows[1, 0], windows[1, 1], windows[1, 2], windows[1, 3]
    return min((width + before - size) // stride + 1 if width + before >= size else 0, count)


@helper
def run_length(windows, j, whole):
    """How many windows from number j on, in a row, have all of their columns; 1 if it has not
    itself."""
    return max(whole - j, 1) if j * windows[1, 1] >= windows[1, 2] else 1


@kernel(split=BY_ROWS, x="T[N, H, W, C]", windows="i8[D, E]", y="out T[N, P, Q, C]")
def mean_of_windows(x, windows, y, row_start, row_stop, col_start, col_stop):
    _, height, width, channels = x.shape
    row_step, step, whole = width * channels, windows[1, 1] * channels, whole_until(windows, width)
    for n in range(row_start, row_stop):
        for i in range(col_start, col_stop):
            (h, rows), j = span(windows, 0, i, height), 0
            while j < y.shape[2]:
                (w, columns), count = span(windows, 1, j, width), run_length(windows, j, whole)
                each = flat(x), element(x, n, h, w, 0), row_step, channels, step
                to = flat(y), element(y, n, i, j, 0)
                if rows == 2 and columns == 2:
                    window_mean(2, each, rows, columns, channels, count, to)
                elif rows == 3 and columns == 3:
                    window_mean(3, each, rows, columns, channels, count, to)
                else:
                    window_mean(0, each, rows, columns, channels, count, to)
                j += count


def _max_of_windows(letter):
    """The kernel that has an index of this type."""

    @kernel(
        split=BY_ROWS,
        name=f"max_of_windows_{letter}",
        x="T[N, H, W, C]",
        windows="i8[D, E]",
        y="out T[N, P, Q, C]",
        index=f"out {letter}[N, P, Q, C]",
    )
    def pool(x, windows, y, index, row_start, row_stop, col_start, col_stop):
        _, height, width, channels = x.shape
        row_step, step = width * channels, windows[1, 1] * channels
        whole = whole_until(windows, width)
        for n in range(row_start, row_stop):
            for i in range(col_start, col_stop):
                (h, rows), j = span(windows, 0, i, height), 0
                while j < y.shape[2]:
                    (w, columns), count = span(windows, 1, j, width), run_length(windows, j, whole)
                    each = flat(x), element(x, n, h, w, 0), row_step, channels, step
                    to, at = (
                        (flat(y), element(y, n, i, j, 0)),
                        (index[n, i, j:], 0),
                    )
                    if rows == 2 and columns == 2:
                        window_maximum(2, each, rows, columns, channels, count, to, at)
                    elif rows == 3 and columns == 3:
                        window_maximum(3, each, rows, columns, channels, count, to, at)
                    else:
                        window_maximum(0, each, rows, columns, channels, count, to, at)
                    j += count

    return pool


@helper
def clear_channels(dx, first, last, start, stop):
    """0 in these channels of an image's rows, which are cleared when the first window has them:
    they stay in L1."""
    if stop - start == dx.shape[2]:
        clear(flat(dx)[first * dx.shape[1] * dx.shape[2] : last * dx.shape[1] * dx.shape[2]])
    else:
        for h in range(first, last):
            for w in range(dx.shape[1]):
                clear(dx[h, w, start:stop])


@helper
def overlap(windows):
    """Whether an element may be of several windows."""
    return windows[0, 1] < windows[0, 0] or windows[1, 1] < windows[1, 0]


@helper
def cover(windows, x):
    """Whether the windows have every element of an image, each once."""
    rows_end = windows[0, 3] * windows[0, 1] - windows[0, 2]
    columns_end = windows[1, 3] * windows[1, 1] - windows[1, 2]
    return (
        windows[0, 0] == windows[0, 1]
        and windows[1, 0] == windows[1, 1]
        and rows_end >= x.shape[1]
        and columns_end >= x.shape[2]
    )


def _max_gradient(letter):
    """The kernel for an index of this type."""

    @kernel(
        split=BY_CHANNELS,
        name=f"max_gradient_{letter}",
        index=f"{letter}[N, P, Q, C]",
        dy="T[N, P, Q, C]",
        windows="i8[D, E]",
        dx="out T[N, H, W, C]",
    )
    def gradient(index, dy, windows, dx, row_start, row_stop, col_start, col_stop):
        _, height, width, channels = dx.shape
        row_step, own, adds = width * channels, col_stop - col_start, overlap(windows)
        step, at_once, is_whole = windows[1, 1] * channels, own == channels, cover(windows, dx)
        shared, whole = windows[1, 0] - windows[1, 1], whole_until(windows, width)
        for n in range(row_start, row_stop):
            cleared = height if is_whole else 0
            for i in range(dy.shape[1]):
                (h, rows), j = span(windows, 0, i, height), 0
                if cleared < h + rows:
                    clear_channels(dx[n], cleared, h + rows, col_start, col_stop)
                    cleared = h + rows
                while j < dy.shape[2]:
                    w, columns = span(windows, 1, j, width)
                    count = run_length(windows, j, whole) if at_once else 1
                    at, is_three = (index[n, i, j:], col_start), rows == 3 and columns == 3
                    above = flat(dy), element(dy, n, i, j, col_start)
                    into = flat(dx), element(dx, n, h, w, col_start), row_step, channels, step
                    if is_three and shared == 1:
                        window_maximum_gradient(3, at, above, rows, columns, own, count, into, 1)
                    elif is_three and shared == 2:
                        window_maximum_gradient(3, at, above, rows, columns, own, count, into, 2)
                    elif adds:
                        window_maximum_gradient(0, at, above, rows, columns, own, count, into, -1)
                    elif rows == 2 and columns == 2:
                        window_maximum_gradient(2, at, above, rows, columns, own, count, into, 0)
                    else:
                        window_maximum_gradient(0, at, above, rows, columns, own, count, into, 0)
                    j += count
            if cleared < height:
                clear_channels(dx[n], cleared, height, col_start, col_stop)

    return gradient


@kernel(split=BY_CHANNELS, dy="T[N, P, Q, C]", windows="i8[D, E]", dx="out T[N, H, W, C]")
def mean_gradient(dy, windows, dx, row_start, row_stop, col_start, col_stop):
    _, height, width, channels = dx.shape
    row_step, own, adds = width * channels, col_stop - col_start, overlap(windows)
    step, at_once, is_whole = windows[1, 1] * channels, own == channels, cover(windows, dx)
    whole = whole_until(windows, width)
    for n in range(row_start, row_stop):
        cleared = height if is_whole else 0
        for i in range(dy.shape[1]):
            (h, rows), j = span(windows, 0, i, height), 0
            if cleared < h + rows:
                clear_channels(dx[n], cleared, h + rows, col_start, col_stop)
                cleared = h + rows
            while j < dy.shape[2]:
                w, columns = span(windows, 1, j, width)
                count = run_length(windows, j, whole) if at_once else 1
                into = flat(dx), element(dx, n, h, w, col_start), row_step, channels, step
                above = flat(dy), element(dy, n, i, j, col_start)
                if adds:
                    window_mean_gradient(0, above, rows, columns, own, count, into, 1)
                elif rows == 2 and columns == 2:
                    window_mean_gradient(2, above, rows, columns, own, count, into, 0)
                else:
                    window_mean_gradient(0, above, rows, columns, own, count, into, 0)
                j += count
        if cleared < height:
            clear_channels(dx[n], cleared, height, col_start, col_stop)


max_of_windows = {letter: _max_of_windows(letter) for letter in ("u1", "i4")}
max_gradient = {letter: _max_gradient(letter) for letter in ("u1", "i4")}


# ---- launchers


def max_pool(call, x, y, index, *, pool_size, strides, padding):
    windows = call.constant(windows_of(x.shape, pool_size, strides, padding))
    call(max_of_windows[index.dtype.str[1:]], x, windows, y, index)


def average_pool(call, x, y, *, pool_size, strides, padding):
    call(mean_of_windows, x, call.constant(windows_of(x.shape, pool_size, strides, padding)), y)


def max_pool_gradient(call, index, dy, dx, *, shape, pool_size, strides, padding):
    windows = call.constant(windows_of(shape, pool_size, strides, padding))
    call(max_gradient[index.dtype.str[1:]], index, dy, windows, dx)


def average_pool_gradient(call, dy, dx, *, shape, pool_size, strides, padding):
    windows = call.constant(windows_of(shape, pool_size, strides, padding))
    call(mean_gradient, dy, windows, dx)
