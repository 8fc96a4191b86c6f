"""Products with one row, one column or few of them, and the rank-1 update."""

from ..declare import T, helper, kernel
from ..intrinsics import as_read, flat, fma
from .gemm import ROWS, first_sums
from .pack import WAYS
from .simd.dot_microkernel import DOT_COLUMNS, DOT_LONG, DOT_ROWS, dot_tiles
from .simd.gemm_microkernel import NEAR, PAGE, PANEL, multiply_strip
from .simd.vectors import FROM_BIAS, FROM_C
from .threads import FLAT


@kernel(split=[("M", ROWS)], a="T[M]", b="T[N]", accumulate="int", c="inout T[M, N]")
def ger(a, b, accumulate, c, start, stop):
    """C = a b^T, or C += a b^T, row after row: a product whose K is 1 is a matter of writing."""
    for i in range(stop - start):
        row, factor = c[start + i], a[start + i]
        if accumulate != 0:
            for j in range(row.size):
                row[j] = fma(factor, b[j], row[j])
        else:
            for j in range(row.size):
                row[j] = factor * b[j]


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
def gemm_dots(a, b, bias, clamp_min, accumulate, c, row_start, row_stop, col_start, col_stop):
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
def gemv(x, w, bias, clamp_min, accumulate, y, start, stop):
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
