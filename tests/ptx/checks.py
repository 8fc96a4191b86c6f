"""What is checked of an access to memory, and counted: plain loops over its threads, compiled by
Numba.

`offsets` are where each thread's bytes begin, `size` is how many they are, `threads` the threads'
numbers in the grid, in which every block has whole warps.
"""

import numpy as np
from numba import njit

WARP = 32
SECTOR = 32  # bytes that global memory is moved by
BANKS, WORD = 32, 4  # of shared memory; a bank gives a word to a warp at a time
NOBODY, ONE_WARP, ONE_BLOCK, ANY = range(4)  # who else has read a cell
READ, CONSTANT, WRITE, ATOMIC = range(4)  # kinds of access

# What is known of a few bytes of memory: who wrote it last, who has read it since then or since the
# last barrier, and at which of their barriers. Threads are numbered from 1 on; 0 is nobody.
CELL = np.dtype(
    [
        ("writer", "i4"),
        ("write_epoch", "i4"),  # barriers that the writer's block had passed
        ("write_sync", "i4"),  # and its warp, of those of a warp alone
        ("reader", "i4"),  # the last one
        ("read_epoch", "i4"),
        ("read_sync", "i4"),
        ("other_readers", "i1"),
        ("by_atomic", "i1"),  # whether the writer was an atomic instruction
    ]
)


@njit(cache=True)
def first_misaligned(addresses, size):
    """The first access whose address is no multiple of its size, or -1."""
    for n in range(addresses.size):
        if addresses[n] & (size - 1):
            return n
    return -1


@njit(cache=True)
def first_outside(offsets, size, starts, ends):
    """The first access that no allocation holds, or -1."""
    near = 0
    for n in range(offsets.size):
        start = offsets[n]
        if not (starts[near] <= start and start + size <= ends[near]):
            near = np.searchsorted(starts, start, side="right") - 1
            if near < 0 or start + size > ends[near]:
                return n
    return -1


@njit(cache=True)
def first_unknown(known, offsets, size):
    """The first access to bytes that were never written (0 in `known`, else 1), or -1."""
    if size % WORD == 0:  # which is where it begins, too
        words = known.view(np.uint32)
        for n in range(offsets.size):
            start = offsets[n] // WORD
            for k in range(size // WORD):
                if words[start + k] != 0x01010101:
                    return n
        return -1
    for n in range(offsets.size):
        for k in range(size):
            if not known[offsets[n] + k]:
                return n
    return -1


@njit(cache=True)
def mark(known, offsets, size, value):
    for n in range(offsets.size):
        for k in range(size):
            known[offsets[n] + k] = value


@njit(cache=True)
def first_race(cells, shift, offsets, size, threads, epochs, syncs, block_threads, kind, exempt):
    """Note the accesses in `cells`, of 1 << shift bytes each. Returns (which, other thread, whether
    that one wrote) of the first that nothing orders after an earlier one, or (-1, 0, False).

    Two accesses of a block are ordered by a barrier between them; two of a warp by a barrier of the
    warp too; two of different blocks by nothing. A read of what is constant (ld.global.nc) is
    ordered after no write of the launch, its own thread's neither. `exempt` are ranges that are not
    looked at.
    """
    writes, atomic, constant = kind in (WRITE, ATOMIC), kind == ATOMIC, kind == CONSTANT
    for n in range(offsets.size):
        start, skip = offsets[n], False
        for k in range(exempt.shape[0]):
            skip = skip or (exempt[k, 0] <= start and start < exempt[k, 1])
        if skip:
            continue
        thread, epoch, sync = threads[n] + 1, epochs[n], syncs[n]
        block, warp = threads[n] // block_threads, threads[n] // WARP
        for c in range(start >> shift, ((start + size - 1) >> shift) + 1):
            cell = cells[c]
            other = cell.writer - 1
            own = other == threads[n] and not constant
            if other >= 0 and not own and not (atomic and cell.by_atomic):
                same_block = other // block_threads == block
                same_warp = other // WARP == warp
                if constant or not (
                    same_block
                    and (cell.write_epoch < epoch or (same_warp and cell.write_sync < sync))
                ):
                    return n, other, True
            other = cell.reader - 1
            same_block = other >= 0 and other // block_threads == block
            same_warp = other >= 0 and other // WARP == warp
            if writes:
                if other >= 0:
                    others = cell.other_readers
                    if others == ANY or not same_block:
                        return n, other, False
                    if cell.read_epoch == epoch:
                        synced = same_warp and cell.read_sync < sync
                        alone = other == threads[n] and others == NOBODY
                        if others == ONE_BLOCK or not (synced or alone):
                            return n, other, False
                cell.writer, cell.write_epoch, cell.write_sync = thread, epoch, sync
                cell.by_atomic = atomic
            elif other >= 0 and not same_block:
                cell.other_readers = ANY
            else:
                if other < 0 or (cell.read_epoch < epoch and cell.other_readers != ANY):
                    cell.other_readers = NOBODY
                elif other != threads[n]:
                    who = ONE_WARP if same_warp else ONE_BLOCK
                    cell.other_readers = max(cell.other_readers, who)
                cell.reader, cell.read_epoch, cell.read_sync = thread, epoch, sync
    return -1, 0, False


@njit(cache=True)
def sectors(offsets, size, threads):
    """(requests of a warp, bytes that differ, sectors moved for them)."""
    requests = useful = moved = 0
    seen, lines = np.empty(WARP, np.int64), np.empty(2 * WARP, np.int64)
    n = 0
    while n < offsets.size:
        warp, n_seen, n_lines = threads[n] // WARP, 0, 0
        while n < offsets.size and threads[n] // WARP == warp:
            start = offsets[n]
            n += 1
            is_new = True
            for k in range(n_seen - 1, -1, -1):
                if seen[k] == start:
                    is_new = False
                    break
            if not is_new:
                continue
            seen[n_seen] = start
            n_seen += 1
            line = start // SECTOR  # what is aligned does not straddle two
            is_new = True
            for k in range(n_lines - 1, -1, -1):
                if lines[k] == line:
                    is_new = False
                    break
            if is_new:
                lines[n_lines] = line
                n_lines += 1
        requests, useful, moved = requests + 1, useful + n_seen * size, moved + n_lines
    return requests, useful, moved


@njit(cache=True)
def wavefronts(offsets, size, threads):
    """(requests of a warp, turns of the banks for them, turns if no two words shared a bank).

    Of 8 and 16 bytes a half and a quarter of a warp are served at a time.
    """
    requests = turns = ideal = 0
    lanes = WARP if size <= WORD else WARP * WORD // size
    words, count = np.empty((BANKS, WARP), np.int64), np.empty(BANKS, np.int64)
    n, last_warp = 0, -1
    while n < offsets.size:
        part, most = threads[n] // lanes, 0
        count[:] = 0
        if threads[n] // WARP != last_warp:
            last_warp = threads[n] // WARP
            requests += 1
        while n < offsets.size and threads[n] // lanes == part:
            for word in range(offsets[n] // WORD, (offsets[n] + size - 1) // WORD + 1):
                bank = word % BANKS
                is_new = True
                for k in range(count[bank]):
                    if words[bank, k] == word:
                        is_new = False
                        break
                if is_new:
                    words[bank, count[bank]] = word
                    count[bank] += 1
                    most = max(most, count[bank])
            n += 1
        turns, ideal = turns + most, ideal + 1
    return requests, turns, ideal
