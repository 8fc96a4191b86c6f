"""What a tape says of itself: a line a call, with its work, its bytes and, once profiled, its time."""

import time
from math import prod

from fastnn.kernels.cpu.walker import LENGTH


def nbytes(instruction):
    """Bytes an instruction moves: each argument once for reading and once for writing, as it does either."""
    tensors, total = instruction.tensors, 0
    largest_output = max([a.size * a.dtype.itemsize for p, a in tensors if p.written], default=0)
    for p, a in tensors:
        size = prod(a.shape) * a.dtype.itemsize
        total += (min(size, largest_output) if p.partly else size) * (p.read + p.written)
    return total


def work(instructions):
    """Seconds that a step takes on one lane, roughly: each call's flops or bytes, whichever take longer on a core of today, and
    the call. Good for comparing steps with each other."""
    return 1e-9 + sum(max(1e-11 * i.flops, 3e-11 * nbytes(i)) + 2e-8 for i in instructions)


def profile(tape, seconds):
    """Seconds an instruction takes, each repeated natively for its share of `seconds`, in order, with what it writes put back
    so that the next ones see a step's real values; at the end everything that outlives the step is as before."""
    from .run import Program  # which imports this

    times, lasting = [], _saved(i for i in tape.instructions)
    try:
        for number, instruction in enumerate(tape.instructions):
            before = _saved([instruction], only_updated=True)
            program = Program([(tape.part(number), 1 << 40)])
            repeats = 1
            while True:
                start = time.perf_counter()
                program.run(1, repeats)
                taken = time.perf_counter() - start
                if taken > seconds / len(tape.instructions) / 2 or repeats > 1 << 24:
                    break
                repeats *= 2
            times.append(taken / repeats)
            _restore(before)
            program.run(1, 1)
    finally:
        _restore(lasting)
    return times


def _saved(instructions, only_updated=False):
    """Copies of the memory, outside the tape's own, that instructions write; or only of what they read as well."""
    found = {}
    for i in instructions:
        for p, a in i.tensors:
            if p.written and (p.read or not only_updated) and a.buffer.address is not None:
                array = a.buffer.array(a.shape, a.dtype)
                found.setdefault((a.buffer.address, array.nbytes), (array, array.copy()))
    return list(found.values())


def _restore(saved):
    for array, values in saved:
        array[...] = values


def summary(tape):
    """The table `Tape.summary` returns."""
    lengths = tape.chains[:, LENGTH].tolist()
    joined = {n + k for n, length in enumerate(lengths) for k in range(1, length)}
    head = ["call", "layer", "shapes", "flops", "bytes"] + (["us", "GFLOP/s", "GB/s"] if tape.times else [])
    rows = [head]
    for n, i in enumerate(tape.instructions):
        shapes = " ".join("x".join(map(str, a.shape)) or "1" for _, a in i.tensors)
        row = [("| " if tape.waits[n] else "> " if n in joined else "") + i.name, i.layer, shapes, f"{i.flops:.0f}", f"{nbytes(i)}"]
        if tape.times:
            seconds = tape.times[n]
            row += [f"{1e6 * seconds:.3f}", f"{1e-9 * i.flops / seconds:.1f}", f"{1e-9 * nbytes(i) / seconds:.1f}"]
        rows.append(row)
    total = ["total", "", "", f"{sum(i.flops for i in tape.instructions):.0f}", f"{sum(nbytes(i) for i in tape.instructions)}"]
    rows.append([*total, f"{1e6 * sum(tape.times):.3f}", "", ""] if tape.times else total)
    widths = [max(len(r[c]) for r in rows) for c in range(len(head))]
    lines = ["  ".join(_pad(v, w, c) for c, (v, w) in enumerate(zip(r, widths, strict=True))).rstrip() for r in rows]
    lines.insert(1, "  ".join("-" * w for w in widths))
    lines.append(
        f"{tape.name}: {len(tape.instructions)} calls, buffers {tape.arena.nbytes} bytes planned, {tape.unplanned} unplanned"
    )
    if joined:
        lines.append("'>' marks calls that go through their arrays tile by tile with the one above")
    if tape.waits.any():
        lines.append(f"'|' marks {int(tape.waits.sum())} barriers between {tape.lanes} lanes")
    return "\n".join(lines)


def _pad(value, width, column):
    return value.ljust(width) if column < 3 else value.rjust(width)
