"""The gradient of attention, by the formulas of kernels/cpu/attention_gradient.py, in two kernels:
what belongs to queries, of which a block has ROWS, and what belongs to keys, of which it has KEYS.
Both make P again of the scores. Each element of a result belongs to one thread.

    dS = P (M (dO V^T) - delta)      delta = sum of O dO of each row
    dQ = scale dS K                  dK = scale dS^T Q
    dV = (P M)^T dO                  and of a row that sees no key dO / keys for each key
"""

import math

from ..declare import T, helper, kernel
from ..heads import absent, mask_and_distances, rows_of, scale_or_default
from ..intrinsics import fma
from ..scalar.elementary import exp_of_negative
from .attention import (
    KEY_TILE,
    KEYS,
    QUERY_TILE,
    ROWS,
    SCORE_TILE,
    THREADS,
    WARPS,
    add_products,
    is_hidden,
    kept,
    products,
)
from .grid import WARP, barrier, block_index, block_index_y, quotient, shared_array, thread_index
from .reductions import warp_sum


@helper
def delta_of(out, dout, row, is_there, col_start, width):
    """The sum of O dO of a row, by a warp."""
    total, c = T(0), thread_index() % WARP
    while c < width and is_there:
        total = fma(out[row, col_start + c], dout[row, col_start + c], total)
        c += WARP
    return warp_sum(total)


@helper
def probability(score, hidden, log_sum):
    """P; 0 of a row that sees no key, of which log_sum is inf."""
    return T(0) if hidden else exp_of_negative(score - log_sum)


@helper
def slope(p, dp, m, delta):
    """dS of one element; nothing of what is hidden, whatever dO V^T is there."""
    return p * ((dp * m if m != T(0) else T(0)) - delta) if p != T(0) else T(0)


@helper
def of_row(x, unit, row):
    return x[unit, row] if row < x.shape[1] else T(0)


@helper
def of_head(x, unit, e, row):
    return x[unit, e, row] if row < x.shape[2] else T(0)


@kernel(
    split=[("U", 1), ("L", ROWS)],
    threads=THREADS,
    q="T[R, P]",
    k="T[Q, C]",
    v="T[Q, E]",
    out="T[R, O]",
    sums="T[U, L]",
    dout="T[R, O]",
    mask="b1[W]",
    mask_batch="int",
    mask_head="int",
    mask_row="int",
    mask_column="int",
    heads="int",
    groups="int",
    keys="int",
    is_causal="int",
    scale="float",
    generator="i8[g]",
    draw_offset="int",
    rate="float",
    dq="out T[R, P]",
    deltas="out T[U, L]",
)
def attend_gradient_of_queries(
    q, k, v, out, sums, dout, mask, mask_batch, mask_head, mask_row, mask_column, heads, groups,
    keys, is_causal, scale, generator, draw_offset, rate, dq, deltas,
):  # fmt: skip
    """dq, and delta of each row."""
    unit, top = block_index(), block_index_y() * ROWS
    length, thread = sums.shape[1], thread_index()
    warp, lane = thread // WARP, thread % WARP
    n, h = quotient(unit, heads), unit % heads
    depth, width = quotient(q.shape[1], heads), quotient(out.shape[1], heads)
    g = quotient(h, quotient(heads, groups))
    rows, first_row, first_key = min(ROWS, length - top), n * length + top, n * keys
    mask_start = n * mask_batch + h * mask_head
    queries, key_tile = shared_array(T(0), QUERY_TILE), shared_array(T(0), KEY_TILE)
    slopes = shared_array(T(0), SCORE_TILE)
    limit, key_start = min(keys, top + rows) if is_causal != 0 else keys, 0
    r_0, r_1, r_2, r_3 = warp, WARPS + warp, 2 * WARPS + warp, 3 * WARPS + warp
    delta_0 = delta_of(out, dout, first_row + r_0, r_0 < rows, h * width, width)
    delta_1 = delta_of(out, dout, first_row + r_1, r_1 < rows, h * width, width)
    delta_2 = delta_of(out, dout, first_row + r_2, r_2 < rows, h * width, width)
    delta_3 = delta_of(out, dout, first_row + r_3, r_3 < rows, h * width, width)
    if lane == 0:
        put(deltas, unit, top + r_0, length, delta_0)
        put(deltas, unit, top + r_1, length, delta_1)
        put(deltas, unit, top + r_2, length, delta_2)
        put(deltas, unit, top + r_3, length, delta_3)
    i = thread
    while i < rows * depth:
        dq[first_row + quotient(i, depth), h * depth + i % depth] = T(0)
        i += THREADS
    while key_start < limit:
        own, key = min(KEYS, limit - key_start), key_start + lane
        s_0, s_1, s_2, s_3 = products(
            (q, first_row, rows, h * depth), (k, first_key + key_start, own, g * depth),
            depth, queries, key_tile,
        )  # fmt: skip
        d_0, d_1, d_2, d_3 = products(
            (dout, first_row, rows, h * width), (v, first_key + key_start, own, g * width),
            width, queries, key_tile,
        )  # fmt: skip
        where = (length, limit, is_causal, mask, mask_start, mask_row, mask_column)
        drawn = (generator, draw_offset, rate)
        number, step = (unit * length + top + warp) * keys + key, WARPS * keys
        hidden_0 = is_hidden(top + r_0, key, *where)
        hidden_1 = is_hidden(top + r_1, key, *where)
        hidden_2 = is_hidden(top + r_2, key, *where)
        hidden_3 = is_hidden(top + r_3, key, *where)
        p_0 = probability(s_0 * T(scale), hidden_0, of_row(sums, unit, top + r_0))
        p_1 = probability(s_1 * T(scale), hidden_1, of_row(sums, unit, top + r_1))
        p_2 = probability(s_2 * T(scale), hidden_2, of_row(sums, unit, top + r_2))
        p_3 = probability(s_3 * T(scale), hidden_3, of_row(sums, unit, top + r_3))
        m_0, m_1 = kept(*drawn, number), kept(*drawn, number + step)
        m_2, m_3 = kept(*drawn, number + 2 * step), kept(*drawn, number + 3 * step)
        slopes[r_0 * KEYS + lane] = slope(p_0, d_0, m_0, delta_0)
        slopes[r_1 * KEYS + lane] = slope(p_1, d_1, m_1, delta_1)
        slopes[r_2 * KEYS + lane] = slope(p_2, d_2, m_2, delta_2)
        slopes[r_3 * KEYS + lane] = slope(p_3, d_3, m_3, delta_3)
        barrier()
        i = thread
        while i < rows * depth:
            r, c = quotient(i, depth), i % depth
            before = dq[first_row + r, h * depth + c]
            dq[first_row + r, h * depth + c] = add_products(
                slopes, r * KEYS, 1, own, k, first_key + key_start, g * depth + c, T(1), before
            )
            i += THREADS
        barrier()
        key_start += KEYS
    i = thread
    while i < rows * depth:
        dq[first_row + quotient(i, depth), h * depth + i % depth] *= T(scale)
        i += THREADS


@helper
def put(x, unit, row, length, value):
    if row < length:
        x[unit, row] = value


@helper
def is_any_unseen(sums, unit, e, top, rows):
    """Whether a row of these sees no key; the same for all threads."""
    r, found = 0, False
    while r < rows:
        found = found or sums[unit, e, top + r] == T(math.inf)
        r += 1
    return found


@helper
def weight(p, m, log_sum, is_there, even):
    """P M; of a row that sees no key 1 / keys."""
    return (even if log_sum == T(math.inf) else p * m) if is_there else T(0)


@kernel(
    split=[("U", 1), ("S", KEYS)],
    threads=THREADS,
    q="T[R, P]",
    k="T[Q, C]",
    v="T[Q, E]",
    sums="T[U, G, L]",
    deltas="T[U, G, L]",
    dout="T[R, O]",
    mask="b1[W]",
    mask_batch="int",
    mask_head="int",
    mask_row="int",
    mask_column="int",
    groups="int",
    is_causal="int",
    scale="float",
    generator="i8[g]",
    draw_offset="int",
    rate="float",
    dk="out T[B, S, C]",
    dv="out T[B, S, E]",
)
def attend_gradient_of_keys(
    q, k, v, sums, deltas, dout, mask, mask_batch, mask_head, mask_row, mask_column, groups,
    is_causal, scale, generator, draw_offset, rate, dk, dv,
):  # fmt: skip
    """dk and dv of KEYS keys of unit (b, g), whose heads of queries are rows of sums[unit]."""
    unit, key_start = block_index(), block_index_y() * KEYS
    keys, length, each, thread = dk.shape[1], sums.shape[2], sums.shape[1], thread_index()
    warp, lane = thread // WARP, thread % WARP
    n, g, heads = quotient(unit, groups), unit % groups, groups * each
    depth, width = quotient(q.shape[1], heads), quotient(v.shape[1], groups)
    own, first_key = min(KEYS, keys - key_start), n * keys + key_start
    queries, key_tile = shared_array(T(0), QUERY_TILE), shared_array(T(0), KEY_TILE)
    slopes, weights = shared_array(T(0), SCORE_TILE), shared_array(T(0), SCORE_TILE)
    r_0, r_1, r_2, r_3 = warp, WARPS + warp, 2 * WARPS + warp, 3 * WARPS + warp
    key, even, e = key_start + lane, T(1) / T(keys), 0
    i = thread
    while i < own * depth:
        dk[n, key_start + quotient(i, depth), g * depth + i % depth] = T(0)
        i += THREADS
    i = thread
    while i < own * width:
        dv[n, key_start + quotient(i, width), g * width + i % width] = T(0)
        i += THREADS
    while e < each:
        h, top = g * each + e, 0
        row, mask_start = n * heads + h, n * mask_batch + h * mask_head
        while top < length:
            rows, first_row = min(ROWS, length - top), n * length + top
            is_beyond = is_causal != 0 and top + rows <= key_start
            if is_beyond and not is_any_unseen(sums, unit, e, top, rows):
                top += ROWS
                continue
            s_0, s_1, s_2, s_3 = products(
                (q, first_row, rows, h * depth), (k, first_key, own, g * depth),
                depth, queries, key_tile,
            )  # fmt: skip
            d_0, d_1, d_2, d_3 = products(
                (dout, first_row, rows, h * width), (v, first_key, own, g * width),
                width, queries, key_tile,
            )  # fmt: skip
            where = (length, keys, is_causal, mask, mask_start, mask_row, mask_column)
            drawn = (generator, draw_offset, rate)
            number, step = (row * length + top + warp) * keys + key, WARPS * keys
            log_0, log_1 = of_head(sums, unit, e, top + r_0), of_head(sums, unit, e, top + r_1)
            log_2, log_3 = of_head(sums, unit, e, top + r_2), of_head(sums, unit, e, top + r_3)
            p_0 = probability(s_0 * T(scale), is_hidden(top + r_0, key, *where), log_0)
            p_1 = probability(s_1 * T(scale), is_hidden(top + r_1, key, *where), log_1)
            p_2 = probability(s_2 * T(scale), is_hidden(top + r_2, key, *where), log_2)
            p_3 = probability(s_3 * T(scale), is_hidden(top + r_3, key, *where), log_3)
            m_0, m_1 = kept(*drawn, number), kept(*drawn, number + step)
            m_2, m_3 = kept(*drawn, number + 2 * step), kept(*drawn, number + 3 * step)
            slopes[r_0 * KEYS + lane] = slope(p_0, d_0, m_0, of_head(deltas, unit, e, top + r_0))
            slopes[r_1 * KEYS + lane] = slope(p_1, d_1, m_1, of_head(deltas, unit, e, top + r_1))
            slopes[r_2 * KEYS + lane] = slope(p_2, d_2, m_2, of_head(deltas, unit, e, top + r_2))
            slopes[r_3 * KEYS + lane] = slope(p_3, d_3, m_3, of_head(deltas, unit, e, top + r_3))
            weights[r_0 * KEYS + lane] = weight(p_0, m_0, log_0, r_0 < rows, even)
            weights[r_1 * KEYS + lane] = weight(p_1, m_1, log_1, r_1 < rows, even)
            weights[r_2 * KEYS + lane] = weight(p_2, m_2, log_2, r_2 < rows, even)
            weights[r_3 * KEYS + lane] = weight(p_3, m_3, log_3, r_3 < rows, even)
            barrier()
            i = thread
            while i < own * depth:
                j, c = quotient(i, depth), i % depth
                before = dk[n, key_start + j, g * depth + c]
                dk[n, key_start + j, g * depth + c] = add_products(
                    slopes, j, KEYS, rows, q, first_row, h * depth + c, T(1), before
                )
                i += THREADS
            i = thread
            while i < own * width:
                j, c = quotient(i, width), i % width
                before = dv[n, key_start + j, g * width + c]
                dv[n, key_start + j, g * width + c] = add_products(
                    weights, j, KEYS, rows, dout, first_row, h * width + c, T(1), before
                )
                i += THREADS
            barrier()
            top += ROWS
        e += 1
    i = thread
    while i < own * depth:
        dk[n, key_start + quotient(i, depth), g * depth + i % depth] *= T(scale)
        i += THREADS


# ---- launchers


def attention_gradient(
    call, query, key, value, out, sums, dout, mask, dq, dk, dv, *, scale=None, is_causal=False
):
    dropout_attention_gradient(
        call, query, key, value, out, sums, dout, None, mask, dq, dk, dv, rate=0.0, scale=scale,
        is_causal=is_causal,
    )  # fmt: skip


def dropout_attention_gradient(
    call, query, key, value, out, sums, dout, state, mask, dq, dk, dv, *, rate, draw_offset=0,
    scale=None, is_causal=False,
):  # fmt: skip
    state = absent(call.constant)[1] if state is None else state
    (batch, keys, groups, _), heads = key.shape, query.shape[2]
    q, k, v, do = (rows_of(x) for x in (query, key, value, dout))
    hiding, drawn = mask_and_distances(call, mask), (state, draw_offset, float(rate))
    how = int(is_causal), scale_or_default(scale, query), *drawn
    deltas = call.scratch(sums.shape, sums.dtype)
    call(
        attend_gradient_of_queries, q, k, v, rows_of(out), sums, do, *hiding, heads, groups, keys,
        *how, rows_of(dq), deltas,
    )  # fmt: skip
    by_group = batch * groups, heads // max(groups, 1), query.shape[1]
    call(
        attend_gradient_of_keys, q, k, v, sums.view(by_group), deltas.view(by_group), do, *hiding,
        groups, *how, dk.view((batch, keys, k.shape[1])), dv.view((batch, keys, v.shape[1])),
    )  # fmt: skip
