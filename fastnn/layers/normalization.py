"""Batch and layer normalisation."""

from typing import Any

import numpy as np

from fastnn import checks, ops
from fastnn.apply import apply
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer, Shape
from fastnn.ops.normalization import move_towards
from fastnn.tape.record import commit
from fastnn.tensor import Tensor, tensor


def scale_and_center(layer: Any, input_shape: Shape) -> list[Tensor]:
    """gamma and beta of a layer that normalises the last dimension; what scale=False and
    center=False leave out is a constant of the layer, not a weight."""
    if (
        layer.axis not in (-1, len(input_shape) - 1)
        or len(input_shape) < 2
        or input_shape[-1] is None
    ):
        raise ShapeError(
            f"{type(layer).__name__} {layer.name!r}: normalises the last dimension, axis=-1, of "
            f"two or more; got axis={layer.axis} "
            f"for shape {shape_text(input_shape)}. Transpose the input first."
        )
    columns, found = (input_shape[-1],), []
    for name, wanted, constant in (("gamma", layer.scale, 1.0), ("beta", layer.center, 0.0)):
        values = None if wanted else np.full(columns, constant, layer.dtype)
        found.append(layer.weight_of(name, columns) if wanted else tensor(values))
    return found


def rows_of(layer: Any, x: Tensor) -> Tensor:
    """x as rows of the columns the layer was built for."""
    if x.shape[-1:] != layer.gamma.shape:
        raise ShapeError(
            f"{type(layer).__name__} {layer.name!r}: expected {layer.gamma.shape[0]} columns, as "
            "it was built for; got shape "
            f"{shape_text(x.shape)}"
        )
    return x if x.ndim == 2 else ops.reshape(x, (-1, x.shape[-1]))


class BatchNormalization(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, column by column: (..., C) to (...,
    C).

    In training mean and variance (biased) are the batch's, and moving averages go along: moving =
    momentum moving + (1 - momentum) batch; otherwise, and wherever `trainable` is False, the moving
    averages are used. Ioffe and Szegedy, "Batch normalization: accelerating deep network training
    by reducing internal covariate shift", 2015. Defaults are Keras's.

    momentum: of the moving averages, 0.99. epsilon: added to the variance, 1e-3. center, scale:
    whether there are beta and gamma. Of both, an initializer, a regularizer and a constraint.

    >>> import fastnn
    >>> layer = fastnn.layers.BatchNormalization()
    >>> layer([[1.0], [3.0]], training=True).numpy().round(2)
    array([[-1.],
           [ 1.]], dtype=float32)
    """

    takes_one_tensor = True
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
        self.gamma, self.beta = scale_and_center(self, input_shape)
        columns = self.gamma.shape
        self.moving_mean = self.weight_of("moving_mean", columns, trainable=False)
        self.moving_variance = self.weight_of("moving_variance", columns, trainable=False)

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        rows = rows_of(self, x)
        if training and self.trainable:
            y, mean, variance = ops.batch_norm(rows, self.gamma, self.beta, epsilon=self.epsilon)
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
        return y if x.ndim == 2 else ops.reshape(y, x.shape)

    def _move(self, mean, variance):
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            apply(move_towards, (batch,), {"momentum": self.momentum}, (moving,))


class LayerNormalization(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, row by row, mean and variance
    (biased) being those of the last dimension: (..., C) to (..., C). Ba, Kiros and Hinton, "Layer
    normalization", 2016. Arguments and defaults are Keras's.

    epsilon: added to the variance, 1e-3. center, scale: whether there are beta and gamma.

    >>> import fastnn
    >>> fastnn.layers.LayerNormalization()([[1.0, 3.0]]).numpy().round(2)
    array([[-1.,  1.]], dtype=float32)
    """

    takes_one_tensor = True
    supports_masking = True

    def __init__(
        self,
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
        y = ops.layer_norm(rows_of(self, x), self.gamma, self.beta, epsilon=self.epsilon)
        return y if x.ndim == 2 else ops.reshape(y, x.shape)
