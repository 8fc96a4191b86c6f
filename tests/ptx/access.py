"""Loads, stores and atomic operations, each checked and counted.

An access is of one state space for all threads of a step; `lanes` are their positions in the wave,
or None for all.
"""

import numpy as np

from . import checks
from .checks import ATOMIC, READ, WRITE
from .dtypes import i8
from .errors import DataRace, Misaligned, OutOfBounds, UninitialisedRead, Unsupported
from .memory import GLOBAL_BASE, SHARED_BASE

SHIFTS = {1: 0, 2: 1, 4: 2, 8: 3}


def resolve(wave, lanes, n, space, addresses, size, number):
    """(space, each thread's offset into its memory) of n accesses of `size` bytes."""
    addresses = spread(addresses, n)
    if space == "generic":
        if addresses.min() >= SHARED_BASE:
            space, addresses = "shared", addresses - SHARED_BASE
        elif addresses.max() < SHARED_BASE:
            space = "global"
        else:
            where = wave.where(lanes, 0, number)
            raise Unsupported(f"one generic access to several state spaces: {where}")
    if (bad := checks.first_misaligned(addresses, size)) >= 0:
        raise Misaligned(
            f"{size} bytes at {space} address {addresses[bad]:#x}: {wave.where(lanes, bad, number)}"
        )
    if space != "shared":
        offsets = addresses - GLOBAL_BASE
        if (bad := checks.first_outside(offsets, size, *wave.bounds)) >= 0:
            near = nearest(wave.device, int(offsets[bad]))
            where = wave.where(lanes, bad, number)
            raise OutOfBounds(f"global address {addresses[bad]:#x}{near}: {where}")
        return "global", offsets
    if (bad := checks.first_outside(addresses, size, *wave.shared_bounds)) >= 0:
        where = wave.where(lanes, bad, number)
        raise OutOfBounds(f"shared address {addresses[bad]:#x}: {where}")
    return "shared", addresses + wave.shared_offsets(lanes)


def spread(x, n):
    """One number for each of n threads, as a contiguous array of 64 bits."""
    return np.full(n, x, i8) if x.ndim == 0 else np.ascontiguousarray(x, i8)


def nearest(device, offset):
    """Where an offset lies beside an allocation, in words."""
    spans = zip(device.starts, device.ends, strict=True)
    by_distance = sorted((min(abs(offset - s), abs(offset - e)), s, e) for s, e in spans)
    if not by_distance:
        return ""
    _, start, end = by_distance[0]
    place = f"{offset - end} bytes past the end" if offset >= end else f"at byte {offset - start}"
    return f", {place} of the nearest allocation ({end - start} bytes)"


def check_race(wave, lanes, space, offsets, size, number, kind):
    if wave.cells is None:
        return
    cells = wave.cells if space == "global" else wave.shared_cells
    exempt = wave.exempt if space == "global" else wave.exempt[:0]
    bad, other, wrote = checks.first_race(
        cells, wave.cell_shift, offsets, size, *wave.who(lanes), wave.block_threads, kind, exempt
    )  # fmt: skip
    if bad >= 0:
        raise DataRace(
            f"{space} memory, a {'write' if kind in (WRITE, ATOMIC) else 'read'} and a "
            f"{'write' if wrote else 'read'} by {wave.thread_name(other)}, in no order: "
            f"{wave.where(lanes, bad, number)}"
        )


def check_known(wave, lanes, space, offsets, size, number):
    if not wave.checks_initialised:
        return
    bad = checks.first_unknown(wave.known[space], offsets, size)
    if bad >= 0:
        where = wave.where(lanes, bad, number)
        raise UninitialisedRead(f"{space} memory at byte {offsets[bad]}: {where}")


def count(wave, lanes, space, kind, offsets, size, number):
    if wave.profiles:
        counted = checks.sectors if space == "global" else checks.wavefronts
        numbers = counted(offsets, size, wave.who(lanes)[0])
        wave.stats.count(number, space, kind, *numbers)


def load(wave, lanes, n, space, addresses, size, elements, number, kind=READ):
    """`elements` neighbours of `size` bytes for each thread: as many arrays of bits."""
    nbytes = size * elements
    space, offsets = resolve(wave, lanes, n, space, addresses, nbytes, number)
    count(wave, lanes, space, "ld", offsets, nbytes, number)
    check_race(wave, lanes, space, offsets, nbytes, number, kind)
    check_known(wave, lanes, space, offsets, nbytes, number)
    memory, places = wave.memory[space][size], offsets >> SHIFTS[size]
    return [memory[places + k] if k else memory[places] for k in range(elements)]


def store(wave, lanes, n, space, addresses, size, values, number):
    nbytes = size * len(values)
    space, offsets = resolve(wave, lanes, n, space, addresses, nbytes, number)
    count(wave, lanes, space, "st", offsets, nbytes, number)
    check_race(wave, lanes, space, offsets, nbytes, number, WRITE)
    checks.mark(wave.known[space], offsets, nbytes, 1)
    memory, places = wave.memory[space][size], offsets >> SHIFTS[size]
    for k, value in enumerate(values):
        memory[places + k] = value


COMBINED = {
    "add": np.add,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}


def atomic(wave, lanes, n, space, operation, addresses, dtype, values, number):
    """One thread after another; what stood there before each."""
    size = np.dtype(dtype).itemsize
    space, offsets = resolve(wave, lanes, n, space, addresses, size, number)
    count(wave, lanes, space, "atom", offsets, size, number)
    check_race(wave, lanes, space, offsets, size, number, ATOMIC)
    check_known(wave, lanes, space, offsets, size, number)
    memory, places = wave.memory[space][size].view(dtype), offsets >> SHIFTS[size]
    values, before = [np.broadcast_to(v, (n,)) for v in values], np.empty(n, dtype)
    for k, place in enumerate(places):
        before[k] = memory[place]
        if operation in COMBINED:
            memory[place] = COMBINED[operation](before[k], values[0][k])
        elif operation == "exch" or before[k] == values[0][k]:  # cas: compare, and then swap
            memory[place] = values[-1][k]
    return before
