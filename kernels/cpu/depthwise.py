"""Depthwise convolution, in which each channel of the result is made of one of x, and its gradient
by kernel. The gradient by input is such a convolution of dy (convolution.py).

    forward    y[n, places[p] + c] = sum over t of x[n, pixels[p] + taps[t] + c] w[rows[t], c]
    by kernel  dw[t, c] = sum over n, p of x[n, pixels[p] + taps[t] + c] dy[n, p, c]

Channels are vectors' elements, pixels or taps the rows of a tile: what limits it are loads of x,
not multiply-adds.
"""

import math

from ..declare import T, kernel
from ..intrinsics import flat, stack_array
from .simd.gemm_microkernel import NR
from .simd.places_microkernel import (
    DEPTHWISE_MR,
    depthwise_microkernel,
    fill_places,
    images_at_once,
)
from .simd.rows import clear
from .simd.vectors import INIT_BIAS, INIT_C, INIT_ZERO
from .threads import ceil_div

PIXEL_GRAIN = 60  # as convolution.py's
CHANNEL_GRAIN = 16  # whole vectors of float32
# Pixels for which the tables of a block are made: whole tiles; and in the gradient by kernel, whose
# tiles are of taps, of which a block has so many.
BLOCK_PIXELS, BLOCK_TAPS, BLOCK_DEPTH = 90, 90, 256


@kernel(
    split=[("N", 1), ("P", PIXEL_GRAIN)],
    x="T[N, S]",
    w="T[K, C]",
    bias="T[B]",
    classes="i8[Q, E]",
    places="i8[P]",
    pixels="i8[P]",
    taps="i8[D]",
    rows="i8[D]",
    clamp_min="float",
    y="out T[N, R]",
)
def convolve_channels(
    x, w, bias, classes, places, pixels, taps, rows, clamp_min, y,
    row_start, row_stop, col_start, col_stop,
):  # fmt: skip
    """y[n, places[p] + c] = max(clamp_min, sum over t of x[n, pixels[p] + taps[t] + c] w[rows[t],
    c] + bias[c]), p and t in a class's ranges."""
    a, c, channels, n_classes = flat(x), flat(y), w.shape[1], classes.shape[0]
    rows_at, out_at = stack_array(0, BLOCK_PIXELS), stack_array(0, BLOCK_PIXELS)
    weights, init = flat(w), INIT_BIAS if bias.size > 0 else INIT_ZERO
    step = images_at_once(row_stop - row_start, n_classes, x.shape[1] + y.shape[1])
    for image in range(row_start, row_stop, step):
        count = min(step, row_stop - image)
        for q in range(n_classes):
            first, last = max(classes[q, 0], col_start), min(classes[q, 1], col_stop)
            of_image, k_start, k_stop = last - first, classes[q, 2], classes[q, 3]
            for top in range(0, count * of_image, BLOCK_PIXELS):
                n, p = image + top // of_image, first + top % of_image
                size = min(BLOCK_PIXELS, count * of_image - top)
                tiles = ceil_div(size, DEPTHWISE_MR)
                own = size, tiles * DEPTHWISE_MR, n, p, first, last
                fill_places(rows_at, *own, pixels, x.shape[1])
                fill_places(out_at, *own, places, y.shape[1])
                for j in range(0, channels, NR):
                    depthwise_microkernel(
                        tiles, k_stop - k_start, (a, j), (rows_at, 0), (taps, k_start),
                        (weights, j, channels), (bias, j), init, T(clamp_min), (c, j), (out_at, 0),
                        min(NR, channels - j), (rows, k_start),
                    )  # fmt: skip


@kernel(
    split=[("C", CHANNEL_GRAIN)],
    x="T[N, S]",
    dy="T[M, C]",
    classes="i8[Q, E]",
    places="i8[P]",
    pixels="i8[P]",
    taps="i8[D]",
    rows="i8[D]",
    accumulate="int",
    dw="inout T[K, C]",
)
def convolve_channels_by_kernel(
    x, dy, classes, places, pixels, taps, rows, accumulate, dw, start, stop
):
    """dw[rows[t], c] = sum over p of x[n, taps[t] + pixels[p] + c] dy[n, places[p], c], or +=; p
    and t in a class's ranges."""
    a, c, channels, per_image = flat(x), flat(dw), dy.shape[1], pixels.size
    rows_at, out_at = stack_array(0, BLOCK_TAPS), stack_array(0, BLOCK_TAPS)
    columns_at, places_of_dy = stack_array(0, BLOCK_DEPTH), stack_array(0, BLOCK_DEPTH)
    b, n_classes = flat(dy), classes.shape[0]
    if accumulate == 0:
        for t in range(dw.shape[0]):
            clear(dw[t, start:stop])
    step = images_at_once(x.shape[0], n_classes, x.shape[1] + per_image * channels)
    for image in range(0, x.shape[0], step):
        count = min(step, x.shape[0] - image)
        for q in range(n_classes):
            first, last = classes[q, 0], classes[q, 1]
            k_start, k_stop = classes[q, 2], classes[q, 3]
            of_image = last - first if k_stop > k_start else 0
            for top in range(0, count * of_image, BLOCK_DEPTH):
                depth = min(BLOCK_DEPTH, count * of_image - top)
                n, p = image + top // of_image, first + top % of_image
                fill_places(columns_at, depth, depth, n, p, first, last, pixels, x.shape[1])
                fill_places(places_of_dy, depth, depth, n, p, first, last, places, per_image)
                for top_tap in range(k_start, k_stop, BLOCK_TAPS):
                    size = min(BLOCK_TAPS, k_stop - top_tap)
                    tiles = ceil_div(size, DEPTHWISE_MR)
                    for r in range(tiles * DEPTHWISE_MR):
                        t = top_tap + min(r, size - 1)
                        rows_at[r], out_at[r] = taps[t], rows[t] * channels
                    for j in range(start, stop, NR):
                        depthwise_microkernel(
                            tiles, depth, (a, j), (rows_at, 0), (columns_at, 0), (b, j, channels),
                            (b, 0), INIT_C, T(-math.inf), (c, j), (out_at, 0),
                            min(NR, stop - j), (places_of_dy, 0),
                        )  # fmt: skip
