"""The gradient of a table of which few rows were taken, as those rows, and rows put back.

    combine_rows   total[n] = sum of dy[m] over m with index[m] = index[n], at the first such n;
                   rows[n] = index[n] there, and -1 where the row was met before
    put_rows       table[rows[n]] = values[n] where rows[n] is not -1

A thread looks through the indices for those of its own row, in their order: a sum does not depend
on the grid, and time grows with the square of the number of indices (the CPU's with the number).
"""

from math import prod

from ..declare import T, kernel
from ..places import counted
from .grid import block_index, quotient, thread_index

THREADS = 256


@kernel(split=[("N", THREADS)], threads=THREADS, index="i8[N]", extent="int", rows="out i8[N]")
def first_met(index, extent, rows):
    """rows[n] = index[n], counted from 0, where it is met first; -1 elsewhere."""
    n = block_index() * THREADS + thread_index()
    if n < rows.size:
        row, m = counted(index[n], extent), 0
        while counted(index[m], extent) != row:
            m += 1
        rows[n] = row if m == n else -1


@kernel(
    split=[("n", THREADS)],
    threads=THREADS,
    index="i8[N]",
    rows="i8[N]",
    dy="T[n]",
    extent="int",
    columns="int",
    total="out T[n]",
)
def combine(index, rows, dy, extent, columns, total):
    """A thread has an element of total."""
    i = block_index() * THREADS + thread_index()
    if i < total.size:
        n = quotient(i, columns)
        row, column, value = rows[n], i - n * columns, T(0)
        if row >= 0:
            value = dy[i]
            m = n + 1
            while m < index.size:
                if counted(index[m], extent) == row:
                    value += dy[m * columns + column]
                m += 1
        total[i] = value


@kernel(
    split=[("n", THREADS)],
    threads=THREADS,
    rows="i8[N]",
    values="T[n]",
    columns="int",
    table="inout T[v]",
)
def put(rows, values, columns, table):
    """A thread has an element of values."""
    i = block_index() * THREADS + thread_index()
    if i < values.size:
        n = quotient(i, columns)
        if rows[n] >= 0:
            table[rows[n] * columns + i - n * columns] = values[i]


# ---- launchers


def combine_rows(call, index, dy, total, rows, *, extent):
    columns = prod(dy.shape[len(index.shape) :])
    call(first_met, index.flat(), extent, rows.flat())
    call(combine, index.flat(), rows.flat(), dy.flat(), extent, columns, total.flat())


def put_rows(call, rows, values, table):
    call(put, rows, values.flat(), prod(table.shape[1:]), table.flat())
