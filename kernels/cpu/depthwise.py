"""Depthwise convolution, in which each channel of the result is made of one of x, and its gradient
by kernel. The gradient by input is such a convolution of dy (convolution.py).

    forward    y[n, p, c] = sum over taps of x[n, pixels[p] + taps[t] + c] w[t, c] + bias[c]
    by kernel  dw[t, c] = sum over n, p of x[n, pixels[p] + taps[t] + c] dy[n, p, c]

Channels are a vector's elements, pixels or taps the rows of a tile: the loads of x are what limits
it, not multiply-adds.
"""

import math

from ..declare import T, kernel
from ..intrinsics import flat, stack_array
from .simd.places_microkernel import DEPTHWISE_MR, depthwise_microkernel
from .simd.vectors import INIT_BIAS, INIT_C, INIT_ZERO, LANES
from .threads import ceil_div

PIXEL_GRAIN = 60  # as convolution.py's
CHANNEL_GRAIN = 16  # whole vectors of float32
# Pixels for which the tables of a block are made, a multiple of DEPTHWISE_MR; and of the gradient
# by kernel.
BLOCK_PIXELS, BLOCK_DEPTH = 120, 256


@kernel(
    split=[("N", 1), ("P", PIXEL_GRAIN)],
    x="T[N, S]",
    w="T[K, C]",
    bias="T[B]",
    pixels="i8[P]",
    taps="i8[D]",
    places="i8[P]",
    first="int",
    clamp_min="float",
    y="inout T[N, R]",
)
def convolve_channels(
    x, w, bias, pixels, taps, places, first, clamp_min, y,
    row_start, row_stop, col_start, col_stop,
):  # fmt: skip
    """y[n, places[p] + c] = max(clamp_min, sum over t of x[n, pixels[p] + taps[t] + c] w[first + t,
    c] + bias[c])."""
    a, b, c, channels = flat(x), flat(w), flat(y), w.shape[1]
    rows_at, out_at = stack_array(0, BLOCK_PIXELS), stack_array(0, BLOCK_PIXELS)
    count, init = col_stop - col_start, INIT_BIAS if bias.size > 0 else INIT_ZERO
    total = (row_stop - row_start) * count
    for top in range(0, total, BLOCK_PIXELS):
        n, p = row_start + top // count, col_start + top % count
        rows = min(BLOCK_PIXELS, total - top)
        tiles = ceil_div(rows, DEPTHWISE_MR)
        for r in range(tiles * DEPTHWISE_MR):
            rows_at[r], out_at[r] = n * x.shape[1] + pixels[p], n * y.shape[1] + places[p]
            if r < rows - 1:
                p += 1
                if p == col_stop:
                    n, p = n + 1, col_start
        for j in range(0, channels, LANES):
            depthwise_microkernel(
                tiles, taps.size, (a, j), (rows_at, 0), (taps, 0),
                (b, first * channels + j, channels), (bias, j), init, T(clamp_min), (c, j),
                (out_at, 0), min(LANES, channels - j),
            )  # fmt: skip


@kernel(
    split=[("C", CHANNEL_GRAIN)],
    x="T[N, S]",
    dy="T[M, C]",
    pixels="i8[P]",
    taps="i8[K]",
    accumulate="int",
    dw="inout T[K, C]",
)
def convolve_channels_by_kernel(x, dy, pixels, taps, accumulate, dw, start, stop):
    """dw[t, c] = sum over pixels, in their order, of x[n, taps[t] + pixels[p] + c] dy[n, p, c]; or
    +=."""
    a, b, c, channels = flat(x), flat(dy), flat(dw), dy.shape[1]
    rows_at, out_at = stack_array(0, BLOCK_PIXELS), stack_array(0, BLOCK_PIXELS)
    columns_at, count = stack_array(0, BLOCK_DEPTH), pixels.size
    total, k, init = dy.shape[0], 0, INIT_C if accumulate != 0 else INIT_ZERO
    while True:  # once even if there is nothing to sum
        depth = min(BLOCK_DEPTH, total - k)
        n, p = k // max(count, 1), k % max(count, 1)
        for q in range(depth):
            columns_at[q] = n * x.shape[1] + pixels[p]
            p += 1
            if p == count:
                n, p = n + 1, 0
        for row in range(0, taps.size, BLOCK_PIXELS):
            rows = min(BLOCK_PIXELS, taps.size - row)
            tiles = ceil_div(rows, DEPTHWISE_MR)
            for r in range(tiles * DEPTHWISE_MR):
                tap = row + min(r, rows - 1)
                rows_at[r], out_at[r] = taps[tap], tap * channels
            for j in range(start, stop, LANES):
                depthwise_microkernel(
                    tiles, depth, (a, j), (rows_at, 0), (columns_at, 0),
                    (b, k * channels + j, channels), (b, 0), init, T(-math.inf), (c, j),
                    (out_at, 0), min(LANES, stop - j),
                )  # fmt: skip
        k, init = k + depth, INIT_C
        if k == total:
            break
