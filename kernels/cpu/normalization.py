"""Batch normalisation of x (N, C): every column (channel, feature) over the rows.

    mean = sum of x / N          variance = sum of (x - mean)^2 / N, biased
    rstd = 1 / sqrt(variance + epsilon)
    xhat = (x - mean) rstd       y = gamma xhat + beta

    dbeta = sum of dy            dgamma = sum of dy xhat
    dx = gamma rstd (dy - dbeta / N - xhat dgamma / N)
    dx = gamma rstd dy           by given statistics, which do not depend on x

Threads divide the rows, as the products around do: what a thread has written it finds in its own
caches. So statistics are taken of chunks of rows, whose number follows from the shape alone, and
joined in the order of the chunks.

Sums are taken of x - x[0], deviations from the first row: of columns of mean 1e4 and deviation 1 a
float32 mean is off by 5e-4, while the mean of the deviations is exact to a few units in the last
place. The rounding error of x[0] + that mean is kept, mean_lo. It is below one ulp of x, so it is
folded into the shift instead of subtracted from each x.

Loops are unrolled over rows to reuse per-column operands, while x fits in L2 (`unrolled_end`).
"""

from ..declare import T, helper, kernel
from ..intrinsics import fma, stack_array
from ..scalar.normalize import add_products_and_sums, scale_and_shift, scale_and_shift_gradient
from ..statistics import gradient_coefficients, reciprocal_deviation, two_sum
from .reduce import chunks_of, rows_of_chunk
from .row_loops import row_loop
from .simd.rows import clear
from .threads import (
    ELEMENT_GRAIN,
    ROW_GRAIN,
    streams_rows_of_columns,
    unrolled_end,
)

COLUMNS, ROWS, CHUNKS = [("C", ELEMENT_GRAIN)], [("N", ROW_GRAIN)], [("P", 1)]
FIRST_ROW_COLUMNS = 1024  # of which a copy is kept on the stack


@helper
def statistics(x, unrolled, first, offset, squares):
    """offset = mean of x - first, squares = sum of (x - first - offset)^2, in one pass.

    Up to row `unrolled` the deviations of eight rows from the first of them are summed, and joined
    with those before: of n rows with mean a and m rows with mean b, delta = b - a, the mean is
    a + delta m / (n + m) and delta^2 n m / (n + m) is added to the squares (Chan, Golub and
    LeVeque, "Algorithms for computing the sample variance", 1983). About one of eight, the sum of
    squares is at most eight times that about their mean, so little of it cancels.
    """
    for j in range(offset.size):
        offset[j], squares[j] = T(0), T(0)
    for i in range(0, unrolled, 8):
        x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        x4, x5, x6, x7 = x[i + 4], x[i + 5], x[i + 6], x[i + 7]
        new_fraction = T(8) / T(i + 8)
        weight = T(i) * new_fraction
        for j in range(offset.size):
            base = x0[j]
            b, c, d = x1[j] - base, x2[j] - base, x3[j] - base
            e, f, g, h = x4[j] - base, x5[j] - base, x6[j] - base, x7[j] - base
            total = ((b + c) + (d + e)) + ((f + g) + h)
            mean = total * T(0.125)
            base_squares = fma(b, b, fma(c, c, d * d)) + fma(e, e, fma(f, f, fma(g, g, h * h)))
            delta = ((base - first[j]) - offset[j]) + mean
            squares[j] += fma(delta * delta, weight, fma(-total, mean, base_squares))
            offset[j] = fma(delta, new_fraction, offset[j])
    for i in range(unrolled, x.shape[0]):
        row, new_fraction = x[i], T(1) / T(i + 1)
        weight = T(i) * new_fraction
        for j in range(offset.size):
            delta = (row[j] - first[j]) - offset[j]
            squares[j] = fma(delta * delta, weight, squares[j])
            offset[j] = fma(delta, new_fraction, offset[j])


@kernel(split=CHUNKS, x="T[N, C]", chunk="int", offsets="out T[P, C]", squares="out T[P, C]")
def chunk_statistics(x, chunk, offsets, squares, start, stop):
    """offsets[p] = mean of x - x[0] over chunk p of `chunk` rows, squares[p] = sum of squares about
    it."""
    first = stack_array(T(0), FIRST_ROW_COLUMNS)
    for col_start in range(0, x.shape[1], FIRST_ROW_COLUMNS):
        col_stop = min(col_start + FIRST_ROW_COLUMNS, x.shape[1])
        for j in range(col_stop - col_start):
            # a copy: of rows 4 kB apart, x[0] and eight others conflict in an L1 set of eight ways
            first[j] = x[0, col_start + j]
        for p in range(start, stop):
            rows = x[p * chunk : min((p + 1) * chunk, x.shape[0]), col_start:col_stop]
            statistics(
                rows,
                unrolled_end(x, 0, rows.shape[0], 8),
                first,
                offsets[p, col_start:col_stop],
                squares[p, col_start:col_stop],
            )


@kernel(
    split=COLUMNS,
    x="some T[N, C]",
    gamma="T[C]",
    beta="T[C]",
    epsilon="float",
    chunk="int",
    offsets="inout T[P, C]",
    squares="inout T[P, C]",
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
    start,
    stop,
):
    """Statistics of all rows from those of the chunks, joined as in `statistics`: mean + mean_lo,
    variance, rstd; and scale and shift, by which y = scale (x - mean) + shift."""
    offset, total = offsets[0, start:stop], squares[0, start:stop]
    for p in range(1, offsets.shape[0]):
        own, own_squares = offsets[p, start:stop], squares[p, start:stop]
        before, new = p * chunk, min(chunk, x.shape[0] - p * chunk)
        new_fraction = T(new) / T(before + new)
        weight = T(before) * new_fraction
        for j in range(own.size):
            delta = own[j] - offset[j]
            total[j] += fma(delta * delta, weight, own_squares[j])
            offset[j] = fma(delta, new_fraction, offset[j])
    rows, first, gamma, beta = T(x.shape[0]), x[0, start:stop], gamma[start:stop], beta[start:stop]
    mean, variance, mean_lo = mean[start:stop], variance[start:stop], mean_lo[start:stop]
    rstd, scale, shift = rstd[start:stop], scale[start:stop], shift[start:stop]
    for j in range(mean.size):
        mean[j], mean_lo[j] = two_sum(first[j], offset[j])
        variance[j] = total[j] / rows
        rstd[j] = reciprocal_deviation(variance[j], epsilon)
        scale[j] = rstd[j] * gamma[j]
        shift[j] = fma(-mean_lo[j], scale[j], beta[j])


scale_and_shift_rows = row_loop(
    scale_and_shift, x="N, C", mean="C", scale="C", shift="C", y="out N, C"
)


@kernel(split=ROWS, x="T[N, C]", mean="T[C]", scale="T[C]", shift="T[C]", y="out T[N, C]")
def scale_columns(x, mean, scale, shift, y, start, stop):
    """y = scale (x - mean) + shift."""
    unrolled, is_streamed = unrolled_end(x, 0, stop - start, 2), streams_rows_of_columns(x)
    scale_and_shift_rows(x[start:stop], mean, scale, shift, y[start:stop], unrolled, is_streamed)


products_and_sums = row_loop(
    add_products_and_sums, x="N, C", mean="C", dy="N, C", products="inout C", sums="inout C"
)


@kernel(
    split=CHUNKS,
    x="T[N, C]",
    mean="T[C]",
    dy="T[N, C]",
    chunk="int",
    products="out T[P, C]",
    sums="out T[P, C]",
)
def chunk_gradient_sums(x, mean, dy, chunk, products, sums, start, stop):
    """products[p] = sum of dy (x - mean) over chunk p of `chunk` rows, sums[p] = sum of dy."""
    for p in range(start, stop):
        row_start, row_stop = p * chunk, min((p + 1) * chunk, x.shape[0])
        clear(products[p])
        clear(sums[p])
        products_and_sums(
            x[row_start:row_stop],
            mean,
            dy[row_start:row_stop],
            products[p],
            sums[p],
            unrolled_end(x, 0, row_stop - row_start, 2),
        )


@kernel(
    split=COLUMNS,
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
    gamma,
    mean_lo,
    rstd,
    rows,
    products,
    sums,
    dgamma,
    dbeta,
    scale,
    coefficient,
    constant,
    start,
    stop,
):
    """dbeta = sum of dy, dgamma = sum of dy (x - mean - mean_lo) rstd; and the coefficients of dx,
    for `combine_columns`."""
    one_over_n = T(1) / T(rows)
    gamma, mean_lo, rstd = gamma[start:stop], mean_lo[start:stop], rstd[start:stop]
    dgamma, dbeta = dgamma[start:stop], dbeta[start:stop]
    scale, coefficient, constant = scale[start:stop], coefficient[start:stop], constant[start:stop]
    for j in range(gamma.size):
        dgamma[j], dbeta[j] = T(0), T(0)
    for p in range(sums.shape[0]):
        own_products, own_sums = products[p, start:stop], sums[p, start:stop]
        for j in range(gamma.size):
            dgamma[j] += own_products[j]
            dbeta[j] += own_sums[j]
    for j in range(gamma.size):
        dgamma[j], scale[j], coefficient[j], constant[j] = gradient_coefficients(
            gamma[j], mean_lo[j], rstd[j], dgamma[j], dbeta[j], one_over_n
        )


scale_and_shift_gradient_rows = row_loop(
    scale_and_shift_gradient,
    x="N, C",
    mean="C",
    scale="C",
    coefficient="C",
    constant="C",
    dy="N, C",
    dx="out N, C",
)


@kernel(
    split=ROWS,
    x="T[N, C]",
    mean="T[C]",
    scale="T[C]",
    coefficient="T[C]",
    constant="T[C]",
    dy="T[N, C]",
    dx="out T[N, C]",
)
def combine_columns(x, mean, scale, coefficient, constant, dy, dx, start, stop):
    """dx = scale dy + coefficient (x - mean) + constant."""
    scale_and_shift_gradient_rows(
        x[start:stop],
        mean,
        scale,
        coefficient,
        constant,
        dy[start:stop],
        dx[start:stop],
        unrolled_end(x, 0, stop - start, 2),
        streams_rows_of_columns(x),
    )


@kernel(
    split=COLUMNS, gamma="T[C]", variance="T[C]", epsilon="float", rstd="out T[C]", scale="out T[C]"
)
def inference_columns(gamma, variance, epsilon, rstd, scale, start, stop):
    """rstd = 1 / deviation, for the gradient, and scale = gamma rstd."""
    gamma, variance = gamma[start:stop], variance[start:stop]
    rstd, scale = rstd[start:stop], scale[start:stop]
    for j in range(gamma.size):
        rstd[j] = reciprocal_deviation(variance[j], epsilon)
        scale[j] = rstd[j] * gamma[j]


@kernel(
    split=COLUMNS,
    x="T[N, C]",
    gamma="T[C]",
    mean="T[C]",
    rstd="T[C]",
    dy="T[N, C]",
    dx="out T[N, C]",
    dgamma="out T[C]",
    dbeta="out T[C]",
)
def batch_norm_inference_gradient(x, gamma, mean, rstd, dy, dx, dgamma, dbeta, start, stop):
    """dx = gamma rstd dy: given statistics do not depend on x."""
    clear(dgamma[start:stop])
    clear(dbeta[start:stop])
    products_and_sums(
        x[:, start:stop],
        mean[start:stop],
        dy[:, start:stop],
        dgamma[start:stop],
        dbeta[start:stop],
        unrolled_end(x, 0, x.shape[0], 2),
    )
    gamma, rstd, dgamma = gamma[start:stop], rstd[start:stop], dgamma[start:stop]
    for j in range(gamma.size):
        dgamma[j] *= rstd[j]
    for i in range(x.shape[0]):
        row, out = dy[i, start:stop], dx[i, start:stop]
        for j in range(out.size):
            out[j] = gamma[j] * rstd[j] * row[j]


@kernel(split=COLUMNS, batch="T[C]", momentum="float", moving="inout T[C]")
def move_towards(batch, momentum, moving, start, stop):
    """moving = momentum moving + (1 - momentum) batch."""
    moving, batch = moving[start:stop], batch[start:stop]
    for j in range(moving.size):
        moving[j] = moving[j] * T(momentum) + batch[j] * T(1.0 - momentum)


# ---- launchers


def batch_norm(call, x, gamma, beta, y, mean, variance, mean_lo, rstd, *, epsilon=1e-3):
    rows, columns = x.shape
    chunk, partial = rows_of_chunk(rows), chunks_of(x.shape)
    offsets, squares = call.scratch(partial, x.dtype), call.scratch(partial, x.dtype)
    scale, shift = call.scratch((columns,), x.dtype), call.scratch((columns,), x.dtype)
    call(chunk_statistics, x, chunk, offsets, squares)
    # fmt: off
    call(join_statistics, x, gamma, beta, float(epsilon), chunk, offsets, squares,
         mean, variance, mean_lo, rstd, scale, shift)
    # fmt: on
    call(scale_columns, x, mean, scale, shift, y)


def batch_norm_gradient(call, x, gamma, mean, mean_lo, rstd, dy, dx, dgamma, dbeta):
    rows, columns = x.shape
    chunk, partial = rows_of_chunk(rows), chunks_of(x.shape)
    products, sums = call.scratch(partial, x.dtype), call.scratch(partial, x.dtype)
    coefficients = [call.scratch((columns,), x.dtype) for _ in range(3)]
    call(chunk_gradient_sums, x, mean, dy, chunk, products, sums)
    call(
        join_gradient_sums, gamma, mean_lo, rstd, rows, products, sums, dgamma, dbeta, *coefficients
    )
    call(combine_columns, x, mean, *coefficients, dy, dx)


def batch_norm_inference(call, x, gamma, beta, mean, variance, y, rstd, *, epsilon=1e-3):
    scale = call.scratch(rstd.shape, x.dtype)
    call(inference_columns, gamma, variance, float(epsilon), rstd, scale)
    call(scale_columns, x, mean, scale, beta, y)
