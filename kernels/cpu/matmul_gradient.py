"""A product of matrices and what the layer below needs first of it: the derivative of its
activation and the sums for its bias."""

import math
from functools import cache

from ..declare import T, helper, kernel, machine
from ..intrinsics import as_read, flat, stack_array
from .gemm import multiply_panel
from .loops import COLUMN_SUMS_MIN_ELEMENTS, gradient_and_sums, unary_gradient
from .matmul import matmul, way
from .pack import BLOCK_MEMORY, SOME, copies_a, copy_rows, rows_at_once, turn_panel
from .reduce import chunks_of, rows_of_chunk, sum_of_chunks
from .simd.gemm_microkernel import BLOCK, PANEL, PANEL_MEMORY, WIDTH
from .simd.rows import clear
from .simd.vectors import FROM_C, FROM_ZERO

# threads share out columns in multiples of this: whole vectors in float32, of which two make a tile
COLUMNS = 16
# Rows of a panel that the nearest cache holds, of the product and of y: four of the tallest tiles.
BLOCK_ROWS = machine(lambda target, _item_bytes: min(56, target.kc_rows))


@helper
def end_of_block(first, chunk):
    """Where the rows end that are finished together from `first` on: they are of one chunk, and the
    same for any threads."""
    return min(first + BLOCK_ROWS, (first // chunk + 1) * chunk)


@helper
def end_of_some(first, some, chunk):
    """Where the rows end that are multiplied together, no more than `some`: whole chunks or, if
    those are larger, whole blocks."""
    if some >= chunk:
        return first + some // chunk * chunk
    return min(first + some, (first // chunk + 1) * chunk)


@cache
def gemm_and_gradient(derivative):
    """dx = derivative(y, A B^T), and the sums of each `chunk` rows of its columns, or sums += them:
    what a layer, whose result is y, needs first of the layer above, and the gradient of its bias.
    Tiles are finished while the nearest cache holds them.

    Threads share out the chunks or, if there is only one, the columns, and then turn only their own
    part of B.
    """

    def strip(columns):
        """Rows first to last of so many columns from j on, whose sums stay in registers."""

        @helper
        def finish(y, dx, first, last, j, sums):
            total, value, other = (
                stack_array(T(0), columns),
                stack_array(T(0), columns),
                stack_array(T(0), columns),
            )
            clear(total)
            # two rows: a sum takes three or four cycles, and one begins in each
            for i in range(first, last, 2):
                y_row, dx_row = y[i, j : j + columns], dx[i, j : j + columns]
                for c in range(columns):
                    value[c] = derivative(y_row[c], dx_row[c])
                for c in range(columns):
                    dx_row[c] = value[c]
                if i + 1 < last:
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

    panel_strip, vector_strip = strip(PANEL), strip(WIDTH)

    @helper
    def finish(y, dx, first, last, j, stop, sums):
        """The same of columns j to stop, a panel's."""
        if stop - j == PANEL:
            panel_strip(y, dx, first, last, j, sums)
            return
        if stop - j >= WIDTH:
            vector_strip(y, dx, first, last, j, sums)
            j += WIDTH
        own = sums[j:stop]
        for i in range(first, last):
            y_row, dx_row = y[i, j:stop], dx[i, j:stop]
            for c in range(own.size):
                value = derivative(y_row[c], as_read(dx_row[c]))
                dx_row[c] = value
                own[c] += value

    @kernel(
        split=[("P", 1), ("N", COLUMNS)],
        name=f"matmul_and_{derivative.name}",
        a="T[M, K]",
        b="T[N, K]",
        y="T[M, N]",
        chunk="int",
        accumulate="int",
        dx="out T[M, N]",
        sums="inout T[P, N]",
    )
    def product_and_gradient(
        a, b, y, chunk, accumulate, dx, sums, row_start, row_stop, col_start, col_stop
    ):
        (rows, depth), columns = a.shape, sums.shape[1]
        start_row, last = row_start * chunk, min(row_stop * chunk, rows)
        panel, block, a_flat, a_first = (
            stack_array(T(0), PANEL_MEMORY),
            stack_array(T(0), BLOCK_MEMORY),
            flat(a),
            0,
        )
        is_copied = copies_a(a, 0, columns, last - start_row)
        if accumulate == 0:
            for p in range(row_start, row_stop):
                clear(sums[p, col_start:col_stop])
        k, start = 0, FROM_ZERO
        while True:  # once even if there is nothing to sum
            size, top = min(BLOCK, depth - k), start_row
            some = rows_at_once(
                last - start_row, BLOCK_ROWS, size, BLOCK_MEMORY if is_copied else SOME
            )
            while top < last:
                bottom = min(end_of_some(top, some, chunk), last)
                if is_copied:
                    first, a_flat = top, block
                    while first < bottom:
                        after = min(end_of_block(first, chunk), bottom)
                        copy_rows(a, 0, first, after, k, k + size, block[(first - top) * size :])
                        first = after
                for j in range(col_start, col_stop, PANEL):
                    stop, first = min(j + PANEL, col_stop), top
                    turn_panel(b, j, stop - j, k, k + size, panel)
                    while first < bottom:
                        after = min(end_of_block(first, chunk), bottom)
                        a_first = (first - top) * size if is_copied else first * depth + k
                        multiply_panel(
                            size, a_flat, a_first, depth, 1, is_copied, panel, 0, PANEL, panel, 0,
                            0,
                            y[0, :0], start, T(-math.inf), dx, j, stop - j, first, after,
                        )  # fmt: skip
                        if k + size == depth:
                            finish(y, dx, first, after, j, stop, sums[first // chunk])
                        first = after
                top = bottom
            k, start = k + size, FROM_C
            if k == depth:
                break

    return product_and_gradient


def makes_both(a, y):
    """Whether one kernel makes the product a b^T and the derivative: where gemm would make it."""
    return way(*a.shape, y.shape[1], y.dtype, transpose_b=True) == "gemm"


@cache
def matmul_and_gradient(derivative):
    """The launcher of dx = derivative(y, a b^T)."""
    fused, alone = gemm_and_gradient(derivative), unary_gradient(derivative)

    def launch(call, y, a, b, dx):
        if makes_both(a, y):
            chunks = chunks_of_sums(y.shape)
            chunk = rows_of_chunk(y.shape[0]) if chunks > 1 else y.shape[0]
            unused = call.scratch((chunks, y.shape[1]), y.dtype)
            call(fused, a, b, y, chunk, 0, dx, unused)
        else:
            product = call.scratch(y.shape, y.dtype)
            matmul(call, a, b, product, transpose_b=True)
            call(alone, y.flat(), product.flat(), dx.flat())

    return launch


@cache
def matmul_and_gradient_and_sums(derivative):
    """The launcher of dx = derivative(y, a b^T) and the sums of its columns, or sums += them."""
    fused, alone = gemm_and_gradient(derivative), gradient_and_sums(derivative)

    def launch(call, y, a, b, dx, sums, *, accumulate=False):
        if not makes_both(a, y):
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
    if rows * columns < COLUMN_SUMS_MIN_ELEMENTS or columns >= chunks * COLUMNS:
        return 1
    return chunks
