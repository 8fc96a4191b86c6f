"""Batch, layer, group, root-mean-square and unit normalisation."""

from collections.abc import Iterable, Sequence
from math import inf, prod
from typing import Any

import numpy as np

from fastnn import checks, ops
from fastnn.apply import apply
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer, Shape
from fastnn.ops.normalization import move_towards
from fastnn.tape.record import commit
from fastnn.tensor import Tensor, tensor


def axes_of(layer: Any, ndim: int) -> tuple[int, ...]:
    """The dimensions that a layer's `axis` names, in order, without the first one, of rows."""
    axis = layer.axis
    given = list(axis) if isinstance(axis, Iterable) else [axis]
    if not all([checks.is_whole(a, -inf) for a in given]):
        raise TypeError(
            f"{type(layer).__name__} {layer.name!r}: axis must be an integer or several; got "
            f"{axis!r}"
        )
    found = sorted({int(a) % ndim if -ndim <= a < ndim else -1 for a in given})
    if not found or found[0] < 1 or len(found) < len(given):
        raise ShapeError(
            f"{type(layer).__name__} {layer.name!r}: axis must name dimensions of x but its first, "
            f"of rows, each once; got axis={axis!r} for {ndim} dimensions"
        )
    return tuple(found)


def one_axis_of(layer: Any, ndim: int) -> int:
    """The one dimension that a layer's `axis` names."""
    axes = axes_of(layer, ndim)
    if len(axes) > 1:
        raise ShapeError(
            f"{type(layer).__name__} {layer.name!r}: axis must name one dimension; got "
            f"axis={layer.axis!r}"
        )
    return axes[0]


def scale_and_center(layer: Any, input_shape: Shape) -> list[Tensor]:
    """gamma and beta of a layer, of the extents of its axes; what scale=False and center=False
    leave out is a constant of the layer, not a weight."""
    axes = axes_of(layer, len(input_shape))
    extents: tuple[Any, ...] = tuple([input_shape[a] for a in axes])
    if None in extents:
        raise ShapeError(
            f"{type(layer).__name__} {layer.name!r}: the extents of axis={layer.axis} must be "
            f"known; got shape {shape_text(input_shape)}"
        )
    found = []
    for name, wanted, constant in (("gamma", layer.scale, 1.0), ("beta", layer.center, 0.0)):
        values = None if wanted else np.full(extents, constant, layer.dtype)
        found.append(layer.weight_of(name, extents) if wanted else tensor(values))
    return found


def rows_of(layer: Any, x: Tensor) -> tuple[Tensor, Any]:
    """x as rows (N, C) of what the layer was built for, its axes last; and what gives the layer's
    result x's shape again."""
    axes = axes_of(layer, x.ndim)
    if tuple([x.shape[a] for a in axes]) != layer.gamma.shape:
        raise ShapeError(
            f"{type(layer).__name__} {layer.name!r}: expected extents {layer.gamma.shape} of "
            f"axis={layer.axis}, as it was built for; got shape {shape_text(x.shape)}"
        )
    columns = prod(layer.gamma.shape)
    if axes == tuple(range(x.ndim - len(axes), x.ndim)):
        rows = x if x.shape == (x.shape[0], columns) else ops.reshape(x, (-1, columns))
        return rows, lambda y: y if y.shape == x.shape else ops.reshape(y, x.shape)
    order = [d for d in range(x.ndim) if d not in axes] + list(axes)
    turned = ops.transpose(x, order)
    back = [order.index(d) for d in range(x.ndim)]
    rows = ops.reshape(turned, (-1, columns))
    return rows, lambda y: ops.transpose(ops.reshape(y, turned.shape), back)


def flat(weight: Tensor) -> Tensor:
    """gamma or beta as columns."""
    return weight if weight.ndim == 1 else ops.reshape(weight, (-1,))


class BatchNormalization(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, column by column: (..., C) to (...,
    C), or along another dimension, `axis`.

    In training mean and variance (biased) are the batch's, and moving averages go along: moving =
    momentum moving + (1 - momentum) batch; otherwise, and wherever `trainable` is False, the moving
    averages are used. Ioffe and Szegedy, "Batch normalization: accelerating deep network training
    by reducing internal covariate shift", 2015. Defaults are Keras's. A mask, of one dimension less
    than x, leaves what it has 0 for out of mean and variance.

    momentum: of the moving averages, 0.99. epsilon: added to the variance, 1e-3. center, scale:
    whether there are beta and gamma. Of both, an initializer, a regularizer and a constraint.

    >>> import fastnn
    >>> layer = fastnn.layers.BatchNormalization()
    >>> layer([[1.0], [3.0]], training=True).numpy().round(2)
    array([[-1.],
           [ 1.]], dtype=float32)
    """

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **base: Any,
    ):
        super().__init__(**base)
        momentum = checks.fraction("BatchNormalization: momentum", momentum, one=True)
        epsilon = checks.positive("BatchNormalization: epsilon", epsilon)
        self.axis, self.momentum, self.epsilon, self.center, self.scale = (
            axis,
            momentum,
            epsilon,
            center,
            scale,
        )
        self.take(
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            moving_mean_initializer=moving_mean_initializer,
            moving_variance_initializer=moving_variance_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        one_axis_of(self, len(input_shape))
        self.gamma, self.beta = scale_and_center(self, input_shape)
        columns = self.gamma.shape
        self.moving_mean = self.weight_of("moving_mean", columns, trainable=False)
        self.moving_variance = self.weight_of("moving_variance", columns, trainable=False)

    def call(self, x: Tensor, training: bool | None = None, mask: Any = None) -> Tensor:
        rows, shaped = rows_of(self, x)
        if mask is not None and mask.ndim != x.ndim - 1:
            raise ShapeError(
                f"BatchNormalization {self.name!r}: mask must have one dimension less than x, of "
                f"shape {shape_text(x.shape)}; got shape {shape_text(mask.shape)}"
            )
        if training and self.trainable:
            if mask is None:
                y, mean, variance = ops.batch_norm(
                    rows, self.gamma, self.beta, epsilon=self.epsilon
                )
            else:
                places = ops.broadcast_to(ops.expand_dims(mask != 0, -1), x.shape)
                y, mean, variance = self._masked(rows, rows_of(self, places)[0])
            # which is not finite where the mean is not
            commit(lambda: self._move(mean, variance), variance)
        else:
            y = ops.batch_norm_inference(
                rows,
                self.gamma,
                self.beta,
                self.moving_mean,
                self.moving_variance,
                epsilon=self.epsilon,
            )
        return shaped(y)

    def _masked(self, rows, places):
        """y, mean and variance, of what the mask leaves in; 1e-7 for none, as in Keras."""
        count = ops.sum(ops.cast(places, rows.dtype), axis=0) + 1e-7
        mean = ops.sum(ops.where(places, rows, 0.0), axis=0) / count
        apart = rows - mean
        variance = ops.sum(ops.square(ops.where(places, apart, 0.0)), axis=0) / count
        y = apart * ops.rsqrt(variance + self.epsilon) * self.gamma + self.beta
        return y, mean, variance

    def _move(self, mean, variance):
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            apply(move_towards, (batch,), {"momentum": self.momentum}, (moving,))


class LayerNormalization(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, row by row, mean and variance
    (biased) being those of the last dimension, or of those in `axis`: (..., C) to (..., C). Ba,
    Kiros and Hinton, "Layer normalization", 2016. Arguments and defaults are Keras's.

    epsilon: added to the variance, 1e-3. center, scale: whether there are beta and gamma.

    >>> import fastnn
    >>> fastnn.layers.LayerNormalization()([[1.0, 3.0]]).numpy().round(2)
    array([[-1.,  1.]], dtype=float32)
    """

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **base: Any,
    ):
        super().__init__(**base)
        epsilon = checks.positive("LayerNormalization: epsilon", epsilon)
        self.axis, self.epsilon, self.center, self.scale = axis, epsilon, center, scale
        self.take(
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        self.gamma, self.beta = scale_and_center(self, input_shape)

    def call(self, x: Tensor) -> Tensor:
        rows, shaped = rows_of(self, x)
        y = ops.layer_norm(rows, flat(self.gamma), flat(self.beta), epsilon=self.epsilon)
        return shaped(y)


class GroupNormalization(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance (biased) being
    those of a row's group of channels at all places: x (N, ..., C). Wu and He, "Group
    normalization", 2018. Arguments and defaults are Keras's.

    groups: into how many the C channels of `axis` are divided; -1, each by itself. gamma and beta:
    (C,).

    >>> import fastnn
    >>> fastnn.layers.GroupNormalization(2)([[1.0, 3.0, 5.0, 7.0]]).numpy().round(2)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **base: Any,
    ):
        super().__init__(**base)
        self.groups = groups if groups == -1 else checks.whole_number("groups", groups, 1)
        self.axis, self.center, self.scale = axis, center, scale
        self.epsilon = checks.positive("GroupNormalization: epsilon", epsilon)
        self.take(
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        one_axis_of(self, len(input_shape))
        self.gamma, self.beta = scale_and_center(self, input_shape)
        channels = self.gamma.shape[0]
        groups = channels if self.groups == -1 else self.groups
        if channels % groups:
            raise ShapeError(
                f"GroupNormalization {self.name!r}: {channels} channels cannot be divided into "
                f"{groups} groups"
            )

    def call(self, x: Tensor) -> Tensor:
        axis = one_axis_of(self, x.ndim)
        channels = self.gamma.shape[0]
        groups = channels if self.groups == -1 else self.groups
        # (N, C, ...): what belongs to a group lies side by side
        first = x if axis == 1 else ops.moveaxis(x, axis, 1)
        rows = ops.reshape(first, (x.shape[0] * groups, prod(first.shape[1:]) // groups))
        ones, zeros = ops.ones(rows.shape[1:], rows.dtype), ops.zeros(rows.shape[1:], rows.dtype)
        y = ops.reshape(ops.layer_norm(rows, ones, zeros, epsilon=self.epsilon), first.shape)
        columns = (channels, *[1] * (x.ndim - 2))
        y = y * ops.reshape(self.gamma, columns) + ops.reshape(self.beta, columns)
        return y if axis == 1 else ops.moveaxis(y, 1, axis)


class RMSNormalization(Layer):
    """y = scale x / sqrt(mean of x^2 + epsilon), the mean along axis. Zhang and Sennrich, "Root
    mean square layer normalization", 2019. Arguments and defaults are Keras's.

    >>> import fastnn
    >>> fastnn.layers.RMSNormalization()([[3.0, 4.0]]).numpy().round(3)
    array([[0.849, 1.131]], dtype=float32)
    """

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **base: Any):
        super().__init__(**base)
        self.axis, self.epsilon = axis, checks.positive("RMSNormalization: epsilon", epsilon)

    def build(self, input_shape: Shape) -> None:
        extents = [input_shape[a] for a in axes_of(self, len(input_shape))]
        self.factor = self.add_weight(extents, "ones", name="scale")

    def call(self, x: Tensor) -> Tensor:
        axes = axes_of(self, x.ndim)
        shape = [e if d in axes else 1 for d, e in enumerate(x.shape)]
        mean = ops.mean(ops.square(x), axis=axes, keepdims=True)
        return x * ops.rsqrt(mean + self.epsilon) * ops.reshape(self.factor, shape)


class UnitNormalization(Layer):
    """x divided by its Euclidean norm along axis, which is taken for 1e-12 at least. Arguments and
    defaults are Keras's.

    >>> import fastnn
    >>> fastnn.layers.UnitNormalization()([[3.0, 4.0]]).numpy()
    array([[0.6, 0.8]], dtype=float32)
    """

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, **base: Any):
        super().__init__(**base)
        self.axis = axis

    def call(self, x: Tensor) -> Tensor:
        axes = axes_of(self, x.ndim)
        square = ops.sum(ops.square(x), axis=axes, keepdims=True)
        return x * ops.rsqrt(ops.maximum(square, 1e-24))
