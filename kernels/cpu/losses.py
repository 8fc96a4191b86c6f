"""Losses and their gradients, by element or by row. The mean over them is a sum (reduce.py).

Fused with their sigmoid or softmax they are computed from the logits z, which keeps the digits that
log(probability) loses; without, from probabilities clipped to [clip, 1 - clip]. Labels of classes
are indices; one out of range is reported by row.
"""

from ..declare import T, helper, kernel
from ..scalar.elementary import exp_of_negative, log, log1p_of_fraction
from ..status import INDEX_OUT_OF_RANGE, lowest_place
from .simd.rows import row_multiple
from .threads import FLAT

ROWS = 4


@kernel(split=[("n", FLAT)], z="T[n]", target="T[n]", loss="out T[n]")
def sigmoid_cross_entropy(z, target, loss, start, stop):
    """loss = max(z, 0) - z target + log(1 + e^-|z|) = -target log(p) - (1 - target) log(1 - p) with
    p = sigmoid(z)."""
    z, target, loss = z[start:stop], target[start:stop], loss[start:stop]
    for i in range(z.size):
        positive = T(0) if z[i] < T(0) else z[i]
        loss[i] = positive - z[i] * target[i] + log1p_of_fraction(exp_of_negative(-abs(z[i])))


@kernel(split=[("n", FLAT)], p="T[n]", target="T[n]", dloss="T[n]", dz="out T[n]")
def sigmoid_cross_entropy_gradient(p, target, dloss, dz, start, stop):
    """dz = (p - target) dloss."""
    p, target, dloss, dz = p[start:stop], target[start:stop], dloss[start:stop], dz[start:stop]
    for i in range(p.size):
        dz[i] = (p[i] - target[i]) * dloss[i]


@helper
def clipped(p, clip):
    low, high = T(clip), T(1) - T(clip)
    p = low if p < low else p
    return high if p > high else p


@kernel(split=[("n", FLAT)], p="T[n]", target="T[n]", clip="float", loss="out T[n]")
def binary_cross_entropy(p, target, clip, loss, start, stop):
    """loss = -target log(p) - (1 - target) log(1 - p), p clipped."""
    p, target, loss = p[start:stop], target[start:stop], loss[start:stop]
    for i in range(p.size):
        q = clipped(p[i], clip)
        loss[i] = -(target[i] * log(q) + (T(1) - target[i]) * log(T(1) - q))


@kernel(split=[("n", FLAT)], p="T[n]", target="T[n]", dloss="T[n]", clip="float", dp="out T[n]")
def binary_cross_entropy_gradient(p, target, dloss, clip, dp, start, stop):
    """dp = ((1 - target) / (1 - p) - target / p) dloss, and 0 where p is clipped."""
    p, target, dloss, dp = p[start:stop], target[start:stop], dloss[start:stop], dp[start:stop]
    for i in range(p.size):
        q = clipped(p[i], clip)
        slope = (T(1) - target[i]) / (T(1) - q) - target[i] / q
        dp[i] = slope * dloss[i] if q == p[i] else T(0)


@helper
def valid_label(label, classes):
    return label if 0 <= label < classes else 0


@kernel(
    split=[("N", ROWS)], z="T[N, C]", largest="T[N]", total="T[N]", labels="i8[N]", loss="out T[N]"
)
def softmax_cross_entropy(z, largest, total, labels, loss, start, stop):
    """loss = -log(softmax(z)[label]) = log(total) + largest - z[label], from what softmax kept."""
    status = 0
    for i in range(start, stop):
        label = valid_label(labels[i], z.shape[1])
        if label != labels[i]:
            status = lowest_place(status, INDEX_OUT_OF_RANGE, i)
        loss[i] = largest[i] - z[i, label]
    total, loss = total[start:stop], loss[start:stop]
    for i in range(loss.size):
        loss[i] += log(total[i])
    return status


@kernel(split=[("N", ROWS)], p="T[N, C]", labels="i8[N]", dloss="T[N]", dz="out T[N, C]")
def softmax_cross_entropy_gradient(p, labels, dloss, dz, start, stop):
    """dz = (p - 1 at the label) dloss."""
    for i in range(start, stop):
        row, factor, label = dz[i], dloss[i], valid_label(labels[i], p.shape[1])
        row_multiple(p[i], factor, row)
        row[label] = p[i, label] * factor - factor


@helper(reassociate=True)
def clipped_sum(p, clip):
    total = T(0)
    for j in range(p.size):
        total += clipped(p[j], clip)
    return total


@kernel(split=[("N", ROWS)], p="T[N, C]", labels="i8[N]", clip="float", loss="out T[N]")
def class_cross_entropy(p, labels, clip, loss, start, stop):
    """loss = log(sum of p) - log(p[label]), p clipped: probabilities need not add up to one (as
    Keras on TensorFlow)."""
    status = 0
    for i in range(start, stop):
        label = valid_label(labels[i], p.shape[1])
        if label != labels[i]:
            status = lowest_place(status, INDEX_OUT_OF_RANGE, i)
        loss[i] = log(clipped_sum(p[i], clip)) - log(clipped(p[i, label], clip))
    return status


@kernel(
    split=[("N", ROWS)], p="T[N, C]", labels="i8[N]", dloss="T[N]", clip="float", dp="out T[N, C]"
)
def class_cross_entropy_gradient(p, labels, dloss, clip, dp, start, stop):
    """dp = (1 / sum of p - 1 / p at the label) dloss, and 0 where p is clipped."""
    for i in range(start, stop):
        row, p_row, label = dp[i], p[i], valid_label(labels[i], p.shape[1])
        level = dloss[i] / clipped_sum(p_row, clip)
        for j in range(row.size):
            row[j] = level if clipped(p_row[j], clip) == p_row[j] else T(0)
        if clipped(p_row[label], clip) == p_row[label]:
            row[label] = level - dloss[i] / p_row[label]
