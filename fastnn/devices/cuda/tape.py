"""A recorded step, planned for the GPU; `graph.py` makes its graph."""

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np

from fastnn.buffer import Buffer
from fastnn.ops import updates
from fastnn.ops.record import Constant
from fastnn.tape import report
from fastnn.tape.cost import work
from fastnn.tape.instruction import NUMBERS, Instruction
from fastnn.tape.plan import lifetimes, placed, without_dead_code
from fastnn.tape.record import Recorder
from fastnn.tape.report import Timings

from . import memory
from .fusion import fused
from .memory import Span, host_span

CHECKS = (updates.check_finite.name, *[f"check_{op.name}" for op in updates.check_of])


class HostSpans(NamedTuple):
    """Bytes of the host's memory: arrays that a user gave, which are read; others that are read;
    those that are written."""

    data: list[Span]
    read: list[Span]
    written: list[Span]


class Tape:
    """A recorded step, planned: what `devices/cpu/program.py` has under that name. The buffers
    `kept` are read after a step."""

    device, n_threads = "cuda", 1

    def __init__(self, recorder: Recorder, kept: Iterable[Buffer] = (), n_threads: int = 1):
        self.name = recorder.name
        kept = {b for b in kept if b.address is None}
        self.instructions = fused(without_dead_code(recorder.instructions, kept), kept)
        # Branches may run side by side, but edges follow from what launches touch when all is
        # placed, so a buffer may take over another's memory behind any instruction.
        lives = lifetimes(self.instructions, [True] * len(self.instructions), kept)
        self.offsets, total = placed(lives)
        self.arena = memory.allocate(total)
        self.unshared_bytes = sum([life.size for life in lives.values()])
        # where buffers lie: as they do now, for those of a recording are dead to Python afterwards
        self.memory = {b: self._memory_now(b) for b in self.buffers}
        self.bound: set[Buffer] = set()  # which lie in a user's array now
        self.barrier_before, self.groups = [False] * len(self.instructions), ()
        self.held: Sequence[Any] = ()
        self.timings: Timings | None = None
        self.work = work(self.instructions)
        increments = recorder.counter_increments
        self.counters = list(increments)
        self.counter_increments = [(c.address, amount) for c, amount in increments.items()]
        self.version = 0  # changes with what its launches are given

    def bind(self, buffer: Buffer, address: Any, rows: int | None = None) -> None:
        """Let a buffer lie elsewhere from now on, and have so many rows."""
        self.memory[buffer] = Buffer(address, buffer.nbytes, buffer.owner, buffer.offset)
        self.bound.add(buffer)
        if rows is not None:
            for i in self.instructions:
                for _, a in i.tensors:
                    if a.buffer is buffer:
                        a.shape = (rows, *a.shape[1:])
        self.version += 1

    @property
    def buffers(self) -> list[Buffer]:
        """The memory its calls work on."""
        return [i.arguments[n].buffer for i in self.instructions for n, _ in i.kernel.arrays]

    def memory_of(self, buffer: Buffer) -> Buffer:
        """Where a buffer lies."""
        return self.memory.get(buffer) or self._memory_now(buffer)

    def _memory_now(self, buffer):
        if buffer.address is None:
            return self.arena.part(self.offsets[buffer], buffer.nbytes)
        if isinstance(buffer, Constant):
            return buffer
        return Buffer(buffer.address, buffer.nbytes, buffer.owner, buffer.offset)

    def element(self, instruction: Instruction, tensor: Any, place: int) -> Any:
        """None: memory is handed on behind any instruction."""

    def with_increments(self, increments: Sequence[tuple[int, int]]) -> "Tape":
        """The same step, incrementing the words at these addresses."""
        other = copy(self)
        other.counter_increments = list(increments)
        return other

    def single(self, number: int) -> "Tape":
        """One instruction alone, incrementing no counters."""
        other = self.with_increments([])
        other.instructions = self.instructions[number : number + 1]
        return other

    def summary(self) -> str:
        """A line a call: name, shapes, flops, bytes; then the memory."""
        return report.summary(self)

    # ---- what a graph is made of

    def arguments(self, instruction: Instruction) -> list[Any]:
        """Its arguments, where their memory lies now."""
        return [
            a if isinstance(a, NUMBERS) else _Placed(self.memory_of(a.buffer), a.shape, a.dtype)
            for a in instruction.arguments
        ]

    def host_spans(self) -> HostSpans:
        """The host's bytes that it touches. Counters are read and written."""
        words = [Span(address, address + 8, None) for address, _ in self.counter_increments]
        found = HostSpans([], [*words], [*words])
        for i in self.instructions:
            for p, a, now in zip(i.kernel.parameters, i.arguments, self.arguments(i), strict=True):
                span = None if p.letters is None else host_span(now)
                if span is None:
                    continue
                if p.read:
                    (found.data if a.buffer in self.bound else found.read).append(span)
                if p.written:
                    found.written.append(span)
        return found


class _Placed(NamedTuple):
    """An argument whose memory is known."""

    buffer: Buffer
    shape: tuple[int, ...]
    dtype: np.dtype
