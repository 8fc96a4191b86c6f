"""Losses of classes whose targets are labels: the numbers of the classes."""

from typing import Any

import numpy as np

from fastnn import checks, ops
from fastnn.convert import as_numbers
from fastnn.declared import as_declared
from fastnn.errors import ShapeError, shape_text
from fastnn.targets import as_labels, expect_axis, labels
from fastnn.tensor import Tensor, operand

from .base import BuiltIn, made_by_softmax


def labels_of(y_true: Any, shape: tuple[int, ...], name: str, axis: int = -1) -> Tensor:
    """Labels for predictions of this shape, whose classes stand along `axis`, as int64 of that
    shape without them. Of arrays they are whole numbers."""
    y_true = as_labels(y_true, name)
    wanted = tuple([e for d, e in enumerate(shape) if d != axis % len(shape)])
    kept = tuple([1 if d == axis % len(shape) else e for d, e in enumerate(shape)])
    if y_true.shape not in (wanted, kept):
        raise ShapeError(
            f"{name}: y_true must hold labels of shape {shape_text(wanted)} for predictions of "
            f"{shape_text(shape)}; got {shape_text(y_true.shape)}"
        )
    return y_true if y_true.shape == wanted else ops.reshape(y_true, wanted)


def _sparse(y_true, y_pred, from_logits, axis):
    node = None if from_logits else made_by_softmax(y_pred, axis)
    if node is not None and y_pred.ndim == 2 and axis in (-1, 1):
        return ops.softmax_cross_entropy(node.inputs[0], y_true, *node.outputs_as_tensors())
    if node is not None:
        y_pred, from_logits = node.inputs[0], True
    return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits, axis)


@as_declared
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
    y_pred, name = operand(y_pred, name="y_pred"), "sparse_categorical_crossentropy"
    if ignore_class is not None and not (
        checks.is_whole(ignore_class, -(1 << 63)) and ignore_class < 1 << 63
    ):
        raise ValueError(f"{name}: ignore_class must be an integer; got {ignore_class!r}")
    expect_axis(name, y_pred.shape, axis)
    if not isinstance(y_true, Tensor):
        y_true = as_numbers(y_true, f"{name}: labels")
        y_true = labels(y_true, y_pred.shape[axis], name, ignore_class)
    y_true = labels_of(y_true, y_pred.shape, name, axis)
    if ignore_class is None:
        return _sparse(y_true, y_pred, from_logits, axis)
    counts = y_true != ignore_class
    values = _sparse(ops.where(counts, y_true, 0), y_pred, from_logits, axis)
    values = ops.where(counts, values, 0.0)
    values._keras_mask = counts  # not by set_mask: layers need not look for it
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
    y_pred, name = operand(y_pred, name="y_pred"), "categorical_generalized_cross_entropy"
    q = checks.positive(f"{name}: q", q)
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
