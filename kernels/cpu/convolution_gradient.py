"""The gradient of a convolution by its kernel: the windows, transposed, times dy.

    dw[k] = sum over n, p of x[n, pixels[p] + taps[k]] dy[n, p]

The tables are those of the forward pass (convolution.py), rows and columns exchanged.
"""

import math
from math import prod

from .. import geometry
from ..declare import T, kernel
from ..geometry import Convolution
from ..intrinsics import flat, stack_array
from .convolution import (
    PLACES_KC,
    PLACES_PANEL,
    PLACES_ROWS,
    images,
    is_depthwise,
    packs_panels,
    tables,
)
from .depthwise import convolve_channels_by_kernel
from .pack import pack_b
from .simd.gemm_microkernel import NR
from .simd.places_microkernel import PLACES_MR, places_microkernel
from .simd.vectors import INIT_C, INIT_ZERO
from .threads import ceil_div

TAP_GRAIN = 12  # rows of dw that threads divide


@kernel(
    split=[("K", TAP_GRAIN)],
    x="T[N, S]",
    dy="T[M, O]",
    pixels="i8[P]",
    taps="i8[K]",
    groups="int",
    group_step="int",
    accumulate="int",
    dw="inout T[K, O]",
)
def convolve_by_kernel(x, dy, pixels, taps, groups, group_step, accumulate, dw, start, stop):
    """dw[k] = sum over pixels, in their order, of x[n, taps[k] + pixels[p]] dy[n, p]; or +=."""
    a, b, c = flat(x), flat(dy), flat(dw)
    total, columns, count = dy.shape[0], dy.shape[1] // groups, pixels.size
    rows_at, out_at = stack_array(0, PLACES_ROWS), stack_array(0, PLACES_ROWS)
    columns_at, panel = stack_array(0, PLACES_KC), stack_array(T(0), PLACES_PANEL)
    k, init = 0, INIT_C if accumulate != 0 else INIT_ZERO
    while stop > start:  # once even if there is nothing to sum
        kc = min(PLACES_KC, total - k)
        n, p = k // max(count, 1), k % max(count, 1)
        for q in range(kc):
            columns_at[q] = n * x.shape[1] + pixels[p]
            p += 1
            if p == count:
                n, p = n + 1, 0
        for g in range(groups):
            for j in range(0, columns, NR):
                width, column = min(NR, columns - j), g * columns + j
                source = b, k * dy.shape[1] + column, dy.shape[1]
                if packs_panels(ceil_div(stop - start, PLACES_MR), dy.shape[1]):
                    pack_b(dy, column, width, k, k + kc, panel)
                    source = panel, 0, NR
                for row in range(start, stop, PLACES_ROWS):
                    rows = min(PLACES_ROWS, stop - row)
                    tiles = ceil_div(rows, PLACES_MR)
                    for r in range(tiles * PLACES_MR):
                        tap = row + min(r, rows - 1)
                        rows_at[r], out_at[r] = taps[tap], tap * dy.shape[1]
                    places_microkernel(
                        tiles, kc, (a, g * group_step), (rows_at, 0), (columns_at, 0), source,
                        (b, 0), init, T(-math.inf), (c, column), (out_at, 0), width,
                    )  # fmt: skip
        k, init = k + kc, INIT_C
        if k == total:
            break


def convolution_by_kernel(
    call, padded, dy, dw, *, kernel, groups, strides, dilation_rate, accumulate=False
):
    """dw = the gradient by kernel, or dw += it; padded: x within zeros."""
    _, *extents, channels = padded.shape
    conv = Convolution(kernel, strides, dilation_rate, ((0, 0),) * len(kernel))
    found = tables(call.constant, geometry.windows, conv, tuple(extents), channels, groups)
    filters = dy.shape[-1]
    x, dy = images(padded), dy.view((prod(dy.shape[:-1]), filters))
    dw, accumulate = dw.view((prod(dw.shape[:-1]), filters)), int(accumulate)
    if is_depthwise(channels, filters, groups):
        call(convolve_channels_by_kernel, x, dy, *found, accumulate, dw)
    else:
        call(convolve_by_kernel, x, dy, *found, groups, channels // groups, accumulate, dw)
