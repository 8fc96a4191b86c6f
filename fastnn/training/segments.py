"""Where the steps of an epoch take their rows: sources, permutations, segments."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastnn import ops
from fastnn.apply import apply
from fastnn.buffer import Buffer
from fastnn.devices.cpu.memory import allocate, put_in, reserve
from fastnn.dtypes import INT64
from fastnn.ops.random import permutation
from fastnn.random import Generator
from fastnn.tape.record import Counter
from fastnn.tensor import Tensor, copy_to

if TYPE_CHECKING:
    from .programs import StepTape


class Permutation:
    """The order of the rows in an epoch, drawn anew at its beginning, and how far steps have
    come."""

    def __init__(self, generator: Generator):
        self.generator = generator
        self.words = Tensor(allocate(0), (0,), np.dtype("uint32"))  # random
        self.rows = Tensor(allocate(0), (0,), INT64)
        self.place = Tensor(allocate(8), (1,), INT64)
        self.cursor = Counter(self.place.buffer)

    def resize(self, rows: int) -> None:
        """Be a permutation of so many rows from now on. Data that grows finds more memory than it
        needs."""
        # random words are made four at a time
        for tensor, numbers in ((self.words, 4 * math.ceil(rows / 4)), (self.rows, rows)):
            nbytes, held = numbers * tensor.dtype.itemsize, tensor.buffer.nbytes
            if nbytes > held:
                tensor.buffer.become(allocate(max(nbytes, 2 * held) if held else nbytes))
            tensor.shape = (numbers,)

    def draw(self) -> None:
        """The step that begins an epoch."""
        draws = self.generator.draws
        drawn = (self.words, self.rows, self.place)
        apply(permutation, (self.generator.state,), {"draw_offset": draws.pending()}, drawn)
        draws.increment()


class InOrder:
    """The rows as they lie, for a device whose steps cannot be told where the next ones are: like a
    permutation they are gathered."""

    def __init__(self) -> None:
        self.rows = Tensor(allocate(0), (0,), INT64)
        self.place = Tensor(allocate(8), (1,), INT64)
        self.cursor = Counter(self.place.buffer)
        self.start = Tensor(reserve(8), (1,), INT64)

    def resize(self, rows: int) -> None:
        """Be as many rows from now on."""
        if self.rows.shape != (rows,):
            self.rows.buffer.become(allocate(8 * rows))
            self.rows.buffer.write(np.arange(rows))
            self.rows.shape = (rows,)

    def draw(self) -> None:
        """The step that begins an epoch."""
        copy_to(self.start, self.place)


class Source:
    """Arrays of as many rows each, of which steps take batches: in an order, or as they lie,
    without copying them.

    look: types and shapes of rows, on which tapes depend; key: with how many there are. Arrays of
    each look have tensors of their own, which tapes know.
    """

    def __init__(self, arrays: Sequence[np.ndarray], order: Permutation | InOrder | None = None):
        self.order = order
        self.of_looks: dict[tuple, list[Tensor]] = {}
        self.key: tuple = ()
        self.bind(arrays)

    def bind(self, arrays: Sequence[np.ndarray]) -> None:
        """Take rows of these arrays from now on: as many as there are."""
        key = tuple([(a.shape, a.dtype) for a in arrays])
        if key != self.key:
            self._look_like(arrays, key)
        for tensor, array in zip(self.whole, arrays, strict=True):
            put_in(tensor.buffer, array)

    def _look_like(self, arrays, key):
        self.look = tuple([(shape[1:], dtype) for shape, dtype in key])
        if self.look not in self.of_looks:
            made = [Tensor(Buffer(0, 0, None, 0), a.shape, a.dtype) for a in arrays]
            self.of_looks[self.look] = made
        self.key, self.whole = key, self.of_looks[self.look]
        for tensor, array in zip(self.whole, arrays, strict=True):
            tensor.shape = array.shape
        if self.order is not None:
            self.order.resize(len(arrays[0]))

    def release(self) -> None:
        """Let go of the arrays; tapes are kept, and get others."""
        for tensors in self.of_looks.values():
            for tensor in tensors:
                tensor.buffer.owner = None

    def take(self, start: int, rows: int) -> list[Tensor]:
        """The next rows of the order, or those from `start` on."""
        order = self.order
        if order is not None:
            batch = [ops.gather(t, order.rows, order.place, rows=rows) for t in self.whole]
            order.cursor.increment(rows)
            return batch
        taken = []
        for whole in self.whole:
            size = row_bytes(whole)
            buffer = Buffer(
                whole.buffer.address + start * size, rows * size, whole.buffer.owner, start * size
            )
            taken.append(Tensor(buffer, (rows, *whole.shape[1:]), whole.dtype))
        return taken


def row_bytes(tensor: Tensor) -> int:
    """Bytes of one row."""
    return tensor.buffer.nbytes // tensor.shape[0]


class Segment:
    """A step of `rows` rows and how often an epoch repeats it, from row `start` on. Called with a
    number it runs the step of that number. held: tensors with as many rows as the data, which the
    step reads where they lie."""

    def __init__(
        self,
        name: str,
        step: Callable[..., None],
        repeats: int = 1,
        source: Source | None = None,
        rows: int = 0,
        start: int = 0,
        held: Sequence[Tensor] = (),
        device: str | None = None,
    ):
        self.device = device  # that it is recorded for; None: the one that is current then
        self.name, self.step, self.repeats = name, step, repeats
        self.source, self.rows, self.start = source, rows, start
        self.key = name, rows, None if source is None else source.look  # of its tape
        self.held = list(held)
        if source is not None and source.order is not None:
            self.held = [*source.whole, source.order.rows]
        self.tape: StepTape | None = None

    def __call__(self, number: int = 0) -> None:
        if self.source is None:
            self.step()
        else:
            self.step(*self.source.take(self.start + number * self.rows, self.rows))


def order_of(order: Permutation | InOrder, name: str) -> Segment:
    """The step that begins an epoch's pass over the rows, for steps of this name. It is serial
    work, which the CPU does."""
    if isinstance(order, Permutation):
        return Segment("shuffling", order.draw, held=(order.words, order.rows), device="cpu")
    return Segment(f"rows of {name}", order.draw, device="cpu")


def segments_of(
    name: str, step: Callable[..., None], source: Source, batch_size: int
) -> list[Segment]:
    """The steps once through a source: full batches and, if rows are left over, a smaller last
    one."""
    full, rest = divmod(source.whole[0].shape[0], batch_size)
    found = [Segment(name, step, full, source, batch_size)] if full else []
    return found + ([Segment(name, step, 1, source, rest, full * batch_size)] if rest else [])
