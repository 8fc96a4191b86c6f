"""Initial weights."""

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any

import numpy as np

from fastnn import checks, config, random
from fastnn.convert import as_array
from fastnn.dtypes import FLOATS, expected
from fastnn.errors import ShapeError, nearest, shape_text
from fastnn.registry import Configured, Kind
from fastnn.tensor import Tensor, tensor

Axes = Sequence[int] | None


class Initializer(Configured):
    """Makes the first values of a variable: `initializer(shape, dtype)`.

    seed: an integer gives the same values on every call (as Keras has it), a `random.Generator`
    draws on from it, and None from the process's.
    """

    _kind = Kind(
        "initializer",
        "initializers",
        wrap=lambda function: function,  # any function (shape, dtype) -> array will do
        of_array=lambda array: Constant(array),
    )

    def __init__(self, seed: Any = None):
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        return self.draw(random._generator(self.seed), shape, dtype)

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        raise TypeError(f"{type(self).__name__} does not define draw(generator, shape, dtype)")


KIND = Initializer._kind


class Zeros(Initializer, aliases=("zero",)):
    """0 everywhere."""

    def __init__(self):
        super().__init__()

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        return tensor(np.zeros(shape), dtype or config.floatx())


class Ones(Initializer, aliases=("one",)):
    """1 everywhere."""

    def __init__(self):
        super().__init__()

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        return tensor(np.ones(shape), dtype or config.floatx())


class Constant(Initializer):
    """A number everywhere, or the values of an array, whose shape is the variable's or broadcasts
    to it. An array in the place of an initializer is this of it.

    >>> import fastnn
    >>> fastnn.initializers.Constant(0.5)((2,)).numpy()
    array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, value: Any = 0.0):
        super().__init__()
        self.value = value if isinstance(value, float | int) else np.asarray(value).tolist()

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        values = as_array(self.value, dtype or config.floatx(), "Constant: value")
        try:
            return tensor(np.broadcast_to(values, tuple(shape)))
        except ValueError:
            raise ShapeError(
                f"Constant: values of shape {shape_text(values.shape)} do not make a variable of "
                f"shape {shape_text(shape)}"
            ) from None


class Identity(Initializer):
    """gain where row and column have one number, else 0; for two dimensions.

    >>> import fastnn
    >>> fastnn.initializers.Identity(2.0)((2, 2)).numpy()
    array([[2., 0.],
           [0., 2.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0):
        super().__init__()
        self.gain = checks.real("Identity: gain", gain)

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        if len(shape) != 2:
            raise ShapeError(f"Identity: makes matrices, two dimensions; got {shape_text(shape)}")
        return tensor(self.gain * np.eye(shape[0], shape[1]), dtype or config.floatx())


class RandomUniform(Initializer, aliases=("uniform",)):
    """Evenly distributed in [minval, maxval); Keras's defaults are -0.05 and 0.05.

    >>> import fastnn
    >>> drawn = fastnn.initializers.RandomUniform(-1.0, 1.0, seed=1)((100,)).numpy()
    >>> bool(drawn.min() < -0.9 and 0.9 < drawn.max() < 1.0)
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None):
        super().__init__(seed)
        self.minval = checks.real("RandomUniform: minval", minval)
        self.maxval = checks.real("RandomUniform: maxval", maxval)

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        return generator.uniform(shape, self.minval, self.maxval, dtype)


class RandomNormal(Initializer, aliases=("normal",)):
    """Normally distributed; Keras's defaults are mean 0 and deviation 0.05."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        super().__init__(seed)
        self.mean = checks.real(f"{type(self).__name__}: mean", mean)
        self.stddev = checks.not_negative(f"{type(self).__name__}: stddev", stddev)

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        return generator.normal(shape, self.mean, self.stddev, dtype)


class TruncatedNormal(Initializer):
    """Normally distributed, where what is more than two deviations from the mean is drawn again.
    Keras's defaults are mean 0 and deviation (of the normal distribution) 0.05.

    >>> import fastnn
    >>> drawn = fastnn.initializers.TruncatedNormal(seed=1)((1000,)).numpy()
    >>> bool(abs(drawn).max() <= 0.1)
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        super().__init__(seed)
        self.mean = checks.real(f"{type(self).__name__}: mean", mean)
        self.stddev = checks.not_negative(f"{type(self).__name__}: stddev", stddev)

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        return _truncated_normal(generator, shape, self.mean, self.stddev, dtype)


def _truncated_normal(generator, shape, mean, stddev, dtype):
    drawn = generator.normal(shape, dtype=dtype).numpy()
    while (outside := np.abs(drawn) > 2).any():
        drawn[outside] = generator.normal((int(outside.sum()),), dtype=dtype).numpy()
    return tensor(drawn * drawn.dtype.type(stddev) + drawn.dtype.type(mean))


MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("uniform", "truncated_normal", "untruncated_normal")
TRUNCATED_DEVIATION = 0.87962566103423978  # of a normal distribution without what is beyond 2


class VarianceScaling(Initializer):
    """Drawn with mean 0 and variance scale / n, n being how many numbers of the layer before a
    number is made of ("fan_in"), how many of the next it makes ("fan_out"), or the mean of both
    ("fan_avg"). For a kernel (..., inputs, outputs), what stands before is a window, and counts for
    both; input_axes and output_axes say it otherwise.

    scale: above 0. distribution: "truncated_normal" ("normal"), "untruncated_normal" or "uniform".
    Keras's arguments and defaults.

    >>> import fastnn
    >>> make = fastnn.initializers.VarianceScaling(2.0, "fan_out", "uniform", seed=1)
    >>> round(make((50, 100)).numpy().var() * 100, 1)
    np.float32(2.0)
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
    ):
        super().__init__(seed)
        distribution = "truncated_normal" if distribution == "normal" else distribution
        for name, value, known in (
            ("mode", mode, MODES),
            ("distribution", distribution, DISTRIBUTIONS),
        ):
            if value not in known:
                raise ValueError(
                    f"VarianceScaling: unknown {name} {value!r}; {nearest(value, known)}"
                )
        self.scale = checks.positive("VarianceScaling: scale", scale)
        self.mode, self.distribution = mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        inputs, outputs = compute_fans(shape, self.input_axes, self.output_axes)
        count = {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2}[self.mode]
        variance = self.scale / max(1.0, count)
        if self.distribution == "uniform":
            limit = sqrt(3 * variance)
            return generator.uniform(shape, -limit, limit, dtype)
        if self.distribution == "untruncated_normal":
            return generator.normal(shape, 0.0, sqrt(variance), dtype)
        stddev = sqrt(variance) / TRUNCATED_DEVIATION
        return _truncated_normal(generator, shape, 0.0, stddev, dtype)


def compute_fans(
    shape: Sequence[int], input_axes: Axes = None, output_axes: Axes = None
) -> tuple[int, int]:
    """How many numbers one of the result is made of, and how many it takes part in."""
    if input_axes is not None and output_axes is not None:
        return prod([shape[a] for a in input_axes]), prod([shape[a] for a in output_axes])
    if len(shape) < 2:
        return (prod(shape),) * 2
    window = prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


class _Scaled(VarianceScaling, aliases=None):
    """A VarianceScaling whose scale, mode and distribution are its own."""

    fixed: tuple[float, str, str]

    def __init__(self, seed: Any = None, input_axes: Axes = None, output_axes: Axes = None):
        super().__init__(*self.fixed, seed, input_axes, output_axes)


class GlorotUniform(_Scaled):
    """Evenly distributed in [-limit, limit) with limit = sqrt(6 / (inputs + outputs)), for a kernel
    (inputs, outputs): it keeps the size of activations and gradients through the layers. Glorot and
    Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.

    >>> import fastnn
    >>> kernel = fastnn.initializers.GlorotUniform(seed=1)((100, 50))
    >>> abs(kernel.numpy()).max() < 0.2
    np.True_
    """

    fixed = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Normally distributed, truncated at two deviations, with variance 2 / (inputs + outputs): see
    `GlorotUniform`."""

    fixed = (1.0, "fan_avg", "truncated_normal")


class LecunUniform(_Scaled):
    """Evenly distributed in [-limit, limit) with limit = sqrt(3 / inputs). LeCun and others,
    "Efficient backprop", 1998."""

    fixed = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Normally distributed, truncated at two deviations, with variance 1 / inputs. LeCun and
    others, "Efficient backprop", 1998."""

    fixed = (1.0, "fan_in", "truncated_normal")


class HeUniform(_Scaled):
    """Evenly distributed in [-limit, limit) with limit = sqrt(6 / inputs), for layers with relu. He
    and others, "Delving deep into rectifiers", 2015."""

    fixed = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Normally distributed, truncated at two deviations, with variance 2 / inputs, for layers with
    relu. He and others, "Delving deep into rectifiers", 2015."""

    fixed = (2.0, "fan_in", "truncated_normal")


class Orthogonal(Initializer):
    """gain times a matrix whose columns, or rows where there are fewer, are orthogonal and of
    length 1, drawn evenly from all such; of more than two dimensions, all but the last are rows.
    Saxe and others, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", 2013.

    >>> import fastnn
    >>> x = fastnn.initializers.Orthogonal(seed=1)((3, 2)).numpy()
    >>> bool(abs(x.T @ x - [[1, 0], [0, 1]]).max() < 1e-6)
    True
    """

    def __init__(self, gain: float = 1.0, seed: Any = None):
        super().__init__(seed)
        self.gain = checks.real("Orthogonal: gain", gain)

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        if len(shape) < 2:
            raise ShapeError(
                f"Orthogonal: makes matrices, two dimensions or more; got {shape_text(shape)}"
            )
        dtype = expected(dtype or config.floatx(), "Orthogonal", FLOATS)
        rows, columns = prod(shape[:-1]), shape[-1]
        size = max(rows, columns), min(rows, columns)
        q, r = np.linalg.qr(generator.normal(size, dtype="float64").numpy())
        q *= np.where(np.diag(r) < 0, -1.0, 1.0)
        return tensor(self.gain * (q if rows >= columns else q.T).reshape(shape), dtype)


zeros, ones, constant, identity = Zeros, Ones, Constant, Identity
random_uniform, random_normal, truncated_normal = RandomUniform, RandomNormal, TruncatedNormal
variance_scaling, orthogonal = VarianceScaling, Orthogonal
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal
he_uniform, he_normal = HeUniform, HeNormal
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal  # Keras's older names
KIND.spellings.update(IdentityInitializer=Identity, OrthogonalInitializer=Orthogonal)
get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
