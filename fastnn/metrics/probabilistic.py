"""Means of the losses between probabilities, and of margins."""

from typing import Any

from fastnn import losses
from fastnn.checks import fraction
from fastnn.tensor import Tensor

from .reduction import MeanOfValues
from .regression import MeanOfLoss


class KLDivergence(MeanOfLoss, aliases=("kld", "KLD")):
    """The mean of sum(y_true log(y_true / y_pred)), both kept in [1e-7, 1]."""

    function = losses.kl_divergence

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None):
        super().__init__(name, dtype)


class Poisson(MeanOfLoss):
    """The mean of y_pred - y_true log(y_pred + 1e-7)."""

    function = losses.poisson
    one_number_a_row = True

    def __init__(self, name: str | None = "poisson", dtype: Any = None):
        super().__init__(name, dtype)


class Hinge(MeanOfLoss):
    """The mean of max(1 - y_true y_pred, 0); targets are -1 or 1, those of 0 and 1 are made so."""

    function = losses.hinge
    one_number_a_row = True

    def __init__(self, name: str | None = "hinge", dtype: Any = None):
        super().__init__(name, dtype)


class SquaredHinge(MeanOfLoss):
    """The mean of max(1 - y_true y_pred, 0)^2; targets as of `Hinge`."""

    function = losses.squared_hinge
    one_number_a_row = True

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None):
        super().__init__(name, dtype)


class CategoricalHinge(MeanOfLoss):
    """The mean of max(max of (1 - y_true) y_pred - sum of y_true y_pred + 1, 0)."""

    function = losses.categorical_hinge

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None):
        super().__init__(name, dtype)


def _smoothing(name, value):
    return fraction(name, value, one=True) if value else 0


class BinaryCrossentropy(MeanOfValues, aliases=("bce", "BCE")):
    """The mean of -y_true log(y_pred) - (1 - y_true) log(1 - y_pred). from_logits, label_smoothing:
    as of the loss.

    >>> import fastnn
    >>> print(fastnn.metrics.BinaryCrossentropy()([[1.0], [0.0]], [[0.75], [0.25]]))
    0.28768206
    """

    _direction = "down"

    one_number_a_row = True

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        super().__init__(name, dtype)
        self.from_logits = from_logits
        self.label_smoothing = _smoothing(f"{self.name}: label_smoothing", label_smoothing)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return losses.binary_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing)


class CategoricalCrossentropy(MeanOfValues):
    """The mean of -sum(y_true log(y_pred)), y_pred divided by its sum; both (N, ..., C).
    from_logits, label_smoothing, axis (of the classes): as of the loss."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ):
        super().__init__(name, dtype)
        self.from_logits, self.axis = from_logits, axis
        self.label_smoothing = _smoothing(f"{self.name}: label_smoothing", label_smoothing)

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return losses.categorical_crossentropy(
            y_true, y_pred, self.from_logits, self.label_smoothing, self.axis
        )


class SparseCategoricalCrossentropy(MeanOfValues):
    """The mean of -log(y_pred[label]), y_pred divided by its sum. y_true: (N, ...), whole numbers
    from 0 to C - 1; y_pred: (N, ..., C). from_logits, ignore_class, axis (of the classes): as of
    the loss. Rows of ignore_class have the value 0 and, as in Keras, are left out of the mean's
    count only where there are weights.

    >>> import fastnn
    >>> print(fastnn.metrics.SparseCategoricalCrossentropy()([1, 0], [[0.25, 0.75], [0.75, 0.25]]))
    0.28768206
    """

    _direction = "down"

    takes_labels = True

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        super().__init__(name, dtype)
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis

    def values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return losses.sparse_categorical_crossentropy(
            y_true, y_pred, self.from_logits, self.ignore_class, self.axis
        )
