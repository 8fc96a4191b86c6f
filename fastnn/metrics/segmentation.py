"""Intersection over union of predicted and true classes, of a confusion matrix."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.checks import extents, is_whole, whole_number
from fastnn.errors import ShapeError, shape_text
from fastnn.ops.metrics import confusion_matrix
from fastnn.tensor import Tensor, mask_of, operand

from .base import EPSILON, Metric, as_floats, into, number
from .reduction import broadcast, masked, weights_for, with_dimensions


class IoU(Metric):
    """The mean over target_class_ids of tp / (tp + fp + fn), classes that neither targets nor
    predictions have left out. y_true, y_pred: classes from 0 to num_classes - 1, of one shape; of
    another class nothing is counted.

    ignore_class: a class of targets that is not counted. sparse_y_true, sparse_y_pred: False where
    classes are one-hot, or probabilities, along `axis`, whose largest is meant. sample_weight: of
    the shape of the classes, or what broadcasts to it from the first dimension on. Counts are
    float64, so weights need not be whole numbers (Keras: dtype is "int" unless given).

    >>> import fastnn
    >>> metric = fastnn.metrics.IoU(num_classes=2, target_class_ids=[0])
    >>> print(metric([0, 0, 1, 1], [0, 1, 0, 1]))
    0.33333328
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__("int32" if dtype in (None, "int") else dtype, name)
        self.num_classes = whole_number(f"{self.name}: num_classes", num_classes, 1)
        extents(f"{self.name}: num_classes", (num_classes, num_classes))
        given = target_class_ids if isinstance(target_class_ids, Iterable) else [None]
        self.target_class_ids = [i if is_whole(i) and i < num_classes else None for i in given]
        if None in self.target_class_ids:
            raise ValueError(
                f"{self.name}: target_class_ids must be classes from 0 to {num_classes - 1}; got "
                f"{target_class_ids!r}"
            )
        if ignore_class is not None and not (
            is_whole(ignore_class, -math.inf) and abs(ignore_class) < 1 << 63
        ):
            raise ValueError(f"{self.name}: ignore_class must be an integer; got {ignore_class!r}")
        self.ignore_class = ignore_class
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        self.axis = axis
        shape = (num_classes, num_classes)
        self.total_cm = self.add_variable(shape, dtype="float64", name="total_confusion_matrix")

    def measure(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple:
        given = y_pred
        y_true = self._classes(y_true, self.sparse_y_true)
        y_pred = self.predicted(y_pred)
        if y_true.size != y_pred.size:
            raise ShapeError(
                f"metric {self.name!r}: there must be as many targets as predictions; got classes "
                f"of shapes {shape_text(y_true.shape)} and {shape_text(y_pred.shape)}"
            )
        if sample_weight is None and mask_of(given) is None:
            return y_true.flat(), y_pred.flat()
        like, owner = as_floats(y_pred), f"metric {self.name!r}"
        weights = weights_for(like, masked(sample_weight, given, like, owner), owner)
        if weights.ndim:
            weights = broadcast(with_dimensions(weights, like.ndim), like.shape)
        return y_true.flat(), y_pred.flat(), weights.flat()

    def predicted(self, y_pred: Any) -> Tensor:
        """The classes of predictions."""
        return self._classes(y_pred, self.sparse_y_pred)

    def _classes(self, y, is_sparse):
        if not isinstance(y, Tensor):
            y = np.asarray(y)
            dtype = np.dtype("int64") if y.dtype.kind in "biu" else np.dtype("float32")
            y = operand(y, dtype, f"metric {self.name!r}")
        if not is_sparse:
            y = ops.argmax(y, axis=self.axis)
        return y if y.dtype == "int64" else y.astype("int64")

    def add(self, *given: Tensor) -> None:
        ignored = -1 if self.ignore_class is None else int(self.ignore_class)
        into(confusion_matrix, given, {"ignored": ignored}, self.total_cm)

    def value(self) -> Tensor:
        predicted, true = ops.sum(self.total_cm, axis=0), ops.sum(self.total_cm, axis=1)
        diagonal = ops.sum(self.total_cm * np.eye(self.num_classes), axis=0)
        union = predicted + true - diagonal
        wanted = np.array(self.target_class_ids, np.int64)
        diagonal, union = ops.take(diagonal, wanted), ops.take(union, wanted)
        is_there = ops.greater(union, 1e-9)
        found = ops.where(is_there, diagonal / (union + EPSILON), 0.0)
        return ops.sum(found) / (ops.sum(is_there.astype("float64")) + EPSILON)


class BinaryIoU(IoU):
    """`IoU` of the two classes of predictions above or from `threshold` on, and below it.

    >>> import fastnn
    >>> metric = fastnn.metrics.BinaryIoU(threshold=0.3)
    >>> print(metric([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]))
    0.3333333
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = number(f"{self.name}: threshold", threshold)

    def predicted(self, y_pred: Any) -> Tensor:
        return ops.greater_equal(as_floats(y_pred), self.threshold).astype("int64")


class MeanIoU(IoU):
    """`IoU` of all classes.

    >>> import fastnn
    >>> print(fastnn.metrics.MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1]))
    0.3333333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        num_classes = whole_number(f"{type(self).__name__}: num_classes", num_classes, 1)
        super().__init__(
            num_classes, range(num_classes), name, dtype, ignore_class,
            sparse_y_true, sparse_y_pred, axis,
        )  # fmt: skip


class OneHotIoU(IoU):
    """`IoU` of targets that are one-hot along `axis`, and of predictions that are probabilities,
    or, with sparse_y_pred=True, classes.

    >>> import fastnn
    >>> metric = fastnn.metrics.OneHotIoU(num_classes=2, target_class_ids=[1])
    >>> print(metric([[1, 0], [0, 1]], [[0.75, 0.25], [0.25, 0.75]]))
    0.9999998
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of targets that are one-hot along `axis`, and of predictions that are
    probabilities, or, with sparse_y_pred=True, classes."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
