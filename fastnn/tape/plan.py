"""From recorded instructions to a tape: what is not needed goes, and buffers share memory.

Nothing here changes bits. A buffer takes over another's memory only across a boundary: a barrier
that stands anyway, for what it protects; on one thread every instruction boundary is as good.
"""

from bisect import insort
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from fastnn.buffer import Buffer, whole_lines

from .instruction import Instruction


class Lifetime(NamedTuple):
    """A buffer's size in bytes, rounded up to cache lines, and the instructions `start` to `stop`
    during which its memory is nobody else's."""

    size: int
    start: int
    stop: int


def without_dead_code(
    instructions: Sequence[Instruction], kept: Collection[Buffer]
) -> list[Instruction]:
    """Those whose results someone reads: another instruction, the caller, or anybody where real
    memory is written."""
    wanted, needed = set(kept), []
    for i in reversed(instructions):
        writes = [i.arguments[n].buffer for n in i.kernel.writes]
        if writes and not any([b.address is not None or b in wanted for b in writes]):
            continue  # an instruction that writes nothing at all checks something, and stays
        needed.append(i)
        wanted.update([i.arguments[n].buffer for n in i.kernel.reads])
    return needed[::-1]


def lifetimes(
    instructions: Sequence[Instruction], boundaries: Sequence[bool], kept: Collection[Buffer]
) -> dict[Buffer, Lifetime]:
    """Of every unplaced buffer: its memory is free for another from the first boundary after its
    last use on. Those `kept` are read after the step, so they live to its end."""
    uses: dict[Buffer, list] = {}
    for n, i in enumerate(instructions):
        for number, p in i.kernel.arrays:
            buffer = i.arguments[number].buffer
            if buffer.address is None:
                if buffer in uses:
                    uses[buffer][1] = n
                elif p.read and not p.written and buffer.nbytes:  # one of none need not be written
                    raise buffer.unreadable()  # of another step
                else:
                    uses[buffer] = [n, n]
    for b in kept:
        uses.setdefault(b, [0, 0])[1] = len(instructions)
    next_boundary = len(instructions)
    free_from = [next_boundary] * (len(instructions) + 1)
    for n in range(len(instructions) - 1, -1, -1):
        free_from[n] = next_boundary
        if boundaries[n]:
            next_boundary = n
    return {
        b: Lifetime(whole_lines(b.nbytes), first, max(free_from[last], last + 1))
        for b, (first, last) in uses.items()
    }


def placed(lives: Mapping[Buffer, Lifetime]) -> tuple[dict[Buffer, int], int]:
    """An offset for every buffer, and the bytes they need: largest first or, where that leaves
    gaps, latest first if that leaves less (of 192 tapes each left up to 15 % and the better of both
    never more than 6)."""
    largest = sorted(lives.items(), key=lambda item: -item[1].size)
    offsets, total = _first_fit(largest)
    if total > _most_alive(lives):
        other, less = _first_fit(sorted(largest, key=lambda item: -item[1].stop))
        if less < total:
            return other, less
    return offsets, total


def _first_fit(items):
    """Each buffer in the first gap among those alive at the same time."""
    offsets: dict[Buffer, int] = {}
    found, total = [], 0
    for buffer, (size, start, stop) in items:
        offset = 0
        for other_offset, other_size, other_start, other_stop in found:  # in order of offset
            if other_start < stop and start < other_stop and offset < other_offset + other_size:
                if other_offset >= offset + size:
                    break
                offset = other_offset + other_size
        insort(found, (offset, size, start, stop))
        offsets[buffer], total = offset, max(total, offset + size)
    return offsets, total


def _most_alive(lives):
    """The largest sum of buffers alive at the same time: no plan takes less."""
    changes: dict[int, int] = {}
    for size, start, stop in lives.values():
        changes[start] = changes.get(start, 0) + size
        changes[stop] = changes.get(stop, 0) - size
    return max(accumulate(changes[n] for n in sorted(changes)), default=0)
