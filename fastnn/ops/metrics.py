"""What metrics are means of, row by row, and the means. None of them has a gradient."""

import numpy as np

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


def _accumulated(values, weights, totals, scale=1.0):
    return totals + scale * np.array([(values * weights).sum(), weights.sum()])


accumulate = Op(
    "accumulate",
    lambda values, weights=None, *, scale=1.0: [],
    kernels="epoch.accumulate",
    reference=_accumulated,
    cases=[Case(((n,), (n,), (2,)), {"scale": 0.5}, terms=max(n, 1)) for n in (0, 1, 65)],
    flops=0,
    in_place=True,
    float64=(2,),
    doc="totals (2,) += scale (sum of values weights, sum of weights), in float64.",
)


def _ended(row, totals, history):
    history = history.copy()
    history[row[0] % len(history)] = totals[:, 0] / totals[:, 1]
    return np.zeros_like(totals), history


end_epoch = Op(
    "end_epoch",
    lambda row: [],
    kernels="epoch.end_epoch",
    reference=_ended,
    cases=[
        Case((lambda rng, at=at: np.array([at]), (3, 2), (4, 3)), domain=(1.0, 2.0))
        for at in (0, 6)
    ],
    indices=(0,),
    flops=0,
    in_place=True,
    float64=(1, 2),
    doc="The row number `row` of history (epochs, means), a ring, = totals[:, 0] / totals[:, 1]; "
    "then totals = 0.",
)
