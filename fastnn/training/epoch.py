"""An epoch as a program: the steps through the data, recorded once, and where they take their rows."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.device.buffers import Buffer, allocate, buffer_of, reserve
from fastnn.device.locks import Turn, lock, making
from fastnn.kernels.cpu import batches
from fastnn.kernels.cpu import random as random_kernels
from fastnn.random import Generator
from fastnn.tape.pace import Pace
from fastnn.tape.record import Counter, Recorder, Step, emit
from fastnn.tape.run import FOREVER, Program, Tape, lanes_to_plan_for
from fastnn.tensor import INDEX, Tensor

MOST_EPOCHS = 1024  # whose results are kept until Python fetches them


class Order:
    """The order of the rows in an epoch, drawn anew at its beginning, and how far steps have come."""

    def __init__(self, rows: int, generator: Generator):
        self.generator = generator
        words = -(-rows // 4) * 4  # random ones, made four at a time
        self.words = Tensor(allocate(4 * words), (words,), np.dtype("uint32"))
        self.rows = Tensor(allocate(8 * rows), (rows,), INDEX)
        self.place = Tensor(allocate(8), (1,), INDEX)
        self.cursor = Counter(self.place.buffer)

    def draw(self) -> None:
        """The step that begins an epoch."""
        draws = self.generator.draws
        arguments = (self.generator.state, draws.earlier(), self.words, self.rows, self.place)
        emit("shuffle", random_kernels.begin_epoch, arguments)
        draws.advance()


class Source:
    """Arrays of as many rows each, of which steps take batches: by an order, or as they lie, without copying them."""

    def __init__(self, arrays: Sequence[np.ndarray], order: Order | None = None):
        self.order = order
        self.whole = [Tensor(Buffer(0, a.nbytes, None, 0), a.shape, a.dtype) for a in arrays]
        self.parts: list[tuple[Tensor, int, int]] = []  # tensors that recorded steps take in place: array, first row
        self.bind(arrays)

    def bind(self, arrays: Sequence[np.ndarray], tapes: Sequence[Tape] = ()) -> None:
        """Take rows of these arrays from now on, of the same shapes as the first ones."""
        moved: list[tuple[Buffer, int]] = []
        for tensor, array in zip(self.whole, arrays, strict=True):
            memory = buffer_of(array)
            if tensor.buffer.address != memory.address:
                moved.append((tensor.buffer, memory.address))
            tensor.buffer.address, tensor.buffer.owner = memory.address, memory.owner
        for tensor, number, first in self.parts:  # a tape that was stopped in an epoch stands at later rows
            whole = self.whole[number]
            moved.append((tensor.buffer, whole.buffer.address + first * _row_bytes(whole)))
        for buffer, address in moved:
            for tape in tapes:
                tape.place(buffer, address)

    def release(self) -> None:
        """Let go of the arrays; tapes are kept, and get others."""
        for tensor in self.whole:
            tensor.buffer.owner = None

    def take(self, first: int, rows: int) -> list[Tensor]:
        """The next rows by the order, or those from `first` on."""
        if self.order is not None:
            batch = [ops.gather(t, self.order.rows, self.order.place, rows=rows) for t in self.whole]
            self.order.cursor.advance(rows)
            return batch
        taken = []
        for whole in self.whole:
            size = _row_bytes(whole)
            buffer = Buffer(whole.buffer.address + first * size, rows * size, whole.buffer.owner, first * size)
            taken.append(Tensor(buffer, (rows, *whole.shape[1:]), whole.dtype))
        return taken


def _row_bytes(tensor):
    return tensor.buffer.nbytes // tensor.shape[0]


class Part:
    """A step and how often an epoch repeats it. Called with a number it runs the step of that number."""

    def __init__(
        self, name: str, step: Callable[..., None], repeats: int = 1, source: Source | None = None, rows: int = 0, first: int = 0
    ):
        self.name, self.step, self.repeats = name, step, repeats
        self.source, self.rows, self.first = source, rows, first
        self.strides: list[tuple[int, int]] = []

    def __call__(self, number: int = 0) -> None:
        self.step(*(() if self.source is None else self.source.take(self.first + number * self.rows, self.rows)))

    def record(self, lanes: int) -> Tape:
        """The step as a tape that goes on to the next rows by itself, for up to so many lanes."""
        source = self.source
        in_place: list[Tensor] = []
        with making:
            with Recorder(self.name) as recorder:
                if source is None or source.order is not None:
                    self()
                else:
                    in_place = source.take(self.first, self.rows)
                    self.step(*in_place)
            recorder.restore_gradients()
        tape = Tape(recorder, [], lanes)
        counters = len(tape.advances)
        for number, tensor in enumerate(in_place):
            assert source is not None
            source.parts.append((tensor, number, self.first))
            tensor.buffer.address, tensor.buffer.owner, tensor.buffer.maker = None, None, recorder  # the tape alone knows it now
            if self.repeats > 1:
                tape.stride(tensor.buffer, tensor.buffer.nbytes)
        self.strides = tape.advances[counters:]
        return tape


def parts_of(name: str, step: Callable[..., None], source: Source, batch_size: int) -> list[Part]:
    """The steps once through a source: full batches and, if rows are left over, a smaller last one."""
    count = source.whole[0].shape[0]
    full, rest = divmod(count, batch_size)
    parts = [Part(name, step, full, source, batch_size)] if full else []
    return parts + ([Part(name, step, 1, source, rest, full * batch_size)] if rest else [])


def recorded(parts: Sequence[Part]) -> list[Tape]:
    """Their tapes."""
    lanes = lanes_to_plan_for()
    return [p.record(lanes) for p in parts]


def program_of(parts: Sequence[Part], tapes: Sequence[Tape]) -> Any:
    """Parts as a native program, or, where there are no tapes, as one that Python runs."""
    return Program([(t, p.repeats) for t, p in zip(tapes, parts, strict=True)]) if tapes else EagerProgram(parts)


class EagerProgram:
    """What `Program` is for tapes, for steps that Python runs: `run_eagerly=True`."""

    lanes, barriers = 1, 0.0

    def __init__(self, parts: Sequence[Part]):
        self.parts, self.position, self.done = list(parts), (0, 0, 0), 0
        self.turn = Turn()  # of this program alone: while a user's code runs no other thread's steps wait for it

    def rewind(self) -> None:
        self.position = (0, 0, 0)

    def run(self, epochs: int, steps: int = FOREVER, lanes: int = 1, seconds: float = 0.0) -> None:
        epoch, segment, step = self.position
        self.done = 0
        while epoch < epochs and self.done < steps:
            part = self.parts[segment]
            with Step(part.name):
                part(step)
            self.done, step = self.done + 1, step + 1
            if step == part.repeats:
                segment, step = segment + 1, 0
            if segment == len(self.parts):
                epoch, segment = epoch + 1, 0
            self.position = epoch, segment, step

    def work(self) -> float:
        """Steps before the position: here each counts the same."""
        epochs, segment, step = self.position
        repeats = [p.repeats for p in self.parts]
        return epochs * sum(repeats) + sum(repeats[:segment]) + step

    def seconds_each(self, before: float) -> float:
        """As of a native run of one step: nothing is known but how long all of it took."""
        return 0.0


class Epoch:
    """The program of an epoch, and where its means go: a row of numbers, one for each of `columns`, written at its end."""

    fits: Callable[[], bool]  # whether everything is as it was recorded

    def __init__(self, train: list[Part], test: list[Part], totals: Tensor, sources: list[Source], eager: bool):
        self.train, self.test, self.totals, self.sources = train, test, totals, sources
        columns = totals.shape[0]
        memory = reserve(8 * (1 + MOST_EPOCHS * columns))
        self.row = Counter(memory)
        row = Tensor(memory.part(0, 8), (1,), INDEX)
        results = Tensor(memory.part(8, 8 * MOST_EPOCHS * columns), (MOST_EPOCHS, columns), totals.dtype)
        self._results = results.buffer.array(results.shape, results.dtype)
        self.parts = [*train, *test, Part("end of epoch", lambda: self._end(row, results))]
        self.steps = sum(p.repeats for p in self.parts)
        self.tapes: list[Tape] = []
        if not eager:
            self.tapes = recorded(self.parts)
            self.tapes[-1].advances += [(word, -amount * p.repeats) for p in self.parts for word, amount in p.strides]
        self.program = program_of(self.parts, self.tapes)
        self.pace = Pace(self.program)
        self.taken = lock()  # by the run that uses it

    def _end(self, row, results):
        emit("end of epoch", batches.end_epoch, (self.totals, row, results))
        self.row.advance()

    def begin(self, data: Sequence[Sequence[np.ndarray]]) -> None:
        """Stand at the beginning, with these arrays for the sources."""
        for source, arrays in zip(self.sources, data, strict=True):
            source.bind(arrays, self.tapes)
        self.program.position = (0, 0, 0)
        self.row.value = 0
        self.totals.buffer.array(self.totals.shape, self.totals.dtype)[:] = 0

    def take(self) -> bool:
        """Whether it is free, and now this run's."""
        return not self.taken._is_owned() and self.taken.acquire(blocking=False)

    def release(self) -> None:
        """The run is over: let go of the arrays."""
        for source in self.sources:
            source.release()
        if self.taken._is_owned():
            self.taken.release()

    def means(self, first: int, count: int) -> list[float]:
        """The means so far, of columns from `first` on."""
        words = self.totals.buffer.array(self.totals.shape, self.totals.dtype)[first : first + count]
        return [float(total / weight) if weight else 0.0 for total, weight in words]

    def finished(self, first: int, last: int) -> list[list[float]]:
        """For each mean, those of the epochs from `first` to before `last`, which are over and no more than MOST_EPOCHS.

        A list for each mean, not for each epoch: thousands of lists would call the garbage collector again and again, and Ctrl-C
        is lost where Python's answer to it is raised in a callback of that (JAX and hypothesis have one).
        """
        return self._results.take(range(first, last), axis=0, mode="wrap").T.tolist()
