"""The gradient of a table of which few rows were taken, as those rows, and rows put back.

    combine_rows   total[n] = sum of dy[m] over m with index[m] = index[n], at the first such n;
                   rows[n] = index[n] there, and -1 where the row was met before
    put_rows       table[rows[n]] = values[n] where rows[n] is not -1

A row met several times is added up in the order of the indices by the thread whose row it is, so
sums do not depend on the number of threads, and nothing is sorted. `owner` says of each row of the
table where it was met first; it is never cleared, for what it says counts only if it lies before
the present n and the row was met there: nothing but this call can have written that.
"""

from math import prod

from ..declare import kernel
from ..places import counted
from .simd.rows import clear, row_prefetch
from .threads import HALF_L2_ELEMENTS, ROW_GRAIN

PREFETCH_ROWS = 8


@kernel(
    split=[("V", ROW_GRAIN)],
    index="i8[N]",
    dy="T[N, D]",
    owner="inout i8[V]",
    total="inout T[N, D]",
    rows="inout i8[N]",
)
def combine(index, dy, owner, total, rows, start, stop):
    """Every thread reads all indices, and adds up rows of its own."""
    for n in range(index.size):
        row = counted(index[n], owner.size)
        if start <= row < stop:
            first = owner[row]
            own, target = dy[n], total[n]
            if 0 <= first < n and counted(index[first], owner.size) == row:
                rows[n] = -1
                clear(target)
                target = total[first]
                for j in range(own.size):
                    target[j] += own[j]
            else:
                rows[n] = row
                owner[row] = n
                for j in range(own.size):
                    target[j] = own[j]


@kernel(split=[("N", ROW_GRAIN)], rows="i8[N]", values="T[N, D]", table="inout T[V, D]")
def put(rows, values, table, start, stop):
    """Each row is put by one thread: no number but -1 stands twice in `rows`."""
    for n in range(start, stop):
        if rows[n] >= 0:
            if table.size > HALF_L2_ELEMENTS and n + PREFETCH_ROWS < rows.size:
                row_prefetch(table[max(rows[n + PREFETCH_ROWS], 0)])
            target, own = table[rows[n]], values[n]
            for j in range(own.size):
                target[j] = own[j]


# ---- launchers


def combine_rows(call, index, dy, total, rows, *, extent):
    shape = prod(index.shape), prod(dy.shape[len(index.shape) :])
    owner = call.scratch((extent,), rows.dtype)
    call(combine, index.flat(), dy.view(shape), owner, total.view(shape), rows.flat())


def put_rows(call, rows, values, table):
    columns = prod(table.shape[1:])
    call(put, rows, values.view((rows.size, columns)), table.view((table.shape[0], columns)))
