"""Losses per element or per row, and their gradients. The mean over them is a sum (`reduce.py`).

    of logits z, which keep the digits that log(probability) loses:
    sigmoid_cross_entropy    loss = max(z, 0) - z target + log(1 + e^-|z|)
                             dz = (p - target) dloss, p = sigmoid(z)
    softmax_cross_entropy    loss = log(exp_sum) + row_max - z[label]
                             dz = (p - 1 at the label) dloss, p = softmax(z)

    of probabilities, q = p clipped to [clip, 1 - clip]; dp = 0 where p is clipped:
    binary_crossentropy     loss = -target log(q) - (1 - target) log(1 - q)
                             dp = ((1 - target) / (1 - q) - target / q) dloss
    sparse_categorical_crossentropy    loss = log(sum of q) - log(q[label])
                             dp = (1 / sum of q - 1 / q at the label) dloss

Labels are indices of classes; one that is out of range is reported by its row.
"""

from ..declare import T, helper, kernel
from ..scalar.elementary import exp_of_negative, log, log1p_of_fraction
from ..status import INDEX_OUT_OF_RANGE, lowest_place
from .simd.rows import row_scale
from .softmax import softmax
from .threads import ELEMENT_GRAIN, ROW_GRAIN


@kernel(split=[("n", ELEMENT_GRAIN)], z="T[n]", target="T[n]", loss="out T[n]")
def sigmoid_cross_entropy_elements(z, target, loss, start, stop):
    """loss = max(z, 0) - z target + log(1 + e^-|z|)."""
    z, target, loss = z[start:stop], target[start:stop], loss[start:stop]
    for i in range(z.size):
        positive = T(0) if z[i] < T(0) else z[i]
        loss[i] = positive - z[i] * target[i] + log1p_of_fraction(exp_of_negative(-abs(z[i])))


@kernel(split=[("n", ELEMENT_GRAIN)], p="T[n]", target="T[n]", dloss="T[n]", dz="out T[n]")
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


@kernel(split=[("n", ELEMENT_GRAIN)], p="T[n]", target="T[n]", clip="float", loss="out T[n]")
def binary_crossentropy(p, target, clip, loss, start, stop):
    """loss = -target log(q) - (1 - target) log(1 - q), q = p clipped."""
    p, target, loss = p[start:stop], target[start:stop], loss[start:stop]
    for i in range(p.size):
        q = clipped(p[i], clip)
        loss[i] = -(target[i] * log(q) + (T(1) - target[i]) * log(T(1) - q))


@kernel(
    split=[("n", ELEMENT_GRAIN)], p="T[n]", target="T[n]", dloss="T[n]", clip="float", dp="out T[n]"
)
def binary_crossentropy_gradient(p, target, dloss, clip, dp, start, stop):
    """dp = ((1 - target) / (1 - q) - target / q) dloss, q = p clipped; 0 where p is clipped."""
    p, target, dloss, dp = p[start:stop], target[start:stop], dloss[start:stop], dp[start:stop]
    for i in range(p.size):
        q = clipped(p[i], clip)
        derivative = (T(1) - target[i]) / (T(1) - q) - target[i] / q
        dp[i] = derivative * dloss[i] if q == p[i] else T(0)


@helper
def valid_label(label, classes):
    return label if 0 <= label < classes else 0


@kernel(
    split=[("N", ROW_GRAIN)],
    z="T[N, C]",
    row_max="T[N]",
    exp_sum="T[N]",
    labels="i8[N]",
    loss="out T[N]",
)
def softmax_cross_entropy_rows(z, row_max, exp_sum, labels, loss, start, stop):
    """loss = log(exp_sum) + row_max - z[label] = -log(softmax(z)[label])."""
    status = 0
    for i in range(start, stop):
        label = valid_label(labels[i], z.shape[1])
        if label != labels[i]:
            status = lowest_place(status, INDEX_OUT_OF_RANGE, i)
        loss[i] = row_max[i] - z[i, label]
    exp_sum, loss = exp_sum[start:stop], loss[start:stop]
    for i in range(loss.size):
        loss[i] += log(exp_sum[i])
    return status


@kernel(split=[("N", ROW_GRAIN)], p="T[N, C]", labels="i8[N]", dloss="T[N]", dz="out T[N, C]")
def softmax_cross_entropy_gradient(p, labels, dloss, dz, start, stop):
    """dz = (p - 1 at the label) dloss."""
    for i in range(start, stop):
        row, scale, label = dz[i], dloss[i], valid_label(labels[i], p.shape[1])
        row_scale(p[i], scale, row)
        row[label] = p[i, label] * scale - scale


@helper(reassociate=True)
def clipped_sum(p, clip):
    total = T(0)
    for j in range(p.size):
        total += clipped(p[j], clip)
    return total


@kernel(split=[("N", ROW_GRAIN)], p="T[N, C]", labels="i8[N]", clip="float", loss="out T[N]")
def sparse_categorical_crossentropy(p, labels, clip, loss, start, stop):
    """loss = log(sum of q) - log(q[label]), q = p clipped: probabilities need not add up to one (as
    Keras on TensorFlow)."""
    status = 0
    for i in range(start, stop):
        label = valid_label(labels[i], p.shape[1])
        if label != labels[i]:
            status = lowest_place(status, INDEX_OUT_OF_RANGE, i)
        loss[i] = log(clipped_sum(p[i], clip)) - log(clipped(p[i, label], clip))
    return status


@kernel(
    split=[("N", ROW_GRAIN)],
    p="T[N, C]",
    labels="i8[N]",
    dloss="T[N]",
    clip="float",
    dp="out T[N, C]",
)
def sparse_categorical_crossentropy_gradient(p, labels, dloss, clip, dp, start, stop):
    """dp = (1 / sum of q - 1 / q at the label) dloss, q = p clipped; 0 where p is clipped."""
    for i in range(start, stop):
        row, p_row, label = dp[i], p[i], valid_label(labels[i], p.shape[1])
        common = dloss[i] / clipped_sum(p_row, clip)
        for j in range(row.size):
            row[j] = common if clipped(p_row[j], clip) == p_row[j] else T(0)
        if clipped(p_row[label], clip) == p_row[label]:
            row[label] = common - dloss[i] / p_row[label]


# ---- launchers


def sigmoid_cross_entropy(call, z, target, p, loss):
    """p = sigmoid(z), if given, is for the gradient."""
    call(sigmoid_cross_entropy_elements, z.flat(), target.flat(), loss.flat())


def softmax_cross_entropy(call, z, labels, p, row_max, exp_sum, loss, *softmax_of_z):
    """What softmax made of z is given, or it is made here and kept for the gradient."""
    if softmax_of_z:
        call(softmax, z, *softmax_of_z)
        _, row_max, exp_sum = softmax_of_z
    call(softmax_cross_entropy_rows, z, row_max, exp_sum, labels, loss)
