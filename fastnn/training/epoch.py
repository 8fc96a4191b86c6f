"""An epoch as a program: the steps through the data, recorded once, and where they take their
rows."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fastnn import ops
from fastnn.apply import apply
from fastnn.buffer import Buffer
from fastnn.devices.cpu.autotune import Autotuner
from fastnn.devices.cpu.memory import allocate, buffer_of, reserve
from fastnn.devices.cpu.program import FOREVER, Program, Tape, threads_to_plan_for
from fastnn.dtypes import INT64
from fastnn.locks import Turn, lock, making
from fastnn.ops.metrics import end_epoch
from fastnn.ops.random import permutation
from fastnn.random import Generator
from fastnn.tape.record import Counter, Recorder, Step, context
from fastnn.tensor import Tensor
from fastnn.watch import Watch

MOST_EPOCHS = 1024  # whose results are kept until Python fetches them
MOST_KEPT = (
    # programs for numbers of rows that data of one look has, and tapes of parts; if these are
    # small, MOST_TAPED of them:
    16
)
# a tape for each size of a last batch, of training and of validation
MOST_TAPED, KEPT_BYTES = 80, 1 << 24


class Order:
    """The order of the rows in an epoch, drawn anew at its beginning, and how far steps have
    come."""

    def __init__(self, generator: Generator):
        self.generator = generator
        self.words = Tensor(allocate(0), (0,), np.dtype("uint32"))
        self.rows = Tensor(allocate(0), (0,), INT64)
        self.place = Tensor(allocate(8), (1,), INT64)
        self.cursor = Counter(self.place.buffer)

    def hold(self, rows: int) -> None:
        """Be the order of so many rows from now on. Data that grows finds more memory than it
        needs."""
        # random words are made four at a time
        for tensor, numbers in ((self.words, -(-rows // 4) * 4), (self.rows, rows)):
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


class Source:
    """Arrays of as many rows each, of which steps take batches: by an order, or as they lie,
    without copying them."""

    def __init__(self, arrays: Sequence[np.ndarray], order: Order | None = None):
        self.order = order
        self.whole = [Tensor(Buffer(0, 0, None, 0), a.shape, a.dtype) for a in arrays]
        self.bind(arrays)

    def bind(self, arrays: Sequence[np.ndarray]) -> None:
        """Take rows of these arrays from now on: as many as there are, of the same shapes and types
        as the first ones."""
        for tensor, array in zip(self.whole, arrays, strict=True):
            tensor.buffer.become(buffer_of(array))
            tensor.shape = array.shape
        if self.order is not None:
            self.order.hold(len(arrays[0]))

    def release(self) -> None:
        """Let go of the arrays; tapes are kept, and get others."""
        for tensor in self.whole:
            tensor.buffer.owner = None

    def take(self, first: int, rows: int) -> list[Tensor]:
        """The next rows by the order, or those from `first` on."""
        if self.order is not None:
            batch = [
                ops.gather(t, self.order.rows, self.order.place, rows=rows) for t in self.whole
            ]
            self.order.cursor.increment(rows)
            return batch
        taken = []
        for whole in self.whole:
            size = _row_bytes(whole)
            buffer = Buffer(
                whole.buffer.address + first * size, rows * size, whole.buffer.owner, first * size
            )
            taken.append(Tensor(buffer, (rows, *whole.shape[1:]), whole.dtype))
        return taken


def _row_bytes(tensor):
    return tensor.buffer.nbytes // tensor.shape[0]


class Part:
    """A step and how often an epoch repeats it. Called with a number it runs the step of that
    number. held: tensors with the rows' number as their first extent, which it reads from their own
    memory."""

    def __init__(
        self,
        name: str,
        step: Callable[..., None],
        repeats: int = 1,
        source: Source | None = None,
        rows: int = 0,
        first: int = 0,
        held: Sequence[Tensor] = (),
    ):
        self.name, self.step, self.repeats = name, step, repeats
        self.source, self.rows, self.first = source, rows, first
        self.held = (
            [*source.whole, source.order.rows]
            if source is not None and source.order is not None
            else list(held)
        )
        self.taped: Taped | None = None

    def __call__(self, number: int = 0) -> None:
        self.step(
            *(
                ()
                if self.source is None
                else self.source.take(self.first + number * self.rows, self.rows)
            )
        )


class Taped:
    """A part's step as a tape: good for wherever the rows lie, and for any number of them."""

    def __init__(self, part: Part, n_threads: int):
        self.in_place: list[Tensor] = []  # that the step takes where they lie
        with making:
            with Recorder(part.name) as recorder:
                if part.source is None or part.source.order is not None:
                    part()
                else:
                    self.in_place = part.source.take(part.first, part.rows)
                    part.step(*self.in_place)
            recorder.restore_gradients()
        self.tape = Tape(recorder, [], n_threads)
        for tensor in self.in_place:
            # the tape alone knows it now
            tensor.buffer.address, tensor.buffer.owner, tensor.buffer.maker = None, None, recorder
        self.held: list[tuple[Buffer, int, int]] = []  # as the tape has them
        self.watch: Watch | None = None  # of what was read, with others' that were recorded at once

    def fits(self) -> bool:
        """Whether everything is as it was recorded."""
        return self.watch is None or self.watch.holds()

    @cached_property
    def strides(self) -> list[tuple[int, int]]:
        """What takes it to the next rows."""
        return [
            pair
            for t in self.in_place
            for pair in self.tape.address_increments(t.buffer, t.buffer.nbytes)
        ]

    def bind(self, part: Part) -> None:
        """Take the rows of a part like the recorded one, as they lie now."""
        if part.source is not None:
            for tensor, whole in zip(
                self.in_place, part.source.whole, strict=False
            ):  # one stopped in an epoch stands at later ones
                self.tape.bind(tensor.buffer, whole.buffer.address + part.first * _row_bytes(whole))
        held = [(t.buffer, t.buffer.address, t.shape[0]) for t in part.held]
        if held != self.held:
            for buffer, address, rows in held:
                self.tape.bind(buffer, address, rows)
            self.held = held


def parts_of(name: str, step: Callable[..., None], source: Source, batch_size: int) -> list[Part]:
    """The steps once through a source: full batches and, if rows are left over, a smaller last
    one."""
    count = source.whole[0].shape[0]
    full, rest = divmod(count, batch_size)
    parts = [Part(name, step, full, source, batch_size)] if full else []
    return parts + ([Part(name, step, 1, source, rest, full * batch_size)] if rest else [])


class Laid(NamedTuple):
    """The parts for so many rows, those of training and of validation or evaluation among them, and
    a program of them."""

    train: list[Part]
    test: list[Part]
    parts: list[Part]
    tapes: list[Tape]
    program: Any
    autotuner: Autotuner

    def fits(self) -> bool:
        """Whether everything is as it was recorded."""
        watches = {
            id(part.taped.watch): part.taped.watch for part in self.parts if part.taped is not None
        }
        return all([watch is None or watch.holds() for watch in watches.values()])


class Steps:
    """Steps through data of one look, recorded for a size of batch once: programs for any number of
    rows are made of the same tapes. lay_out: gives the parts, of training and others, for the rows
    that the sources have now. threads: to plan for, at most; None: as many as there may be."""

    def __init__(
        self,
        sources: list[Source],
        lay_out: Callable[[], tuple[list[Part], list[Part]]],
        eager: bool,
        n_threads: int | None = None,
    ):
        self.sources, self.lay_out, self.eager, self.n_threads = sources, lay_out, eager, n_threads
        self.watches: list[Watch] = []  # of what was read when this was made; each tape has its own
        self.taped: OrderedDict[tuple[str, int], Taped] = OrderedDict()
        self.laid: OrderedDict[tuple[int, ...], Laid] = OrderedDict()
        self.last: Laid | None = None  # that was run
        self.taken = lock()  # by the run that uses it

    def fits(self) -> bool:
        """Whether everything is as it was when the last program was recorded; others' tapes are
        looked at when they are used."""
        return all([watch.holds() for watch in self.watches]) and (
            self.last is None or self.last.fits()
        )

    def take(self) -> bool:
        """Whether it is free, and now this run's."""
        return not self.taken._is_owned() and self.taken.acquire(blocking=False)

    def release(self) -> None:
        """The run is over: let go of the arrays."""
        for source in self.sources:
            source.release()
        if self.taken._is_owned():
            self.taken.release()

    def through(self, data: Sequence[Sequence[np.ndarray]]) -> Laid:
        """The program through these arrays, at its beginning."""
        for source, arrays in zip(self.sources, data, strict=True):
            source.bind(arrays)
        counts = tuple([len(arrays[0]) for arrays in data])
        found = self.laid.get(counts)
        if found is None or not found.fits():
            found = self.laid[counts] = self._new()
            if len(self.laid) > MOST_KEPT:
                self.laid.popitem(last=False)
        for part in found.parts:
            if part.taped is not None:
                part.taped.bind(part)
        found.program.position = (0, 0, 0)
        self.last = found
        return found

    def _new(self):
        train, test = self.lay_out()
        parts = [*train, *test]
        if self.eager:
            program, tapes = EagerProgram(parts), []
        else:
            self._record(parts)
            tapes, back = [], []
            for p in parts:
                strides = p.taped.strides if p.repeats > 1 else []
                tapes.append(
                    p.taped.tape.with_increments(p.taped.tape.counter_increments + strides)
                    if strides
                    else p.taped.tape
                )
                back += [(word, -amount * p.repeats) for word, amount in strides]
            # the end of an epoch: the next one begins with the first rows
            if parts[-1].source is None:
                tapes[-1] = tapes[-1].with_increments(tapes[-1].counter_increments + back)
            program = Program([(t, p.repeats) for t, p in zip(tapes, parts, strict=True)])
        return Laid(train, test, parts, tapes, program, Autotuner(program))

    def _record(self, parts):
        """Give each of these parts its tape."""
        held = [self.taped.get((p.name, p.rows)) for p in parts]
        missing = [
            p for p, taped in zip(parts, held, strict=True) if taped is None or not taped.fits()
        ]
        n_threads = self.n_threads or threads_to_plan_for()
        if missing:
            # else whoever makes this notes what is read
            watch = Watch() if context.reads is None else None
            with watch or nullcontext():
                made = {(p.name, p.rows): Taped(p, n_threads) for p in missing}
            for key, taped in made.items():
                taped.watch, self.taped[key] = watch, taped
        for part in parts:
            part.taped = self.taped[part.name, part.rows]
            self.taped.move_to_end((part.name, part.rows))
        sizes = [taped.tape.arena.nbytes for taped in self.taped.values()]
        while len(self.taped) > max(
            len(parts), MOST_KEPT if sum(sizes[-len(self.taped) :]) > KEPT_BYTES else MOST_TAPED
        ):
            self.taped.popitem(last=False)


class EagerProgram:
    """What `Program` is for tapes, for steps that Python runs: `run_eagerly=True`."""

    n_threads, barriers = 1, 0.0

    def __init__(self, parts: Sequence[Part]):
        self.parts, self.position, self.done = list(parts), (0, 0, 0), 0
        # of this program alone: while a user's code runs no other thread's steps wait for it
        self.turn = Turn()

    def rewind(self) -> None:
        self.position = (0, 0, 0)

    def run(
        self, epochs: int, steps: int = FOREVER, n_threads: int = 1, seconds: float = 0.0
    ) -> None:
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


class Epoch(Steps):
    """The steps of an epoch, and where its means go: a row of numbers, one for each of the totals,
    written at its end."""

    def __init__(
        self,
        sources: list[Source],
        lay_out: Callable[[], tuple[list[Part], list[Part]]],
        totals: Tensor,
        eager: bool,
    ):
        def with_end():
            train, test = lay_out()
            return train, [*test, Part("end of epoch", self._end)]

        super().__init__(sources, with_end, eager)
        self.totals, columns = totals, totals.shape[0]
        memory = reserve(8 * (1 + MOST_EPOCHS * columns))
        self.row = Counter(memory)
        self._row = Tensor(memory.part(0, 8), (1,), INT64)
        self._results = Tensor(
            memory.part(8, 8 * MOST_EPOCHS * columns), (MOST_EPOCHS, columns), totals.dtype
        )

    def _end(self):
        apply(end_epoch, (self._row,), {}, (self.totals, self._results))
        self.row.increment()

    def begin(self, data: Sequence[Sequence[np.ndarray]]) -> None:
        """Stand at the beginning, with these arrays for the sources."""
        self.train, test, self.parts, self.tapes, self.program, self.autotuner = self.through(data)
        self.test, self.steps = test[:-1], sum(p.repeats for p in self.parts)
        self.row.value = 0
        self.totals.buffer.array(self.totals.shape, self.totals.dtype)[:] = 0

    def means(self, first: int, count: int) -> list[float]:
        """The means so far, of columns from `first` on."""
        words = self.totals.buffer.array(self.totals.shape, self.totals.dtype)[
            first : first + count
        ]
        return [float(total / weight) if weight else 0.0 for total, weight in words]

    def finished(self, first: int, last: int) -> list[list[float]]:
        """For each mean, those of the epochs from `first` to before `last`, which are over and no
        more than MOST_EPOCHS.

        A list for each mean, not for each epoch: thousands of lists would call the garbage
        collector again and again, and Ctrl-C is lost where Python's answer to it is raised in a
        callback of that (JAX and hypothesis have one).
        """
        results = self._results.buffer.array(self._results.shape, self._results.dtype)
        return results.take(range(first, last), axis=0, mode="wrap").T.tolist()
