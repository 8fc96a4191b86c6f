"""Layers that give their input another shape."""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from fastnn import checks, ops
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer
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
        self.data_format = data_format or "channels_last"
        if self.data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                f"Flatten {self.name!r}: data_format must be 'channels_last' or 'channels_first'; "
                f"got {data_format!r}"
            )

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
