"""Elements moved without computing: copies, slices and transposes, rows that an array of indices
names; and their gradients, which put back.

    slice_copy   y = x[key]                 dx = 0, dx[key] = dy
    transpose    y = x, axes in any order   dx = dy, axes back
    concatenate  y = pieces, side by side   dx = slices of dy
    slice_update y = x, y[key] = values     dx = dy, dx[key] = 0; dvalues = dy[key]
    take         y[a, m] = x[a, index[m]]   dx[a, s] = sum of dy[a, m] over m with index[m] = s
    gather       batch[i] = source[order[cursor + i]]

Threads go through the result element by element, neighbours through neighbours. Where rows are
whole vectors of 16 bytes, a thread moves one at a time: `unit` is how many elements that is, else
1.
"""

from functools import cache, lru_cache
from math import prod

import numpy as np

from .. import places
from ..declare import ANY, T, helper, intrinsic, kernel
from ..intrinsics import flat
from ..places import around, counted
from ..status import INDEX_OUT_OF_RANGE, lowest_place
from .grid import (
    VECTOR,
    VECTOR_BYTES,
    block_index,
    is_aligned,
    on_a_gpu,
    quotient,
    thread_index,
)
from .loops import broadcast_plan
from .transpose import tiles_of, transpose_tiles

THREADS = 256
BLOCK_ELEMENTS = 2048  # of the result: of float32, two vectors a thread
FLAT = [("n", BLOCK_ELEMENTS)]
WORD = np.dtype("int32")


@intrinsic("void <- any int any int")
def move_vector(x, x_place, y, y_place):
    """The 16 bytes of y from y_place on = those of x from x_place on, of any element type; both at
    a multiple of 16 bytes."""
    on_a_gpu(x, x_place, y, y_place)


@move_vector.lowering
def _(emitter, x, x_place, y, y_place):
    loaded = emitter.builder.load(_vector(emitter, x, emitter.kinds[0], x_place))
    stored = emitter.builder.store(loaded, _vector(emitter, y, emitter.kinds[2], y_place))
    loaded.align = stored.align = VECTOR_BYTES


@intrinsic("void <- any int")
def clear_vector(y, place):
    """The 16 bytes of y from `place` on = 0, at a multiple of 16 bytes."""
    on_a_gpu(y, place)


@clear_vector.lowering
def _(emitter, y, place):
    target = _vector(emitter, y, emitter.kinds[0], place)
    zeros = target.type.pointee([0] * (VECTOR_BYTES // 4))
    emitter.builder.store(zeros, target).align = VECTOR_BYTES


def _vector(emitter, x, kind, place):
    """The address of 16 bytes, as four words."""
    address = emitter.builder.gep(emitter.array(x, kind)[0], [place])
    return emitter.builder.bitcast(address, emitter.words(VECTOR_BYTES // 4).as_pointer())


@helper
def move(x, place, y, i, unit):
    """`unit` elements of y from i on = those of x from `place` on."""
    if unit == 1:
        y[i] = x[place]
    else:
        move_vector(x, place, y, i)


@kernel(split=FLAT, threads=THREADS, dtypes=ANY, x="T[n]", y="out T[n]")
def copy(x, y):
    """y = x."""
    start = block_index() * BLOCK_ELEMENTS
    end = min(start + BLOCK_ELEMENTS, y.size)
    if is_aligned(x) and is_aligned(y):
        i = start + thread_index() * VECTOR
        while i + VECTOR <= end:
            move_vector(x, i, y, i)
            i += THREADS * VECTOR
        start = end - end % VECTOR
    i = start + thread_index()
    while i < end:
        y[i] = x[i]
        i += THREADS


@kernel(split=FLAT, threads=THREADS, dtypes=ANY, x="out T[n]")
def zero(x):
    """x = 0."""
    start = block_index() * BLOCK_ELEMENTS
    end = min(start + BLOCK_ELEMENTS, x.size)
    if is_aligned(x):
        i = start + thread_index() * VECTOR
        while i + VECTOR <= end:
            clear_vector(x, i)
            i += THREADS * VECTOR
        start = end - end % VECTOR
    i = start + thread_index()
    while i < end:
        x[i] = T(0)
        i += THREADS


@cache
def cast_from(letter):
    """y = x, of another element type."""

    @kernel(
        split=FLAT,
        threads=THREADS,
        dtypes=tuple(other for other in ANY if other != letter),
        name=f"cast_from_{letter}",
        x=f"{letter}[n]",
        y="out T[n]",
    )
    def pointwise(x, y):
        i = block_index() * BLOCK_ELEMENTS + thread_index()
        end = min(block_index() * BLOCK_ELEMENTS + BLOCK_ELEMENTS, y.size)
        while i < end:
            y[i] = x[i]
            i += THREADS

    return pointwise


@helper
def row_place(outer, start, row):
    """Where row number `row` begins, counted from `start`; outer: (extent, step) of each dimension
    but the last."""
    place, d = start, outer.shape[0] - 1
    while d > 0:
        above = quotient(row, outer[d, 0])
        place += (row - above * outer[d, 0]) * outer[d, 1]
        row = above
        d -= 1
    return place + row * outer[0, 1] if outer.shape[0] > 0 else place


@kernel(
    split=FLAT,
    threads=THREADS,
    dtypes=ANY,
    x="T[X]",
    outer="i8[D, E]",
    start="int",
    step="int",
    columns="int",
    unit="int",
    out="out T[n]",
)
def strided_copy(x, outer, start, step, columns, unit, out):
    """out[r, j] = x[row_place(outer, start, r) + j step]. Steps may be negative."""
    unit = unit if is_aligned(x) and is_aligned(out) else 1
    i = block_index() * BLOCK_ELEMENTS + thread_index() * unit
    end = min(block_index() * BLOCK_ELEMENTS + BLOCK_ELEMENTS, out.size)
    while i < end:
        r = quotient(i, columns)
        move(x, row_place(outer, start, r) + (i - r * columns) * step, out, i, unit)
        i += THREADS * unit


@kernel(
    split=FLAT,
    threads=THREADS,
    dtypes=ANY,
    dy="T[n]",
    outer="i8[D, E]",
    start="int",
    step="int",
    columns="int",
    unit="int",
    dx="inout T[X]",
)
def strided_put(dy, outer, start, step, columns, unit, dx):
    """dx[row_place(outer, start, r) + j step] = dy[r, j]: no two elements have one place."""
    unit = unit if is_aligned(dy) and is_aligned(dx) else 1
    i = block_index() * BLOCK_ELEMENTS + thread_index() * unit
    end = min(block_index() * BLOCK_ELEMENTS + BLOCK_ELEMENTS, dy.size)
    while i < end:
        r = quotient(i, columns)
        move(dy, i, dx, row_place(outer, start, r) + (i - r * columns) * step, unit)
        i += THREADS * unit


@kernel(
    split=FLAT,
    threads=THREADS,
    dtypes=ANY,
    x="T[n]",
    columns="int",
    column="int",
    width="int",
    unit="int",
    out="inout T[K]",
)
def put_columns(x, columns, column, width, unit, out):
    """out[r, column + j] = x[r, j], of rows of `columns` and of `width`."""
    unit = unit if is_aligned(x) and is_aligned(out) else 1
    i = block_index() * BLOCK_ELEMENTS + thread_index() * unit
    end = min(block_index() * BLOCK_ELEMENTS + BLOCK_ELEMENTS, x.size)
    while i < end:
        r = quotient(i, columns)
        move(x, i, out, r * width + column + i - r * columns, unit)
        i += THREADS * unit


@kernel(
    split=FLAT,
    threads=THREADS,
    x="i8[X]",
    y="i8[Y]",
    columns="int",
    outer="i8[D, E]",
    x_step="int",
    y_step="int",
    extent="int",
    z="out i8[n]",
)
def flat_index_elements(x, y, columns, outer, x_step, y_step, extent, z):
    """z = x extent + y, which broadcast: two indices of neighbouring dimensions, of which the
    second has this extent, as one index of both as one dimension."""
    status, i = 0, block_index() * BLOCK_ELEMENTS + thread_index()
    end = min(block_index() * BLOCK_ELEMENTS + BLOCK_ELEMENTS, z.size)
    while i < end:
        r = quotient(i, columns)
        x_place, y_place = (i - r * columns) * x_step, (i - r * columns) * y_step
        d = outer.shape[0] - 1
        while d >= 0:
            above = quotient(r, outer[d, 0])
            x_place += (r - above * outer[d, 0]) * outer[d, 1]
            y_place += (r - above * outer[d, 0]) * outer[d, 2]
            r = above
            d -= 1
        place = counted(y[y_place], extent)
        if place < 0:
            status = lowest_place(status, INDEX_OUT_OF_RANGE, i)
            place = 0
        z[i] = x[x_place] * extent + place
        i += THREADS
    return status


@kernel(
    split=FLAT,
    threads=THREADS,
    dtypes=ANY,
    x="some T[A, S, B]",
    index="i8[M]",
    unit="int",
    out="out T[n]",
)
def take_rows(x, index, unit, out):
    """out[a, m] = x[a, index[m]]."""
    unit = unit if is_aligned(x) and is_aligned(out) else 1
    source, extent, columns, status = flat(x), x.shape[1], x.shape[2], 0
    i = block_index() * BLOCK_ELEMENTS + thread_index() * unit
    end = min(block_index() * BLOCK_ELEMENTS + BLOCK_ELEMENTS, out.size)
    while i < end:
        row = quotient(i, columns)
        a = quotient(row, index.size)
        m = row - a * index.size
        place = counted(index[m], extent)
        if place >= 0:
            move(source, (a * extent + place) * columns + i - row * columns, out, i, unit)
        else:
            status = lowest_place(status, INDEX_OUT_OF_RANGE, m)
            if unit == 1:
                out[i] = T(0)
            else:
                clear_vector(out, i)
        i += THREADS * unit
    return status


@kernel(
    batched=True,
    split=FLAT,
    threads=THREADS,
    dtypes=ANY,
    source="some T[S, F]",
    order="some i8[O]",
    cursor="i8[s]",
    unit="int",
    batch="out T[n]",
)
def gather_rows(source, order, cursor, unit, batch):
    """batch[i] = source[order[cursor + i]]."""
    unit = unit if is_aligned(source) and is_aligned(batch) else 1
    elements, columns, status = flat(source), source.shape[1], 0
    i = block_index() * BLOCK_ELEMENTS + thread_index() * unit
    end = min(block_index() * BLOCK_ELEMENTS + BLOCK_ELEMENTS, batch.size)
    while i < end:
        number = quotient(i, columns)
        place = cursor[0] + number
        row = order[place] if 0 <= place < order.size else -1
        if row < 0 or row >= source.shape[0]:
            status = lowest_place(status, INDEX_OUT_OF_RANGE, number)
            row = 0
        move(elements, row * columns + i - number * columns, batch, i, unit)
        i += THREADS * unit
    return status


# ---- launchers


def cast(call, x, out, *, dtype):
    """out = x, as elements of another type, or copied."""
    same = x.dtype == out.dtype
    call(copy if same else cast_from(x.dtype.str[1:]), x.flat(), out.flat())


def _unit(itemsize, *extents):
    """How many elements are moved at once, of rows and steps of these extents."""
    unit = VECTOR_BYTES // itemsize
    return unit if all([extent % unit == 0 for extent in extents]) else 1


@lru_cache(maxsize=1024)
def _walk(constant, itemsize, walk, *given):
    """A walk (`places`) as kernels take it: the table, made by `constant`; the place of the first
    element; the step from column to column; columns; and the unit."""
    (_, columns), table, start, step = walk(*given)
    unit = _unit(itemsize, columns, start, *table[:, 1].tolist()) if step == 1 else 1
    return constant(table), start, step, columns, unit


def slice_copy(call, x, out, *, key):
    given = call.constant, x.dtype.itemsize, places.sliced, x.shape, places.hashable(key)
    call(strided_copy, x.flat(), *_walk(*given), out.flat())


def split(call, x, *pieces, keys, axis):
    for key, piece in zip(keys, pieces, strict=True):
        slice_copy(call, x, piece, key=key)


def slice_gradient(call, dy, dx, *, shape, key):
    given = call.constant, dx.dtype.itemsize, places.sliced, shape, places.hashable(key)
    call(zero, dx.flat())
    call(strided_put, dy.flat(), *_walk(*given), dx.flat())


def slice_update(call, x, values, out, *, key):
    given = call.constant, x.dtype.itemsize, places.sliced, x.shape, places.hashable(key)
    call(copy, x.flat(), out.flat())
    call(strided_put, values.flat(), *_walk(*given), out.flat())


def broadcast_to(call, x, out, *, shape):
    given = call.constant, x.dtype.itemsize, places.broadcast, x.shape, out.shape
    call(strided_copy, x.flat(), *_walk(*given), out.flat())


def zeros(call, out, *, shape, dtype):
    call(zero, out.flat())


def concatenate(call, *pieces_and_out, axis=0):
    *pieces, out = pieces_and_out
    _, extent, inner = around(out.shape, axis)
    column = 0
    for x in pieces:
        columns = x.shape[axis] * inner
        unit = _unit(x.dtype.itemsize, columns, column, extent * inner)
        call(put_columns, x.flat(), columns, column, extent * inner, unit, out.flat())
        column += columns


def transpose(call, x, out, *, axes=None):
    axes = places.transpose_axes(len(x.shape), axes)
    tiles = tiles_of(call.constant, x.shape, axes)
    if tiles is not None:
        call(transpose_tiles, x.flat(), *tiles, out.flat())
        return
    given = call.constant, x.dtype.itemsize, places.transposed, x.shape, axes
    call(strided_copy, x.flat(), *_walk(*given), out.flat())


def flat_index(call, x, y, z, *, extent):
    layout = broadcast_plan(call.constant, x.shape, y.shape)
    call(flat_index_elements, x.flat(), y.flat(), *layout, extent, z.flat())


def take(call, x, index, out, *, axis=None):
    extents = around(x.shape, axis)
    unit = _unit(x.dtype.itemsize, extents[2])
    call(take_rows, x.view(extents), index.flat(), unit, out.flat())


def gather(call, source, order, cursor, batch, *, rows):
    """Rows of elements of 4 or 8 bytes are moved as words of 4: then those of data and of labels,
    of other types, are gathered by one launch."""
    columns = prod(source.shape[1:])
    source, batch = source.view((source.shape[0], columns)), batch.flat()
    words = source.dtype.itemsize // WORD.itemsize
    if words:
        columns *= words
        source = type(source)(source.buffer, (source.shape[0], columns), WORD)
        batch = type(batch)(batch.buffer, (rows * columns,), WORD)
    unit = _unit(source.dtype.itemsize, columns)
    call(gather_rows, source, order, cursor, unit, batch)
