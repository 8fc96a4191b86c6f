"""Packing: copies of blocks of A and B as the micro-kernel reads them; when they pay, how large
they are, how they lie.

    block of A (mc, KC)   tiles of mr rows, one after another, each as (K, mr)
    panel of B (KC, NR)   row after row of NR columns; a block of B (KC, NC) is panel after panel

Three things make a matrix slow to read in place. Rows a multiple of a page apart fall on the same
set of a cache (cache-set conflicts). A tile's rows lie on more pages than the TLB reaches. And rows
a long stride apart are not detected by the hardware prefetcher.
"""

from ..declare import helper, machine
from ..intrinsics import flat
from .simd.gemm_microkernel import FMA_PORTS, KC, MR, NR
from .simd.rows import row_copy
from .simd.transpose import transpose_tile
from .simd.vectors import LANES
from .threads import ceil_div

# Elements of a page of 4 KiB. Addresses a multiple of it apart fall on the same set of L1, which
# holds so many lines (its associativity): that many rows are read side by side.
PAGE_ELEMENTS = machine(lambda _target, item_bytes: 4096 // item_bytes)
L1_WAYS = 8
TLB_REACH_PAGES = machine(lambda target, _item_bytes: 2 * target.kc_rows)
# With one FMA port, A in place is packed if it has more elements than this.
PACK_A_MIN_ELEMENTS = machine(lambda target, _item_bytes: 8 * target.kc_rows**2)
# With one FMA port, packing B pays from so many elements of A on: it takes a tenth of a product by
# 128 rows.
PACK_B_MIN_ELEMENTS_OF_A = machine(lambda target, _item_bytes: 3 * target.kc_rows**2 // 2)
# With vectors of less than 512 bits, a row of a panel is one cache line, not two.
HAS_NARROW_VECTORS = machine(lambda target, _item_bytes: int(target.vector_bytes < 64))


def _a_block_elements(target, item_bytes):
    """Of 280 rows of 256 numbers, or with two FMA ports of 560 (with half as many copies of B,
    2048 cubed takes 0.95 to 0.98 of the time; more rows gained nothing), but no more than half of
    L2. Two tiles of MR rows fit, and the rows that `matmul_gradient` finishes together."""
    most = target.fma_ports * 14 * max(4, 10 * target.kc_rows // 256) * 2 * target.kc_rows
    least = max(2 * 14, min(56, target.kc_rows)) * KC.rule(target, item_bytes)
    return max(min(most, target.l2_bytes // 2) // item_bytes, least)


def _nc(target, item_bytes):
    """Panels that fill half of L2, or 1 MB of the stack, where a tile of A and a panel of B are too
    much for L1: with two FMA ports, in float64."""
    kc, mr, nr = (rule.rule(target, item_bytes) for rule in (KC, MR, NR))
    if target.fma_ports == 1 or item_bytes * kc * (mr + nr) <= target.l1_bytes:
        return 0
    return nr * min(32, max(2, target.l2_bytes // 2 // (item_bytes * kc * nr)))


# Columns of a block of B that is resident in L2; or 0: a panel of B at a time is resident in L1.
NC = machine(_nc)
B_PANEL_ELEMENTS = machine(
    lambda target, item_bytes: KC.rule(target, item_bytes) * NR.rule(target, item_bytes)
)
B_BLOCK_ELEMENTS = machine(
    lambda target, item_bytes: KC.rule(target, item_bytes) * _nc(target, item_bytes)
)
# What is multiplied with all of B at once: of a packed A; of one beside a block of B; of one in
# place as much as half of L2 holds, with two FMA ports, which no cache beyond L2 keeps up with.
A_BLOCK_ELEMENTS = machine(_a_block_elements)
A_BESIDE_B_BLOCK_ELEMENTS = machine(
    lambda target, item_bytes: _a_block_elements(target, item_bytes) // 2
)
A_IN_PLACE_ELEMENTS = machine(
    lambda target, item_bytes: (
        target.l2_bytes // 2 // item_bytes if target.fma_ports == 2 else 1 << 62
    )
)


@helper
def choose_mc(rows, grain, depth, elements):
    """mc: how many of these rows of A, of `depth` columns, are multiplied with all of B before the
    next: blocks alike, of whole grains of rows, of up to so many elements."""
    if (rows + grain) * depth <= elements:  # without three divisions, a tenth of a small product
        return rows + grain
    most = max(1, elements // (grain * max(depth, 1)))
    grains = max(1, ceil_div(rows, grain))
    return ceil_div(grains, ceil_div(grains, most)) * grain


@helper
def next_tiles(rows, max_mr):
    """Rows of the next tiles when `rows` are left, one of MR_CANDIDATES and no more than `max_mr`;
    and how many such tiles follow. A remainder of two or six rows is too few accumulators to hide
    the latency of multiply-adds: it and the last full tile become two tiles alike."""
    if rows >= MR and max_mr >= MR:
        count, half_remainder = rows // MR, rows % MR // 2
        if half_remainder != 1 and half_remainder != 3:
            return MR, count
        return (MR, count - 1) if count > 1 else (MR // 2 + half_remainder, 2)
    if MR > 10 and rows // 2 == 5 and max_mr >= 10:
        return 10, 1
    if MR > 8 and rows >= 8:
        # // 8 and // 4 would become one division, by a number that is not known
        return 8, rows >> 3
    return (4, rows >> 2) if rows >= 4 else (2, 1) if rows >= 2 else (1, 1)


@helper
def packs_a(a, transpose_a, columns, rows):
    """Whether blocks of A are packed, for so many rows and columns of C. With one FMA port: where
    a tile's elements lie beyond the TLB's reach, or in few sets of a cache, and C is wide enough to
    make up for it. With two: in every large product and, with narrow vectors, of every A^T."""
    if FMA_PORTS == 2:
        # a column of A^T is six numbers out of a line: 0.3 to 0.5 of the time, 256 rows 0.9
        if HAS_NARROW_VECTORS != 0 and transpose_a != 0:
            return columns >= 8 * NR and rows >= 2 * MR
        if a.shape[1] % PAGE_ELEMENTS == 0:
            return columns >= (2 * KC if transpose_a != 0 else KC) and rows >= 2 * MR
        return columns >= 2 * KC and rows >= 2 * KC
    if columns < KC // 8:
        return False
    return (
        a.shape[0] > TLB_REACH_PAGES and a.shape[1] >= PAGE_ELEMENTS
        if transpose_a != 0
        else a.shape[1] % PAGE_ELEMENTS == 0 and a.size > PACK_A_MIN_ELEMENTS
    )


@helper
def packs_b(depth, columns, rows):
    """Whether panels of B are packed, for so many rows and columns of C. With one FMA port: long
    ones whose rows, a multiple of half a page apart, conflict in the sets of L2. With two: all that
    are not resident in L1, or whose vectors straddle two cache lines; of narrow vectors all that
    several tiles of rows are multiplied with."""
    has_conflicts = columns % (PAGE_ELEMENTS // 2) == 0
    # rows 1 or 2 kB apart fall on few sets: 0.65 to 0.95 of the time (Zen 3)
    if FMA_PORTS == 2 and HAS_NARROW_VECTORS != 0:
        return columns > NR and rows >= 8 * MR and depth >= KC // 8
    if FMA_PORTS == 2:
        straddles = columns % LANES != 0 and depth >= KC // 2 and rows >= KC // 4
        return rows >= 2 * MR and (depth > KC or straddles or (has_conflicts and depth >= KC // 8))
    return has_conflicts and depth >= 2 * KC and rows * depth >= PACK_B_MIN_ELEMENTS_OF_A


@helper
def pack_a(a, transpose_a, row_start, row_stop, col_start, col_stop, block):
    """block = these rows and columns of A, tile by tile, each as (K, mr): what an
    iteration of the micro-kernel reads is contiguous."""
    a_flat, depth, i = flat(a), col_stop - col_start, row_start
    while i < row_stop:
        mr, count = next_tiles(row_stop - i, MR)
        start, size = (i - row_start) * depth, mr * depth
        tiles = block[start : start + count * size]
        if transpose_a != 0:  # row after row of A^T, through all tiles: a long stride
            for k in range(depth):
                for t in range(count):
                    tile_start, place = i + t * mr, t * size + k * mr
                    row, packed = (
                        a[col_start + k, tile_start : tile_start + mr],
                        tiles[place : place + mr],
                    )
                    if mr == MR:
                        for r in range(MR):
                            packed[r] = row[r]
                    else:
                        row_copy(row, packed)
        else:
            for t in range(count):
                for k in range(0, depth, LANES):
                    for r in range(0, mr, LANES):
                        source = a_flat, (i + t * mr + r) * a.shape[1] + col_start + k, a.shape[1]
                        target = tiles, t * size + k * mr + r, mr
                        transpose_tile(source, target, min(LANES, mr - r), min(LANES, depth - k))
        i += count * mr


@helper
def pack_b(b, col, width, row_start, row_stop, panel):
    """panel = these rows of columns col to col + width of B, row after row."""
    if width == NR:
        for k in range(row_stop - row_start):
            row, packed = b[row_start + k, col : col + NR], panel[k * NR : (k + 1) * NR]
            for q in range(NR):
                packed[q] = row[q]
        return
    for k in range(row_stop - row_start):
        row_copy(b[row_start + k, col : col + width], panel[k * NR : k * NR + width])


@helper
def pack_b_transposed(b, col, width, row_start, row_stop, panel):
    """The same of the matrix whose transpose is b (N, K)."""
    b_flat, depth = flat(b), b.shape[1]
    for q in range(0, width, LANES):
        for k in range(row_start, row_stop, LANES):
            source = b_flat, (col + q) * depth + k, depth
            target = panel, (k - row_start) * NR + q, NR
            transpose_tile(source, target, min(LANES, width - q), min(LANES, row_stop - k))
