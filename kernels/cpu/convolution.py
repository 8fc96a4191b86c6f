"""Convolution of channels-last images, of any number of dimensions, and its gradient by input,
which is a convolution too.

    forward    y[n, p] = activation(sum over k of x[n, pixels[p] + taps[k]] w[k] + bias)
    by input   dx[n, places[p]] = sum over k of dy[n, pixels[p] + taps[k]] turned[k]

x and dy lie within zeros, and no windows are copied: kernels/geometry.py has the tables. `turned`
is w with its channels exchanged, tap after tap. With strides, pixels of dx that are alike modulo
them are a convolution each.

Groups of channels are products of their own: group g of G reads x's channels from g C / G on and
makes columns g O / G on.
"""

import math
from functools import lru_cache
from math import prod

from .. import geometry, scalar
from ..declare import T, helper, kernel, machine
from ..geometry import Convolution
from ..intrinsics import flat, stack_array
from .depthwise import convolve_channels
from .matmul import activate, empty
from .pack import pack_b
from .simd.gemm_microkernel import NR
from .simd.places_microkernel import PLACES_MR, places_microkernel
from .simd.rows import clear
from .simd.transpose import transpose_tile
from .simd.vectors import INIT_BIAS, INIT_C, INIT_ZERO, LANES
from .threads import ceil_div

# Pixels of one image that threads divide, where there is one image: whole tiles of any machine.
PIXEL_GRAIN = 60
# Pixels whose windows are multiplied with all of the kernel before the next, and rows of the kernel
# that are packed at a time: 16 kB of a panel stay in L1 beside the windows.
PLACES_ROWS = machine(
    lambda target, item_bytes: (
        192 // PLACES_MR.rule(target, item_bytes) * PLACES_MR.rule(target, item_bytes)
    )
)
PLACES_KC = machine(lambda target, item_bytes: 16384 // (item_bytes * NR.rule(target, item_bytes)))
PLACES_PANEL = machine(
    lambda target, item_bytes: PLACES_KC.rule(target, item_bytes) * NR.rule(target, item_bytes)
)
PACK_MIN_TILES = 4  # of rows: fewer do not make up for a copy of a panel


@kernel(split=[("N", 1), ("R", 1)], x="T[N, R, S]", rows="i8[R]", padded="out T[N, Q]")
def pad_images(x, rows, padded, row_start, row_stop, col_start, col_stop):
    """padded[n] = row r of x[n] at rows[r], and zeros between."""
    size = x.shape[2]
    for n in range(row_start, row_stop):
        image = padded[n]
        for r in range(col_start, col_stop):
            place = rows[r]
            clear(image[rows[r - 1] + size if r > 0 else 0 : place])
            source, target = x[n, r], image[place : place + size]
            for j in range(target.size):
                target[j] = source[j]
            if r == rows.size - 1:
                clear(image[place + size :])


@helper
def packs_panels(tiles, row):
    """Whether panels of B, rows `row` apart, are packed for so many tiles."""
    return tiles >= PACK_MIN_TILES and row > NR


@kernel(
    split=[("N", 1), ("P", PIXEL_GRAIN)],
    x="T[N, S]",
    w="T[K, O]",
    bias="T[B]",
    pixels="i8[P]",
    taps="i8[D]",
    places="i8[P]",
    first="int",
    groups="int",
    group_step="int",
    clamp_min="float",
    y="inout T[N, R]",
)
def convolve(
    x, w, bias, pixels, taps, places, first, groups, group_step, clamp_min, y,
    row_start, row_stop, col_start, col_stop,
):  # fmt: skip
    """y[n, places[p]...] = max(clamp_min, sum over k of x[n, pixels[p] + taps[k]] w[first + k] +
    bias), of group g of its columns from channel g group_step on."""
    a, b, c, depth = flat(x), flat(w), flat(y), taps.size
    columns, count, low = w.shape[1] // groups, col_stop - col_start, T(clamp_min)
    rows_at, out_at = stack_array(0, PLACES_ROWS), stack_array(0, PLACES_ROWS)
    panel, total = stack_array(T(0), PLACES_PANEL), (row_stop - row_start) * count
    for top in range(0, total, PLACES_ROWS):
        n, p, rows = (
            row_start + top // count,
            col_start + top % count,
            min(PLACES_ROWS, total - top),
        )
        tiles = ceil_div(rows, PLACES_MR)
        for r in range(tiles * PLACES_MR):
            rows_at[r], out_at[r] = n * x.shape[1] + pixels[p], n * y.shape[1] + places[p]
            if r < rows - 1:
                p += 1
                if p == col_stop:
                    n, p = n + 1, col_start
        packing = packs_panels(tiles, w.shape[1])
        for g in range(groups):
            k, init = 0, INIT_BIAS if bias.size > 0 else INIT_ZERO
            while True:  # once even if there is nothing to sum
                kc = min(PLACES_KC, depth - k)
                block_low = low if k + kc == depth else T(-math.inf)
                for j in range(0, columns, NR):
                    width, column = min(NR, columns - j), g * columns + j
                    source = b, (first + k) * w.shape[1] + column, w.shape[1]
                    if packing:
                        pack_b(w, column, width, first + k, first + k + kc, panel)
                        source = panel, 0, NR
                    places_microkernel(
                        tiles, kc, (a, g * group_step), (rows_at, 0), (taps, k), source,
                        (bias, column), init, block_low, (c, column), (out_at, 0), width,
                    )  # fmt: skip
                k, init = k + kc, INIT_C
                if k == depth:
                    break


@kernel(split=[("T", 1)], w="T[S, I, O]", order="i8[T]", groups="int", turned="out T[T, P, C]")
def turn_kernel(w, order, groups, turned, start, stop):
    """turned[t, o, g I + i] = w[order[t], i, g P + o]: the kernel of the gradient by input."""
    _, inputs, outputs = w.shape
    _, part, channels = turned.shape
    source, target = flat(w), flat(turned)
    for t in range(start, stop):
        tap, place = order[t] * inputs * outputs, t * part * channels
        for g in range(groups):
            for i in range(0, inputs, LANES):
                for o in range(0, part, LANES):
                    transpose_tile(
                        (source, tap + i * outputs + g * part + o, outputs),
                        (target, place + o * channels + g * inputs + i, channels),
                        min(LANES, inputs - i),
                        min(LANES, part - o),
                    )


# ---- launchers


@lru_cache(maxsize=256)
def tables(constant, function, *given):
    """The tables that a function of geometry.py makes, by `constant` what kernels read."""
    found = function(*given)
    return tuple([constant(t) for t in found]) if isinstance(found, tuple) else constant(found)


@lru_cache(maxsize=256)
def _by_input(constant, *given):
    found = geometry.by_input(*given)
    classes = [(*map(constant, c[:3]), c.first) for c in found.classes]
    return found.padding, constant(found.order), classes


def images(x):
    """x as (N, elements of an image)."""
    return x.view((x.shape[0], prod(x.shape[1:])))


def is_depthwise(channels, filters, groups):
    return channels == filters == groups


def products(call, x, w, bias, classes, groups, y, clamp_min=-math.inf):
    """y = the convolutions of x by w (taps, C / G, F), one for each class of pixels: (places,
    pixels, taps, the first row of w)."""
    *_, inputs, filters = w.shape
    bias = empty(call.constant, y.dtype) if bias is None else bias
    x, w, y = images(x), w.view((prod(w.shape[:-1]), filters)), images(y)
    if is_depthwise(inputs * groups, filters, groups):
        for places, pixels, taps, first in classes:
            call(convolve_channels, x, w, bias, pixels, taps, places, first, clamp_min, y)
        return
    for places, pixels, taps, first in classes:
        call(convolve, x, w, bias, pixels, taps, places, first, groups, inputs, clamp_min, y)


def pad(call, x, padded, *, padding):
    """padded = x within zeros."""
    n, *extents, channels = x.shape
    rows = tables(call.constant, geometry.padded_rows, tuple(extents), channels, padding)
    call(pad_images, x.view((n, prod(extents[:-1]), extents[-1] * channels)), rows, images(padded))


def convolution(
    call, x, w, bias, y, padded=None, *, strides, dilation_rate, padding, activation=None
):
    """y = activation(convolution of x within zeros + bias); padded: those, kept for the
    gradient."""
    if not prod(y.shape):
        return
    *kernel, inputs, filters = w.shape
    _, *extents, channels = x.shape
    groups, conv = channels // inputs, Convolution(tuple(kernel), strides, dilation_rate, padding)
    if padded is not None:
        pad(call, x, padded, padding=padding)
        x = padded
    pixels, taps = tables(call.constant, geometry.windows, conv, tuple(extents), channels, groups)
    places = tables(call.constant, geometry.pixel_places, prod(y.shape[1:-1]), filters)
    low = 0.0 if activation == "relu" else -math.inf
    products(call, x, w, bias, [(places, pixels, taps, 0)], groups, y, low)
    if activation not in (None, "relu"):
        call(activate(scalar.formula(activation)), y.view((prod(y.shape[:-1]), filters)))


def convolution_by_input(
    call, dy, w, dx, *, extents, groups, strides, dilation_rate, padding
):  # fmt: skip
    """dx = the gradient by input, of these extents."""
    if not prod(dx.shape):
        return
    *kernel, inputs, filters = w.shape
    n, channels = dx.shape[0], dx.shape[-1]
    conv = Convolution(tuple(kernel), strides, dilation_rate, padding)
    zeros, order, classes = _by_input(
        call.constant, conv, tuple(extents), channels, filters, groups
    )
    turned = call.scratch((order.shape[0], filters // groups, channels), w.dtype)
    call(turn_kernel, w.view((prod(kernel), inputs, filters)), order, groups, turned)
    if any(map(any, zeros)):
        out = [e + sum(pair) for e, pair in zip(dy.shape[1:-1], zeros, strict=True)]
        padded = call.scratch((n, *out, filters), dy.dtype)
        pad(call, dy, padded, padding=zeros)
        dy = padded
    products(call, dy, turned, None, classes, groups, dx)
