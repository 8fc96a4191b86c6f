"""Writing kernel calls down. Every op comes through `emit`: eager it runs at once, in a recorder it
becomes an instruction.

A step is *compute*, then *commit*. What outlives it (moving statistics, for one) is handed to
`Step.commit` and happens when the optimizer has checked loss and gradients, or at the step's end;
counters (updates done, random draws) move on at its end.
"""

import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.devices.cpu import call_once, entry
from fastnn.devices.cpu.memory import LETTERS, Buffer, allocate
from fastnn.errors import NotFiniteError, RecordingError
from fastnn.kernels.declare import Parameter
from fastnn.kernels.status import CODE_BITS, INDEX_OUT_OF_RANGE, NOT_FINITE

if TYPE_CHECKING:
    from fastnn.watch import Watch

# a tuple: `int | float` is made anew by every call, which took a third of a recording's time
NUMBERS = (int, float)
NOWHERE: Mapping[Buffer, int] = {}
CHECK = "check"  # the instruction between computing a step and committing it


class Context(threading.local):
    """What holds for the ops a thread calls now."""

    recorder: "Recorder | None" = None
    step: "Step | None" = None
    layers: tuple[str, ...] = ()  # names of the layers being called, outermost first
    gradients = True
    training = False  # what layers are called with that are not told
    reads: "Watch | None" = None  # notes which attributes are read
    # called with (op's name, outputs) after an eager op: the search for a first NaN
    watch: Callable | None = None


context = Context()


class Instruction:
    """One kernel call: what it is called, for messages, its arguments (tensors and numbers), and
    its floating-point work."""

    __slots__ = ("arguments", "dtype", "flops", "kernel", "layer", "name")

    def __init__(self, name, kernel, dtype, arguments, layer, flops):
        self.name, self.kernel, self.dtype, self.arguments, self.layer = (
            name,
            kernel,
            dtype,
            arguments,
            layer,
        )
        self.flops = flops

    @property
    def tensors(self) -> list[tuple[Parameter, Any]]:
        """(parameter, argument) of those that are arrays."""
        return [(p, self.arguments[i]) for i, p in self.kernel.arrays]

    def shared_out(self) -> tuple[str | None, int, int]:
        """The dimension that threads share out, the unit they cut it to, and its extent; (None, 1,
        1) if thread 0 does it all."""
        found: tuple[str | None, int, int] = None, 1, 1
        for letter, unit, argument, axis in self.kernel.split_axes:
            found = letter, unit, self.arguments[argument].shape[axis]
            if found[2] > 1:
                break
        return found


class Step:
    """One step of training, run eagerly: collects what is committed and the counters to move on."""

    def __init__(self, name: str = "step"):
        self.name = name
        self.commits: list[Callable[[], object]] = []
        self.advances: dict[Counter, int] = {}
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

    def flush(self):
        """Let what was committed so far happen."""
        commits, self.commits = self.commits, []
        for call in commits:
            call()

    def end(self):
        for counter, amount in self.advances.items():
            counter.value += amount


class Search(Step):
    """A step run again eagerly to find what went wrong: it commits nothing and moves no counter."""

    def flush(self):
        self.commits = []

    def end(self):
        pass


class Recorder(Step):
    """Writes instructions down instead of running them. The buffers made meanwhile have no memory
    until they are planned."""

    def __init__(self, name: str):
        super().__init__(name)
        self.active = True
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

    def end(self):
        """The counters move when the tape runs."""

    def restore_gradients(self):
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
    """An integer in memory that steps move on. Kernels read it there and add how often the same
    step has used it before."""

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

    def earlier(self) -> int:
        """How far the step has moved it on already."""
        return 0 if context.step is None else context.step.advances.get(self, 0)

    def advance(self, amount: int = 1) -> None:
        if context.step is None:
            self.value += amount
        else:
            context.step.advances[self] = self.earlier() + amount


def has_gradient(tensor: Any) -> bool:
    """Whether a variable or a tensor has a gradient now. A recorded step is good only for those as
    it met them, so it keeps a note."""
    gradient = tensor._gradient
    if context.recorder is not None:
        context.recorder.had_gradient.setdefault(tensor, gradient)
    return gradient is not None


def new_buffer(nbytes: int) -> Buffer:
    """Memory for an output: at once, or, while recording, when the tape is planned."""
    recorder = context.recorder
    return allocate(nbytes) if recorder is None else Buffer(None, nbytes, None, 0, recorder)


def block_of(kernel: Any, arguments: tuple, addresses: Mapping[Buffer, int] = NOWHERE) -> bytes:
    """A kernel's argument block: address and extents of each array, and each number, as
    `kernel.block` says. `addresses`: of the buffers that are planned."""
    slots: list = []
    for a in arguments:
        if isinstance(a, NUMBERS):
            slots.append(a)
        else:
            address = a.buffer.address
            slots.append(addresses.get(a.buffer) if address is None else address)
            slots += a.shape
    return kernel.block.pack(*slots)


def emit(name: str, kernel: Any, arguments: tuple, flops: float = 0) -> None:
    """Call a kernel, or write the call down."""
    dtype = "f4" if kernel.element is None else LETTERS[arguments[kernel.element].dtype]
    recorder = context.recorder
    if recorder is not None:
        layer = context.layers[-1] if context.layers else ""
        recorder.instructions.append(Instruction(name, kernel, dtype, arguments, layer, flops))
        return
    try:
        block = block_of(kernel, arguments)
    except struct.error:
        raise next(
            a.buffer.unreadable()
            for a in arguments
            if not isinstance(a, NUMBERS) and a.buffer.address is None
        ) from None
    status = call_once(kernel.entries.get(dtype) or entry(kernel, dtype), block)
    if status:
        raise status_error(status, name, context.layers[-1] if context.layers else "")


def status_error(status: int, name: str, layer: str) -> Exception:
    """The error for what a kernel reported."""
    code, place = status & ((1 << CODE_BITS) - 1), status >> CODE_BITS
    where = f"{name} in layer {layer!r}" if layer else name
    if code == INDEX_OUT_OF_RANGE:
        return IndexError(f"{where}: the index in row {place} of the batch is out of range")
    if code == NOT_FINITE:
        return NotFiniteError(f"{where}: element {place} is not finite")
    return FloatingPointError(
        f"{where}: the update of element {place} would overflow; nothing was changed. Lower the "
        "learning rate or the gradient, by "
        "clipping or by a smaller loss."
    )
