"""`model.profile`: where the time of a training step goes, and what is simply lost."""

import math
import time
from typing import Any

from fastnn.devices.cpu import backend
from fastnn.devices.cpu.program import Program, StepFailed, Tape
from fastnn.tape import report
from fastnn.weights import named

from .epoch import Epoch

SECONDS = 0.02  # for which whole steps are timed, on each number of threads
WASTE = 0.1  # of the vectors' threads that an odd width may leave empty without a word


def profile(model: Any, epoch: Epoch, rows: int) -> str:
    """The text `Trainer.profile` prints. Everything is as before when it returns, weights and
    counters too."""
    number = max(
        range(len(epoch.train)), key=lambda n: (epoch.train[n].rows, epoch.train[n].repeats)
    )
    part, tape = epoch.train[number], epoch.tapes[number]
    lasting = report.saved([i for t in epoch.tapes for i in t.instructions])

    def draw():
        """An order of the rows: there is none before the first fit."""
        if part.source is not None and part.source.order is not None:
            Program([(epoch.tapes[0].still(), 1)]).run(1)

    times = {}
    try:
        for n_threads in sorted({1, epoch.program.n_threads}):
            draw()
            times[n_threads] = _seconds(tape, n_threads)
            report.restore(lasting)
        draw()
        table = tape.profile().summary()
    finally:
        report.restore(lasting)
    measured = {n_threads: seconds for n_threads, seconds in times.items() if seconds is not None}
    best = min(measured, key=lambda n_threads: measured[n_threads], default=1)
    lines = [
        f"A training step of {part.rows} row{'s' * (part.rows != 1)}, each call by itself on one "
        "thread:",
        table,
    ]
    if measured:
        each = ", ".join(
            f"{1e6 * seconds:.4g} us on {n_threads} thread{'s' * (n_threads > 1)}"
            for n_threads, seconds in measured.items()
        )
        lines.append(f"a whole step: {each}; the floor on one: {1e6 * sum(tape.floors):.4g} us")
        lines.append(f"threads: {best}, vectors of {8 * backend.processor()[2].vector_bytes} bits")
    return "\n".join([*lines, *advice(model, part.rows, rows)])


def _seconds(tape: Tape, n_threads: int) -> float | None:
    """Seconds a step, the counters left where they are; None if repeating it on the same rows came
    to numbers that are not finite."""
    program, steps = Program([(tape.still(), 1 << 60)]), 1
    try:
        while True:
            start = time.perf_counter()
            program.run(1, steps, n_threads, SECONDS)
            seconds = time.perf_counter() - start
            if seconds > SECONDS / 2:
                return seconds / program.done
            steps *= 2
    except StepFailed:
        return None


def advice(model: Any, batch: int, rows: int) -> list[str]:
    """A line on what is simplest to win, if there is something."""
    weights = named(model)
    n_threads = backend.processor()[2].vector_bytes // model.dtype.itemsize
    if model.dtype == "float64":
        return [
            "advice: float64 takes twice the time and memory of float32, which is enough for most "
            "models"
        ]
    if batch == 1 and rows > 1:
        return [
            "advice: batches of one row read every weight for that row alone; a larger batch_size "
            "takes hardly longer a step"
        ]
    for name, variable in weights.items():
        width = variable.shape[-1] if len(variable.shape) > 1 else 0
        full = math.ceil(width / n_threads) * n_threads
        if width > n_threads and width < (1 - WASTE) * full:
            way_out = f"{full} would take as long, {full - n_threads} less"
            return [
                f"advice: {name} has {width} columns, and vectors of {n_threads} numbers compute "
                f"{full}: {way_out}"
            ]
    return []
