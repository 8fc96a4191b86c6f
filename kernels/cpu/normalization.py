"""Batch normalisation over the rows of x (N, C): every column (channel, feature) on its own.

y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with the biased variance.

Threads share out the rows, as the products around it do: what one thread has written the other need
not fetch. So statistics are taken of chunks of rows, as many rows each whatever the threads, and
joined in the order of the chunks.

Sums are taken of x - x[0], the distance to the first row: for columns of mean 1e4 and deviation 1 a
float32 mean is off by 5e-4, while the distance and its mean are exact to a few units in the last
place. What rounding takes from the mean is kept beside it, `rest`; it is so small that it need not
be taken from each x, but only from what is added at the end.

Several rows are taken at a time, so that what belongs to a column is loaded once for them, if x is
near.
"""

import numpy as np

from ..declare import T, helper, kernel
from ..intrinsics import fma, stack_array
from .simd.rows import row_copy_past_caches
from .threads import FLAT, TILE, columns_past_caches, together

UNIT = 4  # rows are shared out among threads in multiples of this, as by products
COLUMNS, ROWS, CHUNKS = [("C", FLAT)], [("N", UNIT)], [("P", 1)]
BLOCK = 1024  # columns of which a row is copied


@helper
def inverse_deviation(variance, epsilon):
    return T(1) / T(np.sqrt(variance + T(epsilon)))


@helper
def exact_sum(a, b):
    """(the sum, what rounding took from it): Knuth's."""
    total = a + b
    added = total - a
    return total, (a - (total - added)) + (b - added)


@helper
def statistics(x, eights, first, offset, squares):
    """offset = mean of x - first and squares = sum of (x - first - offset)^2 in one pass: up to row
    `eights`, of eight rows the distances to the first of them, and what is so far joined with them
    (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983). About one of
    eight, the sum of squares is at most eight times that about their mean, so little of it
    cancels."""
    for j in range(offset.size):
        offset[j], squares[j] = T(0), T(0)
    for i in range(0, eights, 8):
        x0, x1, x2, x3, x4, x5, x6, x7 = (
            x[i],
            x[i + 1],
            x[i + 2],
            x[i + 3],
            x[i + 4],
            x[i + 5],
            x[i + 6],
            x[i + 7],
        )
        share_of_new = T(8) / T(i + 8)
        between = T(i) * share_of_new
        for j in range(offset.size):
            near = x0[j]
            b, c, d, e, f, g, h = (
                x1[j] - near,
                x2[j] - near,
                x3[j] - near,
                x4[j] - near,
                x5[j] - near,
                x6[j] - near,
                x7[j] - near,
            )
            total = ((b + c) + (d + e)) + ((f + g) + h)
            mean = total * T(0.125)
            near_squares = fma(b, b, fma(c, c, d * d)) + fma(e, e, fma(f, f, fma(g, g, h * h)))
            moved = ((near - first[j]) - offset[j]) + mean
            squares[j] += fma(moved * moved, between, fma(-total, mean, near_squares))
            offset[j] = fma(moved, share_of_new, offset[j])
    for i in range(eights, x.shape[0]):
        row, share_of_new = x[i], T(1) / T(i + 1)
        between = T(i) * share_of_new
        for j in range(offset.size):
            moved = (row[j] - first[j]) - offset[j]
            squares[j] = fma(moved * moved, between, squares[j])
            offset[j] = fma(moved, share_of_new, offset[j])


@kernel(split=CHUNKS, x="T[N, C]", chunk="int", offsets="out T[P, C]", squares="out T[P, C]")
def chunk_statistics(x, chunk, offsets, squares, start, stop):
    """Of each `chunk` rows the mean of x - x[0], and the sum of squares about that mean."""
    first = stack_array(T(0), BLOCK)
    for left in range(0, x.shape[1], BLOCK):
        right = min(left + BLOCK, x.shape[1])
        for j in range(right - left):
            # a copy: of rows 4 kB apart a ninth would push one of eight out of the nearest cache
            first[j] = x[0, left + j]
        for p in range(start, stop):
            rows = x[p * chunk : min((p + 1) * chunk, x.shape[0]), left:right]
            statistics(
                rows,
                together(x, 0, rows.shape[0], 8),
                first,
                offsets[p, left:right],
                squares[p, left:right],
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
    rest="out T[C]",
    factor="out T[C]",
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
    rest,
    factor,
    scale,
    shift,
    start,
    stop,
):
    """Statistics of all rows from those of the chunks, as for `statistics`: mean + rest (what
    rounding took from it), variance and factor (1 / deviation); y is then scale (x - mean) +
    shift."""
    offset, total = offsets[0, start:stop], squares[0, start:stop]
    for p in range(1, offsets.shape[0]):
        own, own_squares = offsets[p, start:stop], squares[p, start:stop]
        before, new = p * chunk, min(chunk, x.shape[0] - p * chunk)
        share_of_new = T(new) / T(before + new)
        between = T(before) * share_of_new
        for j in range(own.size):
            moved = own[j] - offset[j]
            total[j] += fma(moved * moved, between, own_squares[j])
            offset[j] = fma(moved, share_of_new, offset[j])
    rows, first, gamma, beta = T(x.shape[0]), x[0, start:stop], gamma[start:stop], beta[start:stop]
    mean, variance, rest, factor = (
        mean[start:stop],
        variance[start:stop],
        rest[start:stop],
        factor[start:stop],
    )
    scale, shift = scale[start:stop], shift[start:stop]
    for j in range(mean.size):
        mean[j], rest[j] = exact_sum(first[j], offset[j])
        variance[j] = total[j] / rows
        factor[j] = inverse_deviation(variance[j], epsilon)
        scale[j] = factor[j] * gamma[j]
        shift[j] = fma(-rest[j], scale[j], beta[j])


@helper
def scale_row(x, mean, scale, shift, y):
    for j in range(y.size):
        y[j] = fma(x[j] - mean[j], scale[j], shift[j])


@kernel(split=ROWS, x="T[N, C]", mean="T[C]", scale="T[C]", shift="T[C]", y="out T[N, C]")
def scale_columns(x, mean, scale, shift, y, start, stop):
    """y = scale (x - mean) + shift."""
    if columns_past_caches(x):
        tile = stack_array(T(0), TILE)
        for i in range(start, stop):
            for begin in range(0, mean.size, TILE):
                end = min(begin + TILE, mean.size)
                scale_row(
                    x[i, begin:end],
                    mean[begin:end],
                    scale[begin:end],
                    shift[begin:end],
                    tile[: end - begin],
                )
                row_copy_past_caches(tile[: end - begin], y[i, begin:end])
        return
    pairs = together(x, start, stop, 2)
    for i in range(start, pairs, 2):
        a, b, p, q = x[i], x[i + 1], y[i], y[i + 1]
        for j in range(mean.size):
            p[j], q[j] = (
                fma(a[j] - mean[j], scale[j], shift[j]),
                fma(b[j] - mean[j], scale[j], shift[j]),
            )
    for i in range(pairs, stop):
        scale_row(x[i], mean, scale, shift, y[i])


@helper
def gradient_sums(x, pairs, mean, dy, products, dbeta):
    """dbeta = sum of dy, products = sum of dy (x - mean): up to row `pairs` of two rows at a
    time."""
    for j in range(dbeta.size):
        products[j], dbeta[j] = T(0), T(0)
    for i in range(0, pairs, 2):
        a, b, p, q = x[i], x[i + 1], dy[i], dy[i + 1]
        for j in range(dbeta.size):
            dbeta[j] += p[j] + q[j]
            products[j] += fma(a[j] - mean[j], p[j], (b[j] - mean[j]) * q[j])
    for i in range(pairs, x.shape[0]):
        a, p = x[i], dy[i]
        for j in range(dbeta.size):
            dbeta[j] += p[j]
            products[j] = fma(a[j] - mean[j], p[j], products[j])


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
    """Of each `chunk` rows the sums of dy (x - mean) and of dy."""
    for p in range(start, stop):
        first, last = p * chunk, min((p + 1) * chunk, x.shape[0])
        gradient_sums(
            x[first:last],
            together(x, 0, last - first, 2),
            mean,
            dy[first:last],
            products[p],
            sums[p],
        )


@kernel(
    split=COLUMNS,
    gamma="T[C]",
    rest="T[C]",
    factor="T[C]",
    rows="int",
    products="T[P, C]",
    sums="T[P, C]",
    dgamma="out T[C]",
    dbeta="out T[C]",
    scale="out T[C]",
    slope="out T[C]",
    level="out T[C]",
)
def join_gradient_sums(
    gamma, rest, factor, rows, products, sums, dgamma, dbeta, scale, slope, level, start, stop
):
    """dbeta = sum of dy, dgamma = sum of dy (x - mean - rest) factor; and, with xhat the normalised
    x and N rows, dx = gamma factor (dy - dbeta / N - xhat dgamma / N) is scale dy + slope (x -
    mean) + level: the statistics depend on x too."""
    gamma, rest, factor, part = (
        gamma[start:stop],
        rest[start:stop],
        factor[start:stop],
        T(1) / T(rows),
    )
    dgamma, dbeta = dgamma[start:stop], dbeta[start:stop]
    scale, slope, level = scale[start:stop], slope[start:stop], level[start:stop]
    for j in range(gamma.size):
        dgamma[j], dbeta[j] = T(0), T(0)
    for p in range(sums.shape[0]):
        own_products, own_sums = products[p, start:stop], sums[p, start:stop]
        for j in range(gamma.size):
            dgamma[j] += own_products[j]
            dbeta[j] += own_sums[j]
    for j in range(gamma.size):
        dgamma[j] = fma(-rest[j], dbeta[j], dgamma[j]) * factor[j]
        scale[j] = gamma[j] * factor[j]
        slope[j] = -scale[j] * factor[j] * dgamma[j] * part
        level[j] = -fma(slope[j], rest[j], scale[j] * dbeta[j] * part)


@helper
def combine_row(x, mean, scale, slope, level, dy, dx):
    for j in range(dx.size):
        dx[j] = fma(scale[j], dy[j], fma(slope[j], x[j] - mean[j], level[j]))


@kernel(
    split=ROWS,
    x="T[N, C]",
    mean="T[C]",
    scale="T[C]",
    slope="T[C]",
    level="T[C]",
    dy="T[N, C]",
    dx="out T[N, C]",
)
def combine_columns(x, mean, scale, slope, level, dy, dx, start, stop):
    """dx = scale dy + slope (x - mean) + level."""
    if columns_past_caches(x):
        tile = stack_array(T(0), TILE)
        for i in range(start, stop):
            for begin in range(0, mean.size, TILE):
                end = min(begin + TILE, mean.size)
                combine_row(
                    x[i, begin:end],
                    mean[begin:end],
                    scale[begin:end],
                    slope[begin:end],
                    level[begin:end],
                    dy[i, begin:end],
                    tile[: end - begin],
                )
                row_copy_past_caches(tile[: end - begin], dx[i, begin:end])
        return
    pairs = together(x, start, stop, 2)
    for i in range(start, pairs, 2):
        a, b, p, q, u, v = x[i], x[i + 1], dy[i], dy[i + 1], dx[i], dx[i + 1]
        for j in range(mean.size):
            u[j] = fma(scale[j], p[j], fma(slope[j], a[j] - mean[j], level[j]))
            v[j] = fma(scale[j], q[j], fma(slope[j], b[j] - mean[j], level[j]))
    for i in range(pairs, stop):
        combine_row(x[i], mean, scale, slope, level, dy[i], dx[i])


@kernel(
    split=COLUMNS,
    gamma="T[C]",
    variance="T[C]",
    epsilon="float",
    factor="out T[C]",
    scale="out T[C]",
)
def inference_columns(gamma, variance, epsilon, factor, scale, start, stop):
    """factor = 1 / deviation, for the gradient, and scale = gamma factor."""
    gamma, variance, factor, scale = (
        gamma[start:stop],
        variance[start:stop],
        factor[start:stop],
        scale[start:stop],
    )
    for j in range(gamma.size):
        factor[j] = inverse_deviation(variance[j], epsilon)
        scale[j] = factor[j] * gamma[j]


@kernel(
    split=COLUMNS,
    x="T[N, C]",
    gamma="T[C]",
    mean="T[C]",
    factor="T[C]",
    dy="T[N, C]",
    dx="out T[N, C]",
    dgamma="out T[C]",
    dbeta="out T[C]",
)
def batch_norm_inference_gradient(x, gamma, mean, factor, dy, dx, dgamma, dbeta, start, stop):
    """dx = gamma factor dy: given statistics do not depend on x."""
    pairs = together(x, 0, x.shape[0], 2)
    gradient_sums(
        x[:, start:stop],
        pairs,
        mean[start:stop],
        dy[:, start:stop],
        dgamma[start:stop],
        dbeta[start:stop],
    )
    gamma, factor, dgamma = gamma[start:stop], factor[start:stop], dgamma[start:stop]
    for j in range(gamma.size):
        dgamma[j] *= factor[j]
    for i in range(x.shape[0]):
        row, out = dy[i, start:stop], dx[i, start:stop]
        for j in range(out.size):
            out[j] = gamma[j] * factor[j] * row[j]


@kernel(split=COLUMNS, moving="inout T[C]", batch="T[C]", momentum="float")
def move_towards(moving, batch, momentum, start, stop):
    """moving = momentum moving + (1 - momentum) batch."""
    moving, batch = moving[start:stop], batch[start:stop]
    for j in range(moving.size):
        moving[j] = moving[j] * T(momentum) + batch[j] * T(1.0 - momentum)
