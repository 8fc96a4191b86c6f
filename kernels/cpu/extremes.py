"""The largest and smallest element over any axes, and where they stand.

    last      out[a] = the extreme over r of x[a, r], or the first r at which it stands, or NaN
    middle    out[a, b] = the same of x[a, r, b]

An extreme is NaN if an element is: it is made by `maximum` or `minimum` of kernels/scalar/. The
gradient is made of other ops.
"""

from functools import cache

from ..declare import ANY, helper, kernel
from ..intrinsics import as_read, stack_array
from ..reduction_passes import axes_of, passes
from .reduce import Reduction, in_passes
from .threads import ELEMENT_GRAIN, ROW_GRAIN


@cache
def extreme_of_row(function):
    """The extreme of a row, by maximum(x, y) or minimum(x, y)."""

    def side_by_side(width):
        @helper
        def of_row(x):
            """`width` independent accumulators: comparisons with one alone would be one dependency
            chain, and not vectorised."""
            several = stack_array(x[0], width)
            for j in range(width):
                several[j] = x[j]
            for start in range(width, x.size - width + 1, width):
                part = x[start : start + width]
                for j in range(width):
                    several[j] = function(part[j], as_read(several[j]))
            tail = x[x.size // width * width :]
            for j in range(tail.size):
                several[j] = function(tail[j], as_read(several[j]))
            half = width // 2
            while half >= 8:
                low, high = several[:half], several[half : 2 * half]
                for j in range(half):
                    low[j] = function(high[j], as_read(low[j]))
                half //= 2
            found = several[0]
            for j in range(1, 8):
                found = function(several[j], found)
            return found

        return of_row

    of_short_row, of_long_row = side_by_side(16), side_by_side(ELEMENT_GRAIN)

    @helper
    def of_row(x):
        if x.size >= 4 * ELEMENT_GRAIN:
            return of_long_row(x)
        if x.size >= 16:
            return of_short_row(x)
        found = x[0]
        for j in range(1, x.size):
            found = function(x[j], found)
        return found

    return of_row


@cache
def extreme_kernels(function):
    """The reduction by maximum(x, y) or minimum(x, y)."""

    of_row = extreme_of_row(function)

    @helper
    def of_rows(x, found):
        """found[j] = the extreme over rows of x[i, j]."""
        first = x[0]
        for j in range(found.size):
            found[j] = first[j]
        for i in range(1, x.shape[0]):
            row = x[i]
            for j in range(found.size):
                found[j] = function(row[j], as_read(found[j]))

    @kernel(
        split=[("A", ROW_GRAIN)],
        dtypes=ANY,
        name=f"{function.name}_last",
        x="T[A, R]",
        out="out T[A]",
    )
    def last(x, out, start, stop):
        """out = the extreme of each row."""
        for a in range(start, stop):
            out[a] = of_row(x[a])

    @kernel(
        split=[("A", 1), ("B", ELEMENT_GRAIN)],
        dtypes=ANY,
        name=f"{function.name}_middle",
        x="T[A, R, B]",
        out="out T[A, B]",
    )
    def middle(x, out, row_start, row_stop, col_start, col_stop):
        """out[a, b] = the extreme over r of x[a, r, b]."""
        for a in range(row_start, row_stop):
            of_rows(x[a, :, col_start:col_stop], out[a, col_start:col_stop])

    @kernel(
        split=[("P", 1)],
        dtypes=ANY,
        name=f"{function.name}_of_chunks",
        x="T[n]",
        chunk="int",
        partial="out T[P]",
    )
    def chunks(x, chunk, partial, start, stop):
        for p in range(start, stop):
            partial[p] = of_row(x[p * chunk : min((p + 1) * chunk, x.size)])

    @kernel(
        split=[("P", 1)],
        dtypes=ANY,
        name=f"{function.name}_of_row_chunks",
        x="T[R, B]",
        chunk="int",
        partial="out T[P, B]",
    )
    def row_chunks(x, chunk, partial, start, stop):
        for p in range(start, stop):
            of_rows(x[p * chunk : min((p + 1) * chunk, x.shape[0])], partial[p])

    return Reduction(last, middle, chunks, row_chunks)


@cache
def place_kernels(function):
    """Where the extreme by maximum(x, y) or minimum(x, y) of a row, and of columns, stands first,
    or the first NaN."""
    of_row = extreme_of_row(function)

    @kernel(
        split=[("A", ROW_GRAIN)],
        dtypes=ANY,
        name=f"place_of_{function.name}_last",
        x="T[A, R]",
        out="out i8[A]",
    )
    def last(x, out, start, stop):
        """The extreme is found first, many elements at a time, then where it is, ELEMENT_GRAIN
        elements at a time. If there is a NaN, the extreme is NaN and equal to nothing."""
        for a in range(start, stop):
            row, place = x[a], 0
            extreme = of_row(row)
            while place + ELEMENT_GRAIN <= row.size:
                part, is_here = row[place : place + ELEMENT_GRAIN], False
                for j in range(ELEMENT_GRAIN):
                    is_here = is_here | (part[j] == extreme) | (part[j] != part[j])
                if is_here:
                    break
                place += ELEMENT_GRAIN
            while row[place] != extreme and row[place] == row[place]:
                place += 1
            out[a] = place

    @kernel(
        split=[("A", 1), ("B", ELEMENT_GRAIN)],
        dtypes=ANY,
        name=f"place_of_{function.name}_middle",
        x="T[A, R, B]",
        out="out i8[A, B]",
    )
    def middle(x, out, row_start, row_stop, col_start, col_stop):
        for a in range(row_start, row_stop):
            for strip_start in range(col_start, col_stop, ELEMENT_GRAIN):
                strip_stop = min(strip_start + ELEMENT_GRAIN, col_stop)
                rows, place = x[a, :, strip_start:strip_stop], out[a, strip_start:strip_stop]
                extreme = stack_array(x[0, 0, 0], ELEMENT_GRAIN)
                for j in range(place.size):
                    extreme[j] = rows[0, j]
                    place[j] = 0
                for r in range(1, rows.shape[0]):
                    row = rows[r]
                    for j in range(place.size):
                        found, before = function(row[j], as_read(extreme[j])), as_read(extreme[j])
                        is_new = (found != before) & (before == before)
                        place[j] = r if is_new else as_read(place[j])
                        extreme[j] = found

    return last, middle


# ---- launchers


def extreme(function):
    """The launcher of the largest or smallest element: by maximum or minimum."""
    kernels = extreme_kernels(function)

    def launch(call, x, out, *, axis=None, keepdims=False):
        in_passes(call, kernels, x, out, axes_of(x.shape, axis))

    return launch


def place_of_extreme(function):
    """The launcher of where the extreme stands: by maximum or minimum."""
    last, middle = place_kernels(function)

    def launch(call, x, out, *, axis=None, keepdims=False):
        ((outer, reduced, inner),) = passes(x.shape, axes_of(x.shape, axis))
        if inner == 1:
            call(last, x.view((outer, reduced)), out.view((outer,)))
        else:
            call(middle, x.view((outer, reduced, inner)), out.view((outer, inner)))

    return launch
