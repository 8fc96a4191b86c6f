"""What kernels for a GPU are made of: which thread it is, memory that a block shares, barriers,
words passed between the threads of a warp, four neighbours at once, copies that go on by
themselves.

Write loops as `while`: a `range` with a step counts its turns beforehand, by a division. Name a
number before it is given to `shared_array` as a literal: an expression is none.
"""

from ..declare import helper, intrinsic
from ..intrinsics import flat

WARP = 32  # threads of a warp
ALL_LANES = 0xFFFFFFFF
FOUR = 4  # neighbours that a thread loads or stores at once
VECTOR_BYTES = 16  # alignment of what is loaded, stored or copied at once
GLOBAL, SHARED = 1, 3  # address spaces of memory


def _on_a_gpu(*_):
    raise NotImplementedError("kernels/cuda/ runs on a GPU, or in the tests' PTX interpreter")


def _register(name):
    def lower(emitter):
        word = emitter.call(f"llvm.nvvm.read.ptx.sreg.{name}", emitter.integer(32), [])
        return emitter.builder.zext(word, emitter.integer(64))  # LLVM then sees that it is not < 0

    return lower


@intrinsic("int <- ")
def thread_index():
    """Which of its block's threads this is."""
    _on_a_gpu()


@intrinsic("int <- ")
def block_index():
    """Which of the grid's blocks, along x."""
    _on_a_gpu()


@intrinsic("int <- ")
def block_index_y():
    """Which of the grid's blocks, along y."""
    _on_a_gpu()


thread_index.lowering(_register("tid.x"))
block_index.lowering(_register("ctaid.x"))
block_index_y.lowering(_register("ctaid.y"))


@intrinsic("void <- ")
def barrier():
    """Wait for all threads of the block; each then sees what the others wrote. Every thread must
    reach it: those beyond the last row too."""
    _on_a_gpu()


@barrier.lowering
def _(emitter):
    emitter.call("llvm.nvvm.barrier0", emitter.void, [])


@intrinsic("alike <- any literal")
def shared_array(like, size):
    """Memory of the block, (size,), not cleared; its element type is that of `like`."""
    _on_a_gpu(like, size)


@shared_array.lowering
def _(emitter, _like, _size):
    element, size = emitter.kinds
    return emitter.shared_array(element, size.literal_value)


@intrinsic("T <- T int")
def from_lane(x, distance):
    """The x of the lane of the warp whose number differs by the bits of `distance`. All lanes must
    be there."""
    _on_a_gpu(x, distance)


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
    _on_a_gpu(x, distance)


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
    _on_a_gpu(x, place)


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
    _on_a_gpu(y, place, values)


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
    _on_a_gpu(x)


@address_of.lowering
def _(emitter, x):
    return emitter.builder.ptrtoint(emitter.array(x, emitter.kinds[0])[0], emitter.integer(64))


@intrinsic("int <- int")
def natural(x):
    """x, which is not negative: indices made of it are then not tested for that."""
    _on_a_gpu(x)


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
    _on_a_gpu(x, place, value)


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


# ---- copies from global to shared memory that go on by themselves (cp.async)


def _copy(emitter, tile, place, x, first, count, bytes_each, times):
    """`times` copies of `bytes_each`: in all the first `count` of as many elements as that is, and
    zeros for the others."""
    builder, word = emitter.builder, emitter.integer(32)
    target, _ = emitter.array(tile, emitter.kinds[0])
    source, _ = emitter.array(x, emitter.kinds[2])
    target, source = builder.gep(target, [place]), builder.gep(source, [first])
    step = bytes_each // emitter.item_bytes
    kind = "cg" if bytes_each == VECTOR_BYTES else "ca"
    name = f"llvm.nvvm.cp.async.{kind}.shared.global.{bytes_each}.s"
    valid = builder.mul(builder.trunc(count, word), word(emitter.item_bytes))
    for n in range(times):
        here, zero, most = builder.sub(valid, word(n * bytes_each)), word(0), word(bytes_each)
        if times > 1:
            here = builder.select(builder.icmp_signed(">", here, zero), here, zero)
            here = builder.select(builder.icmp_signed(">", here, most), most, here)
        offset = [emitter.integer(64)(n * step)]
        to = emitter.in_space(builder.gep(target, offset), SHARED)
        of = emitter.in_space(builder.gep(source, offset), GLOBAL)
        emitter.call(name, emitter.void, [to, of, here])


@intrinsic("void <- flat int flat int int")
def copy_four(tile, place, x, first, count):
    """Begin to copy x[first : first + count] to tile[place:], and zeros up to four; both at a
    multiple of 16 bytes."""
    _on_a_gpu(tile, place, x, first, count)


@copy_four.lowering
def _(emitter, tile, place, x, first, count):
    times = FOUR * emitter.item_bytes // VECTOR_BYTES
    _copy(emitter, tile, place, x, first, count, VECTOR_BYTES, times)


@intrinsic("void <- flat int flat int int")
def copy_one(tile, place, x, first, count):
    """Begin to copy x[first] to tile[place], or zero if `count` is 0."""
    _on_a_gpu(tile, place, x, first, count)


@copy_one.lowering
def _(emitter, tile, place, x, first, count):
    _copy(emitter, tile, place, x, first, count, emitter.item_bytes, 1)


@intrinsic("void <- ")
def wait_for_copies():
    """Wait for the copies that this thread has begun."""
    _on_a_gpu()


@wait_for_copies.lowering
def _(emitter):
    emitter.call("llvm.nvvm.cp.async.wait.all", emitter.void, [])


__all__ = [
    "FOUR",
    "WARP",
    "address_of",
    "atomic_max",
    "barrier",
    "block_index",
    "block_index_y",
    "copy_four",
    "copy_one",
    "first_of_four",
    "flat",
    "from_lane",
    "int_from_lane",
    "is_aligned",
    "load_four",
    "natural",
    "quotient",
    "shared_array",
    "store_four",
    "thread_index",
    "wait_for_copies",
]
