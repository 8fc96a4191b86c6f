"""Dropout."""

from typing import Any

from fastnn import checks, ops, random
from fastnn.layers.base import Layer, Shape
from fastnn.tensor import Tensor


class Dropout(Layer):
    """In training, each number is zero with probability `rate`, and the others are multiplied with
    1 / (1 - rate), so that their mean stays; otherwise x itself. Any shape. Srivastava and others,
    "Dropout: a simple way to prevent neural networks from overfitting", 2014. Keras's arguments.

    rate: from 0 to below 1, taken to the nearest of 65,536 steps. seed: an integer makes the
    numbers a function of it alone; None draws a generator from the process's when the layer is
    first called.

    >>> import fastnn
    >>> layer = fastnn.layers.Dropout(0.5, seed=0)
    >>> sorted({float(v) for v in layer([[1.0] * 99], training=True).numpy()[0]})
    [0.0, 2.0]
    >>> layer([[1.0, 2.0]]).numpy()
    array([[1., 2.]], dtype=float32)
    """

    takes_one_tensor = True
    supports_masking = True

    def __init__(self, rate: float, seed: int | None = None, **base: Any):
        super().__init__(**base)
        self.rate, self.seed = checks.fraction("Dropout: rate", rate), seed

    def build(self, input_shape: Shape) -> None:
        self.generator = (
            random.default.spawn() if self.seed is None else random.Generator(self.seed)
        )

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        if not training or self.rate == 0:
            return x
        state, draw_offset = self.generator.draw()
        return ops.dropout(x, state, rate=self.rate, draw_offset=draw_offset)
