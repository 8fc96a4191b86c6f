"""Programs made of several tapes, whose graphs are queued one after another."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastnn.compile.ptx_entry import NO_FAILURE, NUMBER_SHIFT
from fastnn.devices.arena import turn_of
from fastnn.devices.base import FOREVER, StepFailed

from . import memory
from .device import device
from .graph import graph_of
from .memory import HostCopies, Span
from .tape import Tape

# Launches that are queued before the host waits: a program that is interrupted ends so many later.
MAX_QUEUED_STEPS = 1024
# of users' arrays, up to which their copies stay on the GPU for the next run
MAX_KEPT_DATA_BYTES = 1 << 26


class Program:
    """An epoch: tapes and how often each is run, one after another. `run` queues their graphs from
    where it stands. A tape that was recorded for the CPU runs there in between: drawing a
    permutation is serial work."""

    n_threads, barriers = 1, 0.0

    def __init__(self, segments: Sequence[tuple[Any, int]], on_cpu: Callable[..., Any]):
        self.on_cpu = on_cpu  # makes a program of the CPU's
        self.segments, self._position, self.done = list(segments), (0, 0, 0), 0
        self.sends_data = True  # with the next run
        self.turn = turn_of([b for t, _ in self.segments for b in t.buffers])
        self.words = memory.reserve(4 * 8)  # first failure, stopped, steps done
        self.graphs: list[Any] = []
        self.kept: list[Any] = []  # tables that the graphs read
        self.versions: list[Any] = []

    @property
    def position(self) -> tuple[int, int, int]:
        """(epochs done, segment, steps of it done). Who sets it begins anew: users' arrays are sent
        again, for they may have been written to."""
        return self._position

    @position.setter
    def position(self, place: tuple[int, int, int]) -> None:
        self._position, self.sends_data = place, True

    def rewind(self) -> None:
        """Put it back to its beginning."""
        self.position = (0, 0, 0)

    def work(self) -> float:
        """How much lies before the position, in mean steps."""
        epochs, segment, step = self.position
        works = [t.work * steps for t, steps in self.segments]
        mean = sum(works) / sum([steps for _, steps in self.segments])
        tape = self.segments[segment][0]
        return (epochs * sum(works) + sum(works[:segment]) + step * tape.work) / mean

    def seconds_each(self, before: float) -> float:
        """Nothing is known but how long all of it took."""
        return 0.0

    def release(self) -> None:
        """The run is over: give back what copies of a user's arrays take, if that is much."""
        if self.graphs and sum([s.stop - s.start for s in self.data]) > MAX_KEPT_DATA_BYTES:
            self.graphs, self.kept = [], []
            self.copies = HostCopies([])

    # ---- graphs, and the host's memory that they touch

    def _build(self):
        """The graphs, if what they are given has changed."""
        versions = [getattr(tape, "version", None) for tape, _ in self.segments]
        if self.graphs and versions == self.versions:
            return
        spans = [tape.host_spans() for tape, _ in self.segments if isinstance(tape, Tape)]
        kinds = [[span for each in kind for span in each] for kind in zip(*spans, strict=True)]
        self.data, self.reads, self.writes = kinds
        self.copies = HostCopies(self.data + self.reads + self.writes)
        self.kept, self.graphs = [], []
        for tape, _ in self.segments:
            if not isinstance(tape, Tape):
                self.graphs.append(self.on_cpu([(tape, 1)]))
                continue
            status = self.words.owner.address
            graph, tables = graph_of(tape, self.copies, status, status + 16)
            self.graphs.append(graph)
            self.kept.append(tables)
        self.versions = versions

    def run(
        self, epochs: int, steps: int = FOREVER, n_threads: int = 1, seconds: float = 0.0
    ) -> None:
        """Run until `epochs` are over or `steps` steps are done, whichever is first."""
        self._build()
        self.copies.send(self.reads + self.data if self.sends_data else self.reads)
        self.sends_data = False
        self.words.write(np.array([NO_FAILURE, 0, 0], np.int64))
        start, queued, self.done = self.position, 0, 0
        failed: Exception | None = None
        try:
            while self.position[0] < epochs and queued < steps:
                self._step(self.position[1])
                queued += 1
                self._position = self._after(self._position)
                if queued % MAX_QUEUED_STEPS == 0:
                    device().wait()
        except StepFailed as error:  # of a tape of the CPU's
            failed = error
        finally:
            self.copies.fetch(self.writes)
            first, _, done = self.words.array((3,), np.int64).tolist()
            self.done = done
            self._position = self._forward(start, done)
        if failed is not None:
            raise failed
        if first != NO_FAILURE:
            tape = self.segments[self.position[1]][0]
            status = first & ((1 << NUMBER_SHIFT) - 1)
            raise StepFailed(tape, tape.instructions[first >> NUMBER_SHIFT], status)

    def _step(self, segment):
        tape, graph = self.segments[segment][0], self.graphs[segment]
        if isinstance(tape, Tape):
            graph.launch()
            return
        first, stopped, done = self.words.array((3,), np.int64).tolist()
        if first != NO_FAILURE:  # a step before failed, so this one has no turn
            return
        self.copies.fetch(self.writes)
        graph.rewind()
        graph.run(1)
        self.copies.send(self._touched_on_cpu(tape))
        self.words.write(np.array([first, stopped, done + 1], np.int64))

    def _touched_on_cpu(self, tape: Any) -> list[Span]:
        """What a tape of the CPU's writes and graphs read."""
        spans = [
            Span(a.buffer.address, a.buffer.address + a.buffer.nbytes, a.buffer.owner)
            for i in tape.instructions
            for p, a in i.tensors
            if p.written and a.buffer.address is not None
        ]
        spans += [Span(address, address + 8, None) for address, _ in tape.counter_increments]
        held = self.copies.spans
        return [
            Span(max(s.start, h.start), min(s.stop, h.stop), h.owner)
            for s in spans
            for h in held
            if s.start < h.stop and h.start < s.stop
        ]

    def _after(self, position):
        """The position a step on."""
        epoch, segment, step = position
        step += 1
        if step == self.segments[segment][1]:
            segment, step = segment + 1, 0
        return (epoch + 1, 0, 0) if segment == len(self.segments) else (epoch, segment, step)

    def _forward(self, position, steps):
        for _ in range(steps):
            position = self._after(position)
        return position
