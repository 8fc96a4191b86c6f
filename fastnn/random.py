"""Random numbers that replays and any number of threads draw alike: Philox, keyed by a generator
and its count of draws."""

import os
from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np

from fastnn import config, ops
from fastnn.checks import extents, is_whole
from fastnn.devices.arena import own_copy
from fastnn.devices.cpu.memory import allocate
from fastnn.dtypes import FLOATS, INT64, expected
from fastnn.kernels.reference.random import philox
from fastnn.locks import lock
from fastnn.tape.record import Counter, context
from fastnn.tensor import Tensor, tensor

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


default = Generator()  # of the process: initial weights and shuffling come from it


def normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: int | None = None,
) -> Tensor:
    """Normally distributed numbers, as tf.random.normal and keras.random.normal take their
    arguments.

    seed: an integer makes the result a function of it alone; None draws from the process's
    generator (`utils.set_random_seed`).

    >>> import fastnn
    >>> fastnn.random.normal([2, 3], seed=1).shape
    (2, 3)
    """
    return _generator(seed).normal(shape, mean, stddev, dtype)


def uniform(
    shape: Sequence[int],
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: Any = None,
    seed: int | None = None,
) -> Tensor:
    """Numbers in [minval, maxval), each as likely as any other; `seed` as in `normal`.

    >>> import fastnn
    >>> x = fastnn.random.uniform((1000,), minval=2.0, maxval=3.0)
    >>> bool(2.0 <= x.numpy().min() and x.numpy().max() < 3.0)
    True
    """
    return _generator(seed).uniform(shape, minval, maxval, dtype)


def _generator(seed):
    if isinstance(seed, Generator):
        return seed
    return default if seed is None else Generator(seed)
