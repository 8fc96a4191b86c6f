"""Batch normalisation over the rows of x (N, C): every column (channel, feature) on its own. Lanes share out the columns.

y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with the biased variance.

Sums are taken of x - x[0], the distance to the first row: for columns of mean 1e4 and deviation 1 a float32 mean is off by
5e-4, while the distance and its mean are exact to a few units in the last place.
"""

import numpy as np

from ..marks import T, helper, kernel
from .share import FLAT, share

COLUMNS = [("C", FLAT)]


@helper
def inverse_deviation(variance, epsilon):
    return T(1) / T(np.sqrt(variance + T(epsilon)))


@helper
def mean_distance(x, offset):
    """offset[j] = mean over rows of x[i, j] - x[0, j]."""
    rows, first = x.shape[0], x[0]
    for j in range(offset.size):
        offset[j] = T(0)
    for i in range(1, rows - 3, 4):
        a, b, c, d = x[i], x[i + 1], x[i + 2], x[i + 3]
        for j in range(offset.size):
            offset[j] += ((a[j] - first[j]) + (b[j] - first[j])) + ((c[j] - first[j]) + (d[j] - first[j]))
    for i in range(1 + (rows - 1) // 4 * 4, rows):
        row = x[i]
        for j in range(offset.size):
            offset[j] += row[j] - first[j]
    for j in range(offset.size):
        offset[j] /= T(rows)


@helper
def mean_square(x, first, offset, variance):
    """variance[j] = mean over rows of (x[i, j] - first[j] - offset[j])^2."""
    rows = x.shape[0]
    for j in range(variance.size):
        variance[j] = T(0)
    for i in range(0, rows - 1, 2):
        a, b = x[i], x[i + 1]
        for j in range(variance.size):
            p, q = (a[j] - first[j]) - offset[j], (b[j] - first[j]) - offset[j]
            variance[j] += p * p + q * q
    if rows % 2 == 1:
        a = x[rows - 1]
        for j in range(variance.size):
            p = (a[j] - first[j]) - offset[j]
            variance[j] += p * p
    for j in range(variance.size):
        variance[j] /= T(rows)


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
    x, y, first = x[:, start:stop], y[:, start:stop], x[0, start:stop]
    gamma, beta, mean, variance = gamma[start:stop], beta[start:stop], mean[start:stop], variance[start:stop]
    offset, factor = offset[start:stop], factor[start:stop]
    mean_distance(x, offset)
    mean_square(x, first, offset, variance)
    for j in range(mean.size):
        mean[j] = first[j] + offset[j]
        factor[j] = inverse_deviation(variance[j], epsilon)
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        for j in range(out.size):
            out[j] = ((row[j] - first[j]) - offset[j]) * factor[j] * gamma[j] + beta[j]


@helper
def gradient_sums(x, centre, offset, factor, dy, dgamma, dbeta):
    """dbeta = sum of dy, dgamma = sum of dy (x - centre - offset) factor; an empty offset is none."""
    rows = x.shape[0]
    for j in range(dbeta.size):
        dgamma[j], dbeta[j] = T(0), T(0)
    for i in range(0, rows - 1, 2):
        a, b, p, q = x[i], x[i + 1], dy[i], dy[i + 1]
        for j in range(dbeta.size):
            dbeta[j] += p[j] + q[j]
            dgamma[j] += p[j] * (a[j] - centre[j]) + q[j] * (b[j] - centre[j])
    if rows % 2 == 1:
        a, p = x[rows - 1], dy[rows - 1]
        for j in range(dbeta.size):
            dbeta[j] += p[j]
            dgamma[j] += p[j] * (a[j] - centre[j])
    for j in range(offset.size):
        dgamma[j] -= offset[j] * dbeta[j]
    for j in range(dbeta.size):
        dgamma[j] *= factor[j]


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
    first, rows = x[0, start:stop], T(x.shape[0])
    x, dy, dx = x[:, start:stop], dy[:, start:stop], dx[:, start:stop]
    gamma, offset, factor = gamma[start:stop], offset[start:stop], factor[start:stop]
    dgamma, dbeta = dgamma[start:stop], dbeta[start:stop]
    gradient_sums(x, first, offset, factor, dy, dgamma, dbeta)
    for i in range(x.shape[0]):
        row, dy_row, out = x[i], dy[i], dx[i]
        for j in range(out.size):
            normalised = ((row[j] - first[j]) - offset[j]) * factor[j]
            out[j] = gamma[j] * factor[j] * (dy_row[j] - (dbeta[j] + normalised * dgamma[j]) / rows)


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
    gamma, beta, mean, variance = gamma[start:stop], beta[start:stop], mean[start:stop], variance[start:stop]
    factor = factor[start:stop]
    for j in range(factor.size):
        factor[j] = inverse_deviation(variance[j], epsilon)
    for i in range(x.shape[0]):
        row, out = x[i, start:stop], y[i, start:stop]
        for j in range(out.size):
            out[j] = (row[j] - mean[j]) * factor[j] * gamma[j] + beta[j]


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
    x, dy, dx = x[:, start:stop], dy[:, start:stop], dx[:, start:stop]
    gamma, mean, factor = gamma[start:stop], mean[start:stop], factor[start:stop]
    gradient_sums(x, mean, mean[:0], factor, dy, dgamma[start:stop], dbeta[start:stop])
    for i in range(x.shape[0]):
        dy_row, out = dy[i], dx[i]
        for j in range(out.size):
            out[j] = gamma[j] * factor[j] * dy_row[j]


@kernel(split=COLUMNS, moving="inout T[C]", batch="T[C]", momentum="float")
def move_towards(moving, batch, momentum, lane, lanes):
    """moving = momentum moving + (1 - momentum) batch."""
    start, stop = share(moving.size, FLAT, lane, lanes)
    moving, batch = moving[start:stop], batch[start:stop]
    for j in range(moving.size):
        moving[j] = moving[j] * T(momentum) + batch[j] * T(1.0 - momentum)
