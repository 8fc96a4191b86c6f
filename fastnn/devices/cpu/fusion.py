"""Chains: neighbouring calls that go through arrays of one size element by element. The replay loop
runs them tile after tile, so that what one call writes is still in the nearest cache when the next
reads it; and what nobody else reads never gets to memory: it lies in a piece of memory as large as
one tile, of which every thread has its own.

The kernels are those of single calls. A tile is one share of many, which a kernel works out as for
threads, so bits are the same.

What a chain writes for others lies in such a tile too, if it is large, and is copied from there
past the caches.
"""

from collections.abc import Collection
from math import prod
from typing import NamedTuple

from fastnn.devices.cpu.memory import LETTERS, Buffer, whole_lines
from fastnn.kernels.cpu.reduce import copy_past_caches
from fastnn.kernels.cpu.threads import FLAT, thread_range
from fastnn.tape.record import NUMBERS, Instruction

TILE = 2048  # elements of a tile: three arrays of them fit in a first-level cache
# What comes from beyond the second cache is fetched ahead by some 2 kB: larger tiles of an array of
# more than FAR elements let memory rest while they are computed, and took 1.5 times as long for six
# calls, 1.3 for three (one thread, Zen 4).
FAR, FAR_TILE = 1 << 19, 512
# A cache line is fetched before a part of it is written, but a copy of whole lines need not. For
# chains that write more than LARGE elements for others it took 0.65 to 0.95 of the time, and so did
# reading them again. Of single calls some took longer: a tile is computed while memory rests (one
# thread and two, Zen 4).
LARGE = 1 << 20
# elements from which on arrays are cut: fewer stay near, and every call of a kernel takes some 10
# ns
LEAST = 1 << 14


class Chain(NamedTuple):
    """Calls `first` to `last` - 1, in `tiles` tiles of `size` elements in all; `local` are the
    buffers only they use, with their places in a tile's memory, of `nbytes`."""

    first: int
    last: int
    size: int
    tiles: int
    local: dict[Buffer, int]
    nbytes: int


def chains(
    instructions: list[Instruction], waits: list[bool], kept: Collection[Buffer], n_threads: int
) -> list[Chain]:
    """The chains of a tape, each between two barriers. The copies that large ones need become part
    of the tape."""
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
        if size > LARGE and last > first + 1:
            own = _with_copies(instructions, first, last, size, kept)
            instructions[first:last], sizes[first:last] = own, [size] * len(own)
            waits[first + 1 : last], last = [False] * (len(own) - 1), first + len(own)
        if last > first + 1:
            found.append(_chain(instructions, first, last, size, kept, n_threads))
        first = last
    return found


class Part(NamedTuple):
    """An argument that stands for a tensor: `shape` of a buffer."""

    buffer: Buffer
    shape: tuple[int, ...]
    dtype: object


def _with_copies(instructions, first, last, size, kept):
    """The calls of a chain, writing into tiles what others will read, and the copies from there
    into memory. What is updated in place stays where it is: it has been fetched."""
    calls, outside = instructions[first:last], _outside(instructions, first, last) | set(kept)
    read: set[Buffer] = set()
    tiles: dict[Buffer, Buffer] = {}
    last_written = {}
    for n, i in enumerate(calls):
        read.update([a.buffer for p, a in i.tensors if p.read])
        for _, a in [
            (p, a)
            for p, a in i.tensors
            if p.written and LETTERS[a.dtype] in copy_past_caches.dtypes
        ]:
            if a.buffer in outside - read - tiles.keys() and a.buffer.address is None:
                tiles[a.buffer] = Buffer(None, a.buffer.nbytes, None, 0)
            last_written[a.buffer] = n, a.dtype
    found = []
    for n, i in enumerate(calls):
        arguments = [
            Part(tiles[a.buffer], a.shape, a.dtype)
            if not isinstance(a, NUMBERS) and a.buffer in tiles
            else a
            for a in i.arguments
        ]
        found.append(Instruction(i.name, i.kernel, i.dtype, tuple(arguments), i.layer, i.flops))
        for buffer in [b for b in tiles if last_written[b][0] == n]:
            dtype = last_written[buffer][1]
            copied = tuple(Part(b, (size,), dtype) for b in (tiles[buffer], buffer))
            found.append(
                Instruction(
                    "copy_past_caches", copy_past_caches, LETTERS[dtype], copied, i.layer, 0
                )
            )
    return found


def _outside(instructions, first, last):
    """The buffers that calls before and after a chain touch."""
    return {a.buffer for i in (*instructions[:first], *instructions[last:]) for _, a in i.tensors}


def _size(instruction):
    """Elements of the arrays that a call goes through one by one, in shares of FLAT; 0 for other
    calls, and for few elements."""
    kernel = instruction.kernel
    written = [instruction.arguments[n] for n in kernel.writes]
    if all([a.buffer.nbytes < LEAST for a in written]) or all(
        [unit != FLAT for _, unit in kernel.split]
    ):
        return 0
    letter, unit, size = instruction.shared_out()
    # What writes nothing is a check: all of it comes before anything of what follows.
    in_shares = written and all(
        [
            _is_shared(kernel.parameters[n], instruction.arguments[n], letter, size)
            for n in kernel.writes
        ]
    )
    return size if unit == FLAT and size >= LEAST and in_shares else 0


def _is_shared(parameter, array, letter, size):
    """Whether threads touch an array by own elements only. A row that is multiplied is read whole,
    though it may be as long."""
    return parameter.letters[-1] == letter and prod(array.shape) == size == array.shape[-1]


class Touched(NamedTuple):
    """What an argument touches: bytes of a buffer that is not placed yet, or of real memory; `item`
    is the size of an element, 0 if it is read as a whole."""

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
        found.append(
            Touched(
                place, start, start + prod(a.shape) * item, item if by_element else 0, p.written
            )
        )
    return found


def _joins(before, own):
    """Whether a call may run tile by tile with those before it: what one writes the other touches
    at the same elements or not at all. And whether it reads what one of them wrote: else there is
    nothing to gain."""
    meeting = [(a, b) for a in before for b in own if (a.written or b.written) and a.meets(b)]
    at_same = all(
        a.item and (a.start, a.stop, a.item) == (b.start, b.stop, b.item) for a, b in meeting
    )
    return at_same and any(a.written for a, _ in meeting)


def _chain(instructions, first, last, size, kept, n_threads):
    written = [
        a.buffer
        for i in instructions[first:last]
        for p, a in i.tensors
        if p.written and a.buffer.address is None
    ]
    elsewhere = _outside(instructions, first, last)
    # As many tiles for each thread: what it takes is then the same, whether call by call or tile by
    # tile.
    tiles = n_threads * -(-size // ((FAR_TILE if size > FAR else TILE) * n_threads))
    longest = max(
        stop - start
        for start, stop in (thread_range(size, FLAT, tile, tiles) for tile in range(tiles))
    )
    local, nbytes = {}, 0
    for buffer in dict.fromkeys(written):
        if buffer not in elsewhere and buffer not in kept:
            local[buffer] = nbytes
            nbytes += whole_lines(longest * (buffer.nbytes // size))
    return Chain(first, last, size, tiles, local, nbytes)
