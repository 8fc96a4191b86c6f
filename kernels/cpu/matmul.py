"""Products of matrices: C = A B, A^T B, with what a layer needs around them; and the transpose, from which A B^T is made.

B is read in place, one panel of two vectors' columns after another; A is read by rows or, turned, by columns, both in place.
"""

import math
from functools import cache

from ..marks import T, helper, kernel
from .register_tile import FROM_BIAS, FROM_C, FROM_ZERO, PANEL, TILE_ROWS, WIDTH, multiply_tile, transpose_tile
from .share import FLAT, share

ROWS = 4  # rows are shared out among lanes in multiples of this: edges of the tile stay cheap
TURNED_ROWS = 16  # and rows of a transpose in whole register tiles of every machine


@helper
def multiply(a, turned, b, bias, start, lowest, c, first, last):
    """Rows first to last of C, tile by tile; a panel of B stays in the nearest cache for all of them."""
    columns = c.shape[1]
    for j in range(0, columns, PANEL):
        width, i = min(PANEL, columns - j), first
        while last - i >= TILE_ROWS:
            multiply_tile(TILE_ROWS, a, turned, b, bias, start, lowest, c, i, j, width)
            i += TILE_ROWS
        while last - i >= 4:
            multiply_tile(4, a, turned, b, bias, start, lowest, c, i, j, width)
            i += 4
        while last - i >= 1:
            multiply_tile(1, a, turned, b, bias, start, lowest, c, i, j, width)
            i += 1


@kernel(split=[("M", ROWS)], a="T[M, K]", b="T[K, N]", bias="T[B]", lowest="float", add="int", turned="int", c="inout T[M, N]")
def matmul(a, b, bias, lowest, add, turned, c, lane, lanes):
    """C = max(lowest, A B + bias), or C += A B. An empty bias is none; `lowest` is -inf, or 0 for a ReLU."""
    first, last = share(c.shape[0], ROWS, lane, lanes)
    start = FROM_C if add != 0 else FROM_BIAS if bias.size > 0 else FROM_ZERO
    multiply(a, turned, b, bias, start, T(lowest), c, first, last)


# C = A^T B is the same code; A then stands as (K, M), and a lane reads all of its rows.
matmul_turned = matmul.declared("matmul_turned", a="T[K, M]")


@cache
def linear(activation):
    """Y = activation(X W + bias), the activation applied to each tile's rows while they are in the nearest cache."""

    @kernel(split=[("M", ROWS)], name=f"linear_{activation.name}", x="T[M, K]", w="T[K, N]", bias="T[B]", y="out T[M, N]")
    def fused(x, w, bias, y, lane, lanes):
        first, last = share(y.shape[0], ROWS, lane, lanes)
        start = FROM_BIAS if bias.size > 0 else FROM_ZERO
        for i in range(first, last, TILE_ROWS):
            end = min(i + TILE_ROWS, last)
            multiply(x, 0, w, bias, start, T(-math.inf), y, i, end)
            for r in range(end - i):
                row = y[i + r]
                for j in range(row.size):
                    row[j] = activation(row[j])

    return fused


# One column: a product of rows, where a tile would use one element in sixteen of a vector.


@helper(reassociate=True)
def dot(x, y):
    total = T(0)
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@kernel(split=[("M", FLAT)], x="T[M, K]", w="T[K]", bias="T[B]", lowest="float", y="out T[M]")
def matmul_column(x, w, bias, lowest, y, lane, lanes):
    """y = max(lowest, X w + bias) for one column of weights."""
    first, last = share(y.size, FLAT, lane, lanes)
    start, low = bias[0] if bias.size > 0 else T(0), T(lowest)
    for i in range(last - first):
        total = dot(x[first + i], w) + start
        y[first + i] = low if total < low else total


@kernel(split=[("K", FLAT)], x="T[M, K]", dy="T[M]", add="int", dw="inout T[K]")
def matmul_turned_column(x, dy, add, dw, lane, lanes):
    """dw = X^T dy, or dw += X^T dy, for one column, row after row."""
    start, stop = share(dw.size, FLAT, lane, lanes)
    total = dw[start:stop]
    if add == 0:
        for j in range(total.size):
            total[j] = T(0)
    for i in range(x.shape[0]):
        row, factor = x[i, start:stop], dy[i]
        for j in range(row.size):
            total[j] += row[j] * factor


@kernel(split=[("N", TURNED_ROWS)], x="T[M, N]", out="out T[N, M]")
def transpose(x, out, lane, lanes):
    """Tiles in registers; the lanes share out the rows of `out`."""
    start, stop = share(x.shape[1], TURNED_ROWS, lane, lanes)
    for j in range(start, stop, WIDTH):
        for i in range(0, x.shape[0], WIDTH):
            transpose_tile(x, i, j, min(WIDTH, x.shape[0] - i), min(WIDTH, stop - j), out)
