"""Layers around a layer."""

from typing import Any

from fastnn import ops, tree
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer, Shape
from fastnn.layers.normalization import BatchNormalization
from fastnn.tensor import Tensor


class Wrapper(Layer):
    """What layers around a layer share: it is `layer`, and built with them."""

    def __init__(self, layer: Layer, **base: Any):
        if not isinstance(layer, Layer):
            raise TypeError(
                f"{type(self).__name__}: layer must be a layer; got {type(layer).__name__}"
            )
        super().__init__(**base)
        self.layer = layer

    def build(self, input_shape: Any) -> None:
        self.layer.build_for(input_shape)


class TimeDistributed(Wrapper):
    """The layer, of each step by itself: x (N, T, ...) to (N, T, what it makes of (N, ...)).

    All steps are computed at once, as rows; but for a batch normalisation within, which in training
    takes the mean and variance of each step, one after another.

    >>> import fastnn
    >>> layer = fastnn.layers.TimeDistributed(fastnn.layers.Dense(2))
    >>> layer(fastnn.ops.ones((5, 7, 3))).shape
    (5, 7, 2)
    """

    takes_one_tensor = True
    supports_masking = True

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 3:
            raise ShapeError(
                f"TimeDistributed {self.name!r}: expected steps, shape (any, steps, ...); got "
                f"{shape_text(input_shape)}"
            )
        self.layer.build_for((input_shape[0], *input_shape[2:]))

    def call(self, x: Tensor, training: bool | None = None, mask: Any = None) -> Any:
        rows, steps = x.shape[:2]
        if mask is not None and tuple(mask.shape[:2]) != (rows, steps):
            raise ShapeError(
                f"TimeDistributed {self.name!r}: mask must have shape {shape_text((rows, steps))}, "
                f"as the steps of x; got {shape_text(mask.shape)}"
            )
        takes_mask = mask is not None and self.layer._takes_mask
        if training and _normalises(self.layer):
            found = [
                self._of(x[:, step], mask[:, step] if takes_mask else None) for step in range(steps)
            ]
            return tree.map(lambda *results: ops.stack(results, axis=1), *found)
        mask = ops.reshape(mask, (-1, *mask.shape[2:])) if takes_mask else None
        results = self._of(ops.reshape(x, (rows * steps, *x.shape[2:])), mask)
        return tree.map(lambda y: ops.reshape(y, (rows, steps, *y.shape[1:])), results)

    def _of(self, x, mask):
        return self.layer(x) if mask is None else self.layer(x, mask=mask)


def _normalises(layer):
    """Whether rows of a batch matter to each other."""
    return isinstance(layer, BatchNormalization) or any(map(_normalises, layer.sublayers()))
