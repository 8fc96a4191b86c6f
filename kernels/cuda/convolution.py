"""Convolution of channels-last images, of up to three dimensions, and its gradient by input.

    forward    z[n, o, f] = sum over t, c of x[n, o s + t d - before, c] w[t, c, f]
               y = activation(z + bias)
    by input   dx[n, i, c] = sum over t, f of dy[n, o, f] w[t, c, f], where o s + t d = i + before

A thread makes an element of the result, by multiply-adds in the order of the CPU's, so the bits
are. Group g of G has x's channels from g C / G and filters from g F / G on.
"""

import math
from functools import cache, lru_cache
from math import prod

from .. import geometry, scalar
from ..declare import T, helper, kernel
from ..geometry import Convolution
from ..intrinsics import fma
from .grid import block_index, natural, quotient, thread_index
from .matmul import empty

THREADS = 256
RESIDENT_BLOCKS = 2  # left to itself NVIDIA's assembler takes 64 registers, and spills some
BY_ELEMENT = [("n", THREADS)]
# What a row of `dimensions` (kernels/geometry.py) holds.
EXTENT, KERNEL, OUTPUT, STRIDE, DILATION, BEFORE = range(6)


@helper
def split_in_three(place, middle, last):
    """Of a pixel's number: (image and first dimension, second, third)."""
    row = quotient(place, last)
    plane = quotient(row, middle)
    return plane, row - plane * middle, place - row * last


@helper
def reached(dims, d, pixel, tap):
    """The pixel of x that a pixel of the result has by a tap, or -1 where there is none."""
    place = pixel * dims[d, STRIDE] + tap * dims[d, DILATION] - dims[d, BEFORE]
    return place if 0 <= place < dims[d, EXTENT] else -1


@helper
def reached_by(dims, d, pixel, tap):
    """The pixel of the result that has a pixel of x by a tap, or -1 where there is none."""
    place = pixel + dims[d, BEFORE] - tap * dims[d, DILATION]
    if place < 0:
        return -1
    found = quotient(place, dims[d, STRIDE])
    return found if found * dims[d, STRIDE] == place and found < dims[d, OUTPUT] else -1


@cache
def convolve(activation):
    """The kernel of y = max(clamp_min, activation(convolution + bias))."""

    @kernel(
        threads=THREADS,
        resident_blocks=RESIDENT_BLOCKS,
        split=BY_ELEMENT,
        name=f"convolve_{activation.name}" if activation else "convolve",
        x="T[X]",
        w="T[K, I, F]",
        bias="T[B]",
        dims="i8[D, E]",
        groups="int",
        clamp_min="float",
        y="out T[n]",
    )
    def convolved(x, w, bias, dims, groups, clamp_min, y):
        q = block_index() * THREADS + thread_index()
        if q >= y.size:
            return
        inputs, filters = w.shape[1], w.shape[2]
        pixel = quotient(q, filters)
        f, channels = q - pixel * filters, inputs * groups
        first = quotient(f, quotient(filters, groups)) * inputs
        plane, o_1, o_2 = split_in_three(pixel, dims[1, OUTPUT], dims[2, OUTPUT])
        n = quotient(plane, dims[0, OUTPUT])
        o_0, total, tap_0 = plane - n * dims[0, OUTPUT], T(0), 0
        if bias.size > 0:
            total = bias[natural(f)]
        while tap_0 < dims[0, KERNEL]:
            i_0 = reached(dims, 0, o_0, tap_0)
            tap_1 = 0 if i_0 >= 0 else dims[1, KERNEL]
            while tap_1 < dims[1, KERNEL]:
                i_1 = reached(dims, 1, o_1, tap_1)
                tap_2 = 0 if i_1 >= 0 else dims[2, KERNEL]
                while tap_2 < dims[2, KERNEL]:
                    i_2 = reached(dims, 2, o_2, tap_2)
                    place = (n * dims[0, EXTENT] + i_0) * dims[1, EXTENT] + i_1
                    place = (place * dims[2, EXTENT] + i_2) * channels + first
                    tap = (tap_0 * dims[1, KERNEL] + tap_1) * dims[2, KERNEL] + tap_2
                    c = 0 if i_2 >= 0 else inputs
                    while c < inputs:
                        factor = w[natural(tap), natural(c), natural(f)]
                        total = fma(x[natural(place + c)], factor, total)
                        c += 1
                    tap_2 += 1
                tap_1 += 1
            tap_0 += 1
        if activation is not None:
            total = activation(total)
        low = T(clamp_min)
        y[natural(q)] = low if total < low else total

    return convolved


@kernel(
    threads=THREADS,
    resident_blocks=RESIDENT_BLOCKS,
    split=BY_ELEMENT,
    dy="T[Y]",
    w="T[K, I, F]",
    dims="i8[D, E]",
    groups="int",
    dx="out T[n]",
)
def convolve_by_input(dy, w, dims, groups, dx):
    """Taps go backwards, so that pixels of dy go forwards."""
    q = block_index() * THREADS + thread_index()
    if q >= dx.size:
        return
    inputs, filters = w.shape[1], w.shape[2]
    channels, part = inputs * groups, quotient(filters, groups)
    pixel = quotient(q, channels)
    group = quotient(q - pixel * channels, inputs)
    c, first = q - pixel * channels - group * inputs, group * part
    plane, i_1, i_2 = split_in_three(pixel, dims[1, EXTENT], dims[2, EXTENT])
    n = quotient(plane, dims[0, EXTENT])
    i_0, total, tap_0 = plane - n * dims[0, EXTENT], T(0), dims[0, KERNEL] - 1
    while tap_0 >= 0:
        o_0 = reached_by(dims, 0, i_0, tap_0)
        tap_1 = dims[1, KERNEL] - 1 if o_0 >= 0 else -1
        while tap_1 >= 0:
            o_1 = reached_by(dims, 1, i_1, tap_1)
            tap_2 = dims[2, KERNEL] - 1 if o_1 >= 0 else -1
            while tap_2 >= 0:
                o_2 = reached_by(dims, 2, i_2, tap_2)
                place = (n * dims[0, OUTPUT] + o_0) * dims[1, OUTPUT] + o_1
                place = (place * dims[2, OUTPUT] + o_2) * filters + first
                tap = (tap_0 * dims[1, KERNEL] + tap_1) * dims[2, KERNEL] + tap_2
                f = 0 if o_2 >= 0 else part
                while f < part:
                    factor = w[natural(tap), natural(c), natural(first + f)]
                    total = fma(dy[natural(place + f)], factor, total)
                    f += 1
                tap_2 -= 1
            tap_1 -= 1
        tap_0 -= 1
    dx[natural(q)] = total


# ---- launchers


@lru_cache(maxsize=256)
def dimensions(constant, *given):
    """`geometry.dimensions`, by `constant` what kernels read."""
    return constant(geometry.dimensions(*given))


def taps_first(w):
    """A kernel as (taps, channels, filters)."""
    return w.view((prod(w.shape[:-2]), *w.shape[-2:]))


def convolution(call, x, w, bias, y, *, strides, dilation_rate, padding, activation=None):
    """y = activation(convolution of x within zeros + bias). A ReLU is a clamp."""
    conv = Convolution(tuple(w.shape[:-2]), strides, dilation_rate, padding)
    dims = dimensions(call.constant, conv, tuple(x.shape[1:-1]))
    formula = scalar.formula(activation) if activation not in (None, "relu") else None
    call(
        convolve(formula), x.flat(), taps_first(w),
        empty(call.constant, y.dtype) if bias is None else bias, dims,
        x.shape[-1] // w.shape[-2], 0.0 if activation == "relu" else -math.inf, y.flat(),
    )  # fmt: skip


def convolution_by_input(call, dy, w, dx, *, extents, groups, strides, dilation_rate, padding):
    """dx = the gradient by input, of these extents."""
    conv = Convolution(tuple(w.shape[:-2]), strides, dilation_rate, padding)
    dims = dimensions(call.constant, conv, tuple(extents))
    call(convolve_by_input, dy.flat(), taps_first(w), dims, groups, dx.flat())
