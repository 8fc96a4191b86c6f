"""From recorded instructions to a tape: what is not needed goes, barriers are placed, buffers share
memory.

Nothing here changes bits. Barriers come first, from what each instruction touches, thread by
thread; a buffer then takes over another's memory only across a barrier that stands anyway (for one
thread, every instruction boundary is as good as one).
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from math import prod
from typing import Any, NamedTuple

from fastnn.devices.cpu.fusion import Chain, chains
from fastnn.devices.cpu.memory import Buffer, allocate, whole_lines
from fastnn.kernels.cpu.threads import thread_range
from fastnn.kernels.declare import Parameter

from .record import Instruction


class Access(NamedTuple):
    """What an argument of an instruction touches: bytes `first` to `last` of a place."""

    place: object  # the memory they lie in: an unplaced buffer, or the owner of real memory
    first: int
    last: int
    written: bool
    instruction: Instruction
    parameter: Parameter
    argument: Any

    @classmethod
    def of(cls, instruction: Instruction, parameter: Parameter, argument: Any) -> "Access":
        buffer = argument.buffer
        place, first = (
            (buffer, 0)
            if buffer.address is None
            else (id(getattr(buffer, "owner", buffer)), buffer.address)
        )
        last = first + prod(argument.shape) * argument.dtype.itemsize
        return cls(place, first, last, parameter.written, instruction, parameter, argument)

    def by_thread(self, n_threads: int) -> Sequence:
        """Which bytes each thread touches (None: nothing)."""
        letter, unit, extent = self.instruction.shared_out()
        if letter is None:
            return ((self.first, self.last), *[None] * (n_threads - 1))
        letters, shape = self.parameter.letters, self.argument.shape
        ahead = letters.index(letter) if letter in letters else None
        if ahead is None or prod(shape[:ahead]) != 1:
            return ((self.first, self.last),) * n_threads
        step = prod(shape[ahead + 1 :]) * self.argument.dtype.itemsize
        return [
            (self.first + begin * step, self.first + end * step)
            for begin, end in _cuts(extent, unit, n_threads)
        ]


class Plan(NamedTuple):
    instructions: list[Instruction]
    waits: list[bool]  # before which of them all threads must have arrived
    addresses: dict[Buffer, int]  # where the buffers made while recording lie
    arena: Buffer
    unplanned: int  # bytes the buffers would take side by side
    chains: list[Chain]
    tile_bytes: int  # of each thread's memory for what chains keep to themselves


def plan(instructions: list[Instruction], kept: Iterable[Buffer], n_threads: int) -> Plan:
    """Plan a tape for up to `n_threads` threads. The buffers `kept` are read after a step, so they
    keep their memory to its end."""
    kept = {b for b in kept if b.address is None}
    needed = _without_dead_code(instructions, kept)
    waits = _barriers(needed, n_threads) if n_threads > 1 else [False] * len(needed)
    found = chains(needed, waits, kept, n_threads)
    boundaries = list(waits) if n_threads > 1 else [True] * len(needed)
    for chain in found:  # its calls take turns
        boundaries[chain.first + 1 : chain.last] = [False] * (chain.last - chain.first - 1)
    lives = _lives(needed, boundaries, kept)
    # all but the tiles chains copy from
    unplanned = sum(size for b, (size, _, _) in lives.items() if b.maker is not None)
    local = {b: place for chain in found for b, place in chain.local.items()}
    offsets, total = _placed({b: life for b, life in lives.items() if b not in local})
    tile_bytes = max([chain.nbytes for chain in found], default=0)
    arena = allocate(total + n_threads * tile_bytes)
    addresses = {b: arena.address + o for b, o in offsets.items()}
    addresses.update({b: arena.address + total + place for b, place in local.items()})
    return Plan(needed, waits, addresses, arena, unplanned, found, tile_bytes)


def _without_dead_code(instructions, kept):
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


@lru_cache(maxsize=1024)
def _cuts(extent, unit, n_threads):
    return [thread_range(extent, unit, thread, n_threads) for thread in range(n_threads)]


def _conflict(one, other, n_threads):
    """Whether a thread of one may touch what another thread of the other writes, or writes what it
    reads."""
    if not (one.written or other.written) or one.first >= other.last or other.first >= one.last:
        return False
    others = other.by_thread(n_threads)
    for thread, a in enumerate(one.by_thread(n_threads)):
        for another, b in enumerate(others):
            if thread != another and a and b and a[0] < b[1] and b[0] < a[1]:
                return True
    return False


def _meet(own, since, n_threads):
    """Whether any of an instruction's own accesses conflicts with those since a barrier, which are
    kept by their place."""
    for a in own:
        for b in since.get(a.place, ()):
            if _conflict(a, b, n_threads):
                return True
    return False


def _barriers(instructions, n_threads):
    """A barrier before each instruction that conflicts with one since the last barrier; and before
    what follows a check, so that all threads know its verdict before anything is committed."""
    waits, since, after_check = [], {}, False
    for i in instructions:
        own = [Access.of(i, p, i.arguments[n]) for n, p in i.kernel.arrays]
        needed = after_check or _meet(own, since, n_threads)
        after_check = not i.kernel.writes
        waits.append(needed)
        if needed:
            since = {}
        for a in own:
            since.setdefault(a.place, []).append(a)
    return waits


def _lives(instructions, boundaries, kept):
    """(size, first instruction, last plus one) of every unplaced buffer: its memory is free for
    another from the first boundary after its last use on."""
    uses: dict[Buffer, list] = {}
    for n, i in enumerate(instructions):
        for number, p in i.kernel.arrays:
            buffer = i.arguments[number].buffer
            if buffer.address is None:
                if buffer in uses:
                    uses[buffer][1] = n
                elif p.read and not p.written:
                    raise buffer.unreadable()  # of another step
                else:
                    uses[buffer] = [n, n]
    for b in kept:
        uses.setdefault(b, [0, 0])[1] = len(instructions)
    following = len(instructions)
    ends = [following] * (len(instructions) + 1)
    for n in range(len(instructions) - 1, -1, -1):
        ends[n] = following
        if boundaries[n]:
            following = n
    return {
        b: (whole_lines(b.nbytes), first, max(ends[last], last + 1))
        for b, (first, last) in uses.items()
    }


def _placed(lives):
    """An offset for every buffer, and the memory they need: largest first or, where that leaves
    gaps, latest first if that leaves less (of 192 tapes each left up to 15 % and the better of both
    never more than 6)."""
    largest = sorted(lives.items(), key=lambda item: -item[1][0])
    offsets, total = _at_first_gaps(largest)
    if total > _most_alive(lives):
        other, less = _at_first_gaps(sorted(largest, key=lambda item: -item[1][2]))
        if less < total:
            return other, less
    return offsets, total


def _at_first_gaps(items):
    """Each buffer at the first gap among those alive at the same time."""
    offsets: dict[Buffer, int] = {}
    placed, total = [], 0
    for buffer, (size, first, end) in items:
        offset = 0
        for other_offset, other_size, other_first, other_end in placed:  # in order of offset
            if other_first < end and first < other_end and offset < other_offset + other_size:
                if other_offset >= offset + size:
                    break
                offset = other_offset + other_size
        insort(placed, (offset, size, first, end))
        offsets[buffer], total = offset, max(total, offset + size)
    return offsets, total


def _most_alive(lives):
    """The largest sum of buffers alive at the same time: no plan takes less."""
    changes: dict[int, int] = {}
    for size, first, end in lives.values():
        changes[first] = changes.get(first, 0) + size
        changes[end] = changes.get(end, 0) - size
    return max(accumulate(changes[n] for n in sorted(changes)), default=0)
