"""What this machine can do at best, measured: the floors that calls and steps are compared with."""

import time
from collections.abc import Sequence
from functools import cache
from math import ceil
from typing import Any

import numpy as np

from fastnn.devices.cpu import processor
from fastnn.devices.cpu.memory import allocate
from fastnn.dtypes import LETTERS
from fastnn.kernels.cpu import peaks as kernels
from fastnn.ops.record import Constant
from fastnn.tape.instruction import Instruction
from fastnn.tape.record import Recorder

from .program import MAX_THREADS, Program, Tape

# A trial of a loop lasts at least so long, short enough to fit between what other processes do; the
# fastest counts, for a floor is what the machine can do, not what it does on the average.
TRIAL_SECONDS, TRIALS = 0.004, 25
QUICK = (0.0005, 5)  # the same where a rough floor will do
# of a working set: within L1, and out of the last-level cache
SMALLEST_BYTES, LARGEST_BYTES = 1 << 13, 1 << 26


def seconds_of(
    calls: Sequence[Any], n_threads: int = 1, seconds: float = TRIAL_SECONDS, trials: int = TRIALS
) -> float:
    """Seconds of one repeat of calls one after another: (kernel, arguments but the last, the number
    of repeats)."""
    _run(calls, 1, n_threads)()  # compiles what is missing
    repeats = 1
    while (once := _run(calls, repeats, n_threads)()) < seconds:
        repeats = ceil(repeats * min(max(1.2 * seconds / once, 2), 100))
    run = _run(calls, repeats, n_threads)
    return min(run() for _ in range(trials)) / repeats


def _run(calls, repeats, n_threads):
    # one call alone repeats itself, without being called
    inside, outside = (repeats, 1) if len(calls) == 1 else (1, repeats)
    recorder = Recorder("peak")
    for kernel, arguments in calls:
        dtype = LETTERS[arguments[kernel.element].dtype]
        recorder.instructions.append(
            Instruction(kernel.name, kernel, dtype, (*arguments, inside), (), 0)
        )
    program = Program([(Tape(recorder, [], n_threads), outside)])
    # of one thread what it takes of a processor, which others may want as well
    clock = time.process_time if n_threads == 1 else time.perf_counter

    def run():
        program.position = (0, 0, 0)
        start = clock()
        program.run(1, n_threads=n_threads)
        return clock() - start

    return run


def _zeros(elements, dtype):
    buffer = allocate(elements * dtype.itemsize)
    array = buffer.array((elements,), dtype)
    array[:] = 0
    return Constant(array)


@cache
def flops_per_second(dtype: np.dtype, n_threads: int = 1, quick: bool = False) -> float:
    """The peak of multiply-adds, each of which counts as two."""
    numbers = _zeros(3, dtype)
    numbers.array[:] = 0.5, 1.0, 0.0
    lanes = processor().target.vector_bytes // dtype.itemsize
    flops = 2 * kernels.ACCUMULATORS * lanes * n_threads
    calls = [(kernels.multiply_adds, [numbers])]
    return flops / seconds_of(calls, n_threads, *(QUICK if quick else ()))


Streams = tuple[int, int, int]  # arrays read, written and updated in place


def seconds_of_streams(
    streams: Streams, elements: int, dtype: np.dtype, n_threads: int = 1, quick: bool = False
) -> float:
    """One pass over arrays of so many elements."""
    return seconds_of_passes((streams,), elements, dtype, n_threads, quick)


@cache
def seconds_of_passes(
    passes: tuple[Streams, ...],
    elements: int,
    dtype: np.dtype,
    n_threads: int = 1,
    quick: bool = False,
) -> float:
    """Alternating passes, each over arrays of its own but for the first that it reads: the working
    set of all decides in which cache they find it. Reading 32 MB, then writing 32 MB takes two
    and a half times what either takes alone where L3 has 32 MB."""
    calls, shared = [], _zeros(elements, dtype)
    for streams in passes:
        kernel = kernels.STREAMS[streams]
        arrays = [
            _zeros(MAX_THREADS if p.name == "total" else elements, dtype)
            for p in kernel.parameters
            if p.letters
        ]
        calls.append((kernel, [shared, *arrays[1:]] if streams[0] else arrays))
    return seconds_of(calls, n_threads, *(QUICK if quick else ()))


def bytes_per_second(streams: Streams, nbytes: float) -> float:
    """The bandwidth of streams whose arrays together have some `nbytes`, rounded down to a power of
    two: in L1 it is ten times that of memory."""
    power = 1 << (max(int(nbytes), 1).bit_length() - 1)
    return _bytes_per_second(streams, min(max(SMALLEST_BYTES, power), LARGEST_BYTES))


@cache
def _bytes_per_second(streams, size):
    read, written, updated = streams
    elements = size // (4 * (read + written + updated))
    moved = 4 * elements * (read + written + 2 * updated)
    return moved / seconds_of_streams(streams, elements, np.dtype("float32"), quick=True)
