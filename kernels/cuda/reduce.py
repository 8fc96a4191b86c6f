"""Sums and means over any axes, and their gradients.

    sum_...           out[a, b] = scale sum over r of x[a, r, b]
    broadcast_rows    dx[a, r, b] = scale dy[a, b], their gradient

Neighbouring dimensions that are reduced, or are not, are one, so any axes take a few passes over
(outer A, reduced R, inner B), in which memory is read as it lies in one of four ways:

    small         few rows and columns: a block stages what 256 results are of in shared memory
    by_thread     many columns: a thread a column
    by_warp       many a: a warp to each, or to 32 columns of it
    by_block      long columns: a block to each a, or to 32 columns of it, or to a chunk of their
                  rows where blocks would be too few: then another pass is over the chunks' results

Of few columns a warp or block reads whole rows side by side: thread t has column t mod B, of every
(threads // B)'th row. Then its threads' results are joined in pairs, and so the order of a sum
depends on the shape alone, not on the grid or where x lies. Extremes (`extremes.py`) are made so
too.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from ..declare import T, helper, kernel
from ..intrinsics import flat
from ..reduction_passes import axes_of, one_over_count, passes
from .grid import (
    FOUR,
    WARP,
    block_index,
    first_of_four,
    is_aligned,
    load_four,
    natural,
    shared_array,
    store_four,
    thread_index,
)
from .reduction_forms import (
    COLUMNS,
    SMALL,
    STAGED,
    THREADS,
    Combination,
    ceil_div,
    divided,
    of_group,
    of_small,
    of_thread,
)

SUM_DTYPES = "f4", "f8", "i8", "i4"
# From so many results on a thread, or a warp, to each keeps a GPU busy: half of the threads, or
# warps, that an H100 holds at once.
MANY_COLUMNS, MANY_ROWS = 1 << 17, 1 << 12
# Rows are chunked if a block would have more elements than this, 64 to a thread, and blocks are
# few, below two to a processor of an H100; into so many chunks that blocks are enough, and that 16
# elements to a thread are left.
CHUNKED_MIN_ELEMENTS, CHUNK_MIN_ELEMENTS = 1 << 14, 1 << 12
FEW_BLOCKS, ENOUGH_BLOCKS = 264, 1024


# ---- sums


@helper
def from_zero(x, found, place, q):
    return T(0), T(0)


@helper
def element(x, place, r, known):
    return x[natural(place)]


@helper
def plus(x, total):
    return x + total


SUM = Combination(from_zero, element, plus)
sum_of_thread, sum_of_small = of_thread(SUM), of_small(SUM)


@helper
def put(total, scale, accumulate, out, q):
    """out[q] = scale * total, or out[q] += that."""
    scaled = total * T(scale)
    out[q] = scaled + out[q] if accumulate != 0 else scaled


A_THREAD_A_RESULT = [("n", THREADS)]


@kernel(
    threads=THREADS,
    split=A_THREAD_A_RESULT,
    dtypes=SUM_DTYPES,
    x="T[A, R, B]",
    scale="float",
    accumulate="int",
    out="inout T[n]",
)
def sum_by_thread(x, scale, accumulate, out):
    q = block_index() * THREADS + thread_index()
    if q < out.size:
        put(sum_of_thread(x, x, q), scale, accumulate, out, q)


@kernel(
    threads=THREADS,
    split=A_THREAD_A_RESULT,
    dtypes=SUM_DTYPES,
    x="T[A, R, B]",
    scale="float",
    accumulate="int",
    out="inout T[n]",
)
def sum_small(x, scale, accumulate, out):
    q = block_index() * THREADS + thread_index()
    total = sum_of_small(x, x, out.size, shared_array(T(0), STAGED))
    if q < out.size:
        put(total, scale, accumulate, out, q)


def sum_by(group, threads):
    """The kernel by which a group of `threads` makes each result, or that of a chunk."""
    sum_of_group = of_group(threads, SUM)

    @kernel(
        batched=True,
        threads=THREADS,
        split=[("Q", THREADS // threads), ("B", COLUMNS)],
        dtypes=SUM_DTYPES,
        name=f"sum_by_{group}",
        x="T[A, R, B]",
        scale="float",
        accumulate="int",
        chunk="int",
        out="inout T[Q, B]",
    )
    def by_group(x, scale, accumulate, chunk, out):
        partial = shared_array(T(0), THREADS)
        q, b, is_mine, total = sum_of_group(x, x, chunk, out.shape[0], partial)
        if is_mine:
            put(total, scale, accumulate, flat(out), q * out.shape[1] + b)

    return by_group


sum_by_warp, sum_by_block = sum_by("warp", WARP), sum_by("block", THREADS)


class Reduction(NamedTuple):
    """Kernels of one reduction: see the top of this file."""

    small: Any
    by_thread: Any
    by_warp: Any
    by_block: Any


SUMS = Reduction(sum_small, sum_by_thread, sum_by_warp, sum_by_block)


# ---- gradients

BY_FOUR = [("n", THREADS * FOUR)]


@helper
def after(a, r, b, rows, columns):
    """What comes after element (a, r, b)."""
    if b + 1 < columns:
        return a, r, b + 1
    if r + 1 < rows:
        return a, r + 1, 0
    return a + 1, 0, 0


@kernel(threads=THREADS, split=BY_FOUR, dy="T[A, B]", scale="float", rows="int", dx="out T[n]")
def broadcast_rows(dy, scale, rows, dx):
    """The gradient of a sum: dx[a, r, b] = scale * dy[a, b], of `rows` r."""
    i, columns, factor = first_of_four(THREADS), dy.shape[1], T(scale)
    q, b = divided(i, columns)
    a, r = divided(q, rows)
    if i + FOUR <= dx.size and is_aligned(dx):
        if columns % FOUR == 0 and is_aligned(dy):
            y_0, y_1, y_2, y_3 = load_four(flat(dy), a * columns + b)
        else:
            y_0 = dy[natural(a), natural(b)]
            a, r, b = after(a, r, b, rows, columns)
            y_1 = dy[natural(a), natural(b)]
            a, r, b = after(a, r, b, rows, columns)
            y_2 = dy[natural(a), natural(b)]
            a, r, b = after(a, r, b, rows, columns)
            y_3 = dy[natural(a), natural(b)]
        store_four(dx, i, (y_0 * factor, y_1 * factor, y_2 * factor, y_3 * factor))
        return
    end = min(i + FOUR, dx.size)
    while i < end:
        dx[i] = dy[natural(a), natural(b)] * factor
        a, r, b = after(a, r, b, rows, columns)
        i += 1


@kernel(threads=THREADS, split=BY_FOUR, x="T[n]", total="inout T[n]")
def add_to(x, total):
    """total += x: a second gradient for the same variable."""
    i = first_of_four(THREADS)
    if i + FOUR <= total.size and is_aligned(x) and is_aligned(total):
        x_0, x_1, x_2, x_3 = load_four(x, i)
        t_0, t_1, t_2, t_3 = load_four(total, i)
        store_four(total, i, (t_0 + x_0, t_1 + x_1, t_2 + x_2, t_3 + x_3))
        return
    end = min(i + FOUR, total.size)
    while i < end:
        total[i] += x[i]
        i += 1


# ---- launchers


def form_of(outer, reduced, inner):
    """The name of the kernel of a Reduction for these extents."""
    if reduced <= SMALL:
        return "small" if inner <= SMALL and reduced > 0 else "by_thread"
    if inner > SMALL and outer * inner >= MANY_COLUMNS:
        return "by_thread"
    if inner <= COLUMNS and (outer >= MANY_ROWS or reduced * inner <= THREADS):
        return "by_warp"
    return "by_block"


@lru_cache(maxsize=1024)
def rows_of_chunk(outer, reduced, inner):
    """Rows of a chunk; 0 where rows are not chunked."""
    blocks, elements = outer * ceil_div(inner, COLUMNS), reduced * min(inner, COLUMNS)
    if (
        form_of(outer, reduced, inner) != "by_block"
        or blocks >= FEW_BLOCKS
        or elements <= CHUNKED_MIN_ELEMENTS
    ):
        return 0
    chunks = min(ceil_div(ENOUGH_BLOCKS, blocks), elements // CHUNK_MIN_ELEMENTS)
    return ceil_div(ceil_div(reduced, chunks), WARP) * WARP


def one_launch(call, kernels, x, extents, given, out):
    outer, reduced, inner = extents
    form, x = form_of(*extents), x.view(extents)
    if form in ("by_warp", "by_block"):
        call(getattr(kernels, form), x, *given, reduced, out.view((outer, inner)))
    else:
        call(getattr(kernels, form), x, *given, out.flat())


def in_chunks(call, kernels, x, extents, chunk, given, dtype):
    """The chunks' results, and the extents in which they are reduced further."""
    outer, reduced, inner = extents
    n_chunks = ceil_div(reduced, chunk)
    partial = call.scratch((outer * n_chunks, inner), dtype)
    call(kernels.by_block, x.view(extents), *given, chunk, partial)
    return partial, (outer, n_chunks, inner)


def one_pass(call, kernels, x, extents, before, numbers, out):
    """`numbers` are for the kernel that writes out, `before` for those that it needs results of."""
    while chunk := rows_of_chunk(*extents):
        x, extents = in_chunks(call, kernels, x, extents, chunk, before, x.dtype)
    one_launch(call, kernels, x, extents, numbers, out)


def in_passes(call, kernels, x, out, axes, before=(), numbers=()):
    """out = x reduced over `axes` by a Reduction. Its kernels are given `numbers` in the last pass,
    `before` in those before."""
    *earlier, last = passes(x.shape, axes)
    for outer, reduced, inner in earlier:
        partial = call.scratch((outer, inner), x.dtype)
        one_pass(call, kernels, x, (outer, reduced, inner), before, before, partial)
        x = partial
    one_pass(call, kernels, x, last, before, numbers, out)


def sum(call, x, out, *, axis=None, keepdims=False, accumulate=False):
    in_passes(call, SUMS, x, out, axes_of(x.shape, axis), (1.0, 0), (1.0, int(accumulate)))


def mean(call, x, out, *, axis=None, keepdims=False, accumulate=False):
    axes = axes_of(x.shape, axis)
    numbers = one_over_count(x.shape, axes), int(accumulate)
    in_passes(call, SUMS, x, out, axes, (1.0, 0), numbers)


def sum_gradient(call, dy, dx, *, shape, axis, mean):
    """dx = dy, broadcast to what was summed, and for a mean divided by how many that were."""
    axes = axes_of(shape, axis)
    scale = one_over_count(shape, axes) if mean else 1.0
    for n, (outer, summed, inner) in reversed(list(enumerate(passes(shape, axes)))):
        out = call.scratch((outer * summed * inner,), dy.dtype) if n else dx.flat()
        call(broadcast_rows, dy.view((outer, inner)), scale, summed, out)
        dy, scale = out, 1.0
