"""Layer normalisation of x (N, C), by the formulas of kernels/cpu/layer_norm.py. The gradients of
gamma and beta are sums over rows, which strips of columns make (normalization.py).
"""

from ..declare import T, helper, kernel
from ..intrinsics import fma
from ..scalar.normalize import normalise, normalise_gradient
from ..statistics import reciprocal_deviation, two_sum
from .grid import block_index_y, flat, natural, shared_array, thread_index
from .reductions import BLOCK_WARPS, COLUMN_PARTIAL, COLUMN_THREADS, LINES, column_sum
from .row_loops import row_kernel, row_loop, row_of_thread, row_sum
from .strips import (
    STRIPS_OF_CHUNKS,
    column_of_thread,
    line_of_thread,
    places_of_thread,
    sums_by_chunks,
)


@helper
def add_deviation(x, first, total):
    return total + (x - first)


@helper
def add_squared_deviation(x, mean, total):
    return fma(x - mean, x - mean, total)


@helper
def add_gradients(x, gamma, mean, dy, sums, products):
    """sums + g, products + g (x - mean) with g = dy gamma."""
    return sums + dy * gamma, fma(x - mean, dy * gamma, products)


deviations_of_row = row_loop(add_deviation, x="N, C", first="number", total="sum")
squares_of_row = row_loop(add_squared_deviation, x="N, C", mean="number", total="sum")
normalised_row = row_loop(
    normalise,
    x="N, C",
    mean="number",
    mean_lo="number",
    rstd="number",
    gamma="C",
    beta="C",
    y="out N, C",
)
gradients_of_row = row_loop(
    add_gradients, x="N, C", gamma="C", mean="number", dy="N, C", sums="sum", products="sum"
)
gradient_row = row_loop(
    normalise_gradient,
    x="N, C",
    mean="number",
    mean_lo="number",
    rstd="number",
    gamma="C",
    mean_g="number",
    mean_gx="number",
    dy="N, C",
    dx="out N, C",
)


@row_kernel(
    x="T[N, C]",
    gamma="T[C]",
    beta="T[C]",
    epsilon="float",
    y="out T[N, C]",
    mean="out T[N]",
    mean_lo="out T[N]",
    rstd="out T[N]",
)
def layer_norm_kernel(threads):
    def layer_norm(x, gamma, beta, epsilon, y, mean, mean_lo, rstd):
        """y, and for the gradient mean, mean_lo and rstd of each row."""
        partial = shared_array(T(0), BLOCK_WARPS)
        i, t = row_of_thread(threads), thread_index() % threads
        row, one_over_n = min(i, x.shape[0] - 1), T(1) / T(x.shape[1])
        first = x[row, 0]
        total = row_sum(deviations_of_row(x, first, T(0), row, t, threads), threads, partial)
        middle, low = two_sum(first, total * one_over_n)
        squares = row_sum(squares_of_row(x, middle, T(0), row, t, threads), threads, partial)
        inverse = reciprocal_deviation(fma(-low, low, squares * one_over_n), epsilon)
        if i >= x.shape[0]:
            return
        if t == 0:
            mean[i], mean_lo[i], rstd[i] = middle, low, inverse
        normalised_row(x, middle, low, inverse, gamma, beta, y, i, t, threads)

    return layer_norm


@row_kernel(
    x="T[N, C]",
    gamma="T[C]",
    mean="T[N]",
    mean_lo="T[N]",
    rstd="T[N]",
    dy="T[N, C]",
    dx="out T[N, C]",
)
def layer_norm_gradient_kernel(threads):
    def layer_norm_gradient_rows(x, gamma, mean, mean_lo, rstd, dy, dx):
        """dx = rstd (g - mean of g - xhat mean of (g xhat)), g = dy gamma."""
        partial = shared_array(T(0), BLOCK_WARPS)
        i, t = row_of_thread(threads), thread_index() % threads
        row, one_over_n = min(i, x.shape[0] - 1), T(1) / T(x.shape[1])
        middle, low, inverse = mean[row], mean_lo[row], rstd[row]
        sums, products = gradients_of_row(x, gamma, middle, dy, T(0), T(0), row, t, threads)
        sums, products = row_sum(sums, threads, partial), row_sum(products, threads, partial)
        mean_g = sums * one_over_n
        mean_gx = fma(-low, sums, products) * inverse * one_over_n
        if i < x.shape[0]:
            gradient_row(x, middle, low, inverse, gamma, mean_g, mean_gx, dy, dx, i, t, threads)

    return layer_norm_gradient_rows


@kernel(
    threads=COLUMN_THREADS,
    split=STRIPS_OF_CHUNKS,
    x="T[N, C]",
    mean="T[N]",
    mean_lo="T[N]",
    rstd="T[N]",
    dy="T[N, C]",
    chunk="int",
    dgamma="out T[P, C]",
    dbeta="out T[P, C]",
)
def layer_norm_gradient_chunks(x, mean, mean_lo, rstd, dy, chunk, dgamma, dbeta):
    """Of each chunk of rows dgamma[p] = sum of dy xhat, dbeta[p] = sum of dy."""
    partial, p = shared_array(T(0), COLUMN_PARTIAL), block_index_y()
    (rows, columns), (j, is_inside) = x.shape, column_of_thread(x.shape[1])
    i, end, step = places_of_thread(columns, j, p * chunk, min((p + 1) * chunk, rows))
    row, x, dy = natural(p * chunk + line_of_thread()), flat(x), flat(dy)
    products, sums = T(0), T(0)
    while i < end:
        xhat = fma(x[i] - mean[row], rstd[row], -mean_lo[row] * rstd[row])
        products, sums = fma(xhat, dy[i], products), sums + dy[i]
        i += step
        row += LINES
    products, sums = column_sum(products, partial), column_sum(sums, partial)
    if is_inside and line_of_thread() == 0:
        dgamma[p, j], dbeta[p, j] = products, sums


# ---- launchers


def layer_norm(call, x, gamma, beta, y, mean, mean_lo, rstd, *, epsilon=1e-3):
    made = layer_norm_kernel(x.shape[1])
    call(made, x, gamma, beta, float(epsilon), y, mean, mean_lo, rstd)


def layer_norm_gradient(call, x, gamma, mean, mean_lo, rstd, dy, dx, dgamma, dbeta):
    def sum_chunks(chunk, *chunks):
        call(layer_norm_gradient_chunks, x, mean, mean_lo, rstd, dy, chunk, *chunks)

    call(layer_norm_gradient_kernel(x.shape[1]), x, gamma, mean, mean_lo, rstd, dy, dx)
    sums_by_chunks(call, x, dgamma, dbeta, sum_chunks)
