"""Writing kernel calls down.

A step is *compute*, then *commit*. What outlives it (moving statistics, for one) is handed to
`Step.commit` and happens when the optimizer has checked loss and gradients, or at the step's end;
counters (updates done, random draws) move on at its end.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.buffer import Buffer
from fastnn.errors import RecordingError

from .instruction import Instruction

if TYPE_CHECKING:
    from fastnn.watch import Watch


class Context(threading.local):
    """What holds for the ops a thread calls now."""

    device = "cpu"  # on which ops run; the process's, unless within `fastnn.device(...)`
    recorder: "Recorder | None" = None
    step: "Step | None" = None
    layers: tuple[str, ...] = ()  # names of the layers being called, outermost first
    outermost: Any = None  # of them
    gradients = True
    training = False  # what layers are called with that are not told
    reads: "Watch | None" = None  # notes which attributes are read
    # called with (op's name, outputs) after an eager op: the search for a first NaN
    watch: Callable | None = None


context = Context()


class Step:
    """One step of training, run eagerly: collects what is committed and the counters to move on."""

    def __init__(self, name: str = "step"):
        self.name = name
        self.commits: list[Callable[[], object]] = []
        self.counter_increments: dict[Counter, int] = {}
        # what the optimizer checks besides gradients: losses, and what commits are made of
        self.checked: list = []

    def __enter__(self):
        self.before, context.step = context.step, self
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.flush()
                self.end()
        finally:
            context.step = self.before

    def flush(self) -> None:
        """Let what was committed so far happen."""
        commits, self.commits = self.commits, []
        for call in commits:
            call()

    def end(self) -> None:
        for counter, amount in self.counter_increments.items():
            counter.value += amount


class Search(Step):
    """A step run again eagerly to find what went wrong: it commits nothing and moves no counter.
    checks: whether optimizers look for what is not finite; if not, it is run for what it returns.
    """

    def __init__(self, name: str, checks: bool = True):
        super().__init__(name)
        self.checks = checks
        # optimizers that found nothing wrong, with how many weights they would have updated
        self.updates: list[tuple[Any, int]] = []

    def flush(self) -> None:
        self.commits = []

    def end(self) -> None:
        pass


class Recorder(Step):
    """Writes instructions down instead of running them. The buffers made meanwhile have no memory
    until they are planned. only_shapes: whether nothing is written down, for who wants to know what
    results there are: tables that kernels read, of images of any size, are large."""

    def __init__(self, name: str, device: str | None = None, only_shapes: bool = False):
        super().__init__(name)
        self.active, self.device = True, device or context.device
        self.only_shapes = only_shapes
        self.instructions: list[Instruction] = []
        # variables and tensors whose gradient the step met, and which it was before
        self.had_gradient: dict[Any, Any] = {}

    def __enter__(self):
        if context.recorder is not None:
            raise RecordingError(
                f"{self.name} cannot be recorded while {context.recorder.name} is: call it before "
                "or after"
            )
        context.recorder = self
        return super().__enter__()

    def __exit__(self, kind, error, trace):
        try:
            super().__exit__(kind, error, trace)
        finally:
            context.recorder, self.active = None, False
            if kind is not None:
                self.restore_gradients()

    def end(self) -> None:
        """The counters are incremented when the tape runs."""

    def restore_gradients(self) -> None:
        """Variables have a gradient again, or none, as before the step."""
        for tensor, gradient in self.had_gradient.items():
            tensor._gradient = gradient


@contextmanager
def outside_the_step() -> Iterator[None]:
    """Within it ops run at once, whatever is being recorded: layers make their weights so, on their
    first call."""
    before = context.recorder, context.step, context.reads
    context.recorder = context.step = context.reads = None
    try:
        yield
    finally:
        context.recorder, context.step, context.reads = before


def commit(call: Callable[[], object], *checked: Any) -> None:
    """Let `call`, which emits kernel calls, happen when the step commits: if the tensors `checked`
    are finite. Outside a step, now."""
    if context.step is None:
        call()
    else:
        context.step.commits.append(call)
        context.step.checked.extend(checked)


class Counter:
    """An integer in memory that steps increment at their end. Kernels read it there and add what
    the same step has added to it so far (`pending`)."""

    def __init__(self, buffer: Buffer, index: int = 0):
        self.buffer, self.index, self.address = buffer, index, buffer.address + 8 * index
        self._cell = buffer.array((index + 1,), np.int64)[index:]

    def __reduce__(self) -> tuple:
        return Counter, (self.buffer, self.index)

    @property
    def value(self) -> int:
        return int(self._cell[0])

    @value.setter
    def value(self, number: int) -> None:
        self._cell[0] = number

    def pending(self) -> int:
        """What this step adds to it so far."""
        return 0 if context.step is None else context.step.counter_increments.get(self, 0)

    def increment(self, amount: int = 1) -> None:
        if context.step is None:
            self.value += amount
        else:
            context.step.counter_increments[self] = self.pending() + amount


def has_gradient(tensor: Any) -> bool:
    """Whether a variable or a tensor has a gradient now. A recorded step is good only for those as
    it met them, so it keeps a note."""
    gradient, recorder = tensor._gradient, context.recorder
    if recorder is not None and tensor not in recorder.had_gradient:
        if isinstance(gradient, tuple):  # of rows, in memory that no replay would find again
            with outside_the_step():
                gradient = tensor.dense_gradient()
        recorder.had_gradient[tensor] = gradient
    return gradient is not None
