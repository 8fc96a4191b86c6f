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
from ..batches import batch_of, places_of
from ..declare import FLOATS, T, helper, kernel
from ..intrinsics import as_read, flat, fma
from .gemm import (
    gemm,
    gemm_block_in_l2,
    gemm_panel_in_l1,
    gemm_transposed_a,
    initial,
    keeps_block_in_l2,
)
from .gemv import gemm_dots, gemv, ger, multiply_rows
from .movement import transpose_matrix
from .threads import ROW_GRAIN, ceil_div

VECTOR_BYTES = 64  # of the vectors that costs are counted for
# A^T B of K = 1, as narrow as a micro-tile: from so many rows on gemm takes 0.4 to 0.9 of ger's
# time.
NARROW_GEMM_MIN_ROWS = 32
# From so many rows on gemm is preferred to dot products where they cost about the same: it goes
# through large matrices in blocks.
PREFER_GEMM_MIN_ROWS = 128

# Threads divide the rows of each matrix of a stack, not the stack, where that has fewer matrices
# than this, each with so many multiply-adds that dividing them is worth it.
FEW_MATRICES, LARGE_PRODUCT = 16, 1 << 18


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
    transposed first if so said. Of stacks of matrices, and of integers: C = A B, or C += A B."""
    if len(a.shape) != 2 or len(b.shape) != 2 or c.dtype.kind != "f":
        batch_matmul(call, a, b, c, transpose_a, transpose_b, accumulate)
        return
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


# ---- stacks of matrices: the bits of each product are those of `matmul`


def of_stacks(name, dtypes=FLOATS, by_rows=False):
    """Declares a kernel of stacks, whose threads divide the stack or, of few matrices, each
    matrix's rows."""
    return kernel(
        split=[("M", ROW_GRAIN)] if by_rows else [("P", 1)],
        name=name,
        dtypes=dtypes,
        a="T[Q, D, E]",
        b="T[S, F, G]",
        a_index="i8[P]",
        b_index="i8[P]",
        transpose_a="int",
        transpose_b="int",
        accumulate="int",
        c="inout T[P, M, N]",
    )


@helper
def multiply_matrix(a, b, transpose_a, transpose_b, accumulate, c, start, stop):
    """Rows start to stop of C = A B, by gemm."""
    depth = a.shape[0] if transpose_a != 0 else a.shape[1]
    bias, low = flat(c)[:0], T(-math.inf)
    init = initial(accumulate, bias)
    if keeps_block_in_l2(depth, c.shape[1], stop - start):
        gemm_block_in_l2(a, transpose_a, b, transpose_b, bias, init, low, c, start, stop)
    else:
        gemm_panel_in_l1(a, transpose_a, b, transpose_b, bias, init, low, c, start, stop)


@of_stacks("batch_gemm")
def batch_gemm(a, b, a_index, b_index, transpose_a, transpose_b, accumulate, c, start, stop):
    for p in range(start, stop):
        x, y, z = a[a_index[p]], b[b_index[p]], c[p]
        multiply_matrix(x, y, transpose_a, transpose_b, accumulate, z, 0, z.shape[0])


@of_stacks("batch_gemm_by_rows", by_rows=True)
def batch_gemm_by_rows(
    a, b, a_index, b_index, transpose_a, transpose_b, accumulate, c, start, stop
):
    for p in range(c.shape[0]):
        x, y = a[a_index[p]], b[b_index[p]]
        multiply_matrix(x, y, transpose_a, transpose_b, accumulate, c[p], start, stop)


@of_stacks("batch_dots")
def batch_dots(a, b, a_index, b_index, transpose_a, transpose_b, accumulate, c, start, stop):
    """C = A B^T, every element a dot product; B is stored so, or a column."""
    for p in range(start, stop):
        x, y, z = a[a_index[p]], b[b_index[p]], c[p]
        init = initial(accumulate, flat(z)[:0])
        low, bias, columns = T(-math.inf), flat(z)[:0], z.shape[1]
        if columns == 1:  # one row of the transpose
            multiply_rows(y, x, bias, init, low, flat(z), 0, 0, 1, 0, z.shape[0])
        else:
            multiply_rows(x, y, bias, init, low, flat(z), columns, 0, z.shape[0], 0, columns)


@of_stacks("batch_ger")
def batch_ger(a, b, a_index, b_index, transpose_a, transpose_b, accumulate, c, start, stop):
    """C = a b^T, of one column and one row."""
    for p in range(start, stop):
        left, right = flat(a[a_index[p]]), flat(b[b_index[p]])
        for i in range(c.shape[1]):
            row, factor = c[p, i], left[i]
            if accumulate != 0:
                for j in range(row.size):
                    row[j] = fma(factor, right[j], row[j])
            else:
                for j in range(row.size):
                    row[j] = factor * right[j]


@of_stacks("batch_integers", dtypes=("i8", "i4"))
def batch_integers(a, b, a_index, b_index, transpose_a, transpose_b, accumulate, c, start, stop):
    """Sums of integers are exact in any order."""
    for p in range(start, stop):
        x, y = a[a_index[p]], b[b_index[p]]
        for i in range(c.shape[1]):
            row = c[p, i]
            if accumulate == 0:
                for j in range(row.size):
                    row[j] = T(0)
            for k in range(x.shape[0] if transpose_a != 0 else x.shape[1]):
                factor = x[k, i] if transpose_a != 0 else x[i, k]
                if transpose_b != 0:
                    for j in range(row.size):
                        row[j] += factor * y[j, k]
                else:
                    other = y[k]
                    for j in range(row.size):
                        row[j] += factor * other[j]


def batch_matmul(call, a, b, c, transpose_a, transpose_b, accumulate):
    """C[p] = A[p] B[p], or C[p] += that, of stacks of matrices that broadcast."""
    batch = batch_of(a.shape, b.shape, bool(transpose_a), bool(transpose_b))
    transposed, places = (batch.transpose_a, batch.transpose_b), (a.shape[:-2], b.shape[:-2])
    if batch.is_one:
        places = (), ()
        if c.dtype.kind == "f":
            matmul(
                call, a.view(batch.a[1:]), b.view(batch.b[1:]), c.view(batch.c[1:]),
                transpose_b=batch.transpose_b, accumulate=accumulate,
            )  # fmt: skip
            return
    a, b, out = a.view(batch.a), b.view(batch.b), c.view(batch.c)
    tables = places_of(call.constant, *places)
    (count, rows, columns), depth = batch.c, batch.a[1 if batch.transpose_a else 2]
    if c.dtype.kind != "f":
        call(batch_integers, a, b, *tables, *map(int, transposed), int(accumulate), out)
        return
    chosen = way(rows, depth, columns, c.dtype, *transposed, accumulate)
    if chosen == "gemm_dots":
        b = b.view((batch.b[0], columns, depth))
        call(batch_dots, a, b, *tables, 0, 1, int(accumulate), out)
    elif chosen == "ger":
        call(batch_ger, a, b, *tables, 0, 0, int(accumulate), out)
    elif chosen == "gemv" and batch.transpose_a:  # C^T = B^T A, whose one row has all columns
        a, b = b.view((batch.b[0], 1, depth)), a
        out = out.view((count, 1, rows))
        call(batch_gemm, a, b, *reversed(tables), 0, 0, int(accumulate), out)
    else:
        is_few = count < FEW_MATRICES and rows * depth * columns >= LARGE_PRODUCT
        kernel = batch_gemm_by_rows if is_few else batch_gemm
        call(kernel, a, b, *tables, *map(int, transposed), int(accumulate), out)


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
