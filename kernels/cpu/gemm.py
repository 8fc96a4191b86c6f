"""Products of matrices: C = A B, A^T B, A B^T, with what a layer needs around them; and the
transpose.

A product goes panel after panel of B, two vectors of columns wide, and in each tile after tile of
rows: the panel stays in the nearest caches for all of them. Either matrix is read in place where
that is quick. Where rows lie so far apart that each is on a page of its own, or at distances that
fall on the same sets of a cache, a block of it is copied onto the stack first: a panel of B, BLOCK
rows at a time, and rows of A, tile by tile. Large products whose tile and panel are too much for
the first cache go tile after tile, and in each panel after panel of a block of B: C is then read
and written along its rows.
"""

import math

from ..declare import T, helper, kernel
from ..intrinsics import flat, stack_array
from .pack import (
    BLOCK_MEMORY,
    PANELS_MEMORY,
    SOME,
    TILES_MEMORY,
    WAYS,
    copies_a,
    copies_b,
    copy_panel,
    copy_rows,
    next_tiles,
    rows_at_once,
    turn_panel,
)
from .simd.gemm_microkernel import (
    BLOCK,
    PAGE,
    PANEL,
    PANEL_MEMORY,
    PANELS,
    TILE_ROWS,
    multiply_beside,
    multiply_tiles,
)
from .simd.vectors import FROM_BIAS, FROM_C, FROM_ZERO

ROWS = 4  # rows are shared out among threads in multiples of this: edges of the tile stay cheap


@helper
def first_sums(accumulate, bias):
    """What the sums of a product start from: C itself, the bias, or nothing."""
    return FROM_C if accumulate != 0 else FROM_BIAS if bias.size > 0 else FROM_ZERO


@helper
def multiply_panel(
    depth, a, a_first, a_row, a_step, is_copied, b, b_first, b_row, ahead, ahead_first, ahead_row,
    bias, start, low, c, j, width, first, last,
):  # fmt: skip
    """Rows first to last of C's columns j to j + width, from `depth` columns of A, which begins at
    element `a_first` of a flat array or is the copy that `copy_rows` makes of those rows, and a
    panel of B."""
    c_flat, c_row, i = flat(c), c.shape[1], first
    tallest = WAYS if a_row % PAGE == 0 and not is_copied else TILE_ROWS
    while i < last:
        rows, count = next_tiles(last - i, tallest)
        if is_copied:
            a_row, a_step = 1, rows
        a_next = rows * (depth if is_copied else a_row)
        multiply_tiles(
            rows, count, depth, a, a_first, a_row, a_step, a_next, b, b_first, b_row, ahead,
            ahead_first, ahead_row,
            bias, start, j, low, c_flat, i * c_row + j, c_row, width,
        )  # fmt: skip
        i, a_first = i + count * rows, a_first + count * a_next


@helper
def goes_by_tiles(depth, columns, rows):
    """Whether a product goes tile after tile: where a processor needs it, and there is enough of
    all to make up for the copies."""
    return PANELS != 0 and columns >= 2 * BLOCK and rows >= BLOCK and depth >= BLOCK // 4


@helper
def multiply_by_tiles(a, turned_a, b, turned_b, bias, start, clamp_min, c, first, last):
    """Rows first to last of C: a block of B stays in the second cache, for tile after tile of A.
    While a tile is multiplied with panel p, a row of the next rows of A is fetched, or, when these
    are there, one of the next block of B."""
    depth, columns = a.shape[0] if turned_a != 0 else a.shape[1], c.shape[1]
    a_row, a_step = (1, a.shape[1]) if turned_a != 0 else (a.shape[1], 1)
    a_flat, b_flat, c_flat = flat(a), flat(b), flat(c)
    tiles, block = stack_array(T(0), TILES_MEMORY), stack_array(T(0), PANELS_MEMORY)
    parts = -(-columns // (PANELS * PANEL))
    most = -(-columns // (parts * PANEL)) * PANEL
    for k in range(0, depth, BLOCK):
        size = min(BLOCK, depth - k)
        low = clamp_min if k + size == depth else T(-math.inf)
        some = rows_at_once(last - first, TILE_ROWS, size, TILES_MEMORY)
        for left in range(0, columns, most):
            right = min(left + most, columns)
            for j in range(left, right, PANEL):
                width, panel = (
                    min(PANEL, columns - j),
                    block[(j - left) * size : (j - left + PANEL) * size],
                )
                if turned_b != 0:
                    turn_panel(b, j, width, k, k + size, panel)
                else:
                    copy_panel(b, j, width, k, k + size, panel)
            next_k, next_j = (k, right) if right < columns else (k + size, 0)
            next_b, b_left, b_step = next_k * columns + next_j, size, max(1, most // size)
            if turned_b != 0:
                next_b, b_left, b_step = next_j * depth + next_k, most, 1
            if next_k == depth:
                b_left = 0
            panels, j = (right - left) // PANEL, left + (right - left) // PANEL * PANEL
            for top in range(first, last, some):
                bottom = min(top + some, last)
                copy_rows(a, turned_a, top, bottom, k, k + size, tiles)
                next_a, a_left = (
                    bottom * a_row + k * a_step,
                    0 if bottom == last else size if turned_a != 0 else some,
                )
                i = top
                while i < bottom:
                    rows, place = next_tiles(bottom - i, TILE_ROWS)[0], (i - top) * size
                    ahead, ahead_first, ahead_step, ahead_row = block, 0, 0, 0
                    if a_left > 0:
                        ahead, ahead_first, ahead_step, ahead_row = a_flat, next_a, 1, a.shape[1]
                        next_a, a_left = next_a + panels * ahead_row, a_left - panels
                    elif b_left > 0:
                        ahead, ahead_first, ahead_step, ahead_row = (
                            b_flat,
                            next_b,
                            b_step,
                            b.shape[1],
                        )
                        next_b, b_left = next_b + panels * ahead_row, b_left - panels
                    if panels > 0:  # the last part may be narrower than one
                        multiply_beside(
                            rows, panels, size, tiles, place, block, 0, PANEL, ahead, ahead_first,
                            ahead_step, ahead_row,
                            bias, start, left, low, c_flat, i * columns + left, columns,
                        )  # fmt: skip
                    if j < right:
                        multiply_tiles(
                            rows, 1, size, tiles, place, 1, rows, 0, block, panels * size * PANEL,
                            PANEL, block, 0, 0,
                            bias, start, j, low, c_flat, i * columns + j, columns, right - j,
                        )  # fmt: skip
                    i += rows
        start = FROM_C


@helper
def multiply_by_panels(a, turned_a, b, turned_b, bias, start, clamp_min, c, first, last):
    """Rows first to last of C: a panel of B, or what of it is copied, stays in the first cache for
    tile after tile of A."""
    depth, columns = a.shape[0] if turned_a != 0 else a.shape[1], c.shape[1]
    a_row, a_step = (1, a.shape[1]) if turned_a != 0 else (a.shape[1], 1)
    a_flat, b_flat, panel, block = (
        flat(a),
        flat(b),
        stack_array(T(0), PANEL_MEMORY),
        stack_array(T(0), BLOCK_MEMORY),
    )
    is_copied, in_place = (
        copies_a(a, turned_a, columns, last - first),
        turned_b == 0 and not copies_b(depth, columns, last - first),
    )
    k = 0
    while True:  # once even if there is nothing to sum
        size = depth if in_place and not is_copied else min(BLOCK, depth - k)
        low = clamp_min if k + size == depth else T(-math.inf)
        some = rows_at_once(last - first, TILE_ROWS, size, BLOCK_MEMORY if is_copied else SOME)
        for top in range(first, last, some):
            bottom, a_first = min(top + some, last), top * a_row + k * a_step
            if is_copied:
                copy_rows(a, turned_a, top, bottom, k, k + size, block)
                a_flat, a_first = block, 0
            for j in range(0, columns, PANEL):
                width, source, place, row = (
                    min(PANEL, columns - j),
                    b_flat,
                    k * columns + j,
                    columns,
                )
                ahead, ahead_first, ahead_row = b_flat, place + PANEL, columns  # the next panel
                if not in_place:
                    source, place, row = panel, 0, PANEL
                if turned_b != 0:
                    turn_panel(b, j, width, k, k + size, panel)
                    # nothing new: rows of B^T are guessed
                    ahead, ahead_first, ahead_row = panel, 0, 0
                elif not in_place:
                    copy_panel(b, j, width, k, k + size, panel)
                multiply_panel(
                    size, a_flat, a_first, a_row, a_step, is_copied, source, place, row, ahead,
                    ahead_first, ahead_row,
                    bias, start, low, c, j, width, top, bottom,
                )  # fmt: skip
        k, start = k + size, FROM_C
        if k == depth:
            break


@kernel(
    split=[("M", ROWS)],
    a="T[M, K]",
    b="T[R, S]",
    bias="T[B]",
    turned_a="int",
    turned_b="int",
    clamp_min="float",
    accumulate="int",
    c="inout T[M, N]",
)
def gemm(a, b, bias, turned_a, turned_b, clamp_min, accumulate, c, start, stop):
    """C = max(clamp_min, A B + bias), or with accumulate max(clamp_min, A B + C); A or B stands
    transposed where it says `turned`.

    bias: (N,), or empty for none. clamp_min: -inf, or 0 for a ReLU.
    """
    initial = first_sums(accumulate, bias)
    depth = a.shape[0] if turned_a != 0 else a.shape[1]
    if goes_by_tiles(depth, c.shape[1], stop - start):
        multiply_by_tiles(a, turned_a, b, turned_b, bias, initial, T(clamp_min), c, start, stop)
    else:
        multiply_by_panels(a, turned_a, b, turned_b, bias, initial, T(clamp_min), c, start, stop)


# C = A^T B is the same code; A then stands as (K, M), and a thread reads all of its rows.
gemm_transposed_a = gemm.declared("gemm_transposed_a", a="T[K, M]")
