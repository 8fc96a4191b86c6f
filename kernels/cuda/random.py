"""Random numbers, of Philox's words (`kernels/philox.py`): the CPU's bits. A thread has one Philox
block.

    uniform       low + (high - low) u
    normal        mean + deviation sqrt(-2 log(1 - u)) cos(2 pi v), of Box and Muller
    dropout       y = x / (1 - rate) or 0, dx = dy / (1 - rate) or 0 where y is
    permutation   0 to n - 1, shuffled
"""

import numpy as np

from ..declare import T, helper, intrinsic, kernel
from ..intrinsics import fma
from ..philox import (
    DROPOUT_HALF_TILE_ELEMENTS,
    DROPOUT_TILE_BLOCKS,
    DROPOUT_TILE_ELEMENTS,
    dropout_limit,
    fraction,
    standard_normal,
    words_of,
)
from .grid import (
    atomic_max,
    barrier,
    block_index,
    is_aligned,
    on_a_gpu,
    shared_array,
    thread_index,
)

THREADS = 256
DROPOUT_TILES = THREADS // DROPOUT_TILE_BLOCKS  # of a block of threads


@intrinsic("void <- flat int T T")
def store_two(y, place, first, second):
    """y[place], y[place + 1] = first, second, at a multiple of the bytes of both."""
    on_a_gpu(y, place, first, second)


@store_two.lowering
def _(emitter, y, place, first, second):
    builder, (data, _) = emitter.builder, emitter.array(y, emitter.kinds[0])
    emitter.store_vector([first, second], builder.gep(data, [place]), 2 * emitter.item_bytes)


@kernel(
    split=[("n", 2 * THREADS)],
    threads=THREADS,
    generator="i8[g]",
    draw_offset="int",
    low="float",
    high="float",
    out="out T[n]",
)
def uniform_elements(generator, draw_offset, low, high, out):
    """out = low + (high - low) u, u uniform in [0, 1)."""
    block = block_index() * THREADS + thread_index()
    i, base, width = 2 * block, T(low), T(high - low)
    if i >= out.size:
        return
    a, b, c, d = words_of(generator, draw_offset, block)
    first, second = fma(width, fraction(a, b), base), fma(width, fraction(c, d), base)
    if i + 1 < out.size and is_aligned(out):
        store_two(out, i, first, second)
        return
    out[i] = first
    if i + 1 < out.size:
        out[i + 1] = second


@kernel(
    split=[("n", THREADS)],
    threads=THREADS,
    generator="i8[g]",
    draw_offset="int",
    mean="float",
    deviation="float",
    out="out T[n]",
)
def normal_elements(generator, draw_offset, mean, deviation, out):
    """out = mean + deviation sqrt(-2 log(1 - u)) cos(2 pi v), u and v uniform in [0, 1)."""
    i = block_index() * THREADS + thread_index()
    if i < out.size:
        a, b, c, d = words_of(generator, draw_offset, i)
        out[i] = fma(T(deviation), standard_normal(a, b, c, d), T(mean))


@intrinsic("T <- int T T")
def select(condition, x, y):
    """x if the condition is not 0, else y. Of Python's own `if` LLVM makes a branch into which it
    moves the load of x, which then begins only when the condition is known."""
    on_a_gpu(condition, x, y)


@select.lowering
def _(emitter, condition, x, y):
    builder = emitter.builder
    return builder.select(builder.icmp_signed("!=", condition, emitter.integer(64)(0)), x, y)


@helper
def keep_or_drop(x, y, i, word, limit, scale):
    if i < y.size:
        y[i] = select(np.uint32(word) >= limit, x[i] * scale, T(0))


@helper
def half_tile(x, y, i, words, unused, limit, scale):
    """The four elements, the first at i, that a thread's words decide about with the 16 bits that
    are left when `unused` upper ones are shifted out."""
    a, b, c, d = words
    keep_or_drop(x, y, i, a << unused, limit, scale)
    keep_or_drop(x, y, i + DROPOUT_TILE_BLOCKS, b << unused, limit, scale)
    keep_or_drop(x, y, i + 2 * DROPOUT_TILE_BLOCKS, c << unused, limit, scale)
    keep_or_drop(x, y, i + 3 * DROPOUT_TILE_BLOCKS, d << unused, limit, scale)


@kernel(
    split=[("n", DROPOUT_TILES * DROPOUT_TILE_ELEMENTS)],
    threads=THREADS,
    x="T[n]",
    generator="i8[g]",
    draw_offset="int",
    rate="float",
    y="out T[n]",
)
def dropout_elements(x, generator, draw_offset, rate, y):
    """y = x / (1 - rate), or 0 with probability `rate`; or dx of dy. Neighbouring threads have
    neighbouring elements: those that one Philox block decides about lie DROPOUT_TILE_BLOCKS
    apart."""
    limit, scale = dropout_limit(rate)
    block = block_index() * THREADS + thread_index()
    words = words_of(generator, draw_offset, block)
    i = block // DROPOUT_TILE_BLOCKS * DROPOUT_TILE_ELEMENTS + block % DROPOUT_TILE_BLOCKS
    half_tile(x, y, i, words, np.uint64(16), limit, scale)
    half_tile(x, y, i + DROPOUT_HALF_TILE_ELEMENTS, words, np.uint64(0), limit, scale)


# Fisher and Yates swap order[i] with order[j], j up to i, for i from n - 1 down: each swap after
# those before it that touch the same elements. Swaps that share none are made at once, in rounds
# (Shun et al., "Sequential random permutation, list contraction and tree contraction are highly
# parallel", 2015): a swap that is still to be made claims its two elements for its number, the
# highest claim holds, and whoever holds both is next. That gives the CPU's permutation whatever the
# order of threads, in about 3 ln n rounds: 60,000 rows take 35, and a swap is looked at in 3.4 of
# them, where one thread would wait for memory 60,000 times.

SHUFFLE_THREADS = 1024  # one block: rounds are parted by its barriers
ROUND_BITS = 32  # of a claim, the round stands above the number, so that older ones never hold


@kernel(
    split=[("W", 4 * THREADS)],
    threads=THREADS,
    generator="i8[g]",
    draw_offset="int",
    words="out u4[W]",
    partner="out i8[n]",
    claims="out i8[n]",
    left="out i8[n]",
    order="out i8[n]",
)
def draw_swaps(generator, draw_offset, words, partner, claims, left, order):
    """The random words of a permutation; partner[i] = j; no claims; all swaps left; order = 0 to
    n - 1."""
    block = block_index() * THREADS + thread_index()
    i = 4 * block
    if i < words.size:
        a, b, c, d = words_of(generator, draw_offset, block)
        words[i], words[i + 1] = np.uint32(a), np.uint32(b)
        words[i + 2], words[i + 3] = np.uint32(c), np.uint32(d)
    end = min(i + 4, order.size)
    while i < end:
        partner[i] = np.int64((np.uint64(words[i]) * np.uint64(i + 1)) >> np.uint64(32))
        claims[i], left[i], order[i] = 0, i, i
        i += 1


@kernel(
    threads=SHUFFLE_THREADS,
    partner="i8[n]",
    claims="inout i8[n]",
    left="inout i8[n]",
    order="inout i8[n]",
    cursor="out i8[s]",
)
def swap_all(partner, claims, left, order, cursor):
    """The swaps of order[i] with order[partner[i]], as if from the last i down; cursor = 0. Of
    `left` every SHUFFLE_THREADS-th element is a thread's own list."""
    thread, end = thread_index(), order.size
    claim, is_any_left = 1 << ROUND_BITS, True
    last_left = shared_array(np.int64(0), 1)  # the last round after which swaps were left
    if thread == 0:
        cursor[0], last_left[0] = 0, 0
    while is_any_left:
        n = thread
        while n < end:
            i = left[n]
            atomic_max(claims, i, claim + i)
            atomic_max(claims, partner[i], claim + i)
            n += SHUFFLE_THREADS
        barrier()
        n, kept = thread, thread
        while n < end:
            i = left[n]
            j = partner[i]
            if claims[i] == claim + i and claims[j] == claim + i:
                order[i], order[j] = order[j], order[i]
            else:
                left[kept] = i
                kept += SHUFFLE_THREADS
            n += SHUFFLE_THREADS
        end = kept
        if kept > thread:
            atomic_max(last_left, 0, claim)
        barrier()
        is_any_left = last_left[0] == claim
        claim += 1 << ROUND_BITS


# ---- launchers


def uniform(call, state, out, *, shape, low=0.0, high=1.0, draw_offset=0, dtype=None):
    call(uniform_elements, state, draw_offset, float(low), float(high), out.flat())


def normal(call, state, out, *, shape, mean=0.0, deviation=1.0, draw_offset=0, dtype=None):
    call(normal_elements, state, draw_offset, float(mean), float(deviation), out.flat())


def dropout(call, x, state, y, *, rate, draw_offset=0):
    call(dropout_elements, x.flat(), state, draw_offset, float(rate), y.flat())


def permutation(call, state, words, order, cursor, *, draw_offset=0):
    partner, claims, left = (call.scratch(order.shape, order.dtype) for _ in range(3))
    call(draw_swaps, state, draw_offset, words, partner, claims, left, order)
    call(swap_all, partner, claims, left, order, cursor)
