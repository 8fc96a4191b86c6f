"""Fusion groups: neighbouring calls that go through arrays of one size element by element. The
replay loop runs them tile after tile, so that what one call writes is still in L1 when the next
reads it; and what nobody else reads never gets to memory: it lies in a piece of memory as large as
one tile, of which every thread has its own.

The kernels are those of single calls. A tile is one thread range of many, which a kernel works out
as for threads, so bits are the same.

What a group writes for others lies in such a tile too, if it is large, and is copied from there by
streaming stores.
"""

from collections.abc import Collection
from math import prod
from typing import NamedTuple

from fastnn.buffer import Buffer, whole_lines
from fastnn.dtypes import LETTERS
from fastnn.kernels.cpu.movement import streaming_copy
from fastnn.kernels.cpu.threads import ELEMENT_GRAIN, ceil_div, thread_range
from fastnn.tape.instruction import NUMBERS, Instruction

TILE_ELEMENTS = 2048  # three arrays of a tile fit in L1
# Arrays of more elements than this are out of L2. The hardware prefetcher runs some 2 kB before the
# reads: while a larger tile is computed memory idles, which took 1.5 times as long for six calls,
# 1.3 for three (one thread, Zen 4).
OUT_OF_L2_MIN_ELEMENTS, OUT_OF_L2_TILE_ELEMENTS = 1 << 19, 512
# An ordinary store loads the cache line first, a streaming store need not. Groups that write more
# elements for others took 0.65 to 0.95 of the time, and so did reading them again. Of single calls
# some took longer: memory idles while a tile is computed (one thread and two, Zen 4).
STREAMING_COPY_MIN_ELEMENTS = 1 << 20
# smaller arrays stay in L1 anyway, and every call of a kernel takes some 10 ns
FUSION_MIN_ELEMENTS = 1 << 14


class FusionGroup(NamedTuple):
    """Calls `start` to `stop`, in `tiles` tiles of `size` elements in all; `private` are the
    buffers only they use, with their offsets in a thread's tile memory, of `nbytes`."""

    start: int
    stop: int
    size: int
    tiles: int
    private: dict[Buffer, int]
    nbytes: int


def fusion_groups(
    instructions: list[Instruction],
    barrier_before: list[bool],
    kept: Collection[Buffer],
    n_threads: int,
) -> list[FusionGroup]:
    """The fusion groups of a tape, each between two barriers. The streaming copies that large ones
    need become part of both lists."""
    found, start = [], 0
    sizes = [_size(i) for i in instructions]
    while start < len(instructions):
        size, stop = sizes[start], start + 1
        touched = _touched(instructions[start], size) if size else []
        while (
            size and stop < len(instructions) and sizes[stop] == size and not barrier_before[stop]
        ):
            own = _touched(instructions[stop], size)
            if not _joins(touched, own):
                break
            touched, stop = touched + own, stop + 1
        if size > STREAMING_COPY_MIN_ELEMENTS and stop > start + 1:
            own = _with_copies(instructions, start, stop, size, kept)
            instructions[start:stop], sizes[start:stop] = own, [size] * len(own)
            barrier_before[start + 1 : stop] = [False] * (len(own) - 1)
            stop = start + len(own)
        if stop > start + 1:
            found.append(_group(instructions, start, stop, size, kept, n_threads))
        start = stop
    return found


class View(NamedTuple):
    """An argument that stands for a tensor: `shape` of a buffer."""

    buffer: Buffer
    shape: tuple[int, ...]
    dtype: object


def _with_copies(instructions, start, stop, size, kept):
    """The calls of a group, writing into tiles what others will read, and the streaming copies from
    there into memory. What is updated in place stays where it is: it has been loaded."""
    calls, outside = instructions[start:stop], _outside(instructions, start, stop) | set(kept)
    read: set[Buffer] = set()
    tiles: dict[Buffer, Buffer] = {}
    last_written = {}
    for n, i in enumerate(calls):
        read.update([a.buffer for p, a in i.tensors if p.read])
        for p, a in i.tensors:
            if p.written and LETTERS[a.dtype] in streaming_copy.dtypes:
                if a.buffer in outside - read - tiles.keys() and a.buffer.address is None:
                    tiles[a.buffer] = Buffer(None, a.buffer.nbytes, None, 0)
                last_written[a.buffer] = n, a.dtype
    found = []
    for n, i in enumerate(calls):
        arguments = [
            View(tiles[a.buffer], a.shape, a.dtype)
            if not isinstance(a, NUMBERS) and a.buffer in tiles
            else a
            for a in i.arguments
        ]
        found.append(Instruction(i.name, i.kernel, i.dtype, tuple(arguments), i.layers, i.flops))
        found[-1].indices = i.indices
        for buffer in [b for b in tiles if last_written[b][0] == n]:
            dtype = last_written[buffer][1]
            views = tuple(View(b, (size,), dtype) for b in (tiles[buffer], buffer))
            found.append(
                Instruction(streaming_copy.name, streaming_copy, LETTERS[dtype], views, i.layers, 0)
            )
    return found


def _outside(instructions, start, stop):
    """The buffers that calls before and after a group touch."""
    return {a.buffer for i in (*instructions[:start], *instructions[stop:]) for _, a in i.tensors}


def _size(instruction):
    """Elements of the arrays that a call goes through one by one, in ranges of ELEMENT_GRAIN; 0 for
    other calls, and for few elements."""
    kernel = instruction.kernel
    written = [instruction.arguments[n] for n in kernel.writes]
    if all([a.buffer.nbytes < FUSION_MIN_ELEMENTS for a in written]) or all(
        [grain != ELEMENT_GRAIN for _, grain in kernel.split]
    ):
        return 0
    letter, grain, size = instruction.split()
    # What writes nothing is a check: all of it comes before anything of what follows.
    by_element = written and all(
        [
            _is_by_element(kernel.parameters[n], instruction.arguments[n], letter, size)
            for n in kernel.writes
        ]
    )
    return size if grain == ELEMENT_GRAIN and size >= FUSION_MIN_ELEMENTS and by_element else 0


def _is_by_element(parameter, array, letter, size):
    """Whether threads touch their own elements of an array only. A row that is multiplied is read
    whole, though it may be as long."""
    return parameter.letters[-1] == letter and prod(array.shape) == size == array.shape[-1]


def _touched(instruction, size):
    """(access, bytes of an element) of each argument: 0 bytes of one that is read as a whole."""
    letter, *_ = instruction.split()
    return [
        (
            a,
            a.argument.dtype.itemsize
            if _is_by_element(a.parameter, a.argument, letter, size)
            else 0,
        )
        for a in instruction.accesses
    ]


def _joins(before, own):
    """Whether a call may run tile by tile with those before it: what one writes the other touches
    at the same elements or not at all. And whether it reads what one of them wrote: else there is
    nothing to gain."""
    meeting = [(a, n, b, m) for a, n in before for b, m in own if a.conflicts(b)]
    at_same = all(n and (a.start, a.stop, n) == (b.start, b.stop, m) for a, n, b, m in meeting)
    return at_same and any(a.written for a, *_ in meeting)


def _group(instructions, start, stop, size, kept, n_threads):
    written = [
        a.buffer
        for i in instructions[start:stop]
        for p, a in i.tensors
        if p.written and a.buffer.address is None
    ]
    elsewhere = _outside(instructions, start, stop)
    # As many tiles for each thread: what it takes is then the same, whether call by call or tile by
    # tile.
    tile = OUT_OF_L2_TILE_ELEMENTS if size > OUT_OF_L2_MIN_ELEMENTS else TILE_ELEMENTS
    tiles = n_threads * ceil_div(size, tile * n_threads)
    ranges = [thread_range(size, ELEMENT_GRAIN, number, tiles) for number in range(tiles)]
    longest = max([range_stop - range_start for range_start, range_stop in ranges])
    private, nbytes = {}, 0
    for buffer in dict.fromkeys(written):
        if buffer not in elsewhere and buffer not in kept:
            private[buffer] = nbytes
            nbytes += whole_lines(longest * (buffer.nbytes // size))
    return FusionGroup(start, stop, size, tiles, private, nbytes)
