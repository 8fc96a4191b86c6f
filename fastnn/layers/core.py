"""Dense layers, and the place where data comes in."""

from collections.abc import Iterable, Sequence
from inspect import signature
from typing import Any

from fastnn import activations, checks, ops
from fastnn.dtypes import expected
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer, Shape
from fastnn.registry import named_function
from fastnn.symbolic import KerasTensor, Node, draft_arena
from fastnn.tensor import Tensor, set_mask

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
    whether there is a bias. Of kernel and bias, an initializer, a regularizer and a constraint;
    activity_regularizer, of y: names or objects.
    input_shape: of one row, where it is a model's first layer.

    >>> import fastnn
    >>> layer = fastnn.layers.Dense(2, kernel_initializer="ones", activation="relu")
    >>> layer([[1.0, 2.0], [-1.0, 0.0]]).numpy()
    array([[3., 3.],
           [0., 0.]], dtype=float32)
    """

    takes_one_tensor = True
    supports_masking = True

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        input_shape: Sequence[int] | None = None,
        **base: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **base)
        self.units, self.use_bias, self.activation = (
            checks.whole_number("Dense: units", units, 1),
            use_bias,
            activations.get(activation, "Dense: activation"),
        )
        self.take(
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        self.input_shape = row_shape(input_shape)

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)
        if input_shape[-1] is None:
            raise ShapeError(
                f"Dense {self.name!r}: the last dimension of its input must be known; got "
                f"{shape_text(input_shape)}"
            )
        self.kernel = self.weight_of("kernel", (input_shape[-1], self.units))
        self.bias = self.weight_of("bias", (self.units,)) if self.use_bias else None

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


class InputLayer(Layer):
    """Says what a model's input looks like. It computes nothing. Arguments as of `Input`."""

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: Any = None,
        batch_shape: Any = None,
        name: str | None = None,
        optional: bool = False,
    ):
        super().__init__(name=name)
        self.optional = bool(optional)
        if (shape is None) == (batch_shape is None):
            raise ValueError(
                f"Input {self.name!r}: expected shape, of one row, or batch_shape, of a batch; got "
                f"{'neither' if shape is None else 'both'}"
            )
        if sparse:
            raise ValueError(f"Input {self.name!r}: fastnn has no sparse tensors; got sparse=True")
        if batch_shape is None:
            rows = open_shape("Input: batch_size", (batch_size,))
            batch_shape = (*rows, *open_shape("Input: shape", shape))
        self.batch_shape = open_shape("Input: batch_shape", batch_shape)
        if not self.batch_shape:
            raise ShapeError("Input: batch_shape must have an extent for the rows, as (None, 3)")
        self.input_shape, self.batch_size = self.batch_shape[1:], self.batch_shape[0]
        self.dtype = expected(dtype or self.dtype, f"Input {self.name!r}")
        self.built = True

    @property
    def shape(self) -> Shape:
        return self.input_shape

    @property
    def output(self) -> KerasTensor:
        """The symbolic tensor that stands for what the model is given."""
        if not self._nodes.calls:
            tensor = KerasTensor(self.batch_shape, self.dtype, self.name)
            tensor.node, tensor.arena = Node(self, ((), {}), tensor), draft_arena()
        return self._nodes.calls[0].results

    @classmethod
    def from_config(cls, config: Any) -> Any:
        """As of every layer; Keras 2 writes batch_input_shape."""
        names = {"batch_input_shape": "batch_shape"}
        return super().from_config({names.get(name, name): v for name, v in config.items()})

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype.name,
            "sparse": False,
            "name": self.name,
            **({"optional": True} if self.optional else {}),
        }

    def call(self, x: Tensor) -> Tensor:
        return x


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: Any = None,
    batch_shape: Any = None,
    name: str | None = None,
    optional: bool = False,
) -> KerasTensor:
    """The input of a model that is built by calling layers and ops on it, or the first of a
    Sequential model's layers: a symbolic tensor, which has a shape and an element type, but no
    values.

    shape: of one row; None in it is any extent. batch_size: how many rows, where that is known.
    batch_shape: of a batch, instead of both. dtype: "float32" (`config.floatx()`) unless given.
    optional: whether the model may be given None for it.
    Arguments and defaults are Keras's; sparse tensors there are none.

    >>> import fastnn
    >>> x = fastnn.Input((4,))
    >>> model = fastnn.Model(x, fastnn.layers.Dense(2)(x))
    >>> model.output_shape
    (None, 2)
    """
    return InputLayer(shape, batch_size, dtype, sparse, batch_shape, name, optional).output


def open_shape(name: str, shape: Any) -> Shape:
    """A shape in which None is any extent, checked."""
    if isinstance(shape, str | bytes | dict) or not isinstance(shape, Iterable):
        shape = (shape,)
    found = [(e,) if isinstance(e, dict | list | tuple) else e for e in shape]
    return tuple([None if e is None else checks.extents(name, e, 1)[0] for e in found])


def row_shape(shape: Any) -> tuple[int, ...] | None:
    """The shape of one row of input, checked; None stays None."""
    return None if shape is None else checks.extents("input_shape", shape, 1)


class Identity(Layer):
    """Its input, whatever that is.

    >>> import fastnn
    >>> fastnn.layers.Identity()([[1.0, 2.0]]).numpy()
    array([[1., 2.]], dtype=float32)
    """

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs


class Masking(Layer):
    """Masks the steps whose numbers all equal `mask_value`: they are 0 in the result, and layers
    that follow, losses and metrics leave them out. x: (N, T, C).

    >>> import fastnn
    >>> y = fastnn.layers.Masking()([[[0.0, 0.0], [0.0, 2.0]]])
    >>> y._keras_mask.numpy()
    array([[False,  True]])
    """

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True

    def __init__(self, mask_value: float = 0.0, **base: Any):
        super().__init__(**base)
        self.mask_value = mask_value

    def call(self, x: Tensor) -> Tensor:
        counts = self.compute_mask(x)
        y = ops.where(ops.expand_dims(counts, -1), x, 0.0)
        set_mask(y, counts)
        return y

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Which steps count."""
        return ops.any(inputs != self.mask_value, axis=-1)


class Lambda(Layer):
    """function(inputs, **arguments): for one of named functions of tensors. What has weights is a
    layer of one's own.

    function: of the inputs; one that takes `mask` or `training` is given them. output_shape: taken
    for Keras's sake; shapes are worked out. mask: of the results, or a function of (inputs, mask).
    arguments: more, by name.

    In a configuration stands the function's name: register it
    (`saving.register_keras_serializable`) for it to be found again. Unlike Keras, a `lambda` is not
    written, and one that Keras wrote is not run.

    >>> import fastnn
    >>> fastnn.layers.Lambda(lambda x: x * x)([[3.0]]).numpy()
    array([[9.]], dtype=float32)
    """

    def __init__(
        self,
        function: Any,
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **base: Any,
    ):
        super().__init__(**base)
        if isinstance(function, str):
            function = named_function(function, "Lambda: function")
        if not callable(function):
            raise TypeError(
                f"Lambda: function must be a function of tensors; got {function!r}. A lambda of a "
                "configuration is code, which is not run: pass the function itself."
            )
        self.function, self.output_shape, self.mask = function, output_shape, mask
        if not isinstance(arguments, dict | None):
            raise TypeError(f"Lambda: arguments must be a dictionary; got {arguments!r}")
        self.arguments = dict(arguments or {})
        self.supports_masking = mask is not None

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        taken = signature(self.function).parameters
        given = {"mask": mask, "training": training}
        wanted = {name: value for name, value in given.items() if name in taken}
        return self.function(inputs, **self.arguments, **wanted)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """What `mask` says."""
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask
