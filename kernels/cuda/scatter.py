"""Rows put where an array of indices says.

    scatter            y = x, then y[index[m]] = formula(y[index[m]], updates[m]) for each m in turn
    scatter_add_rows   dx[a, s] = sum of dy[a, m] over m with index[m] = s, the gradient of take

Of the second:

A block has SCATTER_ELEMENTS of dx, four neighbours to a thread if they are 16 bytes of one row. It
looks through all indices, INDICES at a time, and lists those of its own rows in their order; each
thread then adds what belongs to its row. So a sum has the order of the indices, as on the CPU,
whatever the grid; and dx is written once.
"""

from functools import cache
from math import prod

import numpy as np

from ..declare import T, helper, intrinsic, kernel
from ..intrinsics import flat
from ..places import around, counted
from ..status import INDEX_OUT_OF_RANGE, lowest_place
from .grid import (
    ALL_LANES,
    FOUR,
    VECTOR,
    WARP,
    barrier,
    block_index,
    is_aligned,
    load_four,
    on_a_gpu,
    quotient,
    shared_array,
    store_four,
    thread_index,
)
from .movement import copy

THREADS = 256
WARPS = THREADS // WARP
SCATTER_ELEMENTS = THREADS * FOUR
INDICES, WARP_INDICES = 1024, 1024 // WARPS


@intrinsic("int <- int")
def lanes_with(condition):
    """A bit for each lane of the warp whose `condition` is not 0. All lanes must be there."""
    on_a_gpu(condition)


@lanes_with.lowering
def _(emitter, condition):
    word, builder = emitter.integer(32), emitter.builder
    is_true = builder.icmp_signed("!=", condition, emitter.integer(64)(0))
    found = emitter.call("llvm.nvvm.vote.ballot.sync", word, [word(ALL_LANES), is_true])
    return builder.zext(found, emitter.integer(64))


@intrinsic("int <- int")
def count_bits(x):
    """How many bits of x are 1."""
    on_a_gpu(x)


@count_bits.lowering
def _(emitter, x):
    return emitter.call("llvm.ctpop.i64", emitter.integer(64), [x])


@helper
def remainder(a, b):
    """a % b, of numbers from 0 and from 1 on."""
    return a - quotient(a, b) * b


@kernel(
    split=[("n", SCATTER_ELEMENTS)],
    threads=THREADS,
    dy="T[A, M, B]",
    index="i8[M]",
    extent="int",
    dx="out T[n]",
)
def scatter_add_rows(dy, index, extent, dx):
    """dx[a, s] = sum of dy[a, m] over m with index[m] = s, in the order of m."""
    listed, own_row = shared_array(np.int64(0), INDICES), shared_array(np.int64(0), INDICES)
    counts = shared_array(np.int64(0), WARPS)
    lane, warp = thread_index() % WARP, thread_index() // WARP
    source, indices, columns = flat(dy), index.size, dy.shape[2]
    # four float64 would be two loads, of which each leaves half of its sectors to the other
    is_four = VECTOR == FOUR and columns % FOUR == 0 and is_aligned(dy) and is_aligned(dx)
    unit = FOUR if is_four else 1
    start = block_index() * SCATTER_ELEMENTS
    end = min(start + SCATTER_ELEMENTS, dx.size)
    while start < end:
        # rows of dx that are the block's now: from `first` to `last`, beyond the last one from 0 on
        row = quotient(start, columns)
        last_row = quotient(min(start + THREADS * unit, end) - 1, columns)
        first, last = remainder(row, extent), remainder(last_row, extent)
        has_all = last_row - row >= extent
        # the thread's element of dx: [a, s, column]
        i = start + thread_index() * unit
        row = quotient(i, columns)
        a = quotient(row, extent)
        s, place = row - a * extent, a * indices * columns + i - row * columns
        if i >= end:
            s = -1
        total, total_1, total_2, total_3 = T(0), T(0), T(0), T(0)
        m_start = 0
        while m_start < indices:
            count, n = 0, warp * WARP_INDICES
            while n < (warp + 1) * WARP_INDICES:
                m = m_start + n + lane
                found = counted(index[m], extent) if m < indices else -1
                is_own = has_all or (
                    first <= found <= last if first <= last else found >= first or found <= last
                )
                is_own = is_own and found >= 0
                lanes = lanes_with(is_own)
                if is_own:
                    at = warp * WARP_INDICES + count + count_bits(lanes & ((1 << lane) - 1))
                    listed[at], own_row[at] = m, found
                count += count_bits(lanes)
                n += WARP
            if lane == 0:
                counts[warp] = count
            barrier()
            w = 0
            while w < WARPS:
                n = w * WARP_INDICES
                n_end = n + counts[w]
                while n < n_end:
                    if own_row[n] == s:
                        at = place + listed[n] * columns
                        if is_four:
                            y, y_1, y_2, y_3 = load_four(source, at)
                            total += y
                            total_1 += y_1
                            total_2 += y_2
                            total_3 += y_3
                        else:
                            total += source[at]
                    n += 1
                w += 1
            barrier()
            m_start += INDICES
        if i < end:
            if is_four:
                store_four(dx, i, (total, total_1, total_2, total_3))
            else:
                dx[i] = total
        start += THREADS * unit


@cache
def scatter_rows(formula):
    """The kernel of a formula of two numbers."""
    combine = formula.function

    @kernel(
        split=[("n", THREADS)],
        threads=THREADS,
        dtypes=formula.dtypes,
        name=f"scatter_{formula.name}",
        updates="T[u]",
        index="i8[M]",
        columns="int",
        rows="int",
        y="inout T[n]",
    )
    def kernel_of(updates, index, columns, rows, y):
        """A thread has an element of y and looks through all indices, which a warp reads at once:
        the result does not depend on the grid."""
        status, i = 0, block_index() * THREADS + thread_index()
        if i < y.size:
            row = quotient(i, columns)
            column, value, m = i - row * columns, y[i], 0
            while m < index.size:
                place = counted(index[m], rows)
                if place < 0:
                    status = lowest_place(status, INDEX_OUT_OF_RANGE, m)
                if place == row:
                    value = combine(value, updates[m * columns + column])
                m += 1
            y[i] = value
        return status

    return kernel_of


# ---- launchers


def take_gradient(call, index, dy, dx, *, shape, axis):
    outer, extent, inner = around(shape, axis)
    rows = dy.view((outer, prod(index.shape), inner))
    call(scatter_add_rows, rows, index.flat(), extent, dx.flat())


def scatter(formula):
    """The launcher of a formula."""
    put = scatter_rows(formula)

    def launch(call, x, index, updates, y):
        rows, columns = x.shape[0], prod(x.shape[1:])
        call(copy, x.flat(), y.flat())
        call(put, updates.flat(), index, columns, rows, y.flat())

    return launch
