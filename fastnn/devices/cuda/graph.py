"""A recorded step as a CUDA graph.

Its nodes are the plan's instructions. A launch waits for those whose bytes it reads or writes over,
and for no others: branches run side by side. What comes after the last check commits: such launches
are told, by the sign of their number, to do nothing once an earlier one has failed, so that weights
stay as they were, in the steps that are queued already too. The last launch moves the counters on.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastnn.buffer import Buffer
from fastnn.compile.ptx_entry import COMMITS, NUMBER_SHIFT
from fastnn.kernels.cuda.replay import advance
from fastnn.ops import updates
from fastnn.ops.record import Constant
from fastnn.tape import report
from fastnn.tape.cost import work
from fastnn.tape.instruction import NUMBERS, Instruction
from fastnn.tape.plan import lifetimes, placed, without_dead_code
from fastnn.tape.record import Recorder
from fastnn.tape.report import Timings

from . import memory
from .address import DeviceAddress
from .calls import grid_of, packed
from .code import functions_of
from .device import Launch, device
from .memory import HostCopies, Span, host_span

CHECKS = (updates.check_finite.name, *[f"check_{op.name}" for op in updates.check_of])


class Touched(NamedTuple):
    """Bytes of the GPU's memory that a launch reads or writes."""

    start: int
    stop: int
    written: bool


def edges_of(
    touched: Sequence[Sequence[Touched]], after: Mapping[int, Iterable[int]]
) -> list[list[int]]:
    """Of each launch those it waits for, less what follows from others: which touch bytes that one
    of both writes, and those that `after` names."""
    before: list[list[int]] = []
    behind: list[set[int]] = []  # of each, all that come before it
    for n, own in enumerate(touched):
        needed = set(after.get(n, ()))
        for j in range(n):
            if any(
                a.start < b.stop and b.start < a.stop and (a.written or b.written)
                for a in own
                for b in touched[j]
            ):
                needed.add(j)
        kept: list[int] = []
        known: set[int] = set()
        for j in sorted(needed, reverse=True):
            if j not in known:
                kept.append(j)
                known |= behind[j] | {j}
        before.append(kept)
        behind.append(known)
    return before


class HostSpans(NamedTuple):
    """Bytes of the host's memory: arrays that a user gave, which are read; others that are read;
    those that are written."""

    data: list[Span]
    read: list[Span]
    written: list[Span]


class Tape:
    """A recorded step, planned: what `devices/cpu/program.py` has under that name. The buffers
    `kept` are read after a step."""

    n_threads = 1

    def __init__(self, recorder: Recorder, kept: Iterable[Buffer] = (), n_threads: int = 1):
        self.name = recorder.name
        kept = {b for b in kept if b.address is None}
        self.instructions = without_dead_code(recorder.instructions, kept)
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

    def with_increments(self, increments: Sequence[tuple[int, int]]) -> "Tape":
        """The same step, incrementing the words at these addresses."""
        other = copy(self)
        other.counter_increments = list(increments)
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


def graph_of(tape: Tape, copies: HostCopies, status: int, done: int) -> Any:
    """The graph of a tape: `status` is the address of the words that it reports into, `done` that
    of the number of steps done."""

    def address_of(argument):
        address = argument.buffer.address
        if isinstance(address, DeviceAddress):
            return address.value
        return copies.address(address) if prod(argument.shape) else 0

    launches: list[Launch] = []
    touched: list[list[Touched]] = []
    reporting: list[int] = []
    last_check = max([n for n, i in enumerate(tape.instructions) if i.name in CHECKS], default=None)
    after: dict[int, list[int]] = {}
    forms = [(i.kernel, i.dtype) for i in tape.instructions]
    *functions, last = functions_of([*forms, (advance, "f4")])
    for number, (i, function) in enumerate(zip(tape.instructions, functions, strict=True)):
        arguments = tape.arguments(i)
        grid = grid_of(i.kernel, arguments)
        if 0 in grid:
            continue
        commits = last_check is not None and number > last_check
        tag = number << NUMBER_SHIFT | (COMMITS if commits else 0)
        block = packed(i.kernel, arguments, address_of, status, tag)
        if commits:  # only when all that can fail has run
            after[len(launches)] = list(reporting)
        if i.kernel.reports:
            reporting.append(len(launches))
        launches.append(Launch(function, grid, i.kernel.threads, block))
        touched.append(
            [
                Touched(start, start + prod(a.shape) * a.dtype.itemsize, p.written)
                for p, a in zip(i.kernel.parameters, arguments, strict=True)
                if p.letters is not None
                for start in [address_of(a)]
            ]
        )
    edges = edges_of(touched, after)
    pairs = [(copies.address(address), amount) for address, amount in tape.counter_increments]
    table = memory.allocate(16 * len(pairs))
    table.write(np.array(pairs, np.int64).reshape(-1, 2))
    numbers = np.array([table.owner.address, len(pairs), 2, status, 2, done, 1], np.int64)
    block = numbers.tobytes() + np.array([status, len(tape.instructions)], np.int64).tobytes()
    waited = {j for e in edges for j in e}
    edges.append([n for n in range(len(launches)) if n not in waited])
    launches.append(Launch(last, (1, 1, 1), advance.threads, block))
    return device().graph(launches, edges), table
