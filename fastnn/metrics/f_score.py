"""F-scores: precision and recall in one number."""

from typing import Any

from fastnn import ops
from fastnn.checks import fraction, positive
from fastnn.errors import ShapeError, shape_text
from fastnn.tensor import Tensor

from .base import EPSILON, Metric, add_to_parts, as_floats
from .reduction import masked, weights_for, with_dimensions

AVERAGES = (None, "micro", "macro", "weighted")


class FBetaScore(Metric):
    """(1 + beta^2) precision recall / (beta^2 precision + recall), of each class. y_true, y_pred:
    (N, C), targets 0 or 1.

    average: None, a result for each class; "micro", one of all classes' counts; "macro", the mean
    of the classes; "weighted", the mean by how often each is there. threshold: above which a
    prediction is positive; None: where it is the largest of its row. sample_weight: (N,) or (N, 1).

    >>> import fastnn
    >>> metric = fastnn.metrics.FBetaScore(beta=2.0, threshold=0.5)
    >>> print(metric([[1, 1], [1, 0]], [[0.2, 0.6], [0.9, 0.8]]))
    [0.5555555  0.83333325]
    """

    takes_labels = False
    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(dtype, name)
        if average not in AVERAGES:
            raise ValueError(
                f"{self.name}: average must be None, 'micro', 'macro' or 'weighted'; got "
                f"{average!r}"
            )
        self.average, self.beta = average, positive(f"{self.name}: beta", beta)
        if threshold is not None:
            threshold = fraction(f"{self.name}: threshold", threshold, zero=False, one=True)
        self.threshold = threshold

    def build(self, classes: int) -> None:
        """Make the counts of so many classes: true positives, false positives and false
        negatives."""
        shape = (3, classes) if self.average != "micro" else (3,)
        self.counts = self.add_variable(shape, dtype="float64", name="counts")

    def measure(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple:
        given, owner = y_pred, f"metric {self.name!r}"
        y_true, y_pred = self.operands(y_true, as_floats(y_pred))
        if y_pred.ndim != 2:
            raise ShapeError(
                f"{owner}: predictions must have shape (any, classes); got "
                f"{shape_text(y_pred.shape)}"
            )
        if not self._variables:
            self.build(y_pred.shape[1])
        self.expect_columns(self.counts, y_pred)
        if self.threshold is None:
            is_largest = ops.greater_equal(y_pred, ops.max(y_pred, axis=-1, keepdims=True))
            is_positive = ops.multiply(is_largest, ops.greater(ops.abs(y_pred), 1e-9))
        else:
            is_positive = ops.greater(y_pred, self.threshold)
        p = is_positive.astype("float64")
        y = y_true.astype("float64")
        axis = None if self.average == "micro" else 0
        weights: Any = masked(sample_weight, given, y_pred, owner)
        if weights is not None:
            weights = with_dimensions(weights_for(y_pred, weights, owner).astype("float64"), 2)

        def counted(x):
            return ops.sum(x if weights is None else x * weights, axis=axis)

        return counted(p * y), counted(p * (1.0 - y)), counted((1.0 - p) * y)

    def add(self, *counted: Tensor) -> None:
        add_to_parts(self.counts, counted)

    def value(self) -> Tensor:
        tp, fp, fn = (self.counts[number] for number in range(3))
        precision, recall = tp / (tp + fp + EPSILON), tp / (tp + fn + EPSILON)
        square = self.beta**2
        mean = precision * recall / (square * precision + recall + EPSILON)
        score = mean * (1 + square)
        if self.average == "weighted":
            share = (tp + fn) / (ops.sum(tp + fn) + EPSILON)
            return ops.sum(score * share)
        return score if self.average is None else ops.mean(score)


class F1Score(FBetaScore):
    """2 precision recall / (precision + recall), of each class: `FBetaScore` with beta = 1.

    >>> import fastnn
    >>> print(fastnn.metrics.F1Score("micro", 0.5)([[1, 1], [1, 0]], [[0.2, 0.6], [0.9, 0.8]]))
    0.66666657
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average, 1.0, threshold, name, dtype)
