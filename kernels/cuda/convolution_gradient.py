"""The gradient of a convolution by its kernel.

    dw[t, c, f] = sum over n, o of x[n, o s + t d - before, c] dy[n, o, f]

A thread makes an element of dw, over all pixels in their order.
"""

from ..declare import T, kernel
from ..geometry import Convolution
from ..intrinsics import fma
from .convolution import (
    BY_ELEMENT,
    EXTENT,
    KERNEL,
    OUTPUT,
    RESIDENT_BLOCKS,
    THREADS,
    dimensions,
    reached,
    split_in_three,
)
from .grid import block_index, natural, quotient, thread_index


@kernel(
    threads=THREADS,
    resident_blocks=RESIDENT_BLOCKS,
    split=BY_ELEMENT,
    x="T[X]",
    dy="T[Y]",
    dims="i8[D, E]",
    images="int",
    inputs="int",
    filters="int",
    groups="int",
    accumulate="int",
    dw="inout T[n]",
)
def convolve_by_kernel(x, dy, dims, images, inputs, filters, groups, accumulate, dw):
    q = block_index() * THREADS + thread_index()
    if q >= dw.size:
        return
    row = quotient(q, filters)
    tap, f, channels = quotient(row, inputs), q - row * filters, inputs * groups
    channel = quotient(f, quotient(filters, groups)) * inputs + row - tap * inputs
    tap_0, tap_1, tap_2 = split_in_three(tap, dims[1, KERNEL], dims[2, KERNEL])
    total, n = T(0), 0
    if accumulate != 0:
        total = dw[natural(q)]
    while n < images:
        o_0 = 0
        while o_0 < dims[0, OUTPUT]:
            i_0 = reached(dims, 0, o_0, tap_0)
            o_1 = 0 if i_0 >= 0 else dims[1, OUTPUT]
            while o_1 < dims[1, OUTPUT]:
                i_1 = reached(dims, 1, o_1, tap_1)
                o_2 = 0 if i_1 >= 0 else dims[2, OUTPUT]
                of_x = ((n * dims[0, EXTENT] + i_0) * dims[1, EXTENT] + i_1) * dims[2, EXTENT]
                of_dy = ((n * dims[0, OUTPUT] + o_0) * dims[1, OUTPUT] + o_1) * dims[2, OUTPUT]
                while o_2 < dims[2, OUTPUT]:
                    i_2 = reached(dims, 2, o_2, tap_2)
                    if i_2 >= 0:
                        factor = x[natural((of_x + i_2) * channels + channel)]
                        total = fma(factor, dy[natural((of_dy + o_2) * filters + f)], total)
                    o_2 += 1
                o_1 += 1
            o_0 += 1
        n += 1
    dw[natural(q)] = total


def convolution_by_kernel(
    call, x, dy, dw, *, kernel, groups, strides, dilation_rate, padding, accumulate=False
):
    """dw = the gradient by kernel, or dw += it."""
    conv = Convolution(kernel, strides, dilation_rate, padding)
    dims = dimensions(call.constant, conv, tuple(x.shape[1:-1]))
    numbers = x.shape[0], x.shape[-1] // groups, dy.shape[-1], groups, int(accumulate)
    call(convolve_by_kernel, x.flat(), dy.flat(), dims, *numbers, dw.flat())
