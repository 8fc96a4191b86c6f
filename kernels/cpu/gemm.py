"""The blocked matrix product: the loops around the micro-kernel.

    C = max(clamp_min, A B + initial)       C (M, N), A (M, K), B (K, N), either stored transposed

In the order and with the names of BLIS:

    loop 5   jc   NC columns of B and C
    loop 4   pc   KC rows of B, columns of A
    loop 3   ic   mc rows of A and C; packs a block of A
    loop 2   jr   NR columns: a panel of B
    loop 1   ir   mr rows: a tile of A
             k    the micro-kernel: column k of the tile times row k of the panel

The panel stays in L1 for tile after tile: loops 4, 3, 2, 1 (`gemm_panel_in_l1`). A and B are read
in place where that is fast, else packed onto the stack: a panel of B in loop 2, a block of A in
loop 3 (pack.py says when). Large products whose tile and panel are too much for L1 swap the inner
loops: a block of B stays in L2, and a tile of A in L1 for panel after panel, loops 4, 5, 3, 1, 2
(`gemm_block_in_l2`). C is then read and written along its rows.
"""

import math

from ..declare import T, helper, kernel
from ..intrinsics import flat, stack_array
from .pack import (
    A_BESIDE_B_BLOCK_ELEMENTS,
    A_BLOCK_ELEMENTS,
    A_IN_PLACE_ELEMENTS,
    B_BLOCK_ELEMENTS,
    B_PANEL_ELEMENTS,
    L1_WAYS,
    NC,
    PAGE_ELEMENTS,
    choose_mc,
    next_tiles,
    pack_a,
    pack_b,
    pack_b_transposed,
    packs_a,
    packs_b,
)
from .simd.gemm_microkernel import KC, MR, NR, gemm_microkernel, gemm_microkernel_row
from .simd.vectors import INIT_BIAS, INIT_C, INIT_ZERO
from .threads import ROW_GRAIN, ceil_div


@helper
def initial(accumulate, bias):
    """What the accumulators start from: C itself, the bias, or zero."""
    return INIT_C if accumulate != 0 else INIT_BIAS if bias.size > 0 else INIT_ZERO


@helper
def multiply_panel(
    depth, a, is_packed, b, prefetch, bias, init, clamp_min, c, j, width, start, stop
):
    """Loop 1: rows start to stop of C's columns j to j + width, of `depth` columns of A and a panel
    of B.

    a: (array, start, row stride, column stride), or those rows packed by `pack_a`
    b, prefetch: (array, start, row stride), of the panel and of what is prefetched with its rows
    """
    a_flat, a_start, a_row, a_col = a
    c_flat, c_row, i = flat(c), c.shape[1], start
    max_mr = L1_WAYS if a_row % PAGE_ELEMENTS == 0 and not is_packed else MR
    while i < stop:
        mr, count = next_tiles(stop - i, max_mr)
        if is_packed:
            a_row, a_col = 1, mr
        a_tile = mr * (depth if is_packed else a_row)
        gemm_microkernel(
            mr, count, depth, (a_flat, a_start, a_row, a_col, a_tile), b, (bias, j), init,
            clamp_min, (c_flat, i * c_row + j, c_row), width, prefetch,
        )  # fmt: skip
        i, a_start = i + count * mr, a_start + count * a_tile


@helper
def gemm_panel_in_l1(a, transpose_a, b, transpose_b, bias, init, clamp_min, c, start, stop):
    """Rows start to stop of C: a panel of B stays in L1 for tile after tile of A."""
    depth, columns = a.shape[0] if transpose_a != 0 else a.shape[1], c.shape[1]
    a_row, a_col = (1, a.shape[1]) if transpose_a != 0 else (a.shape[1], 1)
    a_flat, b_flat = flat(a), flat(b)
    panel, block = stack_array(T(0), B_PANEL_ELEMENTS), stack_array(T(0), A_BLOCK_ELEMENTS)
    packing_a = packs_a(a, transpose_a, columns, stop - start)
    packing_b = transpose_b != 0 or packs_b(depth, columns, stop - start)
    k = 0
    while True:  # loop 4, once even if there is nothing to sum
        kc = min(KC, depth - k) if packing_a or packing_b else depth
        block_clamp_min = clamp_min if k + kc == depth else T(-math.inf)
        mc = choose_mc(stop - start, MR, kc, A_BLOCK_ELEMENTS if packing_a else A_IN_PLACE_ELEMENTS)
        for row_start in range(start, stop, mc):  # loop 3
            row_stop, a_start = min(row_start + mc, stop), row_start * a_row + k * a_col
            if packing_a:
                pack_a(a, transpose_a, row_start, row_stop, k, k + kc, block)
                a_flat, a_start = block, 0
            for j in range(0, columns, NR):  # loop 2
                width, place = min(NR, columns - j), k * columns + j
                source, prefetch = (b_flat, place, columns), (b_flat, place + NR, columns)
                if packing_b:
                    source = panel, 0, NR
                if transpose_b != 0:
                    pack_b_transposed(b, j, width, k, k + kc, panel)
                    # the panel again: the hardware prefetcher detects the rows of B^T
                    prefetch = panel, 0, 0
                elif packing_b:
                    pack_b(b, j, width, k, k + kc, panel)
                multiply_panel(
                    kc, (a_flat, a_start, a_row, a_col), packing_a, source, prefetch, bias, init,
                    block_clamp_min, c, j, width, row_start, row_stop,
                )  # fmt: skip
        k, init = k + kc, INIT_C
        if k == depth:
            break


@helper
def keeps_block_in_l2(depth, columns, rows):
    """Whether a block of B is packed: where a processor needs it (NC), and the product is large
    enough to make up for the copies."""
    return NC != 0 and columns >= 2 * KC and rows >= KC and depth >= KC // 4


@helper
def gemm_block_in_l2(a, transpose_a, b, transpose_b, bias, init, clamp_min, c, start, stop):
    """Rows start to stop of C: a block of B stays in L2, and a tile of A in L1 for panel after
    panel. With panel p of a tile, row p of what comes next is prefetched: of the next block of A
    or, when that is there, of the next block of B."""
    depth, columns = a.shape[0] if transpose_a != 0 else a.shape[1], c.shape[1]
    a_row, a_col = (1, a.shape[1]) if transpose_a != 0 else (a.shape[1], 1)
    a_flat, b_flat, c_flat = flat(a), flat(b), flat(c)
    tiles = stack_array(T(0), A_BESIDE_B_BLOCK_ELEMENTS)
    block = stack_array(T(0), B_BLOCK_ELEMENTS)
    nc = ceil_div(columns, ceil_div(columns, NC) * NR) * NR  # blocks alike
    for k in range(0, depth, KC):  # loop 4
        kc = min(KC, depth - k)
        block_clamp_min = clamp_min if k + kc == depth else T(-math.inf)
        mc = choose_mc(stop - start, MR, kc, A_BESIDE_B_BLOCK_ELEMENTS)
        for col_start in range(0, columns, nc):  # loop 5
            col_stop = min(col_start + nc, columns)
            for j in range(col_start, col_stop, NR):
                width = min(NR, columns - j)
                panel = block[(j - col_start) * kc : (j - col_start + NR) * kc]
                if transpose_b != 0:
                    pack_b_transposed(b, j, width, k, k + kc, panel)
                else:
                    pack_b(b, j, width, k, k + kc, panel)
            # the next block of B: where it starts, how many rows of it are left to prefetch, and
            # how far an iteration of the micro-kernel gets in one
            next_k, next_j = (k, col_stop) if col_stop < columns else (k + kc, 0)
            next_b, b_rows_left, b_step = next_k * columns + next_j, kc, max(1, nc // kc)
            if transpose_b != 0:
                next_b, b_rows_left, b_step = next_j * depth + next_k, nc, 1
            if next_k == depth:
                b_rows_left = 0
            panels, j = (col_stop - col_start) // NR, col_start + (col_stop - col_start) // NR * NR
            for row_start in range(start, stop, mc):  # loop 3
                row_stop = min(row_start + mc, stop)
                pack_a(a, transpose_a, row_start, row_stop, k, k + kc, tiles)
                next_a = row_stop * a_row + k * a_col
                a_rows_left = 0 if row_stop == stop else kc if transpose_a != 0 else mc
                i = row_start
                while i < row_stop:  # loop 1
                    mr, place = next_tiles(row_stop - i, MR)[0], (i - row_start) * kc
                    prefetch = block, 0, 0, 0
                    if a_rows_left > 0:
                        prefetch = a_flat, next_a, 1, a.shape[1]
                        next_a, a_rows_left = next_a + panels * a.shape[1], a_rows_left - panels
                    elif b_rows_left > 0:
                        prefetch = b_flat, next_b, b_step, b.shape[1]
                        next_b, b_rows_left = next_b + panels * b.shape[1], b_rows_left - panels
                    if panels > 0:  # loop 2; the last block may be narrower than a panel
                        gemm_microkernel_row(
                            mr, panels, kc, (tiles, place), (block, 0, NR), (bias, col_start), init,
                            block_clamp_min, (c_flat, i * columns + col_start, columns), prefetch,
                        )  # fmt: skip
                    if j < col_stop:
                        gemm_microkernel(
                            mr, 1, kc, (tiles, place, 1, mr, 0), (block, panels * kc * NR, NR),
                            (bias, j), init, block_clamp_min, (c_flat, i * columns + j, columns),
                            col_stop - j, (block, 0, 0),
                        )  # fmt: skip
                    i += mr
        init = INIT_C


@kernel(
    split=[("M", ROW_GRAIN)],
    a="T[M, K]",
    b="T[R, S]",
    bias="T[B]",
    transpose_a="int",
    transpose_b="int",
    clamp_min="float",
    accumulate="int",
    c="inout T[M, N]",
)
def gemm(a, b, bias, transpose_a, transpose_b, clamp_min, accumulate, c, start, stop):
    """C = max(clamp_min, A B + bias), or with accumulate max(clamp_min, A B + C); A or B is stored
    transposed where its flag is set.

    bias: (N,), or empty for none. clamp_min: -inf, or 0 for a ReLU.
    """
    init = initial(accumulate, bias)
    depth = a.shape[0] if transpose_a != 0 else a.shape[1]
    if keeps_block_in_l2(depth, c.shape[1], stop - start):
        gemm_block_in_l2(a, transpose_a, b, transpose_b, bias, init, T(clamp_min), c, start, stop)
    else:
        gemm_panel_in_l1(a, transpose_a, b, transpose_b, bias, init, T(clamp_min), c, start, stop)


# C = A^T B is the same code; A is then stored as (K, M), and a thread reads all of its rows.
gemm_transposed_a = gemm.declared("gemm_transposed_a", a="T[K, M]")
