"""Pooling of x (N, H, W, C) by windows of rows and columns; a row of steps is an image of one row.

    max_pool      y = the largest element of each window, NaN if one is; index = the number of the
                  first such in the window (beside NaN any): a byte, or four of windows over 256
                  dx = dy where that stands, else 0
    average_pool  y = the sum of a window's elements / how many they are
                  dx = dy / how many, for each element

A thread makes an element of the result: of y from its window, of dx from the windows that it is in,
in their order, which is the CPU's, so the bits are. Of a window that reaches beyond x, those
elements count that are there.
"""

from ..declare import T, helper, kernel
from ..intrinsics import flat
from ..windows import span, windows_of
from .grid import block_index, natural, quotient, thread_index

THREADS = 256
BY_ELEMENT = [("n", THREADS)]


@helper
def parts(q, rows, columns, channels):
    """Element number q of images: (image, row, column, channel)."""
    pixel = quotient(q, channels)
    row = quotient(pixel, columns)
    n = quotient(row, rows)
    return n, row - n * rows, pixel - row * columns, q - pixel * channels


@helper
def window_of(x, windows, q):
    """Of result number q: where its window begins in x, its rows and columns, from one row to the
    next."""
    channels, width = x.shape[3], x.shape[2]
    n, i, j, c = parts(q, windows[0, 3], windows[1, 3], channels)
    (h, rows), (w, columns) = span(windows, 0, i, x.shape[1]), span(windows, 1, j, width)
    return ((n * x.shape[1] + h) * width + w) * channels + c, rows, columns, width * channels


def _max_of_windows(letter):
    """The kernel that has an index of this type."""

    @kernel(
        threads=THREADS,
        split=BY_ELEMENT,
        name=f"max_of_windows_{letter}",
        x="T[N, H, W, C]",
        windows="i8[D, E]",
        y="out T[n]",
        index=f"out {letter}[n]",
    )
    def pool(x, windows, y, index):
        q = block_index() * THREADS + thread_index()
        if q >= y.size:
            return
        (place, rows, columns, row_step), source = window_of(x, windows, q), flat(x)
        found, at, number, k = source[natural(place)], 0, 0, 0
        nan, is_nan = found, False
        while number < rows * columns:
            other = source[natural(place)]
            if other > found:
                found, at = other, number
            if other != other:
                nan, is_nan = other, True
            place, k, number = place + x.shape[3], k + 1, number + 1
            if k == columns:
                place, k = place + row_step - columns * x.shape[3], 0
        y[natural(q)] = nan if is_nan else found
        index[natural(q)] = at

    return pool


@kernel(threads=THREADS, split=BY_ELEMENT, x="T[N, H, W, C]", windows="i8[D, E]", y="out T[n]")
def mean_of_windows(x, windows, y):
    q = block_index() * THREADS + thread_index()
    if q >= y.size:
        return
    (place, rows, columns, row_step), source = window_of(x, windows, q), flat(x)
    total, r = T(0), 0
    while r < rows:
        k = 0
        while k < columns:
            total += source[natural(place + r * row_step + k * x.shape[3])]
            k += 1
        r += 1
    y[natural(q)] = total / T(rows * columns)


@helper
def windows_with(windows, dimension, place):
    """The first and the last window that an element is in."""
    size, stride, before = windows[dimension, 0], windows[dimension, 1], windows[dimension, 2]
    last = min(quotient(place + before, stride), windows[dimension, 3] - 1)
    behind = place + before - size  # the last element that a window may begin at and end before it
    return (0 if behind < 0 else quotient(behind, stride) + 1), last


def _max_gradient(letter):
    """The kernel for an index of this type."""

    @kernel(
        threads=THREADS,
        split=BY_ELEMENT,
        name=f"max_gradient_{letter}",
        index=f"{letter}[m]",
        dy="T[N, P, Q, C]",
        windows="i8[D, E]",
        height="int",
        width="int",
        dx="out T[n]",
    )
    def gradient(index, dy, windows, height, width, dx):
        q = block_index() * THREADS + thread_index()
        if q >= dx.size:
            return
        channels, total = dy.shape[3], T(0)
        n, h, w, c = parts(q, height, width, channels)
        (i, i_last), (j_first, j_last) = windows_with(windows, 0, h), windows_with(windows, 1, w)
        while i <= i_last:
            top, _ = span(windows, 0, i, height)
            j = j_first
            while j <= j_last:
                left, columns = span(windows, 1, j, width)
                result = ((n * windows[0, 3] + i) * windows[1, 3] + j) * channels + c
                if index[natural(result)] == (h - top) * columns + w - left:
                    total += flat(dy)[natural(result)]
                j += 1
            i += 1
        dx[natural(q)] = total

    return gradient


@kernel(
    threads=THREADS,
    split=BY_ELEMENT,
    dy="T[N, P, Q, C]",
    windows="i8[D, E]",
    height="int",
    width="int",
    dx="out T[n]",
)
def mean_gradient(dy, windows, height, width, dx):
    q = block_index() * THREADS + thread_index()
    if q >= dx.size:
        return
    channels, total = dy.shape[3], T(0)
    n, h, w, c = parts(q, height, width, channels)
    (i, i_last), (j_first, j_last) = windows_with(windows, 0, h), windows_with(windows, 1, w)
    while i <= i_last:
        _, rows = span(windows, 0, i, height)
        j = j_first
        while j <= j_last:
            _, columns = span(windows, 1, j, width)
            result = ((n * windows[0, 3] + i) * windows[1, 3] + j) * channels + c
            total += flat(dy)[natural(result)] / T(rows * columns)
            j += 1
        i += 1
    dx[natural(q)] = total


max_of_windows = {letter: _max_of_windows(letter) for letter in ("u1", "i4")}
max_gradient = {letter: _max_gradient(letter) for letter in ("u1", "i4")}


# ---- launchers


def max_pool(call, x, y, index, *, pool_size, strides, padding):
    windows = call.constant(windows_of(x.shape, pool_size, strides, padding))
    call(max_of_windows[index.dtype.str[1:]], x, windows, y.flat(), index.flat())


def average_pool(call, x, y, *, pool_size, strides, padding):
    windows = call.constant(windows_of(x.shape, pool_size, strides, padding))
    call(mean_of_windows, x, windows, y.flat())


def max_pool_gradient(call, index, dy, dx, *, shape, pool_size, strides, padding):
    windows = call.constant(windows_of(shape, pool_size, strides, padding))
    call(max_gradient[index.dtype.str[1:]], index.flat(), dy, windows, *shape[1:3], dx.flat())


def average_pool_gradient(call, dy, dx, *, shape, pool_size, strides, padding):
    windows = call.constant(windows_of(shape, pool_size, strides, padding))
    call(mean_gradient, dy, windows, *shape[1:3], dx.flat())
