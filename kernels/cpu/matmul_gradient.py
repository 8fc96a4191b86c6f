"""A product of matrices and what the layer below needs first of it: the derivative of its activation and the sums for its bias."""

import math
from functools import cache

from ..marks import T, helper, kernel
from ..primitives import flat, stack
from .matmul import copy_rows, multiply_panel, turn_panel
from .register_tile import BLOCK, PANEL, PANEL_MEMORY, WIDTH
from .rows import clear
from .share import share_either
from .vectors import FROM_C, FROM_ZERO

COLUMNS = 16  # lanes share out columns in multiples of this: whole vectors in float32, of which two make a tile
BLOCK_ROWS = 56  # rows of a panel that the nearest cache holds, of the product and of y: four of the tallest tiles


@cache
def matmul_and_gradient(derivative):
    """dx = derivative(y, A B^T), and the sums of each `chunk` rows of its columns, or sums += them: what a layer, whose result is
    y, needs first of the layer above, and the gradient of its bias. Tiles are finished while the nearest cache holds them.

    Lanes share out the chunks or, if there is only one, the columns, and then turn only their own part of B.
    copied: memory for a copy of A, of which lanes that share out columns make none, or empty to read it in place.
    """

    def strip(columns):
        """Rows first to last of so many columns from j on, whose sums stay in registers."""

        @helper
        def finish(y, dx, first, last, j, sums):
            total, value, other = stack(T(0), columns), stack(T(0), columns), stack(T(0), columns)
            clear(total)
            for i in range(first, last, 2):  # two rows: a sum takes three or four cycles, and one begins in each
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
                value = derivative(y_row[c], dx_row[c])
                dx_row[c] = value
                own[c] += value

    @kernel(
        split=[("P", 1), ("N", COLUMNS)],
        name=f"matmul_and_{derivative.name}",
        a="T[M, K]",
        b="T[N, K]",
        y="T[M, N]",
        copied="out T[R, S]",
        chunk="int",
        add="int",
        dx="out T[M, N]",
        sums="inout T[P, N]",
    )
    def product_and_gradient(a, b, y, copied, chunk, add, dx, sums, lane, lanes):
        (rows, depth), (chunks, columns) = a.shape, sums.shape
        begin, end, left, right = share_either(chunks, 1, columns, COLUMNS, lane, lanes)
        panel, flat_a, copied_row = stack(T(0), PANEL_MEMORY), flat(a), copied.shape[1]
        if copied_row > 0:
            flat_a = flat(copied)
            for p in range(begin, end):
                last = min((p + 1) * chunk, rows)
                for first in range(p * chunk, last, BLOCK_ROWS):
                    copy_rows(a, 0, copied, first, min(first + BLOCK_ROWS, last))
        if add == 0:
            for p in range(begin, end):
                clear(sums[p, left:right])
        k, start = 0, FROM_ZERO
        while True:  # once even if there is nothing to sum
            size = min(BLOCK, depth - k)
            for j in range(left, right, PANEL):
                stop = min(j + PANEL, right)
                turn_panel(b, j, stop - j, k, k + size, panel)
                for p in range(begin, end):
                    last = min((p + 1) * chunk, rows)
                    for first in range(p * chunk, last, BLOCK_ROWS):
                        after = min(first + BLOCK_ROWS, last)
                        multiply_panel(
                            size, flat_a, depth, 1, k, copied_row, panel, 0, PANEL, y[0, :0], start, T(-math.inf),
                            dx, j, stop - j, first, after,
                        )  # fmt: skip
                        if k + size == depth:
                            finish(y, dx, first, after, j, stop, sums[p])
            k, start = k + size, FROM_C
            if k == depth:
                break

    return product_and_gradient
