"""Depthwise convolution, in which each channel of the result is made of one of x, and its gradient
by kernel. The gradient by input is such a convolution of dy (convolution.py).

    forward    y[n, places[p] + c] = sum over t of x[n, pixels[p] + taps[t] + c] w[rows[t], c]
    by kernel  dw[t, c] = sum over n, p of x[n, pixels[p] + taps[t] + c] dy[n, p, c]

Channels are vectors' elements, pixels or taps the rows of a tile: what limits it are loads of x,
not multiply-adds.
"""

import math

from ..declare import T, kernel, machine
from ..intrinsics import flat, stack_array
from .simd.gemm_microkernel import NR
from .simd.places_microkernel import (
    PLACES_MR,
    depthwise_microkernel,
    fill_places,
    images_at_once,
    pack_rows,
)
from .simd.rows import clear
from .simd.vectors import INIT_BIAS, INIT_C, INIT_ZERO
from .threads import ceil_div

PIXEL_GRAIN = 60  # as convolution.py's
CHANNEL_GRAIN = 16  # whole vectors of float32
# Pixels for which the tables of a block are made, a multiple of PLACES_MR; taps that are packed
# at a time; pixels of the gradient by kernel.
BLOCK_PIXELS, BLOCK_TAPS, BLOCK_DEPTH = 60, 64, 256
PANEL_OF_DY = machine(lambda target, item_bytes: BLOCK_DEPTH * NR.rule(target, item_bytes))
PANEL = machine(lambda target, item_bytes: BLOCK_TAPS * NR.rule(target, item_bytes))


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
    panel = stack_array(T(0), PANEL)
    step = images_at_once(row_stop - row_start, n_classes, x.shape[1] + y.shape[1])
    for image in range(row_start, row_stop, step):
        count = min(step, row_stop - image)
        for q in range(n_classes):
            first, last = max(classes[q, 0], col_start), min(classes[q, 1], col_stop)
            of_image, k_start, k_stop = last - first, classes[q, 2], classes[q, 3]
            for top in range(0, count * of_image, BLOCK_PIXELS):
                n, p = image + top // of_image, first + top % of_image
                size = min(BLOCK_PIXELS, count * of_image - top)
                tiles = ceil_div(size, PLACES_MR)
                own = size, tiles * PLACES_MR, n, p, first, last
                fill_places(rows_at, *own, pixels, x.shape[1])
                fill_places(out_at, *own, places, y.shape[1])
                for j in range(0, channels, NR):
                    width = min(NR, channels - j)
                    k, init = k_start, INIT_BIAS if bias.size > 0 else INIT_ZERO
                    while True:  # once even if there is nothing to sum
                        kc = min(BLOCK_TAPS, k_stop - k)
                        low = T(clamp_min) if k + kc == k_stop else T(-math.inf)
                        pack_rows(w, j, width, rows, k, k + kc, panel)
                        depthwise_microkernel(
                            tiles, kc, (a, j), (rows_at, 0), (taps, k), (panel, 0, NR),
                            (bias, j), init, low, (c, j), (out_at, 0), width,
                        )  # fmt: skip
                        k, init = k + kc, INIT_C
                        if k == k_stop:
                            break


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
    rows_at, out_at = stack_array(0, BLOCK_PIXELS), stack_array(0, BLOCK_PIXELS)
    columns_at, places_of_dy = stack_array(0, BLOCK_DEPTH), stack_array(0, BLOCK_DEPTH)
    panel, n_classes = stack_array(T(0), PANEL_OF_DY), classes.shape[0]
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
                for j in range(start, stop, NR):
                    width = min(NR, stop - j)
                    pack_rows(dy, j, width, places_of_dy, 0, depth, panel)
                    for top_tap in range(k_start, k_stop, BLOCK_PIXELS):
                        size = min(BLOCK_PIXELS, k_stop - top_tap)
                        tiles = ceil_div(size, PLACES_MR)
                        for r in range(tiles * PLACES_MR):
                            t = top_tap + min(r, size - 1)
                            rows_at[r], out_at[r] = taps[t], rows[t] * channels
                        depthwise_microkernel(
                            tiles, depth, (a, j), (rows_at, 0), (columns_at, 0),
                            (panel, 0, NR), (panel, 0), INIT_C, T(-math.inf), (c, j),
                            (out_at, 0), width,
                        )  # fmt: skip
