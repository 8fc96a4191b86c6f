"""Random numbers that replays and any number of threads draw alike: Philox, keyed by a generator
and its count of draws."""

import os
from collections.abc import Iterable, Sequence
from math import inf, sqrt
from typing import Any

import numpy as np

from fastnn import checks, config, ops
from fastnn.checks import extents, is_whole
from fastnn.declared import as_declared
from fastnn.devices.arena import own_copy
from fastnn.devices.cpu.memory import allocate
from fastnn.dtypes import FLOAT64, FLOATS, INT64, INTEGERS, expected
from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.reference.random import philox
from fastnn.locks import lock
from fastnn.registry import unique_name
from fastnn.tape.record import Counter, context
from fastnn.tensor import Tensor, operand, tensor

_drawing = lock()  # of all generators: a draw takes a microsecond


class Generator:
    """A stream of random numbers: a key, and how many draws were made. What a draw gives depends on
    these two alone.

    seed: an integer; None takes a fresh one from the system. `seed` tells which. A copy (copy.copy,
    copy.deepcopy, pickle) goes on with the same numbers, by itself.

    >>> import fastnn
    >>> generator = fastnn.random.Generator(7)
    >>> a, b = generator.uniform((2,)), fastnn.random.Generator(7).uniform((2,))
    >>> bool((a.numpy() == b.numpy()).all())
    True
    """

    def __init__(self, seed: int | None = None):
        memory = allocate(16)
        # what kernels read: key and number of draws
        self.state = Tensor(memory, (2,), INT64)
        self.draws = Counter(memory, 1)
        self.resets = 0  # so that what was spawned can tell that it is of an earlier life
        self.reset(seed)

    __copy__ = own_copy

    @property
    def _words(self):
        return self.state.buffer.array((2,), np.int64)

    def reset(self, seed: int | None = None) -> None:
        """Begin again, with this seed or a fresh one."""
        if seed is None:
            seed = int.from_bytes(os.urandom(4), "little")
        elif not is_whole(seed, -inf):
            raise TypeError(f"seed: expected an integer; got {seed!r}")
        self.seed = int(seed)
        self._words[0] = self.seed % (1 << 64) - (
            1 << 64 if self.seed % (1 << 64) >= 1 << 63 else 0
        )
        self.draws.value = 0
        self.resets += 1

    def position(self) -> list[int]:
        """Seed, key and number of draws, by which `go_to` finds it again, in another process
        too."""
        return [self.seed, int(self._words[0]), self.draws.value]

    def go_to(self, position: Sequence[int]) -> None:
        """Go on from where a generator was; what was spawned of this one stays."""
        self.seed, self._words[0], self.draws.value = position

    def spawn(self) -> "Generator":
        """A generator of its own key, which follows from this one's; it costs this one a draw."""
        with _drawing:
            # Never recorded, so the count is the memory's: the reference in Python gives the key
            # that a kernel would.
            key, draw = int(self._words[0]) % (1 << 64), self.draws.value
            self.draws.value += 1
        low, high, *_ = philox((0, 0, draw & 0xFFFFFFFF, draw >> 32), (key & 0xFFFFFFFF, key >> 32))
        return Generator((high << 32 | low) & ((1 << 63) - 1))

    def draw(self) -> tuple[Tensor, int]:
        """Make a draw: what a kernel is given for it, memory with key and count, and how many draws
        of the same step come before. Outside a step the count moves on at once, so the memory is a
        copy, for a gradient that asks again."""
        with _drawing:
            state, draw_offset = (
                self.state if context.step else tensor(self._words),
                self.draws.pending(),
            )
            self.draws.increment()
        return state, draw_offset

    def uniform(
        self, shape: Sequence[int], low: float = 0.0, high: float = 1.0, dtype: Any = None
    ) -> Tensor:
        """Numbers in [low, high), each as likely as any other."""
        return self._drawn(ops.uniform, shape, dtype, low=low, high=high)

    def normal(
        self, shape: Sequence[int], mean: float = 0.0, deviation: float = 1.0, dtype: Any = None
    ) -> Tensor:
        """Normally distributed numbers."""
        return self._drawn(ops.normal, shape, dtype, mean=mean, deviation=deviation)

    def _drawn(self, op, shape, dtype, **parameters):
        name = f"random {op.name}"
        dtype, shape = expected(dtype or config.floatx(), name, FLOATS), extents(name, shape)
        state, draw_offset = self.draw()
        return op(state, shape=shape, dtype=dtype, draw_offset=draw_offset, **parameters)


class SeedGenerator(Generator):
    """A `Generator` by Keras's name and arguments: passed as `seed`, it gives other numbers at each
    call. As an attribute of a layer it is copied with it, and checkpoints keep where it is.

    >>> import fastnn
    >>> seeds = fastnn.random.SeedGenerator(1337)
    >>> a, b = (fastnn.random.uniform((2,), seed=seeds).numpy() for _ in range(2))
    >>> bool((a == b).any())
    False
    """

    @as_declared
    def __init__(self, seed: int | None = None, name: str | None = None):
        super().__init__(seed)
        self.name, self._initial_seed = name or unique_name("seed_generator"), seed

    def get_config(self) -> dict[str, Any]:
        """Seed, as it was given, and name."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SeedGenerator":
        """One of such a configuration, from its start."""
        return cls(**config)


default = Generator()  # of the process: initial weights and shuffling come from it


def normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: int | Generator | None = None,
) -> Tensor:
    """Normally distributed numbers, as tf.random.normal and keras.random.normal take their
    arguments.

    seed: an integer makes the result a function of it alone; a `SeedGenerator` gives other numbers
    each time; None draws from the process's generator (`utils.set_random_seed`).

    >>> import fastnn
    >>> fastnn.random.normal([2, 3], seed=1).shape
    (2, 3)
    """
    mean = checks.real("random normal: mean", mean)
    return _generator(seed).normal(shape, mean, checks.real("random normal: stddev", stddev), dtype)


def uniform(
    shape: Sequence[int],
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: Any = None,
    seed: int | Generator | None = None,
) -> Tensor:
    """Numbers in [minval, maxval), each as likely as any other; `seed` as in `normal`.

    >>> import fastnn
    >>> x = fastnn.random.uniform((1000,), minval=2.0, maxval=3.0)
    >>> bool(2.0 <= x.numpy().min() and x.numpy().max() < 3.0)
    True
    """
    minval = checks.real("random uniform: minval", minval)
    maxval = checks.real("random uniform: maxval", maxval)
    return _generator(seed).uniform(shape, minval, maxval, dtype)


# Of erfinv(x) / x where log(1 / (1 - x^2)) is below 5, in powers of that less 2.5, from the highest
# down: Giles, "Approximating the erfinv function", 2012; within 2e-7.
ERFINV = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
    -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
WITHIN_TWO = 0.9544997361036416  # erf(sqrt(2)): the share of a normal distribution within 2


def truncated_normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: int | Generator | None = None,
) -> Tensor:
    """Normally distributed numbers within two deviations of the mean: sqrt(2) erfinv(u) of uniform
    u, by a polynomial that is within 2e-7 of it. Keras draws those beyond again: the distribution
    is the same. `seed` as in `normal`.

    >>> import fastnn
    >>> x = fastnn.random.truncated_normal((1000,), mean=1.0, seed=0).numpy()
    >>> bool(abs(x - 1).max() <= 2)
    True
    """
    mean = checks.real("random truncated_normal: mean", mean)
    stddev = checks.real("random truncated_normal: stddev", stddev)
    shape = extents("random truncated_normal: shape", shape)
    u = _generator(seed).uniform(shape, -WITHIN_TWO, WITHIN_TWO, dtype)
    w, polynomial = -ops.log((1.0 - u) * (1.0 + u)) - 2.5, ERFINV[0]
    for coefficient in ERFINV[1:]:
        polynomial = polynomial * w + coefficient
    return ops.clip(polynomial * u * sqrt(2), -2.0, 2.0) * stddev + mean


def randint(
    shape: Sequence[int],
    minval: int,
    maxval: int,
    dtype: Any = "int32",
    seed: int | Generator | None = None,
) -> Tensor:
    """Whole numbers from minval to maxval - 1, each as likely as any other. dtype: "int32", "int64"
    or "uint8", which must hold them. `seed` as in `normal`.

    >>> import fastnn
    >>> sorted(set(fastnn.random.randint((100,), 2, 5, seed=0).numpy().tolist()))
    [2, 3, 4]
    """
    dtype = expected(dtype, "random randint", INTEGERS)
    for name, value in (("minval", minval), ("maxval", maxval)):
        if not is_whole(value, -inf):
            raise TypeError(f"random randint: {name}: expected an integer; got {value!r}")
    shape = extents("random randint: shape", shape)
    limits, count = np.iinfo(dtype), int(maxval) - int(minval)
    if not (limits.min <= minval < maxval <= limits.max + 1 and count <= 1 << 53):
        raise ValueError(
            f"random randint: expected minval below maxval, both within {dtype} and at most 2^53 "
            f"apart; got {minval} and {maxval}"
        )
    u = _generator(seed).uniform(shape, 0.0, float(count), FLOAT64)
    below = ops.minimum(ops.floor(u), float(count - 1))  # a product may be rounded up to count
    # together in float64, which holds both exactly, unless they lie beyond 2^53
    if max(abs(minval), abs(maxval)) <= 1 << 53:
        return ops.cast(below + float(minval), dtype=dtype)
    return ops.cast(below, dtype=INT64) + np.array(minval, INT64)


def categorical(
    logits: Any, num_samples: int, dtype: Any = "int32", seed: int | Generator | None = None
) -> Tensor:
    """Classes (N, num_samples) drawn with the probabilities softmax(logits), logits (N, C): where
    logits plus Gumbel noise is largest, -log(-log(u)) of uniform u. dtype: "int32", "int64" or
    "uint8". `seed` as in `normal`.

    >>> import fastnn
    >>> fastnn.random.categorical([[0.0, -100.0], [-100.0, 0.0]], 3, seed=0).numpy()
    array([[0, 0, 0],
           [1, 1, 1]], dtype=int32)
    """
    dtype = expected(dtype, "random categorical", INTEGERS)
    num_samples = checks.whole_number("random categorical: num_samples", num_samples, 0)
    checks.extents("random categorical: num_samples", num_samples)
    logits = ops.cast(operand(logits, name="random categorical: logits"), dtype=FLOAT64)
    if logits.ndim != 2 or not logits.shape[1]:
        raise ShapeError(
            "random categorical: logits must be (N, C), a row of log-probabilities for each draw; "
            f"got {shape_text(logits.shape)}"
        )
    rows, classes = logits.shape
    u = _generator(seed).uniform((rows, num_samples, classes), dtype=FLOAT64)
    noisy = ops.expand_dims(logits, 1) - ops.log(-ops.log(u))
    return ops.cast(ops.argmax(noisy, axis=-1), dtype=dtype)


def dropout(
    inputs: Any,
    rate: float,
    noise_shape: Sequence[int | None] | None = None,
    seed: int | Generator | None = None,
) -> Tensor:
    """The inputs, of any shape, with each number zero with probability `rate` and the others
    multiplied with 1 / (1 - rate). rate: from 0 to below 1, taken to the nearest of 65,536 steps.
    noise_shape: what is drawn for, 1 along dimensions that share it, None for the inputs' extent.
    `seed` as in `normal`.

    >>> import fastnn
    >>> sorted(set(fastnn.random.dropout(fastnn.ops.ones((99,)), 0.5, seed=0).numpy().tolist()))
    [0.0, 2.0]
    """
    rate = checks.fraction("random dropout: rate", rate)
    x = operand(inputs, name="random dropout: inputs")
    shape = shape_of_noise("random dropout", x, noise_shape)
    return x if rate == 0 else dropped(x, rate, shape, _generator(seed))


def shape_of_noise(owner: str, x: Tensor, noise_shape: Sequence[int | None] | None) -> Any:
    """The shape of what is drawn for x: with None x's own extent, with 1 the same numbers along
    it."""
    if noise_shape is None:
        return x.shape
    given = tuple(noise_shape) if isinstance(noise_shape, Iterable) else (noise_shape,)
    found = tuple([own if e is None else e for own, e in zip(x.shape, given, strict=False)])
    if len(given) != x.ndim or any(
        e not in (1, own) for own, e in zip(x.shape, found, strict=True)
    ):
        raise ShapeError(
            f"{owner}: noise_shape must have an extent of x or 1 for each dimension of "
            f"{shape_text(x.shape)}; got {shape_text(given)}"
        )
    return found


def dropped(x: Tensor, rate: float, shape: tuple[int, ...], generator: Generator) -> Tensor:
    """x with each number zero with probability `rate` and the others multiplied with 1 / (1 -
    rate); drawn for is what has this shape, which is x's but for extents of 1."""
    state, draw_offset = generator.draw()
    if shape == x.shape:
        return ops.dropout(x, state, rate=rate, draw_offset=draw_offset)
    ones = ops.ones(shape, dtype=x.dtype)
    return x * ops.dropout(ones, state, rate=rate, draw_offset=draw_offset)


def shuffle(x: Any, axis: int = 0, seed: int | Generator | None = None) -> Tensor:
    """x with what lies along an axis in another order, each as likely as any other. x: any element
    type. `seed` as in `normal`.

    >>> import fastnn
    >>> sorted(fastnn.random.shuffle([3, 1, 2], seed=0).numpy().tolist())
    [1, 2, 3]
    """
    x = x if isinstance(x, Tensor) else tensor(x)
    if not is_whole(axis, -x.ndim) or axis >= x.ndim:
        raise ValueError(
            f"random shuffle: axis must be a dimension of {shape_text(x.shape)}; got {axis!r}"
        )
    keys = _generator(seed).uniform((x.shape[axis],), dtype=FLOAT64)
    return ops.take(x, ops.argsort(keys), axis=axis)


def _generator(seed):
    """What draws for a `seed`: a generator itself, the process's for None."""
    if isinstance(seed, Generator):
        return seed
    return default if seed is None else Generator(seed)
