"""The native loop that replays a program of recorded tapes, and the call of a single kernel.

A program is one epoch, as segments: a tape's instructions, and how often to run them. Every thread
replays all of it with its own number. The calls of a fusion group (fastnn/devices/cpu/fusion.py)
are made tile after tile, as if each tile were a thread. Between steps the counters named in
`counter_increments` (address, amount) are incremented: learning steps, random draws, the place in
the data. A step that fails is not counted: the position is that step's.
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

# Words of `shared`; what different threads write lies on different cache lines (8 words). Those
# before SYSTEM are cleared before a run.
ARRIVED, GENERATION, STOP, ABORT, SYSTEM, POSITION, STATUS = 0, 8, 16, 24, 32, 40, 48
OVER = STOP + 1  # whether the deadline is over, as all threads are told at a barrier
LATE = ABORT + 1  # whether a thread that waited has seen the deadline pass
# two C functions, the argument of one, the address of `shared`, the deadline in nanoseconds
YIELD, CLOCK, CLOCK_ID, BASE, DEADLINE = range(SYSTEM, SYSTEM + 5)
# the position; and of a run: steps done, when the first one and the last one ended
EPOCH, SEGMENT, STEP, DONE, FIRST_STEP_END, LAST_STEP_END = range(POSITION, POSITION + 6)
# a thread's status: (instruction + 1, status) at STATUS + THREAD_WORDS * thread; then two words for
# a time
THREAD_WORDS = 8
# Some 2 us, longer than threads that are awake wait for each other in a small step. By then the
# thread waited for may have lost its processor, perhaps to this one, which therefore yields it
# again and again. A yield that nobody wants takes 0.3 us; where two threads shared a processor, 512
# spins took 13 us a barrier and 64 take 3.
SPINS_BEFORE_YIELD = 64


# Columns of `segments`: instructions, how often to run them, and the counters to increment after
# each step.
INSTRUCTIONS_START, INSTRUCTIONS_STOP, REPEATS, INCREMENTS_START, INCREMENTS_STOP = 0, 1, 2, 3, 4


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
    barrier_before="i8[I]",
    groups="i8[I, G]",
    address_fixups="i8[Q, H]",
    segments="i8[S, F]",
    counter_increments="i8[A, P]",
    shared="inout i8[W]",
    epochs="int",
    budget="int",
)
def replay(
    functions,
    blocks,
    barrier_before,
    groups,
    address_fixups,
    segments,
    counter_increments,
    shared,
    epochs,
    budget,
    thread,
    n_threads,
):
    """Run whole steps until `epochs` are over or `budget` steps are done, from the position in
    `shared` and leaving it there; or, if n_threads have to wait for each other, until the
    deadline is over: where they lose their processors to other processes each barrier may take
    milliseconds. Returns 1 if an instruction failed or Python asked to stop."""
    mode = exchange_float_mode(FLUSH_DENORMALS)
    failed = replay_steps(
        functions,
        blocks,
        barrier_before,
        groups,
        address_fixups,
        segments,
        counter_increments,
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
    barrier_before,
    groups,
    address_fixups,
    segments,
    counter_increments,
    shared,
    epochs,
    budget,
    thread,
    n_threads,
):
    epoch, segment, step, done, failed = shared[EPOCH], shared[SEGMENT], shared[STEP], 0, 0
    several = n_threads > 1
    while True:
        while epoch < epochs and step >= segments[segment, REPEATS]:
            step = 0
            segment += 1
            if segment == segments.shape[0]:
                segment = 0
                epoch += 1
        if epoch >= epochs or done >= budget or (several and atomic_load(shared, OVER) != 0):
            break
        bounds = segments[segment]
        increments = counter_increments[bounds[INCREMENTS_START] : bounds[INCREMENTS_STOP]]
        failed = run_instructions(
            functions,
            blocks,
            barrier_before,
            groups,
            address_fixups,
            bounds[INSTRUCTIONS_START],
            bounds[INSTRUCTIONS_STOP],
            increments[:0],
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
            failed = barrier(shared, increments, thread, n_threads)
            if failed != 0:
                break
        else:
            increment_counters(increments)
        step += 1
        done += 1
        if thread == 0 and done == 1:
            shared[FIRST_STEP_END] = time(shared, thread)
    if thread == 0:
        shared[EPOCH], shared[SEGMENT], shared[STEP] = epoch, segment, step
        shared[DONE], shared[LAST_STEP_END] = done, time(shared, thread)
    return failed


# Columns of `groups`, a row an instruction: how many calls a fusion group has (of one that begins
# none: 1) and its tiles (none: 0), the elements they are cut from, its address fixups, and how many
# bytes apart the argument blocks of two threads are.
LENGTH, TILES, SIZE, FIXUPS_START, FIXUPS_STOP, BLOCKS_STRIDE = 0, 1, 2, 3, 4, 5
# And of `address_fixups`, a row a field that holds the address of a buffer which is only a tile
# long: where the field lies, where the tile, the size of an element, and how many bytes apart the
# fields and the tiles of two threads are.
FIELD, MEMORY, ITEM, FIELD_STRIDE, MEMORY_STRIDE = 0, 1, 2, 3, 4


@helper
def run_instructions(
    functions,
    blocks,
    barrier_before,
    groups,
    address_fixups,
    start,
    stop,
    no_increments,
    shared,
    thread,
    n_threads,
):
    i = start
    while i < stop:
        if n_threads > 1 and barrier_before[i] != 0:
            if barrier(shared, no_increments, thread, n_threads) != 0:
                return 1
            if atomic_load(shared, OVER) != 0:
                if thread != 0:
                    return 0
                n_threads = 1
        if groups[i, TILES] == 0:
            status = call_kernel(functions[i], blocks[i], thread, n_threads)
            failed = record_status(status, i, shared, thread)
        else:
            failed = run_group(
                functions, blocks, groups[i], address_fixups, i, shared, thread, n_threads
            )
        if failed != 0 and n_threads == 1:
            return 1
        i += groups[i, LENGTH]
    return 0


@helper
def run_group(functions, blocks, group, address_fixups, group_start, shared, thread, n_threads):
    """This thread's tiles, each through all calls of the group, whose first instruction is
    number `group_start`. A kernel takes its range of an array from the array's start, so a buffer
    that is only a tile long is given the address that puts that range in the tile."""
    tiles_start, tiles_stop = thread_range(group[TILES], 1, thread, n_threads)
    offset, failed = group[BLOCKS_STRIDE] * thread, 0
    for tile in range(tiles_start, tiles_stop):
        start, _ = thread_range(group[SIZE], ELEMENT_GRAIN, tile, group[TILES])
        for q in range(group[FIXUPS_START], group[FIXUPS_STOP]):
            fixup = address_fixups[q]
            memory = fixup[MEMORY] + fixup[MEMORY_STRIDE] * thread
            set_word(fixup[FIELD] + fixup[FIELD_STRIDE] * thread, memory - start * fixup[ITEM])
        for i in range(group_start, group_start + group[LENGTH]):
            status = call_kernel(functions[i], blocks[i] + offset, tile, group[TILES])
            failed |= record_status(status, i, shared, thread)
    return failed


@helper
def record_status(status, instruction, shared, thread):
    """Keep what a thread's first failing instruction reported, in the order of the tape; returns
    whether this one did."""
    if status == 0:
        return 0
    place = STATUS + THREAD_WORDS * thread
    if shared[place] == 0 or instruction + 1 < shared[place]:
        shared[place], shared[place + 1] = instruction + 1, status
    return 1


@helper
def increment_counters(increments):
    for i in range(increments.shape[0]):
        add_to_word(increments[i, 0], increments[i, 1])


@helper
def time(shared, thread):
    """Nanoseconds on the system's clock, or 0 where there is none that a kernel can call."""
    if shared[CLOCK] == 0:
        return 0
    place = STATUS + THREAD_WORDS * thread + 2
    call_kernel(shared[CLOCK], shared[CLOCK_ID], shared[BASE] + 8 * place, 0)
    return atomic_load(shared, place) * 1_000_000_000 + atomic_load(shared, place + 1)


@helper
def barrier(shared, increments, thread, n_threads):
    """Wait for all threads; returns whether to stop. The last to arrive decides that, increments
    the counters and releases the others. All obey its word: if each looked at the statuses itself,
    a fast thread might fail again before a slow one had looked, and one would leave while the other
    waits for ever."""
    generation = atomic_load(shared, GENERATION)  # it cannot move on before this thread has arrived
    if atomic_add(shared, ARRIVED, 1) == n_threads - 1:
        stop = atomic_load(shared, ABORT)
        for other in range(n_threads):
            stop |= shared[STATUS + THREAD_WORDS * other]
        if stop == 0:
            increment_counters(increments)
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
