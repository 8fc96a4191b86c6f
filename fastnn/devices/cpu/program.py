"""Replaying: tapes as the replay loop reads them, and programs made of several tapes."""

import time
from collections.abc import Sequence
from copy import copy
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from fastnn.devices.cpu import INTERPRETED, entry, replay, threads
from fastnn.devices.cpu.memory import Buffer, address_of, allocate, turn_of
from fastnn.devices.cpu.threads import MAX_THREADS
from fastnn.kernels.cpu.replay import (
    ABORT,
    BASE,
    CLOCK,
    CLOCK_ID,
    DEADLINE,
    DONE,
    EPOCH,
    LAST_END,
    STATUS,
    STEP,
    SYSTEM,
    THREAD_WORDS,
    YIELD,
)
from fastnn.kernels.cpu.replay import replay as replay_kernel
from fastnn.tape import report
from fastnn.tape.plan import plan
from fastnn.tape.record import NUMBERS, Instruction, Recorder, block_of, status_error

FOREVER = 1 << 62
ALONE = (1, 0, 0, 0, 0, 0)  # the row of `Tape.chains` of a call that belongs to none


class Tape:
    """A recorded step, planned: calls and argument blocks for the replay loop, and the counters it
    moves on."""

    def __init__(self, recorder: Recorder, kept: Sequence[Buffer] = (), n_threads: int = 1):
        planned = plan(recorder.instructions, kept, n_threads)
        self.name, self.n_threads = recorder.name, n_threads
        self.instructions: list[Instruction] = planned.instructions
        self.arena, self.unplanned, self.addresses = (
            planned.arena,
            planned.unplanned,
            planned.addresses,
        )
        self.waits = planned.waits
        self._make_blocks(planned)
        # memory that it reads and does not own: who has the tape alone may run it
        self.held: Sequence[Any] = ()
        # of each call and, beside them, the least they could be: see `profile`
        self.times: list[float] | None = None
        self.floors: list[float] = []
        self.work = report.work(self.instructions)
        self.counters = list(recorder.advances)
        self.advances = [(counter.address, amount) for counter, amount in recorder.advances.items()]

    def _make_blocks(self, planned):
        blocks = [block_of(i.kernel, i.arguments, self.addresses) for i in self.instructions]
        # Where a chain keeps something in memory of each thread's own, each has argument blocks of
        # its own.
        self.copies = self.n_threads if planned.tile_bytes else 1
        memory = bytearray(b"".join(blocks) * self.copies or bytes(8))  # a step may compute nothing
        self.words = np.frombuffer(memory, np.int64)
        self.start, size = address_of(memory), len(memory) // self.copies
        self.blocks = list(accumulate([self.start, *map(len, blocks)]))[: len(blocks)]
        self.slots: dict[Buffer, list[int]] = {}
        self.chains: list[tuple] = [ALONE] * len(blocks)
        self.patches: list[tuple] = []
        for chain in planned.chains:
            first = len(self.patches)
            for buffer in chain.local:
                memory, item = self.addresses[buffer], buffer.nbytes // chain.size
                words = [self.start + 8 * slot for slot in self._slots(buffer)[:: self.copies]]
                self.patches += [(word, memory, item, size, planned.tile_bytes) for word in words]
            shared = (
                chain.tiles,
                chain.size,
                first,
                len(self.patches),
                size if self.copies > 1 else 0,
            )
            length = chain.last - chain.first
            self.chains[chain.first : chain.last] = [
                (length, *shared),
                *[(1, *shared)] * (length - 1),
            ]

    def _slots(self, buffer):
        """The words that hold the address of a buffer, found when first asked for: few are moved.
        Each stands in all copies."""
        if buffer not in self.slots:
            found = self.slots[buffer] = []
            distance = len(self.words) // self.copies
            for i, block in zip(self.instructions, self.blocks, strict=True):
                if all(a.buffer is not buffer for _, a in i.tensors):
                    continue
                word = (block - self.start) // 8
                for a in i.arguments:
                    is_number = isinstance(a, NUMBERS)
                    if not is_number and a.buffer is buffer:
                        found += [word + distance * copy for copy in range(self.copies)]
                    word += 1 if is_number else 1 + len(a.shape)
        return self.slots[buffer]

    def place(self, buffer: Buffer, address: int, rows: int | None = None) -> None:
        """Let a buffer lie elsewhere from now on, the user's array of the next call, and have so
        many rows, if that is said, on which nothing that was planned may depend."""
        slots = self._slots(buffer)
        self.words[slots] = address
        if rows is not None:
            self.words[[slot + 1 for slot in slots]] = rows
            for i in self.instructions:
                for _, a in i.tensors:
                    if a.buffer is buffer:
                        a.shape = (rows, *a.shape[1:])

    def strides(self, buffer: Buffer, nbytes: int) -> list[tuple[int, int]]:
        """What advances a buffer by `nbytes` after every step: batches of rows in order, which
        nothing need copy."""
        return [(self.start + 8 * slot, nbytes) for slot in self._slots(buffer)]

    @property
    def buffers(self) -> list[Buffer]:
        """The memory its calls work on."""
        return [i.arguments[n].buffer for i in self.instructions for n, _ in i.kernel.arrays]

    def array(self, tensor: Any) -> np.ndarray:
        """The memory of a tensor made while recording."""
        if tensor.buffer.address is not None:
            return tensor.buffer.array(tensor.shape, tensor.dtype)
        offset = self.arena.offset + self.addresses[tensor.buffer] - self.arena.address
        return np.ndarray(tensor.shape, tensor.dtype, self.arena.owner, offset)

    def advancing(self, advances: Sequence[tuple[int, int]]) -> "Tape":
        """The same step, moving these counters."""
        other = copy(self)
        other.advances = list(advances)
        return other

    def still(self) -> "Tape":
        """The same step, moving no counters: to time it."""
        return self.advancing([])

    def part(self, number: int) -> "Tape":
        """One instruction alone, moving no counters."""
        other, one = self.still(), slice(number, number + 1)
        other.instructions, other.blocks = self.instructions[one], self.blocks[one]
        other.waits, other.chains = [False], [(1, *self.chains[number][1:])]
        return other

    def profile(self, seconds: float = 0.2) -> "Tape":
        """Time every instruction by itself, repeated, on one thread, and work out what the machine
        could do at best; `summary()` then shows both. State is as it was before, weights too."""
        # others do not see what it trains
        self.times = turn_of(self.buffers).run(report.profile, self, seconds)
        self.floors = [report.floor(i) for i in self.instructions]
        return self

    def summary(self) -> str:
        """A line a call: name, shapes, flops, bytes and, if profiled, time; then the memory."""
        return report.summary(self)


class StepFailed(Exception):
    """A kernel reported something: which instruction of which tape, and what. Nothing of that step
    was committed after it."""

    def __init__(self, tape: Tape, instruction: Instruction, status: int):
        super().__init__(tape.name)
        self.tape, self.instruction, self.status = tape, instruction, status

    def error(self) -> Exception:
        """What to raise for it."""
        return status_error(self.status, self.instruction.name, self.instruction.layer)


def _entries(forms):
    """The address of each of these kernels for these element types. Those that are new here are
    compiled side by side, and the replay loop with them."""
    missing = dict.fromkeys(
        [f for f in [*forms, (replay_kernel, "f4")] if f[1] not in f[0].entries]
    )
    if len(missing) > 1 and not INTERPRETED:
        from fastnn.compile.parallel import compile_together

        compile_together(list(missing), threads.allowed().number)
    return [kernel.entries.get(dtype) or entry(kernel, dtype) for kernel, dtype in forms]


class Program:
    """An epoch: tapes and how often each is run, one after another. `run` replays it natively from
    where it stands, on one thread or on as many as the tapes are planned for."""

    def __init__(self, segments: Sequence[tuple[Tape, int]]):
        self.segments = list(segments)
        numbers = {t.n_threads for t, _ in self.segments}
        self.n_threads = numbers.pop() if len(numbers) == 1 else 1
        tapes = [t for t, _ in self.segments]
        self._set_out(tapes)
        # Of those who run it, and of all others who work on the same variables: they call `run` in
        # it.
        self.turn = turn_of([b for t in tapes for b in t.buffers])
        mean = sum([t.work * steps for t, steps in self.segments]) / sum(
            [steps for _, steps in self.segments]
        )
        self._weights = [t.work / mean for t in tapes]
        self._ahead = [
            0.0,
            *accumulate(
                [w * steps for w, (_, steps) in zip(self._weights, self.segments, strict=True)]
            ),
        ]

    def _set_out(self, tapes):
        """Write down what `replay` is given: tables of whole numbers, one after another, and its
        argument block."""
        # instructions, advances and patches of the tapes before
        segments, chains, ahead = [], [], [0, 0, 0]
        for tape, steps in self.segments:
            first, first_advance, first_patch = ahead
            ahead = [
                first + len(tape.instructions),
                first_advance + len(tape.advances),
                first_patch + len(tape.patches),
            ]
            segments.append((first, ahead[0], steps, first_advance, ahead[1]))
            for length, tiles, size, patch, last_patch, stride in tape.chains:
                chains.append(
                    (length, tiles, size, first_patch + patch, first_patch + last_patch, stride)
                )
        tables: list[tuple[tuple[int, ...], list[int]]] = [  # numbers in a row, rows
            ((), _entries([(i.kernel, i.dtype) for t in tapes for i in t.instructions])),
            ((), [n for t in tapes for n in t.blocks]),
            ((), [n for t in tapes for n in t.waits]),
            ((len(ALONE),), [n for row in chains for n in row]),
            ((5,), [n for t in tapes for row in t.patches for n in row]),
            ((5,), [n for row in segments for n in row]),
            ((2,), [n for t in tapes for pair in t.advances for n in pair]),
        ]
        self._tables = np.array([n for _, table in tables for n in table], np.int64)
        address, words = address_of(self._tables), []
        for row, table in tables:
            words += [address, len(table) // prod(row), *row]
            address += 8 * len(table)
        shared = allocate(8 * (STATUS + THREAD_WORDS * MAX_THREADS))
        self.shared = shared.array((shared.nbytes // 8,), np.int64)
        self.shared[:] = 0
        if not INTERPRETED:
            self.shared[YIELD], self.shared[CLOCK] = (
                threads.yield_address(),
                threads.clock_address(),
            )
            self.shared[CLOCK_ID], self.shared[BASE] = (
                getattr(time, "CLOCK_MONOTONIC", 0),
                shared.address,
            )
        # The last two: epochs to reach, steps to do at most.
        self._block = np.array([*words, shared.address, len(self.shared), 0, 0], np.int64)
        self._address = address_of(self._block)

    @property
    def barriers(self) -> float:
        """How many a mean step has."""
        steps = sum(steps for _, steps in self.segments)
        return sum((1 + sum(t.waits)) * steps for t, steps in self.segments) / steps

    @property
    def position(self) -> tuple[int, int, int]:
        """(epochs done, segment, steps of it done)."""
        epoch, segment, step = self.shared[EPOCH : STEP + 1].tolist()
        return epoch, segment, step

    @position.setter
    def position(self, place: tuple[int, int, int]) -> None:
        self.shared[EPOCH : STEP + 1] = place

    def rewind(self) -> None:
        """Put a program of one step back to its beginning: of its position, only the epoch has
        moved."""
        self.shared[EPOCH] = 0

    def _replay(self, thread, n_threads):
        return replay(self._address, thread, n_threads)

    def _abort(self):
        self.shared[ABORT] = 1

    def run(
        self, epochs: int, steps: int = FOREVER, n_threads: int = 1, seconds: float = 1e9
    ) -> None:
        """Replay until `epochs` are over or `steps` steps are done, whichever is first. On several
        threads that have to wait for each other, also no longer than `seconds`. With less than the
        number of threads it is planned for, it takes one."""
        self._block[-2], self._block[-1] = epochs, steps
        if n_threads < self.n_threads or self.n_threads == 1:
            failed = replay(self._address, 0, 1)
        else:
            self.shared[:SYSTEM] = 0
            self.shared[DEADLINE] = threads.now() + int(1e9 * seconds)
            failed = threads.run(self._replay, self.n_threads, self._abort)
        if failed:
            raise self._failure()

    @property
    def done(self) -> int:
        """Steps of the last run."""
        return int(self.shared[DONE])

    def work(self) -> float:
        """How much lies before the position, in mean steps: those of a program's segments are not
        alike."""
        epochs, segment, step = self.position
        return epochs * self._ahead[-1] + self._ahead[segment] + step * self._weights[segment]

    def seconds_each(self, before: float) -> float:
        """What a mean step of the last run took, which began at the work `before`; the first step,
        in which threads wake up, left out. 0 if that was all."""
        done, first, last = self.shared[DONE : LAST_END + 1].tolist()
        return (
            1e-9 * (last - first) / (self.work() - before) * done / (done - 1) if done > 1 else 0.0
        )

    def _failure(self):
        statuses = self.shared[STATUS:].reshape(-1, THREAD_WORDS)[:, :2]
        # The lowest instruction, then its lowest row: the same whichever threads met it.
        number, status = min((int(i) - 1, int(status)) for i, status in statuses if i != 0)
        statuses[:] = 0
        instructions = [(tape, i) for tape, _ in self.segments for i in tape.instructions]
        return StepFailed(*instructions[number], status)


def threads_to_plan_for() -> int:
    """How many threads tapes are planned for: as many as may be used; interpreted, one."""
    return 1 if INTERPRETED else threads.allowed().number
