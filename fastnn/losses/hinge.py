"""Hinges: losses of margins, and of distributions."""

from typing import Any

from fastnn import ops
from fastnn.tensor import Tensor

from .base import EPSILON, BuiltIn, Elementwise, pair


def _margins(y_true, y_pred):
    """max(1 - y_true y_pred, 0), targets 0 and 1, if there are no others, taken for -1 and 1."""
    is_binary = ops.min(ops.add(y_true == 0.0, y_true == 1.0)) if y_true.size else True
    y_true = ops.where(is_binary, 2.0 * y_true - 1.0, y_true)
    return ops.maximum(1.0 - y_true * y_pred, 0.0)


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of max(1 - y_true y_pred, 0) along the last dimension: (..., C) gives (...). Targets
    are -1 and 1, or 0 and 1.

    >>> import fastnn
    >>> fastnn.losses.hinge([[1.0, -1.0]], [[0.5, 0.5]]).numpy()
    array([1.], dtype=float32)
    """
    return ops.mean(_margins(*pair(y_true, y_pred)), axis=-1)


class Hinge(Elementwise, of=hinge):
    """max(1 - y_true y_pred, 0).

    y_true: (N, ...), -1 and 1; where a batch has 0 and 1 alone, they are taken for these, as Keras
    does. y_pred: the same shape, float.

    >>> import fastnn
    >>> fastnn.losses.Hinge()([[1.0, -1.0]], [[0.5, 0.5]]).item()
    1.0
    """

    elements = staticmethod(_margins)


def _squared_margins(y_true, y_pred):
    return ops.square(_margins(y_true, y_pred))


def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of max(1 - y_true y_pred, 0)^2 along the last dimension: (..., C) gives (...).
    Targets are -1 and 1, or 0 and 1.

    >>> import fastnn
    >>> fastnn.losses.squared_hinge([[1.0, -1.0]], [[0.5, 0.5]]).numpy()
    array([1.25], dtype=float32)
    """
    return ops.mean(_squared_margins(*pair(y_true, y_pred)), axis=-1)


class SquaredHinge(Elementwise, of=squared_hinge):
    """max(1 - y_true y_pred, 0)^2; targets as in `Hinge`.

    >>> import fastnn
    >>> fastnn.losses.SquaredHinge()([[1.0, -1.0]], [[0.5, 0.5]]).item()
    1.25
    """

    elements = staticmethod(_squared_margins)


def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """max(neg - pos + 1, 0), where pos is the sum of y_true y_pred along the last dimension and neg
    the largest of (1 - y_true) y_pred: (..., C) gives (...).

    >>> import fastnn
    >>> fastnn.losses.categorical_hinge([[0.0, 1.0]], [[0.5, 0.25]]).numpy()
    array([1.25], dtype=float32)
    """
    y_true, y_pred = pair(y_true, y_pred)
    of_target = ops.sum(y_true * y_pred, axis=-1)
    of_others = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(of_others - of_target + 1.0, 0.0)


class CategoricalHinge(BuiltIn, of=categorical_hinge):
    """max(neg - pos + 1, 0), where pos is the sum of y_true y_pred over the classes of a row, and
    neg the largest of (1 - y_true) y_pred.

    y_true: (N, ..., C), one-hot rows; y_pred: the same shape, float.

    >>> import fastnn
    >>> fastnn.losses.CategoricalHinge()([[0.0, 1.0]], [[0.5, 0.25]]).item()
    1.25
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return categorical_hinge(y_true, y_pred)


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """The sum of y_true log(y_true / y_pred) along the last dimension, both kept between 1e-7 and
    1: (..., C) gives (...).

    >>> import fastnn
    >>> fastnn.losses.kl_divergence([[0.5, 0.5]], [[0.25, 0.75]]).numpy().round(4)
    array([0.1438], dtype=float32)
    """
    y_true, y_pred = (ops.minimum(ops.maximum(p, EPSILON), 1.0) for p in pair(y_true, y_pred))
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


class KLDivergence(BuiltIn, of=kl_divergence, aliases=("kld",)):
    """The sum of y_true log(y_true / y_pred) over a row: how far one distribution is from another.
    Both are kept between 1e-7 and 1. Kullback and Leibler, "On information and sufficiency", 1951.

    y_true, y_pred: (N, ..., C), probabilities.

    >>> import fastnn
    >>> round(fastnn.losses.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]).item(), 4)
    0.1438
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return kl_divergence(y_true, y_pred)


def _poisson(y_true, y_pred):
    return y_pred - y_true * ops.log(y_pred + EPSILON)


def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """The mean of y_pred - y_true log(y_pred + 1e-7) along the last dimension: (..., C) gives
    (...).

    >>> import fastnn
    >>> fastnn.losses.poisson([[2.0]], [[1.0]]).numpy().round(4)
    array([1.], dtype=float32)
    """
    return ops.mean(_poisson(*pair(y_true, y_pred)), axis=-1)


class Poisson(Elementwise, of=poisson):
    """y_pred - y_true log(y_pred + 1e-7): for counts, -log of their Poisson probability but for
    what does not depend on y_pred.

    y_true: (N, ...), counts; y_pred: the same shape, their mean, from 0 on.

    >>> import fastnn
    >>> round(fastnn.losses.Poisson()([[2.0]], [[1.0]]).item(), 4)
    1.0
    """

    elements = staticmethod(_poisson)
