"""Accuracies, row by row. Metrics are means of them (`epoch.py`)."""

from ..declare import T, helper, kernel
from ..intrinsics import flat
from .threads import ROW_GRAIN


@kernel(
    split=[("N", ROW_GRAIN)], p="T[N, C]", target="T[N, C]", threshold="float", correct="out T[N]"
)
def binary_accuracy(p, target, threshold, correct, start, stop):
    """correct[i] = mean over j of (target[i, j] == (p[i, j] > threshold))."""
    columns, limit = p.shape[1], T(threshold)
    if columns == 1:
        p_column, targets, correct = (
            flat(p[start:stop]),
            flat(target[start:stop]),
            correct[start:stop],
        )
        for i in range(correct.size):
            correct[i] = T(1) if targets[i] == (T(1) if p_column[i] > limit else T(0)) else T(0)
        return
    for i in range(stop - start):
        p_row, target_row, hits = p[start + i], target[start + i], T(0)
        for j in range(columns):
            hits += T(1) if target_row[j] == (T(1) if p_row[j] > limit else T(0)) else T(0)
        correct[start + i] = hits / T(columns)


@helper
def argmax(row):
    """The place of the largest element, of equals the first."""
    place = 0
    for j in range(row.size):
        if row[j] > row[place]:
            place = j
    return place


@kernel(split=[("N", ROW_GRAIN)], p="T[N, C]", labels="i8[N]", correct="out T[N]")
def sparse_categorical_accuracy(p, labels, correct, start, stop):
    """correct[i] = (argmax(p[i]) == labels[i])."""
    for i in range(stop - start):
        correct[start + i] = 1.0 if argmax(p[start + i]) == labels[start + i] else 0.0


@kernel(split=[("N", ROW_GRAIN)], p="T[N, C]", target="T[N, C]", correct="out T[N]")
def categorical_accuracy(p, target, correct, start, stop):
    """correct[i] = (argmax(p[i]) == argmax(target[i]))."""
    for i in range(stop - start):
        same = argmax(p[start + i]) == argmax(target[start + i])
        correct[start + i] = 1.0 if same else 0.0
