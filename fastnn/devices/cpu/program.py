"""Tapes as the native replay loop reads them, and programs made of several tapes."""

import ctypes
import time
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from fastnn.buffer import Buffer
from fastnn.devices.arena import turn_of
from fastnn.devices.base import FOREVER, StepFailed
from fastnn.devices.cpu import INTERPRETED, entries, replay, threads
from fastnn.devices.cpu.memory import address_of, allocate
from fastnn.devices.cpu.threads import MAX_THREADS
from fastnn.kernels.cpu.replay import (
    ABORT,
    BASE,
    CLOCK,
    CLOCK_ID,
    DEADLINE,
    DONE,
    EPOCH,
    LAST_STEP_END,
    SEGMENT,
    STATUS,
    STEP,
    SYSTEM,
    THREAD_WORDS,
    YIELD,
)
from fastnn.tape import report
from fastnn.tape.cost import work
from fastnn.tape.instruction import NUMBERS, Instruction
from fastnn.tape.plan import lifetimes, placed, without_dead_code
from fastnn.tape.record import Recorder
from fastnn.tape.report import Timings

from .barriers import barriers
from .fusion import fusion_groups

UNFUSED = (1, 0, 0, 0, 0, 0)  # the row of `Tape.group_rows` of a call that belongs to no group
NOWHERE: Mapping[Buffer, int] = {}


def argument_block(
    kernel: Any, arguments: Sequence[Any], addresses: Mapping[Buffer, int] = NOWHERE
) -> bytes:
    """A kernel's argument block: address and extents of each array, and each number, as
    `kernel.block` says. `addresses`: of the buffers that are planned."""
    fields: list = []
    for a in arguments:
        if isinstance(a, NUMBERS):
            fields.append(a)
        else:
            address = a.buffer.address
            fields.append(addresses.get(a.buffer) if address is None else address)
            fields += a.shape
    return kernel.block.pack(*fields)


class Tape:
    """A recorded step, planned for up to `n_threads` threads: calls and argument blocks for the
    replay loop, and the counters it increments. The buffers `kept` are read after a step, so they
    keep their memory to its end."""

    device = "cpu"

    def __init__(self, recorder: Recorder, kept: Iterable[Buffer] = (), n_threads: int = 1):
        self.name, self.n_threads = recorder.name, n_threads
        self._plan(recorder.instructions, {b for b in kept if b.address is None})
        self._make_blocks()
        # memory that it reads and does not own: who has the tape alone may run it
        self.held: Sequence[Any] = ()
        self.timings: Timings | None = None  # see fastnn/profiling.py
        self.work = work(self.instructions)
        increments = recorder.counter_increments
        self.counters = list(increments)
        self.counter_increments = [(c.address, amount) for c, amount in increments.items()]

    def _plan(self, recorded, kept):
        """Barriers come first, from what each instruction touches, thread by thread; then fusion,
        between barriers; then memory, handed on at barriers."""
        instructions, n_threads = without_dead_code(recorded, kept), self.n_threads
        several = n_threads > 1
        barrier_before = (
            barriers(instructions, n_threads) if several else [False] * len(instructions)
        )
        groups = fusion_groups(instructions, barrier_before, kept, n_threads)
        boundaries = list(barrier_before) if several else [True] * len(instructions)
        for g in groups:  # tile by tile, its calls alternate
            boundaries[g.start + 1 : g.stop] = [False] * (g.stop - g.start - 1)
        lives = lifetimes(instructions, boundaries, kept)
        private = {b: offset for g in groups for b, offset in g.private.items()}
        offsets, total = placed({b: life for b, life in lives.items() if b not in private})
        self.tile_bytes = max([g.nbytes for g in groups], default=0)  # of each thread
        self.arena = allocate(total + n_threads * self.tile_bytes)
        self.addresses = {b: self.arena.address + offset for b, offset in offsets.items()}
        tile_memory = self.arena.address + total
        self.addresses.update({b: tile_memory + offset for b, offset in private.items()})
        # bytes of all buffers side by side, but for the tiles that streaming copies read
        self.unshared_bytes = sum([life.size for b, life in lives.items() if b.maker is not None])
        self.instructions, self.barrier_before, self.groups = instructions, barrier_before, groups

    def _make_blocks(self):
        blocks = [argument_block(i.kernel, i.arguments, self.addresses) for i in self.instructions]
        # Where a group keeps something in memory of each thread's own, each thread has argument
        # blocks of its own.
        self.copies = self.n_threads if self.tile_bytes else 1
        memory = bytearray(b"".join(blocks) * self.copies or bytes(8))  # a step may compute nothing
        self.words = np.frombuffer(memory, np.int64)
        self.start, stride = address_of(memory), len(memory) // self.copies
        self.blocks = list(accumulate([self.start, *map(len, blocks)]))[: len(blocks)]
        self.fields: dict[Buffer, list[int]] = {}
        self.group_rows: list[tuple] = [UNFUSED] * len(blocks)
        self.address_fixups: list[tuple] = []
        for g in self.groups:
            fixups_start = len(self.address_fixups)
            for buffer in g.private:
                tile, item = self.addresses[buffer], buffer.nbytes // g.size
                for word in self._fields(buffer)[:: self.copies]:
                    self.address_fixups.append(
                        (self.start + 8 * word, tile, item, stride, self.tile_bytes)
                    )
            fixups = fixups_start, len(self.address_fixups)
            row = (g.tiles, g.size, *fixups, stride if self.copies > 1 else 0)
            length = g.stop - g.start
            self.group_rows[g.start : g.stop] = [(length, *row), *[(1, *row)] * (length - 1)]

    def _fields(self, buffer):
        """The words that hold the address of a buffer, found when first asked for: few are moved.
        Each stands in all copies."""
        if buffer not in self.fields:
            found = self.fields[buffer] = []
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
        return self.fields[buffer]

    def bind(self, buffer: Buffer, address: int, rows: int | None = None) -> None:
        """Let a buffer lie elsewhere from now on, in the user's array of the next call, and have so
        many rows, if that is said, on which nothing that was planned may depend."""
        fields, words = self.fields.get(buffer) or self._fields(buffer), self.words
        for field in fields:
            words[field] = address
        if rows is not None:
            words[[field + 1 for field in fields]] = rows
            for i in self.instructions:
                for _, a in i.tensors:
                    if a.buffer is buffer:
                        a.shape = (rows, *a.shape[1:])

    def address_increments(self, buffer: Buffer, nbytes: int) -> list[tuple[int, int]]:
        """What moves a buffer on by `nbytes` after every step: batches of rows in order, which
        nothing need copy."""
        return [(self.start + 8 * field, nbytes) for field in self._fields(buffer)]

    @property
    def buffers(self) -> list[Buffer]:
        """The memory its calls work on."""
        return [i.arguments[n].buffer for i in self.instructions for n, _ in i.kernel.arrays]

    def memory_of(self, buffer: Buffer) -> Buffer:
        """Where a buffer made while recording lies."""
        if buffer.address is not None:
            return buffer
        return self.arena.part(self.addresses[buffer] - self.arena.address, buffer.nbytes)

    def array(self, tensor: Any) -> np.ndarray:
        """The memory of a tensor made while recording."""
        return self.memory_of(tensor.buffer).array(tensor.shape, tensor.dtype)

    def element(self, instruction: Instruction, tensor: Any, place: int) -> Any:
        """Element number `place` of a tensor that an instruction is given, where the step ended
        with that; None if it stood in a tile of a fusion group."""
        if any([tensor.buffer in g.private for g in self.groups]):
            return None
        word = (self.blocks[self.instructions.index(instruction)] - self.start) // 8
        for a in instruction.arguments:
            if not isinstance(a, NUMBERS) and a.buffer is tensor.buffer:
                address = int(self.words[word]) + place * tensor.dtype.itemsize
                return np.frombuffer(
                    ctypes.string_at(address, tensor.dtype.itemsize), tensor.dtype
                )[0]
            word += 1 if isinstance(a, NUMBERS) else 1 + len(a.shape)
        return None

    def with_increments(self, increments: Sequence[tuple[int, int]]) -> "Tape":
        """The same step, incrementing the words at these addresses; none, to time it."""
        other = copy(self)
        other.counter_increments = list(increments)
        return other

    def single(self, number: int) -> "Tape":
        """One instruction alone, incrementing no counters."""
        other, one = self.with_increments([]), slice(number, number + 1)
        other.instructions, other.blocks = self.instructions[one], self.blocks[one]
        other.barrier_before, other.group_rows = [False], [(1, *self.group_rows[number][1:])]
        return other

    def summary(self) -> str:
        """A line a call: name, shapes, flops, bytes and, if profiled, time; then the memory."""
        return report.summary(self)


class Program:
    """An epoch: tapes and how often each is run, one after another. `run` replays it natively from
    where it stands, on one thread or on as many as the tapes are planned for."""

    def __init__(self, segments: Sequence[tuple[Tape, int]]):
        self.segments = list(segments)
        numbers = {t.n_threads for t, _ in self.segments}
        self.n_threads = numbers.pop() if len(numbers) == 1 else 1
        tapes = [t for t, _ in self.segments]
        self._lay_out(tapes)
        # Of those who run it, and of all others who work on the same variables: they call `run` in
        # it.
        self.turn = turn_of([b for t in tapes for b in t.buffers])
        work_of_all = sum([t.work * steps for t, steps in self.segments])
        mean = work_of_all / sum([steps for _, steps in self.segments])
        self._work = [t.work / mean for t in tapes]  # of a step, in mean steps
        self._work_before = [0.0]  # each segment, and an epoch's
        for each, (_, steps) in zip(self._work, self.segments, strict=True):
            self._work_before.append(self._work_before[-1] + each * steps)

    def _lay_out(self, tapes):
        """Write down what the replay loop is given: tables of whole numbers, one after another, and
        its argument block."""
        segments, group_rows = [], []
        # instructions, increments and fixups of the tapes before
        instruction = increment = fixup = 0
        for tape, steps in self.segments:
            stop = instruction + len(tape.instructions), increment + len(tape.counter_increments)
            segments.append((instruction, stop[0], steps, increment, stop[1]))
            for length, tiles, size, start, end, stride in tape.group_rows:
                group_rows.append((length, tiles, size, fixup + start, fixup + end, stride))
            (instruction, increment), fixup = stop, fixup + len(tape.address_fixups)
        tables: list[tuple[tuple[int, ...], list[int]]] = [  # numbers in a row, rows
            ((), entries([(i.kernel, i.dtype) for t in tapes for i in t.instructions])),
            ((), [n for t in tapes for n in t.blocks]),
            ((), [n for t in tapes for n in t.barrier_before]),
            ((len(UNFUSED),), [n for row in group_rows for n in row]),
            ((5,), [n for t in tapes for row in t.address_fixups for n in row]),
            ((5,), [n for row in segments for n in row]),
            ((2,), [n for t in tapes for pair in t.counter_increments for n in pair]),
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
            self.shared[YIELD] = threads.yield_address()
            self.shared[CLOCK] = threads.clock_address()
            self.shared[CLOCK_ID] = getattr(time, "CLOCK_MONOTONIC", 0)
            self.shared[BASE] = shared.address
        # The last two: epochs to reach, steps to do at most.
        self._block = np.array([*words, shared.address, len(self.shared), 0, 0], np.int64)
        self._address = address_of(self._block)

    @property
    def barriers(self) -> float:
        """How many a mean step has."""
        steps = sum(steps for _, steps in self.segments)
        return sum((1 + sum(t.barrier_before)) * steps for t, steps in self.segments) / steps

    @property
    def position(self) -> tuple[int, int, int]:
        """(epochs done, segment, steps of it done)."""
        epoch, segment, step = self.shared[EPOCH : STEP + 1].tolist()
        return epoch, segment, step

    @position.setter
    def position(self, place: tuple[int, int, int]) -> None:
        shared = self.shared  # word by word: half the time of a slice
        shared[EPOCH], shared[SEGMENT], shared[STEP] = place

    def rewind(self) -> None:
        """Put a program of one step back to its beginning: of its position, only the epoch has
        moved."""
        self.shared[EPOCH] = 0

    def release(self) -> None:
        """The run is over. There is nothing to give back: users' arrays are read where they lie."""

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
        before = epochs * self._work_before[-1] + self._work_before[segment]
        return before + step * self._work[segment]

    def seconds_each(self, before: float) -> float:
        """What a mean step of the last run took, which began at the work `before`; the first step,
        in which threads wake up, left out. 0 if that was all."""
        done, start, end = self.shared[DONE : LAST_STEP_END + 1].tolist()
        return (
            1e-9 * (end - start) / (self.work() - before) * done / (done - 1) if done > 1 else 0.0
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
