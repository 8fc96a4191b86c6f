"""Metrics of predictions above thresholds: counts, precision, recall, and the best of one where the
other is at least so much."""

from typing import Any

from fastnn import ops
from fastnn.checks import fraction, whole_number
from fastnn.tensor import Tensor

from .thresholds import LOWEST, AtThresholds, checked_thresholds, even_thresholds, one_or_all


class _Given(AtThresholds, aliases=None):
    """At one threshold or several that are given."""

    def __init__(self, thresholds: Any, name: str | None, dtype: Any, default: float = 0.5):
        super().__init__(name, dtype, checked_thresholds(type(self).__name__, thresholds, default))
        self.init_thresholds = thresholds
        self.build()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class _Count(_Given, aliases=None):
    of = ""  # which of the counts

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(thresholds, name, dtype)

    def value(self) -> Tensor:
        return one_or_all(getattr(self.counts(), self.of))


class TruePositives(_Count):
    """The weights of predictions above a threshold, 0.5 or those given, whose target is not 0.

    >>> import fastnn
    >>> print(fastnn.metrics.TruePositives()([0, 1, 1, 1], [1, 0, 1, 1]))
    2.0
    """

    of = "tp"


class FalsePositives(_Count):
    """The weights of predictions above a threshold, 0.5 or those given, whose target is 0."""

    of = "fp"


class TrueNegatives(_Count):
    """The weights of predictions not above a threshold, 0.5 or those given, whose target is 0."""

    of = "tn"


class FalseNegatives(_Count):
    """The weights of predictions not above a threshold, 0.5 or those given, whose target is not
    0."""

    of = "fn"


class _Rate(_Given, aliases=None):
    _direction = "up"

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(thresholds, name, dtype, 0.5 if top_k is None else LOWEST)
        self.top_k = top_k if top_k is None else whole_number(f"{self.name}: top_k", top_k, 1)
        self.class_id = class_id


class Precision(_Rate):
    """tp / (tp + fp): how many of the predictions above a threshold are right; 0 if there is none.
    y_true, y_pred: (N, ...), each element by itself.

    thresholds: one, or several, for each of which there is a result; 0.5 unless given. top_k:
    the k largest of each row of predictions are positive, and none else. class_id: the column of
    the class that counts, all of them if None. The counts, `true_positives` and the others, are
    sums of one variable, `histogram` (Keras: a variable each).

    >>> import fastnn
    >>> print(fastnn.metrics.Precision()([0, 1, 1, 1], [1, 0, 1, 1]))
    0.6666667
    """

    def value(self) -> Tensor:
        return one_or_all(self.counts().precision)


class Recall(_Rate):
    """tp / (tp + fn): how many of the targets that are not 0 have a prediction above a threshold; 0
    if there is none. Arguments as of `Precision`.

    >>> import fastnn
    >>> print(fastnn.metrics.Recall()([0, 1, 1, 1], [1, 0, 1, 1]))
    0.6666667
    """

    def value(self) -> Tensor:
        return one_or_all(self.counts().recall)


class _Best(AtThresholds, aliases=None):
    """The largest of one rate at the thresholds where another is at least `least`, of
    `num_thresholds` from 0 to 1; 0 if there is none."""

    _direction = "up"
    rates = "", ""  # what is limited, and what is the result

    def __init__(
        self, limit: str, least: Any, num_thresholds: int, class_id: Any, name: Any, dtype: Any
    ):
        kind = type(self).__name__
        thresholds = even_thresholds(kind, num_thresholds, 1)
        super().__init__(name, dtype, thresholds)
        self.num_thresholds, self.class_id = num_thresholds, class_id
        self._limit = limit
        setattr(self, limit, fraction(f"{kind}: {limit}", least, one=True))
        self.build()

    def value(self) -> Tensor:
        limited, wanted = [getattr(self.counts(), rate) for rate in self.rates]
        is_there = ops.greater_equal(limited, getattr(self, self._limit))
        return ops.max(ops.where(is_there, wanted, 0.0))


class SensitivityAtSpecificity(_Best):
    """The largest sensitivity, tp / (tp + fn), at the thresholds where the specificity,
    tn / (tn + fp), is at least `specificity`: of num_thresholds from 0 to 1; 0 if there is none.

    >>> import fastnn
    >>> metric = fastnn.metrics.SensitivityAtSpecificity(0.5)
    >>> print(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    rates = "specificity", "recall"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__("specificity", specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_Best):
    """The largest specificity, tn / (tn + fp), at the thresholds where the sensitivity,
    tp / (tp + fn), is at least `sensitivity`: of num_thresholds from 0 to 1; 0 if there is none.

    >>> import fastnn
    >>> metric = fastnn.metrics.SpecificityAtSensitivity(0.5)
    >>> print(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.6666667
    """

    rates = "recall", "specificity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__("sensitivity", sensitivity, num_thresholds, class_id, name, dtype)


class PrecisionAtRecall(_Best):
    """The largest precision, tp / (tp + fp), at the thresholds where the recall, tp / (tp + fn), is
    at least `recall`: of num_thresholds from 0 to 1; 0 if there is none.

    >>> import fastnn
    >>> metric = fastnn.metrics.PrecisionAtRecall(0.5)
    >>> print(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    rates = "recall", "precision"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__("recall", recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_Best):
    """The largest recall, tp / (tp + fn), at the thresholds where the precision, tp / (tp + fp), is
    at least `precision`: of num_thresholds from 0 to 1; 0 if there is none.

    >>> import fastnn
    >>> metric = fastnn.metrics.RecallAtPrecision(0.8)
    >>> print(metric([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
    0.5
    """

    rates = "precision", "recall"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__("precision", precision, num_thresholds, class_id, name, dtype)
