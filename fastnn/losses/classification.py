"""Cross-entropies: losses of classes."""

from typing import Any

import numpy as np

from fastnn import checks, ops
from fastnn.dtypes import INT64
from fastnn.errors import ShapeError, shape_text, warn
from fastnn.targets import Shape, labels, whole_numbers
from fastnn.tensor import Tensor, operand

from .base import EPSILON, BuiltIn, Elementwise, alike


def _made_by(op, prediction):
    node = prediction.node
    return node if node is not None and node.op is op else None


def _clipped(p):
    return ops.minimum(ops.maximum(p, EPSILON), 1.0 - EPSILON)


def _smoothed(y_true, label_smoothing, classes):
    """Targets, and `label_smoothing` of what they are evenly over all classes."""
    return (
        y_true * (1.0 - label_smoothing) + label_smoothing / classes if label_smoothing else y_true
    )


def _expect_axis(name, y_pred, axis):
    is_one = isinstance(axis, int | np.integer) and not isinstance(axis, bool)
    if not is_one or not -y_pred.ndim <= axis < y_pred.ndim:
        raise ValueError(
            f"{name}: axis must be one of the dimensions of y_pred, whose shape is "
            f"{shape_text(y_pred.shape)}; got {axis!r}"
        )


# ---- of two classes


def _binary(y_true, y_pred, from_logits, label_smoothing):
    y_true = _smoothed(y_true, label_smoothing, 2)
    if from_logits:
        return ops.sigmoid_cross_entropy(y_pred, y_true)
    node = _made_by(ops.sigmoid, y_pred)
    if node is not None:
        return ops.sigmoid_cross_entropy(node.inputs[0], y_true)
    return ops.clipped_binary_cross_entropy(y_pred, y_true)


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
    values = (1.0 - of_target) ** gamma * ops.clipped_binary_cross_entropy(p, y_true)
    return (y_true * alpha + (1.0 - y_true) * (1.0 - alpha)) * values if balancing else values


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
    _expect_axis(name, y_pred, axis)
    if y_pred.shape[axis] == 1:
        warn(
            f"{name}: of one class alone, predictions of shape {shape_text(y_pred.shape)}, the "
            "probability is 1. For two classes in one column use 'binary_crossentropy'.",
            SyntaxWarning,
        )


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
    node = None if from_logits else _made_by(ops.softmax, y_pred)
    if node is not None and axis in (-1, 1):
        return ops.categorical_crossentropy(y_true, node.inputs[0], True)
    return ops.categorical_crossentropy(y_true, y_pred, from_logits, axis)


class CategoricalCrossentropy(BuiltIn, of=categorical_crossentropy):
    """-(the sum of y_true log(y_pred)) over the classes of a row.

    y_true: (N, ..., C), one-hot rows or probabilities; y_pred: the same shape, probabilities, or,
    with from_logits=True, what a softmax would make them of. Where y_pred (N, C) is the result of a
    softmax, the loss is computed from what that was given, exactly; other probabilities are divided
    by their sum and kept 1e-7 away from 0 and 1, as Keras does. label_smoothing: from 0 to 1;
    targets become that much of 1 / C, and the rest their own. axis: that of the classes.

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


# ---- of labels


def labels_of(y_true: Any, shape: tuple[int, ...], name: str, axis: int = -1) -> Tensor:
    """Labels for predictions of this shape, whose classes stand along `axis`, as int64 of that
    shape without them. Of arrays they are whole numbers."""
    if not isinstance(y_true, Tensor):
        y_true = operand(whole_numbers(np.asarray(y_true), name).astype(INT64), INT64)
    y_true = y_true if y_true.dtype == INT64 else y_true.astype(INT64)
    wanted = tuple([e for d, e in enumerate(shape) if d != axis % len(shape)])
    kept = tuple([1 if d == axis % len(shape) else e for d, e in enumerate(shape)])
    if y_true.shape not in (wanted, kept):
        raise ShapeError(
            f"{name}: y_true must hold labels of shape {shape_text(wanted)} for predictions of "
            f"{shape_text(shape)}; got {shape_text(y_true.shape)}"
        )
    return y_true if y_true.shape == wanted else ops.reshape(y_true, wanted)


def _sparse(y_true, y_pred, from_logits, axis):
    node = None if from_logits else _made_by(ops.softmax, y_pred)
    if node is not None and axis in (-1, 1):
        return ops.softmax_cross_entropy(node.inputs[0], y_true, *node.outputs_as_tensors())
    return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits, axis)


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor:
    """-log(y_pred[label]) along an axis: of labels (...) or (..., 1) and predictions (..., C),
    (...). Arguments as in `SparseCategoricalCrossentropy`.

    >>> import fastnn
    >>> fastnn.losses.sparse_categorical_crossentropy([1], [[0.2, 0.8]]).numpy().round(4)
    array([0.2231], dtype=float32)
    """
    y_pred, name = operand(y_pred), "sparse_categorical_crossentropy"
    _expect_axis(name, y_pred, axis)
    if not isinstance(y_true, Tensor):
        y_true = labels(np.asarray(y_true), y_pred.shape[axis], name, ignore_class)
    y_true = labels_of(y_true, y_pred.shape, name, axis)
    if ignore_class is None:
        return _sparse(y_true, y_pred, from_logits, axis)
    counts = y_true != ignore_class
    values = _sparse(ops.where(counts, y_true, 0), y_pred, from_logits, axis)
    values = ops.where(counts, values, 0.0)
    values._keras_mask = counts
    return values


class SparseCategoricalCrossentropy(BuiltIn, of=sparse_categorical_crossentropy):
    """-log(y_pred[label]), where label is the row's class.

    y_true: (N,) or (N, 1), whole numbers from 0 to C - 1; y_pred: (N, C), probabilities, or, with
    from_logits=True, what a softmax would make them of; also (N, ...) for (N, ..., C). Where y_pred
    (N, C) is the result of a softmax, the loss is computed from what that was given, exactly; other
    probabilities are kept 1e-7 away from 0 and 1 and divided by their sum, as Keras does on
    TensorFlow (on JAX and PyTorch in the other order).
    ignore_class: a label, which need not be a class, whose rows count for nothing. axis: that of
    the classes.

    >>> import fastnn
    >>> loss = fastnn.losses.SparseCategoricalCrossentropy()
    >>> round(loss([0, 1], [[0.9, 0.1], [0.2, 0.8]]).item(), 4)
    0.1643
    """

    takes_labels = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.axis == -1:  # which Keras never writes
            del config["axis"]
        return config

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if self.ignore_class is None:
            return _sparse(y_true, y_pred, self.from_logits, self.axis)
        return sparse_categorical_crossentropy(
            y_true, y_pred, self.from_logits, self.ignore_class, self.axis
        )


def _of_label(y_true, y_pred):
    """y_pred[label] of rows (..., C)."""
    classes = np.arange(y_pred.shape[-1])
    is_label = ops.reshape(y_true, (*y_true.shape, 1)) == classes
    return ops.sum(ops.where(is_label, y_pred, 0.0), axis=-1)


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Tensor:
    """(1 - y_pred[label]^q) / q: of labels (...) and probabilities (..., C), (...).

    >>> import fastnn
    >>> loss = fastnn.losses.categorical_generalized_cross_entropy
    >>> loss([1], [[0.75, 0.25]], q=0.5).numpy()
    array([1.], dtype=float32)
    """
    y_pred, name = operand(y_pred), "categorical_generalized_cross_entropy"
    return (1.0 - _of_label(labels_of(y_true, y_pred.shape, name), y_pred) ** q) / q


class CategoricalGeneralizedCrossEntropy(BuiltIn, of=categorical_generalized_cross_entropy):
    """(1 - y_pred[label]^q) / q, between the cross-entropy (q to 0) and the absolute error (q to
    1): it minds wrong labels less. Zhang and Sabuncu, "Generalized cross entropy loss for training
    deep neural networks with noisy labels", 2018.

    y_true: (N,) or (N, 1), whole numbers from 0 to C - 1; y_pred: (N, C), probabilities. q: between
    0 and 1.

    >>> import fastnn
    >>> fastnn.losses.CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]]).item()
    1.0
    """

    takes_labels = True

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        self.q = checks.fraction("CategoricalGeneralizedCrossEntropy: q", q, zero=False)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return categorical_generalized_cross_entropy(y_true, y_pred, self.q)
