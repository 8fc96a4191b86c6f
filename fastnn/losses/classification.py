"""Cross-entropies: losses of classes."""

from typing import Any

import numpy as np

from fastnn import checks, ops
from fastnn.declared import as_declared
from fastnn.errors import shape_text, warn
from fastnn.targets import Shape, expect_axis
from fastnn.tensor import Tensor, operand

from .base import EPSILON, BuiltIn, Elementwise, alike, made_by, made_by_softmax


def _clipped(p):
    return ops.minimum(ops.maximum(p, EPSILON), 1.0 - EPSILON)


def _smoothed(y_true, label_smoothing, classes):
    """Targets, and `label_smoothing` of what they are evenly over all classes."""
    label_smoothing = checks.fraction("label_smoothing", label_smoothing, one=True)
    return (
        y_true * (1.0 - label_smoothing) + label_smoothing / classes if label_smoothing else y_true
    )


# ---- of two classes


def _binary(y_true, y_pred, from_logits, label_smoothing):
    y_true = _smoothed(y_true, label_smoothing, 2)
    if from_logits:
        return ops.sigmoid_cross_entropy(y_pred, y_true)
    node = made_by(ops.sigmoid, y_pred)
    if node is not None:
        return ops.sigmoid_cross_entropy(node.inputs[0], y_true)
    return ops.clipped_binary_cross_entropy(y_pred, y_true)


@as_declared
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: Any = -1,
) -> Tensor:
    """The mean of -y_true log(y_pred) - (1 - y_true) log(1 - y_pred) along an axis: (..., C) gives
    (...). Arguments as in `BinaryCrossentropy`.

    >>> import fastnn
    >>> fastnn.losses.binary_crossentropy([[1.0], [0.0]], [[0.9], [0.2]]).numpy().round(4)
    array([0.1054, 0.2231], dtype=float32)
    """
    y_true, y_pred = alike(y_true, y_pred, "binary_crossentropy")
    return ops.mean(_binary(y_true, y_pred, from_logits, label_smoothing), axis=axis)


class Binary(Elementwise, aliases=None):
    """What the losses of two classes share."""

    def targets(self, y_true: Any, shape: Shape, dtype: Any) -> np.ndarray:
        y = super().targets(y_true, shape, dtype)
        if y.size and (y.min() < 0 or y.max() > 1):
            warn(
                f"{self.name}: targets should lie between 0 and 1; got values from {y.min():g} to "
                f"{y.max():g}. The loss then has "
                "no lower bound. For numbers use 'mse'; classes 0 and 1 are made by a comparison, "
                "as in y > 0."
            )
        return y


class BinaryCrossentropy(Binary, of=binary_crossentropy, aliases=("bce",)):
    """-y_true log(y_pred) - (1 - y_true) log(1 - y_pred).

    y_true: (N, ...), 0, 1 or between (other values are taken, with a warning); y_pred: the same
    shape, probabilities, or, with from_logits=True, what a sigmoid would make them of. Where y_pred
    is the result of a sigmoid, the loss is computed from what that was given, exactly; other
    probabilities are kept 1e-7 away from 0 and 1, as Keras does. label_smoothing: from 0 to 1;
    targets become that much of 1/2, and the rest their own. axis: along which elements are
    averaged.

    >>> import fastnn
    >>> round(fastnn.losses.BinaryCrossentropy()([[1.0], [0.0]], [[0.9], [0.2]]).item(), 4)
    0.1643
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: Any = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        self.from_logits, self.axis = from_logits, axis
        self.label_smoothing = _smoothing("BinaryCrossentropy", label_smoothing)

    def elements(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return _binary(y_true, y_pred, self.from_logits, self.label_smoothing)


def _smoothing(name, value):
    return checks.fraction(f"{name}: label_smoothing", value, one=True)


def _binary_focal(y_true, y_pred, balancing, alpha, gamma, from_logits, label_smoothing):
    y_true = _smoothed(y_true, label_smoothing, 2)
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    of_target = y_true * p + (1.0 - y_true) * (1.0 - p)
    gamma = checks.not_negative("gamma", gamma)
    values = (1.0 - of_target) ** gamma * ops.clipped_binary_cross_entropy(p, y_true)
    return (y_true * alpha + (1.0 - y_true) * (1.0 - alpha)) * values if balancing else values


@as_declared
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: Any = -1,
) -> Tensor:
    """The mean along an axis of binary cross-entropies times (1 - p)^gamma, p being the probability
    of the target: (..., C) gives (...). Arguments as in `BinaryFocalCrossentropy`.

    >>> import fastnn
    >>> fastnn.losses.binary_focal_crossentropy([[1.0], [0.0]], [[0.9], [0.2]]).numpy().round(4)
    array([0.0011, 0.0089], dtype=float32)
    """
    y_true, y_pred = alike(y_true, y_pred, "binary_focal_crossentropy")
    given = apply_class_balancing, alpha, gamma, from_logits, label_smoothing
    return ops.mean(_binary_focal(y_true, y_pred, *given), axis=axis)


class BinaryFocalCrossentropy(Binary, of=binary_focal_crossentropy):
    """(1 - p)^gamma times the binary cross-entropy, p being the probability of the target: what is
    right already counts less. Lin and others, "Focal loss for dense object detection", 2017.

    y_true, y_pred, from_logits, label_smoothing, axis: as in `BinaryCrossentropy`. gamma: from 0
    on. apply_class_balancing: multiply with alpha where the target is 1, 1 - alpha where it is 0.

    >>> import fastnn
    >>> loss = fastnn.losses.BinaryFocalCrossentropy(gamma=2)
    >>> round(loss([[1.0], [0.0]], [[0.9], [0.2]]).item(), 4)
    0.005
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: Any = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        self.apply_class_balancing, self.alpha, self.from_logits, self.axis = (
            apply_class_balancing,
            alpha,
            from_logits,
            axis,
        )
        self.gamma = checks.not_negative("BinaryFocalCrossentropy: gamma", gamma)
        self.label_smoothing = _smoothing("BinaryFocalCrossentropy", label_smoothing)

    def elements(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        given = self.apply_class_balancing, self.alpha, self.gamma
        return _binary_focal(y_true, y_pred, *given, self.from_logits, self.label_smoothing)


# ---- of classes in a row


def _expect_classes(name, y_pred, axis):
    expect_axis(name, y_pred.shape, axis)
    if y_pred.shape[axis] == 1:
        warn(
            f"{name}: of one class alone, predictions of shape {shape_text(y_pred.shape)}, the "
            "probability is 1. For two classes in one column use 'binary_crossentropy'.",
            SyntaxWarning,
        )


@as_declared
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """-(the sum of y_true log(y_pred)) along an axis: (..., C) gives (...). Arguments as in
    `CategoricalCrossentropy`.

    >>> import fastnn
    >>> fastnn.losses.categorical_crossentropy([[0, 1]], [[0.2, 0.8]]).numpy().round(4)
    array([0.2231], dtype=float32)
    """
    name = "categorical_crossentropy"
    y_true, y_pred = alike(y_true, y_pred, name)
    _expect_classes(name, y_pred, axis)
    y_true = _smoothed(y_true, label_smoothing, y_pred.shape[axis])
    node = None if from_logits else made_by_softmax(y_pred, axis)
    if node is not None:
        return ops.categorical_crossentropy(y_true, node.inputs[0], True, axis)
    return ops.categorical_crossentropy(y_true, y_pred, from_logits, axis)


class CategoricalCrossentropy(BuiltIn, of=categorical_crossentropy):
    """-(the sum of y_true log(y_pred)) over the classes of a row.

    y_true: (N, ..., C), one-hot rows or probabilities; y_pred: the same shape, probabilities, or,
    with from_logits=True, what a softmax would make them of. Where y_pred is the result of a
    softmax along axis, the loss is computed from what that was given, exactly; other probabilities
    are divided by their sum and kept 1e-7 away from 0 and 1, as Keras does. label_smoothing: from 0
    to 1; targets become that much of 1 / C, and the rest their own. axis: that of the classes.

    >>> import fastnn
    >>> loss = fastnn.losses.CategoricalCrossentropy()
    >>> round(loss([[1, 0], [0, 1]], [[0.9, 0.1], [0.2, 0.8]]).item(), 4)
    0.1643
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        self.from_logits, self.axis = from_logits, axis
        self.label_smoothing = _smoothing("CategoricalCrossentropy", label_smoothing)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return categorical_crossentropy(
            y_true, y_pred, self.from_logits, self.label_smoothing, self.axis
        )


@as_declared
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """-(the sum of alpha (1 - y_pred)^gamma y_true log(y_pred)) along an axis: (..., C) gives
    (...). Arguments as in `CategoricalFocalCrossentropy`.

    >>> import fastnn
    >>> loss = fastnn.losses.categorical_focal_crossentropy
    >>> loss([[0, 1]], [[0.2, 0.8]], alpha=1.0).numpy().round(4)
    array([0.0089], dtype=float32)
    """
    name = "categorical_focal_crossentropy"
    y_true, y_pred = alike(y_true, y_pred, name)
    _expect_classes(name, y_pred, axis)
    y_true = _smoothed(y_true, label_smoothing, y_pred.shape[axis])
    if from_logits:
        from fastnn.activations import softmax

        y_pred = softmax(y_pred, axis)
    p = _clipped(y_pred / ops.sum(y_pred, axis=axis, keepdims=True))
    gamma, alpha = checks.not_negative("gamma", gamma), operand(alpha, p.dtype, "alpha")
    return -ops.sum((1.0 - p) ** gamma * alpha * (y_true * ops.log(p)), axis=axis)


class CategoricalFocalCrossentropy(BuiltIn, of=categorical_focal_crossentropy):
    """-(the sum of alpha (1 - y_pred)^gamma y_true log(y_pred)) over the classes of a row: what is
    right already counts less. Lin and others, "Focal loss for dense object detection", 2017.

    y_true, y_pred, from_logits, label_smoothing, axis: as in `CategoricalCrossentropy`. alpha: a
    number, or one for each class. gamma: from 0 on.

    >>> import fastnn
    >>> loss = fastnn.losses.CategoricalFocalCrossentropy(alpha=1.0)
    >>> round(loss([[0, 1]], [[0.2, 0.8]]).item(), 4)
    0.0089
    """

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        self.alpha, self.from_logits, self.axis = alpha, from_logits, axis
        self.gamma = checks.not_negative("CategoricalFocalCrossentropy: gamma", gamma)
        self.label_smoothing = _smoothing("CategoricalFocalCrossentropy", label_smoothing)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        given = self.alpha, self.gamma, self.from_logits, self.label_smoothing, self.axis
        return categorical_focal_crossentropy(y_true, y_pred, *given)
