"""Layer normalisation: every row of x (N, C) on its own. Lanes share out the rows.

y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with the biased variance of the row. As in normalization.py, distances are
taken to the row's first element, so that nothing is lost of a row whose mean is far from zero.
"""

from ..marks import T, helper, kernel
from ..primitives import fma, stack
from .normalization import clear, inverse_deviation
from .rows import row_distances, row_slopes, row_squares
from .share import share

ROWS = 4
GROUP = 2048  # elements of rows that are worked on together
CHUNK = 32  # rows whose gradients of gamma and beta are summed together; the sums of all chunks follow in their order


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
    """`offset` (mean - x[:, 0]) and `factor` (1 / deviation) are for the gradient. As many rows as stay in the nearest cache go
    through each of three passes together: while the sum of one is completed, that of the next begins."""
    first, last = share(x.shape[0], ROWS, lane, lanes)
    part, group = T(1) / T(x.shape[1]), max(1, GROUP // max(x.shape[1], 1))
    for begin in range(first, last, group):
        end = min(begin + group, last)
        for i in range(begin, end):
            offset[i] = row_distances(x[i], x[i, 0]) * part
        for i in range(begin, end):
            factor[i] = inverse_deviation(row_squares(x[i], x[i, 0], offset[i]) * part, epsilon)
        for i in range(begin, end):
            row, out, point, centre, scale = x[i], y[i], x[i, 0], offset[i], factor[i]
            for j in range(out.size):
                out[j] = fma(((row[j] - point) - centre) * scale, gamma[j], beta[j])


@helper
def one_row(x, gamma, centre, scale, dy, dx, dgamma, dbeta):
    """dx of a row, and what it adds to dgamma and dbeta."""
    found, point, part = stack(T(0), 2), x[0], T(1) / T(x.size)
    row_slopes(dy, gamma, x, point, centre, scale, found)
    level, slope = found[0] * part, found[1] * part
    for j in range(dx.size):
        normalised = ((x[j] - point) - centre) * scale
        dgamma[j] = fma(dy[j], normalised, dgamma[j])
        dbeta[j] += dy[j]
        dx[j] = scale * (fma(dy[j], gamma[j], -level) - normalised * slope)


@helper
def two_rows(x, gamma, offset, factor, dy, dx, dgamma, dbeta):
    """Two at a time: their sums are read and written once."""
    found, other, part = stack(T(0), 2), stack(T(0), 2), T(1) / T(x.shape[1])
    a, b, da, db, out, other_out = x[0], x[1], dy[0], dy[1], dx[0], dx[1]
    a_point, b_point, a_centre, b_centre, a_scale, b_scale = a[0], b[0], offset[0], offset[1], factor[0], factor[1]
    row_slopes(da, gamma, a, a_point, a_centre, a_scale, found)
    row_slopes(db, gamma, b, b_point, b_centre, b_scale, other)
    a_level, a_slope, b_level, b_slope = found[0] * part, found[1] * part, other[0] * part, other[1] * part
    for j in range(out.size):
        one, two = ((a[j] - a_point) - a_centre) * a_scale, ((b[j] - b_point) - b_centre) * b_scale
        dgamma[j] += fma(da[j], one, db[j] * two)
        dbeta[j] += da[j] + db[j]
        out[j] = a_scale * (fma(da[j], gamma[j], -a_level) - one * a_slope)
        other_out[j] = b_scale * (fma(db[j], gamma[j], -b_level) - two * b_slope)


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
    for p in range(begin, end):
        clear(dgamma[p])
        clear(dbeta[p])
        last = min((p + 1) * CHUNK, x.shape[0])
        for i in range(p * CHUNK, last - 1, 2):
            two_rows(x[i : i + 2], gamma, offset[i : i + 2], factor[i : i + 2], dy[i : i + 2], dx[i : i + 2], dgamma[p], dbeta[p])
        if (last - p * CHUNK) % 2 == 1:
            one_row(x[last - 1], gamma, offset[last - 1], factor[last - 1], dy[last - 1], dx[last - 1], dgamma[p], dbeta[p])
