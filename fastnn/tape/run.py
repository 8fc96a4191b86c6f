"""Replaying: tapes as the native walker reads them, and programs made of several tapes."""

import struct
import threading
from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from fastnn.device import INTERPRETED, entry, pool, walk
from fastnn.device.buffers import Buffer, address_of, allocate
from fastnn.kernels.cpu.walker import ABORT, EPOCH, LANE_WORDS, SEGMENT, STATUS, STEP, YIELD

from . import report
from .plan import plan
from .record import Instruction, Recorder, status_error

FOREVER = 1 << 62
MOST_LANES = 64
FLOAT, BITS_OF_FLOAT = struct.Struct("d"), struct.Struct("q")


class Tape:
    """A recorded step, planned: functions and argument blocks for the walker, and the counters it moves on."""

    def __init__(self, recorder: Recorder, kept: Sequence[Buffer] = (), lanes: int = 1):
        planned = plan(recorder.instructions, kept, lanes)
        self.name, self.lanes = recorder.name, lanes
        self.instructions: list[Instruction] = planned.instructions
        self.arena, self.unplanned, self.addresses = planned.arena, planned.unplanned, planned.addresses
        self.waits = np.array(planned.waits, np.int64)
        self.functions = np.array([entry(i.kernel, i.dtype) for i in self.instructions], np.int64)
        self.slots: dict[Buffer, list[int]] = {}  # words that hold the address of a buffer, for `place`
        self._make_blocks()
        self.times: list[float] | None = None
        self.advances = [(counter.address, amount) for counter, amount in recorder.advances.items()]

    def _make_blocks(self):
        words: list = []
        starts = []
        for i in self.instructions:
            starts.append(len(words))
            for p, a in zip(i.kernel.parameters, i.arguments, strict=True):
                if p.letters is None:
                    words.extend(BITS_OF_FLOAT.unpack(FLOAT.pack(a)) if p.dtype == "float" else (a,))
                    continue
                address = a.buffer.address
                self.slots.setdefault(a.buffer, []).append(len(words))
                words.append(self.addresses[a.buffer] if address is None else address)
                words.extend(a.shape)
        self.words = np.array(words, np.int64)
        self.blocks = self.words.ctypes.data + 8 * np.array(starts, np.int64)

    def place(self, buffer: Buffer, address: int) -> None:
        """Let a buffer lie elsewhere from now on: the user's array of the next call."""
        self.words[self.slots.get(buffer, [])] = address

    def stride(self, buffer: Buffer, nbytes: int) -> None:
        """Let a buffer lie `nbytes` further on after every step: batches of rows in order, which nothing need copy."""
        start = self.words.ctypes.data
        self.advances += [(start + 8 * slot, nbytes) for slot in self.slots.get(buffer, [])]

    def array(self, tensor: Any) -> np.ndarray:
        """The memory of a tensor made while recording."""
        if tensor.buffer.address is not None:
            return tensor.buffer.array(tensor.shape, tensor.dtype)
        offset = self.arena.offset + self.addresses[tensor.buffer] - self.arena.address
        return np.ndarray(tensor.shape, tensor.dtype, self.arena.owner, offset)

    def part(self, number: int) -> "Tape":
        """One instruction alone, moving no counters: to time it."""
        other = copy(self)
        one = slice(number, number + 1)
        other.instructions, other.functions, other.blocks = self.instructions[one], self.functions[one], self.blocks[one]
        other.waits, other.advances = np.zeros(1, np.int64), []
        return other

    def profile(self, seconds: float = 0.2) -> "Tape":
        """Time every instruction by itself, repeated; `summary()` then shows it. State is as it was before, weights too."""
        self.times = report.profile(self, seconds)
        return self

    def summary(self) -> str:
        """A line a call: name, shapes, flops, bytes and, if profiled, time; then the memory."""
        return report.summary(self)


class StepFailed(Exception):
    """A kernel reported something: which instruction of which tape, and what. Nothing of that step was committed after it."""

    def __init__(self, tape: Tape, instruction: Instruction, status: int):
        super().__init__(tape.name)
        self.tape, self.instruction, self.status = tape, instruction, status

    def error(self) -> Exception:
        """What to raise for it."""
        return status_error(self.status, self.instruction.name, self.instruction.layer)


class Program:
    """An epoch: tapes and how often each is run, one after another. `run` walks it natively from where it stands."""

    def __init__(self, segments: Sequence[tuple[Tape, int]]):
        self.segments = list(segments)
        self.lanes = min([t.lanes for t, _ in self.segments])
        tapes = [t for t, _ in self.segments]
        ends = np.cumsum([len(t.instructions) for t in tapes])
        advance_ends = np.cumsum([len(t.advances) for t in tapes])
        table = [
            (end - len(t.instructions), end, steps, advance_end - len(t.advances), advance_end)
            for (t, steps), end, advance_end in zip(self.segments, ends, advance_ends, strict=True)
        ]
        self._arrays = [
            np.concatenate([t.functions for t in tapes]),
            np.concatenate([t.blocks for t in tapes]),
            np.concatenate([t.waits for t in tapes]),
            np.array(table, np.int64).reshape(-1, 5),
            np.array([pair for t in tapes for pair in t.advances], np.int64).reshape(-1, 2),
        ]
        shared = allocate(8 * (STATUS + LANE_WORDS * MOST_LANES))
        self.shared = shared.array((shared.nbytes // 8,), np.int64)
        self.shared[:] = 0
        self.shared[YIELD] = pool.yield_address()
        words: list[int] = []
        for array in (*self._arrays, self.shared):
            words += [array.ctypes.data, *array.shape]
        self._block = np.array([*words, 0, 0], np.int64)  # the last two: epochs to reach, steps to do at most
        self._address = address_of(self._block)
        self.lock = threading.Lock()

    @property
    def position(self) -> tuple[int, int, int]:
        """(epochs done, segment, steps of it done)."""
        return int(self.shared[EPOCH]), int(self.shared[SEGMENT]), int(self.shared[STEP])

    @position.setter
    def position(self, place: tuple[int, int, int]) -> None:
        self.shared[EPOCH : STEP + 1] = place

    def _walk(self, lane, lanes):
        return walk(self._address, lane, lanes)

    def _abort(self):
        self.shared[ABORT] = 1

    def run(self, epochs: int, steps: int = FOREVER, lanes: int = 1) -> None:
        """Walk until `epochs` are over or `steps` steps are done, whichever is first."""
        self._block[-2], self._block[-1] = epochs, steps
        if lanes == 1:
            failed = walk(self._address, 0, 1)
        else:
            self.shared[:YIELD] = 0
            failed = pool.run(self._walk, min(lanes, self.lanes, MOST_LANES), self._abort)
        if failed:
            raise self._failure()

    def _failure(self):
        statuses = self.shared[STATUS:].reshape(-1, LANE_WORDS)
        # The lowest instruction, then its lowest row: the same whichever lanes met it.
        number, status = min((int(i) - 1, int(status)) for i, status, *_ in statuses if i != 0)
        statuses[:] = 0
        instructions = [(tape, i) for tape, _ in self.segments for i in tape.instructions]
        return StepFailed(*instructions[number], status)


def lanes_to_plan_for() -> int:
    """How many lanes tapes are planned for: as many as there are processors; interpreted, one."""
    return 1 if INTERPRETED else min(pool.default_lanes(), MOST_LANES)
