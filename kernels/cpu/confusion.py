"""Counts of right and wrong predictions: by where a prediction lies among thresholds, and by class
and predicted class. In float64 and in the order of the rows, by one thread: of whole weights they
are exact, of others the same bits whatever the threads."""

from functools import lru_cache

import numpy as np

from ..declare import T, kernel


@kernel(
    y_true="T[N, L]",
    y_pred="T[N, L]",
    thresholds="T[K]",
    weights="T[n, l]",
    clip="int",
    counts="inout f8[S, L, B]",
)
def count_by_threshold(y_true, y_pred, thresholds, weights, clip, counts):
    """counts[y_true[i, l] != 0, l, b] += weights[i, l], b being how many of the thresholds, which
    ascend, lie below y_pred[i, l]: none below NaN. clip: y_pred is kept in [0, 1], over which the
    thresholds are spread evenly, or nearly so."""
    row_step, label_step = 1 if weights.shape[0] > 1 else 0, 1 if weights.shape[1] > 1 else 0
    for i in range(y_true.shape[0]):
        for label in range(y_true.shape[1]):
            p = y_pred[i, label]
            low, high = 0, thresholds.size
            if clip and high > 0:  # thresholds tell where to look: of 200, in a tenth of the time
                p = T(0) if p < T(0) else T(1) if p > T(1) else p
                if p > T(0):  # no NaN
                    low = min(int(p * T(high - 1)), high - 1)
                while low < high and thresholds[low] < p:
                    low += 1
                while low > 0 and not thresholds[low - 1] < p:
                    low -= 1
                high = low
            while low < high:
                middle = (low + high) // 2
                if thresholds[middle] < p:
                    low = middle + 1
                else:
                    high = middle
            side = 1 if y_true[i, label] != T(0) else 0
            counts[side, label, low] += weights[i * row_step, label * label_step]


@kernel(counts="T[S, L, B]", above="out T[S, L, K]", below="out T[S, L, K]")
def sums_about_thresholds(counts, above, below):
    """above[s, l, t] = sum of counts[s, l, b] over b > t; below, over b <= t."""
    for side in range(counts.shape[0]):
        for label in range(counts.shape[1]):
            row, total = counts[side, label], T(0)
            for t in range(row.size - 1):
                total += row[t]
                below[side, label, t] = total
            total = T(0)
            for t in range(row.size - 2, -1, -1):
                total += row[t + 1]
                above[side, label, t] = total


@kernel(y_true="i8[N]", y_pred="i8[N]", weights="T[w]", ignored="int", matrix="inout f8[C, c]")
def add_to_confusion_matrix(y_true, y_pred, weights, ignored, matrix):
    """matrix[y_true[i], y_pred[i]] += weights[i], of which there is one for all if w = 1. Rows of a
    class that the matrix has not, and those of the class `ignored`, are passed over."""
    step, classes = 1 if weights.size > 1 else 0, matrix.shape[0]
    for i in range(y_true.size):
        row, column = y_true[i], y_pred[i]
        if 0 <= row < classes and 0 <= column < classes and row != ignored:
            matrix[row, column] += weights[i * step]


# ---- launchers


@lru_cache
def _one(constant, dtype, dimensions):
    return constant(np.ones((1,) * dimensions, dtype))


def threshold_counts(call, y_true, y_pred, thresholds, weights, counts, *, clip=False):
    weights = _one(call.constant, y_true.dtype, 2) if weights is None else weights
    call(count_by_threshold, y_true, y_pred, thresholds, weights, int(clip), counts)


def confusion_matrix(call, y_true, y_pred, weights, matrix, *, ignored=-1):
    weights = _one(call.constant, np.dtype("float32"), 1) if weights is None else weights
    call(add_to_confusion_matrix, y_true, y_pred, weights, int(ignored), matrix)
