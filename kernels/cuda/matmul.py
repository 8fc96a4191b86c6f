"""The launchers of a matrix product, and of the linear layer, as kernels/cpu/matmul.py has them:

    C = A B                      dA = dC B^T, dB = A^T dC
    y = activation(x w + bias)   dz = dy activation'(y), dx = dz w^T, dw = x^T dz,
                                 dbias = sum of dz's rows

Every product is made by gemm.py. The tile is chosen by C's shape; it changes no bit.
"""

import math
from functools import cache, lru_cache
from math import prod

import numpy as np

from .. import scalar
from ..batches import batch_of, places_of
from ..declare import T, kernel
from .gemm import batch_gemm, gemm
from .gemm_microkernel import tile_for
from .grid import block_index, natural, thread_index
from .reduction_forms import divided


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
    _multiply(call, a, b, c, (transpose_a, transpose_b), accumulate, bias, clamp_min)


# ---- stacks of matrices: the bits of each product are those of `matmul`


@lru_cache(maxsize=1024)
def tiles_of(constant, a, b, rows, height):
    """The table of a stack's tiles: of each matrix of leading dimensions a and b, each tile of so
    many rows."""
    leading, tiles = np.broadcast_shapes(a, b), -(-rows // height)
    places = [np.broadcast_to(np.arange(prod(s)).reshape(s), leading).flatten() for s in (a, b)]
    each = np.stack([np.arange(prod(leading)), *places])
    table = np.vstack([np.repeat(each, tiles, axis=1), np.tile(np.arange(tiles), each.shape[1])])
    return constant(np.ascontiguousarray(table.T, np.int64))


INTEGER_THREADS = 256


@kernel(
    threads=INTEGER_THREADS,
    split=[("n", INTEGER_THREADS)],
    dtypes=("i8", "i4"),
    a="T[Q, D, E]",
    b="T[S, F, G]",
    a_index="i8[P]",
    b_index="i8[P]",
    transpose_a="int",
    transpose_b="int",
    accumulate="int",
    rows="int",
    c="inout T[n]",
)
def batch_integers(a, b, a_index, b_index, transpose_a, transpose_b, accumulate, rows, c):
    """Sums of integers are exact in any order."""
    place, k = block_index() * INTEGER_THREADS + thread_index(), 0
    if place >= c.size:
        return
    columns = b.shape[1] if transpose_b != 0 else b.shape[2]
    depth = a.shape[1] if transpose_a != 0 else a.shape[2]
    (line, j), total = divided(place, columns), c[place] if accumulate != 0 else T(0)
    p, i = divided(line, rows)
    q, s = natural(a_index[p]), natural(b_index[p])
    while k < depth:
        left = a[q, natural(k), natural(i)] if transpose_a != 0 else a[q, natural(i), natural(k)]
        right = b[s, natural(j), natural(k)] if transpose_b != 0 else b[s, natural(k), natural(j)]
        total, k = total + left * right, k + 1
    c[place] = total


def batch_matmul(call, a, b, c, transpose_a, transpose_b, accumulate):
    """C[p] = A[p] B[p], or C[p] += that, of stacks of matrices that broadcast."""
    batch = batch_of(a.shape, b.shape, bool(transpose_a), bool(transpose_b))
    transposed, places = (batch.transpose_a, batch.transpose_b), (a.shape[:-2], b.shape[:-2])
    if batch.is_one:
        places = (), ()
        if c.dtype.kind == "f":
            one = a.view(batch.a[1:]), b.view(batch.b[1:]), c.view(batch.c[1:])
            _multiply(call, *one, transposed, accumulate)
            return
    a, b, out, (_, rows, columns) = a.view(batch.a), b.view(batch.b), c.view(batch.c), batch.c
    if c.dtype.kind != "f":
        given = *places_of(call.constant, *places), *map(int, transposed), int(accumulate), rows
        call(batch_integers, a, b, *given, c.flat())
        return
    tile = tile_for(batch.c[0] * rows, columns, c.dtype.itemsize)._replace(rows_first=True)
    tiles = tiles_of(call.constant, *places, rows, tile.extents[0])
    call(batch_gemm(tile, *transposed), a, b, tiles, int(accumulate), out)


def linear(call, x, w, bias, y, *, activation=None):
    """y = activation(x w + bias). A ReLU is the product's clamp; others are computed by the formula
    of their name in kernels/scalar/, before an element is stored."""
    if activation in (None, "relu"):
        _multiply(call, x, w, y, bias=bias, clamp_min=0.0 if activation == "relu" else -math.inf)
    else:
        _multiply(call, x, w, y, bias=bias, activation=scalar.formula(activation))


def _multiply(
    call, a, b, c, transposed=(False, False), accumulate=False, bias=None, clamp_min=-math.inf,
    activation=None,
):  # fmt: skip
    tile = tile_for(*c.shape, c.dtype.itemsize)
    bias = empty(call.constant, c.dtype) if bias is None else bias
    multiply = gemm(tile, *map(bool, transposed), activation)
    call(multiply, a, b, bias, clamp_min, int(accumulate), c)
