"""Where the time of a tape goes: each of its calls timed, held against what the machine can do at
best; and of a training step, what is simplest to win."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fastnn.buffer import Buffer
from fastnn.devices.arena import turn_of
from fastnn.devices.base import StepFailed
from fastnn.devices.cpu import INTERPRETED, peaks, processor, vector_bits
from fastnn.devices.cpu.program import Tape
from fastnn.devices.programs import program_of
from fastnn.tape.cost import moved, nbytes
from fastnn.tape.instruction import Instruction
from fastnn.tape.report import Timings

STEP_SECONDS = 0.02  # for which whole steps are timed, on each number of threads
MAX_EMPTY_LANES = 0.1  # of the vectors' lanes that an odd width may leave empty without a word


def profile(tape: Tape, seconds: float = 0.2) -> Tape:
    """Time every instruction by itself, repeated, on one thread, and work out what the machine
    could do at best; `tape.summary()` then shows both. State is as it was before, weights too."""
    times = turn_of(tape.buffers).run(_time_calls, tape, seconds)  # others do not see it train
    if tape.device == "cpu":
        floors = [floor(i) for i in tape.instructions]
        widths = [vector_bits(i.kernel, i.dtype) for i in tape.instructions]
    else:
        from fastnn.devices.cuda import peaks as gpu

        floors = [gpu.floor(i) for i in tape.instructions]
        widths = [None] * len(floors)
    tape.timings = Timings(times, floors, widths)
    return tape


def floor(instruction: Instruction) -> float:
    """Seconds that an instruction takes at the least, on one thread: its flops at the peak of
    multiply-adds, or its bytes at what the most similar streams move where as many bytes lie. Other
    arithmetic than multiply-adds takes longer than that. Interpreted kernels have none."""
    if INTERPRETED:
        return 0.0
    read, written, updated = moved(instruction)
    alone = (1, 0, 0) if not written else (1, 1, 0) if 2 * written > read else (2, 1, 0)
    streams = (1, 0, 3) if updated > written else alone
    rate = peaks.bytes_per_second(streams, read + written + updated)
    dtype = np.dtype("float64" if instruction.dtype == "f8" else "float32")
    flops_rate = peaks.flops_per_second(dtype, quick=True)
    return max(instruction.flops / flops_rate, nbytes(instruction) / rate)


def _time_calls(tape, seconds):
    """Seconds each instruction takes, repeated natively for its share of `seconds`, in order, with
    what it writes put back so that the next ones see a step's real values; at the end everything
    that outlives the step is as before."""
    times, lasting = [], saved(tape.instructions)
    places = [(counter, counter.value) for counter in tape.counters]
    try:
        for counter, _ in places:
            counter.value = 0  # after a fit the place in the data is their end
        for number, instruction in enumerate(tape.instructions):
            before = saved([instruction], only_updated=True)
            program = program_of([(tape.single(number), 1 << 40)])
            times.append(_seconds_per_run(program, seconds / len(tape.instructions) / 2))
            restore(before)
            _seconds_per_run(program, 0.0)  # once, for what follows to see
    finally:
        restore(lasting)
        for counter, value in places:
            counter.value = value
    return times


def _seconds_per_run(program, least):
    """Seconds a step, repeated for at least so long; of the only one, if it fails."""
    repeats = 1
    while True:
        start = time.perf_counter()
        try:
            program.run(1, repeats)
        except StepFailed:
            repeats, least = program.done + 1, 0.0
        taken = time.perf_counter() - start
        if taken > least or repeats > 1 << 24:
            return taken / repeats
        repeats *= 2


Copies = list[tuple[Buffer, np.ndarray]]


def saved(instructions: Iterable[Instruction], only_updated: bool = False) -> Copies:
    """Copies of the memory, outside the tape's own, that instructions write; or only of what they
    read as well."""
    found: dict = {}
    for i in instructions:
        for p, a in i.tensors:
            if p.written and (p.read or not only_updated) and a.buffer.address is not None:
                values = a.buffer.array(a.shape, a.dtype).copy()
                found.setdefault((a.buffer.address, values.nbytes), (a.buffer, values))
    return list(found.values())


def restore(copies: Copies) -> None:
    """Put back what `saved` gave."""
    for buffer, values in copies:
        buffer.write(values)


def profile_step(epoch: Any, weights: Mapping[str, Any], dtype: np.dtype, rows: int) -> str:
    """The text that `model.profile` prints, of the largest training step of an epoch
    (fastnn/training/epoch.py). Everything is as before when it returns, weights and counters
    too."""
    number = max(
        range(len(epoch.train)), key=lambda n: (epoch.train[n].rows, epoch.train[n].repeats)
    )
    segment, tape = epoch.train[number], epoch.tapes[number]
    lasting = saved([i for t in epoch.tapes for i in t.instructions])

    def draw():
        """An order of the rows: there is none before the first fit."""
        if segment.source is not None and segment.source.order is not None:
            program_of([(epoch.tapes[0].with_increments([]), 1)]).run(1)

    times = {}
    try:
        for n_threads in sorted({1, epoch.program.n_threads}):
            draw()
            times[n_threads] = _seconds_per_step(tape, n_threads)
            restore(lasting)
        draw()
        table = profile(tape).summary()
    finally:
        restore(lasting)
    lines = [
        f"A training step of {segment.rows} row{'s' * (segment.rows != 1)}, each call by itself "
        f"on {'one thread' if tape.device == 'cpu' else 'the GPU'}:",
        table,
    ]
    measured = {n: seconds for n, seconds in times.items() if seconds is not None}
    if tape.device != "cpu":
        least = 1e6 * sum(tape.timings.floors)
        lines += [
            f"a whole step: {1e6 * s:.4g} us; the floor: {least:.4g} us" for s in measured.values()
        ]
        return "\n".join(lines)
    if measured:
        best = min(measured, key=lambda n: measured[n])
        each = ", ".join(
            f"{1e6 * seconds:.4g} us on {n} thread{'s' * (n > 1)}"
            for n, seconds in measured.items()
        )
        least = 1e6 * sum(tape.timings.floors)
        lines.append(f"a whole step: {each}; the floor on one: {least:.4g} us")
        lines.append(f"threads: {best}, vectors of {8 * processor().target.vector_bytes} bits")
    return "\n".join([*lines, *advice(weights, dtype, segment.rows, rows)])


def _seconds_per_step(tape: Tape, n_threads: int) -> float | None:
    """Seconds a step, the counters left where they are; None if repeating it on the same rows came
    to numbers that are not finite."""
    program, steps = program_of([(tape.with_increments([]), 1 << 60)]), 1
    try:
        while True:
            start = time.perf_counter()
            program.run(1, steps, n_threads, STEP_SECONDS)
            seconds = time.perf_counter() - start
            if seconds > STEP_SECONDS / 2:
                return seconds / program.done
            steps *= 2
    except StepFailed:
        return None


def advice(
    weights: Mapping[str, Any], dtype: np.dtype, batch_size: int, rows: int
) -> Sequence[str]:
    """A line on what is simplest to win, if there is something."""
    if dtype == "float64":
        return [
            "advice: float64 takes twice the time and memory of float32, which is enough for most "
            "models"
        ]
    if batch_size == 1 and rows > 1:
        return [
            "advice: batches of one row read every weight for that row alone; a larger batch_size "
            "takes hardly longer a step"
        ]
    lanes = processor().target.vector_bytes // dtype.itemsize
    for name, variable in weights.items():
        width = variable.shape[-1] if len(variable.shape) > 1 else 0
        full = math.ceil(width / lanes) * lanes
        if width > lanes and width < (1 - MAX_EMPTY_LANES) * full:
            return [
                f"advice: {name} has {width} columns, and vectors of {lanes} numbers compute "
                f"{full}: {full} would take as long, {full - lanes} less"
            ]
    return []
