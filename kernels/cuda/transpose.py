"""Transposes by tiles: where the last dimension of the result is not the last of x, a block carries
tiles of both dimensions through shared memory, so that neighbours are read and neighbours are
written. Rows of a tile are a bank of 4 bytes longer than they need be: those of a column then lie
in different banks.
"""

from functools import lru_cache

import numpy as np

from .. import places
from ..declare import ANY, T, kernel, machine
from .grid import barrier, block_index, quotient, shared_array, thread_index

THREADS = 256
TILE, TILE_LINES = 32, THREADS // 32  # rows and columns; rows that the block moves at once
TILE_PITCH = machine(lambda _target, item_bytes: 32 + max(1, 4 // item_bytes))
TILE_ELEMENTS = machine(lambda _target, item_bytes: 32 * (32 + max(1, 4 // item_bytes)))
# With shorter rows on either side, tiles would be mostly empty; the cache joins what is apart.
TILE_MIN_EXTENT = 8


@kernel(
    split=[("n", TILE * TILE)],
    threads=THREADS,
    dtypes=ANY,
    x="T[X]",
    outer="i8[D, E]",
    rows="int",
    columns="int",
    x_step="int",
    out_step="int",
    out="out T[n]",
)
def transpose_tiles(x, outer, rows, columns, x_step, out_step, out):
    """out[.., a, .., b] = x[.., b, .., a], a < rows, b < columns; x_step and out_step lead from b
    to b and from a to a; outer: (extent, step in x, step in out) of each other dimension."""
    tile = shared_array(T(0), TILE_ELEMENTS)
    lane, line = thread_index() % TILE, thread_index() // TILE
    tile_rows, tile_columns = (rows + TILE - 1) // TILE, (columns + TILE - 1) // TILE
    tiles = quotient(out.size, rows * columns) * tile_rows * tile_columns
    blocks, number = (out.size + TILE * TILE - 1) // (TILE * TILE), block_index()
    while number < tiles:
        above = quotient(number, tile_columns)
        b_start, index = (number - above * tile_columns) * TILE, quotient(above, tile_rows)
        a_start, x_start, out_start = (above - index * tile_rows) * TILE, 0, 0
        d = outer.shape[0] - 1
        while d >= 0:
            above = quotient(index, outer[d, 0])
            x_start += (index - above * outer[d, 0]) * outer[d, 1]
            out_start += (index - above * outer[d, 0]) * outer[d, 2]
            index = above
            d -= 1
        a, b, t = a_start + lane, b_start + line, line * TILE_PITCH + lane
        while t < TILE_ELEMENTS:
            if a < rows and b < columns:
                tile[t] = x[x_start + b * x_step + a]
            b += TILE_LINES
            t += TILE_LINES * TILE_PITCH
        barrier()
        a, b, t = a_start + line, b_start + lane, lane * TILE_PITCH + line
        a_end = min(a_start + TILE, rows)
        while a < a_end:
            if b < columns:
                out[out_start + a * out_step + b] = tile[t]
            a += TILE_LINES
            t += TILE_LINES
        barrier()
        number += blocks


@lru_cache(maxsize=1024)
def tiles_of(constant, shape, axes):
    """What `transpose_tiles` takes between x and out, or None where a plain copy is as good: where
    rows stay rows, or are short."""
    (_, columns), table, _, x_step = places.transposed(shape, axes)
    dims, out_step = [(columns, x_step, 1)], columns
    for extent, step in reversed(table.tolist()):
        dims.append((extent, step, out_step))
        out_step *= extent
    rows = [d for d in dims if d[1] == 1]
    if not rows or rows[0] is dims[0] or min(columns, rows[0][0]) < TILE_MIN_EXTENT:
        return None
    outer = [d for d in reversed(dims[1:]) if d is not rows[0]]
    table = np.array(outer, np.int64).reshape(-1, 3)
    return constant(table), rows[0][0], columns, x_step, rows[0][2]
