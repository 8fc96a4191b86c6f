"""Convolutions of each channel by itself, and with one that mixes channels behind it."""

from typing import Any

from fastnn import ops
from fastnn.layers.base import Shape
from fastnn.layers.convolutional import Convolution
from fastnn.tensor import Tensor


class _DepthwiseConv(Convolution, aliases=None):
    """Arguments of `DepthwiseConv1D`, and the whole of it."""

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **base: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **base)
        self.depth_multiplier = self._count("depth_multiplier", depth_multiplier)
        self._take_window(kernel_size, strides, padding, data_format, dilation_rate)
        self._take_end(activation, use_bias)
        self.take(
            depthwise_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            bias_regularizer=bias_regularizer,
            depthwise_constraint=depthwise_constraint,
            bias_constraint=bias_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        shape = *self.kernel_size, channels, self.depth_multiplier
        self.kernel = self._weight("kernel", shape, "depthwise")
        filters = channels * self.depth_multiplier
        self.bias = self.weight_of("bias", (filters,)) if self.use_bias else None

    def call(self, x: Tensor) -> Tensor:
        self._expect_channels(x.shape, self.kernel.shape[-2])
        return self._finished(ops.depthwise_conv(x, self.kernel, **self._window()))


class DepthwiseConv1D(_DepthwiseConv):
    """Convolution of each channel by itself: x (N, T, C), y (N, P, C depth_multiplier), of which
    channel c makes those from c depth_multiplier on; kernel: (kernel_size, C, depth_multiplier),
    bias: (C depth_multiplier,). Other arguments as of `Conv1D`, padding "valid" or "same"; they are
    Keras's.

    >>> import fastnn
    >>> layer = fastnn.layers.DepthwiseConv1D(2, depthwise_initializer="ones")
    >>> layer([[[1.0, 10.0], [2.0, 20.0]]]).numpy()
    array([[[ 3., 30.]]], dtype=float32)
    """

    dimensions = 1


class DepthwiseConv2D(_DepthwiseConv):
    """The same of images: x (N, H, W, C), y (N, P, Q, C depth_multiplier); kernel: (rows, columns,
    C, depth_multiplier). Arguments as of `DepthwiseConv1D`.

    >>> import fastnn, numpy
    >>> layer = fastnn.layers.DepthwiseConv2D(3, depth_multiplier=2)
    >>> layer(numpy.ones((1, 8, 8, 3))).shape
    (1, 6, 6, 6)
    """

    dimensions = 2


class _SeparableConv(Convolution, aliases=None):
    """Arguments of `SeparableConv1D`, and the whole of it."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **base: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **base)
        self.filters = self._count("filters", filters)
        self.depth_multiplier = self._count("depth_multiplier", depth_multiplier)
        self._take_window(kernel_size, strides, padding, data_format, dilation_rate)
        self._take_end(activation, use_bias)
        self.take(
            depthwise_initializer=depthwise_initializer,
            pointwise_initializer=pointwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            pointwise_regularizer=pointwise_regularizer,
            bias_regularizer=bias_regularizer,
            depthwise_constraint=depthwise_constraint,
            pointwise_constraint=pointwise_constraint,
            bias_constraint=bias_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        shape = *self.kernel_size, channels, self.depth_multiplier
        self.depthwise_kernel = self._weight("depthwise_kernel", shape, "depthwise")
        shape = *(1,) * self.dimensions, channels * self.depth_multiplier, self.filters
        self.pointwise_kernel = self._weight("pointwise_kernel", shape, "pointwise")
        self.bias = self.weight_of("bias", (self.filters,)) if self.use_bias else None

    def call(self, x: Tensor) -> Tensor:
        self._expect_channels(x.shape, self.depthwise_kernel.shape[-2])
        kernels = self.depthwise_kernel, self.pointwise_kernel
        return self._finished(ops.separable_conv(x, *kernels, **self._window()))


class SeparableConv1D(_SeparableConv, aliases=("SeparableConvolution1D",)):
    """A convolution of each channel by itself, then one that mixes channels: x (N, T, C), y (N, P,
    filters); depthwise_kernel: (kernel_size, C, depth_multiplier), pointwise_kernel: (1,
    C depth_multiplier, filters), bias: (filters,). Other arguments as of `Conv1D`, padding "valid"
    or "same"; they are Keras's.

    >>> import fastnn, numpy
    >>> fastnn.layers.SeparableConv1D(5, 3, padding="same")(numpy.ones((1, 8, 2))).shape
    (1, 8, 5)
    """

    dimensions = 1


class SeparableConv2D(_SeparableConv, aliases=("SeparableConvolution2D",)):
    """The same of images: x (N, H, W, C), y (N, P, Q, filters). Arguments as of `SeparableConv1D`.

    >>> import fastnn, numpy
    >>> fastnn.layers.SeparableConv2D(5, 3, strides=2)(numpy.ones((1, 9, 9, 2))).shape
    (1, 4, 4, 5)
    """

    dimensions = 2


# Keras's other names
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
