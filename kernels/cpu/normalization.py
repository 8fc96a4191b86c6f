"""Batch normalisation over the rows of x (N, C): every column (channel, feature) on its own. Lanes share out the columns.

y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with the biased variance.

Sums are taken of x - x[0], the distance to the first row: for columns of mean 1e4 and deviation 1 a float32 mean is off by
5e-4, while the distance and its mean are exact to a few units in the last place. What rounding takes from the mean is kept beside
it, `rest`; it is so small that it need not be taken from each x, but only from what is added at the end.

Several rows are taken at a time, so that what belongs to a column is loaded once for them.
"""

import numpy as np

from ..marks import T, helper, kernel
from ..primitives import fma, stack
from .share import FLAT, share

COLUMNS = [("C", FLAT)]
BLOCK = 1024  # columns whose numbers are worked out together, in memory of the kernel's own


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
def statistics(x, first, offset, variance):
    """offset = mean of x - first and variance = mean of (x - first - offset)^2 in one pass: of eight rows the distances to the
    first of them, and what is so far joined with them (Chan, Golub and LeVeque, "Algorithms for computing the sample variance",
    1983). About one of eight, the sum of squares is at most eight times that about their mean, so little of it cancels.
    """
    rows = x.shape[0]
    for j in range(offset.size):
        offset[j], variance[j] = T(0), T(0)
    for i in range(0, rows - 7, 8):
        x0, x1, x2, x3, x4, x5, x6, x7 = x[i], x[i + 1], x[i + 2], x[i + 3], x[i + 4], x[i + 5], x[i + 6], x[i + 7]
        share_of_new = T(8) / T(i + 8)
        between = T(i) * share_of_new
        for j in range(offset.size):
            near = x0[j]
            b, c, d, e, f, g, h = x1[j] - near, x2[j] - near, x3[j] - near, x4[j] - near, x5[j] - near, x6[j] - near, x7[j] - near
            total = ((b + c) + (d + e)) + ((f + g) + h)
            mean = total * T(0.125)
            squares = fma(b, b, fma(c, c, d * d)) + fma(e, e, fma(f, f, fma(g, g, h * h)))
            moved = ((near - first[j]) - offset[j]) + mean
            variance[j] += fma(moved * moved, between, fma(-total, mean, squares))
            offset[j] = fma(moved, share_of_new, offset[j])
    for i in range(rows // 8 * 8, rows):
        row, share_of_new = x[i], T(1) / T(i + 1)
        between = T(i) * share_of_new
        for j in range(offset.size):
            moved = (row[j] - first[j]) - offset[j]
            variance[j] = fma(moved * moved, between, variance[j])
            offset[j] = fma(moved, share_of_new, offset[j])
    for j in range(variance.size):
        variance[j] /= T(rows)


@helper
def scaled(x, mean, scale, shift, y):
    """y = scale (x - mean) + shift, for the columns of `mean`."""
    rows = x.shape[0]
    for i in range(0, rows - 1, 2):
        a, b, p, q = x[i], x[i + 1], y[i], y[i + 1]
        for j in range(mean.size):
            p[j], q[j] = fma(a[j] - mean[j], scale[j], shift[j]), fma(b[j] - mean[j], scale[j], shift[j])
    if rows % 2 == 1:
        a, p = x[rows - 1], y[rows - 1]
        for j in range(mean.size):
            p[j] = fma(a[j] - mean[j], scale[j], shift[j])


@kernel(
    split=COLUMNS,
    x="T[N, C]",
    gamma="T[C]",
    beta="T[C]",
    epsilon="float",
    y="out T[N, C]",
    mean="out T[C]",
    variance="out T[C]",
    rest="out T[C]",
    factor="out T[C]",
)
def batch_norm(x, gamma, beta, epsilon, y, mean, variance, rest, factor, lane, lanes):
    """Normalise by the batch's own statistics; `rest` (what rounding took from the mean) and `factor` (1 / deviation) are for the
    gradient."""
    start, stop = share(gamma.size, FLAT, lane, lanes)
    x, first, y, gamma, beta = x[:, start:stop], x[0, start:stop], y[:, start:stop], gamma[start:stop], beta[start:stop]
    mean, variance, rest, factor = mean[start:stop], variance[start:stop], rest[start:stop], factor[start:stop]
    offset = rest
    for j in range(mean.size):
        mean[j] = first[j]  # a copy: of rows 4 kB apart a ninth would push one of eight out of the nearest cache
    statistics(x, mean, offset, variance)
    for j in range(mean.size):
        mean[j], rest[j] = exact_sum(first[j], offset[j])
        factor[j] = inverse_deviation(variance[j], epsilon)
    scale, shift = stack(T(0), BLOCK), stack(T(0), BLOCK)
    for begin in range(0, mean.size, BLOCK):
        end = min(begin + BLOCK, mean.size)
        for j in range(end - begin):
            scale[j] = factor[begin + j] * gamma[begin + j]
            shift[j] = fma(-rest[begin + j], scale[j], beta[begin + j])
        scaled(x[:, begin:end], mean[begin:end], scale, shift, y[:, begin:end])


@helper
def clear(row):
    for j in range(row.size):
        row[j] = T(0)


@helper
def gradient_sums(x, mean, dy, products, dbeta):
    """dbeta = sum of dy, products = sum of dy (x - mean)."""
    rows = x.shape[0]
    for j in range(dbeta.size):
        products[j], dbeta[j] = T(0), T(0)
    for i in range(0, rows - 1, 2):
        a, b, p, q = x[i], x[i + 1], dy[i], dy[i + 1]
        for j in range(dbeta.size):
            dbeta[j] += p[j] + q[j]
            products[j] += fma(a[j] - mean[j], p[j], (b[j] - mean[j]) * q[j])
    if rows % 2 == 1:
        a, p = x[rows - 1], dy[rows - 1]
        for j in range(dbeta.size):
            dbeta[j] += p[j]
            products[j] = fma(a[j] - mean[j], p[j], products[j])


@helper
def gradient_of_input(x, mean, scale, slope, level, dy, dx):
    """dx = scale dy + slope (x - mean) + level, for the columns of `mean`."""
    rows = x.shape[0]
    for i in range(0, rows - 1, 2):
        a, b, p, q, u, v = x[i], x[i + 1], dy[i], dy[i + 1], dx[i], dx[i + 1]
        for j in range(mean.size):
            u[j] = fma(scale[j], p[j], fma(slope[j], a[j] - mean[j], level[j]))
            v[j] = fma(scale[j], q[j], fma(slope[j], b[j] - mean[j], level[j]))
    if rows % 2 == 1:
        a, p, u = x[rows - 1], dy[rows - 1], dx[rows - 1]
        for j in range(mean.size):
            u[j] = fma(scale[j], p[j], fma(slope[j], a[j] - mean[j], level[j]))


@kernel(
    split=COLUMNS,
    x="T[N, C]",
    gamma="T[C]",
    mean="T[C]",
    rest="T[C]",
    factor="T[C]",
    dy="T[N, C]",
    dx="out T[N, C]",
    dgamma="out T[C]",
    dbeta="out T[C]",
)
def batch_norm_gradient(x, gamma, mean, rest, factor, dy, dx, dgamma, dbeta, lane, lanes):
    """dx = gamma factor (dy - dbeta / N - xhat dgamma / N), xhat the normalised x; the statistics depend on x too."""
    start, stop = share(gamma.size, FLAT, lane, lanes)
    x, dy, dx, gamma, mean = x[:, start:stop], dy[:, start:stop], dx[:, start:stop], gamma[start:stop], mean[start:stop]
    rest, factor, dgamma, dbeta = rest[start:stop], factor[start:stop], dgamma[start:stop], dbeta[start:stop]
    gradient_sums(x, mean, dy, dgamma, dbeta)
    part, scale, slope, level = T(1) / T(x.shape[0]), stack(T(0), BLOCK), stack(T(0), BLOCK), stack(T(0), BLOCK)
    for begin in range(0, mean.size, BLOCK):
        end = min(begin + BLOCK, mean.size)
        for j in range(end - begin):
            k = begin + j
            dgamma[k] = fma(-rest[k], dbeta[k], dgamma[k]) * factor[k]
            scale[j] = gamma[k] * factor[k]
            slope[j] = -scale[j] * factor[k] * dgamma[k] * part
            level[j] = -fma(slope[j], rest[k], scale[j] * dbeta[k] * part)
        gradient_of_input(x[:, begin:end], mean[begin:end], scale, slope, level, dy[:, begin:end], dx[:, begin:end])


@kernel(
    split=COLUMNS,
    x="T[N, C]",
    gamma="T[C]",
    beta="T[C]",
    mean="T[C]",
    variance="T[C]",
    epsilon="float",
    y="out T[N, C]",
    factor="out T[C]",
)
def batch_norm_inference(x, gamma, beta, mean, variance, epsilon, y, factor, lane, lanes):
    """Normalise by given statistics; `factor` (1 / deviation) is for the gradient."""
    start, stop = share(gamma.size, FLAT, lane, lanes)
    scale = stack(T(0), BLOCK)
    for begin in range(start, stop, BLOCK):
        end = min(begin + BLOCK, stop)
        for j in range(end - begin):
            factor[begin + j] = inverse_deviation(variance[begin + j], epsilon)
            scale[j] = factor[begin + j] * gamma[begin + j]
        scaled(x[:, begin:end], mean[begin:end], scale, beta[begin:end], y[:, begin:end])


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
def batch_norm_inference_gradient(x, gamma, mean, factor, dy, dx, dgamma, dbeta, lane, lanes):
    """dx = gamma factor dy: given statistics do not depend on x."""
    start, stop = share(gamma.size, FLAT, lane, lanes)
    gradient_sums(x[:, start:stop], mean[start:stop], dy[:, start:stop], dgamma[start:stop], dbeta[start:stop])
    gamma, factor, dgamma = gamma[start:stop], factor[start:stop], dgamma[start:stop]
    for j in range(gamma.size):
        dgamma[j] *= factor[j]
    for i in range(x.shape[0]):
        row, out = dy[i, start:stop], dx[i, start:stop]
        for j in range(out.size):
            out[j] = gamma[j] * factor[j] * row[j]


@kernel(split=COLUMNS, moving="inout T[C]", batch="T[C]", momentum="float")
def move_towards(moving, batch, momentum, lane, lanes):
    """moving = momentum moving + (1 - momentum) batch."""
    start, stop = share(moving.size, FLAT, lane, lanes)
    moving, batch = moving[start:stop], batch[start:stop]
    for j in range(moving.size):
        moving[j] = moving[j] * T(momentum) + batch[j] * T(1.0 - momentum)
