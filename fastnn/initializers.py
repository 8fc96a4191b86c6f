"""Initial weights."""

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any

import numpy as np

from fastnn import config, random
from fastnn.registry import Configured, Kind
from fastnn.tensor import Tensor, tensor

# any function (shape, dtype) -> array will do
KIND = Kind("initializer", "initializers", wrap=lambda function: function)


class Initializer(Configured):
    """Makes the first values of a variable: `initializer(shape, dtype)`.

    seed: an integer gives the same values on every call (as Keras has it); None draws from the
    process's generator.
    """

    _kind = KIND

    def __init__(self, seed: int | None = None):
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        return self.draw(random._generator(self.seed), shape, dtype)

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        raise TypeError(f"{type(self).__name__} does not define draw(generator, shape, dtype)")


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


class RandomUniform(Initializer, aliases=("uniform",)):
    """Evenly distributed in [minval, maxval); Keras's defaults are -0.05 and 0.05."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None):
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        return generator.uniform(shape, self.minval, self.maxval, dtype)


class RandomNormal(Initializer, aliases=("normal",)):
    """Normally distributed; Keras's defaults are mean 0 and deviation 0.05."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None):
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        return generator.normal(shape, self.mean, self.stddev, dtype)


class GlorotUniform(Initializer):
    """Evenly distributed in [-limit, limit) with limit = sqrt(6 / (inputs + outputs)), for a kernel
    (inputs, outputs): it keeps the size of activations and gradients through the layers. Glorot and
    Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.

    >>> import fastnn
    >>> kernel = fastnn.initializers.GlorotUniform(seed=1)((100, 50))
    >>> abs(kernel.numpy()).max() < 0.2
    np.True_
    """

    def draw(self, generator: random.Generator, shape: Sequence[int], dtype: Any) -> Tensor:
        inputs, outputs = (shape[0], shape[0]) if len(shape) == 1 else (prod(shape[:-1]), shape[-1])
        limit = sqrt(6 / max(1, inputs + outputs))
        return generator.uniform(shape, -limit, limit, dtype)


get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
