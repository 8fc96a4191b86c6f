"""An epoch: the program of its steps, and where its means go."""

from collections.abc import Callable, Sequence

import numpy as np

from fastnn.apply import apply
from fastnn.devices.cpu.memory import reserve
from fastnn.dtypes import INT64
from fastnn.ops.metrics import end_epoch
from fastnn.tape.record import Counter
from fastnn.tensor import Tensor

from .programs import Programs
from .segments import Segment, Source

MAX_UNREAD_EPOCHS = 1024  # whose results are kept until Python fetches them


class Epoch(Programs):
    """The steps of an epoch, and where its means go: a row of numbers, one for each of the totals,
    written at its end."""

    def __init__(
        self,
        sources: list[Source],
        segments: Callable[[], tuple[list[Segment], list[Segment]]],
        totals: Tensor,
        eager: bool,
    ):
        def with_end():
            train, test = segments()
            return train, [*test, Segment("end of epoch", self._end)]

        super().__init__(sources, with_end, eager)
        self.totals, columns = totals, totals.shape[0]
        memory = reserve(8 * (1 + MAX_UNREAD_EPOCHS * columns))
        self.row = Counter(memory)
        self._row = Tensor(memory.part(0, 8), (1,), INT64)
        results = memory.part(8, memory.nbytes - 8)
        self._results = Tensor(results, (MAX_UNREAD_EPOCHS, columns), totals.dtype)

    def _end(self):
        apply(end_epoch, (self._row,), {}, (self.totals, self._results))
        self.row.increment()

    def begin(self, data: Sequence[Sequence[np.ndarray]]) -> None:
        """Stand at the beginning, with these arrays for the sources."""
        schedule = self.through(data)
        self.train, test, self.segments, self.tapes, self.program, self.autotuner = schedule
        self.test, self.steps = test[:-1], sum(s.repeats for s in self.segments)
        self.row.value = 0
        self.totals.buffer.array(self.totals.shape, self.totals.dtype)[:] = 0

    def means(self, start: int, count: int) -> list[float]:
        """The means so far, of columns from `start` on."""
        totals = self.totals.buffer.array(self.totals.shape, self.totals.dtype)
        found = totals[start : start + count]
        return [float(total / weight) if weight else 0.0 for total, weight in found]

    def finished(self, start: int, stop: int) -> list[list[float]]:
        """For each mean, those of the epochs from `start` to before `stop`, which are over and no
        more than MAX_UNREAD_EPOCHS.

        A list for each mean, not for each epoch: thousands of lists would call the garbage
        collector again and again, and Ctrl-C is lost where Python's answer to it is raised in a
        callback of that (JAX and hypothesis have one).
        """
        results = self._results.buffer.array(self._results.shape, self._results.dtype)
        return results.take(range(start, stop), axis=0, mode="wrap").T.tolist()
