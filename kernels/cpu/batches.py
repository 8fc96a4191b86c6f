"""Batches out of the whole data, and what is summed up over them."""

from ..declare import T, helper, kernel
from ..intrinsics import flat
from ..status import INDEX_OUT_OF_RANGE, lowest_place
from .simd.rows import row_copy, row_fetch
from .threads import HALF_L2_ELEMENTS

ANY = ("f4", "f8", "i8")
AHEAD = 8  # rows that are fetched in advance: which comes next no processor guesses
LONG = 32  # elements of a row from which on a plain loop copies faster than one with a masked end


@kernel(
    split=[("N", 4)],
    dtypes=ANY,
    source="some T[S, F]",
    order="some i8[S]",
    cursor="i8[s]",
    batch="out T[N, F]",
)
def gather(source, order, cursor, batch, start, stop):
    """batch[i] = source[order[cursor + i]]."""
    status, elements, column = 0, flat(source), flat(batch)
    for i in range(start, stop):
        place = cursor[0] + i
        row = order[place] if 0 <= place < order.size else -1
        if row < 0 or row >= source.shape[0]:
            status = lowest_place(status, INDEX_OUT_OF_RANGE, i)
            row = 0
        if batch.shape[1] == 1:
            column[i] = elements[row]
        elif batch.shape[1] < LONG:
            row_copy(source[row], batch[i])
        else:
            following = place + AHEAD
            if source.size > HALF_L2_ELEMENTS and 0 <= following < order.size:
                row_fetch(source[min(max(order[following], 0), source.shape[0] - 1)])
            from_row, to_row = source[row], batch[i]
            for j in range(to_row.size):
                to_row[j] = from_row[j]
    return status


@kernel(values="T[n]", weights="T[w]", scale="float", totals="inout f8[t]")
def accumulate(values, weights, scale, totals):
    """totals += (scale * sum of values * weights, scale * sum of weights), in float64 and in order;
    empty weights are ones."""
    total, weight = 0.0, 0.0
    for i in range(values.size):
        w = weights[i] if weights.size > 0 else 1.0
        total += values[i] * w
        weight += w
    totals[0] += total * scale
    totals[1] += weight * scale


@kernel(totals="inout f8[K, t]", row="i8[s]", history="inout f8[E, K]")
def end_epoch(totals, row, history):
    """Write the means of an epoch into its row of the history (used over and over like a ring) and
    begin again."""
    values = history[row[0] % history.shape[0]]
    for k in range(values.size):
        values[k] = totals[k, 0] / totals[k, 1]
        totals[k, 0], totals[k, 1] = 0.0, 0.0


@kernel(split=[("N", 4)], p="T[N, C]", target="T[N, C]", threshold="float", match="out T[N]")
def binary_match(p, target, threshold, match, start, stop):
    """The share of a row's targets that equal 1 where p > threshold and 0 elsewhere."""
    columns, limit = p.shape[1], T(threshold)
    if columns == 1:
        p_column, targets, matches = (
            flat(p[start:stop]),
            flat(target[start:stop]),
            match[start:stop],
        )
        for i in range(matches.size):
            matches[i] = T(1) if targets[i] == (T(1) if p_column[i] > limit else T(0)) else T(0)
        return
    for i in range(stop - start):
        p_row, target_row, hits = p[start + i], target[start + i], T(0)
        for j in range(columns):
            hits += T(1) if target_row[j] == (T(1) if p_row[j] > limit else T(0)) else T(0)
        match[start + i] = hits / T(columns)


@helper
def place_of_largest(row):
    place = 0
    for j in range(row.size):
        if row[j] > row[place]:
            place = j
    return place


@kernel(split=[("N", 4)], p="T[N, C]", labels="i8[N]", match="out T[N]")
def class_match(p, labels, match, start, stop):
    """1 where the largest of a row stands at the label."""
    for i in range(stop - start):
        match[start + i] = 1.0 if place_of_largest(p[start + i]) == labels[start + i] else 0.0


@kernel(split=[("N", 4)], p="T[N, C]", target="T[N, C]", match="out T[N]")
def categorical_match(p, target, match, start, stop):
    """1 where the largest of a row of p and of the target stand at the same place."""
    for i in range(stop - start):
        same = place_of_largest(p[start + i]) == place_of_largest(target[start + i])
        match[start + i] = 1.0 if same else 0.0
