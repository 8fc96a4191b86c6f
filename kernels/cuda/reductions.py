"""Sums and maxima over the lanes of a warp, the threads of a block and the lines of a column, in an
order that never changes: the bits of a sum do not depend on the grid, nor on which warp is first.

A thread first sums what is its own, in order; then the threads' sums are added in pairs (in a warp)
and in order (of warps).
"""

from ..declare import T, helper
from .grid import WARP, barrier, from_lane, thread_index

# A block of which a warp has a row, or all of it a long row.
BLOCK_WARPS = 8
BLOCK_THREADS = BLOCK_WARPS * WARP

# A block of columns: COLUMNS neighbours (of float32 the 32 bytes that memory is read by) and LINES
# rows at a time. Thread t has column t % COLUMNS and line t // COLUMNS.
COLUMNS, LINES = 8, 32
COLUMN_THREADS = COLUMNS * LINES
COLUMN_PARTIAL = COLUMN_THREADS // WARP * COLUMNS  # elements of shared memory for `column_sum`


@helper
def larger(x, y):
    """The larger; if one of them is NaN, x."""
    return y if y > x else x


@helper
def warp_sum(x):
    """The sum of x over a warp, known to all its lanes."""
    x += from_lane(x, 16)
    x += from_lane(x, 8)
    x += from_lane(x, 4)
    x += from_lane(x, 2)
    return x + from_lane(x, 1)


@helper
def warp_max(x):
    """The largest x of a warp, known to all its lanes. NaN is passed over, or the result."""
    x = larger(x, from_lane(x, 16))
    x = larger(x, from_lane(x, 8))
    x = larger(x, from_lane(x, 4))
    x = larger(x, from_lane(x, 2))
    return larger(x, from_lane(x, 1))


@helper
def block_sum(x, partial):
    """The sum of x over a block of BLOCK_THREADS, known to all. `partial` is (BLOCK_WARPS,) of
    shared memory, free again on return."""
    warp, total, w = thread_index() // WARP, T(0), 0
    x = warp_sum(x)
    if thread_index() % WARP == 0:
        partial[warp] = x
    barrier()
    while w < BLOCK_WARPS:
        total += partial[w]
        w += 1
    barrier()
    return total


@helper
def block_max(x, partial):
    """The largest x of a block likewise. NaN is passed over, or the result."""
    x, w = warp_max(x), 1
    if thread_index() % WARP == 0:
        partial[thread_index() // WARP] = x
    barrier()
    x = partial[0]
    while w < BLOCK_WARPS:
        x = larger(x, partial[w])
        w += 1
    barrier()
    return x


@helper
def column_sum(x, partial):
    """The sum of x over the lines of this thread's column, known to all of them, in a block of
    COLUMN_THREADS. `partial` is (COLUMN_PARTIAL,) of shared memory, free again on return."""
    thread, total = thread_index(), T(0)
    x += from_lane(x, 16)
    x += from_lane(x, 8)
    if thread % WARP < COLUMNS:
        partial[thread // WARP * COLUMNS + thread % COLUMNS] = x
    barrier()
    place = thread % COLUMNS
    while place < COLUMN_PARTIAL:
        total += partial[place]
        place += COLUMNS
    barrier()
    return total
