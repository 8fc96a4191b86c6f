"""Pooling of x (N, H, W, C) by windows of rows and columns; a row of steps is an image of one row.

    max_pool      y = the largest element of each window, NaN if one is
                  dx = dy where the largest stands first, of NaN the first, else 0
    average_pool  y = the sum of a window's elements / how many they are
                  dx = dy / how many, for each element

A thread makes an element of the result: of y from its window, of dx from the windows that it is in,
in their order, which is the CPU's, so the bits are. Of a window that reaches beyond x, those
elements count that are there.
"""

from ..declare import T, helper, kernel
from ..intrinsics import flat
from ..scalar.arithmetic import maximum
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


def forward(name, add, finish):
    """The kernel that makes `finish` of what `add` makes of a window's elements, and their
    number."""

    @kernel(
        threads=THREADS,
        split=BY_ELEMENT,
        name=name,
        x="T[N, H, W, C]",
        windows="i8[D, E]",
        y="out T[n]",
    )
    def pool(x, windows, y):
        q = block_index() * THREADS + thread_index()
        if q >= y.size:
            return
        channels, width = x.shape[3], x.shape[2]
        n, i, j, c = parts(q, windows[0, 3], windows[1, 3], channels)
        (h, rows), (w, columns) = span(windows, 0, i, x.shape[1]), span(windows, 1, j, width)
        source, place = flat(x), ((n * x.shape[1] + h) * width + w) * channels + c
        found, r = source[natural(place)], 0
        while r < rows:
            k = 1 if r == 0 else 0
            while k < columns:
                found = add(found, source[natural(place + (r * width + k) * channels)])
                k += 1
            r += 1
        y[natural(q)] = finish(found, rows * columns)

    return pool


@helper
def sum_of_two(x, y):
    return x + y


@helper
def itself(x, _count):
    return x


@helper
def mean(x, count):
    return x / T(count)


max_of_windows = forward("pool_by_maximum", maximum, itself)
mean_of_windows = forward("pool_by_mean", sum_of_two, mean)


@helper
def windows_with(windows, dimension, place):
    """The first and the last window that an element is in."""
    size, stride, before = windows[dimension, 0], windows[dimension, 1], windows[dimension, 2]
    last = min(quotient(place + before, stride), windows[dimension, 3] - 1)
    behind = place + before - size  # the last element that a window may begin at and end before it
    return (0 if behind < 0 else quotient(behind, stride) + 1), last


@helper
def is_largest(here, top):
    return here == top or here != here


@helper
def stands_before(x, start, top, columns, width, channels, row, column):
    """Whether an element of a window before this one is the largest."""
    r = 0
    while r <= row:
        k, end = 0, column if r == row else columns
        while k < end:
            if is_largest(x[natural(start + (r * width + k) * channels)], top):
                return True
            k += 1
        r += 1
    return False


@kernel(
    threads=THREADS,
    split=BY_ELEMENT,
    x="T[N, H, W, C]",
    y="T[N, P, Q, C]",
    dy="T[N, P, Q, C]",
    windows="i8[D, E]",
    dx="out T[n]",
)
def max_gradient(x, y, dy, windows, dx):
    q = block_index() * THREADS + thread_index()
    if q >= dx.size:
        return
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    n, h, w, c = parts(q, height, width, channels)
    (i, i_last), (j_first, j_last) = windows_with(windows, 0, h), windows_with(windows, 1, w)
    source, total = flat(x), T(0)
    here = source[natural(q)]
    while i <= i_last:
        top_row, _ = span(windows, 0, i, height)
        j = j_first
        while j <= j_last:
            left, columns = span(windows, 1, j, width)
            result = ((n * windows[0, 3] + i) * windows[1, 3] + j) * channels + c
            top = flat(y)[natural(result)]
            start = ((n * height + top_row) * width + left) * channels + c
            if is_largest(here, top) and not stands_before(
                source, start, top, columns, width, channels, h - top_row, w - left
            ):
                total += flat(dy)[natural(result)]
            j += 1
        i += 1
    dx[natural(q)] = total


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


# ---- launchers


def max_pool(call, x, y, *, pool_size, strides, padding):
    windows = call.constant(windows_of(x.shape, pool_size, strides, padding))
    call(max_of_windows, x, windows, y.flat())


def average_pool(call, x, y, *, pool_size, strides, padding):
    windows = call.constant(windows_of(x.shape, pool_size, strides, padding))
    call(mean_of_windows, x, windows, y.flat())


def max_pool_gradient(call, x, y, dy, dx, *, pool_size, strides, padding):
    windows = call.constant(windows_of(x.shape, pool_size, strides, padding))
    call(max_gradient, x, y, dy, windows, dx.flat())


def average_pool_gradient(call, dy, dx, *, shape, pool_size, strides, padding):
    windows = call.constant(windows_of(shape, pool_size, strides, padding))
    call(mean_gradient, dy, windows, *shape[1:3], dx.flat())
