"""Running means over the steps of an epoch, and the history that they go into at its end."""

from functools import lru_cache

import numpy as np

from ..declare import kernel


@kernel(values="T[n]", weights="T[w]", scale="float", totals="inout f8[t]")
def add_to_mean(values, weights, scale, totals):
    """totals += (scale * sum of values * weights, scale * sum of weights), in float64 and in order;
    empty weights are ones."""
    total, weight = 0.0, 0.0
    for i in range(values.size):
        w = weights[i] if weights.size > 0 else 1.0
        total += values[i] * w
        weight += w
    totals[0] += total * scale
    totals[1] += weight * scale


@kernel(row="i8[s]", totals="inout f8[K, t]", history="inout f8[E, K]")
def end_epoch(row, totals, history):
    """history[row mod E] = the means totals[:, 0] / totals[:, 1] of an epoch, for the history is a
    ring; then totals = 0."""
    values = history[row[0] % history.shape[0]]
    for k in range(values.size):
        values[k] = totals[k, 0] / totals[k, 1]
        totals[k, 0], totals[k, 1] = 0.0, 0.0


# ---- launchers


@lru_cache
def _nothing(constant, dtype):
    return constant(np.empty(0, dtype))


def accumulate(call, values, weights, totals, *, scale=1.0):
    weights = _nothing(call.constant, values.dtype) if weights is None else weights.flat()
    call(add_to_mean, values.flat(), weights, float(scale), totals)
