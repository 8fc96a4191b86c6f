"""Layer normalisation: every row of x (N, C) on its own. Lanes share out the rows.

y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with the biased variance of the row. As in normalization.py, the mean is
that of distances to the row's first element, and what rounding takes from it is kept beside it, so that nothing is lost of a row
whose mean is far from zero.
"""

from ..marks import T, helper, kernel
from ..primitives import fma, stack
from .normalization import exact_sum, inverse_deviation
from .rows import clear, row_distances, row_slopes, row_squares
from .share import FAR, LONG, share, together

ROWS = 4
GROUP, FAR_GROUP = 4096, 1024  # elements of rows that are worked on together: of far ones fewer, or the fetching ahead pauses
CHUNK = 32  # rows whose gradients of gamma and beta are summed together; the sums of all chunks follow in their order


@helper
def normalise_row(x, mean, rest, factor, gamma, beta, y):
    shift = -rest * factor
    for j in range(y.size):
        y[j] = fma(fma(x[j] - mean, factor, shift), gamma[j], beta[j])


@helper
def normalise_two_rows(x, mean, rest, factor, gamma, beta, y):
    """Two at a time: gamma and beta are read once."""
    a, b, p, q = x[0], x[1], y[0], y[1]
    a_centre, b_centre, a_scale, b_scale = mean[0], mean[1], factor[0], factor[1]
    a_shift, b_shift = -rest[0] * a_scale, -rest[1] * b_scale
    for j in range(p.size):
        p[j] = fma(fma(a[j] - a_centre, a_scale, a_shift), gamma[j], beta[j])
        q[j] = fma(fma(b[j] - b_centre, b_scale, b_shift), gamma[j], beta[j])


@helper
def deviations(squares, rest, part, epsilon):
    """factor = 1 / deviation of each row, in place of its sum of squares: roots and quotients of several rows are packed."""
    for i in range(squares.size):
        squares[i] = inverse_deviation(fma(-rest[i], rest[i], squares[i] * part), epsilon)


@kernel(
    split=[("N", ROWS)],
    x="T[N, C]",
    gamma="T[C]",
    beta="T[C]",
    epsilon="float",
    y="out T[N, C]",
    mean="out T[N]",
    rest="out T[N]",
    factor="out T[N]",
)
def layer_norm(x, gamma, beta, epsilon, y, mean, rest, factor, lane, lanes):
    """`mean`, `rest` (what rounding took from it) and `factor` (1 / deviation) are for the gradient. As many rows as stay in the
    nearest cache go through each of three passes together: while the sum of one is completed, that of the next begins."""
    first, last = share(x.shape[0], ROWS, lane, lanes)
    part, group = T(1) / T(x.shape[1]), max(1, (FAR_GROUP if x.size > FAR else GROUP) // max(x.shape[1], 1))
    for begin in range(first, last, group):
        end = min(begin + group, last)
        for i in range(begin, end):
            mean[i], rest[i] = exact_sum(x[i, 0], row_distances(x[i], x[i, 0]) * part)
        for i in range(begin, end):
            factor[i] = row_squares(x[i], mean[i])
        deviations(factor[begin:end], rest[begin:end], part, epsilon)
        pairs = together(x, begin, end, 2)
        for i in range(begin, pairs, 2):
            normalise_two_rows(x[i:], mean[i:], rest[i:], factor[i:], gamma, beta, y[i:])
        for i in range(pairs, end):
            normalise_row(x[i], mean[i], rest[i], factor[i], gamma, beta, y[i])


@helper
def slopes(x, gamma, centre, rest, scale, dy):
    """The means of g and of g xhat, for g = dy gamma and xhat the normalised row."""
    found, part = stack(T(0), 2), T(1) / T(x.size)
    row_slopes(dy, gamma, x, centre, found)
    return found[0] * part, fma(-rest, found[0], found[1]) * scale * part


@helper
def one_row(x, gamma, centre, rest, scale, dy, dx, dgamma, dbeta):
    """dx of a row, and what it adds to dgamma and dbeta."""
    (level, slope), shift = slopes(x, gamma, centre, rest, scale, dy), -rest * scale
    for j in range(dx.size):
        normalised = fma(x[j] - centre, scale, shift)
        dgamma[j] = fma(dy[j], normalised, dgamma[j])
        dbeta[j] += dy[j]
        dx[j] = scale * fma(-slope, normalised, fma(dy[j], gamma[j], -level))


@helper
def two_rows(x, gamma, mean, rest, factor, dy, dx, dgamma, dbeta):
    """Two at a time: their sums are read and written once."""
    a, b, da, db, out, other_out = x[0], x[1], dy[0], dy[1], dx[0], dx[1]
    a_centre, b_centre, a_scale, b_scale = mean[0], mean[1], factor[0], factor[1]
    (a_level, a_slope), a_shift = slopes(a, gamma, a_centre, rest[0], a_scale, da), -rest[0] * a_scale
    (b_level, b_slope), b_shift = slopes(b, gamma, b_centre, rest[1], b_scale, db), -rest[1] * b_scale
    for j in range(out.size):
        one, two = fma(a[j] - a_centre, a_scale, a_shift), fma(b[j] - b_centre, b_scale, b_shift)
        dgamma[j] += fma(da[j], one, db[j] * two)
        dbeta[j] += da[j] + db[j]
        out[j] = a_scale * fma(-a_slope, one, fma(da[j], gamma[j], -a_level))
        other_out[j] = b_scale * fma(-b_slope, two, fma(db[j], gamma[j], -b_level))


@kernel(
    split=[("P", 1)],
    x="T[N, C]",
    gamma="T[C]",
    mean="T[N]",
    rest="T[N]",
    factor="T[N]",
    dy="T[N, C]",
    dx="out T[N, C]",
    dgamma="out T[P, C]",
    dbeta="out T[P, C]",
)
def layer_norm_gradient(x, gamma, mean, rest, factor, dy, dx, dgamma, dbeta, lane, lanes):
    """dx = factor (g - mean of g - xhat mean of (g xhat)) with g = dy gamma and xhat the normalised row. Of each chunk of rows,
    dgamma[p] = sum of dy xhat and dbeta[p] = sum of dy."""
    begin, end = share(dgamma.shape[0], 1, lane, lanes)
    for p in range(begin, end):
        clear(dgamma[p])
        clear(dbeta[p])
        first, last = p * CHUNK, min((p + 1) * CHUNK, x.shape[0])
        # Each row is read twice, so that long ones leave less of the nearest cache to gamma and the sums than in other kernels.
        pairs = together(x, first, last, 2) if x.shape[1] < LONG else last - (last - first) % 2
        for i in range(first, pairs, 2):
            two_rows(x[i:], gamma, mean[i:], rest[i:], factor[i:], dy[i:], dx[i:], dgamma[p], dbeta[p])
        for i in range(pairs, last):
            one_row(x[i], gamma, mean[i], rest[i], factor[i], dy[i], dx[i], dgamma[p], dbeta[p])
