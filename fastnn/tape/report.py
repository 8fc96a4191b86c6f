"""What a tape says of itself: a line a call, with its work, its bytes and, once profiled, its
time."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from .cost import nbytes


class Timings(NamedTuple):
    """Of each instruction of a tape: seconds measured, the least they could be, and the width in
    bits of the vectors in its object code (0: none; None: not known)."""

    seconds: list[float]
    floors: list[float]
    vector_bits: list[int | None]


def summary(tape: Any) -> str:
    """The table `Tape.summary` returns."""
    fused = {n for g in tape.groups for n in range(g.start + 1, g.stop)}
    timings = tape.timings if tape.instructions else None
    head = ["call", "layer", "shapes", "flops", "bytes"]
    rows = [head + (["us", "share", "GFLOP/s", "GB/s", "of floor", "vectors"] if timings else [])]
    for n, i in enumerate(tape.instructions):
        shapes = " ".join("x".join(map(str, a.shape)) or "1" for _, a in i.tensors)
        sign = "| " if tape.barrier_before[n] else "> " if n in fused else ""
        row = [sign + i.name, i.layer, shapes, f"{i.flops:.0f}", f"{nbytes(i)}"]
        rows.append(row + (_rates(timings, n, i) if timings else []))
    flops, moved = sum([i.flops for i in tape.instructions]), sum(map(nbytes, tape.instructions))
    total = ["total", "", "", f"{flops:.0f}", f"{moved}"]
    if timings:
        seconds = sum(timings.seconds)
        total += [f"{1e6 * seconds:.3f}", "", "", "", f"{sum(timings.floors) / seconds:.0%}", ""]
    lines = _aligned([*rows, total])
    lines.append(
        f"{tape.name}: {len(tape.instructions)} calls, buffers {tape.arena.nbytes} bytes planned, "
        f"{tape.unshared_bytes} unplanned"
    )
    if fused:
        lines.append("'>' marks calls that go through their arrays tile by tile with the one above")
    if any(tape.barrier_before):
        lines.append(
            f"'|' marks {sum(tape.barrier_before)} barriers between {tape.n_threads} threads"
        )
    return "\n".join(lines)


def _rates(timings, number, instruction):
    seconds, bits = timings.seconds[number], timings.vector_bits[number]
    return [
        f"{1e6 * seconds:.3f}",
        f"{seconds / sum(timings.seconds):.1%}",
        f"{1e-9 * instruction.flops / seconds:.1f}",
        f"{1e-9 * nbytes(instruction) / seconds:.1f}",
        f"{timings.floors[number] / seconds:.0%}",
        "" if bits is None else f"{bits} bits" if bits else "none",
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, ruled below its head: words left, numbers right."""
    widths = [max(len(r[c]) for r in rows) for c in range(len(rows[0]))]
    lines = [
        "  ".join(
            value.ljust(width) if column < 3 else value.rjust(width)
            for column, (value, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "  ".join("-" * w for w in widths), *lines[1:]]
