"""An epoch: the program of its steps, and where its means go."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastnn.apply import apply
from fastnn.devices.cpu.memory import reserve
from fastnn.dtypes import INT64
from fastnn.ops.metrics import end_epoch
from fastnn.tape.record import Counter
from fastnn.tensor import Tensor

from .measures import Measures, flattened
from .programs import Programs, Schedule
from .segments import Segment, Source

MAX_UNREAD_EPOCHS = 1024  # whose results are kept until Python fetches them


class Epoch(Programs):
    """The steps of an epoch, and where its results go: a row of numbers, one for each of the
    totals, written at its end. measures: of training and of validation, or of evaluation."""

    def __init__(
        self,
        sources: list[Source],
        segments: Callable[[], tuple[list[Segment], list[Segment]]],
        totals: Tensor,
        measures: list[Measures],
        eager: bool,
    ):
        def with_end():
            train, test = segments()
            return train, [*test, Segment("end of epoch", self._end)]

        super().__init__(sources, with_end, eager)
        self.schedule: Schedule | None = None  # that goes on
        self.totals, columns, self.measures = totals, totals.shape[0], measures
        self.collects = any([one.kind == "collected" for m in measures for one in m.metrics])
        memory = reserve(8 * (1 + MAX_UNREAD_EPOCHS * columns))
        self.row = Counter(memory)
        self._row = Tensor(memory.part(0, 8), (1,), INT64)
        results = memory.part(8, memory.nbytes - 8)
        self._results = Tensor(results, (MAX_UNREAD_EPOCHS, columns), totals.dtype)

    def _end(self):
        for measures in self.measures:
            measures.end()
        apply(end_epoch, (self._row,), {}, (self.totals, self._results))
        self.row.increment()

    def begin(self, data: Sequence[Sequence[np.ndarray]]) -> None:
        """Stand at the beginning, with these arrays for the sources."""
        self.go_on(data)
        self.row.value = 0
        self.totals.buffer.array(self.totals.shape, self.totals.dtype)[:] = 0
        for measures in self.measures:
            measures.begin()

    def go_on(self, data: Sequence[Sequence[np.ndarray]], epoch: int = 0) -> None:
        """Take these arrays, and count on from the beginning of an epoch."""
        schedule = self.through(data, epoch)
        if schedule is not self.schedule:
            self.schedule, self.train, self.test = schedule, schedule.train, schedule.test[:-1]
            self.segments, self.tapes, self.program = schedule[2:5]
            self.autotuner = schedule.autotuner
            of_each = self.train, self.test, self.segments
            counts = [sum([segment.repeats for segment in each]) for each in of_each]
            self.train_steps, self.test_steps, self.steps = counts

    def keep(self) -> None:
        """Let functions of all predictions have those of a batch that came alone."""
        for measures in self.measures:
            for held in measures.collected.values():
                held.keep()

    def collect(self, row: int) -> None:
        """Put what functions of all predictions of the epoch in this row give into it."""
        results = self._results.buffer.array(self._results.shape, self._results.dtype)
        for measures in self.measures:
            measures.collect(results[row % MAX_UNREAD_EPOCHS])

    def finished(self, start: int, stop: int) -> list[list[Any]]:
        """For each measure, the results of the epochs from `start` to before `stop`, which are over
        and no more than MAX_UNREAD_EPOCHS.

        A list for each measure, not for each epoch: thousands of lists would call the garbage
        collector again and again, and Ctrl-C is lost where Python's answer to it is raised in a
        callback of that (JAX and hypothesis have one).
        """
        results = self._results.buffer.array(self._results.shape, self._results.dtype)
        columns = [column for measures in self.measures for column in measures.columns]
        return flattened(columns, results.take(range(start, stop), axis=0, mode="wrap"))
