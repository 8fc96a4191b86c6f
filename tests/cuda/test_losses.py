"""Losses of a row and their gradients."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.kernels.cuda import losses
from fastnn.kernels.status import INDEX_OUT_OF_RANGE
from fastnn.ops.losses import _softmax_loss_gradient_op as softmax_loss_gradient
from fastnn.ops.losses import _sparse_gradient_op as sparse_loss_gradient

from .both import FLOATS, QUICKLY, on_both, on_cuda, sectors
from .emulator import Failed, run
from .rounding import ROWS, hold_to_cpu, not_covered

LENGTHS = (1, 100, 2000)  # of rows of a few threads, a warp, a block
BY_ROW = (
    losses.softmax_loss_kernel,
    losses.softmax_loss_gradient_kernel,
    losses.sparse_loss_kernel,
    losses.sparse_loss_gradient_kernel,
)


def work(z, labels, dloss, loss=ops.softmax_cross_entropy, **attributes):
    loss(fastnn.tensor(z, requires_gradient=True), labels, **attributes).backward(dloss)


def work_from_softmax(z, labels, dloss):
    """The loss of a softmax takes what softmax made."""
    z = fastnn.tensor(z, requires_gradient=True)
    loss = fastnn.losses.SparseCategoricalCrossentropy().call(fastnn.tensor(labels), ops.softmax(z))
    loss.backward(dloss)


def out_of_range(rows, classes, *places):
    """Labels of which these are out of range, the first by being negative."""
    labels = np.zeros(rows, np.int64)
    labels[list(places)] = classes
    labels[places[0]] = -1
    return labels


def report_lowest_row(classes, dtype):
    z, labels = np.ones((40, classes), dtype), out_of_range(40, classes, 39, 33, 13, 20)
    row, whole = np.empty(40, dtype), np.empty_like(z)
    for op, inputs, outputs in [
        (ops.softmax_cross_entropy, [z, labels], [row, whole, row, row]),
        (ops.softmax_cross_entropy, [z, labels, z, row, row], [row]),
        (ops.clipped_sparse_cross_entropy, [z, labels], [row]),
    ]:
        with pytest.raises(Failed) as failed:
            run(op, inputs, outputs, {}, schedule="fuzz")
        assert (failed.value.code, failed.value.place) == (INDEX_OUT_OF_RANGE, 13)


@pytest.mark.parametrize("dtype", QUICKLY)
def test_rows_of_any_length_and_labels_out_of_range(dtype):
    rng = np.random.default_rng(1)
    for shape in ROWS:
        z, p = rng.normal(scale=3, size=shape).astype(dtype), rng.random(shape).astype(dtype)
        labels, dloss = rng.integers(0, shape[1], shape[0]), rng.normal(size=shape[0]).astype(dtype)
        hold_to_cpu(work, z, labels, dloss)
        p[:, ::3] = 0.0
        for clip in (1e-7, 0.2):
            hold_to_cpu(work, p, labels, dloss, ops.clipped_sparse_cross_entropy, clip=clip)
    for columns in LENGTHS:
        report_lowest_row(columns, dtype)
        for kernel in BY_ROW:
            assert not_covered(kernel(columns), dtype) == []
    z, labels = rng.normal(size=(300, 5)).astype(dtype), rng.integers(0, 5, 300)
    hold_to_cpu(work_from_softmax, z, labels, np.ones(300, dtype))
    assert not_covered(losses.softmax_cross_entropy_rows, dtype) == []


@pytest.mark.parametrize("dtype", FLOATS)
def test_gradient_of_the_softmax_loss_is_the_cpus_bit_for_bit(dtype):
    rng = np.random.default_rng(1)
    for columns in LENGTHS:
        p, labels = rng.random((9, columns)).astype(dtype), rng.integers(0, columns, 9)
        p[3, 0] = p[4, labels[4]] = np.nan
        p[5, -1] = -0.0
        dloss = rng.normal(size=9).astype(dtype)
        on_both(softmax_loss_gradient, p, labels, dloss, shift=1, schedule="fuzz")


@pytest.mark.parametrize("columns", [32, 512, 4096])
def test_memory_is_read_and_written_by_whole_sectors(columns):
    rows = 8192 // columns
    z, labels, row = np.ones((rows, columns), "f4"), np.zeros(rows, np.int64), np.ones(rows, "f4")
    for stats in (
        on_cuda(ops.softmax_cross_entropy, [z, labels], [row, z, row, row]),
        on_cuda(softmax_loss_gradient, [z, labels, row], [z]),
        on_cuda(ops.clipped_sparse_cross_entropy, [z, labels], [row]),
        on_cuda(sparse_loss_gradient, [z, labels, row], [z], clip=1e-7),
    ):
        # the element at a label is read once more
        assert sectors(stats) <= (1.2 if columns == 32 else 1.1)
        assert stats.bank_conflict_factor() <= 1.1
