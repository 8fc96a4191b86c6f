"""Layer normalisation: every row of x (N, C) on its own. Threads share out the rows.

y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with the biased variance of the row. As in
normalization.py, the mean is that of distances to the row's first element, and what rounding takes
from it is kept beside it, so that nothing is lost of a row whose mean is far from zero.
"""

from ..declare import T, helper, kernel
from ..intrinsics import fma, stack_array
from .normalization import exact_sum, inverse_deviation
from .simd.rows import clear, row_copy_past_caches, row_distances, row_squares, slopes_and_sums
from .threads import FAR, TILE, past_caches, together

ROWS = 4
# elements of rows that are worked on together: of far ones fewer, or the fetching ahead pauses
GROUP, FAR_GROUP = 4096, 1024
# rows whose gradients of gamma and beta are summed together; the sums of all chunks follow in their
# order
CHUNK = 32


@helper
def normalise_row(x, mean, shift, factor, gamma, beta, y):
    for j in range(y.size):
        y[j] = fma(fma(x[j] - mean, factor, shift), gamma[j], beta[j])


@helper
def normalise_row_past_caches(x, mean, shift, factor, gamma, beta, y):
    tile = stack_array(T(0), TILE)
    for begin in range(0, y.size, TILE):
        end = min(begin + TILE, y.size)
        normalise_row(
            x[begin:end],
            mean,
            shift,
            factor,
            gamma[begin:end],
            beta[begin:end],
            tile[: end - begin],
        )
        row_copy_past_caches(tile[: end - begin], y[begin:end])


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
    """factor = 1 / deviation of each row, in place of its sum of squares: roots and quotients of
    several rows are packed."""
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
def layer_norm(x, gamma, beta, epsilon, y, mean, rest, factor, start, stop):
    """`mean`, `rest` (what rounding took from it) and `factor` (1 / deviation) are for the
    gradient. As many rows as stay in the nearest cache go through each of three passes together:
    while the sum of one is completed, that of the next begins."""
    part, group = (
        T(1) / T(x.shape[1]),
        max(1, (FAR_GROUP if x.size > FAR else GROUP) // max(x.shape[1], 1)),
    )
    for begin in range(start, stop, group):
        end = min(begin + group, stop)
        for i in range(begin, end):
            mean[i], rest[i] = exact_sum(x[i, 0], row_distances(x[i], x[i, 0]) * part)
        for i in range(begin, end):
            factor[i] = row_squares(x[i], mean[i])
        deviations(factor[begin:end], rest[begin:end], part, epsilon)
        if past_caches(y):
            for i in range(begin, end):
                normalise_row_past_caches(
                    x[i], mean[i], -rest[i] * factor[i], factor[i], gamma, beta, y[i]
                )
            continue
        pairs = together(x, begin, end, 2)
        for i in range(begin, pairs, 2):
            normalise_two_rows(x[i:], mean[i:], rest[i:], factor[i:], gamma, beta, y[i:])
        for i in range(pairs, end):
            normalise_row(x[i], mean[i], -rest[i] * factor[i], factor[i], gamma, beta, y[i])


@helper
def part_of_gradient(x, gamma, centre, shift, scale, level, slope, dy, dx):
    for j in range(dx.size):
        dx[j] = scale * fma(-slope, fma(x[j] - centre, scale, shift), fma(dy[j], gamma[j], -level))


@helper
def row_gradient(x, gamma, centre, rest, scale, level, slope, dy, dx, past):
    """dx of a row; level and slope: the sums of g and of g (x - mean), for g = dy gamma."""
    part, shift = T(1) / T(x.size), -rest * scale
    level, slope = level * part, fma(-rest, level, slope) * scale * part
    if past:
        tile = stack_array(T(0), TILE)
        for begin in range(0, dx.size, TILE):
            end = min(begin + TILE, dx.size)
            part_of_gradient(
                x[begin:end],
                gamma[begin:end],
                centre,
                shift,
                scale,
                level,
                slope,
                dy[begin:end],
                tile[: end - begin],
            )
            row_copy_past_caches(tile[: end - begin], dx[begin:end])
    else:
        part_of_gradient(x, gamma, centre, shift, scale, level, slope, dy, dx)


@helper
def two_row_gradients(x, gamma, mean, rest, factor, slopes, dy, dx):
    """Two at a time: gamma is read once."""
    a, b, da, db, p, q, part = x[0], x[1], dy[0], dy[1], dx[0], dx[1], T(1) / T(x.shape[1])
    a_centre, b_centre, a_scale, b_scale = mean[0], mean[1], factor[0], factor[1]
    a_shift, b_shift, a_level, b_level = (
        -rest[0] * a_scale,
        -rest[1] * b_scale,
        slopes[0] * part,
        slopes[2] * part,
    )
    a_slope, b_slope = (
        fma(-rest[0], slopes[0], slopes[1]) * a_scale * part,
        fma(-rest[1], slopes[2], slopes[3]) * b_scale * part,
    )
    for j in range(p.size):
        p[j] = a_scale * fma(
            -a_slope, fma(a[j] - a_centre, a_scale, a_shift), fma(da[j], gamma[j], -a_level)
        )
        q[j] = b_scale * fma(
            -b_slope, fma(b[j] - b_centre, b_scale, b_shift), fma(db[j], gamma[j], -b_level)
        )


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
def layer_norm_gradient(x, gamma, mean, rest, factor, dy, dx, dgamma, dbeta, start, stop):
    """dx = factor (g - mean of g - xhat mean of (g xhat)) with g = dy gamma and xhat the normalised
    row. Of each chunk of rows, dgamma[p] = sum of dy xhat and dbeta[p] = sum of dy. They are summed
    in the first of a row's two passes: while it comes from memory there is time, and the second has
    the nearest cache to itself (0.7 to 0.9 of the time of summing in the second)."""
    slopes, past = stack_array(T(0), 4), past_caches(dx)
    for p in range(start, stop):
        clear(dgamma[p])
        clear(dbeta[p])
        first, last = p * CHUNK, min((p + 1) * CHUNK, x.shape[0])
        pairs = together(x, first, last, 2)
        for i in range(first, pairs, 2):
            slopes_and_sums(
                2, x[i:], gamma, mean[i:], rest[i:], factor[i:], dy[i:], slopes, dgamma[p], dbeta[p]
            )
            if past:
                for n in range(2):
                    k = i + n
                    row_gradient(
                        x[k],
                        gamma,
                        mean[k],
                        rest[k],
                        factor[k],
                        slopes[2 * n],
                        slopes[2 * n + 1],
                        dy[k],
                        dx[k],
                        past,
                    )
            else:
                two_row_gradients(
                    x[i:], gamma, mean[i:], rest[i:], factor[i:], slopes, dy[i:], dx[i:]
                )
        for i in range(pairs, last):
            slopes_and_sums(
                1, x[i:], gamma, mean[i:], rest[i:], factor[i:], dy[i:], slopes, dgamma[p], dbeta[p]
            )
            row_gradient(
                x[i], gamma, mean[i], rest[i], factor[i], slopes[0], slopes[1], dy[i], dx[i], past
            )
