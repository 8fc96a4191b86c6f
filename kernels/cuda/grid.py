"""What kernels for a GPU are made of: which thread it is, memory that a block shares, barriers,
words passed between the threads of a warp, four neighbours at once, copies that go on by
themselves.

Write loops as `while`: a `range` with a step counts its turns beforehand, by a division. Name a
number before it is given to `shared_array` as a literal: an expression is none.
"""

from ..declare import helper, intrinsic, machine
from ..intrinsics import flat

WARP = 32  # threads of a warp
ALL_LANES = 0xFFFFFFFF
FOUR = 4  # neighbours that a thread loads or stores at once
VECTOR_BYTES = 16  # alignment of what is loaded, stored or copied at once
VECTOR = machine(lambda _target, item_bytes: VECTOR_BYTES // item_bytes)  # elements of it
GLOBAL, SHARED = 1, 3  # address spaces of memory


def on_a_gpu(*_):
    """The body of an intrinsic that nothing but a GPU has."""
    raise NotImplementedError("kernels/cuda/ runs on a GPU, or in the tests' PTX interpreter")


def _register(name):
    def lower(emitter):
        word = emitter.call(f"llvm.nvvm.read.ptx.sreg.{name}", emitter.integer(32), [])
        return emitter.builder.zext(word, emitter.integer(64))  # LLVM then sees that it is not < 0

    return lower


@intrinsic("int <- ")
def thread_index():
    """Which of its block's threads this is."""
    on_a_gpu()


@intrinsic("int <- ")
def block_index():
    """Which of the grid's blocks, along x."""
    on_a_gpu()


@intrinsic("int <- ")
def block_index_y():
    """Which of the grid's blocks, along y."""
    on_a_gpu()


thread_index.lowering(_register("tid.x"))
block_index.lowering(_register("ctaid.x"))
block_index_y.lowering(_register("ctaid.y"))


@intrinsic("int <- int")
def afresh(x):
    """The same number, of which LLVM does not know that it is. What a kernel computes of it after
    a loop it computes there, and keeps no registers for it throughout the loop."""
    on_a_gpu(x)


@afresh.lowering
def _(emitter, x):
    return emitter.assembly("mov.b64 $0, $1;", "=l,l", x.type, [x])


@intrinsic("void <- ")
def barrier():
    """Wait for all threads of the block; each then sees what the others wrote. Every thread must
    reach it: those beyond the last row too."""
    on_a_gpu()


@barrier.lowering
def _(emitter):
    emitter.call("llvm.nvvm.barrier0", emitter.void, [])


@intrinsic("alike <- any literal")
def shared_array(like, size):
    """Memory of the block, (size,), not cleared; its element type is that of `like`."""
    on_a_gpu(like, size)


@shared_array.lowering
def _(emitter, _like, _size):
    element, size = emitter.kinds
    return emitter.shared_array(element, size.literal_value)


@intrinsic("T <- T int")
def from_lane(x, distance):
    """The x of the lane of the warp whose number differs by the bits of `distance`. All lanes must
    be there."""
    on_a_gpu(x, distance)


@from_lane.lowering
def _(emitter, x, distance):
    builder, word = emitter.builder, emitter.integer(32)
    distance = builder.trunc(distance, word)

    def moved(bits):
        arguments = [word(ALL_LANES), bits, distance, word(WARP - 1)]
        return emitter.call("llvm.nvvm.shfl.sync.bfly.i32", word, arguments)

    if emitter.item_bytes == 4:
        return builder.bitcast(moved(builder.bitcast(x, word)), emitter.real)
    whole = builder.bitcast(x, emitter.bits)
    low, high = (moved(builder.trunc(builder.lshr(whole, emitter.bits(n)), word)) for n in (0, 32))
    high = builder.shl(builder.zext(high, emitter.bits), emitter.bits(32))
    return builder.bitcast(builder.or_(builder.zext(low, emitter.bits), high), emitter.real)


@intrinsic("int <- int int")
def int_from_lane(x, distance):
    """The same of a whole number."""
    on_a_gpu(x, distance)


@int_from_lane.lowering
def _(emitter, x, distance):
    builder, word, long = emitter.builder, emitter.integer(32), emitter.integer(64)
    distance = builder.trunc(distance, word)

    def moved(shift):
        bits = builder.trunc(builder.lshr(x, long(shift)), word)
        arguments = [word(ALL_LANES), bits, distance, word(WARP - 1)]
        return builder.zext(emitter.call("llvm.nvvm.shfl.sync.bfly.i32", word, arguments), long)

    return builder.or_(moved(0), builder.shl(moved(32), long(32)))


@intrinsic("four <- flat int")
def load_four(x, place):
    """x[place : place + 4], where x begins at a multiple of 16 bytes, and `place` is one of 4."""
    on_a_gpu(x, place)


@load_four.lowering
def _(emitter, x, place):
    builder, (data, _) = emitter.builder, emitter.array(x, emitter.kinds[0])
    kind = emitter.integer(1) if emitter.dtype == "b1" else data.type.pointee
    vector = emitter.load_vector(builder.gep(data, [place]), FOUR, _alignment(emitter))
    values = [builder.extract_element(vector, emitter.integer(32)(n)) for n in range(FOUR)]
    return emitter.tuple_of([_as_type(emitter, value, kind) for value in values])


@intrinsic("void <- flat int four")
def store_four(y, place, values):
    """y[place : place + 4] = values; likewise."""
    on_a_gpu(y, place, values)


@store_four.lowering
def _(emitter, y, place, values):
    builder, (data, _) = emitter.builder, emitter.array(y, emitter.kinds[0])
    elements = [builder.extract_value(values, n) for n in range(FOUR)]
    elements = [_as_type(emitter, element, emitter.real) for element in elements]
    emitter.store_vector(elements, builder.gep(data, [place]), _alignment(emitter))


def _alignment(emitter):
    """Of four elements: two loads of 16 bytes where they have 8."""
    return min(FOUR * emitter.item_bytes, VECTOR_BYTES)


def _as_type(emitter, value, kind):
    """The same element: vectors are made of floats where elements are integers of their size, and
    of bytes where they are booleans."""
    if value.type == kind:
        return value
    if emitter.dtype == "b1":
        change = emitter.builder.trunc if kind.width == 1 else emitter.builder.zext
        return change(value, kind)
    return emitter.builder.bitcast(value, kind)


@intrinsic("int <- any")
def address_of(x):
    """Where an array's first element lies."""
    on_a_gpu(x)


@address_of.lowering
def _(emitter, x):
    return emitter.builder.ptrtoint(emitter.array(x, emitter.kinds[0])[0], emitter.integer(64))


@intrinsic("int <- int")
def natural(x):
    """x, which is not negative: indices made of it are then not tested for that."""
    on_a_gpu(x)


@natural.lowering
def _(emitter, x):
    emitter.builder.assume(emitter.builder.icmp_signed(">=", x, emitter.integer(64)(0)))
    return x


@helper
def is_aligned(x):
    """Whether an array begins at a multiple of 16 bytes, so that four may be loaded at once."""
    return (address_of(x) & 15) == 0


@helper
def first_of_four(threads):
    """The first of the four neighbours that are this thread's: element after element of an array,
    four to a thread, `threads` threads to a block."""
    return (block_index() * threads + thread_index()) * FOUR


@intrinsic("void <- any int int")
def atomic_max(x, place, value):
    """x[place] = the larger of it and `value`, of whole numbers, whatever the order of threads."""
    on_a_gpu(x, place, value)


@atomic_max.lowering
def _(emitter, x, place, value):
    builder, (data, _) = emitter.builder, emitter.array(x, emitter.kinds[0])
    builder.atomic_rmw("max", builder.gep(data, [place]), value, "monotonic")


# ---- whole numbers


@intrinsic("int <- int int")
def quotient(a, b):
    """a // b, for a from 0 and b from 1 on: without tests for signs and zero, and of 32 bits where
    both have no more (LLVM tests that: a division of 64 bits takes some hundred instructions)."""
    return a // b


@quotient.lowering
def _(emitter, a, b):
    return emitter.builder.udiv(a, b)


# ---- 16 bytes at once, or as many of their elements as there are


@helper
def is_vectorised(x, columns):
    """Whether every row of `columns` elements begins at a multiple of 16 bytes."""
    return columns % VECTOR == 0 and is_aligned(x)


@intrinsic("vector <- flat int int int")
def load_vector(x, place, count, at_once):
    """x[place : place + VECTOR], of which the first `count` are there, and zeros for the others.
    If `at_once`, they begin at a multiple of 16 bytes, and all or none are there."""
    on_a_gpu(x, place, count, at_once)


@load_vector.lowering
def _(emitter, x, place, count, at_once):
    builder, kind, word = emitter.builder, emitter.integer(64), emitter.integer(32)
    data, _ = emitter.array(x, emitter.kinds[0])
    lanes = VECTOR_BYTES // emitter.item_bytes
    with builder.goto_entry_block():
        slots = [builder.alloca(emitter.real) for _ in range(lanes)]
    for slot in slots:
        builder.store(emitter.real(0), slot)
    with builder.if_else(builder.icmp_signed("!=", at_once, kind(0))) as (whole, single):
        with whole, builder.if_then(builder.icmp_signed(">", count, kind(0))):
            vector = emitter.load_vector(builder.gep(data, [place]), lanes, VECTOR_BYTES)
            for n, slot in enumerate(slots):
                builder.store(builder.extract_element(vector, word(n)), slot)
        with single:
            for n, slot in enumerate(slots):
                with builder.if_then(builder.icmp_signed(">", count, kind(n))):
                    address = builder.gep(data, [builder.add(place, kind(n))])
                    builder.store(builder.load(address), slot)
    return emitter.tuple_of([builder.load(slot) for slot in slots])


@intrinsic("void <- flat int vector int int")
def store_vector(y, place, values, count, at_once):
    """y[place : place + VECTOR] = values, of which only the first `count` have a place there; as
    `load_vector`."""
    on_a_gpu(y, place, values, count, at_once)


@store_vector.lowering
def _(emitter, y, place, values, count, at_once):
    builder, kind = emitter.builder, emitter.integer(64)
    data, _ = emitter.array(y, emitter.kinds[0])
    elements = [builder.extract_value(values, n) for n in range(VECTOR_BYTES // emitter.item_bytes)]
    with builder.if_else(builder.icmp_signed("!=", at_once, kind(0))) as (whole, single):
        with whole, builder.if_then(builder.icmp_signed(">", count, kind(0))):
            emitter.store_vector(elements, builder.gep(data, [place]), VECTOR_BYTES)
        with single:
            for n, element in enumerate(elements):
                with builder.if_then(builder.icmp_signed(">", count, kind(n))):
                    builder.store(element, builder.gep(data, [builder.add(place, kind(n))]))


# ---- copies from global to shared memory that go on by themselves (cp.async)


def _copy(emitter, target, place, x, first, count, nbytes):
    """One copy of `nbytes`: of the first `count` elements of as many, and zeros for the others. Of
    0 elements nothing is read, wherever `first` is."""
    builder, word = emitter.builder, emitter.integer(32)
    to = builder.gep(emitter.array(target, emitter.kinds[0])[0], [place])
    source = builder.gep(emitter.array(x, emitter.kinds[2])[0], [first])
    cache = "cg" if nbytes == VECTOR_BYTES else "ca"  # cg, past L1, is for 16 bytes only
    name = f"llvm.nvvm.cp.async.{cache}.shared.global.{nbytes}.s"
    valid = builder.mul(builder.trunc(count, word), word(emitter.item_bytes))
    arguments = [emitter.in_space(to, SHARED), emitter.in_space(source, GLOBAL), valid]
    emitter.call(name, emitter.void, arguments)


@intrinsic("void <- flat int flat int int")
def copy_vector(target, place, x, first, count):
    """Begin to copy x[first : first + count] to target[place:], and zeros up to VECTOR; both at a
    multiple of 16 bytes."""
    on_a_gpu(target, place, x, first, count)


@copy_vector.lowering
def _(emitter, target, place, x, first, count):
    _copy(emitter, target, place, x, first, count, VECTOR_BYTES)


@intrinsic("void <- flat int flat int int")
def copy_one(target, place, x, first, count):
    """Begin to copy x[first] to target[place], or zero if `count` is 0."""
    on_a_gpu(target, place, x, first, count)


@copy_one.lowering
def _(emitter, target, place, x, first, count):
    _copy(emitter, target, place, x, first, count, emitter.item_bytes)


@intrinsic("void <- ")
def commit_copies():
    """The copies that this thread has begun since the last time are a group."""
    on_a_gpu()


@commit_copies.lowering
def _(emitter):
    emitter.call("llvm.nvvm.cp.async.commit.group", emitter.void, [])


@intrinsic("void <- literal")
def wait_for_copies(groups_left):
    """Wait for this thread's groups of copies, but for the last `groups_left`."""
    on_a_gpu(groups_left)


@wait_for_copies.lowering
def _(emitter, _groups_left):
    groups_left = emitter.integer(32)(emitter.kinds[0].literal_value)
    emitter.call("llvm.nvvm.cp.async.wait.group", emitter.void, [groups_left])


__all__ = [
    "FOUR",
    "VECTOR",
    "VECTOR_BYTES",
    "WARP",
    "address_of",
    "afresh",
    "atomic_max",
    "barrier",
    "block_index",
    "block_index_y",
    "commit_copies",
    "copy_one",
    "copy_vector",
    "first_of_four",
    "flat",
    "from_lane",
    "int_from_lane",
    "is_aligned",
    "is_vectorised",
    "load_four",
    "load_vector",
    "natural",
    "on_a_gpu",
    "quotient",
    "shared_array",
    "store_four",
    "store_vector",
    "thread_index",
    "wait_for_copies",
]
