"""What a tape says of itself: a line a call, with its work, its bytes and, once profiled, its
time."""

import time
from math import prod

import numpy as np

from fastnn.devices.cpu import INTERPRETED, backend
from fastnn.kernels.cpu.replay import LENGTH


def moved(instruction):
    """Bytes an instruction reads, writes, and updates in place."""
    tensors, moved = instruction.tensors, [0, 0, 0]
    largest_output = max(
        [prod(a.shape) * a.dtype.itemsize for p, a in tensors if p.written], default=0
    )
    for p, a in tensors:
        size = prod(a.shape) * a.dtype.itemsize
        moved[p.written + (p.written and p.read)] += min(size, largest_output) if p.partly else size
    return moved


def nbytes(instruction):
    """Bytes an instruction moves: each argument once for reading and once for writing, as it does
    either."""
    read, written, updated = moved(instruction)
    return read + written + 2 * updated


def floor(instruction):
    """Seconds that an instruction takes at the least, on one thread: its flops at the peak of
    multiply-adds, or its bytes at what the most similar streams move where as many bytes lie. Other
    arithmetic than multiply-adds takes longer than that. Interpreted kernels have none."""
    if INTERPRETED:
        return 0.0
    from fastnn.devices.cpu import peaks  # measuring takes a moment

    read, written, updated = moved(instruction)
    alone = (1, 0, 0) if not written else (1, 1, 0) if 2 * written > read else (2, 1, 0)
    streams = (1, 0, 3) if updated > written else alone
    rate = peaks.bytes_per_second(streams, read + written + updated)
    dtype = np.dtype("float64" if instruction.dtype == "f8" else "float32")
    return max(
        instruction.flops / peaks.flops_per_second(dtype, quick=True), nbytes(instruction) / rate
    )


def work(instructions):
    """Seconds that a step takes on one thread, roughly: of each call its flops or what it writes,
    whichever take longer on a core of today, and the call. Good for comparing steps with each
    other."""
    total = 1e-9
    for i in instructions:
        written = sum([i.arguments[n].buffer.nbytes for n in i.kernel.writes])
        total += max(1e-11 * i.flops, 1e-10 * written) + 2e-8
    return total


def profile(tape, seconds):
    """Seconds an instruction takes, each repeated natively for its share of `seconds`, in order,
    with what it writes put back so that the next ones see a step's real values; at the end
    everything that outlives the step is as before."""
    from fastnn.devices.cpu.program import Program  # which imports this

    times, lasting = [], saved(tape.instructions)
    places = [(counter, counter.value) for counter in tape.counters]
    try:
        for counter, _ in places:
            counter.value = 0  # after a fit the place in the data is their end
        for number, instruction in enumerate(tape.instructions):
            before = saved([instruction], only_updated=True)
            program = Program([(tape.part(number), 1 << 40)])
            times.append(_seconds(program, seconds / len(tape.instructions) / 2))
            restore(before)
            _seconds(program, 0.0)  # once, for what follows to see
    finally:
        restore(lasting)
        for counter, value in places:
            counter.value = value
    return times


def _seconds(program, least):
    """Seconds a step, repeated for at least so long; of the only one, if it fails."""
    from fastnn.devices.cpu.program import StepFailed

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


def saved(instructions, only_updated=False):
    """Copies of the memory, outside the tape's own, that instructions write; or only of what they
    read as well."""
    found = {}
    for i in instructions:
        for p, a in i.tensors:
            if p.written and (p.read or not only_updated) and a.buffer.address is not None:
                array = a.buffer.array(a.shape, a.dtype)
                found.setdefault((a.buffer.address, array.nbytes), (array, array.copy()))
    return list(found.values())


def restore(copies):
    """Put back what `saved` gave."""
    for array, values in copies:
        array[...] = values


def summary(tape):
    """The table `Tape.summary` returns."""
    lengths = [row[LENGTH] for row in tape.chains]
    joined = {n + k for n, length in enumerate(lengths) for k in range(1, length)}
    timed = bool(tape.times)
    head = ["call", "layer", "shapes", "flops", "bytes"]
    rows = [head + (["us", "share", "GFLOP/s", "GB/s", "of floor", "vectors"] if timed else [])]
    for n, i in enumerate(tape.instructions):
        shapes = " ".join("x".join(map(str, a.shape)) or "1" for _, a in i.tensors)
        row = [
            ("| " if tape.waits[n] else "> " if n in joined else "") + i.name,
            i.layer,
            shapes,
            f"{i.flops:.0f}",
            f"{nbytes(i)}",
        ]
        rows.append(row + (_rates(tape, n, i) if timed else []))
    total = [
        "total",
        "",
        "",
        f"{sum(i.flops for i in tape.instructions):.0f}",
        f"{sum(nbytes(i) for i in tape.instructions)}",
    ]
    if timed:
        seconds = sum(tape.times)
        total += [f"{1e6 * seconds:.3f}", "", "", "", f"{sum(tape.floors) / seconds:.0%}", ""]
    rows.append(total)
    widths = [max(len(r[c]) for r in rows) for c in range(len(total))]
    lines = [
        "  ".join(_pad(v, w, c) for c, (v, w) in enumerate(zip(r, widths, strict=True))).rstrip()
        for r in rows
    ]
    lines.insert(1, "  ".join("-" * w for w in widths))
    lines.append(
        f"{tape.name}: {len(tape.instructions)} calls, buffers {tape.arena.nbytes} bytes planned, "
        f"{tape.unplanned} unplanned"
    )
    if joined:
        lines.append("'>' marks calls that go through their arrays tile by tile with the one above")
    if any(tape.waits):
        lines.append(f"'|' marks {sum(tape.waits)} barriers between {tape.n_threads} threads")
    return "\n".join(lines)


def _rates(tape, number, instruction):
    seconds, bits = tape.times[number], backend.vector_bits(instruction.kernel, instruction.dtype)
    return [
        f"{1e6 * seconds:.3f}",
        f"{seconds / sum(tape.times):.1%}",
        f"{1e-9 * instruction.flops / seconds:.1f}",
        f"{1e-9 * nbytes(instruction) / seconds:.1f}",
        f"{tape.floors[number] / seconds:.0%}",
        "" if bits is None else f"{bits} bits" if bits else "none",
    ]


def _pad(value, width, column):
    return value.ljust(width) if column < 3 else value.rjust(width)
