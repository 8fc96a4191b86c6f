"""What a device makes of recorded steps: tapes, and programs of them."""

from collections.abc import Iterable, Sequence
from typing import Any

from fastnn.buffer import Buffer
from fastnn.devices.cpu import program as on_cpu
from fastnn.tape.record import Recorder


def tape_of(recorder: Recorder, kept: Iterable[Buffer], n_threads: int) -> Any:
    """The tape of a step, by the device it was recorded for. The buffers `kept` are read after it
    has run."""
    if recorder.device == "cpu":
        return on_cpu.Tape(recorder, kept, n_threads)
    from fastnn.devices.cuda.tape import Tape

    return Tape(recorder, kept)


def program_of(segments: Sequence[tuple[Any, int]]) -> Any:
    """The program of tapes and how often each is run."""
    if all([isinstance(tape, on_cpu.Tape) for tape, _ in segments]):
        return on_cpu.Program(segments)
    from fastnn.devices.cuda.program import Program

    return Program(segments, on_cpu.Program)
