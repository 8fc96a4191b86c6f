"""The area under a curve of two rates at many thresholds."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn import activations, ops
from fastnn.checks import whole_number
from fastnn.errors import ShapeError, shape_text
from fastnn.tensor import Tensor, operand

from .base import EPSILON, number
from .thresholds import AtThresholds, checked_thresholds, even_thresholds

CURVES = ("ROC", "PR", "PRGAIN")
SUMMATIONS = ("interpolation", "minoring", "majoring")


class AUC(AtThresholds):
    """The area under a curve, approximated at thresholds: num_thresholds of them from 0 to 1, or
    0, 1 and those given.

    curve: "ROC", recall over the rate of false positives; "PR", precision over recall; "PRGAIN",
    both as gains (Flach and Kull, 2015). summation_method: "interpolation", trapezoids, and for
    "PR" between true and false positives instead of their ratio (Davis and Goadrich, 2006);
    "minoring", the lower end of each step; "majoring", the upper. multi_label: predictions are
    (N, L) (num_labels, if it is to be known before), each label has a curve, and the result is the
    mean of their areas, by label_weights; without it all elements share one curve, and
    label_weights multiply what each column counts. from_logits: a sigmoid makes probabilities of
    y_pred.

    true_positives, false_positives, true_negatives and false_negatives, by threshold, are sums of
    one variable, `histogram` (Keras: four variables).

    A prediction is compared with the thresholds (Keras multiplies it with their number and rounds,
    which may differ by one unit in the last place from a threshold).

    >>> import fastnn
    >>> metric = fastnn.metrics.AUC(num_thresholds=3)
    >>> print(metric([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
    0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ):
        if thresholds is None:
            found = even_thresholds("AUC", num_thresholds, 2)[1:-1]
        else:
            found = sorted(checked_thresholds("AUC", thresholds, 0.5))
        super().__init__(name, dtype, [-EPSILON, *found, 1 + EPSILON])
        self.num_thresholds = len(self._thresholds)
        self.curve = _chosen("curve", curve, CURVES, str.upper)
        self.summation_method = _chosen("summation_method", summation_method, SUMMATIONS, str.lower)
        self.init_thresholds = thresholds
        self.multi_label, self.num_labels = bool(multi_label), num_labels
        self.label_weights = label_weights
        if label_weights is not None:
            if not isinstance(label_weights, Iterable):
                raise TypeError(f"AUC: label_weights must be numbers; got {label_weights!r}")
            self.label_weights = [number("AUC: label_weights", w) for w in label_weights]
        self.from_logits = bool(from_logits)
        if num_labels and not multi_label:
            raise ValueError("AUC: num_labels is of use with multi_label=True only")
        if not multi_label:
            self.build()
        elif num_labels:
            self.build(whole_number("AUC: num_labels", num_labels, 1))

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "thresholds": self.init_thresholds}
        if self.init_thresholds is None:
            del config["thresholds"]
        return config

    def predicted(self, y_pred: Any) -> Tensor:
        y_pred = super().predicted(y_pred)
        if self.from_logits:
            y_pred = activations.sigmoid(y_pred)
        if self.multi_label:
            if y_pred.ndim != 2:
                raise ShapeError(
                    f"metric {self.name!r}: with multi_label=True predictions must have shape "
                    f"(any, labels); got {shape_text(y_pred.shape)}"
                )
            if not self._variables:
                self.build(y_pred.shape[1])
            self._expect_label_weights(y_pred)
            if y_pred.shape[1] != self._labels:
                raise ShapeError(
                    f"metric {self.name!r}: it has {self._labels} labels; got predictions of shape "
                    f"{shape_text(y_pred.shape)}"
                )
        return y_pred

    def with_labels(self, weights: Any, y_pred: Tensor) -> Any:
        if self.multi_label or self.label_weights is None:
            return weights
        self._expect_label_weights(y_pred)
        shape = (1,) * (y_pred.ndim - 1) + y_pred.shape[-1:]
        of_labels = ops.reshape(operand(self.label_weights, y_pred.dtype), shape)
        return of_labels if weights is None else weights * of_labels

    def _expect_label_weights(self, y_pred):
        if self.label_weights is not None and len(self.label_weights) != y_pred.shape[-1]:
            raise ShapeError(
                f"metric {self.name!r}: it has {len(self.label_weights)} label_weights; got "
                f"predictions of shape {shape_text(y_pred.shape)}"
            )

    def value(self) -> Tensor:
        counts = self.counts()
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._mean(_interpolated_pr(counts))
        if self.curve == "ROC":
            x, y = ops.divide_no_nan(counts.fp, counts.fp + counts.tn), counts.recall
        elif self.curve == "PR":
            x, y = counts.recall, counts.precision
        else:
            x, y = _gains(counts)
        first, second = y[..., :-1], y[..., 1:]
        if self.summation_method == "interpolation":
            heights = (first + second) / 2.0
        else:
            choose = ops.minimum if self.summation_method == "minoring" else ops.maximum
            heights = choose(first, second)
        return self._mean((x[..., :-1] - x[..., 1:]) * heights)

    def _mean(self, parts):
        """The sum of a curve's parts; of several curves the mean."""
        areas = ops.sum(parts, axis=-1)
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return ops.mean(areas)
        weights = np.array(self.label_weights)
        return ops.sum(areas * (weights / (weights.sum() or 1.0)))


def _gains(counts):
    """Recall gain and precision gain."""
    scale = ops.divide_no_nan(counts.tp + counts.fn, counts.tn + counts.fp)
    has_none = ops.equal(counts.tp, 0.0)
    recall_gain = ops.where(has_none, 0.0, 1.0 - scale * ops.divide_no_nan(counts.fn, counts.tp))
    precision_gain = ops.where(has_none, 1.0, 1.0 - scale * ops.divide_no_nan(counts.fp, counts.tp))
    return ops.maximum(recall_gain, 0.0), precision_gain


def _interpolated_pr(counts):
    """The area of each step: tp is interpolated linearly in tp + fp."""
    positive = counts.tp + counts.fp
    dtp, dp = (v[..., :-1] - v[..., 1:] for v in (counts.tp, positive))
    slope = ops.divide_no_nan(dtp, ops.maximum(dp, 0.0))
    intercept = counts.tp[..., 1:] - slope * positive[..., 1:]
    before, after = positive[..., :-1], positive[..., 1:]
    is_some = ops.multiply(ops.greater(before, 0.0), ops.greater(after, 0.0))
    safe = ops.where(is_some, ops.divide_no_nan(before, after), 1.0)
    positives = (counts.tp + counts.fn)[..., 1:]
    return ops.divide_no_nan(slope * (dtp + intercept * ops.log(safe)), positives)


def _chosen(argument, value, choices, spelled):
    if not isinstance(value, str) or spelled(value) not in choices:
        raise ValueError(f"AUC: {argument} must be one of {', '.join(choices)}; got {value!r}")
    return spelled(value)
