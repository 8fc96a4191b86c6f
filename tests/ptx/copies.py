"""cp.async: copies from global to shared memory whose data arrive only at the wait for them."""

from dataclasses import dataclass

import numpy as np

from . import checks
from .access import check_known, check_race, count, resolve, spread
from .checks import READ, WRITE
from .dtypes import u1
from .errors import Misaligned, PTXError


@dataclass
class Copy:
    """What the threads of a step have begun."""

    threads: np.ndarray  # numbers in the grid, ascending
    targets: np.ndarray  # offsets into shared memory
    data: np.ndarray  # (thread, byte)
    groups: np.ndarray  # how many groups each thread had committed before
    pending: np.ndarray


def begin(wave, lanes, n, targets, sources, size, valid, number):
    """Copy the first `valid` of `size` bytes, and zeros behind them; no others are read.

    The target may change from now on until the wait, so it is written to in both places: what
    reads it between them, or before without a barrier, is caught.
    """
    _, targets = resolve(wave, lanes, n, "shared", targets, size, number)
    sources, valid = spread(sources, n), spread(valid, n)
    if (bad := checks.first_misaligned(sources, size)) >= 0:
        raise Misaligned(
            f"cp.async of {size} bytes from {sources[bad]:#x}: {wave.where(lanes, bad, number)}"
        )
    if (valid > size).any():
        where = wave.where(lanes, int(np.argmax(valid > size)), number)
        raise PTXError(f"cp.async with more than {size} bytes to read: {where}")
    data = np.zeros((n, size), u1)
    for nbytes in np.unique(valid[valid > 0]):
        which = np.nonzero(valid == nbytes)[0]
        data[which, :nbytes] = read(wave, lanes, which, sources[which], int(nbytes), size, number)
    check_race(wave, lanes, "shared", targets, size, number, WRITE)
    checks.mark(wave.known["shared"], targets, size, 0)
    threads = wave.who(lanes)[0]
    groups = wave.committed[threads - wave.first_thread]
    wave.copies.append(Copy(threads, targets, data, groups, np.ones(n, np.bool_)))


def read(wave, lanes, which, sources, nbytes, size, number):
    """The bytes (thread, byte) of the threads `which` of the step, of which all read as many."""
    part = which if lanes is None else lanes[which]
    whole = nbytes if nbytes & (nbytes - 1) == 0 else 1  # the start is aligned to `size` anyhow
    _, offsets = resolve(wave, part, which.size, "global", sources, whole, number)
    if whole < nbytes:
        resolve(wave, part, which.size, "global", sources + (nbytes - 1), 1, number)
    count(wave, part, "global", "ld", offsets, size, number)
    check_race(wave, part, "global", offsets, nbytes, number, READ)
    check_known(wave, part, "global", offsets, nbytes, number)
    return wave.device.mem[offsets[:, None] + np.arange(nbytes)]


def commit(wave, lanes):
    """What each thread has begun until now, since the last time, is a group."""
    wave.committed[wave.who(lanes)[0] - wave.first_thread] += 1


def wait(wave, lanes, keep, number):
    """Until all groups of these threads have arrived but the last `keep`; with -1 all copies,
    committed or not."""
    threads = wave.who(lanes)[0]
    for copy in wave.copies:
        places = np.minimum(np.searchsorted(threads, copy.threads), threads.size - 1)
        arrives = copy.pending & (threads[places] == copy.threads)
        if keep >= 0:
            arrives &= copy.groups < wave.committed[copy.threads - wave.first_thread] - keep
        if not arrives.any():
            continue
        targets, size = copy.targets[arrives], copy.data.shape[1]
        part = places[arrives] if lanes is None else lanes[places[arrives]]
        check_race(wave, part, "shared", targets, size, number, WRITE)
        wave.memory["shared"][1][targets[:, None] + np.arange(size)] = copy.data[arrives]
        checks.mark(wave.known["shared"], targets, size, 1)
        copy.pending &= ~arrives
    wave.copies = [copy for copy in wave.copies if copy.pending.any()]
