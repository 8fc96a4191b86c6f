"""How far numbers are from targets: means of losses' functions, correlations, R^2."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from fastnn import losses, ops
from fastnn.checks import whole_number
from fastnn.dtypes import FLOAT64
from fastnn.errors import ShapeError, shape_text, warn
from fastnn.losses.base import pair_of_rows
from fastnn.tape.record import context
from fastnn.tensor import Tensor, mask_of, operand

from .base import EPSILON, Metric, add_to_parts, as_floats
from .reduction import MeanOfValues, broadcast, masked, weights_for, with_dimensions


class MeanOfLoss(MeanOfValues, aliases=None):
    """The mean of what a loss's function gives."""

    _direction = "down"
    function: ClassVar[Callable[..., Tensor]]

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return type(self).function(y_true, y_pred)


class MeanSquaredError(MeanOfLoss, aliases=("mse", "MSE")):
    """The mean of (y_true - y_pred)^2.

    >>> import fastnn
    >>> print(fastnn.metrics.MeanSquaredError()([[0.0], [1.0]], [[1.0], [1.0]]))
    0.5
    """

    function = losses.mean_squared_error
    one_number_a_row = True

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None):
        super().__init__(name, dtype)


class RootMeanSquaredError(MeanOfValues):
    """The square root of the mean of (y_true - y_pred)^2.

    >>> import fastnn
    >>> print(fastnn.metrics.RootMeanSquaredError()([[0.0], [0.0]], [[3.0], [3.0]]))
    3.0
    """

    _direction = "down"
    one_number_a_row = True

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name, dtype)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.squared_difference(y_pred, y_true)

    def value(self) -> Tensor:
        return ops.sqrt(super().value())


class MeanAbsoluteError(MeanOfLoss, aliases=("mae", "MAE")):
    """The mean of |y_true - y_pred|."""

    function = losses.mean_absolute_error
    one_number_a_row = True

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None):
        super().__init__(name, dtype)


class MeanAbsolutePercentageError(MeanOfLoss, aliases=("mape", "MAPE")):
    """The mean of 100 |y_true - y_pred| / max(|y_true|, 1e-7)."""

    function = losses.mean_absolute_percentage_error
    one_number_a_row = True

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None):
        super().__init__(name, dtype)


class MeanSquaredLogarithmicError(MeanOfLoss, aliases=("msle", "MSLE")):
    """The mean of (log(max(y_true, 1e-7) + 1) - log(max(y_pred, 1e-7) + 1))^2."""

    function = losses.mean_squared_logarithmic_error
    one_number_a_row = True

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None):
        super().__init__(name, dtype)


class LogCoshError(MeanOfLoss):
    """The mean of log(cosh(y_pred - y_true))."""

    function = losses.log_cosh
    one_number_a_row = True

    def __init__(self, name: str | None = "logcosh", dtype: Any = None):
        super().__init__(name, dtype)


class CosineSimilarity(MeanOfValues):
    """The mean of sum(y_true y_pred) / (|y_true| |y_pred|) along an axis: 1 of like directions, -1
    of opposite ones.

    >>> import fastnn
    >>> print(fastnn.metrics.CosineSimilarity()([[0.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 1.0]]))
    1.0
    """

    _direction = "up"

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: Any = -1):
        super().__init__(name, dtype)
        self.axis = axis

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.negative(losses.cosine_similarity(y_true, y_pred, axis=self.axis))


def _deviations(x, axis):
    """x - mean, and the mean of its square."""
    away = x - ops.mean(x, axis=axis, keepdims=True)
    return away, ops.mean(ops.square(away), axis=axis, keepdims=True)


def pearson_correlation(y_true: Any, y_pred: Any, axis: Any = -1) -> Tensor:
    """The covariance along an axis over the product of the standard deviations."""
    both = pair_of_rows("pearson_correlation", y_true, y_pred)
    (a, a_square), (b, b_square) = [_deviations(x, axis) for x in both]
    return ops.mean((a / ops.sqrt(a_square)) * (b / ops.sqrt(b_square)), axis=axis)


def concordance_correlation(y_true: Any, y_pred: Any, axis: Any = -1) -> Tensor:
    """2 covariance / (both variances + (difference of the means)^2 + 1e-7) along an axis."""
    y_true, y_pred = pair_of_rows("concordance_correlation", y_true, y_pred)
    (a, a_square), (b, b_square) = _deviations(y_true, axis), _deviations(y_pred, axis)
    means = [ops.mean(x, axis=axis, keepdims=True) for x in (y_true, y_pred)]
    norm = a_square + b_square + ops.squared_difference(*means)
    return ops.mean(2.0 * a * b / (norm + EPSILON), axis=axis)


class PearsonCorrelation(MeanOfValues):
    """The mean of rows' Pearson correlations: of each the covariance along an axis over the product
    of the standard deviations. Rows of equal numbers have none: NaN.

    >>> import fastnn
    >>> print(fastnn.metrics.PearsonCorrelation()([[0, 1, 0.5]], [[0.1, 0.9, 0.5]]))
    0.9999999
    """

    _direction = "up"

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: Any = -1):
        super().__init__(name, dtype)
        self.axis = axis

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return pearson_correlation(y_true, y_pred, self.axis)


class ConcordanceCorrelation(MeanOfValues):
    """The mean of rows' concordance correlations: 2 covariance / (both variances + (difference of
    the means)^2), along an axis. Lin, "A concordance correlation coefficient to evaluate
    reproducibility", 1989.

    >>> import fastnn
    >>> print(fastnn.metrics.ConcordanceCorrelation()([[0, 1, 0.5]], [[0, 1, 0.5]]))
    0.9999997
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "concordance_correlation", dtype: Any = None, axis: Any = -1
    ):
        super().__init__(name, dtype)
        self.axis = axis

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return concordance_correlation(y_true, y_pred, self.axis)


AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


class R2Score(Metric):
    """1 - sum((y_true - y_pred)^2) / sum((y_true - mean)^2), of each column of y_true and y_pred,
    (N, C): how much of the targets' variance is explained. Where that is 0, the score is 0, or,
    where the errors are 0 too, NaN.

    class_aggregation: "uniform_average", the mean of the columns; "variance_weighted_average", by
    their variances; None, all of them. num_regressors: if not 0, the adjusted score, for so many
    independent variables: 1 - (1 - score) (n - 1) / (n - num_regressors - 1), n being the number of
    rows; the plain score where there are too few of them.

    >>> import fastnn
    >>> print(fastnn.metrics.R2Score()([[1], [4], [3]], [[2], [4], [4]]))
    0.5714286
    """

    takes_labels = False
    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ):
        super().__init__(dtype, name)
        if class_aggregation not in AGGREGATIONS:
            raise ValueError(
                f"{self.name}: class_aggregation must be None, 'uniform_average' or "
                f"'variance_weighted_average'; got {class_aggregation!r}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = whole_number(f"{self.name}: num_regressors", num_regressors, 0)
        self.num_samples = self.add_variable((), dtype="float64", name="num_samples")

    def build(self, columns: int) -> None:
        """Make the sums of so many columns: of the weights; of targets, their squares and squared
        errors, each times its weight."""
        self.sums = self.add_variable((4, columns), dtype="float64", name="sums")

    def measure(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple:
        given, owner = y_pred, f"metric {self.name!r}"
        y_pred = as_floats(y_pred)
        y_pred = ops.reshape(y_pred, (-1, 1)) if y_pred.ndim == 1 else y_pred
        y_true, y_pred = self.operands(y_true, y_pred)
        if y_pred.ndim != 2:
            raise ShapeError(
                f"{owner}: predictions must have shape (any, columns); got "
                f"{shape_text(y_pred.shape)}"
            )
        if len(self._variables) < 2:
            self.build(y_pred.shape[1])
        self.expect_columns(self.sums, y_pred)
        y, p = y_true.astype("float64"), y_pred.astype("float64")
        weights: Any = masked(sample_weight, given, y_pred, owner)
        if weights is None:
            weights = operand(np.ones((1, 1)), FLOAT64)
        else:
            weights = with_dimensions(weights_for(y_pred, weights, owner).astype("float64"), 2)
        weighted = y * weights
        parts = (broadcast(weights, y.shape), weighted, y * weighted)
        errors = ops.squared_difference(y, p) * weights
        rows: Any = float(y.shape[0])
        if mask_of(given) is not None:
            rows = ops.sum(weights_for(y_pred, mask_of(given), owner).astype("float64"))
        return rows, *[ops.sum(x, axis=0) for x in (*parts, errors)]

    def add(self, number: Any, *summed: Tensor) -> None:
        self.num_samples.assign_add(number)
        add_to_parts(self.sums, summed)

    def value(self) -> Tensor:
        count, total, squares, errors = (self.sums[number] for number in range(4))
        variance = squares - total * (total / count)
        scores = 1.0 - errors / variance
        is_infinite = ops.equal(ops.abs(scores), float("inf"))
        scores = ops.where(is_infinite, 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ops.sum(variance * scores) / ops.sum(variance)
        if not self.num_regressors:
            return scores
        left = self.num_samples - (1.0 + self.num_regressors)
        adjusted = 1.0 - (1.0 - scores) * (self.num_samples - 1.0) / left
        return ops.where(ops.greater(left, 0.0), adjusted, scores)

    def result(self) -> Tensor:
        if self.num_regressors and context.recorder is None:
            rows = int(self.num_samples.item())
            if rows <= self.num_regressors + 1:
                warn(
                    f"metric {self.name!r}: the score is not adjusted, for {rows} rows are too few "
                    f"for num_regressors={self.num_regressors}."
                )
        return super().result()
