"""Small training runs that Keras and fastnn both understand: `build` and `fit` by the names they
share."""

from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    layers: list[tuple[str, dict[str, Any]]]
    optimizer: tuple[str, dict[str, Any]]
    loss: str
    metrics: list[str]
    columns: int
    fit: dict[str, Any]
    targets: str = "classes"
    weighted: bool = False


# No bias before a normalisation: its gradient is zero but for rounding, which Adam would blow up to
# whole steps.
HIDDEN = [("Dense", {"units": 16, "use_bias": False}), ("BatchNormalization", {}), ("ReLU", {})]
SOFTMAX = [("Dense", {"units": 4, "activation": "softmax"})]
PLAIN = [("Dense", {"units": 8, "activation": "tanh"}), ("Dense", {"units": 1})]

CASES = {
    "article": Case(
        [("Dense", {"units": 1, "activation": "sigmoid"})], ("SGD", {}), "binary_crossentropy",
        ["accuracy"], 10,
        {"batch_size": 10, "epochs": 3}, targets="normal",
    ),
    "classes": Case(
        HIDDEN + SOFTMAX, ("Adam", {}), "sparse_categorical_crossentropy", ["accuracy"], 6,
        {"batch_size": 32, "epochs": 3, "validation_split": 0.2},
    ),
    "weighted": Case(
        SOFTMAX, ("Adam", {"learning_rate": 0.01}), "sparse_categorical_crossentropy", ["acc"], 5,
        {"batch_size": 16, "epochs": 2}, weighted=True,
    ),
    "momentum": Case(
        PLAIN, ("SGD", {"learning_rate": 0.05, "momentum": 0.9}), "mse", [], 5,
        {"batch_size": 7, "epochs": 3}, "normal",
    ),
    "nesterov": Case(PLAIN, ("SGD", {"momentum": 0.8, "nesterov": True}), "mse", ["mse"], 5,
    {"epochs": 3}, "normal"),
    "rmsprop": Case(PLAIN, ("RMSprop", {}), "mean_squared_error", [], 5, {"epochs": 3}, "normal"),
    "relu probabilities": Case(
        [("Dense", {"units": 8, "activation": "relu"}),
        ("Dense", {"units": 2, "activation": "sigmoid"}), ("ReLU", {})],
        ("SGD", {"learning_rate": 0.1}), "binary_crossentropy", ["accuracy"], 5, {"epochs": 2},
         "bits",
    ),
    "softmax layer": Case(
        [("Dense", {"units": 8, "activation": "relu"}), ("Dense", {"units": 4}), ("Softmax", {})],
        ("Adam", {}), "sparse_categorical_crossentropy", ["sparse_categorical_accuracy"], 5,
         {"epochs": 2},
    ),
    "regularized": Case(
        [("Dense", {"units": 8, "activation": "tanh", "kernel_regularizer": "l2",
         "bias_regularizer": "l1l2", "activity_regularizer": "l1"}),
        ("Dense", {"units": 1, "kernel_regularizer": "l1"})],
        ("SGD", {"learning_rate": 0.05}), "mse", ["mse"], 5,
        {"batch_size": 16, "epochs": 2, "validation_split": 0.2}, "normal",
    ),
    "constrained": Case(
        [("Dense", {"units": 8, "activation": "tanh", "kernel_constraint": "unit_norm",
         "bias_constraint": "non_neg"}),
        ("Dense", {"units": 1, "kernel_constraint": "min_max_norm"})],
        ("Adam", {"learning_rate": 0.05}), "mse", [], 5, {"batch_size": 16, "epochs": 2}, "normal",
    ),
    "focal": Case(
        SOFTMAX, ("SGD", {"learning_rate": 0.5}), "categorical_focal_crossentropy", [], 5,
        {"batch_size": 16, "epochs": 2}, "one-hot", weighted=True,
    ),
    "categorical": Case(
        HIDDEN + SOFTMAX, ("Adam", {}), "categorical_crossentropy", ["accuracy"], 5,
        {"batch_size": 16, "epochs": 2}, "one-hot",
    ),
}  # fmt: skip
ROWS = 103


def build(keras: Any, case: Case) -> Any:
    """The model of a case, from whichever library has Keras's names."""
    layers = [getattr(keras.layers, kind)(**arguments) for kind, arguments in case.layers]
    model = keras.Sequential([keras.Input((case.columns,)), *layers])
    kind, arguments = case.optimizer
    model.compile(
        optimizer=getattr(keras.optimizers, kind)(**arguments), loss=case.loss, metrics=case.metrics
    )
    return model


def data(case: Case) -> tuple[Any, Any, Any]:
    """x, y and weights or None, the same everywhere."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(ROWS, case.columns)).astype("float32")
    weights = rng.uniform(0.5, 2, ROWS).astype("float32") if case.weighted else None
    if case.targets == "classes":
        y = (x[:, 0] > 0) + 2 * (x[:, 1] > 0)
    elif case.targets == "one-hot":
        y = np.eye(4, dtype="float32")[(x[:, 0] > 0) + 2 * (x[:, 1] > 0)]
    elif case.targets == "bits":
        y = np.stack([x[:, 0] > 0, x[:, 1] + x[:, 2] > 0], axis=1).astype("float32")
    else:
        y = rng.normal(size=(ROWS, 1)).astype("float32")
    return x, y, weights
