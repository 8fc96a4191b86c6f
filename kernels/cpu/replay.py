"""The native loop that replays a program of recorded tapes, and the one that calls a single kernel.

A program is one epoch, as segments: (first instruction, last plus one, how often to run it, first
advance, last plus one). Every thread replays all of it with its own number. Calls that form a
chain (fastnn/devices/cpu/fusion.py) are made tile after tile, as if each tile were a thread.
Between steps the counters named in `advances` (address, increment) move on: learning steps, random
draws, the place in the data. A step that fails is not counted: the position is that step's.
"""

from ..declare import helper, kernel
from .simd.atomics import (
    FLUSH_DENORMALS,
    add_to_word,
    atomic_add,
    atomic_load,
    atomic_store,
    call_kernel,
    exchange_float_mode,
    set_word,
    spin_pause,
)
from .threads import ELEMENT_GRAIN, thread_range

# Words of `shared`, each group on a cache line of its own (8 words). Those before SYSTEM are
# cleared before a run.
ARRIVED, GENERATION, STOP, ABORT, SYSTEM, POSITION, STATUS = 0, 8, 16, 24, 32, 40, 48
# whether the time is over, as all threads are told at a barrier: thread 0 ends the step alone
OVER = STOP + 1
LATE = ABORT + 1  # whether a thread that waited has seen the time run out
# C functions, the address of `shared`, nanoseconds
YIELD, CLOCK, CLOCK_ID, BASE, DEADLINE = range(SYSTEM, SYSTEM + 5)
# and of a run: steps done, two times
EPOCH, SEGMENT, STEP, DONE, FIRST_END, LAST_END = range(POSITION, POSITION + 6)
# a thread's status: (instruction + 1, status) at STATUS + THREAD_WORDS * thread; then room for a
# time
THREAD_WORDS = 8
# Some 2 us, longer than threads that are awake wait for each other in a small step. By then the
# thread waited for may have lost its processor, perhaps to this one, which is therefore offered
# again and again. Where nobody wants it that takes 0.3 us; where two threads shared a processor,
# 512 spins took 13 us a barrier and 64 take 3.
SPINS_BEFORE_YIELD = 64


@kernel()
def call_once(thread, n_threads):
    """Call one kernel. The two numbers every entry point takes are here the kernel's address and
    its argument block."""
    mode = exchange_float_mode(FLUSH_DENORMALS)
    status = call_kernel(thread, n_threads, 0, 1)
    exchange_float_mode(mode)
    return status


@kernel(
    functions="i8[I]",
    blocks="i8[I]",
    waits="i8[I]",
    chains="i8[I, G]",
    patches="i8[Q, H]",
    segments="i8[S, F]",
    advances="i8[A, P]",
    shared="inout i8[W]",
    epochs="int",
    budget="int",
)
def replay(
    functions,
    blocks,
    waits,
    chains,
    patches,
    segments,
    advances,
    shared,
    epochs,
    budget,
    thread,
    n_threads,
):
    """Run whole steps until `epochs` are over or `budget` steps are done, from the position in
    `shared` and leaving it there; or until the deadline is over, if n_threads have to wait for each
    other: where they lose their processors to other processes each barrier may take milliseconds.
    Returns 1 if an instruction failed or Python asked to stop."""
    mode = exchange_float_mode(FLUSH_DENORMALS)
    failed = replay_steps(
        functions,
        blocks,
        waits,
        chains,
        patches,
        segments,
        advances,
        shared,
        epochs,
        budget,
        thread,
        n_threads,
    )
    exchange_float_mode(mode)
    return failed


@helper
def replay_steps(
    functions,
    blocks,
    waits,
    chains,
    patches,
    segments,
    advances,
    shared,
    epochs,
    budget,
    thread,
    n_threads,
):
    epoch, segment, step, done, failed = shared[EPOCH], shared[SEGMENT], shared[STEP], 0, 0
    several = n_threads > 1
    while True:
        while epoch < epochs and step >= segments[segment, 2]:
            step = 0
            segment += 1
            if segment == segments.shape[0]:
                segment = 0
                epoch += 1
        if epoch >= epochs or done >= budget or (several and atomic_load(shared, OVER) != 0):
            break
        bounds = segments[segment]
        failed = run_instructions(
            functions,
            blocks,
            waits,
            chains,
            patches,
            bounds[0],
            bounds[1],
            advances[:0],
            shared,
            thread,
            n_threads,
        )
        if failed != 0:
            break
        if n_threads > 1 and atomic_load(shared, OVER) != 0:
            if thread != 0:
                break
            n_threads = 1
        if n_threads > 1:
            failed = barrier(shared, advances[bounds[3] : bounds[4]], thread, n_threads)
            if failed != 0:
                break
        else:
            advance(advances[bounds[3] : bounds[4]])
        step += 1
        done += 1
        if thread == 0 and done == 1:
            shared[FIRST_END] = time(shared, thread)
    if thread == 0:
        shared[EPOCH], shared[SEGMENT], shared[STEP] = epoch, segment, step
        shared[DONE], shared[LAST_END] = done, time(shared, thread)
    return failed


# Columns of `chains`, a row an instruction: how many calls a chain has (of one that begins none: 1)
# and its tiles (none: 0), the elements they are cut from, its first patch and the last plus one,
# and the distance between the threads' argument blocks.
LENGTH, TILES, SIZE, FIRST_PATCH, LAST_PATCH, BLOCKS_STRIDE = 0, 1, 2, 3, 4, 5
# And of `patches`: a word of an argument block that holds the address of a buffer that is only a
# tile long, where that tile lies, the size of an element, and how far apart both are for the next
# thread.
WORD, MEMORY, ITEM, WORD_STRIDE, MEMORY_STRIDE = 0, 1, 2, 3, 4


@helper
def run_instructions(
    functions, blocks, waits, chains, patches, first, last, no_advance, shared, thread, n_threads
):
    i = first
    while i < last:
        if n_threads > 1 and waits[i] != 0:
            if barrier(shared, no_advance, thread, n_threads) != 0:
                return 1
            if atomic_load(shared, OVER) != 0:
                if thread != 0:
                    return 0
                n_threads = 1
        if chains[i, TILES] == 0:
            failed = note(
                call_kernel(functions[i], blocks[i], thread, n_threads), i, shared, thread
            )
        else:
            failed = run_chain(functions, blocks, chains[i], patches, i, shared, thread, n_threads)
        if failed != 0 and n_threads == 1:
            return 1
        i += chains[i, LENGTH]
    return 0


@helper
def run_chain(functions, blocks, chain, patches, first, shared, thread, n_threads):
    """This thread's tiles, each through all calls. A kernel takes its part of an array from the
    array's start, so a buffer that is only a tile long seems to begin as far ahead of that tile."""
    begin, end = thread_range(chain[TILES], 1, thread, n_threads)
    offset, failed = chain[BLOCKS_STRIDE] * thread, 0
    for tile in range(begin, end):
        start, _ = thread_range(chain[SIZE], ELEMENT_GRAIN, tile, chain[TILES])
        for q in range(chain[FIRST_PATCH], chain[LAST_PATCH]):
            patch = patches[q]
            memory = patch[MEMORY] + patch[MEMORY_STRIDE] * thread
            set_word(patch[WORD] + patch[WORD_STRIDE] * thread, memory - start * patch[ITEM])
        for i in range(first, first + chain[LENGTH]):
            failed |= note(
                call_kernel(functions[i], blocks[i] + offset, tile, chain[TILES]), i, shared, thread
            )
    return failed


@helper
def note(status, instruction, shared, thread):
    """Keep what a thread's first failing instruction reported, in the order of the tape; returns
    whether this one did."""
    if status == 0:
        return 0
    place = STATUS + THREAD_WORDS * thread
    if shared[place] == 0 or instruction + 1 < shared[place]:
        shared[place], shared[place + 1] = instruction + 1, status
    return 1


@helper
def advance(advances):
    for i in range(advances.shape[0]):
        add_to_word(advances[i, 0], advances[i, 1])


@helper
def time(shared, thread):
    """Nanoseconds on the system's clock, or 0 where there is none that a kernel can call."""
    if shared[CLOCK] == 0:
        return 0
    place = STATUS + THREAD_WORDS * thread + 2
    call_kernel(shared[CLOCK], shared[CLOCK_ID], shared[BASE] + 8 * place, 0)
    return atomic_load(shared, place) * 1_000_000_000 + atomic_load(shared, place + 1)


@helper
def barrier(shared, advances, thread, n_threads):
    """Wait for all threads; returns whether to stop. The last to arrive decides that, moves the
    counters and releases the others. All obey its word: if each looked at the statuses itself, a
    fast thread might fail again before a slow one had looked, and one would leave while the other
    waits for ever."""
    generation = atomic_load(shared, GENERATION)  # it cannot move on before this thread has arrived
    if atomic_add(shared, ARRIVED, 1) == n_threads - 1:
        stop = atomic_load(shared, ABORT)
        for other in range(n_threads):
            stop |= shared[STATUS + THREAD_WORDS * other]
        if stop == 0:
            advance(advances)
        atomic_store(shared, STOP, stop)
        atomic_store(shared, OVER, atomic_load(shared, LATE))
        atomic_store(shared, ARRIVED, 0)
        atomic_store(shared, GENERATION, generation + 1)
    else:
        spins = 0
        while atomic_load(shared, GENERATION) == generation:
            if atomic_load(shared, ABORT) != 0:
                return 1
            if spins < SPINS_BEFORE_YIELD:
                spin_pause()
                spins += 1
            else:
                call_kernel(shared[YIELD], 0, 0, 0)
                if time(shared, thread) > shared[DEADLINE]:
                    atomic_store(shared, LATE, 1)
    return atomic_load(shared, STOP)
