"""The gradient of attention, one call for all heads. With attention.py's P, M and log_sum:

    dV = (P M)^T dO                  and of a row that sees no key dO / keys for each key
    dS = P (M (dO V^T) - delta)      delta = sum of O dO of each row
    dQ = scale dS K                  dK = dS^T (scale Q)

P is made again of the scores. A unit is a head of keys in a sequence, with all heads of queries
that share it: what it adds to dK and dV is its own. KEYS keys at a time, for each block of queries.
"""

import math

import numpy as np

from ..declare import T, helper, kernel
from ..heads import MAX_DEPTH, absent, mask_and_distances, rows_of, scale_or_default
from ..intrinsics import flat, stack_array
from ..philox import DROPOUT_HALF_TILE_ELEMENTS, dropout_limit
from ..scalar.elementary import exp_of_negative
from .attention import (
    CHUNK,
    KEYS,
    PANELS,
    QUERY_ELEMENTS,
    SCORES,
    copy_scaled,
    drop,
    exps,
    hide,
    keys_at_once,
    multiply_panels,
    multiply_rows,
    multiply_transposed,
    pack,
    pack_transposed,
    queries_at_once,
    seen_by,
    whole_chunks,
    whole_panels,
)
from .pack import next_tiles
from .simd.gemm_microkernel import MR, NR
from .simd.rows import clear, row_dot, row_scale, subtract_and_pad
from .simd.vectors import INIT_C, INIT_ZERO


@helper
def clear_columns(x, row_start, row_stop, col_start, col_stop):
    for i in range(row_start, row_stop):
        clear(x[i, col_start:col_stop])


@helper
def add_to_rows(x, row_start, row_stop, col_start, scale, row):
    """Each of these rows += scale row."""
    for i in range(row_start, row_stop):
        own = x[i, col_start : col_start + row.size]
        for j in range(own.size):
            own[j] += scale * row[j]


@helper
def add_row(row, total):
    for j in range(total.size):
        total[j] += row[j]


@helper
def gradient_of_scores(p, ds, seen, log_sum, delta):
    """p, which is S, = P = e^(S - log_sum), and ds, which is dO V^T, = P (ds - delta), of whole
    chunks; 0 beyond what is `seen`, where nothing was computed."""
    whole = seen // CHUNK * CHUNK
    subtract_and_pad(p[whole:seen], T(0), p[whole:])
    for start in range(0, p.size, CHUNK):
        own, slopes = p[start : start + CHUNK], ds[start : start + CHUNK]
        for i in range(CHUNK):
            own[i] = exp_of_negative(own[i] - log_sum)
            slopes[i] = own[i] * (slopes[i] - delta) if own[i] != T(0) else T(0)


@helper
def gradient_of_dropped_scores(p, ds, delta, kept):
    """The same of P, and P = P M."""
    for start in range(0, p.size, CHUNK):
        own, slopes = p[start : start + CHUNK], ds[start : start + CHUNK]
        factors = kept[start : start + CHUNK]
        for i in range(CHUNK):
            slope = slopes[i] * factors[i] if factors[i] != T(0) else T(0)
            slopes[i] = own[i] * (slope - delta) if own[i] != T(0) else T(0)
            own[i] *= factors[i]


@helper
def add_transposed(rows, limit, hidden, is_causal, a, width, block, depth, c):
    """C (limit, depth) += A^T B: A (rows, width), of which row r has 0 for keys that it does not
    see; B (rows, depth) = block."""
    c_flat, c_start, c_row = c
    i = 0
    while i < limit:
        mr, _ = next_tiles(limit - i, MR)
        first = max(0, i + hidden) if is_causal != 0 else 0  # the first row that sees key i
        for j in range(0, depth, NR):
            multiply_rows(
                mr, rows - first, (a, first * width + i, 1, width),
                (block, first * depth + j, depth), INIT_C, (c_flat, c_start + i * c_row + j, c_row),
                min(NR, depth - j),
            )  # fmt: skip
        i += mr


@kernel(
    split=[("U", 1)],
    q="T[R, P]",
    k="T[Q, C]",
    v="T[Q, E]",
    out="T[R, O]",
    sums="T[U, G, L]",
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
    dq="out T[R, P]",
    dk="out T[Q, C]",
    dv="out T[Q, E]",
)
def attend_gradient(
    q, k, v, out, sums, dout, mask, mask_batch, mask_head, mask_row, mask_column, groups, is_causal,
    scale, generator, draw_offset, rate, dq, dk, dv, start, stop,
):  # fmt: skip
    """dq, dk and dv, of arrays as `attend` has them; unit (b, g) and its heads are rows of sums."""
    units, each, length = sums.shape
    if units * each == 0:
        return
    batch, heads = units // groups, groups * each
    keys, depth, value_depth = k.shape[0] // batch, q.shape[1] // heads, v.shape[1] // groups
    block_keys = keys_at_once(max(depth, value_depth))
    block_rows = queries_at_once(max(depth, value_depth))
    keys_t, values_t = stack_array(T(0), PANELS), stack_array(T(0), PANELS)
    key_panels, even = stack_array(T(0), PANELS), stack_array(T(0), MAX_DEPTH)[:value_depth]
    scores, slopes = stack_array(T(0), SCORES), stack_array(T(0), SCORES)
    queries, above = stack_array(T(0), QUERY_ELEMENTS), stack_array(T(0), QUERY_ELEMENTS)
    words, tile = stack_array(np.uint32(0), DROPOUT_HALF_TILE_ELEMENTS), -1
    factors, (least_word, kept) = stack_array(T(0), KEYS), dropout_limit(rate)
    dq_flat, dk_flat, dv_flat = flat(dq), flat(dk), flat(dv)
    for unit in range(start, stop):
        n, g = unit // groups, unit % groups
        k_start, v_start, first_row = g * depth, g * value_depth, n * length
        clear_columns(dk, n * keys, (n + 1) * keys, k_start, k_start + depth)
        clear_columns(dv, n * keys, (n + 1) * keys, v_start, v_start + value_depth)
        clear(even)
        for key_start in range(0, max(keys, 1), block_keys):
            own_keys, first_key = min(block_keys, keys - key_start), n * keys + key_start
            pack_transposed(k, first_key, first_key + own_keys, k_start, depth, keys_t)
            pack_transposed(v, first_key, first_key + own_keys, v_start, value_depth, values_t)
            pack(k, first_key, first_key + own_keys, k_start, depth, key_panels)
            used = key_panels[: own_keys * whole_panels(depth)]
            row_scale(used, T(scale), used)
            width = whole_chunks(own_keys) + CHUNK
            for e in range(each):
                h = g * each + e
                log_sums = sums[unit, e]
                for top in range(0, length, block_rows):
                    rows, first = min(block_rows, length - top), first_row + top
                    hidden = key_start - top
                    limit = seen_by(rows - 1, hidden, is_causal, own_keys)
                    if limit == 0 and key_start > 0:
                        continue
                    copy_scaled(q, first, first + rows, h * depth, depth, T(scale), queries)
                    o_start = h * value_depth
                    copy_scaled(dout, first, first + rows, o_start, value_depth, T(1), above)
                    multiply_transposed(
                        rows, depth, queries, keys_t, limit, hidden, is_causal, scores, width
                    )
                    multiply_transposed(
                        rows, value_depth, above, values_t, limit, hidden, is_causal, slopes, width
                    )
                    for r in range(rows):
                        valid = seen_by(r, hidden, is_causal, limit)
                        place, reach = r * width, whole_chunks(valid)
                        own, padded = scores[place : place + valid], scores[place : place + reach]
                        slope, dy = (
                            slopes[place : place + reach],
                            above[r * value_depth : (r + 1) * value_depth],
                        )
                        clear(scores[place + reach : place + whole_chunks(limit)])
                        clear(slopes[place + reach : place + whole_chunks(limit)])
                        log_sum = log_sums[top + r]
                        if log_sum == T(math.inf):  # it sees no key
                            clear(padded)
                            clear(slope)
                            if key_start == 0:
                                add_row(dy, even)
                            continue
                        if mask.size > 0:
                            at = n * mask_batch + h * mask_head + (top + r) * mask_row
                            hide(mask, at + key_start * mask_column, mask_column, own)
                        delta = row_dot(out[first + r, o_start : o_start + value_depth], dy)
                        if rate > 0:
                            exps(padded, valid, log_sum)
                            for j in range(reach):
                                factors[j] = T(1)
                            number = ((n * heads + h) * length + top + r) * keys + key_start
                            tile = drop(
                                generator, draw_offset, least_word, kept, number, words, tile,
                                factors[:valid],
                            )  # fmt: skip
                            gradient_of_dropped_scores(padded, slope, delta, factors[:reach])
                        else:
                            gradient_of_scores(padded, slope, valid, log_sum, delta)
                    i, init = 0, INIT_C if key_start > 0 else INIT_ZERO
                    while i < rows:
                        mr, _ = next_tiles(rows - i, MR)
                        multiply_panels(
                            mr, seen_by(i + mr - 1, hidden, is_causal, limit),
                            (slopes, i * width, width, 1), key_panels, own_keys, init,
                            (dq_flat, (first + i) * dq.shape[1] + h * depth, dq.shape[1]), depth,
                        )  # fmt: skip
                        i += mr
                    add_transposed(
                        rows, limit, hidden, is_causal, slopes, width, queries, depth,
                        (dk_flat, first_key * dk.shape[1] + k_start, dk.shape[1]),
                    )  # fmt: skip
                    add_transposed(
                        rows, limit, hidden, is_causal, scores, width, above, value_depth,
                        (dv_flat, first_key * dv.shape[1] + v_start, dv.shape[1]),
                    )  # fmt: skip
        add_to_rows(dv, n * keys, (n + 1) * keys, v_start, T(1) / T(max(keys, 1)), even)


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
    batch, groups = key.shape[0], key.shape[2]
    call(
        attend_gradient, *[rows_of(x) for x in (query, key, value, out)],
        sums.view((batch * groups, query.shape[2] // max(groups, 1), query.shape[1])),
        rows_of(dout), *mask_and_distances(call, mask), groups, int(is_causal),
        scale_or_default(scale, query), state, draw_offset, float(rate),
        *[rows_of(x) for x in (dq, dk, dv)],
    )  # fmt: skip
