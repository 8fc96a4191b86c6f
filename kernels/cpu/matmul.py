"""How a matrix product is made, and with it the linear layer: the launchers.

    C = A B                       dA = dC B^T, dB = A^T dC
    y = activation(x w + bias)    dz = dy activation'(y), dx = dz w^T, dw = x^T dz,
                                  dbias = sum of dz's rows

The way is chosen by shape and element type alone, since the order of a sum makes its bits:

    gemm         most: blocked, micro-tiles in registers (gemm.py)
    gemm_dots    A B^T with few rows or columns: dot products of rows (gemv.py)
    gemv         one row, x W; one column of B, whose product with A^T is that (gemv.py)
    ger          K = 1: row after row of C is written (gemv.py)
    transposed   A^T B that is narrow: C^T = B^T A by gemm, then transposed

For A B the number of rows chooses between gemv and gemm only, which give the same bits: a
prediction must not depend on its batch.
"""

import math
from functools import cache

import numpy as np

from .. import scalar
from ..declare import kernel
from ..intrinsics import as_read, flat
from .gemm import gemm, gemm_transposed_a
from .gemv import gemm_dots, gemv, ger
from .movement import transpose_matrix
from .threads import ROW_GRAIN, ceil_div

VECTOR_BYTES = 64  # of the vectors that costs are counted for
# A^T B of K = 1, as narrow as a micro-tile: from so many rows on gemm takes 0.4 to 0.9 of ger's
# time.
NARROW_GEMM_MIN_ROWS = 32
# From so many rows on gemm is preferred to dot products where they cost about the same: it goes
# through large matrices in blocks.
PREFER_GEMM_MIN_ROWS = 128


def way(rows, depth, columns, dtype, transpose_a=False, transpose_b=False, accumulate=False):
    """How a product of these extents is made: one of the names above."""
    lanes = VECTOR_BYTES // dtype.itemsize
    if depth == 1:
        is_narrow = transpose_a and rows >= NARROW_GEMM_MIN_ROWS and columns <= 2 * lanes
        return "gemm" if is_narrow else "ger"
    if transpose_a:
        if columns == 1:
            return "gemv"
        may_transpose = rows > columns and not accumulate and not transpose_b
        is_faster = may_transpose and transposing_c_is_faster(depth, columns, lanes)
        return "transposed" if is_faster else "gemm"
    if transpose_b:
        is_vector = 1 in (rows, columns)
        return "gemm_dots" if is_vector or dots_are_faster(rows, depth, columns, lanes) else "gemm"
    return "gemm_dots" if columns == 1 else "gemv" if rows == 1 else "gemm"


def dots_are_faster(rows, depth, columns, lanes):
    """Whether, for A B^T, dot products take fewer cycles than gemm. Adding up a vector's elements
    takes 1.5 for each sum, packing B^T 0.35 for each element; gemm leaves the last vector, or half
    of one, partly empty, and with half a vector alone it waits for A."""
    dots = rows * columns * (ceil_div(depth, lanes) + 1.5)
    half = lanes // 2
    tiles = max(ceil_div(columns, half) * half, 0.75 * lanes) * depth * (rows / lanes + 0.35)
    return dots < (0.9 if rows >= PREFER_GEMM_MIN_ROWS else 1.0) * tiles


def transposing_c_is_faster(depth, columns, lanes):
    """Whether, for A^T B, C^T takes fewer cycles for a row of C. Its vectors are full, but to
    transpose it takes 0.75 for each element; gemm leaves the last vector partly empty, or the last
    half, which takes half the time."""
    return depth * columns / lanes + 0.75 * columns < depth * ceil_div(columns, lanes // 2) / 2


@cache
def empty(constant, dtype):
    """The argument for a bias that is not there."""
    return constant(np.empty(0, dtype))


def matmul(
    call, a, b, c, *, transpose_a=False, transpose_b=False, accumulate=False, bias=None,
    clamp_min=-math.inf,
):  # fmt: skip
    """C = max(clamp_min, A B + bias), or with accumulate max(clamp_min, A B + C), A and B
    transposed first if so said."""
    (rows, columns), depth = c.shape, a.shape[not transpose_a]
    chosen = way(rows, depth, columns, c.dtype, transpose_a, transpose_b, accumulate)
    if chosen == "ger" and bias is None and clamp_min == -math.inf:
        call(ger, a.flat(), b.flat(), int(accumulate), c)
        return
    bias = empty(call.constant, c.dtype) if bias is None else bias
    epilogue = clamp_min, int(accumulate)
    if chosen == "gemv":
        x, w = (b, a) if transpose_a else (a, b)
        call(gemv, x.flat(), w, bias, *epilogue, c.flat())
    elif chosen == "gemm_dots":
        call(gemm_dots, a, b.view((columns, depth)), bias, *epilogue, c)
    elif chosen == "transposed":
        c_transposed = call.scratch((columns, rows), c.dtype)
        call(gemm_transposed_a, b, a, bias, 1, 0, clamp_min, 0, c_transposed)
        call(transpose_matrix, c_transposed, c)
    else:
        blocked = gemm_transposed_a if transpose_a else gemm
        call(blocked, a, b, bias, int(transpose_a), int(transpose_b), *epilogue, c)


def linear(call, x, w, bias, y, *, activation=None):
    """y = activation(x w + bias). A ReLU is the product's clamp; others go through y once more,
    by the formula of their name in kernels/scalar/."""
    matmul(call, x, w, y, bias=bias, clamp_min=0.0 if activation == "relu" else -math.inf)
    if activation not in (None, "relu"):
        call(activate(scalar.formula(activation)), y)


@cache
def activate(activation):
    """The kernel of C = activation(C) in place; threads divide C as in a product. A thread's rows
    are one loop: every operation rounds alike in a vector and in the tail, so where it ends changes
    no bit."""

    @kernel(split=[("M", ROW_GRAIN)], name=f"activate_{activation.name}", c="inout T[M, N]")
    def activated(c, start, stop):
        own = flat(c)[start * c.shape[1] : stop * c.shape[1]]
        for i in range(own.size):
            own[i] = activation(as_read(own[i]))

    return activated
