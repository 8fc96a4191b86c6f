"""Chains: neighbouring calls that go through arrays of one size element by element. The walker runs them tile after tile, so that
what one call writes is still in the nearest cache when the next reads it; and what nobody else reads never gets to memory: it
lies in a piece of memory as large as one tile, of which every lane has its own.

The kernels are those of single calls. A tile is one share of many, which a kernel works out as for lanes, so bits are the same.
"""

from collections.abc import Collection, Sequence
from math import prod
from typing import NamedTuple

from fastnn.device.buffers import CACHE_LINE, Buffer
from fastnn.kernels.cpu.share import FLAT, share

from .record import Instruction

TILE = 2048  # elements of a tile: three arrays of them fit in a first-level cache
# What comes from beyond the second cache is fetched ahead by some 2 kB: larger tiles of an array of more than FAR elements let
# memory rest while they are computed, and took 1.5 times as long for six calls, 1.3 for three (one thread, Zen 4).
FAR, FAR_TILE = 1 << 19, 512
LEAST = 1 << 14  # elements from which on arrays are cut: fewer stay near, and every call of a kernel takes some 10 ns


class Chain(NamedTuple):
    """Calls `first` to `last` - 1, in `tiles` tiles of `size` elements in all; `local` are the buffers only they use, with their
    places in a tile's memory, of `nbytes`."""

    first: int
    last: int
    size: int
    tiles: int
    local: dict[Buffer, int]
    nbytes: int


def chains(instructions: Sequence[Instruction], waits: Sequence[bool], kept: Collection[Buffer], lanes: int) -> list[Chain]:
    """The chains of a tape, each between two barriers."""
    found, first = [], 0
    sizes = [_size(i) for i in instructions]
    while first < len(instructions):
        size, last = sizes[first], first + 1
        touched = _touched(instructions[first], size) if size else []
        while size and last < len(instructions) and sizes[last] == size and not waits[last]:
            own = _touched(instructions[last], size)
            if not _joins(touched, own):
                break
            touched, last = touched + own, last + 1
        if last > first + 1:
            found.append(_chain(instructions, first, last, size, kept, lanes))
        first = last
    return found


def _size(instruction):
    """Elements of the arrays that a call goes through one by one, in shares of FLAT; 0 for other calls, and for few elements."""
    kernel = instruction.kernel
    written = [instruction.arguments[n] for n in kernel.writes]
    if all([a.buffer.nbytes < LEAST for a in written]) or all([unit != FLAT for _, unit in kernel.split]):
        return 0
    letter, unit, size = instruction.shared_out()
    # What writes nothing is a check: all of it comes before anything of what follows.
    in_shares = written and all([_is_shared(kernel.parameters[n], instruction.arguments[n], letter, size) for n in kernel.writes])
    return size if unit == FLAT and size >= LEAST and in_shares else 0


def _is_shared(parameter, array, letter, size):
    """Whether lanes touch an array by own elements only. A row that is multiplied is read whole, though it may be as long."""
    return parameter.letters[-1] == letter and prod(array.shape) == size == array.shape[-1]


class Touched(NamedTuple):
    """What an argument touches: bytes of a buffer that is not placed yet, or of real memory; `item` is the size of an element, 0 if
    it is read as a whole."""

    place: Buffer | None
    start: int
    stop: int
    item: int
    written: bool

    def meets(self, other: "Touched") -> bool:
        return self.place is other.place and self.start < other.stop and other.start < self.stop


def _touched(instruction, size):
    found = []
    letter, *_ = instruction.shared_out()
    for p, a in instruction.tensors:
        start, item = a.buffer.address or 0, a.dtype.itemsize
        place = a.buffer if a.buffer.address is None else None
        by_element = _is_shared(p, a, letter, size)
        found.append(Touched(place, start, start + prod(a.shape) * item, item if by_element else 0, p.written))
    return found


def _joins(before, own):
    """Whether a call may run tile by tile with those before it: what one writes the other touches at the same elements or not at
    all. And whether it reads what one of them wrote: else there is nothing to gain."""
    meeting = [(a, b) for a in before for b in own if (a.written or b.written) and a.meets(b)]
    at_same = all(a.item and (a.start, a.stop, a.item) == (b.start, b.stop, b.item) for a, b in meeting)
    return at_same and any(a.written for a, _ in meeting)


def _chain(instructions, first, last, size, kept, lanes):
    written = [a.buffer for i in instructions[first:last] for p, a in i.tensors if p.written and a.buffer.address is None]
    elsewhere = {a.buffer for i in (*instructions[:first], *instructions[last:]) for _, a in i.tensors}
    # As many tiles for each lane: what it takes is then the same, whether call by call or tile by tile.
    tiles = lanes * -(-size // ((FAR_TILE if size > FAR else TILE) * lanes))
    longest = max(stop - start for start, stop in (share(size, FLAT, tile, tiles) for tile in range(tiles)))
    local, nbytes = {}, 0
    for buffer in dict.fromkeys(written):
        if buffer not in elsewhere and buffer not in kept:
            local[buffer] = nbytes
            nbytes += -(-longest * (buffer.nbytes // size) // CACHE_LINE) * CACHE_LINE
    return Chain(first, last, size, tiles, local, nbytes)
