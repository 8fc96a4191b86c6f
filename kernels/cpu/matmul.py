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
from functools import cache

from ..declare import T, helper, kernel
from ..intrinsics import as_read, flat, fma, stack_array
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
from .simd.dot_microkernel import DOT_COLUMNS, DOT_LONG, DOT_ROWS, dot_tiles
from .simd.gemm_microkernel import (
    BLOCK,
    NEAR,
    PAGE,
    PANEL,
    PANEL_MEMORY,
    PANELS,
    TILE_ROWS,
    WIDTH,
    multiply_beside,
    multiply_strip,
    multiply_tiles,
)
from .simd.transpose import transpose_tile
from .simd.vectors import FROM_BIAS, FROM_C, FROM_ZERO
from .threads import FLAT

ROWS = 4  # rows are shared out among threads in multiples of this: edges of the tile stay cheap
TURNED_ROWS = 16  # and rows of a transpose in whole register tiles of every machine


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
def matmul(a, b, bias, turned_a, turned_b, clamp_min, accumulate, c, start, stop):
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
matmul_turned = matmul.declared("matmul_turned", a="T[K, M]")


@kernel(split=[("M", ROWS)], a="T[M]", b="T[N]", accumulate="int", c="inout T[M, N]")
def outer(a, b, accumulate, c, start, stop):
    """C = a b^T, or C += a b^T, row after row: a product whose K is 1 is a matter of writing."""
    for i in range(stop - start):
        row, factor = c[start + i], a[start + i]
        if accumulate != 0:
            for j in range(row.size):
                row[j] = fma(factor, b[j], row[j])
        else:
            for j in range(row.size):
                row[j] = factor * b[j]


@cache
def activate(activation):
    """C = activation(C) in place, for the activations that `matmul` does not know; threads share C
    as there. A thread's elements are one row: every operation rounds alike in a vector and beside
    it, so where it ends changes no bit."""

    @kernel(split=[("M", ROWS)], name=f"activate_{activation.name}", c="inout T[M, N]")
    def activated(c, start, stop):
        own = flat(c)[start * c.shape[1] : stop * c.shape[1]]
        for i in range(own.size):
            own[i] = activation(as_read(own[i]))

    return activated


# Rows times rows, for few rows or columns: the elements of a vector are neighbours in K, so that
# none of it is left empty.


@helper
def multiply_rows(a, b, bias, start, clamp_min, c, c_row, first, last, left, right):
    """Rows first to last of C = A B^T, columns left to right; B stands as (N, K). Tiles are as few
    as can be, and as alike."""
    depth, i = a.shape[1], first
    while i < last:
        rows = DOT_ROWS if last - i >= DOT_ROWS else 2 if last - i >= 2 else 1
        down, j = (last - i) // rows, left
        tiles = -(-(right - left) // (DOT_LONG if a.shape[0] == 1 else DOT_COLUMNS))
        while j < right:
            width = -(-(right - j) // tiles)
            # of this width; the others have a column less
            across = (right - j) - (width - 1) * tiles
            dot_tiles(
                rows, width, down, across, depth, flat(a), i * depth, depth, flat(b), j * depth,
                depth,
                bias, start, j, clamp_min, c, i * c_row + j, c_row,
            )  # fmt: skip
            j, tiles = j + across * width, tiles - across
        i += down * rows


@kernel(
    split=[("M", ROWS), ("N", FLAT)],
    a="T[M, K]",
    b="T[N, K]",
    bias="T[B]",
    clamp_min="float",
    accumulate="int",
    c="inout T[M, N]",
)
def dots(a, b, bias, clamp_min, accumulate, c, row_start, row_stop, col_start, col_stop):
    """C = max(clamp_min, A B^T + bias), or with accumulate max(clamp_min, A B^T + C). Every element
    is one sum of products, of neighbours in K first."""
    if col_start == col_stop:  # a single element is another thread's
        return
    start = first_sums(accumulate, bias)
    # as one row of the transpose, with the bias, which is one for all, there already
    if c.shape[1] == 1:
        column = flat(c)[row_start:row_stop]
        if start == FROM_BIAS:
            for i in range(column.size):
                column[i] = bias[0]
            start = FROM_C
        multiply_rows(b, a, bias, start, T(clamp_min), flat(c), 0, 0, 1, row_start, row_stop)
    else:
        multiply_rows(
            a,
            b,
            bias,
            start,
            T(clamp_min),
            flat(c),
            c.shape[1],
            row_start,
            row_stop,
            col_start,
            col_stop,
        )


@helper
def add_eight_rows(w, k, x, y):
    """y += x[k : k + 8] W[k : k + 8], each element of y read and written once: eight rows are read
    side by side."""
    a, b, c, d, e, f, g, h = (
        w[k],
        w[k + 1],
        w[k + 2],
        w[k + 3],
        w[k + 4],
        w[k + 5],
        w[k + 6],
        w[k + 7],
    )
    p, q, r, s, t, u, v, z = (
        x[k],
        x[k + 1],
        x[k + 2],
        x[k + 3],
        x[k + 4],
        x[k + 5],
        x[k + 6],
        x[k + 7],
    )
    for j in range(y.size):
        half = fma(s, d[j], fma(r, c[j], fma(q, b[j], fma(p, a[j], y[j]))))
        y[j] = fma(z, h[j], fma(v, g[j], fma(u, f[j], fma(t, e[j], half))))


@kernel(
    split=[("N", FLAT)],
    x="T[K]",
    w="T[K, N]",
    bias="T[B]",
    clamp_min="float",
    accumulate="int",
    y="inout T[N]",
)
def multiply_row(x, w, bias, clamp_min, accumulate, y, start, stop):
    """y = max(clamp_min, x W + bias) for one row x, or with accumulate max(clamp_min, x W + y).

    A W that is near is read panel by panel, with sums in registers, unless its rows share sets of
    the first cache; one that is far is read once, in the order in which it lies. The sums are the
    same.
    """
    total, low = y[start:stop], T(clamp_min)
    if y.size <= PANEL or x.size <= 2 * WAYS or (w.size <= NEAR and y.size % (PAGE // 2) != 0):
        begin, columns = first_sums(accumulate, bias), y.size
        j = start
        # two panels at once: a multiply-add takes four cycles, and begins every cycle
        while j < stop:
            width = 2 * PANEL if stop - j >= 2 * PANEL else min(PANEL, stop - j)
            multiply_strip(x.size, x, flat(w), j, columns, bias, begin, j, low, y, j, width)
            j += width
        return
    if accumulate == 0:
        for j in range(total.size):
            total[j] = T(0)
        if bias.size > 0:
            own = bias[start:stop]
            for j in range(total.size):
                total[j] = own[j]
    eights = x.size // 8 * 8
    for k in range(0, eights, 8):
        add_eight_rows(w[:, start:stop], k, x, total)
    for k in range(eights, x.size):
        row, factor = w[k, start:stop], x[k]
        for j in range(total.size):
            total[j] = fma(factor, row[j], total[j])
    for j in range(total.size):
        value = as_read(total[j])
        total[j] = low if value < low else value


@kernel(split=[("N", TURNED_ROWS)], x="T[M, N]", out="out T[N, M]")
def transpose(x, out, start, stop):
    """Tiles in registers; the threads share out the rows of `out`."""
    rows, columns = x.shape
    for j in range(start, stop, WIDTH):
        for i in range(0, rows, WIDTH):
            place = i * columns + j, j * rows + i
            transpose_tile(
                flat(x),
                place[0],
                columns,
                flat(out),
                place[1],
                rows,
                min(WIDTH, rows - i),
                min(WIDTH, stop - j),
            )
