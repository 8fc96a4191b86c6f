"""Rows put where an array of indices says.

scatter         y = x, then y[index[m]] = formula(y[index[m]], updates[m]) for each m in turn
take_gradient   dx[a, s] = sum of dy[a, m] over m with index[m] = s
"""

from functools import cache
from math import prod

from ..declare import kernel
from ..places import around, counted
from ..status import INDEX_OUT_OF_RANGE, lowest_place
from .movement import copy
from .simd.rows import clear
from .threads import ROW_GRAIN


@kernel(split=[("A", 1), ("S", ROW_GRAIN)], dy="T[A, M, B]", index="i8[M]", dx="out T[A, S, B]")
def scatter_add_rows(dy, index, dx, row_start, row_stop, col_start, col_stop):
    """dx[a, s] = sum of dy[a, m] over m with index[m] = s, in the order of m. Every thread reads
    all indices and adds what belongs to rows of its own, so the sums do not depend on the number of
    threads."""
    for a in range(row_start, row_stop):
        for s in range(col_start, col_stop):
            clear(dx[a, s])
        for m in range(dy.shape[1]):
            place = counted(index[m], dx.shape[1])
            if col_start <= place < col_stop and dx.shape[2] == 1:
                dx[a, place, 0] += dy[a, m, 0]
            elif col_start <= place < col_stop:
                row, dy_row = dx[a, place], dy[a, m]
                for j in range(row.size):
                    row[j] += dy_row[j]


@cache
def scatter_rows(formula):
    """The kernel of a formula of two numbers."""
    combine = formula.function

    @kernel(
        split=[("S", ROW_GRAIN)],
        dtypes=formula.dtypes,
        name=f"scatter_{formula.name}",
        updates="T[M, B]",
        index="i8[M]",
        y="inout T[S, B]",
    )
    def kernel_of(updates, index, y, start, stop):
        """Every thread reads all indices and puts what belongs to rows of its own, in the order of
        m: the result does not depend on the number of threads."""
        status = 0
        for m in range(index.size):
            place = counted(index[m], y.shape[0])
            if place < 0:
                status = lowest_place(status, INDEX_OUT_OF_RANGE, m)
            elif start <= place < stop:
                row, own = y[place], updates[m]
                for j in range(row.size):
                    row[j] = combine(row[j], own[j])
        return status

    return kernel_of


# ---- launchers


def take_gradient(call, index, dy, dx, *, shape, axis):
    outer, extent, inner = around(shape, axis)
    call(
        scatter_add_rows,
        dy.view((outer, prod(index.shape), inner)),
        index.flat(),
        dx.view((outer, extent, inner)),
    )


def scatter(formula):
    """The launcher of a formula."""
    put = scatter_rows(formula)

    def launch(call, x, index, updates, y):
        rows, columns = x.shape[0], prod(x.shape[1:])
        call(copy, x.flat(), y.flat())
        call(put, updates.view((index.shape[0], columns)), index, y.view((rows, columns)))

    return launch
