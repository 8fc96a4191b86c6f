"""Running means over the steps of an epoch, and the history that they go into at its end."""

from functools import lru_cache
from math import prod

import numpy as np

from ..declare import ANY, kernel


@kernel(values="T[n]", weights="T[w]", scale="float", total="inout f8[s]", count="inout f8[t]")
def add_to_mean(values, weights, scale, total, count):
    """total += scale * sum of values * weights, count += scale * sum of weights, in float64 and in
    order; empty weights are ones."""
    of_values, of_weights = 0.0, 0.0
    for i in range(values.size):
        w = weights[i] if weights.size > 0 else 1.0
        of_values += values[i] * w
        of_weights += w
    total[0] += of_values * scale
    count[0] += of_weights * scale


@kernel(row="i8[s]", totals="inout f8[K, t]", history="inout f8[E, K]")
def end_epoch(row, totals, history):
    """history[row mod E] = the means totals[:, 0] / totals[:, 1] of an epoch, 0 where all weights
    were, for the history is a ring; then totals = 0."""
    values = history[row[0] % history.shape[0]]
    for k in range(values.size):
        values[k] = totals[k, 0] / totals[k, 1] if totals[k, 1] != 0.0 else 0.0
        totals[k, 0], totals[k, 1] = 0.0, 0.0


@kernel(dtypes=ANY, x="T[N, F]", place="i8[s]", rows="inout T[R, F]")
def put_rows(x, place, rows):
    """rows[place + i] = x[i], as far as there are rows."""
    for i in range(x.shape[0]):
        if 0 <= place[0] + i < rows.shape[0]:
            from_row, to_row = x[i], rows[place[0] + i]
            for j in range(from_row.size):
                to_row[j] = from_row[j]


# ---- launchers


@lru_cache
def _nothing(constant, dtype):
    return constant(np.empty(0, dtype))


def accumulate(call, values, weights, total, count, *, scale=1.0):
    weights = _nothing(call.constant, values.dtype) if weights is None else weights.flat()
    call(add_to_mean, values.flat(), weights, float(scale), total.flat(), count.flat())


def collect(call, x, place, rows):
    columns = prod(rows.shape[1:])
    call(put_rows, x.view((x.shape[0], columns)), place, rows.view((rows.shape[0], columns)))
