"""Intrinsics of the replay loop: calling a kernel by its address, words shared between threads, the
processor's float mode."""

import ctypes

from ...declare import intrinsic, machine

callables = {}  # interpreted mode: what stands for the address of a kernel's entry point

# Denormal numbers are flushed to zero, as inputs and as results: the moments of dead units decay
# into them, and arithmetic with them takes ten times as long. x86: the default mode with
# flush-to-zero and denormals-are-zero; Arm: bit 24 of the control register.
FLUSH_DENORMALS = machine(
    lambda target, _item_bytes: 0x9FC0 if target.architecture == "x86_64" else 1 << 24
)


@intrinsic("int <- int int int int")
def call_kernel(function, block, thread, n_threads):
    """Call a kernel's entry point with its argument block; returns its status."""
    return callables[function](int(block), thread, n_threads)  # ctypes refuses NumPy's integers


@call_kernel.lowering
def _(emitter, function, block, thread, n_threads):
    from llvmlite import ir

    word = ir.IntType(64)
    pointer = emitter.builder.inttoptr(function, ir.FunctionType(word, [word] * 3).as_pointer())
    return emitter.builder.call(pointer, [block, thread, n_threads])


def _word(emitter, address):
    from llvmlite import ir

    return emitter.builder.inttoptr(address, ir.IntType(64).as_pointer())


def _element(emitter, words, index):
    data, _ = emitter.array(words, emitter.kinds[0])
    return emitter.builder.gep(data, [index])


@intrinsic("void <- int int")
def add_to_word(address, value):
    """Add to the 8-byte integer at an address."""
    ctypes.c_int64.from_address(int(address)).value += int(value)


@add_to_word.lowering
def _(emitter, address, value):
    pointer = _word(emitter, address)
    emitter.builder.store(emitter.builder.add(emitter.builder.load(pointer), value), pointer)


@intrinsic("void <- int int")
def set_word(address, value):
    """Write the 8-byte integer at an address."""
    ctypes.c_int64.from_address(int(address)).value = int(value)


@set_word.lowering
def _(emitter, address, value):
    emitter.builder.store(value, _word(emitter, address))


@intrinsic("int <- any int int")
def atomic_add(words, index, value):
    """Add to an element that other threads write too; returns what it was."""
    before = words[index]
    words[index] += value
    return before


@atomic_add.lowering
def _(emitter, words, index, value):
    return emitter.builder.atomic_rmw("add", _element(emitter, words, index), value, "acq_rel")


@intrinsic("int <- any int")
def atomic_load(words, index):
    """Read an element; what its writer wrote before it is then seen too."""
    return words[index]


@atomic_load.lowering
def _(emitter, words, index):
    return emitter.builder.load_atomic(_element(emitter, words, index), "acquire", 8)


@intrinsic("void <- any int int")
def atomic_store(words, index, value):
    """Write an element after everything written before."""
    words[index] = value


@atomic_store.lowering
def _(emitter, words, index, value):
    emitter.builder.store_atomic(value, _element(emitter, words, index), "release", 8)


@intrinsic("void <- ")
def spin_pause():
    """Tell the processor that this is a waiting loop."""


@spin_pause.lowering
def _(emitter):
    from llvmlite import ir

    if emitter.target.architecture == "x86_64":
        emitter.call("llvm.x86.sse2.pause", ir.VoidType(), [])
    elif emitter.target.architecture == "aarch64":
        emitter.call("llvm.aarch64.hint", ir.VoidType(), [ir.Constant(ir.IntType(32), 1)])


@intrinsic("int <- int")
def exchange_float_mode(mode):
    """Set the control word of the floating-point unit; returns what it was."""
    return mode


@exchange_float_mode.lowering
def _(emitter, mode):
    from llvmlite import ir

    builder, i32, i64 = emitter.builder, ir.IntType(32), ir.IntType(64)
    if emitter.target.architecture == "x86_64":
        place = builder.alloca(i32)
        address = builder.bitcast(place, ir.IntType(8).as_pointer())
        emitter.call("llvm.x86.sse.stmxcsr", ir.VoidType(), [address])
        before = builder.load(place)
        builder.store(builder.trunc(mode, i32), place)
        emitter.call("llvm.x86.sse.ldmxcsr", ir.VoidType(), [address])
        return builder.zext(before, i64)
    if emitter.target.architecture == "aarch64":
        before = emitter.call("llvm.aarch64.get.fpcr", i64, [])
        emitter.call("llvm.aarch64.set.fpcr", ir.VoidType(), [mode])
        return before
    return mode
