"""Batch normalisation over the rows of x (N, C): every column (channel, feature) on its own. Lanes share out the columns.

y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with the biased variance.

Sums are taken of x - x[0], the distance to the first row: for columns of mean 1e4 and deviation 1 a float32 mean is off by
5e-4, while the distance and its mean are exact to a few units in the last place.

Several rows are taken at a time, so that what belongs to a column is loaded once for them.
"""

import numpy as np

from ..marks import T, helper, kernel
from ..primitives import fma, stack
from .share import FLAT, share

COLUMNS = [("C", FLAT)]


@helper
def inverse_deviation(variance, epsilon):
    return T(1) / T(np.sqrt(variance + T(epsilon)))


@helper
def statistics(x, first, offset, variance):
    """offset = mean of x - first and variance = mean of (x - first - offset)^2 in one pass: of eight rows the distances to their
    own mean, and what is so far joined with them (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983).
    """
    rows = x.shape[0]
    for j in range(offset.size):
        offset[j], variance[j] = T(0), T(0)
    for i in range(0, rows - 7, 8):
        x0, x1, x2, x3, x4, x5, x6, x7 = x[i], x[i + 1], x[i + 2], x[i + 3], x[i + 4], x[i + 5], x[i + 6], x[i + 7]
        share_of_new = T(8) / T(i + 8)
        between = T(i) * share_of_new
        for j in range(offset.size):
            a, b, c, d = x0[j] - first[j], x1[j] - first[j], x2[j] - first[j], x3[j] - first[j]
            e, f, g, h = x4[j] - first[j], x5[j] - first[j], x6[j] - first[j], x7[j] - first[j]
            mean = (((a + b) + (c + d)) + ((e + f) + (g + h))) * T(0.125)
            a, b, c, d, e, f, g, h = a - mean, b - mean, c - mean, d - mean, e - mean, f - mean, g - mean, h - mean
            moved = mean - offset[j]
            squares = fma(a, a, fma(b, b, fma(c, c, d * d))) + fma(e, e, fma(f, f, fma(g, g, h * h)))
            variance[j] += fma(moved * moved, between, squares)
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
def normalise(x, first, offset, factor, gamma, beta, y):
    """y = gamma factor (x - first - offset) + beta."""
    rows = x.shape[0]
    for i in range(0, rows - 1, 2):
        a, b, p, q = x[i], x[i + 1], y[i], y[i + 1]
        for j in range(p.size):
            scale = factor[j] * gamma[j]
            p[j] = fma((a[j] - first[j]) - offset[j], scale, beta[j])
            q[j] = fma((b[j] - first[j]) - offset[j], scale, beta[j])
    if rows % 2 == 1:
        a, p = x[rows - 1], y[rows - 1]
        for j in range(p.size):
            p[j] = fma((a[j] - first[j]) - offset[j], factor[j] * gamma[j], beta[j])


@kernel(
    split=COLUMNS,
    x="T[N, C]",
    gamma="T[C]",
    beta="T[C]",
    epsilon="float",
    y="out T[N, C]",
    mean="out T[C]",
    variance="out T[C]",
    offset="out T[C]",
    factor="out T[C]",
)
def batch_norm(x, gamma, beta, epsilon, y, mean, variance, offset, factor, lane, lanes):
    """Normalise by the batch's own statistics; `offset` (mean - x[0]) and `factor` (1 / deviation) are for the gradient."""
    start, stop = share(gamma.size, FLAT, lane, lanes)
    x, first, y, gamma, beta = x[:, start:stop], x[0, start:stop], y[:, start:stop], gamma[start:stop], beta[start:stop]
    mean, variance, offset, factor = mean[start:stop], variance[start:stop], offset[start:stop], factor[start:stop]
    statistics(x, first, offset, variance)
    for j in range(mean.size):
        mean[j] = first[j] + offset[j]
        factor[j] = inverse_deviation(variance[j], epsilon)
    normalise(x, first, offset, factor, gamma, beta, y)


@helper
def clear(row):
    for j in range(row.size):
        row[j] = T(0)


@helper
def gradient_sums(x, first, offset, factor, dy, dgamma, dbeta):
    """dbeta = sum of dy, dgamma = sum of dy (x - first - offset) factor."""
    rows = x.shape[0]
    for j in range(dbeta.size):
        dgamma[j], dbeta[j] = T(0), T(0)
    for i in range(0, rows - 3, 4):
        a, b, c, d, p, q, r, s = x[i], x[i + 1], x[i + 2], x[i + 3], dy[i], dy[i + 1], dy[i + 2], dy[i + 3]
        for j in range(dbeta.size):
            dbeta[j] += (p[j] + q[j]) + (r[j] + s[j])
            one = fma((a[j] - first[j]) - offset[j], p[j], ((b[j] - first[j]) - offset[j]) * q[j])
            other = fma((c[j] - first[j]) - offset[j], r[j], ((d[j] - first[j]) - offset[j]) * s[j])
            dgamma[j] += one + other
    for i in range(rows // 4 * 4, rows):
        a, p = x[i], dy[i]
        for j in range(dbeta.size):
            dbeta[j] += p[j]
            dgamma[j] = fma((a[j] - first[j]) - offset[j], p[j], dgamma[j])
    for j in range(dbeta.size):
        dgamma[j] *= factor[j]


@helper
def gradient_of_input(x, first, offset, factor, gamma, dy, dgamma, dbeta, dx):
    """dx = gamma factor (dy - dbeta / N - xhat dgamma / N), xhat the normalised x."""
    rows = x.shape[0]
    part = T(1) / T(rows)
    for i in range(0, rows - 1, 2):
        a, b, p, q, u, v = x[i], x[i + 1], dy[i], dy[i + 1], dx[i], dx[i + 1]
        for j in range(u.size):
            scale, level, slope = gamma[j] * factor[j], dbeta[j] * part, factor[j] * dgamma[j] * part
            u[j] = scale * fma(-slope, (a[j] - first[j]) - offset[j], p[j] - level)
            v[j] = scale * fma(-slope, (b[j] - first[j]) - offset[j], q[j] - level)
    if rows % 2 == 1:
        a, p, u = x[rows - 1], dy[rows - 1], dx[rows - 1]
        for j in range(u.size):
            scale, level, slope = gamma[j] * factor[j], dbeta[j] * part, factor[j] * dgamma[j] * part
            u[j] = scale * fma(-slope, (a[j] - first[j]) - offset[j], p[j] - level)


@kernel(
    split=COLUMNS,
    x="T[N, C]",
    gamma="T[C]",
    offset="T[C]",
    factor="T[C]",
    dy="T[N, C]",
    dx="out T[N, C]",
    dgamma="out T[C]",
    dbeta="out T[C]",
)
def batch_norm_gradient(x, gamma, offset, factor, dy, dx, dgamma, dbeta, lane, lanes):
    """dx = gamma factor (dy - dbeta / N - xhat dgamma / N), xhat the normalised x; the statistics depend on x too."""
    start, stop = share(gamma.size, FLAT, lane, lanes)
    first, x, dy, dx = x[0, start:stop], x[:, start:stop], dy[:, start:stop], dx[:, start:stop]
    gamma, offset, factor = gamma[start:stop], offset[start:stop], factor[start:stop]
    dgamma, dbeta = dgamma[start:stop], dbeta[start:stop]
    gradient_sums(x, first, offset, factor, dy, dgamma, dbeta)
    gradient_of_input(x, first, offset, factor, gamma, dy, dgamma, dbeta, dx)


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
    none = stack(T(0), FLAT)  # the offset of FLAT columns from means that are given
    clear(none)
    for begin in range(start, stop, FLAT):
        end = min(begin + FLAT, stop)
        own_factor, own_variance = factor[begin:end], variance[begin:end]
        for j in range(end - begin):
            own_factor[j] = inverse_deviation(own_variance[j], epsilon)
        normalise(x[:, begin:end], mean[begin:end], none, own_factor, gamma[begin:end], beta[begin:end], y[:, begin:end])


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
    none = stack(T(0), FLAT)  # the offset of FLAT columns from means that are given
    clear(none)
    for begin in range(start, stop, FLAT):
        end = min(begin + FLAT, stop)
        gradient_sums(
            x[:, begin:end], mean[begin:end], none, factor[begin:end], dy[:, begin:end], dgamma[begin:end], dbeta[begin:end]
        )
    gamma, factor = gamma[start:stop], factor[start:stop]
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
