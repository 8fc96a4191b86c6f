"""The gradient of a convolution by its kernel: the windows, transposed, times dy.

    dw[rows[k]] = sum over n, p of x[n, pixels[p] + taps[k]] dy[n, places[p]]

The tables are those of the forward pass (convolution.py), rows and columns exchanged.
"""

import math
from math import prod

from .. import geometry
from ..declare import T, helper, kernel, machine
from ..geometry import Convolution
from ..intrinsics import flat, stack_array
from .convolution import (
    PLACES_ROWS,
    chosen,
    images,
    is_depthwise,
    padded_images,
)
from .depthwise import convolve_channels_by_kernel
from .movement import zero
from .simd.gemm_microkernel import NR
from .simd.places_microkernel import (
    PLACES_MR,
    fill_places,
    images_at_once,
    pack_rows,
    places_microkernel,
)
from .simd.rows import clear
from .simd.vectors import INIT_C
from .threads import ceil_div

TAP_GRAIN = 12  # rows of dw that threads divide
# Pixels whose rows of dy are packed at a time: of 64 channels, those that a tap reads stay in L1.
PIXELS_KC = 128
PIXELS_PANEL = machine(lambda target, item_bytes: PIXELS_KC * NR.rule(target, item_bytes))
PACK_MIN_ROWS = 32  # of dw: fewer do not make up for a copy of a panel of dy


@helper
def own_range(rows, start, stop, first, last):
    """Of rows[first:last], which rise, the range of those from start to stop."""
    while first < last and rows[first] < start:
        first += 1
    while first < last and rows[last - 1] >= stop:
        last -= 1
    return first, last


@kernel(
    split=[("K", TAP_GRAIN)],
    x="T[N, S]",
    dy="T[M, O]",
    classes="i8[Q, E]",
    places="i8[P]",
    pixels="i8[P]",
    taps="i8[D]",
    rows="i8[D]",
    groups="int",
    group_step="int",
    accumulate="int",
    dw="inout T[K, O]",
)
def convolve_by_kernel(
    x, dy, classes, places, pixels, taps, rows, groups, group_step, accumulate, dw, start, stop
):
    """dw[rows[k]] = sum over p of x[n, taps[k] + pixels[p]] dy[n, places[p]], or +=; p and k in a
    class's ranges. Of a single class, dy's rows are all pixels in their order."""
    a, b, c, filters = flat(x), flat(dy), flat(dw), dy.shape[1]
    columns, per_image, n_classes = filters // groups, pixels.size, classes.shape[0]
    rows_at, out_at = stack_array(0, PLACES_ROWS), stack_array(0, PLACES_ROWS)
    columns_at, places_of_dy = stack_array(0, PIXELS_KC), stack_array(0, PIXELS_KC)
    panel = stack_array(T(0), PIXELS_PANEL)
    if accumulate == 0:
        clear(c[start * filters : stop * filters])
    step = images_at_once(x.shape[0], n_classes, x.shape[1] + per_image * filters)
    in_place = n_classes == 1 and (filters <= NR or stop - start < PACK_MIN_ROWS)
    for image in range(0, x.shape[0], step):
        count = min(step, x.shape[0] - image)
        for q in range(n_classes):
            first, last = classes[q, 0], classes[q, 1]
            k_start, k_stop = own_range(rows, start, stop, classes[q, 2], classes[q, 3])
            of_image = last - first if k_stop > k_start else 0
            for top in range(0, count * of_image, PIXELS_KC):
                kc = min(PIXELS_KC, count * of_image - top)
                n, p = image + top // of_image, first + top % of_image
                fill_places(columns_at, kc, kc, n, p, first, last, pixels, x.shape[1])
                fill_places(places_of_dy, kc, kc, n, p, first, last, places, per_image)
                for g in range(groups):
                    for j in range(0, columns, NR):
                        width, column = min(NR, columns - j), g * columns + j
                        source = b, (n * per_image + p) * filters + column, filters
                        if not in_place:
                            pack_rows((b, column, filters), (places_of_dy, 0), kc, width, panel)
                            source = panel, 0, NR
                        for row in range(k_start, k_stop, PLACES_ROWS):
                            size = min(PLACES_ROWS, k_stop - row)
                            tiles = ceil_div(size, PLACES_MR)
                            for r in range(tiles * PLACES_MR):
                                k = row + min(r, size - 1)
                                rows_at[r], out_at[r] = taps[k], rows[k] * filters
                            places_microkernel(
                                tiles, kc, (a, g * group_step), (rows_at, 0), (columns_at, 0),
                                source, (b, 0), INIT_C, T(-math.inf), (c, column), (out_at, 0),
                                width,
                            )  # fmt: skip


def convolution_by_kernel(
    call, x, dy, dw, *, kernel, groups, strides, dilation_rate, padding, accumulate=False
):
    """dw = the gradient by kernel, or dw += it."""
    if not prod(dy.shape):
        if not accumulate:
            call(zero, dw.flat())
        return
    n, *extents, channels = x.shape
    conv, filters = Convolution(kernel, strides, dilation_rate, padding), dy.shape[-1]
    given = conv, tuple(extents), channels, filters, groups
    zeros, tables = chosen(call.constant, geometry.by_kernel, n, *given)
    x, dy = images(padded_images(call, x, zeros)), dy.view((prod(dy.shape[:-1]), filters))
    dw, accumulate = dw.view((prod(dw.shape[:-1]), filters)), int(accumulate)
    if is_depthwise(channels, filters, groups):
        call(convolve_channels_by_kernel, x, dy, *tables, accumulate, dw)
    else:
        call(convolve_by_kernel, x, dy, *tables, groups, channels // groups, accumulate, dw)
