"""Copies of blocks of matrices, as products read them: when they are worth their time, how large
they are, how they lie."""

from ..declare import helper, machine
from ..intrinsics import flat
from .simd.gemm_microkernel import BLOCK, FAST, PAGE, PANEL, PANEL_MEMORY, PANELS, TILE_ROWS, WIDTH
from .simd.rows import row_copy
from .simd.transpose import transpose_tile

# lines that a set of the first cache holds: so many rows a page apart are read side by side
WAYS = 8
# of so many a processor knows where they lie
PAGES = machine(lambda target, _item_bytes: 2 * target.kc_rows)
# elements of an A on more pages than that
LARGE = machine(lambda target, _item_bytes: 8 * target.kc_rows**2)
# Elements of A from which on a copy of B's panels is worth its time, a tenth of a product by 128
# rows.
CROWDED = machine(lambda target, _item_bytes: 3 * target.kc_rows**2 // 2)


def _block_memory(target, item_bytes):
    """Of 280 rows of 256 numbers, or of 560 where two multiply-adds begin in a cycle (with twice as
    few copies of B's panels 2048 cubed takes 0.95 to 0.98 of the time; more rows gained nothing),
    but no more than half of the second cache. Two tiles fit, the tallest, and the rows that
    `matmul_gradient` finishes together."""
    most = target.fma_ports * 14 * max(4, 10 * target.kc_rows // 256) * 2 * target.kc_rows
    least = max(2 * 14, min(56, target.kc_rows)) * BLOCK.rule(target, item_bytes)
    return max(min(most, target.l2_bytes // 2) // item_bytes, least)


# Elements of A that are multiplied with all of B at once: of a copy, on the stack; in place, what
# half of the second cache holds, where only the nearest caches keep up with the multiply-adds.
BLOCK_MEMORY = machine(_block_memory)
# beside a block of B
TILES_MEMORY = machine(lambda target, item_bytes: BLOCK_MEMORY.rule(target, item_bytes) // 2)
PANELS_MEMORY = machine(
    lambda target, item_bytes: (
        PANELS.rule(target, item_bytes) * PANEL_MEMORY.rule(target, item_bytes)
    )
)
# a row of a panel is one cache line, not two
NARROW = machine(lambda target, _item_bytes: int(target.vector_bytes < 64))
SOME = machine(
    lambda target, item_bytes: (
        target.l2_bytes // 2 // item_bytes if target.fma_ports == 2 else 1 << 62
    )
)


@helper
def rows_at_once(rows, unit, depth, memory):
    """How many of these rows of A, of `depth` columns, are multiplied with all of B before the
    next: groups alike, of units."""
    if (rows + unit) * depth <= memory:  # without three divisions, a tenth of a small product
        return rows + unit
    most = max(1, memory // (unit * max(depth, 1)))
    units = max(1, -(-rows // unit))
    return -(-units // -(-units // most)) * unit


@helper
def next_tiles(left, tallest):
    """Rows of the next tiles when `left` are left, of HEIGHTS and no more than `tallest`; and how
    many tiles of them follow. Two or six rows beside full tiles would leave the processor waiting
    for their sums: they and the last full one are halved."""
    if left >= TILE_ROWS and tallest >= TILE_ROWS:
        count, rest = left // TILE_ROWS, left % TILE_ROWS // 2
        if rest != 1 and rest != 3:
            return TILE_ROWS, count
        return (TILE_ROWS, count - 1) if count > 1 else (TILE_ROWS // 2 + rest, 2)
    if TILE_ROWS > 10 and left // 2 == 5 and tallest >= 10:
        return 10, 1
    if TILE_ROWS > 8 and left >= 8:
        # // 8 and // 4 would become one division, by a number that is not known
        return 8, left >> 3
    return (4, left >> 2) if left >= 4 else (2, 1) if left >= 2 else (1, 1)


@helper
def copies_a(a, turned, columns, rows):
    """Whether blocks of A, of so many rows of the product, are copied: where a tile's elements of
    it lie on more pages than the processor knows, or on few sets of a cache, and the product is
    wide enough to make up for it; where two multiply-adds begin in a cycle, in every large product,
    and, of narrow vectors, of every A^T."""
    if FAST != 0:
        # a column of A is six numbers out of a line: 0.3 to 0.5 of the time, 256 rows 0.9
        if NARROW != 0 and turned != 0:
            return columns >= 8 * PANEL and rows >= 2 * TILE_ROWS
        if a.shape[1] % PAGE == 0:
            return columns >= (2 * BLOCK if turned != 0 else BLOCK) and rows >= 2 * TILE_ROWS
        return columns >= 2 * BLOCK and rows >= 2 * BLOCK
    if columns < BLOCK // 8:
        return False
    return (
        a.shape[0] > PAGES and a.shape[1] >= PAGE
        if turned != 0
        else a.shape[1] % PAGE == 0 and a.size > LARGE
    )


@helper
def copies_b(depth, columns, rows):
    """Whether panels of B are copied: long ones whose rows, a multiple of half a page apart, do not
    stay in the second cache; and, where two multiply-adds begin in a cycle, all that do not stay in
    the first, or whose vectors lie across two lines of it; of narrow ones all that several tiles of
    rows are multiplied with."""
    is_crowded = columns % (PAGE // 2) == 0
    # lines of rows a kB or two apart share few sets: 0.65 to 0.95 of the time (Zen 3)
    if FAST != 0 and NARROW != 0:
        return columns > PANEL and rows >= 8 * TILE_ROWS and depth >= BLOCK // 8
    if FAST != 0:
        is_split = columns % WIDTH != 0 and depth >= BLOCK // 2 and rows >= BLOCK // 4
        return rows >= 2 * TILE_ROWS and (
            depth > BLOCK or is_split or (is_crowded and depth >= BLOCK // 8)
        )
    return is_crowded and depth >= 2 * BLOCK and rows * depth >= CROWDED


@helper
def copy_rows(a, turned, first, last, left, right, block):
    """Rows first to last of columns left to right of A, tile by tile, each tile as (columns, rows):
    what a product reads together lies together."""
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
                        top, place = (
                            (i + t * rows + r) * a.shape[1] + left + k,
                            t * size + k * rows + r,
                        )
                        transpose_tile(
                            a_flat,
                            top,
                            a.shape[1],
                            tiles,
                            place,
                            rows,
                            min(WIDTH, rows - r),
                            min(WIDTH, depth - k),
                        )
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
    """Rows first to last of columns j to j + width of the matrix whose transpose is b (N, K), one
    after another."""
    b_flat, depth = flat(b), b.shape[1]
    for q in range(0, width, WIDTH):
        for k in range(first, last, WIDTH):
            place = (k - first) * PANEL + q
            transpose_tile(
                b_flat,
                (j + q) * depth + k,
                depth,
                panel,
                place,
                PANEL,
                min(WIDTH, width - q),
                min(WIDTH, last - k),
            )
