"""Products of matrices: C = A B, A^T B, A B^T, with what a layer needs around them; and the transpose.

A product goes panel after panel of B, two vectors of columns wide, and in each tile after tile of rows: the panel stays in the
nearest caches for all of them. Either matrix is read in place where that is quick. Where rows lie so far apart that each is on a
page of its own, or at distances that fall on the same sets of a cache, a block of it is copied onto the stack first: a panel of
B, BLOCK rows at a time, and rows of A, tile by tile.
"""

import math
from functools import cache

from ..marks import T, helper, kernel, machine
from ..primitives import flat, fma, stack
from .register_tile import (
    BLOCK,
    DOT_COLUMNS,
    DOT_LONG,
    DOT_ROWS,
    FAST,
    NEAR,
    PAGE,
    PANEL,
    PANEL_MEMORY,
    TILE_ROWS,
    WIDTH,
    dot_tiles,
    multiply_strip,
    multiply_tiles,
)
from .rows import row_copy
from .share import FLAT, share, share_either
from .transpose_tile import transpose_tile
from .vectors import FROM_BIAS, FROM_C, FROM_ZERO

WAYS = 8  # lines that a set of the first cache holds: so many rows a page apart are read side by side
PAGES = machine(lambda target, _item_bytes: 2 * target.block)  # of so many a processor knows where they lie
LARGE = machine(lambda target, _item_bytes: 8 * target.block**2)  # elements of an A on more pages than that
# Elements of A from which on a copy of B's panels is worth its time, a tenth of a product by 128 rows.
CROWDED = machine(lambda target, _item_bytes: 3 * target.block**2 // 2)
# Elements of A that are multiplied with all of B at once: of a copy, as many as fit on the stack, 280 rows of 256 numbers, or 560
# where two multiply-adds begin in a cycle (with twice as few copies of B's panels 2048 cubed takes 0.95 to 0.98 of the time; more
# rows gained nothing); in place, what half of a second cache holds, where only the nearest caches keep up with the multiply-adds.
# At least four tiles fit, the tallest.
BLOCK_MEMORY = machine(
    lambda target, item_bytes: (2 if target.is_fast else 1) * 14 * max(4, 10 * target.block // 256) * 2 * target.block // item_bytes
)
SOME = machine(lambda target, item_bytes: 4 * target.block**2 // item_bytes if target.is_fast else 1 << 62)
ROWS = 4  # rows are shared out among lanes in multiples of this: edges of the tile stay cheap
TURNED_ROWS = 16  # and rows of a transpose in whole register tiles of every machine


@helper
def first_sums(add, bias):
    """What the sums of a product start from: C itself, the bias, or nothing."""
    return FROM_C if add != 0 else FROM_BIAS if bias.size > 0 else FROM_ZERO


@helper
def rows_at_once(rows, unit, depth, is_copied):
    """How many of these rows of A, of `depth` columns, are multiplied with all of B before the next: groups alike, of units."""
    memory = BLOCK_MEMORY if is_copied else SOME
    if (rows + unit) * depth <= memory:  # without three divisions, a tenth of a small product
        return rows + unit
    most = max(1, memory // (unit * max(depth, 1)))
    units = max(1, -(-rows // unit))
    return -(-units // -(-units // most)) * unit


@helper
def next_tiles(left, tallest):
    """Rows of the next tiles when `left` are left, of HEIGHTS and no more than `tallest`; and how many tiles of them follow.
    Two or six rows beside full tiles would leave the processor waiting for their sums: they and the last full one are halved."""
    if left >= TILE_ROWS and tallest >= TILE_ROWS:
        count, rest = left // TILE_ROWS, left % TILE_ROWS // 2
        if rest != 1 and rest != 3:
            return TILE_ROWS, count
        return (TILE_ROWS, count - 1) if count > 1 else (TILE_ROWS // 2 + rest, 2)
    if TILE_ROWS > 10 and left // 2 == 5 and tallest >= 10:
        return 10, 1
    if TILE_ROWS > 8 and left >= 8:
        return 8, left >> 3  # // 8 and // 4 would become one division, by a number that is not known
    return (4, left >> 2) if left >= 4 else (2, 1) if left >= 2 else (1, 1)


@helper
def copies_a(a, turned, columns, rows):
    """Whether blocks of A, of so many rows of the product, are copied: where a tile's elements of it lie on more pages than the
    processor knows, or on few sets of a cache, and the product is wide enough to make up for it; where two multiply-adds begin in
    a cycle, in every large product."""
    if FAST != 0:
        if a.shape[1] % PAGE == 0:
            return columns >= (2 * BLOCK if turned != 0 else BLOCK) and rows >= 2 * TILE_ROWS
        return columns >= 2 * BLOCK and rows >= 2 * BLOCK
    if columns < BLOCK // 8:
        return False
    return a.shape[0] > PAGES and a.shape[1] >= PAGE if turned != 0 else a.shape[1] % PAGE == 0 and a.size > LARGE


@helper
def copies_b(depth, columns, rows):
    """Whether panels of B are copied: long ones whose rows, a multiple of half a page apart, do not stay in the second cache; and,
    where two multiply-adds begin in a cycle, all that do not stay in the first, or whose vectors lie across two lines of it."""
    is_crowded = columns % (PAGE // 2) == 0
    if FAST != 0:
        is_split = columns % WIDTH != 0 and depth >= BLOCK // 2 and rows >= BLOCK // 4
        return rows >= 2 * TILE_ROWS and (depth > BLOCK or is_split or (is_crowded and depth >= BLOCK // 8))
    return is_crowded and depth >= 2 * BLOCK and rows * depth >= CROWDED


@helper
def copy_rows(a, turned, first, last, left, right, block):
    """Rows first to last of columns left to right of A, tile by tile, each tile as (columns, rows): what a product reads together
    lies together."""
    a_flat, depth, i = flat(a), right - left, first
    while i < last:
        rows, count = next_tiles(last - i, TILE_ROWS)
        tiles, size = block[(i - first) * depth : (i - first + count * rows) * depth], rows * depth
        if turned != 0:  # row after row of A^T, through all tiles: its rows lie far apart
            for k in range(depth):
                for t in range(count):
                    top, place = i + t * rows, t * size + k * rows
                    row, copy = a[left + k, top : top + rows], tiles[place : place + rows]
                    if rows == TILE_ROWS:
                        for r in range(TILE_ROWS):
                            copy[r] = row[r]
                    else:
                        row_copy(row, copy)
        else:
            for t in range(count):
                for k in range(0, depth, WIDTH):
                    for r in range(0, rows, WIDTH):
                        top, place = (i + t * rows + r) * a.shape[1] + left + k, t * size + k * rows + r
                        transpose_tile(a_flat, top, a.shape[1], tiles, place, rows, min(WIDTH, rows - r), min(WIDTH, depth - k))
        i += count * rows


@helper
def copy_panel(b, j, width, first, last, panel):
    """Rows first to last of columns j to j + width of b, one after another."""
    if width == PANEL:
        for k in range(last - first):
            row, copy = b[first + k, j : j + PANEL], panel[k * PANEL : (k + 1) * PANEL]
            for q in range(PANEL):
                copy[q] = row[q]
        return
    for k in range(last - first):
        row_copy(b[first + k, j : j + width], panel[k * PANEL : k * PANEL + width])


@helper
def turn_panel(b, j, width, first, last, panel):
    """Rows first to last of columns j to j + width of the matrix whose transpose is b (N, K), one after another."""
    b_flat, depth = flat(b), b.shape[1]
    for q in range(0, width, WIDTH):
        for k in range(first, last, WIDTH):
            place = (k - first) * PANEL + q
            transpose_tile(b_flat, (j + q) * depth + k, depth, panel, place, PANEL, min(WIDTH, width - q), min(WIDTH, last - k))


@helper
def multiply_panel(
    depth, a, a_first, a_row, a_step, is_copied, b, b_first, b_row, ahead, ahead_first, ahead_row,
    bias, start, low, c, j, width, first, last,
):  # fmt: skip
    """Rows first to last of C's columns j to j + width, from `depth` columns of A, which begins at element `a_first` of a flat
    array or is the copy that `copy_rows` makes of those rows, and a panel of B."""
    c_flat, c_row, i = flat(c), c.shape[1], first
    tallest = WAYS if a_row % PAGE == 0 and not is_copied else TILE_ROWS
    while i < last:
        rows, count = next_tiles(last - i, tallest)
        if is_copied:
            a_row, a_step = 1, rows
        a_next = rows * (depth if is_copied else a_row)
        multiply_tiles(
            rows, count, depth, a, a_first, a_row, a_step, a_next, b, b_first, b_row, ahead, ahead_first, ahead_row,
            bias, start, j, low, c_flat, i * c_row + j, c_row, width,
        )  # fmt: skip
        i, a_first = i + count * rows, a_first + count * a_next


@helper
def multiply(a, turned_a, b, turned_b, bias, start, lowest, c, first, last):
    """Rows first to last of C."""
    depth, columns = a.shape[0] if turned_a != 0 else a.shape[1], c.shape[1]
    a_row, a_step = (1, a.shape[1]) if turned_a != 0 else (a.shape[1], 1)
    a_flat, b_flat, panel, block = flat(a), flat(b), stack(T(0), PANEL_MEMORY), stack(T(0), BLOCK_MEMORY)
    is_copied, in_place = copies_a(a, turned_a, columns, last - first), turned_b == 0 and not copies_b(depth, columns, last - first)
    k = 0
    while True:  # once even if there is nothing to sum
        size = depth if in_place and not is_copied else min(BLOCK, depth - k)
        low = lowest if k + size == depth else T(-math.inf)
        some = rows_at_once(last - first, TILE_ROWS, size, is_copied)
        for top in range(first, last, some):
            bottom, a_first = min(top + some, last), top * a_row + k * a_step
            if is_copied:
                copy_rows(a, turned_a, top, bottom, k, k + size, block)
                a_flat, a_first = block, 0
            for j in range(0, columns, PANEL):
                width, source, place, row = min(PANEL, columns - j), b_flat, k * columns + j, columns
                ahead, ahead_first, ahead_row = b_flat, place + PANEL, columns  # the next panel
                if not in_place:
                    source, place, row = panel, 0, PANEL
                if turned_b != 0:
                    turn_panel(b, j, width, k, k + size, panel)
                    ahead, ahead_first, ahead_row = panel, 0, 0  # nothing new: rows of B^T are guessed
                elif not in_place:
                    copy_panel(b, j, width, k, k + size, panel)
                multiply_panel(
                    size, a_flat, a_first, a_row, a_step, is_copied, source, place, row, ahead, ahead_first, ahead_row,
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
    lowest="float",
    add="int",
    c="inout T[M, N]",
)
def matmul(a, b, bias, turned_a, turned_b, lowest, add, c, lane, lanes):
    """C = max(lowest, A B + bias), or C += A B; A or B stands transposed where it says `turned`.

    bias: (N,), or empty for none. lowest: -inf, or 0 for a ReLU.
    """
    first, last = share(c.shape[0], ROWS, lane, lanes)
    start = first_sums(add, bias)
    multiply(a, turned_a, b, turned_b, bias, start, T(lowest), c, first, last)


# C = A^T B is the same code; A then stands as (K, M), and a lane reads all of its rows.
matmul_turned = matmul.declared("matmul_turned", a="T[K, M]")


@kernel(split=[("M", ROWS)], a="T[M]", b="T[N]", add="int", c="inout T[M, N]")
def outer(a, b, add, c, lane, lanes):
    """C = a b^T, or C += a b^T, row after row: a product whose K is 1 is a matter of writing."""
    first, last = share(c.shape[0], ROWS, lane, lanes)
    for i in range(last - first):
        row, factor = c[first + i], a[first + i]
        if add != 0:
            for j in range(row.size):
                row[j] = fma(factor, b[j], row[j])
        else:
            for j in range(row.size):
                row[j] = factor * b[j]


@cache
def activate(activation):
    """C = activation(C) in place, for the activations that `matmul` does not know; lanes share C as there. A lane's elements are
    one row: every operation rounds alike in a vector and beside it, so where it ends changes no bit."""

    @kernel(split=[("M", ROWS)], name=f"activate_{activation.name}", c="inout T[M, N]")
    def activated(c, lane, lanes):
        first, last = share(c.shape[0], ROWS, lane, lanes)
        own = flat(c)[first * c.shape[1] : last * c.shape[1]]
        for i in range(own.size):
            own[i] = activation(own[i])

    return activated


# Rows times rows, for few rows or columns: the elements of a vector are neighbours in K, so that none of it is left empty.


@helper
def multiply_rows(a, b, bias, start, lowest, c, c_row, first, last, left, right):
    """Rows first to last of C = A B^T, columns left to right; B stands as (N, K). Tiles are as few as can be, and as alike."""
    depth, i = a.shape[1], first
    while i < last:
        rows = DOT_ROWS if last - i >= DOT_ROWS else 2 if last - i >= 2 else 1
        down, j = (last - i) // rows, left
        tiles = -(-(right - left) // (DOT_LONG if a.shape[0] == 1 else DOT_COLUMNS))
        while j < right:
            width = -(-(right - j) // tiles)
            across = (right - j) - (width - 1) * tiles  # of this width; the others have a column less
            dot_tiles(
                rows, width, down, across, depth, flat(a), i * depth, depth, flat(b), j * depth, depth,
                bias, start, j, lowest, c, i * c_row + j, c_row,
            )  # fmt: skip
            j, tiles = j + across * width, tiles - across
        i += down * rows


@kernel(split=[("M", ROWS), ("N", FLAT)], a="T[M, K]", b="T[N, K]", bias="T[B]", lowest="float", add="int", c="inout T[M, N]")
def dots(a, b, bias, lowest, add, c, lane, lanes):
    """C = max(lowest, A B^T + bias), or C += A B^T. Every element is one sum of products, of neighbours in K first."""
    first, last, left, right = share_either(c.shape[0], ROWS, c.shape[1], FLAT, lane, lanes)
    if left == right:  # a single element is another lane's
        return
    start = first_sums(add, bias)
    if c.shape[1] == 1:  # as one row of the transpose, with the bias, which is one for all, there already
        column = flat(c)[first:last]
        if start == FROM_BIAS:
            for i in range(column.size):
                column[i] = bias[0]
            start = FROM_C
        multiply_rows(b, a, bias, start, T(lowest), flat(c), 0, 0, 1, first, last)
    else:
        multiply_rows(a, b, bias, start, T(lowest), flat(c), c.shape[1], first, last, left, right)


@helper
def add_eight_rows(w, k, x, y):
    """y += x[k : k + 8] W[k : k + 8], each element of y read and written once: eight rows are read side by side."""
    a, b, c, d, e, f, g, h = w[k], w[k + 1], w[k + 2], w[k + 3], w[k + 4], w[k + 5], w[k + 6], w[k + 7]
    p, q, r, s, t, u, v, z = x[k], x[k + 1], x[k + 2], x[k + 3], x[k + 4], x[k + 5], x[k + 6], x[k + 7]
    for j in range(y.size):
        half = fma(s, d[j], fma(r, c[j], fma(q, b[j], fma(p, a[j], y[j]))))
        y[j] = fma(z, h[j], fma(v, g[j], fma(u, f[j], fma(t, e[j], half))))


@kernel(split=[("N", FLAT)], x="T[K]", w="T[K, N]", bias="T[B]", lowest="float", add="int", y="inout T[N]")
def multiply_row(x, w, bias, lowest, add, y, lane, lanes):
    """y = max(lowest, x W + bias) for one row x, or y += x W.

    A W that is near is read panel by panel, with sums in registers, unless its rows share sets of the first cache; one that is
    far is read once, in the order in which it lies. The sums are the same.
    """
    start, stop = share(y.size, FLAT, lane, lanes)
    total, low = y[start:stop], T(lowest)
    if y.size <= PANEL or x.size <= 2 * WAYS or (w.size <= NEAR and y.size % (PAGE // 2) != 0):
        begin, columns = first_sums(add, bias), y.size
        j = start
        while j < stop:  # two panels at once: a multiply-add takes four cycles, and begins every cycle
            width = 2 * PANEL if stop - j >= 2 * PANEL else min(PANEL, stop - j)
            multiply_strip(x.size, x, flat(w), j, columns, bias, begin, j, low, y, j, width)
            j += width
        return
    if add == 0:
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
        total[j] = low if total[j] < low else total[j]


@kernel(split=[("N", TURNED_ROWS)], x="T[M, N]", out="out T[N, M]")
def transpose(x, out, lane, lanes):
    """Tiles in registers; the lanes share out the rows of `out`."""
    start, stop = share(x.shape[1], TURNED_ROWS, lane, lanes)
    rows, columns = x.shape
    for j in range(start, stop, WIDTH):
        for i in range(0, rows, WIDTH):
            place = i * columns + j, j * rows + i
            transpose_tile(flat(x), place[0], columns, flat(out), place[1], rows, min(WIDTH, rows - i), min(WIDTH, stop - j))
