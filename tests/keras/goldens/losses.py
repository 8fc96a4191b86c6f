"""Losses that Keras and fastnn both have, with arguments and data to take them of."""

from typing import Any

import numpy as np

N, T, C = 5, 3, 4
_rng = np.random.default_rng(24)


def _softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


WEIGHTS = {
    "none": None,
    "one": 2.5,
    "rows": _rng.uniform(0.5, 2, N).astype("f4"),
    "column": _rng.uniform(-1, 2, (N, 1)).astype("f4"),
}
NUMBERS = _rng.normal(size=(2, N, C)).astype("f4")
POSITIVE = _rng.uniform(0.1, 3, (2, N, C)).astype("f4")
SHARES = _softmax(_rng.normal(size=(2, N, C))).astype("f4")
BITS = _rng.integers(0, 2, (N, C)).astype("f4")
LABELS = _rng.integers(0, C, N)
ONE_HOT = np.eye(C, dtype="f4")[LABELS]
Z, P = NUMBERS[1], SHARES[1]
IMAGES = (_rng.integers(0, 2, (N, T, C)).astype("f4"), _rng.uniform(size=(N, T, C)).astype("f4"))
UNIT = NUMBERS[0] / np.linalg.norm(NUMBERS[0], axis=1, keepdims=True)
# of a loss's name: arguments, y_true, y_pred
CASES: dict[str, list[tuple[dict[str, Any], Any, Any]]] = {
    "MeanSquaredError": [({}, *NUMBERS), ({}, *IMAGES)],
    "MeanAbsoluteError": [({}, *NUMBERS)],
    "MeanAbsolutePercentageError": [({}, *NUMBERS), ({}, BITS + 1, Z)],
    "MeanSquaredLogarithmicError": [({}, *POSITIVE), ({}, *NUMBERS)],
    "CosineSimilarity": [({}, *NUMBERS), ({"axis": 1}, *IMAGES)],
    "Huber": [({}, *NUMBERS), ({"delta": 0.5}, *NUMBERS)],
    "LogCosh": [({}, *NUMBERS), ({}, 30 * NUMBERS[0], Z)],
    "Hinge": [({}, BITS, Z), ({}, 2 * BITS - 1, Z), ({}, *NUMBERS)],
    "SquaredHinge": [({}, BITS, Z), ({}, 2 * BITS - 1, Z)],
    "CategoricalHinge": [({}, ONE_HOT, Z)],
    "KLDivergence": [({}, *SHARES), ({}, ONE_HOT, P)],
    "Poisson": [({}, *POSITIVE)],
    "BinaryCrossentropy": [
        ({}, BITS, P),
        ({"from_logits": True}, BITS, 5 * Z),
        ({"label_smoothing": 0.2}, BITS, P),
        ({"axis": 1}, *IMAGES),
    ],
    "BinaryFocalCrossentropy": [
        ({}, BITS, P),
        ({"apply_class_balancing": True, "gamma": 1.5}, BITS, P),
        ({"from_logits": True, "label_smoothing": 0.2}, BITS, Z),
    ],
    "CategoricalCrossentropy": [
        ({}, ONE_HOT, P),
        ({}, ONE_HOT, 3 * P),
        ({"from_logits": True}, SHARES[0], 5 * Z),
        ({"label_smoothing": 0.2}, ONE_HOT, P),
        ({"axis": 1}, *IMAGES),
    ],
    "CategoricalFocalCrossentropy": [
        ({}, ONE_HOT, P),
        ({"alpha": [0.5, 1.0, 1.5, 2.0], "gamma": 1.5}, ONE_HOT, P),
        ({"from_logits": True, "label_smoothing": 0.2}, ONE_HOT, Z),
    ],
    "CategoricalGeneralizedCrossEntropy": [({}, LABELS, P), ({"q": 0.25}, LABELS, P)],
    "SparseCategoricalCrossentropy": [
        ({}, LABELS, P),
        ({}, LABELS[:, None], P),
        ({"from_logits": True}, LABELS, 5 * Z),
        ({"ignore_class": int(LABELS[0])}, LABELS, P),
        ({"ignore_class": -1, "from_logits": True}, np.where(LABELS == 1, -1, LABELS), Z),
        ({"from_logits": True}, IMAGES[0][:, :, 0].astype(int), IMAGES[1]),
    ],
    "Dice": [({}, *IMAGES), ({"axis": (1, 2)}, *IMAGES)],
    "Tversky": [({}, *IMAGES), ({"axis": (1, 2)}, *IMAGES)],
    "Circle": [
        ({"gamma": 2.0}, LABELS, UNIT),
        ({"margin": 0.2, "remove_diagonal": False}, LABELS[:, None], UNIT),
    ],
}
REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight", "none")


def each() -> Any:
    """(kind, arguments, reduction, y_true, y_pred, sample_weight) of every case."""
    for kind, cases in CASES.items():
        for arguments, y_true, y_pred in cases:
            for reduction in REDUCTIONS:
                for how, weight in WEIGHTS.items():
                    rows = np.ndim(y_pred) == 2 and arguments.get("axis", -1) == -1
                    if how in ("none", "one") or rows:
                        yield kind, arguments, reduction, y_true, y_pred, weight
