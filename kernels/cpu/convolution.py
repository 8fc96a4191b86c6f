"""Convolution of channels-last images, of any number of dimensions, and its gradient by input,
which is a convolution too.

    forward    y[n, places[p]] = activation(sum over k of x[n, pixels[p] + taps[k]] w[rows[k]] + b)
    by input   dx[n, places[p]] = sum over k of dy[n, pixels[p] + taps[k]] turned[rows[k]]

No windows are copied: kernels/geometry.py has the tables. `turned` is w with its channels
exchanged. Pixels that take different taps, at edges and, of dx, where strides leave some out, are
convolutions of their own; where that would leave tiles of pixels empty, images are copied into the
midst of zeros first.

Groups of channels are products of their own: group g of G reads x's channels from g C / G on and
makes columns g O / G on.
"""

import math
from functools import lru_cache
from math import prod

from .. import geometry, scalar
from ..declare import T, kernel, machine
from ..geometry import Convolution
from ..intrinsics import flat, stack_array
from .depthwise import convolve_channels
from .matmul import activate, empty
from .simd.gemm_microkernel import NR
from .simd.places_microkernel import (
    PLACES_MR,
    fill_places,
    images_at_once,
    pack_rows,
    places_microkernel,
)
from .simd.rows import clear
from .simd.transpose import transpose_tile
from .simd.vectors import INIT_BIAS, INIT_C, INIT_ZERO, LANES
from .threads import ceil_div

# Pixels of one image that threads divide, where there is one image: whole tiles of any machine.
PIXEL_GRAIN = 60
# Pixels whose windows are multiplied with all of the kernel before the next (of half as many 56 x
# 56 x 64 took 1.1 of the time), and rows of the kernel that are packed at a time: a panel of half
# of L1 stays there beside the windows (of a third 3 % more time: results are read and written more
# often).
PLACES_ROWS = machine(lambda target, item_bytes: PLACES_MR.rule(target, item_bytes) * 40)
PLACES_KC = machine(
    lambda target, item_bytes: target.l1_bytes // 2 // (item_bytes * NR.rule(target, item_bytes))
)
PLACES_PANEL = machine(
    lambda target, item_bytes: PLACES_KC.rule(target, item_bytes) * NR.rule(target, item_bytes)
)
# What a copied element of an image takes, in multiply-adds (Sapphire Rapids, out of L2).
COPY_COST = 24


@kernel(split=[("N", 1), ("R", 1)], x="T[N, R, S]", rows="i8[P]", padded="out T[N, Q]")
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


@kernel(
    split=[("N", 1), ("P", PIXEL_GRAIN)],
    x="T[N, S]",
    w="T[K, O]",
    bias="T[B]",
    classes="i8[Q, E]",
    places="i8[P]",
    pixels="i8[P]",
    taps="i8[D]",
    rows="i8[D]",
    groups="int",
    group_step="int",
    clamp_min="float",
    y="out T[N, R]",
)
def convolve(
    x, w, bias, classes, places, pixels, taps, rows, groups, group_step, clamp_min, y,
    row_start, row_stop, col_start, col_stop,
):  # fmt: skip
    """y[n, places[p]...] = max(clamp_min, sum over k of x[n, pixels[p] + taps[k]] w[rows[k]] +
    bias), of group g of its columns from channel g group_step on; p and k in a class's ranges."""
    a, c, weights, filters = flat(x), flat(y), flat(w), w.shape[1]
    columns, low = filters // groups, T(clamp_min)
    rows_at, out_at = stack_array(0, PLACES_ROWS), stack_array(0, PLACES_ROWS)
    panel, n_classes = stack_array(T(0), PLACES_PANEL), classes.shape[0]
    step = images_at_once(row_stop - row_start, n_classes, x.shape[1] + y.shape[1])
    for image in range(row_start, row_stop, step):
        count = min(step, row_stop - image)
        for q in range(n_classes):
            first, last = max(classes[q, 0], col_start), min(classes[q, 1], col_stop)
            of_image, k_start, k_stop = last - first, classes[q, 2], classes[q, 3]
            for top in range(0, count * of_image, PLACES_ROWS):
                n, p = image + top // of_image, first + top % of_image
                size = min(PLACES_ROWS, count * of_image - top)
                tiles = ceil_div(size, PLACES_MR)
                own = size, tiles * PLACES_MR, n, p, first, last
                fill_places(rows_at, *own, pixels, x.shape[1])
                fill_places(out_at, *own, places, y.shape[1])
                for g in range(groups):
                    k, init = k_start, INIT_BIAS if bias.size > 0 else INIT_ZERO
                    while True:  # once even if there is nothing to sum
                        kc = min(PLACES_KC, k_stop - k)
                        block_low = low if k + kc == k_stop else T(-math.inf)
                        for j in range(0, columns, NR):
                            width, column = min(NR, columns - j), g * columns + j
                            pack_rows((weights, column, filters), (rows, k), kc, width, panel)
                            places_microkernel(
                                tiles, kc, (a, g * group_step), (rows_at, 0), (taps, k),
                                (panel, 0, NR), (bias, column), init, block_low, (c, column),
                                (out_at, 0), width,
                            )  # fmt: skip
                        k, init = k + kc, INIT_C
                        if k == k_stop:
                            break


@kernel(split=[("T", 1)], w="T[T, I, O]", groups="int", turned="out T[T, P, C]")
def turn_kernel(w, groups, turned, start, stop):
    """turned[t, o, g I + i] = w[t, i, g P + o]: the kernel of the gradient by input."""
    _, inputs, outputs = w.shape
    _, part, channels = turned.shape
    source, target = flat(w), flat(turned)
    for t in range(start, stop):
        tap, place = t * inputs * outputs, t * part * channels
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
def _padded_rows(constant, *given):
    return constant(geometry.padded_rows(*given))


@lru_cache(maxsize=256)
def chosen(constant, function, n, *given):
    """Of n images, the zeros around them and the tables of all classes of pixels, as `function` of
    geometry.py finds them: of images within zeros or in place, whatever is done sooner."""
    ways = [function(*given, is_padded) for is_padded in (True, False)]
    way = min(ways, key=lambda way: way.multiply_adds(n) + n * way.copied * COPY_COST)
    return way.zeros, tuple(map(constant, way.tables()))


def images(x):
    """x as (N, elements of an image)."""
    return x.view((x.shape[0], prod(x.shape[1:])))


def is_depthwise(channels, filters, groups):
    return channels == filters == groups


def products(call, x, w, bias, tables, groups, y, clamp_min=-math.inf):
    """y = the convolutions of x by w (taps, C / G, F), of each class of pixels."""
    *_, inputs, filters = w.shape
    bias = empty(call.constant, y.dtype) if bias is None else bias
    x, w, y = images(x), w.view((prod(w.shape[:-1]), filters)), images(y)
    if is_depthwise(inputs * groups, filters, groups):
        call(convolve_channels, x, w, bias, *tables, clamp_min, y)
    else:
        call(convolve, x, w, bias, *tables, groups, inputs, clamp_min, y)


def padded_images(call, x, padding):
    """x within zeros; itself, if these are none."""
    if not any(map(any, padding)):
        return x
    n, *extents, channels = x.shape
    shape = (n, *[e + sum(pair) for e, pair in zip(extents, padding, strict=True)], channels)
    padded = call.scratch(shape, x.dtype)
    rows = _padded_rows(call.constant, tuple(extents), channels, padding)
    call(pad_images, x.view((n, prod(extents[:-1]), extents[-1] * channels)), rows, images(padded))
    return padded


def convolution(call, x, w, bias, y, *, strides, dilation_rate, padding, activation=None):
    """y = activation(convolution of x within zeros + bias)."""
    if not prod(y.shape):
        return
    *kernel, inputs, filters = w.shape
    n, *extents, channels = x.shape
    groups, conv = channels // inputs, Convolution(tuple(kernel), strides, dilation_rate, padding)
    given = conv, tuple(extents), channels, filters, groups
    zeros, tables = chosen(call.constant, geometry.forward, n, *given)
    low = 0.0 if activation == "relu" else -math.inf
    products(call, padded_images(call, x, zeros), w, bias, tables, groups, y, low)
    if activation not in (None, "relu"):
        call(activate(scalar.formula(activation)), y.view((prod(y.shape[:-1]), filters)))


def convolution_by_input(call, dy, w, dx, *, extents, groups, strides, dilation_rate, padding):
    """dx = the gradient by input, of these extents."""
    if not prod(dx.shape):
        return
    *kernel, inputs, filters = w.shape
    n, channels = dx.shape[0], dx.shape[-1]
    conv = Convolution(tuple(kernel), strides, dilation_rate, padding)
    given = conv, tuple(extents), channels, filters, groups
    zeros, tables = chosen(call.constant, geometry.by_input, n, *given)
    w = w.view((prod(kernel), inputs, filters))
    if is_depthwise(channels, filters, groups):
        turned = w
    else:
        turned = call.scratch((prod(kernel), filters // groups, channels), w.dtype)
        call(turn_kernel, w, groups, turned)
    products(call, padded_images(call, dy, zeros), turned, None, tables, groups, dx)
