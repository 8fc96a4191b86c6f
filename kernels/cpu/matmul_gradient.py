"""A matrix product fused with the start of the layer below's gradient.

    forward     y = activation(z), z = x w + bias
    backward    dz = activation'(y) (a b^T), dbias = sum of dz's rows

a b^T is the gradient of y, made by the layer above: a = its dz, b = its w. The derivative and the
sums are the product's epilogue, applied to blocks of rows while they are in L1.
"""

import math
from functools import cache

from ..declare import T, helper, kernel, machine
from ..intrinsics import as_read, flat, stack_array
from ..scalar import Formula
from .gemm import multiply_panel
from .loops import COLUMN_SUMS_MIN_ELEMENTS, flat_kernel, gradient_and_sums
from .matmul import matmul, way
from .pack import (
    A_BLOCK_ELEMENTS,
    A_IN_PLACE_ELEMENTS,
    B_PANEL_ELEMENTS,
    choose_mc,
    pack_a,
    pack_b_transposed,
    packs_a,
)
from .reduce import chunks_of, rows_of_chunk, sum_of_chunks
from .simd.gemm_microkernel import KC, NR
from .simd.rows import clear
from .simd.vectors import INIT_C, INIT_ZERO, LANES

# Threads divide columns in multiples of this: whole vectors of float32.
COLUMN_GRAIN = 16
# Rows of one epilogue: a panel's width of them, of the product and of y, fits in L1. Four tiles of
# MR rows.
EPILOGUE_ROWS = machine(lambda target, _item_bytes: min(56, target.kc_rows))


@helper
def next_epilogue_stop(start, chunk):
    """Where the epilogue that begins at row `start` stops: within a chunk, whatever the number of
    threads."""
    return min(start + EPILOGUE_ROWS, (start // chunk + 1) * chunk)


@helper
def next_block_stop(start, mc, chunk):
    """Where the block of A that begins at row `start` stops, of up to `mc` rows: whole chunks or,
    if those are larger, whole blocks of EPILOGUE_ROWS."""
    if mc >= chunk:
        return start + mc // chunk * chunk
    return min(start + mc, (start // chunk + 1) * chunk)


@cache
def gemm_and_gradient(derivative):
    """The kernel of dx = derivative(y, A B^T) and of the sums of each `chunk` rows of its columns,
    or sums += them.

    Threads divide the chunks or, if there is only one, the columns, and then pack only their own
    part of B.
    """

    def strip(columns):
        """Rows start to stop of so many columns from j on, whose sums stay in registers."""

        @helper
        def finish(y, dx, start, stop, j, sums):
            total = stack_array(T(0), columns)
            value, other = stack_array(T(0), columns), stack_array(T(0), columns)
            clear(total)
            # unrolled by two rows, as an addition has a latency of three or four cycles
            for i in range(start, stop, 2):
                y_row, dx_row = y[i, j : j + columns], dx[i, j : j + columns]
                for c in range(columns):
                    value[c] = derivative(y_row[c], dx_row[c])
                for c in range(columns):
                    dx_row[c] = value[c]
                if i + 1 < stop:
                    y_row, dx_row = y[i + 1, j : j + columns], dx[i + 1, j : j + columns]
                    for c in range(columns):
                        other[c] = derivative(y_row[c], dx_row[c])
                    for c in range(columns):
                        dx_row[c] = other[c]
                else:
                    clear(other)
                for c in range(columns):
                    total[c] += value[c] + other[c]
            own = sums[j : j + columns]
            for c in range(columns):
                own[c] += total[c]

        return finish

    panel_strip, vector_strip = strip(NR), strip(LANES)

    @helper
    def finish(y, dx, start, stop, col_start, col_stop, sums):
        """The same of columns col_start to col_stop, a panel's."""
        if col_stop - col_start == NR:
            panel_strip(y, dx, start, stop, col_start, sums)
            return
        if col_stop - col_start >= LANES:
            vector_strip(y, dx, start, stop, col_start, sums)
            col_start += LANES
        own = sums[col_start:col_stop]
        for i in range(start, stop):
            y_row, dx_row = y[i, col_start:col_stop], dx[i, col_start:col_stop]
            for c in range(own.size):
                value = derivative(y_row[c], as_read(dx_row[c]))
                dx_row[c] = value
                own[c] += value

    @kernel(
        split=[("P", 1), ("N", COLUMN_GRAIN)],
        name=f"gemm_and_{derivative.name}",
        a="T[M, K]",
        b="T[N, K]",
        y="T[M, N]",
        chunk="int",
        accumulate="int",
        dx="out T[M, N]",
        sums="inout T[P, N]",
    )
    def of_derivative(
        a, b, y, chunk, accumulate, dx, sums, row_start, row_stop, col_start, col_stop
    ):
        """The loops of gemm.py: 4, 3, 2, and in the panel the epilogue's blocks of rows."""
        (rows, depth), columns = a.shape, sums.shape[1]
        start, stop = row_start * chunk, min(row_stop * chunk, rows)
        panel, block = stack_array(T(0), B_PANEL_ELEMENTS), stack_array(T(0), A_BLOCK_ELEMENTS)
        a_flat, a_start, packing_a = flat(a), 0, packs_a(a, 0, columns, stop - start)
        if accumulate == 0:
            for p in range(row_start, row_stop):
                clear(sums[p, col_start:col_stop])
        k, init = 0, INIT_ZERO
        while True:  # once even if there is nothing to sum
            kc, block_start = min(KC, depth - k), start
            elements = A_BLOCK_ELEMENTS if packing_a else A_IN_PLACE_ELEMENTS
            mc = choose_mc(stop - start, EPILOGUE_ROWS, kc, elements)
            while block_start < stop:
                block_stop = min(next_block_stop(block_start, mc, chunk), stop)
                if packing_a:
                    i, a_flat = block_start, block
                    while i < block_stop:
                        i_stop = min(next_epilogue_stop(i, chunk), block_stop)
                        pack_a(a, 0, i, i_stop, k, k + kc, block[(i - block_start) * kc :])
                        i = i_stop
                for j in range(col_start, col_stop, NR):
                    j_stop, i = min(j + NR, col_stop), block_start
                    pack_b_transposed(b, j, j_stop - j, k, k + kc, panel)
                    while i < block_stop:
                        i_stop = min(next_epilogue_stop(i, chunk), block_stop)
                        a_start = (i - block_start) * kc if packing_a else i * depth + k
                        multiply_panel(
                            kc, (a_flat, a_start, depth, 1), packing_a, (panel, 0, NR),
                            (panel, 0, 0), y[0, :0], init, T(-math.inf), dx, j, j_stop - j,
                            i, i_stop,
                        )  # fmt: skip
                        if k + kc == depth:
                            finish(y, dx, i, i_stop, j, j_stop, sums[i // chunk])
                        i = i_stop
                block_start = block_stop
            k, init = k + kc, INIT_C
            if k == depth:
                break

    return of_derivative


def is_fused(a, y):
    """Whether one kernel makes the product a b^T and the derivative: where gemm would make it."""
    return way(*a.shape, y.shape[1], y.dtype, transpose_b=True) == "gemm"


@cache
def matmul_and_gradient(derivative):
    """The launcher of dx = derivative(y, a b^T)."""
    formula = Formula(derivative)
    fused, alone = gemm_and_gradient(derivative), flat_kernel(formula)
    numbers = tuple(formula.defaults.values())  # only with these is it fused

    def launch(call, y, a, b, dx):
        if is_fused(a, y):
            chunks = chunks_of_sums(y.shape)
            chunk = rows_of_chunk(y.shape[0]) if chunks > 1 else y.shape[0]
            unused = call.scratch((chunks, y.shape[1]), y.dtype)
            call(fused, a, b, y, chunk, 0, dx, unused)
        else:
            product = call.scratch(y.shape, y.dtype)
            matmul(call, a, b, product, transpose_b=True)
            call(alone, y.flat(), product.flat(), *numbers, dx.flat())

    return launch


@cache
def matmul_and_gradient_and_sums(derivative):
    """The launcher of dx = derivative(y, a b^T) and the sums of its columns, or sums += them."""
    fused, alone = gemm_and_gradient(derivative), gradient_and_sums(derivative)

    def launch(call, y, a, b, dx, sums, *, accumulate=False):
        if not is_fused(a, y):
            product = call.scratch(y.shape, y.dtype)
            matmul(call, a, b, product, transpose_b=True)
            alone(call, y, product, dx, sums, accumulate=accumulate)
            return
        (rows, columns), chunks = y.shape, chunks_of_sums(y.shape)
        if chunks == 1:
            call(fused, a, b, y, rows, int(accumulate), dx, sums.view((1, columns)))
        else:
            of_chunks = call.scratch((chunks, columns), y.dtype)
            call(fused, a, b, y, rows_of_chunk(rows), 0, dx, of_chunks)
            sum_of_chunks(call, of_chunks, sums, accumulate)

    return launch


def chunks_of_sums(shape):
    """How many chunks of rows the sums of the columns are taken of: one where they are few, or
    where as many threads can divide the columns."""
    (rows, columns), (chunks, _) = shape, chunks_of(shape)
    if rows * columns < COLUMN_SUMS_MIN_ELEMENTS or columns >= chunks * COLUMN_GRAIN:
        return 1
    return chunks
