"""Pooling: the largest or the mean element of windows, or of all of a row's space."""

from typing import Any

from fastnn import checks, ops
from fastnn.layers.spatial import Spatial
from fastnn.tensor import Tensor


class _Windows(Spatial, aliases=None):
    """Pooling by windows; arguments of `MaxPooling1D` and those like it."""

    pool: Any  # the op

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **base: Any,
    ):
        super().__init__(**base)
        self.data_format = checks.data_format(type(self).__name__, data_format)
        self.pool_size = self.numbers("pool_size", pool_size)
        self.strides = self.numbers("strides", pool_size if strides is None else strides)
        word = padding.lower() if isinstance(padding, str) else padding
        self.padding = checks.one_of(f"{type(self).__name__}: padding", word, "valid", "same")

    def call(self, x: Tensor) -> Tensor:
        self.expect_space(x.shape)
        return self.pool(x, self.pool_size, self.strides, self.padding, self.data_format)


class MaxPooling1D(_Windows, aliases=("MaxPool1D",)):
    """The largest element of each window: x (N, T, C), y (N, P, C).

    pool_size: of a window. strides: from one to the next; None is pool_size. padding: "valid",
    whole windows alone, P = floor((T - pool_size) / strides) + 1; "same", P = ceil(T / strides),
    of whose elements those count that are there. data_format: "channels_last", or
    "channels_first" for x (N, C, T). Arguments and defaults are Keras's.

    >>> import fastnn
    >>> fastnn.layers.MaxPooling1D(2)([[[1.0], [3.0], [2.0], [0.0]]]).numpy().ravel()
    array([3., 2.], dtype=float32)
    """

    dimensions, pool = 1, staticmethod(ops.max_pool)


class MaxPooling2D(_Windows, aliases=("MaxPool2D",)):
    """The largest element of each window: x (N, H, W, C), y (N, P, Q, C). Arguments as of
    `MaxPooling1D`, a number for both dimensions or one for each.

    >>> import fastnn, numpy
    >>> x = numpy.arange(16.0).reshape(1, 4, 4, 1)
    >>> fastnn.layers.MaxPooling2D()(x).numpy().ravel()
    array([ 5.,  7., 13., 15.], dtype=float32)
    """

    dimensions, pool = 2, staticmethod(ops.max_pool)


class MaxPooling3D(_Windows, aliases=("MaxPool3D",)):
    """The largest element of each window: x (N, D, H, W, C). Arguments as of `MaxPooling1D`.

    >>> import fastnn, numpy
    >>> fastnn.layers.MaxPooling3D()(numpy.ones((1, 4, 4, 6, 3))).shape
    (1, 2, 2, 3, 3)
    """

    dimensions, pool = 3, staticmethod(ops.max_pool)


class AveragePooling1D(_Windows, aliases=("AvgPool1D",)):
    """The mean of each window: x (N, T, C), y (N, P, C). Arguments as of `MaxPooling1D`, but that
    Keras asks for pool_size; padding does not count.

    >>> import fastnn
    >>> fastnn.layers.AveragePooling1D(2)([[[1.0], [3.0], [2.0], [0.0]]]).numpy().ravel()
    array([2., 1.], dtype=float32)
    """

    dimensions, pool = 1, staticmethod(ops.average_pool)


class AveragePooling2D(_Windows, aliases=("AvgPool2D",)):
    """The mean of each window: x (N, H, W, C), y (N, P, Q, C). Arguments as of `MaxPooling1D`, a
    number for both dimensions or one for each; padding does not count.

    >>> import fastnn, numpy
    >>> x = numpy.arange(16.0).reshape(1, 4, 4, 1)
    >>> fastnn.layers.AveragePooling2D()(x).numpy().ravel()
    array([ 2.5,  4.5, 10.5, 12.5], dtype=float32)
    """

    dimensions, pool = 2, staticmethod(ops.average_pool)


class AveragePooling3D(_Windows, aliases=("AvgPool3D",)):
    """The mean of each window: x (N, D, H, W, C). Arguments as of `MaxPooling1D`.

    >>> import fastnn, numpy
    >>> fastnn.layers.AveragePooling3D()(numpy.ones((1, 4, 4, 6, 3))).shape
    (1, 2, 2, 3, 3)
    """

    dimensions, pool = 3, staticmethod(ops.average_pool)


class _Global(Spatial, aliases=None):
    """Pooling of all of a row's space; arguments of `GlobalMaxPooling1D` and those like it."""

    pool: Any  # the op

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **base: Any):
        super().__init__(**base)
        self.data_format = checks.data_format(type(self).__name__, data_format)
        self.keepdims = bool(keepdims)

    def call(self, x: Tensor) -> Tensor:
        self.expect_space(x.shape)
        return self.pool(x, axis=self.axes, keepdims=self.keepdims)


class GlobalMaxPooling1D(_Global, aliases=("GlobalMaxPool1D",)):
    """The largest element of each channel: x (N, T, C), y (N, C), or (N, 1, C) with keepdims.
    data_format: "channels_last", or "channels_first" for x (N, C, T). Arguments are Keras's.

    >>> import fastnn
    >>> fastnn.layers.GlobalMaxPooling1D()([[[1.0, 2.0], [3.0, 0.0]]]).numpy()
    array([[3., 2.]], dtype=float32)
    """

    dimensions, pool = 1, staticmethod(ops.max)


class GlobalMaxPooling2D(_Global, aliases=("GlobalMaxPool2D",)):
    """The largest element of each channel: x (N, H, W, C), y (N, C), or (N, 1, 1, C) with keepdims.
    Arguments as of `GlobalMaxPooling1D`.

    >>> import fastnn, numpy
    >>> x = numpy.arange(8.0).reshape(1, 2, 2, 2)
    >>> fastnn.layers.GlobalMaxPooling2D()(x).numpy()
    array([[6., 7.]], dtype=float32)
    """

    dimensions, pool = 2, staticmethod(ops.max)


class GlobalMaxPooling3D(_Global, aliases=("GlobalMaxPool3D",)):
    """The largest element of each channel: x (N, D, H, W, C), y (N, C). Arguments as of
    `GlobalMaxPooling1D`.

    >>> import fastnn, numpy
    >>> fastnn.layers.GlobalMaxPooling3D()(numpy.ones((2, 3, 3, 3, 4))).shape
    (2, 4)
    """

    dimensions, pool = 3, staticmethod(ops.max)


class GlobalAveragePooling1D(_Global, aliases=("GlobalAvgPool1D",)):
    """The mean of each channel: x (N, T, C), y (N, C), or (N, 1, C) with keepdims. Steps that a
    mask leaves out do not count; the mean of none is NaN, as in Keras. Arguments as of
    `GlobalMaxPooling1D`.

    >>> import fastnn
    >>> fastnn.layers.GlobalAveragePooling1D()([[[1.0, 2.0], [3.0, 0.0]]]).numpy()
    array([[2., 1.]], dtype=float32)
    """

    dimensions, pool = 1, staticmethod(ops.mean)
    supports_masking = True

    def call(self, x: Tensor, mask: Any = None) -> Tensor:
        if mask is None:
            return super().call(x)
        self.expect_space(x.shape)
        is_one = ops.cast(ops.expand_dims(mask, self.channel_axis), "bool")
        total = ops.sum(ops.where(is_one, x, 0.0), axis=self.axes, keepdims=self.keepdims)
        counts = ops.sum(ops.cast(is_one, x.dtype), axis=self.axes, keepdims=self.keepdims)
        return total / counts

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """None: no step is left."""
        return None


class GlobalAveragePooling2D(_Global, aliases=("GlobalAvgPool2D",)):
    """The mean of each channel: x (N, H, W, C), y (N, C), or (N, 1, 1, C) with keepdims. Arguments
    as of `GlobalMaxPooling1D`.

    >>> import fastnn, numpy
    >>> x = numpy.arange(8.0).reshape(1, 2, 2, 2)
    >>> fastnn.layers.GlobalAveragePooling2D()(x).numpy()
    array([[3., 4.]], dtype=float32)
    """

    dimensions, pool = 2, staticmethod(ops.mean)


class GlobalAveragePooling3D(_Global, aliases=("GlobalAvgPool3D",)):
    """The mean of each channel: x (N, D, H, W, C), y (N, C). Arguments as of `GlobalMaxPooling1D`.

    >>> import fastnn, numpy
    >>> fastnn.layers.GlobalAveragePooling3D()(numpy.ones((2, 3, 3, 3, 4))).shape
    (2, 4)
    """

    dimensions, pool = 3, staticmethod(ops.mean)


class _Adaptive(Spatial, aliases=None):
    """Pooling to a given extent; arguments of `AdaptiveMaxPooling1D` and those like it."""

    pool: Any  # the op

    def __init__(self, output_size: Any, data_format: str | None = None, **base: Any):
        super().__init__(**base)
        self.output_size = self.numbers("output_size", output_size)
        self.data_format = checks.data_format(type(self).__name__, data_format)

    def call(self, x: Tensor) -> Tensor:
        self.expect_space(x.shape)
        return self.pool(x, self.output_size, self.data_format)


class AdaptiveMaxPooling1D(_Adaptive):
    """The largest element of each of output_size windows, as equal as can be: x (N, T, C), y
    (N, output_size, C); window i has the steps from floor(i T / output_size) to before
    ceil((i + 1) T / output_size). data_format: "channels_last", or "channels_first" for x
    (N, C, T). Arguments are Keras's.

    >>> import fastnn
    >>> fastnn.layers.AdaptiveMaxPooling1D(2)([[[1.0], [3.0], [2.0]]]).numpy().ravel()
    array([3., 3.], dtype=float32)
    """

    dimensions, pool = 1, staticmethod(ops.adaptive_max_pool)


class AdaptiveMaxPooling2D(_Adaptive):
    """The same of images: x (N, H, W, C), y (N, *output_size, C), of a number for both dimensions
    or one for each.

    >>> import fastnn, numpy
    >>> fastnn.layers.AdaptiveMaxPooling2D((2, 3))(numpy.ones((1, 7, 8, 4))).shape
    (1, 2, 3, 4)
    """

    dimensions, pool = 2, staticmethod(ops.adaptive_max_pool)


class AdaptiveMaxPooling3D(_Adaptive):
    """The same of volumes: x (N, D, H, W, C), y (N, *output_size, C).

    >>> import fastnn, numpy
    >>> fastnn.layers.AdaptiveMaxPooling3D(2)(numpy.ones((1, 3, 7, 8, 4))).shape
    (1, 2, 2, 2, 4)
    """

    dimensions, pool = 3, staticmethod(ops.adaptive_max_pool)


class AdaptiveAveragePooling1D(_Adaptive):
    """The mean of each window: x (N, T, C), y (N, output_size, C). Windows and arguments as of
    `AdaptiveMaxPooling1D`.

    >>> import fastnn
    >>> fastnn.layers.AdaptiveAveragePooling1D(2)([[[1.0], [3.0], [2.0]]]).numpy().ravel()
    array([2. , 2.5], dtype=float32)
    """

    dimensions, pool = 1, staticmethod(ops.adaptive_average_pool)


class AdaptiveAveragePooling2D(_Adaptive):
    """The same of images: x (N, H, W, C), y (N, *output_size, C), of a number for both dimensions
    or one for each.

    >>> import fastnn, numpy
    >>> fastnn.layers.AdaptiveAveragePooling2D((2, 3))(numpy.ones((1, 7, 8, 4))).shape
    (1, 2, 3, 4)
    """

    dimensions, pool = 2, staticmethod(ops.adaptive_average_pool)


class AdaptiveAveragePooling3D(_Adaptive):
    """The same of volumes: x (N, D, H, W, C), y (N, *output_size, C).

    >>> import fastnn, numpy
    >>> fastnn.layers.AdaptiveAveragePooling3D(2)(numpy.ones((1, 3, 7, 8, 4))).shape
    (1, 2, 2, 2, 4)
    """

    dimensions, pool = 3, staticmethod(ops.adaptive_average_pool)


# Keras's other names
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = (
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D = (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
)
