"""Layer normalisation of x (N, C): every row on its own.

    mean = sum of x / C          variance = sum of (x - mean)^2 / C, biased
    rstd = 1 / sqrt(variance + epsilon)
    xhat = (x - mean) rstd       y = gamma xhat + beta

    g = dy gamma                 dx = rstd (g - mean of g - xhat mean of (g xhat))
    dbeta = sum of dy over rows  dgamma = sum of dy xhat over rows

As in normalization.py, the mean is x[0] + the mean of the deviations from it, and its rounding
error is kept, mean_lo, so that nothing is lost of a row whose mean is far from zero. Loops are
unrolled over two rows to reuse gamma and beta.
"""

from ..declare import T, helper, kernel
from ..intrinsics import fma, stack_array
from ..scalar.normalize import normalise, normalise_gradient
from ..statistics import reciprocal_deviation, two_sum
from .reduce import sum_of_chunks
from .row_loops import row_loop
from .simd.rows import (
    clear,
    layer_norm_sums,
    streaming_row_copy,
    sum_of_deviations,
    sum_of_squared_deviations,
)
from .threads import (
    L2_RESIDENT_MAX_ELEMENTS,
    ROW_GRAIN,
    STREAMING_TILE_ELEMENTS,
    ceil_div,
    streams_rows,
    unrolled_end,
)

# Elements of the rows that go through each pass together: they stay in L1. Out of L2 fewer, or the
# hardware prefetcher pauses meanwhile.
GROUP_ELEMENTS, OUT_OF_L2_GROUP_ELEMENTS = 4096, 1024
# of which the gradients of gamma and beta are summed together; the chunks' sums are joined in their
# order
CHUNK_ROWS = 32


normalise_rows = row_loop(
    normalise, x="N, C", mean="N", mean_lo="N", rstd="N", gamma="C", beta="C", y="out N, C"
)


@helper
def rstd_of_rows(squares, mean_lo, one_over_n, epsilon):
    """rstd of each row in place of its sum of squares: roots and quotients of several rows are
    vectorised."""
    for i in range(squares.size):
        squares[i] = reciprocal_deviation(
            fma(-mean_lo[i], mean_lo[i], squares[i] * one_over_n), epsilon
        )


@kernel(
    split=[("N", ROW_GRAIN)],
    x="T[N, C]",
    gamma="T[C]",
    beta="T[C]",
    epsilon="float",
    y="out T[N, C]",
    mean="out T[N]",
    mean_lo="out T[N]",
    rstd="out T[N]",
)
def layer_norm(x, gamma, beta, epsilon, y, mean, mean_lo, rstd, start, stop):
    """y, and for the gradient mean, mean_lo and rstd of each row. A group of rows that stays in L1
    goes through each of three passes together: while the sum of one row is completed, that of the
    next begins."""
    one_over_n, group = (
        T(1) / T(x.shape[1]),
        max(
            1,
            (OUT_OF_L2_GROUP_ELEMENTS if x.size > L2_RESIDENT_MAX_ELEMENTS else GROUP_ELEMENTS)
            // max(x.shape[1], 1),
        ),
    )
    for row_start in range(start, stop, group):
        row_stop = min(row_start + group, stop)
        for i in range(row_start, row_stop):
            mean[i], mean_lo[i] = two_sum(x[i, 0], sum_of_deviations(x[i], x[i, 0]) * one_over_n)
        for i in range(row_start, row_stop):
            rstd[i] = sum_of_squared_deviations(x[i], mean[i])
        rstd_of_rows(rstd[row_start:row_stop], mean_lo[row_start:row_stop], one_over_n, epsilon)
        normalise_rows(
            x[row_start:row_stop],
            mean[row_start:row_stop],
            mean_lo[row_start:row_stop],
            rstd[row_start:row_stop],
            gamma,
            beta,
            y[row_start:row_stop],
            unrolled_end(x, 0, row_stop - row_start, 2),
            streams_rows(y),
        )


@helper
def gradient_of_columns(x, gamma, mean, mean_lo, rstd, mean_g, mean_gx, dy, dx):
    for j in range(dx.size):
        dx[j] = normalise_gradient(x[j], mean, mean_lo, rstd, gamma[j], mean_g, mean_gx, dy[j])


@helper
def row_gradient(x, gamma, mean, mean_lo, rstd, mean_g, mean_gx, dy, dx, is_streamed):
    """dx of a row. mean_g and mean_gx come as the sums of g and of g (x - mean)."""
    one_over_n = T(1) / T(x.size)
    mean_g, mean_gx = mean_g * one_over_n, fma(-mean_lo, mean_g, mean_gx) * rstd * one_over_n
    if is_streamed:
        tile = stack_array(T(0), STREAMING_TILE_ELEMENTS)
        for col_start in range(0, dx.size, STREAMING_TILE_ELEMENTS):
            col_stop = min(col_start + STREAMING_TILE_ELEMENTS, dx.size)
            gradient_of_columns(
                x[col_start:col_stop],
                gamma[col_start:col_stop],
                mean,
                mean_lo,
                rstd,
                mean_g,
                mean_gx,
                dy[col_start:col_stop],
                tile[: col_stop - col_start],
            )
            streaming_row_copy(tile[: col_stop - col_start], dx[col_start:col_stop])
    else:
        gradient_of_columns(x, gamma, mean, mean_lo, rstd, mean_g, mean_gx, dy, dx)


@helper
def two_row_gradients(x, gamma, mean, mean_lo, rstd, sums, dy, dx):
    """dx of the first two rows: gamma is loaded once."""
    a, b, da, db, p, q, one_over_n = x[0], x[1], dy[0], dy[1], dx[0], dx[1], T(1) / T(x.shape[1])
    a_mean, b_mean, a_rstd, b_rstd = mean[0], mean[1], rstd[0], rstd[1]
    a_lo, b_lo, a_g, b_g = mean_lo[0], mean_lo[1], sums[0] * one_over_n, sums[2] * one_over_n
    a_gx, b_gx = (
        fma(-mean_lo[0], sums[0], sums[1]) * a_rstd * one_over_n,
        fma(-mean_lo[1], sums[2], sums[3]) * b_rstd * one_over_n,
    )
    for j in range(p.size):
        p[j] = normalise_gradient(a[j], a_mean, a_lo, a_rstd, gamma[j], a_g, a_gx, da[j])
        q[j] = normalise_gradient(b[j], b_mean, b_lo, b_rstd, gamma[j], b_g, b_gx, db[j])


@kernel(
    split=[("P", 1)],
    x="T[N, C]",
    gamma="T[C]",
    mean="T[N]",
    mean_lo="T[N]",
    rstd="T[N]",
    dy="T[N, C]",
    dx="out T[N, C]",
    dgamma="out T[P, C]",
    dbeta="out T[P, C]",
)
def layer_norm_gradient_chunks(x, gamma, mean, mean_lo, rstd, dy, dx, dgamma, dbeta, start, stop):
    """dx; and of each chunk of rows dgamma[p] = sum of dy xhat, dbeta[p] = sum of dy. They are
    summed in the first of a row's two passes: it is memory-bound, so its extra arithmetic is free,
    and the second runs from L1 (0.7 to 0.9 of the time of summing in the second). In `row_loop`,
    called for two rows at a time, 64 columns took 1.1 times as long."""
    sums, is_streamed = stack_array(T(0), 4), streams_rows(dx)
    for p in range(start, stop):
        clear(dgamma[p])
        clear(dbeta[p])
        row_start, row_stop = p * CHUNK_ROWS, min((p + 1) * CHUNK_ROWS, x.shape[0])
        unrolled = unrolled_end(x, row_start, row_stop, 2)
        for i in range(row_start, unrolled, 2):
            layer_norm_sums(
                2, x[i:], gamma, mean[i:], mean_lo[i:], rstd[i:], dy[i:], sums, dgamma[p], dbeta[p]
            )
            if is_streamed:
                for n in range(2):
                    k = i + n
                    row_gradient(
                        x[k],
                        gamma,
                        mean[k],
                        mean_lo[k],
                        rstd[k],
                        sums[2 * n],
                        sums[2 * n + 1],
                        dy[k],
                        dx[k],
                        is_streamed,
                    )
            else:
                two_row_gradients(
                    x[i:], gamma, mean[i:], mean_lo[i:], rstd[i:], sums, dy[i:], dx[i:]
                )
        for i in range(unrolled, row_stop):
            layer_norm_sums(
                1, x[i:], gamma, mean[i:], mean_lo[i:], rstd[i:], dy[i:], sums, dgamma[p], dbeta[p]
            )
            row_gradient(
                x[i],
                gamma,
                mean[i],
                mean_lo[i],
                rstd[i],
                sums[0],
                sums[1],
                dy[i],
                dx[i],
                is_streamed,
            )


# ---- launchers


def layer_norm_gradient(call, x, gamma, mean, mean_lo, rstd, dy, dx, dgamma, dbeta):
    chunks = ceil_div(x.shape[0], CHUNK_ROWS), x.shape[1]
    dgammas, dbetas = call.scratch(chunks, x.dtype), call.scratch(chunks, x.dtype)
    call(layer_norm_gradient_chunks, x, gamma, mean, mean_lo, rstd, dy, dx, dgammas, dbetas)
    sum_of_chunks(call, dgammas, dgamma)
    sum_of_chunks(call, dbetas, dbeta)
