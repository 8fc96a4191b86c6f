"""Layers that disturb in training: dropout and noise; and what adds to the loss."""

from collections.abc import Sequence
from math import sqrt
from typing import Any

from fastnn import checks, ops, random, regularizers
from fastnn.layers.base import Layer, Shape
from fastnn.layers.core import open_shape
from fastnn.layers.spatial import Spatial
from fastnn.tensor import Tensor

# Selu's negative limit, -scale alpha: what AlphaDropout puts in place of a number
ALPHA = -1.6732632423543772 * 1.0507009873554805


def checked_shape(name: str, noise_shape: Any) -> tuple[int | None, ...] | None:
    """A shape of noise, None or of extents and None."""
    return None if noise_shape is None else open_shape(name, noise_shape)


class Drawing(Layer, aliases=None):
    """A layer that draws random numbers in training, and gives x itself otherwise.

    seed: an integer makes the numbers a function of it alone; None draws a generator from the
    process's when the layer is first called."""

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True
    noise_shape: tuple[int | None, ...] | None = None  # x's

    def __init__(self, seed: int | None, **base: Any):
        super().__init__(**base)
        self.seed = seed

    def build(self, input_shape: Shape) -> None:
        self.generator = (
            random.default.spawn() if self.seed is None else random.Generator(self.seed)
        )

    def shape_of_noise(self, x: Tensor) -> tuple[int, ...]:
        """The shape of what is drawn for x."""
        owner = f"{type(self).__name__} {self.name!r}"
        return random.shape_of_noise(owner, x, self.noise_shape)


class Dropout(Drawing):
    """In training, each number is zero with probability `rate`, and the others are multiplied with
    1 / (1 - rate), so that their mean stays; otherwise x itself. Any shape. Srivastava and others,
    "Dropout: a simple way to prevent neural networks from overfitting", 2014. Keras's arguments.

    rate: from 0 to below 1, taken to the nearest of 65,536 steps. noise_shape: of the numbers that
    are drawn, 1 where a dimension shares them, None for x's own extent; left out, x's shape. seed:
    an integer makes the numbers a function of it alone; None draws a generator from the process's
    when the layer is first called.

    >>> import fastnn
    >>> layer = fastnn.layers.Dropout(0.5, seed=0)
    >>> sorted({float(v) for v in layer([[1.0] * 99], training=True).numpy()[0]})
    [0.0, 2.0]
    >>> layer([[1.0, 2.0]]).numpy()
    array([[1., 2.]], dtype=float32)
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **base: Any,
    ):
        super().__init__(seed, **base)
        self.rate = checks.fraction(f"{type(self).__name__}: rate", rate)
        self.noise_shape = checked_shape(f"{type(self).__name__}: noise_shape", noise_shape)

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        if not training or self.rate == 0:
            return x
        return random.dropped(x, self.rate, self.shape_of_noise(x), self.generator)


class SpatialDropout1D(Drawing, Spatial):
    """Dropout of whole columns: x (N, T, C), of which for each row of N a channel of C is zero at
    all times T or at none. Tompson and others, "Efficient object localization using convolutional
    networks", 2015. Keras's arguments.

    >>> import fastnn
    >>> y = fastnn.layers.SpatialDropout1D(0.5, seed=0)([[[1.0, 1.0]] * 9], training=True).numpy()
    >>> bool((y == y[:, :1]).all())
    True
    """

    dimensions = 1
    noise_shape: tuple[int | None, ...] = (None, 1, None)

    def __init__(self, rate: float, seed: int | None = None, **base: Any):
        super().__init__(seed, **base)
        self.rate = checks.fraction(f"{type(self).__name__}: rate", rate)

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        self.expect_space(x.shape)
        if not training or self.rate == 0:
            return x
        return random.dropped(x, self.rate, self.shape_of_noise(x), self.generator)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.expect_space(input_shape)
        return input_shape


class SpatialDropout2D(SpatialDropout1D):
    """Dropout of whole channels of images (N, H, W, C), or with data_format "channels_first"
    (N, C, H, W); otherwise as `SpatialDropout1D`.

    >>> import fastnn, numpy
    >>> x = numpy.ones((1, 3, 3, 8))
    >>> y = fastnn.layers.SpatialDropout2D(0.5, seed=0)(x, training=True).numpy()
    >>> bool((y == y[:, :1, :1]).all())
    True
    """

    dimensions = 2
    noise_shape: tuple[int | None, ...] = (None, 1, 1, None)

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        **base: Any,
    ):
        super().__init__(rate, seed, **base)
        self.data_format = checks.data_format(type(self).__name__, data_format)
        if self.data_format == "channels_first":
            self.noise_shape = (None, *self.noise_shape[:0:-1])


class SpatialDropout3D(SpatialDropout2D):
    """Dropout of whole channels of volumes (N, D, H, W, C); otherwise as `SpatialDropout2D`.

    >>> import fastnn, numpy
    >>> x = numpy.ones((1, 2, 3, 3, 8))
    >>> y = fastnn.layers.SpatialDropout3D(0.5, seed=0)(x, training=True).numpy()
    >>> bool((y == y[:, :1, :1, :1]).all())
    True
    """

    dimensions = 3
    noise_shape = (None, 1, 1, 1, None)


class GaussianNoise(Drawing):
    """In training x + noise, normally distributed with mean 0 and this deviation. Keras's
    arguments.

    >>> import fastnn
    >>> x = fastnn.ops.zeros((1000, 10))
    >>> float(fastnn.layers.GaussianNoise(2.0, seed=0)(x, training=True).numpy().std().round(1))
    2.0
    """

    def __init__(self, stddev: float, seed: int | None = None, **base: Any):
        super().__init__(seed, **base)
        self.stddev = checks.not_negative("GaussianNoise: stddev", stddev)

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        if not training or self.stddev == 0:
            return x
        return x + self.generator.normal(x.shape, 0.0, self.stddev, x.dtype)


class GaussianDropout(Drawing):
    """In training x times numbers that are normally distributed with mean 1 and deviation sqrt(rate
    / (1 - rate)), that of dropout. Srivastava and others, 2014. Keras's arguments.

    >>> import fastnn
    >>> x = fastnn.ops.ones((1000, 10))
    >>> layer = fastnn.layers.GaussianDropout(0.5, seed=0)
    >>> float(layer(x, training=True).numpy().std().round(1))
    1.0
    """

    def __init__(self, rate: float, seed: int | None = None, **base: Any):
        super().__init__(seed, **base)
        self.rate = checks.fraction("GaussianDropout: rate", rate)

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        if not training or self.rate == 0:
            return x
        deviation = sqrt(self.rate / (1 - self.rate))
        return x * self.generator.normal(x.shape, 1.0, deviation, x.dtype)


class AlphaDropout(Drawing):
    """In training each number is, with probability rate, selu's negative limit, and all are scaled
    and shifted so that mean and variance stay, those of selu networks. Klambauer and others,
    "Self-normalizing neural networks", 2017. Keras's arguments.

    >>> import fastnn
    >>> x = fastnn.random.normal((10000, 10), seed=0)
    >>> y = fastnn.layers.AlphaDropout(0.3, seed=0)(x, training=True).numpy()
    >>> float(abs(y.mean()).round(1)), float(y.std().round(1))
    (0.0, 1.0)
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **base: Any,
    ):
        super().__init__(seed, **base)
        self.rate = checks.fraction("AlphaDropout: rate", rate)
        self.noise_shape = checked_shape(f"{type(self).__name__}: noise_shape", noise_shape)

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        if not training or self.rate == 0:
            return x
        is_kept = self.generator.uniform(self.shape_of_noise(x), dtype=x.dtype) >= self.rate
        scale = 1 / sqrt((1 - self.rate) * (1 + self.rate * ALPHA**2))
        return ops.where(is_kept, x, ALPHA) * scale - scale * ALPHA * self.rate


class ActivityRegularization(Layer):
    """x itself, whose l1 sum of |x| + l2 sum of x^2 is added to the loss, each divided by the rows
    of the batch. Keras's arguments.

    >>> import fastnn
    >>> layer = fastnn.layers.ActivityRegularization(l1=1.0)
    >>> _ = layer([[1.0, -3.0]])
    >>> [loss.item() for loss in layer.losses]
    [4.0]
    """

    takes_one_tensor = True
    keeps_shape = True
    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **base: Any):
        super().__init__(**base)
        self.l1 = checks.not_negative("ActivityRegularization: l1", l1)
        self.l2 = checks.not_negative("ActivityRegularization: l2", l2)

    def call(self, x: Tensor) -> Tensor:
        self._add_share(regularizers.L1L2(self.l1, self.l2), x)
        return x
