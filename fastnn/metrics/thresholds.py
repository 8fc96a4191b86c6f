"""What metrics of predictions above thresholds share: a histogram of predictions among the
thresholds, of which the four counts at every threshold are sums."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastnn import ops
from fastnn.checks import is_whole, whole_number
from fastnn.errors import ShapeError, shape_text
from fastnn.ops.metrics import threshold_counts
from fastnn.tensor import Tensor, operand

from .base import EPSILON, Metric, as_floats, into
from .reduction import broadcast, masked, weights_for, with_dimensions

LOWEST = -1e10  # Keras's: what is not among the top k


class Counts(NamedTuple):
    """True positives, false positives, true negatives, false negatives, at each threshold: (K,), or
    (L, K) of L labels."""

    tp: Tensor
    fp: Tensor
    tn: Tensor
    fn: Tensor

    @property
    def precision(self) -> Tensor:
        return ops.divide_no_nan(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> Tensor:
        return ops.divide_no_nan(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> Tensor:
        return ops.divide_no_nan(self.tn, self.tn + self.fp)


MAX_THRESHOLDS = 1 << 24  # as many numbers as float32 has between 0.5 and 1


def checked_thresholds(name: str, thresholds: Any, default: float) -> list[float]:
    """Thresholds in [0, 1], one or several, as a list."""
    if thresholds is None:
        return [default]
    given = list(thresholds) if isinstance(thresholds, Sequence | np.ndarray) else [thresholds]
    if not given:
        raise ValueError(f"{name}: thresholds must be one or more; got {thresholds!r}")
    for value in given:
        if not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
            raise ValueError(f"{name}: thresholds must lie in [0, 1]; got {thresholds!r}")
    return [float(value) for value in given]


def even_thresholds(name: str, number: Any, least: int) -> list[float]:
    """So many from 0 to 1; one alone is 0.5."""
    number = whole_number(f"{name}: num_thresholds", number, least)
    if number > MAX_THRESHOLDS:
        raise ValueError(f"{name}: num_thresholds must be at most {MAX_THRESHOLDS}; got {number}")
    return [i / (number - 1) for i in range(number)] if number > 1 else [0.5]


class AtThresholds(Metric, aliases=None):
    """A metric of predictions that are positive where they are above a threshold. Its variable
    `histogram` (2, labels, K + 1) has, of targets that are 0 and of others, the weights of
    predictions by how many thresholds lie below them."""

    takes_labels = False
    top_k: int | None = None
    class_id: int | None = None

    def __init__(self, name: str | None, dtype: Any, thresholds: list[float]):
        super().__init__(dtype, name)
        self._thresholds = tuple(thresholds)
        # As in Keras, predictions are then kept in [0, 1]; there it is how buckets are found.
        even = np.linspace(0, 1, max(3, len(thresholds)))
        self._clip = len(thresholds) > 2 and bool(np.allclose(thresholds, even, atol=EPSILON))
        self._order = np.argsort(thresholds, kind="stable")

    @property
    def thresholds(self) -> list[float]:
        """As they were given; of AUC, with those at both ends."""
        return list(self._thresholds)

    def build(self, labels: int | None = None) -> None:
        """Make the histogram, of one label or several."""
        self._labels = labels
        shape = (2, labels or 1, len(self._thresholds) + 1)
        self.histogram = self.add_variable(shape, dtype="float64", name="histogram")

    def measure(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple:
        given, owner = y_pred, f"metric {self.name!r}"
        y_true, y_pred = self.operands(y_true, self.predicted(y_pred))
        weights: Any = masked(sample_weight, given, y_pred, owner)
        if self.top_k is not None:
            y_pred = _top(y_pred, self.top_k)
        if self.class_id is not None:
            y_true, y_pred = self._of_class(y_true), self._of_class(y_pred)
        if weights is not None:
            weights = with_dimensions(weights_for(y_pred, weights, owner), y_pred.ndim)
        weights = self.with_labels(weights, y_pred)
        if self._labels is None:
            if weights is not None:
                weights = ops.reshape(broadcast(weights, y_pred.shape), (-1, 1))
            y_true, y_pred = ops.reshape(y_true, (-1, 1)), ops.reshape(y_pred, (-1, 1))
        return (y_true, y_pred) if weights is None else (y_true, y_pred, weights)

    def predicted(self, y_pred: Any) -> Tensor:
        """What is compared with the thresholds."""
        return as_floats(y_pred)

    def with_labels(self, weights: Any, y_pred: Tensor) -> Any:
        """Weights times those of labels, if there are such."""
        return weights

    def add(self, y_true: Tensor, y_pred: Tensor, *weights: Tensor) -> None:
        thresholds = np.array(self._thresholds, y_pred.dtype)[self._order]
        given = (y_true, y_pred, operand(thresholds, y_pred.dtype), *weights)
        into(threshold_counts, given, {"clip": self._clip}, self.histogram)

    def _of_class(self, x):
        number = self.class_id
        if x.ndim < 2 or not is_whole(number) or number >= x.shape[-1]:
            raise ShapeError(
                f"metric {self.name!r}: class_id={number!r} is no column of predictions of shape "
                f"{shape_text(x.shape)}"
            )
        return x[..., number : number + 1]

    def counts(self) -> Counts:
        """The four counts at each threshold, in the order in which the thresholds were given."""
        above, below = ops.sums_about_thresholds(self.histogram)
        if (np.diff(self._order) < 0).any():
            places = np.argsort(self._order)
            above, below = ops.take(above, places, axis=2), ops.take(below, places, axis=2)
        label: Any = slice(None) if self._labels else 0
        return Counts(above[1, label], above[0, label], below[0, label], below[1, label])

    @property
    def true_positives(self) -> Tensor:
        return self._count("tp")

    @property
    def false_positives(self) -> Tensor:
        return self._count("fp")

    @property
    def true_negatives(self) -> Tensor:
        return self._count("tn")

    @property
    def false_negatives(self) -> Tensor:
        return self._count("fn")

    def _count(self, name):
        """By threshold or, of several labels, by threshold and label, as Keras has it."""
        found = getattr(self.counts(), name)
        return ops.transpose(found) if self._labels else found


def _top(y_pred, k):
    """The k largest of each row, of equal ones the first; the others are LOWEST."""
    columns, left, taken = np.arange(y_pred.shape[-1]), y_pred, None
    for _ in range(min(k, y_pred.shape[-1])):
        is_next = ops.equal(ops.argmax(left, axis=-1, keepdims=True), columns)
        taken = is_next if taken is None else taken + is_next
        left = ops.where(is_next, -np.inf, left)
    return ops.where(taken, y_pred, LOWEST)


def one_or_all(values: Tensor) -> Tensor:
    """A number, of one threshold; else that of each."""
    return ops.reshape(values, ()) if values.shape == (1,) else values
