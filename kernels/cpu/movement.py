"""Elements moved without computing: copies, slices and transposes, rows that an array of indices
names; and their gradients, which put back.

    slice_copy   y = x[key]                 dx = 0, dx[key] = dy
    transpose    y = x, axes in any order   dx = dy, axes back
    concatenate  y = pieces, side by side   dx = slices of dy
    slice_update y = x, y[key] = values     dx = dy, dx[key] = 0; dvalues = dy[key]
    take         y[a, m] = x[a, index[m]]   dx[a, s] = sum of dy[a, m] over m with index[m] = s
    gather       batch[i] = source[order[cursor + i]]
"""

from functools import lru_cache
from math import prod

from .. import places
from ..declare import ANY, T, helper, kernel
from ..intrinsics import flat
from ..places import around, counted
from ..status import INDEX_OUT_OF_RANGE, lowest_place
from .loops import ROWS_OR_COLUMNS, cast_from
from .simd.rows import clear, row_copy, row_prefetch, streaming_row_copy
from .simd.transpose import transpose_tile
from .simd.vectors import LANES
from .threads import ELEMENT_GRAIN, HALF_L2_ELEMENTS, ROW_GRAIN

TRANSPOSE_ROW_GRAIN = 16  # whole register tiles of every machine
PREFETCH_ROWS = 8  # gathered rows that are prefetched: their order is not detected by hardware
MASKED_COPY_MAX_COLUMNS = 32  # of longer rows a plain loop is faster than one with a masked tail


@kernel(split=[("n", ELEMENT_GRAIN)], dtypes=ANY, x="T[n]", y="out T[n]")
def copy(x, y, start, stop):
    """y = x."""
    x, y = x[start:stop], y[start:stop]
    for i in range(y.size):
        y[i] = x[i]


@kernel(split=[("n", ELEMENT_GRAIN)], x="T[n]", y="out T[n]")
def streaming_copy(x, y, start, stop):
    """y = x, by streaming stores: a tile of a fusion group goes from L1 to memory."""
    streaming_row_copy(x[start:stop], y[start:stop])


@kernel(split=[("n", ELEMENT_GRAIN)], dtypes=ANY, x="out T[n]")
def zero(x, start, stop):
    """x = 0."""
    clear(x[start:stop])


@helper
def row_place(outer, start, row):
    """Where row number `row` begins, counted from `start`; outer: (extent, step) of each dimension
    but the last."""
    place = start
    for d in range(outer.shape[0] - 1, -1, -1):
        place += row % outer[d, 0] * outer[d, 1]
        row //= outer[d, 0]
    return place


@helper
def equal_steps(outer, row, stop):
    """How many rows from `row` on, before `stop`, are one step apart, and that step: only the first
    of them needs `row_place`, whose divisions take longer than the copy of a short row."""
    last = outer.shape[0] - 1
    if last < 0:
        return stop - row, 0
    return min(stop - row, outer[last, 0] - row % outer[last, 0]), outer[last, 1]


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
    """out[r, j] = x[row_place(outer, start, r) + j step]. Steps may be negative."""
    r = row_start
    while r < row_stop:
        count, row_step = equal_steps(outer, r, row_stop)
        place = row_place(outer, start, r) + col_start * step
        for n in range(count):
            row = out[r + n, col_start:col_stop]
            if step == 1:
                source = x[place : place + row.size]
                for j in range(row.size):
                    row[j] = source[j]
            elif step == 0:
                value = x[place]
                for j in range(row.size):
                    row[j] = value
            else:
                for j in range(row.size):
                    row[j] = x[place + j * step]
            place += row_step
        r += count


@kernel(
    split=ROWS_OR_COLUMNS,
    dtypes=ANY,
    dy="T[R, C]",
    outer="i8[D, E]",
    start="int",
    step="int",
    dx="inout T[X]",
)
def strided_put(dy, outer, start, step, dx, row_start, row_stop, col_start, col_stop):
    """dx[row_place(outer, start, r) + j step] = dy[r, j]: no two elements have one place."""
    r = row_start
    while r < row_stop:
        count, row_step = equal_steps(outer, r, row_stop)
        place = row_place(outer, start, r) + col_start * step
        for n in range(count):
            row = dy[r + n, col_start:col_stop]
            if step == 1:
                target = dx[place : place + row.size]
                for j in range(row.size):
                    target[j] = row[j]
            else:
                for j in range(row.size):
                    dx[place + j * step] = row[j]
            place += row_step
        r += count


@kernel(split=[("n", ELEMENT_GRAIN)], dtypes=ANY, x="T[m]", place="int", out="inout T[n]")
def put_range(x, place, out, start, stop):
    """out[place + i] = x[i]. Threads divide `out`, so pieces put into it one after another need no
    barrier between them."""
    first, last = max(start, place), min(stop, place + x.size)
    if first < last:
        source, target = x[first - place : last - place], out[first:last]
        for j in range(target.size):
            target[j] = source[j]


@kernel(split=[("R", ROW_GRAIN)], dtypes=ANY, x="T[R, C]", column="int", out="inout T[R, K]")
def put_columns(x, column, out, start, stop):
    """out[r, column + j] = x[r, j]."""
    columns = x.shape[1]
    if columns == 1:
        source = flat(x)
        for r in range(start, stop):
            out[r, column] = source[r]
    else:
        for r in range(start, stop):
            source, target = x[r], out[r, column : column + columns]
            if columns < MASKED_COPY_MAX_COLUMNS:
                row_copy(source, target)
            else:
                for j in range(target.size):
                    target[j] = source[j]


@kernel(split=[("N", TRANSPOSE_ROW_GRAIN)], x="T[M, N]", out="out T[N, M]")
def transpose_matrix(x, out, start, stop):
    """out = x^T, by register tiles."""
    rows, columns = x.shape
    for j in range(start, stop, LANES):
        for i in range(0, rows, LANES):
            source, target = (flat(x), i * columns + j, columns), (flat(out), j * rows + i, rows)
            transpose_tile(source, target, min(LANES, rows - i), min(LANES, stop - j))


@kernel(split=[("n", ELEMENT_GRAIN)], x="i8[n]", y="i8[n]", extent="int", z="out i8[n]")
def flat_index_elements(x, y, extent, z, start, stop):
    """z = x extent + y: two indices of neighbouring dimensions, of which the second has this
    extent, as one index of both as one dimension."""
    status = 0
    for i in range(start, stop):
        place = counted(y[i], extent)
        if place < 0:
            status = lowest_place(status, INDEX_OUT_OF_RANGE, i)
            place = 0
        z[i] = x[i] * extent + place
    return status


@kernel(
    split=[("A", 1), ("M", ROW_GRAIN)],
    dtypes=ANY,
    x="some T[A, S, B]",
    index="i8[M]",
    out="out T[A, M, B]",
)
def take_rows(x, index, out, row_start, row_stop, col_start, col_stop):
    """out[a, m] = x[a, index[m]]."""
    status, extent = 0, x.shape[1]
    if x.shape[2] == 1:
        source, target = flat(x), flat(out)
        for a in range(row_start, row_stop):
            for m in range(col_start, col_stop):
                place = counted(index[m], extent)
                if place < 0:
                    status = lowest_place(status, INDEX_OUT_OF_RANGE, m)
                    target[a * index.size + m] = T(0)
                else:
                    target[a * index.size + m] = source[a * extent + place]
        return status
    for a in range(row_start, row_stop):
        for m in range(col_start, col_stop):
            row, place = out[a, m], counted(index[m], extent)
            if place < 0:
                status = lowest_place(status, INDEX_OUT_OF_RANGE, m)
                clear(row)
            elif row.size < MASKED_COPY_MAX_COLUMNS:
                row_copy(x[a, place], row)
            else:
                if x.size > HALF_L2_ELEMENTS and m + PREFETCH_ROWS < index.size:
                    ahead = counted(index[m + PREFETCH_ROWS], extent)
                    row_prefetch(x[a, max(ahead, 0)])
                source = x[a, place]
                for j in range(row.size):
                    row[j] = source[j]
    return status


@kernel(
    split=[("N", ROW_GRAIN)],
    dtypes=ANY,
    source="some T[S, F]",
    order="some i8[S]",
    cursor="i8[s]",
    batch="out T[N, F]",
)
def gather_rows(source, order, cursor, batch, start, stop):
    """batch[i] = source[order[cursor + i]]."""
    status, elements, column = 0, flat(source), flat(batch)
    for i in range(start, stop):
        place = cursor[0] + i
        row = order[place] if 0 <= place < order.size else -1
        if row < 0 or row >= source.shape[0]:
            status = lowest_place(status, INDEX_OUT_OF_RANGE, i)
            row = 0
        if batch.shape[1] == 1:
            column[i] = elements[row]
        elif batch.shape[1] < MASKED_COPY_MAX_COLUMNS:
            row_copy(source[row], batch[i])
        else:
            following = place + PREFETCH_ROWS
            if source.size > HALF_L2_ELEMENTS and 0 <= following < order.size:
                row_prefetch(source[min(max(order[following], 0), source.shape[0] - 1)])
            from_row, to_row = source[row], batch[i]
            for j in range(to_row.size):
                to_row[j] = from_row[j]
    return status


# ---- launchers


def cast(call, x, out, *, dtype):
    """out = x, as elements of another type, or copied."""
    same = x.dtype == out.dtype
    call(copy if same else cast_from(x.dtype.str[1:]), x.flat(), out.flat())


# A walk (`places`) as kernels take it: (rows, columns) of what is copied; the table, made by
# `constant`; the place of the first element; the step from column to column.


@lru_cache(maxsize=1024)
def _walk(constant, walk, *given):
    rows, table, start, step = walk(*given)
    return rows, constant(table), start, step


def slice_copy(call, x, out, *, key):
    rows, outer, start, step = _walk(call.constant, places.sliced, x.shape, places.hashable(key))
    call(strided_copy, x.flat(), outer, start, step, out.view(rows))


def split(call, x, *pieces, keys, axis):
    for key, piece in zip(keys, pieces, strict=True):
        slice_copy(call, x, piece, key=key)


def slice_gradient(call, dy, dx, *, shape, key):
    rows, outer, start, step = _walk(call.constant, places.sliced, shape, places.hashable(key))
    call(zero, dx.flat())
    call(strided_put, dy.view(rows), outer, start, step, dx.flat())


def slice_update(call, x, values, out, *, key):
    rows, outer, start, step = _walk(call.constant, places.sliced, x.shape, places.hashable(key))
    call(copy, x.flat(), out.flat())
    call(strided_put, values.view(rows), outer, start, step, out.flat())


def broadcast_to(call, x, out, *, shape):
    rows, outer, start, step = _walk(call.constant, places.broadcast, x.shape, out.shape)
    call(strided_copy, x.flat(), outer, start, step, out.view(rows))


def zeros(call, out, *, shape, dtype):
    call(zero, out.flat())


def concatenate(call, *pieces_and_out, axis=0):
    *pieces, out = pieces_and_out
    outer, extent, inner = around(out.shape, axis)
    place = 0
    for x in pieces:
        columns = x.shape[axis] * inner
        if outer == 1:
            call(put_range, x.flat(), place, out.flat())
        else:
            call(put_columns, x.view((outer, columns)), place, out.view((outer, extent * inner)))
        place += columns


def transpose(call, x, out, *, axes=None):
    axes = places.transpose_axes(len(x.shape), axes)
    if axes == (1, 0) and x.dtype.kind == "f":
        call(transpose_matrix, x, out)
    else:
        rows, outer, start, step = _walk(call.constant, places.transposed, x.shape, axes)
        call(strided_copy, x.flat(), outer, start, step, out.view(rows))


def flat_index(call, x, y, z, *, extent):
    found = []
    for index in (x, y):
        if index.shape != z.shape:
            rows, outer, start, step = _walk(call.constant, places.broadcast, index.shape, z.shape)
            whole = call.scratch(z.shape, z.dtype)
            call(strided_copy, index.flat(), outer, start, step, whole.view(rows))
            index = whole
        found.append(index.flat())
    call(flat_index_elements, *found, extent, z.flat())


def take(call, x, index, out, *, axis=None):
    outer, extent, inner = around(x.shape, axis)
    call(
        take_rows,
        x.view((outer, extent, inner)),
        index.flat(),
        out.view((outer, prod(index.shape), inner)),
    )


def _rows(x):
    return x.view((x.shape[0], prod(x.shape[1:])))


def gather(call, source, order, cursor, batch, *, rows):
    call(gather_rows, _rows(source), order, cursor, _rows(batch))
