"""Scaled dot-product attention, all heads in one call, and nothing of (T, S) numbers in memory.

    scores    S = scale Q K^T, -inf where a mask or what is causal hides a key
    forward   P = e^(S - log_sum), log_sum = log(sum of e^S) of each row       out = P V
    hidden    of a row that sees no key P is 1 / keys, and log_sum is noted as inf
    dropout   out = (P M) V, M being 0 or 1 / (1 - rate)

Heads are columns of the rows of q, k, v and out, each with a row distance of its own: nothing is
transposed in memory. Threads share units, which are the heads of each sequence. A unit takes KEYS
keys at a time, packed once; for each block of queries their scores lie on the stack, whole rows of
them, so that the softmax is made at once. Tiles beyond the diagonal are skipped. With more blocks
of keys than one, what they give is joined by their log_sums.

M is that of `dropout` of the probabilities (B, N, T, S).
"""

import math

import numpy as np

from ..declare import T, helper, kernel, machine
from ..heads import MAX_DEPTH, absent, mask_and_distances, rows_of, scale_or_default
from ..intrinsics import as_read, flat, stack_array
from ..philox import (
    DROPOUT_HALF_TILE_ELEMENTS,
    DROPOUT_TILE_ELEMENTS,
    dropout_limit,
)
from ..scalar.elementary import exp_of_negative, log
from .pack import next_tiles, pack_b, pack_b_transposed
from .random import words_of_tile
from .simd.gemm_microkernel import MR, NR, gemm_microkernel
from .simd.rows import clear, row_copy, row_maximum, row_scale, row_sum, subtract_and_pad
from .simd.vectors import INIT_ZERO
from .threads import ceil_div

# Keys that are taken at a time; their panels, 128 kB; queries whose scores are made at a time,
# fewer where heads are deep. With 28 to 112 of them it took as long; a power of two leaves no small
# tile of usual lengths. What lies on the stack is below 1 MB.
KEYS = machine(lambda _target, item_bytes: 2048 // item_bytes)
PANELS = machine(lambda _target, item_bytes: (1 << 17) // item_bytes)
QUERIES = 64
QUERY_ELEMENTS = machine(lambda _target, item_bytes: (1 << 15) // item_bytes)
CHUNK = 16  # elements of a loop whose length is known, whole vectors: no scalar tail
SCORES = machine(lambda _target, item_bytes: QUERIES * (2048 // item_bytes + CHUNK))
PARTS = machine(lambda target, item_bytes: MR.rule(target, item_bytes) * MAX_DEPTH)


@helper
def whole_chunks(n):
    return ceil_div(n, CHUNK) * CHUNK


@helper
def whole_panels(n):
    return ceil_div(n, NR) * NR


@helper
def keys_at_once(depth):
    """How many keys fit in PANELS as numbers of this depth, whole panels of them."""
    return max(NR, min(KEYS, PANELS // max(whole_panels(depth), 1) // NR * NR))


@helper
def queries_at_once(depth):
    return max(1, min(QUERIES, QUERY_ELEMENTS // max(depth, 1)))


@helper
def pack_transposed(x, row_start, row_stop, col_start, depth, panels):
    """panels = rows row_start to row_stop of x from column col_start on, transposed: NR columns at
    a time, `depth` rows of them."""
    for j in range(row_start, row_stop, NR):
        panel = panels[(j - row_start) * depth : (j - row_start + NR) * depth]
        pack_b_transposed(x, j, min(NR, row_stop - j), col_start, col_start + depth, panel)


@helper
def pack(x, row_start, row_stop, col_start, depth, panels):
    """panels = these rows as they stand, NR columns at a time."""
    rows = row_stop - row_start
    for j in range(0, depth, NR):
        panel = panels[j * rows : (j + NR) * rows]
        pack_b(x, col_start + j, min(NR, depth - j), row_start, row_stop, panel)


@helper
def copy_scaled(x, row_start, row_stop, col_start, depth, scale, block):
    """block = scale times these rows, one after another."""
    for r in range(row_stop - row_start):
        row_scale(
            x[row_start + r, col_start : col_start + depth],
            scale,
            block[r * depth : (r + 1) * depth],
        )


@helper
def multiply_rows(rows, depth, a, b, init, c, width):
    """C = A B, or C += A B, for `rows` rows and one panel of columns.

    a: (array, start, row stride, column stride)   b, c: (array, start, row stride)
    """
    a_flat, a_start, a_row, a_col = a
    c_flat, c_start, c_row = c
    i = 0
    while i < rows:
        mr, count = next_tiles(rows - i, MR)
        gemm_microkernel(
            mr, count, depth, (a_flat, a_start + i * a_row, a_row, a_col, mr * a_row), b,
            (a_flat[:0], 0), init, T(-math.inf), (c_flat, c_start + i * c_row, c_row), width, b,
        )  # fmt: skip
        i += mr * count


@helper
def multiply_panels(rows, depth, a, panels, panel_rows, init, c, columns):
    """The same for all columns of what `pack` made of `panel_rows` rows."""
    c_flat, c_start, c_row = c
    for j in range(0, columns, NR):
        multiply_rows(
            rows, depth, a, (panels, j * panel_rows, NR), init, (c_flat, c_start + j, c_row),
            min(NR, columns - j),
        )  # fmt: skip


@helper
def seen_by(row, hidden, is_causal, limit):
    """How many of the first `limit` keys row `row` sees: of causal ones row + 1 - hidden."""
    return max(0, min(limit, row + 1 - hidden)) if is_causal != 0 else limit


@helper
def multiply_transposed(rows, depth, block, panels, limit, hidden, is_causal, scores, width):
    """scores (rows, width) = block (rows, depth) times the first `limit` columns of what stands in
    panels; nothing in rows that see no key of a panel."""
    for j in range(0, limit, NR):
        first = max(0, j + hidden) if is_causal != 0 else 0
        multiply_rows(
            rows - first, depth, (block, first * depth, depth, 1), (panels, j * depth, NR),
            INIT_ZERO, (scores, first * width + j, width), min(NR, limit - j),
        )  # fmt: skip


@helper
def hide(mask, start, step, row):
    """row = -inf where the mask is False."""
    if step == 0:
        if not mask[start]:
            for j in range(row.size):
                row[j] = T(-math.inf)
        return
    seen = mask[start : start + row.size]
    for j in range(row.size):
        row[j] = as_read(row[j]) if seen[j] else T(-math.inf)


@helper
def exps(row, seen, point):
    """row = e^(row - point) of the first `seen`, and 0 beyond; of whole chunks."""
    whole = seen // CHUNK * CHUNK
    subtract_and_pad(row[whole:seen], T(0), row[whole:])
    for start in range(0, row.size, CHUNK):
        chunk = row[start : start + CHUNK]
        for i in range(CHUNK):
            chunk[i] = exp_of_negative(chunk[i] - point)


@helper
def finish(tops, totals):
    """tops = log_sums and totals = the factors that make softmax, of a tile's rows: vectors."""
    for i in range(CHUNK):
        top, total = tops[i], totals[i]
        is_seen = total != T(0)
        tops[i] = top + log(total if is_seen else T(1)) if is_seen else T(-math.inf)
        totals[i] = T(1) / (total if is_seen else T(1)) if is_seen else T(0)


@helper
def drop(generator, draw_offset, limit, scale, first, words, tile, row):
    """row times 0 or scale, of probabilities from number `first` on. tile: of which tile the words
    are; returns of which they are now."""
    j = 0
    while j < row.size:
        place = first + j
        if place // DROPOUT_TILE_ELEMENTS != tile:
            tile = place // DROPOUT_TILE_ELEMENTS
            words_of_tile(generator, draw_offset, tile, words)
        place %= DROPOUT_TILE_ELEMENTS
        unused = np.uint32(16 if place < DROPOUT_HALF_TILE_ELEMENTS else 0)
        place %= DROPOUT_HALF_TILE_ELEMENTS
        count = min(row.size - j, DROPOUT_HALF_TILE_ELEMENTS - place)
        part, own = row[j : j + count], words[place : place + count]
        for i in range(count):
            part[i] = as_read(part[i]) * scale if np.uint32(own[i] << unused) >= limit else T(0)
        j += count
    return tile


@helper
def join(y, log_sum, part, other):
    """y = what keys before gave, and what others give, by their log_sums; returns that of both."""
    if other == T(-math.inf):
        return log_sum
    top = log_sum if log_sum > other else other
    a, b = exp_of_negative(log_sum - top), exp_of_negative(other - top)
    total = a + b
    a, b = a / total, b / total
    for j in range(y.size):
        y[j] = a * y[j] + b * part[j]
    return top + log(total)


@helper
def fill_unseen(v, first_key, keys, v_start, out, first_row, out_start, mean, log_sums):
    """Rows of out that saw no key = the mean of all values, and inf in log_sums."""
    is_made = False
    for t in range(log_sums.size):
        if keys > 0 and log_sums[t] != T(-math.inf):
            continue
        if not is_made:
            is_made = True
            clear(mean)
            for s in range(first_key, first_key + keys):
                value = v[s, v_start : v_start + mean.size]
                for j in range(mean.size):
                    mean[j] += value[j]
            row_scale(mean, T(1) / T(max(keys, 1)), mean)
        row_copy(mean, out[first_row + t, out_start : out_start + mean.size])
        log_sums[t] = T(math.inf)


@kernel(
    split=[("U", 1)],
    q="T[R, P]",
    k="T[Q, C]",
    v="T[Q, E]",
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
    out="out T[R, O]",
    sums="out T[U, L]",
)
def attend(
    q, k, v, mask, mask_batch, mask_head, mask_row, mask_column, groups, is_causal, scale,
    generator, draw_offset, rate, out, sums, start, stop,
):  # fmt: skip
    """out and the log_sums of each head's rows. q: row b T + t is (heads, depth); k, v: row b S + s
    is (groups, depth). mask: empty, or booleans with these distances from sequence to sequence,
    head to head, and so on, 0 where it broadcasts."""
    if sums.size == 0:
        return
    length = sums.shape[1]
    batch = q.shape[0] // length
    heads, keys = sums.shape[0] // batch, k.shape[0] // batch
    depth, value_depth = q.shape[1] // heads, out.shape[1] // heads
    block_keys, block_rows = keys_at_once(max(depth, value_depth)), queries_at_once(depth)
    key_panels, value_panels = stack_array(T(0), PANELS), stack_array(T(0), PANELS)
    scores, queries = stack_array(T(0), SCORES), stack_array(T(0), QUERY_ELEMENTS)
    parts = stack_array(T(0), PARTS)
    tops, totals = stack_array(T(0), CHUNK), stack_array(T(0), CHUNK)  # of a tile's rows
    words, tile = stack_array(np.uint32(0), DROPOUT_HALF_TILE_ELEMENTS), -1
    clear(totals)
    least_word, kept = dropout_limit(rate)
    out_flat, distance = flat(out), out.shape[1]
    for unit in range(start, stop):
        n, h = unit // heads, unit % heads
        g, log_sums = h // (heads // groups), sums[unit]
        for key_start in range(0, keys, block_keys):
            own_keys, first_key = min(block_keys, keys - key_start), n * keys + key_start
            pack_transposed(k, first_key, first_key + own_keys, g * depth, depth, key_panels)
            pack(v, first_key, first_key + own_keys, g * value_depth, value_depth, value_panels)
            width = whole_chunks(own_keys) + CHUNK
            for top in range(0, length, block_rows):
                rows, first_row = min(block_rows, length - top), n * length + top
                hidden = key_start - top
                limit = seen_by(rows - 1, hidden, is_causal, own_keys)
                if limit == 0:
                    continue
                copy_scaled(q, first_row, first_row + rows, h * depth, depth, T(scale), queries)
                multiply_transposed(
                    rows, depth, queries, key_panels, limit, hidden, is_causal, scores, width
                )
                i = 0
                while i < rows:
                    mr, _ = next_tiles(rows - i, MR)
                    reach = seen_by(i + mr - 1, hidden, is_causal, limit)
                    for r in range(i, i + mr):
                        valid = seen_by(r, hidden, is_causal, limit)
                        own = scores[r * width : r * width + valid]
                        padded = scores[r * width : r * width + whole_chunks(reach)]
                        if mask.size > 0:
                            place = n * mask_batch + h * mask_head + (top + r) * mask_row
                            hide(mask, place + key_start * mask_column, mask_column, own)
                        largest = row_maximum(own)
                        if largest == T(-math.inf) and (mask.size > 0 or valid == 0):
                            largest = T(0)  # of no key, rather than -inf less -inf
                        exps(padded, valid, largest)
                        tops[r - i], totals[r - i] = largest, row_sum(padded)
                        if rate > 0:
                            first = (unit * length + top + r) * keys + key_start
                            tile = drop(
                                generator, draw_offset, least_word, kept, first, words, tile, own
                            )
                    place = (first_row + i) * distance + h * value_depth
                    to = out_flat, place, distance
                    if key_start > 0:
                        to = parts, 0, value_depth
                    multiply_panels(
                        mr, reach, (scores, i * width, width, 1), value_panels, own_keys, INIT_ZERO,
                        to, value_depth,
                    )  # fmt: skip
                    finish(tops, totals)
                    for r in range(mr):
                        at = place + r * distance
                        y = out_flat[at : at + value_depth]
                        if key_start > 0:
                            part = parts[r * value_depth : (r + 1) * value_depth]
                            row_scale(part, totals[r], part)
                            tops[r] = join(y, log_sums[top + i + r], part, tops[r])
                        else:
                            row_scale(y, totals[r], y)
                        log_sums[top + i + r] = tops[r]
                    i += mr
        fill_unseen(
            v, n * keys, keys, g * value_depth, out, n * length, h * value_depth,
            parts[:value_depth], log_sums,
        )  # fmt: skip


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
        key.shape[2], int(is_causal), scale_or_default(scale, query), state, draw_offset,
        float(rate), rows_of(out), sums,
    )  # fmt: skip
