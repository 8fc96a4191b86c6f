"""What metrics are means of, row by row, and the means. None of them has a gradient."""

import numpy as np

from fastnn.dtypes import ANY
from fastnn.kernels.reference import losses as reference

from .record import Case, Op, expect_dtype, expect_shape


def _pair(name, p, target):
    dtype = expect_dtype(name, p=p, target=target)
    expect_shape(name, "p", p.shape, (None, None))
    expect_shape(name, "target", target.shape, p.shape)
    return dtype


TARGETS = [(1, 1), (5, 3), (9, 1), (33, 10)]


def _bits(shape):
    return lambda rng: rng.integers(0, 2, shape).astype(float)


binary_accuracy = Op(
    "binary_accuracy",
    lambda p, target, *, threshold=0.5: [((p.shape[0],), _pair("binary_accuracy", p, target))],
    kernels="metrics.binary_accuracy",
    reference=reference.binary_accuracy,
    cases=[Case((shape, _bits(shape)), domain=(0.0, 1.0)) for shape in TARGETS],
    doc="The share of a row's targets that equal 1 where p > threshold and 0 elsewhere. p, "
    "target: (N, C).",
)


def _sparse_infer(p, labels):
    dtype = expect_dtype("sparse_categorical_accuracy", p=p)
    expect_shape("sparse_categorical_accuracy", "p", p.shape, (None, None))
    expect_shape("sparse_categorical_accuracy", "labels", labels.shape, (p.shape[0],))
    return [((p.shape[0],), dtype)]


sparse_categorical_accuracy = Op(
    "sparse_categorical_accuracy",
    _sparse_infer,
    kernels="metrics.sparse_categorical_accuracy",
    reference=reference.sparse_categorical_accuracy,
    cases=[Case((shape, lambda rng, s=shape: rng.integers(0, s[1], s[0]))) for shape in TARGETS],
    indices=(1,),
    doc="1 where the largest of a row of p (N, C) stands at the label (N,), else 0; of equals the "
    "first counts.",
)

categorical_accuracy = Op(
    "categorical_accuracy",
    lambda p, target: [((p.shape[0],), _pair("categorical_accuracy", p, target))],
    kernels="metrics.categorical_accuracy",
    reference=reference.categorical_accuracy,
    cases=[Case((shape, shape)) for shape in TARGETS],
    doc="1 where the largest of a row of p and of a row of target (both (N, C)) stand at the same "
    "place, else 0.",
)


def _accumulated(values, weights, total, count, scale=1.0):
    return total + scale * (values * weights).sum(), count + scale * weights.sum()


accumulate = Op(
    "accumulate",
    lambda values, weights=None, *, scale=1.0: [],
    kernels="epoch.accumulate",
    reference=_accumulated,
    cases=[Case(((n,), (n,), (), ()), {"scale": 0.5}, terms=max(n, 1)) for n in (0, 1, 65)],
    flops=0,
    in_place=True,
    float64=(2, 3),
    doc="total, of one element, += scale times the sum of values times weights, and count += scale "
    "times the sum of the weights, in float64.",
)


def _ended(row, totals, history):
    history = history.copy()
    counts = totals[:, 1]
    mean = np.divide(totals[:, 0], counts, out=np.zeros(len(counts)), where=counts != 0)
    history[row[0] % len(history)] = mean
    return np.zeros_like(totals), history


end_epoch = Op(
    "end_epoch",
    lambda row: [],
    kernels="epoch.end_epoch",
    reference=_ended,
    cases=[
        Case((lambda rng, at=at: np.array([at]), (3, 2), (4, 3)), domain=(1.0, 2.0))
        for at in (0, 6)
    ]
    + [Case((lambda rng: np.array([1]), lambda rng: np.array([[0.0, 0.0], [3.0, 2.0]]), (4, 2)))],
    indices=(0,),
    flops=0,
    in_place=True,
    float64=(1, 2),
    doc="The row number `row` of history (epochs, means), a ring, = totals[:, 0] / totals[:, 1], 0 "
    "where that is 0 / 0; then totals = 0.",
)


def _collected(x, place, rows):
    rows, start = rows.copy(), int(place[0])
    count = max(0, min(len(x), len(rows) - start))
    rows[start : start + count] = x[:count]
    return rows


collect = Op(
    "collect",
    lambda x, place: [],
    kernels="epoch.collect",
    reference=_collected,
    cases=[
        Case((shape, lambda rng, at=at: np.array([at]), (7, *shape[1:])))
        for shape, at in [((3, 2), 0), ((4,), 2), ((3, 2, 5), 6), ((2, 3), 9), ((0, 2), 1)]
    ],
    indices=(1,),
    dtypes=ANY,
    flops=0,
    in_place=True,
    doc="rows (R, ...) from number `place` (1,) on = x (N, ...), as far as there are rows.",
)


# ---- counts, in float64


def _threshold_counts(y_true, y_pred, thresholds, weights, counts, clip=False):
    counts, p = counts.copy(), np.clip(y_pred, 0, 1) if clip else y_pred
    weights = np.broadcast_to(weights, p.shape)
    for (row, label), value in np.ndenumerate(p):
        place = int((thresholds < value).sum())
        counts[int(y_true[row, label] != 0), label, place] += weights[row, label]
    return counts


def _thresholds(count):
    return lambda rng: np.sort(rng.uniform(0, 1, count))


threshold_counts = Op(
    "threshold_counts",
    lambda y_true, y_pred, thresholds, weights=None, *, clip=False: [],
    kernels="confusion.threshold_counts",
    reference=_threshold_counts,
    cases=[
        Case(
            (
                _bits((n, labels)),
                lambda rng, shape=(n, labels): rng.integers(-16, 80, shape) / 64,
                _thresholds(count),
                weights,
                (2, labels, count + 1),
            ),
            {"clip": clip},
            terms=max(n, 1),
        )
        for n, labels, count, weights in [
            (0, 1, 3, (1, 1)), (1, 1, 1, (1, 1)), (65, 1, 200, (65, 1)), (33, 5, 4, (33, 5)),
            (33, 5, 2, (1, 5)), (9, 3, 0, (9, 1)),
        ]
        for clip in (False, True)
    ],
    flops=0,
    in_place=True,
    float64=(4,),
    doc="counts (2, L, K + 1) += the weights (N or 1, L or 1; of none, 1) of predictions y_pred "
    "(N, L), by whether y_true (N, L) is not 0 and by how many of the ascending thresholds (K,) "
    "lie below y_pred, which `clip` keeps in [0, 1].",
)  # fmt: skip


def _sums_about(counts):
    below = np.cumsum(counts, axis=-1)[..., :-1]
    return np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1][..., 1:], below


def _sums_infer(counts):
    dtype = expect_dtype("sums_about_thresholds", counts=counts)
    expect_shape("sums_about_thresholds", "counts", counts.shape, (None, None, None))
    shape = (*counts.shape[:2], max(counts.shape[2] - 1, 0))
    return [(shape, dtype), (shape, dtype)]


sums_about_thresholds = Op(
    "sums_about_thresholds",
    _sums_infer,
    kernels="confusion.sums_about_thresholds",
    reference=_sums_about,
    cases=[
        Case((lambda rng, shape=shape: rng.integers(0, 9, shape) * 0.25,))
        for shape in [(2, 1, 1), (2, 3, 2), (2, 1, 201)]
    ],
    results=2,
    doc="Of counts (S, L, K + 1), by how many thresholds lie below a prediction: the sums of those "
    "above each threshold, counts[..., t + 1:], and of the others, both (S, L, K).",
)


def _confusion_matrix(y_true, y_pred, weights, matrix, ignored=-1):
    matrix, (rows, columns) = matrix.copy(), matrix.shape
    for row, column, weight in zip(
        y_true.astype(int), y_pred.astype(int), np.broadcast_to(weights, y_true.shape), strict=True
    ):
        if 0 <= row < rows and 0 <= column < columns and row != ignored:
            matrix[row, column] += weight
    return matrix


confusion_matrix = Op(
    "confusion_matrix",
    lambda y_true, y_pred, weights=None, *, ignored=-1: [],
    kernels="confusion.confusion_matrix",
    reference=_confusion_matrix,
    cases=[
        Case(
            (
                *[lambda rng, n=n, classes=classes: rng.integers(-1, classes + 1, n)] * 2,
                weights,
                (classes, classes),
            ),
            {"ignored": ignored},
            terms=max(n, 1),
        )
        for n, classes, weights, ignored in [(0, 2, (1,), -1), (65, 3, (65,), -1), (65, 4, (1,), 2)]
    ],
    flops=0,
    in_place=True,
    indices=(0, 1),
    float64=(3,),
    doc="matrix (C, C) += the weights (N,), or one for all (1 if there is none), at row y_true and "
    "column y_pred, both (N,), int64. Of a class outside 0 to C - 1, and of the class `ignored`, "
    "nothing is counted.",
)
