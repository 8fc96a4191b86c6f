"""Running means over the steps of an epoch, and the history that they go into at its end."""

from functools import lru_cache
from math import prod

import numpy as np

from ..declare import ANY, kernel
from .grid import barrier, block_index, natural, shared_array, thread_index

SUM_THREADS = 1024  # of the one block that adds up a step's values
THREADS = 256


@kernel(
    threads=SUM_THREADS,
    batched=True,
    values="T[n]",
    weights="T[w]",
    scale="float",
    total="inout f8[s]",
    count="inout f8[t]",
)
def add_to_mean(values, weights, scale, total, count):
    """total += scale * sum of values * weights, count += scale * sum of weights, in float64; empty
    weights are ones. A thread sums every SUM_THREADS'th; their sums are added in pairs."""
    sums, counts = shared_array(0.0, SUM_THREADS), shared_array(0.0, SUM_THREADS)
    thread, of_values, of_weights = thread_index(), 0.0, 0.0
    i = thread
    while i < values.size:
        w = weights[i] if weights.size > 0 else 1.0
        of_values += values[i] * w
        of_weights += w
        i += SUM_THREADS
    sums[thread], counts[thread] = of_values, of_weights
    half = SUM_THREADS // 2
    while half > 0:
        barrier()
        if thread < half:
            sums[thread] += sums[thread + half]
            counts[thread] += counts[thread + half]
        half //= 2
    if thread == 0:
        total[0] += sums[0] * scale
        count[0] += counts[0] * scale


@kernel(
    threads=THREADS,
    split=[("K", THREADS)],
    row="i8[s]",
    totals="inout f8[K, t]",
    history="inout f8[E, K]",
)
def end_epoch(row, totals, history):
    """history[row mod E] = the means totals[:, 0] / totals[:, 1] of an epoch, 0 where all weights
    were, for the history is a ring; then totals = 0. A thread a mean."""
    k = block_index() * THREADS + thread_index()
    if k < totals.shape[0]:
        mean = totals[k, 0] / totals[k, 1] if totals[k, 1] != 0.0 else 0.0
        history[row[0] % history.shape[0], k] = mean
        totals[k, 0], totals[k, 1] = 0.0, 0.0


@kernel(
    threads=THREADS,
    split=[("N", THREADS)],
    dtypes=ANY,
    x="T[N, F]",
    place="i8[s]",
    rows="inout T[R, F]",
)
def put_rows(x, place, rows):
    """rows[place + i] = x[i], as far as there are rows. A thread a row."""
    i, j = block_index() * THREADS + thread_index(), 0
    if i < x.shape[0] and 0 <= place[0] + i < rows.shape[0]:
        row = natural(place[0] + i)
        while j < x.shape[1]:
            rows[row, j] = x[i, j]
            j += 1


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
