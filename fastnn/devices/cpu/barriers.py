"""Where threads must meet: before an instruction that conflicts with one since the last barrier."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod

from fastnn.kernels.cpu.threads import thread_range
from fastnn.tape.instruction import Access, Instruction


def barriers(instructions: Sequence[Instruction], n_threads: int) -> list[bool]:
    """Before which instructions all threads must have arrived: one of which a thread may touch what
    another thread of an earlier one writes, or write what it reads; and what follows a check, so
    that all threads know its verdict before anything is committed."""
    since_barrier: dict[object, list[Access]] = {}
    found, after_check = [], False
    for i in instructions:
        accesses = i.accesses
        needed = after_check or _conflict(accesses, since_barrier, n_threads)
        after_check = not i.kernel.writes
        found.append(needed)
        if needed:
            since_barrier = {}
        for a in accesses:
            since_barrier.setdefault(a.place, []).append(a)
    return found


def by_thread(access: Access, n_threads: int) -> Sequence[tuple[int, int] | None]:
    """Which bytes each thread touches (None: nothing)."""
    letter, grain, extent = access.instruction.split()
    if letter is None:
        return ((access.start, access.stop), *[None] * (n_threads - 1))
    letters, shape = access.parameter.letters, access.argument.shape
    axis = letters.index(letter) if letter in letters else None
    if axis is None or prod(shape[:axis]) != 1:
        return ((access.start, access.stop),) * n_threads
    step = prod(shape[axis + 1 :]) * access.argument.dtype.itemsize
    return [
        (access.start + start * step, access.start + stop * step)
        for start, stop in _ranges(extent, grain, n_threads)
    ]


@lru_cache(maxsize=1024)
def _ranges(extent, grain, n_threads):
    return [thread_range(extent, grain, thread, n_threads) for thread in range(n_threads)]


def _conflict(accesses, since_barrier, n_threads):
    """Whether any of an instruction's accesses conflicts with one since the last barrier, which are
    kept by their place."""
    for a in accesses:
        for b in since_barrier.get(a.place, ()):
            if a.conflicts(b) and _across_threads(a, b, n_threads):
                return True
    return False


def _across_threads(one, other, n_threads):
    """Whether a thread of one access touches bytes of another thread of the other."""
    others = by_thread(other, n_threads)
    for thread, a in enumerate(by_thread(one, n_threads)):
        for another, b in enumerate(others):
            if thread != another and a and b and a[0] < b[1] and b[0] < a[1]:
                return True
    return False
