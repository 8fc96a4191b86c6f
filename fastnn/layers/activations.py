"""Layers that are an activation function, of inputs of any shape."""

from typing import Any

from fastnn import activations, checks, ops
from fastnn.dtypes import BOOL
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer, Shape
from fastnn.tensor import Tensor

MASKED = -1e9  # Keras's: e^x of it is 0 beside any other


class Activation(Layer):
    """activation(x), of any shape. activation: a name, or a function of a tensor.

    >>> import fastnn
    >>> fastnn.layers.Activation("tanh")([[0.0]]).numpy()
    array([[0.]], dtype=float32)
    """

    takes_one_tensor = True
    supports_masking = True

    def __init__(self, activation: Any, **base: Any):
        super().__init__(**base)
        self.activation = activations.get(activation, "Activation: activation")

    def call(self, x: Tensor) -> Tensor:
        return self.activation(x)


class ReLU(Layer):
    """max(x, 0), of any shape; see `activations.relu` for the arguments, which are numbers from 0
    on and have Keras's defaults.

    >>> import fastnn
    >>> fastnn.layers.ReLU(max_value=6.0)([[-1.0, 3.0, 9.0]]).numpy()
    array([[0., 3., 6.]], dtype=float32)
    """

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **base: Any,
    ):
        super().__init__(**base)
        self.max_value = max_value
        if max_value is not None:
            checks.not_negative("ReLU: max_value", max_value)
        self.negative_slope = checks.not_negative("ReLU: negative_slope", negative_slope)
        self.threshold = checks.not_negative("ReLU: threshold", threshold)

    def call(self, x: Tensor) -> Tensor:
        return activations.relu(x, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(Layer):
    """x, or negative_slope x where x is negative. negative_slope: a number from 0 on; 0.3 as in
    Keras, whose function `leaky_relu` has 0.2.

    >>> import fastnn
    >>> fastnn.layers.LeakyReLU()([[-1.0, 2.0]]).numpy()
    array([[-0.3,  2. ]], dtype=float32)
    """

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True

    def __init__(self, negative_slope: float = 0.3, **base: Any):
        super().__init__(**base)
        self.negative_slope = checks.not_negative("LeakyReLU: negative_slope", negative_slope)

    def call(self, x: Tensor) -> Tensor:
        return ops.leaky_relu(x, self.negative_slope)


class ELU(Layer):
    """x, or alpha (e^x - 1) where x is negative. alpha: a number from 0 on; 1 as in Keras. Clevert
    et al., "Fast and accurate deep network learning by exponential linear units", 2016.

    >>> import fastnn
    >>> fastnn.layers.ELU(alpha=0.5)([[-1.0, 2.0]]).numpy().round(4)
    array([[-0.3161,  2.    ]], dtype=float32)
    """

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True

    def __init__(self, alpha: float = 1.0, **base: Any):
        super().__init__(**base)
        self.alpha = checks.not_negative("ELU: alpha", alpha)

    def call(self, x: Tensor) -> Tensor:
        return ops.elu(x, self.alpha)


class PReLU(Layer):
    """x, or alpha x where x is negative, alpha being weights of the shape of one row. He et al.,
    "Delving deep into rectifiers", 2015. Arguments and defaults are Keras's.

    alpha_initializer, alpha_regularizer, alpha_constraint: names or objects. shared_axes: the
    dimensions, counted from 1, along which one alpha serves: [1, 2] for a channel's in images.

    >>> import fastnn
    >>> fastnn.layers.PReLU(alpha_initializer="ones")([[-1.0, 2.0]]).numpy()
    array([[-1.,  2.]], dtype=float32)
    """

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **base: Any,
    ):
        super().__init__(**base)
        self.take(
            alpha_initializer=alpha_initializer,
            alpha_regularizer=alpha_regularizer,
            alpha_constraint=alpha_constraint,
        )
        axes = shared_axes if isinstance(shared_axes, list | tuple) else [shared_axes]
        self.shared_axes = (
            None
            if shared_axes is None
            else [checks.whole_number("PReLU: shared_axes", axis, 1) for axis in axes]
        )

    def build(self, input_shape: Shape) -> None:
        shared = self.shared_axes or ()
        if any([axis >= len(input_shape) for axis in shared]):
            raise ShapeError(
                f"PReLU {self.name!r}: shared_axes={list(shared)} names a dimension that an input "
                f"of shape {shape_text(input_shape)} has not; they are counted from 1, the first "
                "being the rows"
            )
        shape = [1 if d in shared else e for d, e in enumerate(input_shape)][1:]
        if None in shape:
            raise ShapeError(
                f"PReLU {self.name!r}: extents along which alpha is not shared must be known; got "
                f"{shape_text(input_shape)}. Name the others in shared_axes."
            )
        self.alpha = self.weight_of("alpha", [int(e) for e in shape if e is not None])

    def call(self, x: Tensor) -> Tensor:
        return ops.relu(x) - self.alpha * ops.relu(-x)


class Softmax(Layer):
    """e^x over its sum along a dimension, the last unless `axis` names another, or several. `call`
    takes a mask too, booleans that broadcast with x (of numbers, those above 0.5 are True): where
    it is False the result is 0, and the others' sum is 1.

    >>> import fastnn
    >>> layer = fastnn.layers.Softmax()
    >>> layer([[1.0, 1.0]]).numpy()
    array([[0.5, 0.5]], dtype=float32)
    >>> layer([[1.0, 1.0, 5.0]], mask=[[True, True, False]]).numpy()
    array([[0.5, 0.5, 0. ]], dtype=float32)
    """

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True

    def __init__(self, axis: Any = -1, **base: Any):
        super().__init__(**base)
        self.axis = axis

    def call(self, x: Tensor, mask: Any = None) -> Tensor:
        return masked_softmax(self, x, mask, self.axis)


def masked_softmax(layer: Layer, x: Tensor, mask: Any, axis: Any) -> Tensor:
    """Softmax of what a mask leaves, 0 elsewhere."""
    if mask is None:
        return activations.softmax(x, axis)
    mask = ops.convert_to_tensor(mask)
    padded = (1,) * (x.ndim - mask.ndim) + mask.shape
    fits = [m in (1, e) for m, e in zip(padded, x.shape, strict=False)]
    if mask.ndim > x.ndim or not all(fits):
        raise ShapeError(
            f"{type(layer).__name__} {layer.name!r}: mask must broadcast with the input, of "
            f"shape {shape_text(x.shape)}; got {shape_text(mask.shape)}"
        )
    mask = mask if mask.dtype == BOOL else mask > 0.5
    x = ops.where(mask, x, MASKED)
    # of a row that is masked as a whole the softmax would be even
    return ops.where(mask, activations.softmax(x, axis), 0.0)
