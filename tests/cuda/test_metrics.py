"""Accuracies and running means on CUDA."""

import numpy as np
import pytest

from fastnn.kernels.cuda import confusion, epoch, metrics
from fastnn.ops import metrics as ops
from tests.oracle import difference

from .both import FLOATS, QUICKLY, missed, on_both, on_cuda, sectors
from .emulator import run

floats = pytest.mark.parametrize("dtype", FLOATS)
SHAPES = [(0, 3), (1, 1), (31, 1), (257, 1), (7, 2), (8, 31), (9, 32), (17, 33), (5, 70), (3, 0)]


@pytest.mark.parametrize("dtype", QUICKLY)
@pytest.mark.parametrize("shift", [0, 1])
def test_accuracies(dtype, shift):
    """Counts are whole numbers: exact in any order."""
    rng, some = np.random.default_rng(0), np.array([-1, 0, 0.25, 0.5, 1, np.inf, np.nan], dtype)
    for rows, columns in SHAPES:
        p = rng.choice(some, (rows, columns))
        target = rng.integers(0, 2, (rows, columns)).astype(dtype)
        labels = rng.integers(-1, columns + 1, rows)
        options = {"shift": shift, "schedule": "fuzz"}
        on_both(ops.binary_accuracy, p, target, threshold=0.25, **options)
        on_both(ops.categorical_accuracy, p, target, **options)
        on_both(ops.sparse_categorical_accuracy, p, labels, **options)
    for kernel in (
        metrics.accuracy_of_rows,
        metrics.accuracy_of_column,
        metrics.sparse_categorical_accuracy,
        metrics.categorical_accuracy,
    ):
        assert missed(kernel, np.dtype(dtype).str[1:]) == []


@pytest.mark.parametrize("dtype", QUICKLY)
def test_counts(dtype):
    """A thread a count, in the order of the rows: the CPU's bits."""
    rng, kind = np.random.default_rng(4), np.dtype(dtype).str[1:]
    some = np.array([-1, 0, 0.25, 0.5, 1, 2, np.nan], dtype)
    for rows, labels, count in [(0, 1, 3), (1, 1, 1), (9, 3, 0), (65, 1, 200), (33, 5, 127)]:
        y, p = rng.integers(0, 2, (rows, labels)).astype(dtype), rng.choice(some, (rows, labels))
        thresholds = np.linspace(0, 1, count).astype(dtype)
        places = [rng.uniform(size=(2, labels, count + 1))]
        options = {"schedule": "fuzz", "clip": rows % 2 == 0}
        on_both(ops.threshold_counts, y, p, thresholds, places=places, **options)
        for shape in ((rows, labels), (rows, 1), (1, labels)):
            weights = rng.uniform(size=shape).astype(dtype)
            on_both(ops.threshold_counts, y, p, thresholds, weights, places=places, **options)
        on_both(ops.sums_about_thresholds, places[0].astype(dtype), schedule="fuzz")
    for rows, classes in [(0, 2), (67, 2), (40, 130)]:
        y, p = rng.integers(-1, classes + 1, (2, rows))
        places, weights = [rng.uniform(size=(classes, classes))], rng.uniform(size=rows)
        for given in ([], [weights.astype(dtype)]):
            on_both(ops.confusion_matrix, y, p, *given, places=places, ignored=rows % 3 - 1)
    same = np.zeros(7, np.int64)
    weights = np.ones(7, dtype)
    on_both(ops.confusion_matrix, same, same, weights, places=[np.zeros((1, 1))])
    assert missed(confusion.count_by_threshold, kind) == []
    assert missed(confusion.sums_about_thresholds, kind) == []
    assert missed(confusion.add_to_confusion_matrix, kind) == []


@floats
def test_running_means(dtype):
    rng, totals = np.random.default_rng(1), [np.array([3.0]), np.array([4.0])]

    def close(_op, _attributes, expected, found):
        for a, b in zip(expected, found, strict=True):
            assert (difference(b, a) <= 1e-13 * (1 + np.abs(a))).all()

    for n in (0, 1, 31, 33, 1023, 1025, 5000):
        values, weights = rng.uniform(-1, 1, (2, n)).astype(dtype)
        for shift in (0, 1):
            options = {"shift": shift, "schedule": "fuzz", "scale": 0.5, "check": close}
            on_both(ops.accumulate, values, weights, places=totals, **options)
            on_both(ops.accumulate, values.reshape(1, n), places=totals, **options)
    assert missed(epoch.add_to_mean, np.dtype(dtype).str[1:]) == []
    values[7] = np.nan
    (total, count), _ = run(ops.accumulate, [values], [np.array([3.0]), np.array([4.0])], {})
    assert np.isnan(total[0])
    assert count[0] == 4 + n


def test_an_epochs_end():
    rng = np.random.default_rng(2)
    for means in (1, 2, 255, 257, 600):
        for row in (0, 6):
            totals, history = rng.uniform(1, 2, (means, 2)), np.zeros((4, means))
            on_both(ops.end_epoch, np.array([row]), places=[totals, history], schedule="fuzz")
    on_both(ops.end_epoch, np.array([0]), places=[np.zeros((3, 2)), np.ones((2, 3))])
    assert missed(epoch.end_epoch) == []


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_rows_are_collected(dtype):
    for shape, at in [
        ((0, 2), 0),
        ((3, 2), 5),
        ((3, 19), 5),
        ((300,), 1),
        ((4, 3), 400),
        ((5, 2, 2), 397),
    ]:
        x, rows = np.ones(shape, dtype), np.zeros((400, *shape[1:]), dtype)
        on_both(ops.collect, x, np.array([at]), places=[rows], schedule="fuzz")
    assert missed(epoch.put_rows, np.dtype(dtype).str[1:]) == []


def test_memory_is_moved_by_whole_sectors():
    p = np.random.default_rng(3).uniform(size=(200, 128)).astype("f4")
    target, out = np.round(p), np.zeros(200, "f4")
    for op, second in [
        (ops.binary_accuracy, target),
        (ops.categorical_accuracy, target),
        (ops.sparse_categorical_accuracy, np.zeros(200, "i8")),
    ]:
        assert sectors(on_cuda(op, [p, second], [out])) <= 1.1
    column, out = np.zeros((5000, 1), "f4"), np.zeros(5000, "f4")
    assert sectors(on_cuda(ops.binary_accuracy, [column, column], [out])) <= 1.1
    assert sectors(on_cuda(ops.accumulate, [out, out], [np.zeros(1)] * 2, scale=1.0)) <= 1.1
