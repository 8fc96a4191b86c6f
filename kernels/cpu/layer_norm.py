"""Layer normalisation: every row of x (N, C) on its own. Lanes share out the rows.

y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with the biased variance of the row. As in normalization.py, distances are
taken to the row's first element, so that nothing is lost of a row whose mean is far from zero.
"""

from ..marks import T, kernel
from ..primitives import fma, stack
from .normalization import clear, inverse_deviation
from .rows import row_dot, row_sum
from .share import share

ROWS = 4
CHUNK = 32  # rows whose gradients of gamma and beta are summed together; the sums of all chunks follow in their order
STRIP = 1024  # elements of a row worked on at a time in its gradient


@kernel(
    split=[("N", ROWS)],
    x="T[N, C]",
    gamma="T[C]",
    beta="T[C]",
    epsilon="float",
    y="out T[N, C]",
    offset="out T[N]",
    factor="out T[N]",
)
def layer_norm(x, gamma, beta, epsilon, y, offset, factor, lane, lanes):
    """`offset` (mean - x[:, 0]) and `factor` (1 / deviation) are for the gradient. The row stays in the nearest cache."""
    first, last = share(x.shape[0], ROWS, lane, lanes)
    part = T(1) / T(x.shape[1])
    for i in range(first, last):
        row, out = x[i], y[i]
        for j in range(out.size):
            out[j] = row[j] - row[0]
        mean = row_sum(out) * part
        for j in range(out.size):
            out[j] -= mean
        scale = inverse_deviation(row_dot(out, out) * part, epsilon)
        for j in range(out.size):
            out[j] = fma(out[j] * scale, gamma[j], beta[j])
        offset[i], factor[i] = mean, scale


@kernel(
    split=[("P", 1)],
    x="T[N, C]",
    gamma="T[C]",
    offset="T[N]",
    factor="T[N]",
    dy="T[N, C]",
    dx="out T[N, C]",
    dgamma="out T[P, C]",
    dbeta="out T[P, C]",
)
def layer_norm_gradient(x, gamma, offset, factor, dy, dx, dgamma, dbeta, lane, lanes):
    """dx = factor (g - mean of g - xhat mean of (g xhat)) with g = dy gamma and xhat the normalised row. Of each chunk of rows,
    dgamma[p] = sum of dy xhat and dbeta[p] = sum of dy."""
    begin, end = share(dgamma.shape[0], 1, lane, lanes)
    part, products = T(1) / T(x.shape[1]), stack(T(0), STRIP)
    for p in range(begin, end):
        clear(dgamma[p])
        clear(dbeta[p])
        for i in range(p * CHUNK, min((p + 1) * CHUNK, x.shape[0])):
            row, above, out, first, scale, centre = x[i], dy[i], dx[i], x[i, 0], factor[i], offset[i]
            level, slope = row_dot(above, gamma) * part, T(0)
            for j in range(out.size):
                out[j] = ((row[j] - first) - centre) * scale
            for start in range(0, out.size, STRIP):
                normalised, dy_strip = out[start : start + STRIP], above[start : start + STRIP]
                sums, totals = dgamma[p, start : start + STRIP], dbeta[p, start : start + STRIP]
                strip = products[: normalised.size]
                for j in range(strip.size):
                    strip[j] = dy_strip[j] * normalised[j]
                    sums[j] += strip[j]
                    totals[j] += dy_strip[j]
                slope += row_dot(strip, gamma[start : start + STRIP])
            slope *= part
            for j in range(out.size):
                out[j] = scale * (fma(above[j], gamma[j], -level) - out[j] * slope)
