"""Bugs put into kernels on purpose are caught, each of them (seeded.py)."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.apply import apply
from fastnn.kernels.cuda.grid import barrier, block_index, shared_array, thread_index
from fastnn.kernels.declare import T, kernel
from fastnn.ops import metrics, movement, reduce, updates
from fastnn.ops.arithmetic import cast
from fastnn.ops.elementwise import gradient_from_output
from fastnn.ops.random import permutation

from . import seeded
from .both import as_tensor

RNG = np.random.default_rng(1)


def normal(*shape):
    return RNG.normal(size=shape).astype("f4")


@kernel(threads=64, split=[("N", 64)], x="T[N]", y="out T[N]")
def swap_warps(x, y):
    tile, n = shared_array(T(0), 64), y.size
    i, thread = block_index() * 64 + thread_index(), thread_index()
    tile[thread] = x[min(i, n - 1)]
    barrier()
    if i < n:
        y[i] = tile[thread ^ 32]
    barrier()


def test_what_is_left_out():
    assert [edit.place for edit in seeded.edits_of(swap_warps)] == [
        "swap_warps: barrier() -> pass",
        "swap_warps: barrier() -> pass, 2",
        "swap_warps: i < n -> True",
        "swap_warps: min(i, n - 1) -> i",
        "swap_warps: min(i, n - 1) -> n - 1",
    ]


def test_a_bug_that_nothing_shows(monkeypatch):
    """The last barrier is not needed. The others are, and so are the bounds, of 96 elements."""
    x = normal(96)

    class Copy:
        kernels, arity = "movement.copy", 1

    launch = seeded.Launch(Copy, [x], [np.zeros_like(x)], {})
    monkeypatch.setattr(
        "tests.cuda.emulator.launcher", lambda *_: lambda call, x, y: call(swap_warps, x, y)
    )
    places, missed = seeded.survivors([launch])
    assert (len(places), missed) == (5, {"swap_warps: barrier() -> pass, 2"})


def in_place(op, inputs, written, **attributes):
    apply(op, tuple(map(as_tensor, inputs)), attributes, list(map(as_tensor, written)))


def gradient(op, *inputs, dy, **attributes):
    """What the op makes of the inputs, of which all floats take part, and their gradients."""
    tensors = [fastnn.tensor(x, requires_gradient=x.dtype.kind == "f") for x in inputs]
    y = op(*tensors, **attributes)
    (y[0] if isinstance(y, tuple) else y).backward(dy)


# Rows of a block of threads, of a warp, of a few threads; the last block has some to spare.
ROWS = [(2, 2000), (3, 100), (35, 5), (2, 64)]
# Columns of one launch, and of chunks of rows; the last chunk is shorter.
COLUMNS = [(37, 13), (2100, 9), (2100, 12)]


def alone():
    """One array whose length is a multiple of four, and one of another."""
    ops.gelu(normal(2100))
    ops.gelu(normal(2048))


def broadcast():
    ops.add(normal(70, 30), normal(30))
    ops.add(normal(3, 5, 1), normal(5, 7))


def sums():
    for shape, axis in [
        ((600, 16), 1), ((9, 5, 7), 1), ((3, 17, 33), 1), ((9, 33), 1), ((3, 40, 5), 1),
        ((70, 45), 0), ((20000,), 0), ((3, 1, 40), 1),
    ]:  # fmt: skip
        ops.sum(normal(*shape), axis=axis)
    in_place(ops.sum, [normal(9)], [normal()], accumulate=True)
    for shape, axis in [((5, 7), 1), ((3, 33, 4), 1), ((3, 6), 0)]:
        dy = normal(*np.zeros(shape).sum(axis).shape)
        reduce.sum_gradient(dy, shape=shape, axis=axis, mean=True)
    for n in (2047, 2048):
        in_place(reduce.add_to, [normal(n)], [normal(n)])


def extremes():
    for shape, axis in [
        ((600, 16), 1), ((3, 17, 33), 1), ((9, 33), 1), ((3, 40, 5), 1), ((70, 45), 0),
        ((20000,), 0),
    ]:  # fmt: skip
        x = np.round(normal(*shape))
        ops.min(x, axis=axis)
        ops.argmax(x, axis=axis)
        x[-1] = np.nan
        ops.argmax(x, axis=axis)


def steps():
    """Of no gradient and states of 0 an update is 0 only if epsilon is not."""
    for n, scale in ((2047, 1), (2048, 1), (9, 0)):
        gradient, parameter = scale * normal(n), normal(n)
        m, v = scale * np.abs(normal(2, n))
        rate, epsilon = np.array([0.1]), {"epsilon": 0.1 * scale}
        given = [gradient, rate, np.array([3]), np.array([2.0])]
        in_place(updates.sgd, given, [parameter])
        in_place(updates.sgd_momentum, given, [parameter, m, np.array([0])])
        in_place(updates.adam, given, [parameter, m, v], **epsilon)
        in_place(updates.rmsprop, given, [parameter, v], **epsilon)


def accuracies_and_means():
    for columns in (1, 2, 40):
        p, target = np.round(normal(2, 33, columns))
        ops.binary_accuracy(p, target)
        ops.categorical_accuracy(p, target)
        ops.sparse_categorical_accuracy(p, np.arange(33) % columns)
    values = normal(1500)
    in_place(metrics.accumulate, [values, values], [np.ones(1), np.ones(1)])
    in_place(metrics.accumulate, [values], [np.ones(1), np.ones(1)])
    in_place(metrics.end_epoch, [np.array([3])], [np.ones((300, 2)), np.ones((2, 300))])
    for rows, place in ((300, 5), (3, 698)):
        x = normal(rows, 2)
        in_place(metrics.collect, [x, np.array([place])], [np.zeros((700, 2), "f4")])


def counts():
    y, p = RNG.integers(0, 2, (33, 3)).astype("f4"), RNG.integers(-1, 6, (33, 3)) / np.float32(4)
    thresholds, weights = np.linspace(0, 1, 150, dtype="f4"), np.arange(33, dtype="f4")
    for shape in ((33, 3), (33, 1), (1, 3)):
        weight = RNG.uniform(size=shape).astype("f4")
        in_place(metrics.threshold_counts, [y, p, thresholds, weight], [np.ones((2, 3, 151))])
    in_place(metrics.threshold_counts, [y, p, thresholds], [np.ones((2, 3, 151))], clip=True)
    ops.sums_about_thresholds(normal(2, 150, 9))
    y, p = RNG.integers(-1, 4, (2, 33))
    in_place(metrics.confusion_matrix, [y, p, weights], [np.ones((3, 3))], ignored=1)
    in_place(metrics.confusion_matrix, [y, p], [np.ones((130, 130))])


def softmax():
    for shape in ROWS:
        gradient(ops.softmax, normal(*shape), dy=normal(*shape))


def losses():
    for rows, columns in ROWS:
        labels, p = RNG.integers(0, columns, rows), RNG.random((rows, columns)).astype("f4")
        p[:, ::3] = 0
        gradient(ops.softmax_cross_entropy, normal(rows, columns), labels, dy=normal(rows))
        gradient(ops.clipped_sparse_cross_entropy, p, labels, dy=normal(rows))
    with pytest.raises(IndexError, match="out of range"):
        ops.clipped_sparse_cross_entropy(p, np.full(rows, columns))


def batch_norm():
    for rows, columns in COLUMNS:
        x, columns = normal(rows, columns), (columns,)
        gradient(ops.batch_norm, x, normal(*columns), normal(*columns), dy=normal(*x.shape))


def layer_norm():
    for rows, columns in ROWS + COLUMNS:
        x, columns = normal(rows, columns), (columns,)
        gradient(ops.layer_norm, x, normal(*columns), normal(*columns), dy=normal(*x.shape))


def products():
    """In each form; of rows that are copied by vectors and by elements, onto a bias and C."""
    for m, k, n in [(70, 150, 90), (70, 100, 68)]:
        gradient(ops.matmul, normal(m, k), normal(k, n), dy=normal(m, n))
        ops.linear(normal(m, k), normal(k, n), normal(n), activation="tanh")
        in_place(ops.matmul, [normal(m, k), normal(k, n)], [normal(m, n)], accumulate=True)


PRODUCTS = {
    "add_products: put * steps < depth -> True": "beyond the last step there are zeros",
    "add_products: k + ahead * steps < depth -> True": "beyond the last step there are zeros",
    "finish: columns > VECTOR -> False": "they are of the largest tile alone, see test_matmul",
}
BEYOND = {  # it shows in batch_norm
    "column_of_thread: min(column, columns - 1) -> column": "nothing is read by it there"
}
ONE_SUM = {"block_sum: barrier() -> pass, 2": "no sum comes after it; it shows in layer_norm"}


def moves():
    for n in (2501, 4096):  # more than a block's elements
        ops.copy(normal(n))
        cast(normal(n), dtype=np.dtype("f8"))
        movement._slice_gradient(normal(n), shape=(n + 10,), key=slice(3, -7))
    ops.slice_copy(normal(70, 64), key=(slice(2, -1), slice(16, 48)))
    ops.slice_copy(normal(7, 5, 9), key=(slice(None, None, 2), slice(None, None, -2), slice(1, 8)))
    key = slice(2, -1), slice(16, 48)
    movement._slice_gradient(normal(67, 32), shape=(70, 64), key=key)
    ops.take(normal(9, 64), RNG.integers(-9, 9, 70))
    ops.take(normal(3, 9, 5), RNG.integers(-9, 9, (2, 3)), axis=1)
    for columns in (64, 17):
        ops.gather(normal(40, columns), RNG.permutation(40), np.array([7]), rows=33)
    x, y = RNG.integers(0, 9, (30, 1)), RNG.integers(-7, 7, (1, 80))
    in_place(movement.flat_index, [x, y], [np.zeros((30, 80), int)], extent=7)


def transposes():
    ops.transpose(normal(33, 65))
    ops.transpose(normal(2, 33, 40), axes=(0, 2, 1))
    ops.transpose(normal(40, 3, 33))


def rows_put_back():
    for shape, axis, n in [((9, 5), 0, 40), ((40, 32), 0, 60), ((3, 400, 4), 1, 60),
                           ((3, 90, 2), 1, 30)]:  # fmt: skip
        index = RNG.integers(-shape[axis], shape[axis], n)
        dy = normal(*shape[:axis], n, *shape[axis + 1 :])
        in_place(movement.take_gradient, [index, dy], [normal(*shape)], shape=shape, axis=axis)


def draws():
    state = np.array([7, 5])
    ops.dropout(normal(700), state, rate=0.3)
    ops.normal(state, shape=(300,))
    for n in (701, 1024):
        ops.uniform(state, shape=(n,))
    in_place(permutation, [state], [np.zeros(100, "u4"), np.zeros(100, int), np.array([7])])


def gradients_and_sums():
    for shape in ((300, 17), (33, 8)):
        written = normal(*shape), normal(shape[1])
        op = gradient_from_output["relu"].gradient_and_sums
        in_place(op, normal(2, *shape), written, accumulate=True)


IDLE = "threads of a warp that have no line would only read for nothing"
# family -> what runs its kernels where a bug shows, and the bugs that change nothing, with reasons
FAMILIES = {
    "loops": (alone, {}),
    "loops, broadcast": (broadcast, {}),
    "reduce": (sums, {"group: line < lines -> True": IDLE}),
    "extremes": (
        extremes,
        {
            "group: line < lines -> True": IDLE,
            "group: min(first + chunk, rows) -> rows": "of more elements there is the same extreme",
        },
    ),
    "updates": (steps, {}),
    "metrics and epoch": (accuracies_and_means, {}),
    "confusion": (counts, {}),
    "movement": (
        moves,
        dict.fromkeys(
            ["gather_rows: row >= source.shape[0] -> False", "take_rows: unit == 1 -> True"],
            "of indices that are out of range, which test_movement has",
        ),
    ),
    "transpose": (transposes, {}),
    "scatter": (
        rows_put_back,
        {
            "scatter_add_rows: VECTOR == FOUR -> True": "it is, of float32",
            **dict.fromkeys(
                [
                    "scatter_add_rows: found <= last -> True",
                    "scatter_add_rows: min(start + THREADS * unit, end) -> end",
                    "scatter_add_rows: min(start + THREADS * unit, end) -> start + THREADS * unit",
                ],
                "rows would be listed that no thread of the block has",
            ),
        },
    ),
    "random": (draws, {}),
    "gradients and sums": (
        gradients_and_sums,
        {
            "column_of_thread: min(column, columns - 1) -> column": "nothing is read there",
            "column_sum: barrier() -> pass, 2": "the memory is not used again",
            **dict.fromkeys(
                [
                    "gradient_and_sums: min((p + 1) * chunk, rows) -> (p + 1) * chunk",
                    "gradient_and_sums: min((p + 1) * chunk, rows) -> rows",
                ],
                "of one chunk; test_gradient_and_sums has several",
            ),
        },
    ),
    "softmax": (softmax, ONE_SUM),
    "losses": (losses, ONE_SUM),
    "batch_norm": (batch_norm, {}),
    "layer_norm": (layer_norm, BEYOND),
    "products": (products, PRODUCTS),
}
QUICK = ("loops",)


@pytest.mark.parametrize(
    "family", [f if f in QUICK else pytest.param(f, marks=pytest.mark.slow) for f in FAMILIES]
)
def test_each_bug_is_caught(family):
    function, harmless = FAMILIES[family]
    places, missed = seeded.survivors(seeded.launches_of(function))
    assert places
    assert missed == set(harmless)
