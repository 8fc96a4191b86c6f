"""Products with one row, one column or few of either, and the rank-1 update.

gemv       y = max(clamp_min, x W + initial)          x (K,), W (K, N)
gemm_dots  C = max(clamp_min, A B^T + initial)        A (M, K), B (N, K)
ger        C = a b^T, or C += a b^T                   a (M,), b (N,)
"""

from ..declare import T, helper, kernel
from ..intrinsics import as_read, flat, fma
from .gemm import initial
from .pack import L1_WAYS, PAGE_ELEMENTS
from .simd.dot_microkernel import DOT_MR, DOT_NR, DOT_NR_OF_ONE_ROW, dot_microkernel
from .simd.gemm_microkernel import NR, gemv_microkernel
from .simd.vectors import INIT_BIAS, INIT_C
from .threads import ELEMENT_GRAIN, HALF_L2_ELEMENTS, ROW_GRAIN, ceil_div


@kernel(split=[("M", ROW_GRAIN)], a="T[M]", b="T[N]", accumulate="int", c="inout T[M, N]")
def ger(a, b, accumulate, c, start, stop):
    """C = a b^T, or C += a b^T, row after row: a product whose K is 1 is bound by its stores."""
    for i in range(stop - start):
        row, factor = c[start + i], a[start + i]
        if accumulate != 0:
            for j in range(row.size):
                row[j] = fma(factor, b[j], row[j])
        else:
            for j in range(row.size):
                row[j] = factor * b[j]


@helper
def multiply_rows(a, b, bias, init, clamp_min, c, c_row, row_start, row_stop, col_start, col_stop):
    """These rows and columns of C = A B^T. Tiles are as few as can be, and as alike."""
    depth, i = a.shape[1], row_start
    while i < row_stop:
        rows = DOT_MR if row_stop - i >= DOT_MR else 2 if row_stop - i >= 2 else 1
        down, j = (row_stop - i) // rows, col_start
        tiles = ceil_div(col_stop - col_start, DOT_NR_OF_ONE_ROW if a.shape[0] == 1 else DOT_NR)
        while j < col_stop:
            width = ceil_div(col_stop - j, tiles)
            # of this width; the others have a column less
            across = (col_stop - j) - (width - 1) * tiles
            dot_microkernel(
                rows, width, down, across, depth, (flat(a), i * depth, depth),
                (flat(b), j * depth, depth), (bias, j), init, clamp_min, (c, i * c_row + j, c_row),
            )  # fmt: skip
            j, tiles = j + across * width, tiles - across
        i += down * rows


@kernel(
    split=[("M", ROW_GRAIN), ("N", ELEMENT_GRAIN)],
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
    init, floor = initial(accumulate, bias), T(clamp_min)
    # as one row of the transpose, with the bias, which is one for all, there already
    if c.shape[1] == 1:
        column = flat(c)[row_start:row_stop]
        if init == INIT_BIAS:
            for i in range(column.size):
                column[i] = bias[0]
            init = INIT_C
        multiply_rows(b, a, bias, init, floor, flat(c), 0, 0, 1, row_start, row_stop)
    else:
        multiply_rows(
            a, b, bias, init, floor, flat(c), c.shape[1], row_start, row_stop, col_start, col_stop
        )


@helper
def add_eight_rows(w, k, x, y):
    """y += x[k : k + 8] W[k : k + 8], unrolled by eight rows: each element of y is read and written
    once."""
    a, b, c, d = w[k], w[k + 1], w[k + 2], w[k + 3]
    e, f, g, h = w[k + 4], w[k + 5], w[k + 6], w[k + 7]
    p, q, r, s = x[k], x[k + 1], x[k + 2], x[k + 3]
    t, u, v, z = x[k + 4], x[k + 5], x[k + 6], x[k + 7]
    for j in range(y.size):
        half = fma(s, d[j], fma(r, c[j], fma(q, b[j], fma(p, a[j], y[j]))))
        y[j] = fma(z, h[j], fma(v, g[j], fma(u, f[j], fma(t, e[j], half))))


@kernel(
    split=[("N", ELEMENT_GRAIN)],
    x="T[K]",
    w="T[K, N]",
    bias="T[B]",
    clamp_min="float",
    accumulate="int",
    y="inout T[N]",
)
def gemv(x, w, bias, clamp_min, accumulate, y, start, stop):
    """y = max(clamp_min, x W + bias) for one row x, or with accumulate max(clamp_min, x W + y).

    A W that is resident in L2 is read panel by panel, with sums in registers, unless its rows
    conflict in the sets of L1; one out of L2 is read once, in the order in which it lies. The sums
    are the same.
    """
    own, floor = y[start:stop], T(clamp_min)
    has_conflicts = y.size % (PAGE_ELEMENTS // 2) == 0
    is_resident = w.size <= HALF_L2_ELEMENTS and not has_conflicts
    if y.size <= NR or x.size <= 2 * L1_WAYS or is_resident:
        init, columns, j = initial(accumulate, bias), y.size, start
        # two panels at once: four accumulators hide the latency of a multiply-add, four cycles
        while j < stop:
            width = 2 * NR if stop - j >= 2 * NR else min(NR, stop - j)
            panel = flat(w), j, columns
            gemv_microkernel(x.size, (x, 0), panel, (bias, j), init, floor, (y, j), width)
            j += width
        return
    if accumulate == 0:
        for j in range(own.size):
            own[j] = T(0)
        if bias.size > 0:
            own_bias = bias[start:stop]
            for j in range(own.size):
                own[j] = own_bias[j]
    eights = x.size // 8 * 8
    for k in range(0, eights, 8):
        add_eight_rows(w[:, start:stop], k, x, own)
    for k in range(eights, x.size):
        row, factor = w[k, start:stop], x[k]
        for j in range(own.size):
            own[j] = fma(factor, row[j], own[j])
    for j in range(own.size):
        value = as_read(own[j])
        own[j] = floor if value < floor else value
