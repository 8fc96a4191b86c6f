"""What kernels of reductions are made of, in each of four forms: a thread, a warp or a block to a
column or a few, or to what is staged in shared memory. `reduce.py` says when which is taken.
"""

from functools import cache
from typing import Any, NamedTuple

from ..declare import helper
from ..intrinsics import flat
from .grid import barrier, block_index, block_index_y, natural, quotient, thread_index

THREADS = 256
COLUMNS = 32  # most columns that a warp or block has
SMALL = 16  # rows and columns at most of what is staged in shared memory
BANKS = 32  # of shared memory: after so many elements one is left out, so that no bank is crowded
STAGED = SMALL * (THREADS + 2 * SMALL) * (BANKS + 1) // BANKS


class Combination(NamedTuple):
    """What makes one number of several. `begin(x, found, place, q)` gives what result number q
    begins with, where x[place] is one of its elements, and what `take` is told besides;
    `take(x, place, r, known)` what x[place], in row r, counts for; `combine` makes one of two."""

    begin: Any
    take: Any
    combine: Any


@helper
def ceil_div(a, b):
    """a / b, rounded up."""
    return quotient(a + b - 1, b)


@helper
def divided(a, b):
    """a // b and a % b."""
    whole = quotient(a, b)
    return whole, a - whole * b


@cache
def along(combination):
    """A thread's part: of rows r, r + step, ... before stop, from x[place] on, `distance` elements
    between one and the next. Four at a time, so that as many loads are under way."""
    take, combine = combination.take, combination.combine

    @helper
    def run(x, place, distance, r, step, stop, start, known):
        a, b, c, d = start, start, start, start
        while r + 3 * step < stop:
            a = combine(take(x, place, r, known), a)
            b = combine(take(x, place + distance, r + step, known), b)
            c = combine(take(x, place + 2 * distance, r + 2 * step, known), c)
            d = combine(take(x, place + 3 * distance, r + 3 * step, known), d)
            place += 4 * distance
            r += 4 * step
        if r < stop:
            a = combine(take(x, place, r, known), a)
        if r + step < stop:
            b = combine(take(x, place + distance, r + step, known), b)
        if r + 2 * step < stop:
            c = combine(take(x, place + 2 * distance, r + 2 * step, known), c)
        return combine(combine(d, c), combine(b, a))

    return run


@cache
def of_group(threads, combination):
    """A group of `threads` makes the results of one chunk of the rows of one a: of all columns, or
    of a strip of COLUMNS at most. The number of the chunk, from the first a's first on, and the
    thread's column; whether the result is this thread's to write; and the result."""
    groups, run = THREADS // threads, along(combination)
    begin, combine = combination.begin, combination.combine

    @helper
    def group(x, found, chunk, n_chunks, partial):
        """`partial` is (THREADS,) of shared memory."""
        rows, columns = x.shape[1], x.shape[2]
        q, thread = block_index() * groups + thread_index() // threads, thread_index() % threads
        a, part = divided(q, ceil_div(rows, chunk))
        a = min(a, x.shape[0] - 1)  # a group beyond the last works on it, and writes nothing
        first = part * chunk
        width = ceil_div(columns, ceil_div(columns, COLUMNS))
        strip = block_index_y() * width
        width = min(width, columns - strip)
        line, column = divided(thread, width)
        column += strip
        lines, stop = quotient(threads, width), min(first + chunk, rows)
        place = (a * rows + first) * columns + column
        start, known = begin(flat(x), found, place, a * columns + column)
        r = first + line if line < lines else stop
        partial[thread_index()] = run(
            flat(x), place + line * columns, lines * columns, r, lines, stop, start, known
        )
        while lines > 1:
            barrier()
            half = (lines + 1) // 2
            if line < lines - half:
                here = thread_index()
                partial[here] = combine(partial[here + half * width], partial[here])
            lines = half
        is_mine = q < n_chunks and line == 0
        return q, column, is_mine, partial[thread_index()]

    return group


@cache
def of_thread(combination):
    """The result number q of a thread that goes through a column by itself."""
    run, begin = along(combination), combination.begin

    @helper
    def column(x, found, q):
        rows, columns = x.shape[1], x.shape[2]
        a, b = divided(q, columns)
        place = a * rows * columns + b
        start, known = begin(flat(x), found, place, q)
        return run(flat(x), place, columns, 0, 1, rows, start, known)

    return column


@helper
def staged_place(i):
    return natural(i) + natural(i) // BANKS


@helper
def stage(x, i, end, staged, place):
    """staged[place] = x[i], if that is before `end`."""
    if i < end:
        staged[staged_place(place)] = x[natural(i)]


@cache
def of_small(combination):
    """The result of this thread, of those that a block stages x of: all elements of the a's that
    its THREADS results are of lie side by side."""
    begin, take, combine = combination.begin, combination.take, combination.combine

    @helper
    def small(x, found, n_results, staged):
        """`staged` is (STAGED,) of shared memory."""
        elements, rows, columns = flat(x), x.shape[1], x.shape[2]
        block, thread, size = block_index() * THREADS, thread_index(), rows * columns
        first = quotient(block, columns) * size
        end = (quotient(min(block + THREADS, n_results) - 1, columns) + 1) * size
        i, place = first + thread, thread
        while i + 3 * THREADS < end:
            one, two = elements[natural(i)], elements[natural(i + THREADS)]
            three, four = elements[natural(i + 2 * THREADS)], elements[natural(i + 3 * THREADS)]
            staged[staged_place(place)] = one
            staged[staged_place(place + THREADS)] = two
            staged[staged_place(place + 2 * THREADS)] = three
            staged[staged_place(place + 3 * THREADS)] = four
            i += 4 * THREADS
            place += 4 * THREADS
        stage(elements, i, end, staged, place)
        stage(elements, i + THREADS, end, staged, place + THREADS)
        stage(elements, i + 2 * THREADS, end, staged, place + 2 * THREADS)
        barrier()
        q = min(block + thread, n_results - 1)
        a, b = divided(q, columns)
        place, r = a * size + b - first, 0
        result, known = begin(staged, found, staged_place(place), q)
        while r < rows:
            result = combine(take(staged, staged_place(place), r, known), result)
            place += columns
            r += 1
        return result

    return small
