"""Batch normalisation of x (N, C), by the formulas of kernels/cpu/normalization.py.

Up to ONE_LAUNCH_ROWS rows a block makes all of its strip of columns in one launch: what its first
pass has loaded, the second finds in the caches. Of more rows the statistics are those of chunks
(strips.py), joined by a second kernel, and a third goes through the elements.

Statistics are taken in one pass, by each thread of its own rows, of their distance from the first
row of all.
"""

from functools import cache

from ..declare import T, helper, kernel
from ..intrinsics import fma
from ..scalar.normalize import (
    scale_and_shift,
    scale_and_shift_gradient,
)
from ..statistics import gradient_coefficients, reciprocal_deviation, two_sum
from .grid import block_index, block_index_y, flat, shared_array, thread_index
from .reductions import BLOCK_THREADS, COLUMN_PARTIAL, COLUMN_THREADS, LINES, column_sum
from .row_loops import column_kernel
from .strips import (
    STRIPS,
    STRIPS_OF_CHUNKS,
    chunks_of,
    column_of_thread,
    gradient_sums,
    joined,
    line_of_thread,
    places_of_thread,
    statistics,
    sum_of_chunks,
    sums_by_chunks,
)


@helper
def columns_of(first, offset, squares, rows, gamma, beta, epsilon):
    """mean, variance, mean_lo and rstd of a column; scale and shift, by which y = scale (x - mean)
    + shift."""
    mean, mean_lo = two_sum(first, offset)
    variance = squares / rows
    rstd = reciprocal_deviation(variance, epsilon)
    scale = rstd * gamma
    return mean, variance, mean_lo, rstd, scale, fma(-mean_lo, scale, beta)


@cache
def strips_then(function=None):
    """The kernel of batch normalisation in strips; then, in the same launch, y = function(y)."""

    @helper
    def finished(value):
        return value if function is None else function(value)

    @kernel(
        threads=COLUMN_THREADS,
        name="batch_norm_strips" + (f"_{function.name}" if function else ""),
        split=STRIPS,
        x="T[N, C]",
        gamma="T[C]",
        beta="T[C]",
        epsilon="float",
        y="out T[N, C]",
        mean="out T[C]",
        variance="out T[C]",
        mean_lo="out T[C]",
        rstd="out T[C]",
    )
    def batch_norm_strips(x, gamma, beta, epsilon, y, mean, variance, mean_lo, rstd):
        """y = gamma xhat + beta and the statistics, in one launch."""
        partial, (rows, columns) = shared_array(T(0), COLUMN_PARTIAL), x.shape
        j, is_inside = column_of_thread(columns)
        i, stop, step = places_of_thread(columns, j, 0, rows)
        x, y, first = flat(x), flat(y), x[0, j]
        count, offset, squares = statistics(x, first, i, stop, step)
        offset, squares = joined(count, offset, squares, T(rows), partial)
        mean_j, variance_j, mean_lo_j, rstd_j, scale, shift = columns_of(
            first, offset, squares, T(rows), gamma[j], beta[j], epsilon
        )
        if not is_inside:
            return
        if line_of_thread() == 0:
            mean[j], variance[j], mean_lo[j], rstd[j] = mean_j, variance_j, mean_lo_j, rstd_j
        while i < stop:
            y[i] = finished(scale_and_shift(x[i], mean_j, scale, shift))
            i += step

    return batch_norm_strips


batch_norm_strips = strips_then()


@kernel(
    threads=COLUMN_THREADS,
    split=STRIPS_OF_CHUNKS,
    x="T[N, C]",
    chunk="int",
    offsets="out T[P, C]",
    squares="out T[P, C]",
)
def chunk_statistics(x, chunk, offsets, squares):
    """offsets[p] = mean of x - x[0] over chunk p of `chunk` rows, squares[p] = sum of squares about
    it."""
    partial, p = shared_array(T(0), COLUMN_PARTIAL), block_index_y()
    j, is_inside = column_of_thread(x.shape[1])
    start, stop = p * chunk, min((p + 1) * chunk, x.shape[0])
    places = places_of_thread(x.shape[1], j, start, stop)
    count, offset, own_squares = statistics(flat(x), x[0, j], *places)
    offset, own_squares = joined(count, offset, own_squares, T(stop - start), partial)
    if is_inside and line_of_thread() == 0:
        offsets[p, j], squares[p, j] = offset, own_squares


@kernel(
    threads=COLUMN_THREADS,
    split=STRIPS,
    x="some T[N, C]",
    gamma="T[C]",
    beta="T[C]",
    epsilon="float",
    chunk="int",
    offsets="T[P, C]",
    squares="T[P, C]",
    mean="out T[C]",
    variance="out T[C]",
    mean_lo="out T[C]",
    rstd="out T[C]",
    scale="out T[C]",
    shift="out T[C]",
)
def join_statistics(
    x,
    gamma,
    beta,
    epsilon,
    chunk,
    offsets,
    squares,
    mean,
    variance,
    mean_lo,
    rstd,
    scale,
    shift,
):
    """Statistics of all rows from those of the chunks: mean + mean_lo, variance, rstd; and scale
    and shift, by which y = scale (x - mean) + shift."""
    partial, (rows, columns) = shared_array(T(0), COLUMN_PARTIAL), x.shape
    j, is_inside = column_of_thread(columns)
    start, stop, step = places_of_thread(columns, j, 0, offsets.shape[0])
    offsets, squares, total, i = flat(offsets), flat(squares), T(0), start
    left, left_step = rows - line_of_thread() * chunk, LINES * chunk  # rows from a chunk on
    while i < stop:
        total = fma(T(min(chunk, left)), offsets[i], total)
        i, left = i + step, left - left_step
    offset, total, i = column_sum(total, partial) / T(rows), T(0), start
    left = rows - line_of_thread() * chunk
    while i < stop:
        delta = offsets[i] - offset
        total += fma(delta * delta, T(min(chunk, left)), squares[i])
        i, left = i + step, left - left_step
    total = column_sum(total, partial)
    if not is_inside or line_of_thread() != 0:
        return
    mean[j], variance[j], mean_lo[j], rstd[j], scale[j], shift[j] = columns_of(
        x[0, j], offset, total, T(rows), gamma[j], beta[j], epsilon
    )


scale_columns = column_kernel(
    scale_and_shift, "scale_columns", x="N, C", mean="C", scale="C", shift="C", y="out N, C"
)


@kernel(
    threads=COLUMN_THREADS,
    split=STRIPS,
    x="T[N, C]",
    gamma="T[C]",
    mean="T[C]",
    mean_lo="T[C]",
    rstd="T[C]",
    dy="T[N, C]",
    dx="out T[N, C]",
    dgamma="out T[C]",
    dbeta="out T[C]",
)
def batch_norm_gradient_strips(x, gamma, mean, mean_lo, rstd, dy, dx, dgamma, dbeta):
    """dx = gamma rstd (dy - dbeta / N - xhat dgamma / N), in one launch."""
    partial, (rows, columns) = shared_array(T(0), COLUMN_PARTIAL), x.shape
    j, is_inside = column_of_thread(columns)
    i, stop, step = places_of_thread(columns, j, 0, rows)
    x, dy, dx, mean_j = flat(x), flat(dy), flat(dx), mean[j]
    products, sums = gradient_sums(x, mean_j, dy, i, stop, step, partial)
    dgamma_j, scale, coefficient, constant = gradient_coefficients(
        gamma[j], mean_lo[j], rstd[j], products, sums, T(1) / T(rows)
    )
    if not is_inside:
        return
    if line_of_thread() == 0:
        dgamma[j], dbeta[j] = dgamma_j, sums
    while i < stop:
        dx[i] = scale_and_shift_gradient(x[i], mean_j, scale, coefficient, constant, dy[i])
        i += step


@kernel(
    threads=COLUMN_THREADS,
    split=STRIPS_OF_CHUNKS,
    x="T[N, C]",
    mean="T[C]",
    dy="T[N, C]",
    chunk="int",
    products="out T[P, C]",
    sums="out T[P, C]",
)
def chunk_gradient_sums(x, mean, dy, chunk, products, sums):
    """products[p] = sum of dy (x - mean) over chunk p of `chunk` rows, sums[p] = sum of dy."""
    partial, p = shared_array(T(0), COLUMN_PARTIAL), block_index_y()
    (rows, columns), (j, is_inside) = x.shape, column_of_thread(x.shape[1])
    places = places_of_thread(columns, j, p * chunk, min((p + 1) * chunk, rows))
    of_products, of_dy = gradient_sums(flat(x), mean[j], flat(dy), *places, partial)
    if is_inside and line_of_thread() == 0:
        products[p, j], sums[p, j] = of_products, of_dy


@kernel(
    threads=COLUMN_THREADS,
    split=STRIPS,
    gamma="T[C]",
    mean_lo="T[C]",
    rstd="T[C]",
    rows="int",
    products="T[P, C]",
    sums="T[P, C]",
    dgamma="out T[C]",
    dbeta="out T[C]",
    scale="out T[C]",
    coefficient="out T[C]",
    constant="out T[C]",
)
def join_gradient_sums(
    gamma, mean_lo, rstd, rows, products, sums, dgamma, dbeta, scale, coefficient, constant
):
    """dbeta = sum of dy, dgamma = sum of dy (x - mean - mean_lo) rstd; and the coefficients of dx,
    for `combine_columns`."""
    partial = shared_array(T(0), COLUMN_PARTIAL)
    j, is_inside = column_of_thread(gamma.size)
    of_products, of_dy = sum_of_chunks(products, j, partial), sum_of_chunks(sums, j, partial)
    if is_inside and line_of_thread() == 0:
        dbeta[j] = of_dy
        dgamma[j], scale[j], coefficient[j], constant[j] = gradient_coefficients(
            gamma[j], mean_lo[j], rstd[j], of_products, of_dy, T(1) / T(rows)
        )


combine_columns = column_kernel(
    scale_and_shift_gradient,
    "combine_columns",
    x="N, C",
    mean="C",
    scale="C",
    coefficient="C",
    constant="C",
    dy="N, C",
    dx="out N, C",
)


@kernel(
    threads=BLOCK_THREADS,
    split=[("C", BLOCK_THREADS)],
    gamma="T[C]",
    variance="T[C]",
    epsilon="float",
    rstd="out T[C]",
    scale="out T[C]",
)
def inference_columns(gamma, variance, epsilon, rstd, scale):
    """rstd = 1 / deviation, for the gradient, and scale = gamma rstd."""
    j = block_index() * BLOCK_THREADS + thread_index()
    if j < gamma.size:
        rstd[j] = reciprocal_deviation(variance[j], epsilon)
        scale[j] = rstd[j] * gamma[j]


@kernel(
    threads=COLUMN_THREADS,
    split=STRIPS_OF_CHUNKS,
    x="T[N, C]",
    gamma="T[C]",
    mean="T[C]",
    rstd="T[C]",
    dy="T[N, C]",
    chunk="int",
    dx="out T[N, C]",
    dgamma="out T[P, C]",
    dbeta="out T[P, C]",
)
def inference_gradient_chunks(x, gamma, mean, rstd, dy, chunk, dx, dgamma, dbeta):
    """dx = gamma rstd dy: given statistics do not depend on x. And of each chunk of rows dgamma[p]
    = sum of dy (x - mean) rstd, dbeta[p] = sum of dy."""
    partial, p = shared_array(T(0), COLUMN_PARTIAL), block_index_y()
    (rows, columns), (j, is_inside) = x.shape, column_of_thread(x.shape[1])
    i, stop, step = places_of_thread(columns, j, p * chunk, min((p + 1) * chunk, rows))
    dy, dx, scale = flat(dy), flat(dx), gamma[j] * rstd[j]
    products, sums = gradient_sums(flat(x), mean[j], dy, i, stop, step, partial)
    if not is_inside:
        return
    if line_of_thread() == 0:
        dgamma[p, j], dbeta[p, j] = products * rstd[j], sums
    while i < stop:
        dx[i] = scale * dy[i]
        i += step


@kernel(
    threads=BLOCK_THREADS,
    split=[("C", BLOCK_THREADS)],
    batched=True,
    batch="T[C]",
    momentum="float",
    moving="inout T[C]",
)
def move_towards(batch, momentum, moving):
    """moving = momentum moving + (1 - momentum) batch."""
    j = block_index() * BLOCK_THREADS + thread_index()
    if j < moving.size:
        moving[j] = moving[j] * T(momentum) + batch[j] * T(1.0 - momentum)


# ---- launchers


def batch_norm(call, x, gamma, beta, y, mean, variance, mean_lo, rstd, *, epsilon=1e-3):
    columns, (partial, chunk) = x.shape[1:], chunks_of(x)
    results = mean, variance, mean_lo, rstd
    if partial[0] == 1:
        call(batch_norm_strips, x, gamma, beta, float(epsilon), y, *results)
        return
    offsets, squares = call.scratch(partial, x.dtype), call.scratch(partial, x.dtype)
    scale, shift = call.scratch(columns, x.dtype), call.scratch(columns, x.dtype)
    call(chunk_statistics, x, chunk, offsets, squares)
    # fmt: off
    call(join_statistics, x, gamma, beta, float(epsilon), chunk, offsets, squares,
         *results, scale, shift)
    # fmt: on
    call(scale_columns, x.flat(), mean, scale, shift, y.flat())


def batch_norm_gradient(call, x, gamma, mean, mean_lo, rstd, dy, dx, dgamma, dbeta):
    (rows, *columns), (partial, chunk) = x.shape, chunks_of(x)
    if partial[0] == 1:
        call(batch_norm_gradient_strips, x, gamma, mean, mean_lo, rstd, dy, dx, dgamma, dbeta)
        return
    products, sums = call.scratch(partial, x.dtype), call.scratch(partial, x.dtype)
    coefficients = [call.scratch(tuple(columns), x.dtype) for _ in range(3)]
    call(chunk_gradient_sums, x, mean, dy, chunk, products, sums)
    call(
        join_gradient_sums, gamma, mean_lo, rstd, rows, products, sums, dgamma, dbeta, *coefficients
    )
    call(combine_columns, x.flat(), mean, *coefficients, dy.flat(), dx.flat())


def batch_norm_inference(call, x, gamma, beta, mean, variance, y, rstd, *, epsilon=1e-3):
    scale = call.scratch(rstd.shape, x.dtype)
    call(inference_columns, gamma, variance, float(epsilon), rstd, scale)
    call(scale_columns, x.flat(), mean, scale, beta, y.flat())


def batch_norm_inference_gradient(call, x, gamma, mean, rstd, dy, dx, dgamma, dbeta):
    def sum_chunks(chunk, *chunks):
        call(inference_gradient_chunks, x, gamma, mean, rstd, dy, chunk, dx, *chunks)

    sums_by_chunks(call, x, dgamma, dbeta, sum_chunks)
