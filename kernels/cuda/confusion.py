"""Counts of right and wrong predictions: by where a prediction lies among thresholds, and by class
and predicted class. A thread has one count and looks at all rows in their order: the bits are the
CPU's, and no atomic adds are needed."""

from functools import lru_cache

import numpy as np

from ..declare import T, kernel
from .grid import block_index, block_index_y, natural, thread_index

THREADS = 128


@kernel(
    threads=THREADS,
    split=[("B", THREADS), ("L", 1)],
    y_true="T[N, L]",
    y_pred="T[N, L]",
    thresholds="T[K]",
    weights="T[n, l]",
    clip="int",
    counts="inout f8[S, L, B]",
)
def count_by_threshold(y_true, y_pred, thresholds, weights, clip, counts):
    """counts[y_true[i, l] != 0, l, b] += weights[i, l], b being how many of the thresholds, which
    ascend, lie below y_pred[i, l] (kept in [0, 1], if `clip`): none below NaN."""
    b, label = block_index() * THREADS + thread_index(), block_index_y()
    row_step, label_step = 1 if weights.shape[0] > 1 else 0, 1 if weights.shape[1] > 1 else 0
    if b < counts.shape[2]:
        negatives, positives, i = counts[0, label, b], counts[1, label, b], 0
        while i < y_true.shape[0]:
            p = y_pred[i, label]
            if clip:
                p = T(0) if p < T(0) else T(1) if p > T(1) else p
            is_above = b == 0 or thresholds[b - 1] < p
            is_below = b == thresholds.size or not thresholds[b] < p
            if is_above and is_below:
                weight = weights[i * row_step, label * label_step]
                if y_true[i, label] != T(0):
                    positives += weight
                else:
                    negatives += weight
            i += 1
        counts[0, label, b], counts[1, label, b] = negatives, positives


@kernel(
    threads=THREADS,
    split=[("L", THREADS)],
    counts="T[S, L, B]",
    above="out T[S, L, K]",
    below="out T[S, L, K]",
)
def sums_about_thresholds(counts, above, below):
    """above[s, l, t] = sum of counts[s, l, b] over b > t; below, over b <= t."""
    label, side = block_index() * THREADS + thread_index(), 0
    if label < counts.shape[1]:
        while side < counts.shape[0]:
            total, t = T(0), 0
            while t < counts.shape[2] - 1:
                total += counts[side, label, t]
                below[side, label, t] = total
                t += 1
            total = T(0)
            while t > 0:
                total += counts[side, label, t]
                t -= 1
                above[side, label, t] = total
            side += 1


@kernel(
    threads=THREADS,
    split=[("c", THREADS), ("C", 1)],
    y_true="i8[N]",
    y_pred="i8[N]",
    weights="T[w]",
    ignored="int",
    matrix="inout f8[C, c]",
)
def add_to_confusion_matrix(y_true, y_pred, weights, ignored, matrix):
    """matrix[y_true[i], y_pred[i]] += weights[i], of which there is one for all if w = 1. Rows of a
    class that the matrix has not, and those of the class `ignored`, are passed over."""
    column, row = block_index() * THREADS + thread_index(), natural(block_index_y())
    step = 1 if weights.size > 1 else 0
    if column < matrix.shape[1] and row != ignored:
        total, i = matrix[row, column], 0
        while i < y_true.size:
            if y_true[i] == row and y_pred[i] == column:
                total += weights[i * step]
            i += 1
        matrix[row, column] = total


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
