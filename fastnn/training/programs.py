"""Which tapes run for which data: a step is recorded for a size of batch once, and programs for any
number of rows are made of these tapes."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fastnn.buffer import Buffer
from fastnn.devices.base import FOREVER
from fastnn.devices.cpu.autotune import Autotuner
from fastnn.devices.cpu.program import threads_to_plan_for
from fastnn.devices.programs import program_of, tape_of
from fastnn.locks import Turn, lock, making
from fastnn.tape.record import Recorder, Step, context
from fastnn.tensor import Tensor
from fastnn.watch import Watch

from .segments import Segment, Source, row_bytes

# Of the least recently used, no more are kept: schedules; tapes; and, if these take more bytes than
# SMALL_TAPES_BYTES altogether, large tapes. A tape is needed for each size of a last batch, of
# training and of validation.
MAX_SCHEDULES, MAX_TAPES, MAX_LARGE_TAPES = 16, 80, 16
SMALL_TAPES_BYTES = 1 << 24


class StepTape:
    """A segment's step as a tape: good for wherever the rows lie, and for any number of them."""

    def __init__(self, segment: Segment, n_threads: int):
        self.in_place: list[Tensor] = []  # that the step takes where they lie
        source = segment.source
        with making:
            with Recorder(segment.name, segment.device) as recorder:
                if source is None or source.order is not None:
                    segment()
                else:
                    self.in_place = source.take(segment.start, segment.rows)
                    segment.step(*self.in_place)
            recorder.restore_gradients()
        self.tape = tape_of(recorder, [], n_threads)
        for tensor in self.in_place:
            # the tape alone knows it now
            tensor.buffer.address, tensor.buffer.owner, tensor.buffer.maker = None, None, recorder
        self.held: list[tuple[Buffer, int, int]] = []  # as the tape has them
        self.watch: Watch | None = None  # of what was read, with others' that were recorded at once

    def fits(self) -> bool:
        """Whether everything is as it was recorded."""
        return self.watch is None or self.watch.holds()

    @cached_property
    def increments(self) -> list[tuple[int, int]]:
        """What takes it to the next rows."""
        buffers = [t.buffer for t in self.in_place]
        return [pair for b in buffers for pair in self.tape.address_increments(b, b.nbytes)]

    def bind(self, segment: Segment) -> None:
        """Take the rows of a segment like the recorded one, as they lie now."""
        if segment.source is not None:
            # a tape that was stopped in an epoch stands at later rows; none in place if permuted
            for tensor, whole in zip(self.in_place, segment.source.whole, strict=False):
                address = whole.buffer.address
                if segment.start:
                    address += segment.start * row_bytes(whole)
                self.tape.bind(tensor.buffer, address)
        if not segment.held:
            return
        held = [(t.buffer, t.buffer.address, t.shape[0]) for t in segment.held]
        if held != self.held:
            for buffer, address, rows in held:
                self.tape.bind(buffer, address, rows)
            self.held = held


class Schedule(NamedTuple):
    """The segments for so many rows, those of training and of validation or evaluation among them,
    and a program of them."""

    train: list[Segment]
    test: list[Segment]
    segments: list[Segment]
    tapes: list[Any]
    program: Any
    autotuner: Autotuner
    watches: list[Watch]  # of the tapes
    bound: list[Any]  # the segments whose tapes are told where rows lie
    key: tuple

    def fits(self) -> bool:
        """Whether everything is as it was recorded."""
        return all([watch.holds() for watch in self.watches])


class Programs:
    """Programs through data of one signature, for any number of rows.

    segments: gives the segments, of training and others, for the rows that the sources have now.
    n_threads: to plan for; None: as many as there may be.
    """

    def __init__(
        self,
        sources: list[Source],
        segments: Callable[[], tuple[list[Segment], list[Segment]]],
        eager: bool,
        n_threads: int | None = None,
    ):
        self.sources, self.segments_of, self.eager = sources, segments, eager
        self.n_threads = n_threads
        self.watches: list[Watch] = []  # of what was read when this was made; each tape has its own
        self.step_tapes: OrderedDict[tuple, StepTape] = OrderedDict()
        self.schedules: OrderedDict[tuple, Schedule] = OrderedDict()
        self.last: Schedule | None = None  # that was run
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
        if self.last is not None:
            self.last.program.release()
        if self.taken._is_owned():
            self.taken.release()

    def through(self, data: Sequence[Sequence[np.ndarray]], epoch: int = 0) -> Schedule:
        """The schedule through these arrays, at the beginning of an epoch."""
        for source, arrays in zip(self.sources, data, strict=True):
            source.bind(arrays)
        key, found = tuple([source.key for source in self.sources]), self.last
        if found is None or found.key != key:
            found = self.schedules.get(key)
        if found is None or not found.fits():
            found = self.schedules[key] = self._new(key)
            if len(self.schedules) > MAX_SCHEDULES:
                self.schedules.popitem(last=False)
        for segment in found.bound:
            segment.tape.bind(segment)
        found.program.position = (epoch, 0, 0)
        self.last = found
        return found

    def _new(self, key):
        train, test = self.segments_of()
        segments = [*train, *test]
        if self.eager:
            program, tapes = EagerProgram(segments), []
        else:
            tapes, back = [], []
            for segment, step_tape in zip(segments, self._tapes_of(segments), strict=True):
                increments = step_tape.increments if segment.repeats > 1 else []
                tapes.append(_adding(step_tape.tape, increments))
                back += [(field, -nbytes * segment.repeats) for field, nbytes in increments]
            # the end of an epoch: the next one begins with the first rows
            if segments[-1].source is None:
                tapes[-1] = _adding(tapes[-1], back)
            program = program_of([(t, s.repeats) for t, s in zip(tapes, segments, strict=True)])
        taped = [s for s in segments if s.tape is not None]
        watches = list({id(s.tape.watch): s.tape.watch for s in taped if s.tape.watch}.values())
        bound = [s for s in taped if s.source is not None or s.held]
        tuner = Autotuner(program)
        return Schedule(train, test, segments, tapes, program, tuner, watches, bound, key)

    def _tapes_of(self, segments):
        """The tapes of these segments, recorded where there is none that is good."""
        held = [self.step_tapes.get(s.key) for s in segments]
        missing = [
            s for s, tape in zip(segments, held, strict=True) if tape is None or not tape.fits()
        ]
        n_threads = self.n_threads or threads_to_plan_for()
        if missing:
            # else whoever makes this notes what is read
            watch = Watch() if context.reads is None else None
            with watch or nullcontext():
                made = {s.key: StepTape(s, n_threads) for s in missing}
            for key, tape in made.items():
                tape.watch, self.step_tapes[key] = watch, tape
        for segment in segments:
            segment.tape = self.step_tapes[segment.key]
            self.step_tapes.move_to_end(segment.key)
        sizes = [step_tape.tape.arena.nbytes for step_tape in self.step_tapes.values()]
        while len(sizes) > max(
            len(segments), MAX_LARGE_TAPES if sum(sizes) > SMALL_TAPES_BYTES else MAX_TAPES
        ):
            self.step_tapes.popitem(last=False)
            sizes.pop(0)
        return [segment.tape for segment in segments]


def _adding(tape, increments):
    """The same step, which increments more."""
    return tape.with_increments(tape.counter_increments + increments) if increments else tape


class EagerProgram:
    """What `Program` is for tapes, for steps that Python runs: `run_eagerly=True`."""

    n_threads, barriers = 1, 0.0

    def __init__(self, segments: Sequence[Segment]):
        self.segments, self.position, self.done = list(segments), (0, 0, 0), 0
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
            current = self.segments[segment]
            with Step(current.name):
                current(step)
            self.done, step = self.done + 1, step + 1
            if step == current.repeats:
                segment, step = segment + 1, 0
            if segment == len(self.segments):
                epoch, segment = epoch + 1, 0
            self.position = epoch, segment, step

    def release(self) -> None:
        """The run is over."""

    def work(self) -> float:
        """Steps before the position: here each counts the same."""
        epochs, segment, step = self.position
        repeats = [s.repeats for s in self.segments]
        return epochs * sum(repeats) + sum(repeats[:segment]) + step

    def seconds_each(self, before: float) -> float:
        """As of a native run of one step: nothing is known but how long all of it took."""
        return 0.0
