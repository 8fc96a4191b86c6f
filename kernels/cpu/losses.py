"""Losses of a row and their gradients; those of an element are in `kernels/scalar/losses.py`. The
mean over them is a sum (`reduce.py`).

    of logits z, which keep the digits that log(probability) loses:
    softmax_cross_entropy    loss = log(exp_sum) + row_max - z[label]
                             dz = (p - 1 at the label) dloss, p = softmax(z)

    of probabilities, q = p clipped to [clip, 1 - clip]; dp = 0 where p is clipped:
    sparse_categorical_crossentropy    loss = log(sum of q) - log(q[label])
                             dp = (1 / sum of q - 1 / q at the label) dloss

Labels are indices of classes; one that is out of range is reported by its row.
"""

from ..declare import T, helper, kernel
from ..scalar.elementary import log
from ..scalar.losses import clipped, valid_label
from ..status import INDEX_OUT_OF_RANGE, lowest_place
from .simd.rows import row_scale
from .softmax import softmax
from .threads import ROW_GRAIN


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
def sparse_categorical_crossentropy_rows(p, labels, clip, loss, start, stop):
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


def softmax_cross_entropy(call, z, labels, p, row_max, exp_sum, loss, *softmax_of_z):
    """What softmax made of z is given, or it is made here and kept for the gradient."""
    if softmax_of_z:
        call(softmax, z, *softmax_of_z)
        _, row_max, exp_sum = softmax_of_z
    call(softmax_cross_entropy_rows, z, row_max, exp_sum, labels.flat(), loss)


def sparse_categorical_crossentropy(call, p, labels, loss, *, clip=1e-7):
    call(sparse_categorical_crossentropy_rows, p, labels.flat(), float(clip), loss)
