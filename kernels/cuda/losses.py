"""Losses of a row and their gradients, by the formulas of kernels/cpu/losses.py. Softmax and the
loss of its result are one launch.
"""

from ..declare import T, helper, kernel
from ..scalar.elementary import log
from ..scalar.losses import clipped, valid_label
from ..status import INDEX_OUT_OF_RANGE, lowest_place
from .grid import block_index, shared_array, thread_index
from .reductions import BLOCK_THREADS, BLOCK_WARPS
from .row_loops import row_kernel, row_loop, row_of_thread, row_sum
from .softmax import softmax_of_row


@helper
def label_status(label, given, i):
    """What row i reports: whether its label was out of range, and another taken."""
    return lowest_place(0, INDEX_OUT_OF_RANGE, i) if label != given else 0


@row_kernel(
    z="T[N, C]",
    labels="i8[N]",
    p="out T[N, C]",
    row_max="out T[N]",
    exp_sum="out T[N]",
    loss="out T[N]",
)
def softmax_loss_kernel(threads):
    def softmax_and_cross_entropy(z, labels, p, row_max, exp_sum, loss):
        """p = softmax(z), loss = log(exp_sum) + row_max - z[label] = -log(p[label])."""
        partial = shared_array(T(0), BLOCK_WARPS)
        i, t, top, total = softmax_of_row(z, p, threads, partial)
        if i >= z.shape[0] or t != 0:
            return 0
        label = valid_label(labels[i], z.shape[1])
        row_max[i], exp_sum[i] = top, total
        loss[i] = top - z[i, label] + log(total)
        return label_status(label, labels[i], i)

    return softmax_and_cross_entropy


@kernel(
    threads=BLOCK_THREADS,
    split=[("N", BLOCK_THREADS)],
    z="T[N, C]",
    row_max="T[N]",
    exp_sum="T[N]",
    labels="i8[N]",
    loss="out T[N]",
)
def softmax_cross_entropy_rows(z, row_max, exp_sum, labels, loss):
    """loss = log(exp_sum) + row_max - z[label], from what softmax made of z."""
    i = block_index() * BLOCK_THREADS + thread_index()
    if i >= loss.size:
        return 0
    label = valid_label(labels[i], z.shape[1])
    loss[i] = row_max[i] - z[i, label] + log(exp_sum[i])
    return label_status(label, labels[i], i)


@helper
def softmax_loss_gradient(p, column, label, dloss):
    return p * dloss - (dloss if column == label else T(0))


softmax_loss_gradient_of_row = row_loop(
    softmax_loss_gradient, p="N, C", column="column", label="number", dloss="number", dz="out N, C"
)


@row_kernel(
    p="T[N, C]",
    labels="i8[N]",
    dloss="T[N]",
    dz="out T[N, C]",
)
def softmax_loss_gradient_kernel(threads):
    def softmax_cross_entropy_gradient(p, labels, dloss, dz):
        """dz = (p - 1 at the label) dloss."""
        i, t = row_of_thread(threads), thread_index() % threads
        if i < p.shape[0]:
            label = valid_label(labels[i], p.shape[1])
            softmax_loss_gradient_of_row(p, label, dloss[i], dz, i, t, threads)

    return softmax_cross_entropy_gradient


@helper
def add_clipped(p, clip, total):
    return total + clipped(p, clip)


@helper
def clipped_gradient(p, column, label, clip, common, dloss):
    """(1 / sum of q - 1 / q at the label) dloss, common = dloss / sum of q; 0 where p is
    clipped."""
    if clipped(p, clip) != p:
        return T(0)
    return common - dloss / p if column == label else common


clipped_sum_of_row = row_loop(add_clipped, p="N, C", clip="number", total="sum")
clipped_gradient_of_row = row_loop(
    clipped_gradient,
    p="N, C",
    column="column",
    label="number",
    clip="number",
    common="number",
    dloss="number",
    dp="out N, C",
)


@row_kernel(
    p="T[N, C]",
    labels="i8[N]",
    clip="float",
    loss="out T[N]",
)
def sparse_loss_kernel(threads):
    def sparse_categorical_crossentropy(p, labels, clip, loss):
        """loss = log(sum of q) - log(q[label]), q = p clipped."""
        partial = shared_array(T(0), BLOCK_WARPS)
        i, t = row_of_thread(threads), thread_index() % threads
        row = min(i, p.shape[0] - 1)
        total = row_sum(clipped_sum_of_row(p, clip, T(0), row, t, threads), threads, partial)
        if i >= p.shape[0] or t != 0:
            return 0
        label = valid_label(labels[i], p.shape[1])
        loss[i] = log(total) - log(clipped(p[i, label], clip))
        return label_status(label, labels[i], i)

    return sparse_categorical_crossentropy


@row_kernel(
    p="T[N, C]",
    labels="i8[N]",
    dloss="T[N]",
    clip="float",
    dp="out T[N, C]",
)
def sparse_loss_gradient_kernel(threads):
    def sparse_categorical_crossentropy_gradient(p, labels, dloss, clip, dp):
        """dp = (1 / sum of q - 1 / q at the label) dloss, q = p clipped; 0 where p is clipped."""
        partial = shared_array(T(0), BLOCK_WARPS)
        i, t = row_of_thread(threads), thread_index() % threads
        row = min(i, p.shape[0] - 1)
        total = row_sum(clipped_sum_of_row(p, clip, T(0), row, t, threads), threads, partial)
        if i < p.shape[0]:
            label, common = valid_label(labels[i], p.shape[1]), dloss[i] / total
            clipped_gradient_of_row(p, label, clip, common, dloss[i], dp, i, t, threads)

    return sparse_categorical_crossentropy_gradient


# ---- launchers


def softmax_cross_entropy(call, z, labels, p, row_max, exp_sum, loss, *softmax_of_z):
    """What softmax made of z is given, or it is made here and kept for the gradient."""
    if softmax_of_z:
        call(softmax_loss_kernel(z.shape[1]), z, labels.flat(), *softmax_of_z, loss)
    else:
        call(softmax_cross_entropy_rows, z, row_max, exp_sum, labels.flat(), loss)


def softmax_cross_entropy_gradient(call, p, labels, dloss, dz):
    call(softmax_loss_gradient_kernel(p.shape[1]), p, labels, dloss, dz)


def sparse_categorical_crossentropy(call, p, labels, loss, *, clip=1e-7):
    call(sparse_loss_kernel(p.shape[1]), p, labels.flat(), float(clip), loss)


def sparse_categorical_crossentropy_gradient(call, p, labels, dloss, dp, *, clip):
    made = sparse_loss_gradient_kernel(p.shape[1])
    call(made, p, labels, dloss, float(clip), dp)
