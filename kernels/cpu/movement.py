"""Elements taken by their place: every so many-th, or those that an array of indices names; and
their gradients, which put back."""

from ..declare import ANY, helper, kernel
from ..intrinsics import flat
from ..status import INDEX_OUT_OF_RANGE, lowest_place
from .loops import ROWS_OR_COLUMNS, broadcast_plan
from .simd.rows import clear
from .simd.transpose import transpose_tile
from .simd.vectors import LANES
from .threads import FLAT

# Threads share out the rows of a transpose in whole register tiles of every machine.
TRANSPOSE_ROWS = 16


@helper
def place_of_row(outer, start, row):
    """Where a row begins whose places in the outer dimensions are those of number `row`; `outer`:
    (extent, step) of each."""
    place = start
    for d in range(outer.shape[0] - 1, -1, -1):
        place += row % outer[d, 0] * outer[d, 1]
        row //= outer[d, 0]
    return place


@kernel(
    split=ROWS_OR_COLUMNS,
    dtypes=ANY,
    x="T[X]",
    outer="i8[D, E]",
    start="int",
    step="int",
    out="out T[R, C]",
)
def strided_copy(x, outer, start, step, out, row_start, row_stop, col_start, col_stop):
    """out[r, j] = x[place + j step], row r's place being where `outer` says, counted from `start`.
    Steps may be negative."""
    for r in range(row_stop - row_start):
        row, place = (
            out[row_start + r, col_start:col_stop],
            place_of_row(outer, start, row_start + r) + col_start * step,
        )
        if step == 1:
            source = x[place : place + row.size]
            for j in range(row.size):
                row[j] = source[j]
        else:
            for j in range(row.size):
                row[j] = x[place + j * step]


@kernel(
    split=ROWS_OR_COLUMNS, dy="T[R, C]", outer="i8[D, E]", start="int", step="int", dx="inout T[X]"
)
def strided_put(dy, outer, start, step, dx, row_start, row_stop, col_start, col_stop):
    """Its gradient, into zeros: dx[place + j step] = dy[r, j]. No two elements have one place."""
    for r in range(row_stop - row_start):
        row, place = (
            dy[row_start + r, col_start:col_stop],
            place_of_row(outer, start, row_start + r) + col_start * step,
        )
        if step == 1:
            target = dx[place : place + row.size]
            for j in range(row.size):
                target[j] = row[j]
        else:
            for j in range(row.size):
                dx[place + j * step] = row[j]


@kernel(split=[("n", FLAT)], x="out T[n]")
def zero(x, start, stop):
    """x = 0."""
    clear(x[start:stop])


@helper
def counted(index, extent):
    """An index counted from 0, for one that may be counted from the end; -1 for one that is out of
    range."""
    place = index + extent if index < 0 else index
    return place if 0 <= place < extent else -1


@helper
def row_offsets(outer, row):
    x_offset, y_offset = 0, 0
    for d in range(outer.shape[0] - 1, -1, -1):
        index = row % outer[d, 0]
        row //= outer[d, 0]
        x_offset += index * outer[d, 1]
        y_offset += index * outer[d, 2]
    return x_offset, y_offset


@kernel(
    split=ROWS_OR_COLUMNS,
    x="i8[X]",
    y="i8[Y]",
    outer="i8[D, E]",
    x_step="int",
    y_step="int",
    extent="int",
    z="out i8[R, C]",
)
def flat_index_kernel(
    x, y, outer, x_step, y_step, extent, z, row_start, row_stop, col_start, col_stop
):
    """z = x extent + y: of indices of two neighbouring dimensions, the second of this extent, those
    of both as one."""
    status = 0
    for i in range(row_start, row_stop):
        a, b = row_offsets(outer, i)
        for j in range(col_start, col_stop):
            place = counted(y[b + j * y_step], extent)
            if place < 0:
                status = lowest_place(status, INDEX_OUT_OF_RANGE, i * z.shape[1] + j)
                place = 0
            z[i, j] = x[a + j * x_step] * extent + place
    return status


def flat_index(call, x, y, z, *, extent):
    rows, steps, outer = broadcast_plan(call.constant, x.shape, y.shape)
    call(flat_index_kernel, x.flat(), y.flat(), outer, *steps, extent, z.view(rows))


@kernel(
    split=[("A", 1), ("M", 4)], dtypes=ANY, x="some T[A, S, B]", index="i8[M]", out="out T[A, M, B]"
)
def take(x, index, out, row_start, row_stop, col_start, col_stop):
    """out[a, m] = x[a, index[m]]."""
    status = 0
    for a in range(row_start, row_stop):
        for m in range(col_start, col_stop):
            row, place = out[a, m], counted(index[m], x.shape[1])
            if place < 0:
                status = lowest_place(status, INDEX_OUT_OF_RANGE, m)
                clear(row)
            elif row.size == 1:
                row[0] = x[a, place, 0]
            else:
                source = x[a, place]
                for j in range(row.size):
                    row[j] = source[j]
    return status


@kernel(split=[("A", 1), ("S", 4)], dy="T[A, M, B]", index="i8[M]", dx="out T[A, S, B]")
def take_gradient(dy, index, dx, row_start, row_stop, col_start, col_stop):
    """dx[a, s] = the sum of dy[a, m] where index[m] is s, in the order of m. Every thread looks at
    all indices and adds what belongs to rows of its own, so the sums do not depend on how many
    threads there are."""
    for a in range(row_start, row_stop):
        for s in range(col_start, col_stop):
            clear(dx[a, s])
        for m in range(dy.shape[1]):
            place = counted(index[m], dx.shape[1])
            if col_start <= place < col_stop and dx.shape[2] == 1:
                dx[a, place, 0] += dy[a, m, 0]
            elif col_start <= place < col_stop:
                row, above = dx[a, place], dy[a, m]
                for j in range(row.size):
                    row[j] += above[j]


@kernel(split=[("N", TRANSPOSE_ROWS)], x="T[M, N]", out="out T[N, M]")
def transpose_matrix(x, out, start, stop):
    """out = x^T. Tiles in registers; the threads share out the rows of `out`."""
    rows, columns = x.shape
    for j in range(start, stop, LANES):
        for i in range(0, rows, LANES):
            source, target = (flat(x), i * columns + j, columns), (flat(out), j * rows + i, rows)
            transpose_tile(source, target, min(LANES, rows - i), min(LANES, stop - j))
