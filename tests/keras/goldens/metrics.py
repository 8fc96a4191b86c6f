"""Metrics that Keras and fastnn both have, with arguments and batches to take them of."""

from collections.abc import Iterator
from typing import Any

import numpy as np

SIZES = 6, 1, 9  # of the batches
N, T, C = sum(SIZES), 3, 4
_rng = np.random.default_rng(7)


def _softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


NUMBERS = _rng.normal(size=(2, N, C)).astype("f4")
POSITIVE = _rng.uniform(0.1, 3, (2, N, C)).astype("f4")
SHARES = _softmax(_rng.normal(size=(2, N, C))).astype("f4")
BITS = _rng.integers(0, 2, (N, C)).astype("f4")
# in sixty-fourths: some lie at a threshold, and some beyond 0 and 1
BETWEEN = (_rng.integers(-4, 68, (N, C)) / 64).astype("f4")
LABELS = _rng.integers(0, C, N)
ONE_HOT = np.eye(C, dtype="f4")[LABELS]
P, Z = SHARES[1], NUMBERS[1]
CLASSES = _rng.integers(0, C, (2, N, T))
IMAGES = _rng.integers(0, 2, (N, T, C)).astype("f4"), _rng.uniform(size=(N, T, C)).astype("f4")
STEPS = _rng.integers(0, C, (N, T)), _softmax(_rng.normal(size=(N, T, C))).astype("f4")
ONE = BITS[:, :1], BETWEEN[:, :1]
WEIGHTS = {
    "none": None,
    "rows": (_rng.integers(1, 9, N) / 4).astype("f4"),
    "column": (_rng.integers(0, 9, (N, 1)) / 4).astype("f4"),
}
AT = ({"num_thresholds": 9}, {"class_id": 2}, {"num_thresholds": 1})
# of a metric's name: arguments, y_true, y_pred
CASES: dict[str, list[tuple[dict[str, Any], Any, Any]]] = {
    "Accuracy": [({}, np.round(NUMBERS[0]), np.round(Z)), ({}, *CLASSES)],
    "BinaryAccuracy": [({}, BITS, P), ({"threshold": 0.25}, BITS, BETWEEN), ({}, *IMAGES)],
    "CategoricalAccuracy": [({}, ONE_HOT, P), ({}, *IMAGES)],
    "SparseCategoricalAccuracy": [({}, LABELS, P), ({}, LABELS[:, None], P), ({}, *STEPS)],
    "TopKCategoricalAccuracy": [({"k": 2}, ONE_HOT, P), ({}, ONE_HOT, P)],
    "SparseTopKCategoricalAccuracy": [
        ({"k": 2}, LABELS, P),
        ({"k": 2}, LABELS, np.round(Z)),
        ({"k": 2, "from_sorted_ids": True}, LABELS, np.argsort(-Z, axis=1).astype("f4")),
    ],
    **{
        name: [({}, BITS, BETWEEN), ({"thresholds": [0.75, 0.25]}, BITS, BETWEEN)]
        for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
    },
    **{
        name: [
            ({}, BITS, BETWEEN),
            ({}, *ONE),
            ({"thresholds": [0.0, 0.5, 1.0]}, BITS, BETWEEN),
            ({"thresholds": 0.25, "class_id": 1}, BITS, BETWEEN),
            ({"top_k": 2}, BITS, P),
            ({"top_k": 3, "class_id": 2}, BITS, P),
        ]
        for name in ("Precision", "Recall")
    },
    **{
        name: [({argument: least, **given}, BITS, BETWEEN) for least, given in zip(
            (0.5, 0.3, 0.9), AT, strict=True
        )]
        for name, argument in [
            ("SensitivityAtSpecificity", "specificity"),
            ("SpecificityAtSensitivity", "sensitivity"),
            ("PrecisionAtRecall", "recall"),
            ("RecallAtPrecision", "precision"),
        ]
    },
    "AUC": [
        ({}, *ONE),
        *[
            ({"num_thresholds": 9, "curve": curve, "summation_method": method}, BITS, BETWEEN)
            for curve in ("ROC", "PR", "PRGAIN")
            for method in ("interpolation", "minoring", "majoring")
        ],
        ({"thresholds": [0.7, 0.2]}, BITS, P),
        ({"from_logits": True, "num_thresholds": 17}, BITS, Z),
        ({"num_thresholds": 17, "label_weights": [1.0, 0.5, 0.0, 2.0]}, BITS, P),
    ],
    "FBetaScore": [
        ({"average": average, "beta": 2.0, "threshold": threshold}, BITS, P)
        for average in (None, "micro", "macro", "weighted")
        for threshold in (None, 0.25)
    ],
    "F1Score": [({}, ONE_HOT, P), ({"average": "macro", "threshold": 0.5}, *ONE)],
    "MeanSquaredError": [({}, *NUMBERS), ({}, *IMAGES)],
    "RootMeanSquaredError": [({}, *NUMBERS)],
    "MeanAbsoluteError": [({}, *NUMBERS)],
    "MeanAbsolutePercentageError": [({}, *POSITIVE)],
    "MeanSquaredLogarithmicError": [({}, *POSITIVE)],
    "CosineSimilarity": [({}, *NUMBERS), ({"axis": 1}, *IMAGES)],
    "LogCoshError": [({}, *NUMBERS)],
    "PearsonCorrelation": [({}, *NUMBERS)],
    "ConcordanceCorrelation": [({}, *NUMBERS)],
    "R2Score": [
        ({"class_aggregation": aggregation}, *NUMBERS)
        for aggregation in (None, "uniform_average", "variance_weighted_average")
    ],
    "Hinge": [({}, BITS, Z)],
    "SquaredHinge": [({}, BITS, Z)],
    "CategoricalHinge": [({}, ONE_HOT, Z)],
    "KLDivergence": [({}, *SHARES)],
    "Poisson": [({}, *POSITIVE)],
    "BinaryCrossentropy": [
        ({}, BITS, P),
        ({"from_logits": True, "label_smoothing": 0.25}, BITS, Z),
    ],
    "CategoricalCrossentropy": [
        ({}, ONE_HOT, P),
        ({"from_logits": True, "label_smoothing": 0.25}, ONE_HOT, Z),
    ],
    "SparseCategoricalCrossentropy": [
        ({}, LABELS, P),
        ({"from_logits": True}, LABELS, Z),
        ({"ignore_class": 2}, LABELS, P),
    ],
    "IoU": [
        ({"num_classes": C, "target_class_ids": [0, 2], "dtype": "float32"}, CLASSES[0, :, 0],
         CLASSES[1, :, 0]),
        ({"num_classes": 3, "target_class_ids": [1], "ignore_class": 2, "dtype": "float32"},
         CLASSES[0, :, 0], CLASSES[1, :, 0]),
    ],
    "BinaryIoU": [({"threshold": 0.25, "dtype": "float32"}, ONE[0][:, 0], ONE[1][:, 0])],
    "MeanIoU": [({"num_classes": C, "dtype": "float32"}, CLASSES[0, :, 0], CLASSES[1, :, 0])],
    "OneHotIoU": [
        ({"num_classes": C, "target_class_ids": [0, 2], "dtype": "float32"}, ONE_HOT, P)
    ],
    "OneHotMeanIoU": [({"num_classes": C, "dtype": "float32"}, ONE_HOT, P)],
}  # fmt: skip
SUMS = [("Mean", NUMBERS[0]), ("Sum", NUMBERS[0]), ("Mean", Z[:, 0]), ("Sum", Z[:, 0])]


def batches(*arrays: Any) -> Iterator[list[Any]]:
    """The arrays, batch after batch; None stays None."""
    start = 0
    for size in SIZES:
        yield [None if a is None else a[start : start + size] for a in arrays]
        start += size


def each() -> Iterator[tuple[str, dict[str, Any], tuple, str]]:
    """The name of a metric, its arguments, what it is given before weights, and those."""
    for name, cases in CASES.items():
        for arguments, y_true, y_pred in cases:
            for weights in WEIGHTS:
                if name in ("FBetaScore", "F1Score", "IoU", "BinaryIoU") and weights == "column":
                    continue  # Keras wants rows'
                yield name, arguments, (y_true, y_pred), weights
    for name, values in SUMS:
        for weights in ("none", "rows"):
            yield name, {}, (values,), weights
