"""Layers that give their input another shape."""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from fastnn import checks, ops
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer
from fastnn.layers.spatial import Spatial
from fastnn.ops.shapes import reshaped
from fastnn.tensor import Tensor


class Flatten(Layer):
    """Each row of the batch as one row of numbers: x (N, A, B, ...), y (N, A B ...); of x (N,),
    (N, 1).

    data_format: "channels_last", the order in which elements lie, or "channels_first", which puts
    dimension 1 last before. None is "channels_last". Arguments and defaults are Keras's.

    >>> import fastnn, numpy
    >>> fastnn.layers.Flatten()(numpy.ones((2, 3, 4))).shape
    (2, 12)
    """

    takes_one_tensor = True

    def __init__(self, data_format: str | None = None, **base: Any):
        super().__init__(**base)
        self.data_format = checks.data_format("Flatten", data_format)

    def call(self, x: Tensor) -> Tensor:
        if not x.shape:
            raise ShapeError(f"Flatten {self.name!r}: expected rows; got a number, of shape ()")
        if self.data_format == "channels_first" and x.ndim > 2:
            x = ops.moveaxis(x, 1, -1)
        return ops.reshape(x, (x.shape[0], prod(x.shape[1:])))


class Reshape(Layer):
    """Each row of the batch under another shape: x (N, ...), y (N, *target_shape).

    target_shape: of one row, with as many elements; one extent may be -1.

    >>> import fastnn, numpy
    >>> fastnn.layers.Reshape((3, -1))(numpy.ones((2, 12))).shape
    (2, 3, 4)
    """

    takes_one_tensor = True

    def __init__(self, target_shape: Sequence[int], **base: Any):
        super().__init__(**base)
        given = tuple(target_shape) if isinstance(target_shape, Iterable) else (None,)
        if not all([checks.is_whole(e, -1) for e in given]):
            raise ValueError(
                f"Reshape {self.name!r}: target_shape must be of extents, one of which may be -1; "
                f"got {target_shape}"
            )
        self.target_shape = tuple([int(e) for e in given])

    def call(self, x: Tensor) -> Tensor:
        return ops.reshape(x, (x.shape[0], *reshaped(self.target_shape, x.shape[1:])))


class Permute(Layer):
    """The dimensions of each row in another order: x (N, D1, D2, ...), y (N, D_dims[0], ...).

    dims: a permutation of 1, 2, ..., the dimensions of a row; so (2, 1) transposes it.

    >>> import fastnn, numpy
    >>> fastnn.layers.Permute((2, 1))(numpy.ones((5, 3, 4))).shape
    (5, 4, 3)
    """

    takes_one_tensor = True

    def __init__(self, dims: Sequence[int], **base: Any):
        super().__init__(**base)
        self.dims = checks.extents(f"Permute {self.name!r}: dims", dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"Permute {self.name!r}: dims must be a permutation of 1, 2, ..., the dimensions "
                f"of a row; got {dims}"
            )

    def call(self, x: Tensor) -> Tensor:
        if x.ndim != len(self.dims) + 1:
            raise ShapeError(
                f"Permute {self.name!r}: expected rows of the {len(self.dims)} dimensions of dims; "
                f"got shape {shape_text(x.shape)}"
            )
        return ops.transpose(x, axes=(0, *self.dims))


class RepeatVector(Layer):
    """Each row n times: x (N, C), y (N, n, C).

    >>> import fastnn
    >>> fastnn.layers.RepeatVector(3)([[1.0, 2.0]]).shape
    (1, 3, 2)
    """

    takes_one_tensor = True

    def __init__(self, n: int, **base: Any):
        super().__init__(**base)
        self.n = checks.whole_number("RepeatVector: n", n, 1)

    def call(self, x: Tensor) -> Tensor:
        if x.ndim != 2:
            raise ShapeError(
                f"RepeatVector {self.name!r}: expected shape (any, columns); got "
                f"{shape_text(x.shape)}"
            )
        return ops.repeat(ops.reshape(x, (x.shape[0], 1, x.shape[1])), self.n, axis=1)


class _UpSampling(Spatial, aliases=None):
    """Each element several times along each dimension of space."""

    size: Any  # a number, or one for each dimension

    def call(self, x: Tensor) -> Tensor:
        self.expect_space(x.shape)
        sizes = checks.whole_numbers("size", self.size, self.dimensions)
        apart, repeated, together = [], [], []
        for d, extent in enumerate(x.shape):
            times = sizes[d - self.axes[0]] if d in self.axes else 1
            apart += [extent, 1] if times > 1 else [extent]
            repeated += [extent, times] if times > 1 else [extent]
            together.append(extent * times)
        return ops.reshape(ops.broadcast_to(ops.reshape(x, apart), repeated), together)


class UpSampling1D(_UpSampling):
    """Each step `size` times: x (N, T, C), y (N, size T, C). Arguments are Keras's.

    >>> import fastnn
    >>> fastnn.layers.UpSampling1D(2)([[[1.0], [2.0]]]).numpy().ravel()
    array([1., 1., 2., 2.], dtype=float32)
    """

    dimensions = 1

    def __init__(self, size: int = 2, **base: Any):
        super().__init__(**base)
        self.size = checks.whole_number("UpSampling1D: size", size, 1)


class UpSampling2D(_UpSampling):
    """Larger images: x (N, H, W, C), y (N, size[0] H, size[1] W, C).

    size: a number, or one for rows and one for columns. data_format: "channels_last", or
    "channels_first" for x (N, C, H, W). interpolation: "nearest", each pixel several times, or
    "bilinear", between the four pixels around, those of the edge going on beyond it. Arguments and
    defaults are Keras's, whose other interpolations are not here.

    >>> import fastnn
    >>> fastnn.layers.UpSampling2D((1, 2))([[[[1.0], [2.0]]]]).numpy().ravel()
    array([1., 1., 2., 2.], dtype=float32)
    """

    dimensions = 2

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **base: Any,
    ):
        super().__init__(**base)
        self.data_format = checks.data_format(type(self).__name__, data_format)
        self.size = self.numbers("size", size)
        self.interpolation = checks.one_of(
            "UpSampling2D: interpolation", str(interpolation).lower(), "nearest", "bilinear"
        )

    def call(self, x: Tensor) -> Tensor:
        if self.interpolation == "nearest":
            return super().call(x)
        self.expect_space(x.shape)
        for axis, size in zip(self.axes, self.size, strict=True):
            x = _interpolated(x, axis, size)
        return x


def _interpolated(x, axis, size):
    """x with `size` elements for each along an axis, whose middles lie evenly between those of
    their neighbours."""
    if size == 1:
        return x
    extent = x.shape[axis]
    places = np.clip((np.arange(extent * size) + 0.5) / size - 0.5, 0, max(extent - 1, 0))
    before = places.astype(np.int64)
    after = np.minimum(before + 1, max(extent - 1, 0))
    weight = (places - before).astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1 - axis % x.ndim))
    low, high = ops.take(x, before, axis=axis), ops.take(x, after, axis=axis)
    return low * (1 - weight) + high * weight


class UpSampling3D(_UpSampling):
    """Larger volumes: x (N, D, H, W, C), each element `size` times along each dimension. Arguments
    as of `UpSampling2D`.

    >>> import fastnn, numpy
    >>> fastnn.layers.UpSampling3D((1, 2, 3))(numpy.ones((1, 2, 2, 2, 1))).shape
    (1, 2, 4, 6, 1)
    """

    dimensions = 3

    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **base: Any):
        super().__init__(**base)
        self.data_format = checks.data_format(type(self).__name__, data_format)
        self.size = self.numbers("size", size)


class _ZeroPadding(Spatial, aliases=None):
    """Zeros at the edges: padding is (before, after) of each dimension of space."""

    padding: Any

    def call(self, x: Tensor) -> Tensor:
        self.expect_space(x.shape)
        widths = [(0, 0)] * x.ndim
        widths[self.axes[0] : self.axes[-1] + 1] = self._pairs()
        return ops.pad(x, pad_width=widths)

    def _pairs(self):
        return self.padding


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after a sequence: x (N, T, C), y (N, before + T + after, C).

    padding: how many, or (before, after). data_format: "channels_last", or "channels_first" for
    x (N, C, T). Arguments and defaults are Keras's.

    >>> import fastnn
    >>> fastnn.layers.ZeroPadding1D((2, 1))([[[5.0]]]).numpy().ravel()
    array([0., 0., 5., 0.], dtype=float32)
    """

    dimensions = 1

    def __init__(self, padding: Any = 1, data_format: str | None = None, **base: Any):
        super().__init__(**base)
        self.data_format = checks.data_format(type(self).__name__, data_format)
        self.padding = checks.whole_numbers("ZeroPadding1D: padding", padding, 2, 0)

    def _pairs(self):
        return (self.padding,)


class ZeroPadding2D(_ZeroPadding):
    """Zeros around images: x (N, H, W, C), y (N, top + H + bottom, left + W + right, C).

    padding: how many, (rows, columns), or ((top, bottom), (left, right)). data_format:
    "channels_last", or "channels_first" for x (N, C, H, W). Arguments and defaults are Keras's.

    >>> import fastnn, numpy
    >>> fastnn.layers.ZeroPadding2D(((1, 0), (2, 2)))(numpy.ones((1, 2, 2, 3))).shape
    (1, 3, 6, 3)
    """

    dimensions = 2

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **base: Any):
        super().__init__(**base)
        self.data_format = checks.data_format(type(self).__name__, data_format)
        self.padding = self.pairs("padding", padding)


class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes: x (N, D, H, W, C). Arguments as of `ZeroPadding2D`.

    >>> import fastnn, numpy
    >>> fastnn.layers.ZeroPadding3D(1)(numpy.ones((1, 2, 2, 2, 3))).shape
    (1, 4, 4, 4, 3)
    """

    dimensions = 3

    def __init__(
        self,
        padding: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **base: Any,
    ):
        super().__init__(**base)
        self.data_format = checks.data_format(type(self).__name__, data_format)
        self.padding = self.pairs("padding", padding)


class _Cropping(Spatial, aliases=None):
    """Without elements at the edges: cropping is (before, after) of each dimension of space."""

    cropping: Any

    def call(self, x: Tensor) -> Tensor:
        self.expect_space(x.shape)
        key = [slice(None)] * x.ndim
        for axis, (before, after) in zip(self.axes, self._pairs(), strict=True):
            if before + after >= x.shape[axis]:
                raise ShapeError(
                    f"{type(self).__name__} {self.name!r}: cropping {self.cropping} leaves nothing "
                    f"of dimension {axis} of shape {shape_text(x.shape)}"
                )
            key[axis] = slice(before, x.shape[axis] - after)
        return x[tuple(key)]

    def _pairs(self):
        return self.cropping


class Cropping1D(_Cropping):
    """A sequence without its first and last steps: x (N, T, C), y (N, T - before - after, C).

    cropping: how many, or (before, after). Arguments and defaults are Keras's.

    >>> import fastnn
    >>> fastnn.layers.Cropping1D((1, 0))([[[1.0], [2.0], [3.0]]]).numpy().ravel()
    array([2., 3.], dtype=float32)
    """

    dimensions = 1

    def __init__(self, cropping: Any = (1, 1), **base: Any):
        super().__init__(**base)
        self.cropping = checks.whole_numbers("Cropping1D: cropping", cropping, 2, 0)

    def _pairs(self):
        return (self.cropping,)


class Cropping2D(_Cropping):
    """Images without their edges: x (N, H, W, C).

    cropping: how many pixels, (rows, columns), or ((top, bottom), (left, right)). data_format:
    "channels_last", or "channels_first" for x (N, C, H, W). Arguments and defaults are Keras's.

    >>> import fastnn, numpy
    >>> fastnn.layers.Cropping2D(((1, 0), (1, 1)))(numpy.ones((1, 4, 4, 3))).shape
    (1, 3, 2, 3)
    """

    dimensions = 2

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **base: Any
    ):
        super().__init__(**base)
        self.data_format = checks.data_format(type(self).__name__, data_format)
        self.cropping = self.pairs("cropping", cropping)


class Cropping3D(_Cropping):
    """Volumes without their edges: x (N, D, H, W, C). Arguments as of `Cropping2D`.

    >>> import fastnn, numpy
    >>> fastnn.layers.Cropping3D(1)(numpy.ones((1, 4, 4, 5, 3))).shape
    (1, 2, 2, 3, 3)
    """

    dimensions = 3

    def __init__(
        self,
        cropping: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **base: Any,
    ):
        super().__init__(**base)
        self.data_format = checks.data_format(type(self).__name__, data_format)
        self.cropping = self.pairs("cropping", cropping)
