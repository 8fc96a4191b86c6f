"""Convolutions of sequences, images and volumes: whole, of each channel by itself, transposed."""

from typing import Any

from fastnn import activations, checks, ops
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Shape
from fastnn.layers.core import FUSED
from fastnn.layers.spatial import Spatial
from fastnn.ops.convolution import convolved
from fastnn.tensor import Tensor
from fastnn.variable import Variable


class Convolution(Spatial, aliases=None):
    """What all convolutions share: how a window lies, bias and activation."""

    kernel: Variable
    bias: Variable | None
    paddings: tuple[str, ...] = ("valid", "same")

    def _take_window(self, kernel_size, strides, padding, data_format, dilation_rate):
        kind = type(self).__name__
        self.kernel_size = self.numbers("kernel_size", kernel_size)
        self.strides = self.numbers("strides", strides)
        self.dilation_rate = self.numbers("dilation_rate", dilation_rate)
        word = padding.lower() if isinstance(padding, str) else padding
        self.padding = checks.one_of(f"{kind}: padding", word, *self.paddings)
        self.data_format = checks.data_format(kind, data_format)

    def _take_end(self, activation, use_bias):
        self.activation = activations.get(activation, f"{type(self).__name__}: activation")
        self.use_bias = bool(use_bias)

    def _count(self, argument: str, value: Any) -> int:
        return checks.whole_number(f"{type(self).__name__}: {argument}", value, 1)

    def _channels(self, shape: Shape) -> int:
        """How many channels an input of this shape has."""
        self.expect_space(shape)
        channels = shape[self.channel_axis]
        if not channels:
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}: how many channels its input has must be "
                f"known, and 1 at least; got {shape_text(shape)}"
            )
        return channels

    def _expect_channels(self, shape: Shape, expected: int) -> None:
        """Raise unless an input has the channels that the layer was built for."""
        if self._channels(shape) != expected:
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}: expected {expected} channels, as it was "
                f"built for; got {shape[self.channel_axis]}, shape {shape_text(shape)}"
            )

    def _weight(self, name: str, shape: tuple[int, ...], of: str) -> Variable:
        """A weight by the arguments that begin with `of`."""
        kinds = ("initializer", "regularizer", "constraint")
        found = {kind: getattr(self, f"{of}_{kind}") for kind in kinds}
        return self.add_weight(shape, name=name, **found)

    def _window(self) -> dict[str, Any]:
        """The window, as ops are told it."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
        }

    def _finished(self, y: Tensor) -> Tensor:
        """activation(y + bias)."""
        if self.bias is not None:
            is_last = self.data_format == "channels_last"
            bias = self.bias if is_last else ops.reshape(self.bias, (-1, *[1] * self.dimensions))
            y = y + bias
        return self.activation(y)


class _Conv(Convolution, aliases=None):
    """Arguments of `Conv1D`, and the whole of it."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **base: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **base)
        self.filters, self.groups = self._count("filters", filters), self._count("groups", groups)
        if self.filters % self.groups:
            raise ValueError(
                f"{type(self).__name__}: groups must divide filters; got {groups} and {filters}"
            )
        self._take_window(kernel_size, strides, padding, data_format, dilation_rate)
        self._take_end(activation, use_bias)
        self.take(
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}: groups must divide the channels of its "
                f"input; got {self.groups} and {channels}, shape {shape_text(input_shape)}"
            )
        shape = *self.kernel_size, channels // self.groups, self.filters
        self.kernel = self.weight_of("kernel", shape)
        self.bias = self.weight_of("bias", (self.filters,)) if self.use_bias else None

    def call(self, x: Tensor) -> Tensor:
        self._expect_channels(x.shape, self.kernel.shape[-2] * self.groups)
        fused = FUSED.get(self.activation)
        y = convolved(x, self.kernel, self.bias, **self._window(), activation=fused)
        return y if fused else self.activation(y)


class Conv1D(_Conv, aliases=("Convolution1D",)):
    """y[n, p, f] = activation(bias[f] + the sum over k, c of
    x[n, p strides + k dilation_rate - zeros before, c] kernel[k, c, f]).

    x: (N, T, C), y: (N, P, filters); kernel: (kernel_size, C / groups, filters), bias: (filters,).

    filters: how many channels y has. kernel_size: of a window; strides: from one to the next;
    dilation_rate: from one of its elements to the next. padding: "valid", windows within x alone;
    "same", P = ceil(T / strides), with zeros at both ends; "causal", zeros before, so that y[p]
    sees nothing after it. data_format: "channels_last", or "channels_first" for x (N, C, T).
    groups: each of so many makes its channels of y of its own of x. activation: a name, a function
    of a tensor, or None. use_bias: whether there is a bias. Of kernel and bias, an initializer, a
    regularizer and a constraint; activity_regularizer, of y: names or objects.

    Arguments and defaults are Keras's, which has no strides with dilation; LoRA is not here.

    >>> import fastnn
    >>> layer = fastnn.layers.Conv1D(1, 2, padding="causal", kernel_initializer="ones")
    >>> layer([[[1.0], [2.0], [3.0]]]).numpy().ravel()
    array([1., 3., 5.], dtype=float32)
    """

    dimensions = 1
    paddings = ("valid", "same", "causal")


class Conv2D(_Conv, aliases=("Convolution2D",)):
    """Convolution of images: x (N, H, W, C), y (N, P, Q, filters); kernel: (rows, columns,
    C / groups, filters), bias: (filters,). Arguments as of `Conv1D`, of the window a number for
    both dimensions or one for each; padding is "valid" or "same".

    >>> import fastnn, numpy
    >>> layer = fastnn.layers.Conv2D(8, 3, padding="same", strides=2, activation="relu")
    >>> layer(numpy.ones((2, 28, 28, 1))).shape
    (2, 14, 14, 8)
    """

    dimensions = 2


class Conv3D(_Conv, aliases=("Convolution3D",)):
    """Convolution of volumes: x (N, D, H, W, C). Arguments as of `Conv2D`.

    >>> import fastnn, numpy
    >>> fastnn.layers.Conv3D(4, (1, 2, 2))(numpy.ones((1, 3, 4, 4, 2))).shape
    (1, 3, 3, 3, 4)
    """

    dimensions = 3


class _ConvTranspose(Convolution, aliases=None):
    """Arguments of `Conv1DTranspose`, and the whole of it."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **base: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **base)
        self.filters = self._count("filters", filters)
        self._take_window(kernel_size, strides, padding, data_format, dilation_rate)
        self.output_padding = (
            None if output_padding is None else self.numbers("output_padding", output_padding, 0)
        )
        if any([p >= s for p, s in zip(self.output_padding or (), self.strides, strict=False)]):
            raise ValueError(
                f"{type(self).__name__}: output_padding must be smaller than strides; got "
                f"{output_padding} and {strides}"
            )
        self._take_end(activation, use_bias)
        self.take(
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        shape = *self.kernel_size, self.filters, self._channels(input_shape)
        self.kernel = self.weight_of("kernel", shape)
        self.bias = self.weight_of("bias", (self.filters,)) if self.use_bias else None

    def call(self, x: Tensor) -> Tensor:
        self._expect_channels(x.shape, self.kernel.shape[-1])
        window = {**self._window(), "output_padding": self.output_padding}
        return self._finished(ops.conv_transpose(x, self.kernel, **window))


class Conv1DTranspose(_ConvTranspose, aliases=("Convolution1DTranspose",)):
    """What takes a convolution's result to the shape of its input, as its gradient does:
    y[n, p strides + k dilation_rate - cut off, f] is the sum of x[n, p, c] kernel[k, f, c], plus
    bias[f], activated.

    x: (N, T, C), y: (N, P, filters); kernel: (kernel_size, filters, C), bias: (filters,). padding:
    "valid", P = T strides + max(kernel_size - strides, 0); "same", P = T strides. output_padding:
    None, or how many more elements than the fewest y has, below strides. Other arguments as of
    `Conv1D`; they are Keras's.

    >>> import fastnn
    >>> layer = fastnn.layers.Conv1DTranspose(1, 2, strides=2, kernel_initializer="ones")
    >>> layer([[[1.0], [2.0]]]).numpy().ravel()
    array([1., 1., 2., 2.], dtype=float32)
    """

    dimensions = 1


class Conv2DTranspose(_ConvTranspose, aliases=("Convolution2DTranspose",)):
    """The same of images: x (N, H, W, C), y (N, P, Q, filters); kernel: (rows, columns, filters,
    C). Arguments as of `Conv1DTranspose`.

    >>> import fastnn, numpy
    >>> layer = fastnn.layers.Conv2DTranspose(3, 4, strides=2, padding="same")
    >>> layer(numpy.ones((1, 7, 7, 16))).shape
    (1, 14, 14, 3)
    """

    dimensions = 2


class Conv3DTranspose(_ConvTranspose, aliases=("Convolution3DTranspose",)):
    """The same of volumes: x (N, D, H, W, C). Arguments as of `Conv1DTranspose`.

    >>> import fastnn, numpy
    >>> fastnn.layers.Conv3DTranspose(3, 2, strides=2)(numpy.ones((1, 2, 2, 3, 4))).shape
    (1, 4, 4, 6, 3)
    """

    dimensions = 3


# Keras's other names
Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
Convolution1DTranspose, Convolution2DTranspose, Convolution3DTranspose = (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
)
