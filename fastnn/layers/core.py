"""Dense layers, activations, and the place where data comes in."""

from collections.abc import Sequence
from typing import Any

from fastnn import activations, checks, initializers, ops
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer, Shape
from fastnn.tensor import Tensor

# Activations that the product computes along. Sigmoid and softmax stay ops of their own: a loss
# takes what they were given.
FUSED = {
    getattr(activations, name): name
    for name in ("relu", "tanh", "elu", "softplus", "softsign", "hard_sigmoid")
}


class Dense(Layer):
    """y = activation(x kernel + bias): each output a weighted sum of all inputs.

    x: (..., C), y: (..., units); kernel: (C, units), bias: (units,). Arguments and defaults are
    Keras's.

    units: how many outputs. activation: a name, a function of a tensor, or None for none. use_bias:
    whether there is a bias. kernel_initializer, bias_initializer: names or initializers.
    input_shape: of one row, where it is a model's first layer.

    >>> import fastnn
    >>> layer = fastnn.layers.Dense(2, kernel_initializer="ones", activation="relu")
    >>> layer([[1.0, 2.0], [-1.0, 0.0]]).numpy()
    array([[3., 3.],
           [0., 0.]], dtype=float32)
    """

    takes_one_tensor = True

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        input_shape: Sequence[int] | None = None,
        **base: Any,
    ):
        super().__init__(**base)
        self.units, self.use_bias, self.activation = (
            checks.whole_number("Dense: units", units, 1),
            use_bias,
            activations.get(activation, "Dense: activation"),
        )
        self.kernel_initializer, self.bias_initializer = (
            initializers.get(kernel_initializer, "Dense: kernel_initializer"),
            initializers.get(bias_initializer, "Dense: bias_initializer"),
        )
        self.input_shape = row_shape(input_shape)

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)
        if input_shape[-1] is None:
            raise ShapeError(
                f"Dense {self.name!r}: the last dimension of its input must be known; got "
                f"{shape_text(input_shape)}"
            )
        self.kernel = self.add_weight(
            (input_shape[-1], self.units), self.kernel_initializer, "kernel"
        )
        self.bias = (
            self.add_weight((self.units,), self.bias_initializer, "bias") if self.use_bias else None
        )

    def call(self, x: Tensor) -> Tensor:
        self.compute_output_shape(x.shape)
        fused = FUSED.get(self.activation)
        rows = x if x.ndim == 2 else ops.reshape(x, (-1, x.shape[-1]))
        y = ops.linear(rows, self.kernel, self.bias, activation=fused)
        if x.ndim != 2:
            y = ops.reshape(y, (*x.shape[:-1], self.units))
        return y if fused else self.activation(y)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 2:
            raise ShapeError(
                f"Dense {self.name!r}: expected rows, shape (any, columns); got "
                f"{shape_text(input_shape)}. One row is x[None]."
            )
        if self.built and input_shape[-1] != self.kernel.shape[0]:
            raise ShapeError(
                f"Dense {self.name!r}: expected {self.kernel.shape[0]} columns, as it was built "
                f"for; got {input_shape[-1]}, shape "
                f"{shape_text(input_shape)}."
            )
        return (*input_shape[:-1], self.units)


class Activation(Layer):
    """activation(x), of any shape. activation: a name, or a function of a tensor.

    >>> import fastnn
    >>> fastnn.layers.Activation("tanh")([[0.0]]).numpy()
    array([[0.]], dtype=float32)
    """

    takes_one_tensor = True

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


class Softmax(Layer):
    """e^x over its sum along a dimension, the last unless `axis` names another.

    >>> import fastnn
    >>> fastnn.layers.Softmax()([[1.0, 1.0]]).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """

    takes_one_tensor = True

    def __init__(self, axis: int = -1, **base: Any):
        super().__init__(**base)
        self.axis = axis

    def call(self, x: Tensor) -> Tensor:
        return activations.softmax(x, self.axis)


class InputLayer(Layer):
    """Says what one row of a model's input looks like. It computes nothing."""

    takes_one_tensor = True

    def __init__(self, shape: Sequence[int], **base: Any):
        super().__init__(**base)
        self.input_shape = row_shape(shape)
        self.built = True

    @property
    def shape(self) -> tuple[int, ...] | None:
        return self.input_shape

    @classmethod
    def from_config(cls, config: Any) -> Any:
        """As of every layer; Keras writes batch_shape, whose first extent is that of the rows."""
        config = dict(config)
        if "batch_shape" in config:
            config["shape"] = config.pop("batch_shape")[1:]
        return super().from_config(config)

    def call(self, x: Tensor) -> Tensor:
        return x


def Input(shape: Sequence[int], dtype: Any = None, name: str | None = None) -> InputLayer:
    """The input of a Sequential model: the shape of one row.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(2)])
    >>> model.output_shape
    (None, 2)
    """
    return InputLayer(shape, dtype=dtype, name=name)


def row_shape(shape: Any) -> tuple[int, ...] | None:
    """The shape of one row of input, checked; None stays None."""
    return None if shape is None else checks.extents("input_shape", shape, 1)
