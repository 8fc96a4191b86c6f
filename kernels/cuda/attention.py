"""Scaled dot-product attention, all heads in one call, by the formulas of kernels/cpu/attention.py.

    scores    S = scale Q K^T, -inf where a mask or what is causal hides a key
    forward   P = e^(S - log_sum), log_sum = log(sum of e^S) of each row       out = P V
    hidden    of a row that sees no key P is 1 / keys, and log_sum is noted as inf
    dropout   out = (P M) V, M being 0 or 1 / (1 - rate)

A block has ROWS queries of a head, and takes KEYS keys at a time: a warp the scores of every fourth
row, a lane one key's. Rows' maxima and sums so far go from one tile of keys to the next (Dao and
others, "FlashAttention", 2022); so does what the rows have found, in `out`, each element of which
belongs to one thread. Sums are made in the order of the keys: the same bits on any grid.
"""

import math

import numpy as np

from ..declare import T, helper, kernel
from ..heads import absent, mask_and_distances, rows_of, scale_or_default
from ..intrinsics import fma
from ..philox import (
    DROPOUT_HALF_TILE_ELEMENTS,
    DROPOUT_TILE_BLOCKS,
    DROPOUT_TILE_ELEMENTS,
    dropout_limit,
    words_of,
)
from ..scalar.elementary import exp_of_negative, log
from .grid import WARP, barrier, block_index, block_index_y, quotient, shared_array, thread_index
from .reductions import larger, warp_max, warp_sum

ROWS, KEYS = 16, WARP
WARPS = 4
THREADS = WARPS * WARP
DEPTH = 32  # numbers of queries and keys that are in shared memory at a time
KEY_STRIDE = DEPTH + 1  # lanes read a column: in banks of their own
QUERY_TILE, KEY_TILE, SCORE_TILE = ROWS * DEPTH, KEYS * KEY_STRIDE, ROWS * KEYS


@helper
def load_tile(x, row_start, rows, col_start, cols, tile, tile_rows, stride):
    """tile (tile_rows, DEPTH) = these rows and columns of x, zeros beyond."""
    i = thread_index()
    while i < tile_rows * DEPTH:
        r, c = i // DEPTH, i % DEPTH
        inside = r < rows and c < cols
        tile[r * stride + c] = x[row_start + r, col_start + c] if inside else T(0)
        i += THREADS


@helper
def products(x, y, depth, queries, keys):
    """Rows of x times rows of y: of this thread's row WARPS n + warp and its key, n = 0 to 3.

    x, y: (array, first row, rows, first column); of each ROWS and KEYS rows at most
    """
    (x, x_row, x_rows, x_col), (y, y_row, y_rows, y_col) = x, y
    warp, lane = thread_index() // WARP, thread_index() % WARP
    a, b, c, d, done = T(0), T(0), T(0), T(0), 0
    while done < depth:
        cols = min(DEPTH, depth - done)
        load_tile(x, x_row, x_rows, x_col + done, cols, queries, ROWS, DEPTH)
        load_tile(y, y_row, y_rows, y_col + done, cols, keys, KEYS, KEY_STRIDE)
        barrier()
        k = 0
        while k < DEPTH:
            key = keys[lane * KEY_STRIDE + k]
            a = fma(queries[warp * DEPTH + k], key, a)
            b = fma(queries[(WARPS + warp) * DEPTH + k], key, b)
            c = fma(queries[(2 * WARPS + warp) * DEPTH + k], key, c)
            d = fma(queries[(3 * WARPS + warp) * DEPTH + k], key, d)
            k += 1
        barrier()
        done += DEPTH
    return a, b, c, d


@helper
def is_hidden(row, key, length, keys, is_causal, mask, mask_start, mask_row, mask_column):
    """Whether a query does not see a key, or one of them is not there."""
    if row >= length or key >= keys or (is_causal != 0 and key > row):
        return True
    if mask.size == 0:
        return False
    return not mask[mask_start + row * mask_row + key * mask_column]


@helper
def kept(generator, draw_offset, rate, number):
    """M of probability `number`: 0, or 1 / (1 - rate); 1 without dropout."""
    if rate <= 0:
        return T(1)
    least, factor = dropout_limit(rate)
    tile, place = quotient(number, DROPOUT_TILE_ELEMENTS), number % DROPOUT_TILE_ELEMENTS
    unused = np.uint64(16 if place < DROPOUT_HALF_TILE_ELEMENTS else 0)
    place %= DROPOUT_HALF_TILE_ELEMENTS
    block = tile * DROPOUT_TILE_BLOCKS + place % DROPOUT_TILE_BLOCKS
    a, b, c, d = words_of(generator, draw_offset, block)
    is_odd = place // DROPOUT_TILE_BLOCKS % 2 == 1
    low, high = b if is_odd else a, d if is_odd else c
    word = high if place >= 2 * DROPOUT_TILE_BLOCKS else low
    return factor if np.uint32(word << unused) >= least else T(0)


@helper
def next_top(score, hidden, top):
    """A row's largest score with those of another tile."""
    return larger(top, warp_max(T(-math.inf) if hidden else score))


@helper
def shift_of(top, has_mask):
    """What is taken from scores: nothing while no key was seen, rather than -inf from -inf."""
    return T(0) if has_mask and top == T(-math.inf) else top


@helper
def power(score, hidden, shift):
    return T(0) if hidden else exp_of_negative(score - shift)


@helper
def add_products(weights, stride, step, count, x, x_row, x_col, factor, before):
    """before * factor + the sum of weights[j step + stride] x[x_row + j, x_col]."""
    total, j = before * factor, 0
    while j < count:
        total = fma(weights[stride + j * step], x[x_row + j, x_col], total)
        j += 1
    return total


@kernel(
    split=[("U", 1), ("L", ROWS)],
    threads=THREADS,
    q="T[R, P]",
    k="T[Q, C]",
    v="T[Q, E]",
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
    out="out T[R, O]",
    sums="out T[U, L]",
)
def attend(
    q, k, v, mask, mask_batch, mask_head, mask_row, mask_column, heads, groups, keys, is_causal,
    scale, generator, draw_offset, rate, out, sums,
):  # fmt: skip
    """out and the log_sums of each head's rows; arrays as the CPU's `attend` has them."""
    unit, top = block_index(), block_index_y() * ROWS
    length, thread = sums.shape[1], thread_index()
    warp, lane = thread // WARP, thread % WARP
    n, h = quotient(unit, heads), unit % heads
    depth, width = quotient(q.shape[1], heads), quotient(out.shape[1], heads)
    g = quotient(h, quotient(heads, groups))
    rows, first_row, first_key = min(ROWS, length - top), n * length + top, n * keys
    mask_start, has_mask = n * mask_batch + h * mask_head, mask.size > 0
    queries, key_tile = shared_array(T(0), QUERY_TILE), shared_array(T(0), KEY_TILE)
    weights, factors = shared_array(T(0), SCORE_TILE), shared_array(T(0), ROWS)
    r_0, r_1, r_2, r_3 = warp, WARPS + warp, 2 * WARPS + warp, 3 * WARPS + warp
    low = T(-math.inf)
    top_0, top_1, top_2, top_3 = low, low, low, low
    sum_0, sum_1, sum_2, sum_3 = T(0), T(0), T(0), T(0)
    limit, key_start = min(keys, top + rows) if is_causal != 0 else keys, 0
    i = thread
    while i < rows * width:
        out[first_row + quotient(i, width), h * width + i % width] = T(0)
        i += THREADS
    while key_start < limit:
        own, key = min(KEYS, limit - key_start), key_start + lane
        s_0, s_1, s_2, s_3 = products(
            (q, first_row, rows, h * depth), (k, first_key + key_start, own, g * depth),
            depth, queries, key_tile,
        )  # fmt: skip
        where = (length, limit, is_causal, mask, mask_start, mask_row, mask_column)
        hidden_0 = is_hidden(top + r_0, key, *where)
        hidden_1 = is_hidden(top + r_1, key, *where)
        hidden_2 = is_hidden(top + r_2, key, *where)
        hidden_3 = is_hidden(top + r_3, key, *where)
        s_0, s_1, s_2, s_3 = s_0 * T(scale), s_1 * T(scale), s_2 * T(scale), s_3 * T(scale)
        now_0, now_1 = next_top(s_0, hidden_0, top_0), next_top(s_1, hidden_1, top_1)
        now_2, now_3 = next_top(s_2, hidden_2, top_2), next_top(s_3, hidden_3, top_3)
        shift_0, shift_1 = shift_of(now_0, has_mask), shift_of(now_1, has_mask)
        shift_2, shift_3 = shift_of(now_2, has_mask), shift_of(now_3, has_mask)
        p_0, p_1 = power(s_0, hidden_0, shift_0), power(s_1, hidden_1, shift_1)
        p_2, p_3 = power(s_2, hidden_2, shift_2), power(s_3, hidden_3, shift_3)
        before_0, before_1 = power(top_0, False, shift_0), power(top_1, False, shift_1)
        before_2, before_3 = power(top_2, False, shift_2), power(top_3, False, shift_3)
        sum_0 = sum_0 * before_0 + warp_sum(p_0)
        sum_1 = sum_1 * before_1 + warp_sum(p_1)
        sum_2 = sum_2 * before_2 + warp_sum(p_2)
        sum_3 = sum_3 * before_3 + warp_sum(p_3)
        top_0, top_1, top_2, top_3 = now_0, now_1, now_2, now_3
        number, step = (unit * length + top + warp) * keys + key, WARPS * keys
        drawn = (generator, draw_offset, rate)
        weights[r_0 * KEYS + lane] = p_0 * kept(*drawn, number)
        weights[r_1 * KEYS + lane] = p_1 * kept(*drawn, number + step)
        weights[r_2 * KEYS + lane] = p_2 * kept(*drawn, number + 2 * step)
        weights[r_3 * KEYS + lane] = p_3 * kept(*drawn, number + 3 * step)
        if lane == 0:
            factors[r_0], factors[r_1], factors[r_2], factors[r_3] = (
                before_0, before_1, before_2, before_3,
            )  # fmt: skip
        barrier()
        i = thread
        while i < rows * width:
            r, c = quotient(i, width), i % width
            y = out[first_row + r, h * width + c]
            out[first_row + r, h * width + c] = add_products(
                weights, r * KEYS, 1, own, v, first_key + key_start, g * width + c, factors[r], y
            )
            i += THREADS
        barrier()
        key_start += KEYS
    if lane == 0:
        factors[r_0], factors[r_1], factors[r_2], factors[r_3] = sum_0, sum_1, sum_2, sum_3
        note(sums, unit, top + r_0, top_0, sum_0)
        note(sums, unit, top + r_1, top_1, sum_1)
        note(sums, unit, top + r_2, top_2, sum_2)
        note(sums, unit, top + r_3, top_3, sum_3)
    barrier()
    i = thread
    while i < rows * width:
        r, c = quotient(i, width), i % width
        total = factors[r]
        if total == T(0):
            y, j = T(0), 0
            while j < keys:
                y += v[first_key + j, g * width + c]
                j += 1
            out[first_row + r, h * width + c] = y / T(max(keys, 1))
        else:
            out[first_row + r, h * width + c] *= T(1) / total
        i += THREADS


@helper
def note(sums, unit, row, top, total):
    if row < sums.shape[1]:
        sums[unit, row] = T(math.inf) if total == T(0) else top + log(total)


# ---- launchers


def attention(call, query, key, value, mask, out, sums, *, scale=None, is_causal=False):
    dropout_attention(
        call, query, key, value, None, mask, out, sums, rate=0.0, scale=scale, is_causal=is_causal
    )


def dropout_attention(
    call, query, key, value, state, mask, out, sums, *, rate, draw_offset=0, scale=None,
    is_causal=False,
):  # fmt: skip
    state = absent(call.constant)[1] if state is None else state
    call(
        attend, rows_of(query), rows_of(key), rows_of(value), *mask_and_distances(call, mask),
        query.shape[2], key.shape[2], key.shape[1], int(is_causal),
        scale_or_default(scale, query), state, draw_offset, float(rate), rows_of(out), sums,
    )  # fmt: skip
