"""Sums and means over any axes, and their gradients.

    sum_last          out[a] = scale sum over r of x[a, r]
    sum_middle        out[a, b] = scale sum over r of x[a, r, b]
    broadcast_rows    dx[a, r, b] = scale dy[a, b], their gradient

Neighbouring dimensions that are reduced, or are not, are one, so any axes take a few of these. Sums
go eight rows or one vector register at a time, in an order that depends on the shape alone.
"""

from typing import Any, NamedTuple

from ..declare import T, helper, kernel
from ..intrinsics import flat, stack_array
from ..reduction_passes import axes_of, one_over_count, passes
from .simd.rows import clear, row_sum
from .threads import ELEMENT_GRAIN, ROW_GRAIN, ceil_div

SUM_CHUNK_ELEMENTS = 4096  # summed by one thread where everything becomes one number
# Rows are summed in chunks, so that each thread reads whole rows, if they have this many elements:
# with fewer, adding up the chunks' sums takes longer than it saves.
CHUNKED_SUM_MIN_ELEMENTS = 1 << 20
SUM_MAX_CHUNKS, SUM_CHUNK_MIN_ROWS = 64, 32


@kernel(split=[("A", ROW_GRAIN)], x="T[A, R]", scale="float", accumulate="int", out="inout T[A]")
def sum_last(x, scale, accumulate, out, start, stop):
    """out = scale * sum of each row, or out += that."""
    for a in range(stop - start):
        total = row_sum(x[start + a]) * T(scale)
        out[start + a] = total + out[start + a] if accumulate != 0 else total


@helper
def add_rows(x, total):
    """total[j] += sum over rows of x[i, j], in groups of eight: less memory traffic and less
    rounding than one by one."""
    rows = x.shape[0]
    for i in range(0, rows - 7, 8):
        a, b, c, d = x[i], x[i + 1], x[i + 2], x[i + 3]
        e, f, g, h = x[i + 4], x[i + 5], x[i + 6], x[i + 7]
        for j in range(total.size):
            total[j] += ((a[j] + b[j]) + (c[j] + d[j])) + ((e[j] + f[j]) + (g[j] + h[j]))
    for i in range(rows // 8 * 8, rows):
        row = x[i]
        for j in range(total.size):
            total[j] += row[j]


@kernel(
    split=[("A", 1), ("B", ELEMENT_GRAIN)],
    x="T[A, R, B]",
    scale="float",
    accumulate="int",
    out="inout T[A, B]",
)
def sum_middle(x, scale, accumulate, out, row_start, row_stop, col_start, col_stop):
    """out[a, b] = scale * sum over r of x[a, r, b], or out += that."""
    strip = stack_array(T(0), ELEMENT_GRAIN)
    for a in range(row_stop - row_start):
        rows, total = (
            x[row_start + a, :, col_start:col_stop],
            out[row_start + a, col_start:col_stop],
        )
        if accumulate != 0 and scale != 1.0:  # what is added to is not scaled
            for strip_start in range(0, total.size, ELEMENT_GRAIN):
                own, part = (
                    total[strip_start : strip_start + ELEMENT_GRAIN],
                    strip[: min(ELEMENT_GRAIN, total.size - strip_start)],
                )
                clear(part)
                add_rows(rows[:, strip_start : strip_start + ELEMENT_GRAIN], part)
                for j in range(own.size):
                    own[j] += part[j] * T(scale)
            continue
        if accumulate == 0:
            clear(total)
        add_rows(rows, total)
        if scale != 1.0:
            for j in range(total.size):
                total[j] *= T(scale)


@kernel(
    split=[("A", 1), ("B", ELEMENT_GRAIN)],
    dtypes=("i8", "i4"),
    x="T[A, R, B]",
    out="out T[A, B]",
)
def sum_integers(x, out, row_start, row_stop, col_start, col_stop):
    """out[a, b] = sum over r of x[a, r, b], which wraps around as all arithmetic of integers does:
    exact in any order, so the compiler vectorises the plain loop."""
    for a in range(row_start, row_stop):
        total = out[a, col_start:col_stop]
        if total.size == 1 and out.shape[1] == 1:
            row, value = flat(x[a]), T(0)
            for r in range(row.size):
                value += row[r]
            total[0] = value
        else:
            clear(total)
            add_rows(x[a, :, col_start:col_stop], total)


@kernel(split=[("A", 1), ("R", 1)], dy="T[A, B]", scale="float", dx="out T[A, R, B]")
def broadcast_rows(dy, scale, dx, row_start, row_stop, col_start, col_stop):
    """The gradient of a sum: dx[a, r, b] = scale * dy[a, b]."""
    for a in range(row_stop - row_start):
        source, block = dy[row_start + a], dx[row_start + a, col_start:col_stop]
        if source.size == 1:
            value = source[0] * T(scale)
            for r in range(block.shape[0]):
                block[r, 0] = value
        else:
            for r in range(block.shape[0]):
                row = block[r]
                for j in range(row.size):
                    row[j] = source[j] * T(scale)


@kernel(split=[("P", 1)], x="T[n]", chunk="int", partial="out T[P]")
def sum_chunks(x, chunk, partial, start, stop):
    """partial[p] = the sum of chunk number p: the first half of a sum of everything."""
    for p in range(start, stop):
        partial[p] = row_sum(x[p * chunk : min((p + 1) * chunk, x.size)])


@kernel(split=[("P", 1)], x="T[R, B]", chunk="int", partial="out T[P, B]")
def sum_row_chunks(x, chunk, partial, start, stop):
    """partial[p] = the sum of chunk number p of the rows: the first half of a sum of many, so that
    each thread reads whole rows."""
    for p in range(start, stop):
        total = partial[p]
        clear(total)
        add_rows(x[p * chunk : min((p + 1) * chunk, x.shape[0])], total)


class Reduction(NamedTuple):
    """Kernels of one reduction: of rows (A, R), of columns (A, R, B), and of chunks of a number of
    elements or of rows, so that threads divide what becomes one number or one row."""

    last: Any
    middle: Any
    chunks: Any
    row_chunks: Any


SUMS = Reduction(sum_last, sum_middle, sum_chunks, sum_row_chunks)


@kernel(split=[("n", ELEMENT_GRAIN)], x="T[n]", total="inout T[n]")
def add_to(x, total, start, stop):
    """total += x: a second gradient for the same variable."""
    x, total = x[start:stop], total[start:stop]
    for i in range(total.size):
        total[i] += x[i]


# ---- launchers


def rows_of_chunk(rows):
    """Rows of a chunk: at most SUM_MAX_CHUNKS chunks, of whole eights of rows, as kernels unroll
    them. It depends on the shape alone, and so do the bits of sums."""
    return max(SUM_CHUNK_MIN_ROWS, ceil_div(rows, 8 * SUM_MAX_CHUNKS) * 8)


def chunks_of(shape):
    """The shape of the sums of (N, C)'s chunks of rows, a row a chunk."""
    return ceil_div(shape[0], rows_of_chunk(shape[0])), shape[1]


def sum_of_chunks(call, chunks, out, accumulate=False):
    """out (C,) = the sum of the chunks' sums, or out += that."""
    joined = chunks.view((1, *chunks.shape)), 1.0, int(accumulate), out.view((1, *out.shape))
    call(sum_middle, *joined)


def in_passes(call, kernels, x, out, axes, before=(), numbers=()):
    """out = x reduced over `axes` by a Reduction. Its kernels are given `numbers` in the last pass,
    `before` in those before."""
    *earlier, last = passes(x.shape, axes)
    for outer, reduced, inner in earlier:
        partial = call.scratch((outer, inner), x.dtype)
        _pass(call, kernels, x, (outer, reduced, inner), before, partial)
        x = partial
    outer, reduced, inner = last
    if outer == 1 and inner == 1 and reduced > 2 * SUM_CHUNK_ELEMENTS:
        partial = call.scratch((ceil_div(reduced, SUM_CHUNK_ELEMENTS),), x.dtype)
        call(kernels.chunks, x.flat(), SUM_CHUNK_ELEMENTS, partial)
        x, last = partial, (1, partial.shape[0], 1)
    elif (
        outer == 1
        and inner > 1
        and reduced > SUM_CHUNK_MIN_ROWS
        and reduced * inner > CHUNKED_SUM_MIN_ELEMENTS
    ):
        partial = call.scratch(chunks_of((reduced, inner)), x.dtype)
        call(kernels.row_chunks, x.view((reduced, inner)), rows_of_chunk(reduced), partial)
        x, last = partial, (1, partial.shape[0], inner)
    _pass(call, kernels, x, last, numbers, out)


def _pass(call, kernels, x, extents, numbers, out):
    outer, reduced, inner = extents
    if inner == 1:
        call(kernels.last, x.view((outer, reduced)), *numbers, out.view((outer,)))
    else:
        call(kernels.middle, x.view(extents), *numbers, out.view((outer, inner)))


def _sum_integers(call, x, out, axes):
    all_passes = passes(x.shape, axes)
    for n, (outer, summed, inner) in enumerate(all_passes, 1):
        total = out if n == len(all_passes) else call.scratch((outer, inner), x.dtype)
        call(sum_integers, x.view((outer, summed, inner)), total.view((outer, inner)))
        x = total


def sum(call, x, out, *, axis=None, keepdims=False, accumulate=False):
    axes = axes_of(x.shape, axis)
    if x.dtype.kind == "i":  # which has no gradient, so nothing to accumulate
        _sum_integers(call, x, out, axes)
    else:
        in_passes(call, SUMS, x, out, axes, (1.0, 0), (1.0, int(accumulate)))


def mean(call, x, out, *, axis=None, keepdims=False, accumulate=False):
    axes = axes_of(x.shape, axis)
    numbers = one_over_count(x.shape, axes), int(accumulate)
    in_passes(call, SUMS, x, out, axes, (1.0, 0), numbers)


def sum_gradient(call, dy, dx, *, shape, axis, mean):
    """dx = dy, broadcast to what was summed, and for a mean divided by how many that were."""
    axes = axes_of(shape, axis)
    scale = one_over_count(shape, axes) if mean else 1.0
    for n, (outer, summed, inner) in reversed(list(enumerate(passes(shape, axes)))):
        extents = outer, summed, inner
        out = call.scratch(extents, dy.dtype) if n else dx.view(extents)
        call(broadcast_rows, dy.view((outer, inner)), scale, out)
        dy, scale = out, 1.0
