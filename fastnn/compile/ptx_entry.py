"""The entry point of a GPU's kernel, in LLVM IR.

Its parameters are the fields of the argument block that the CPU's entry point reads, so the block's
bytes are what a launch is given. Two more follow: the address of the step's status and the
instruction's number, shifted to where the status has it.

The status is two words: `first_failure`, all ones while nothing failed, and `stopped`. What a
thread returns goes into the first by an atomic minimum, with the instruction's number above it, so
that the lowest instruction's lowest place wins whatever the order of threads. An instruction whose
number is negative commits: it does nothing if an earlier one, or an earlier step, has failed.

A kernel that is declared `batched` has a second entry point, of several calls in one launch: what
the first takes as parameters it reads from a table, a row for each call, of which a block takes
that of its number along z. It too is given the status and a number, which it does not read.
"""

from typing import Any

from fastnn.kernels.declare import Kernel

BATCHED = "_batched"  # ends the name of the entry point of several calls
NUMBER_SHIFT = 48  # bits of a status; above them is the instruction's number
COMMITS = -(1 << 63)  # the bit of a number that says that the instruction commits
NO_FAILURE = -1  # all ones


def build(module: Any, name: str, kernel: Kernel, array: Any, call: Any) -> None:
    """Add it to an LLVM module, of which `array` and `call` are as in entry_point.py."""
    from llvmlite import ir

    word = ir.IntType(64)
    pointer = ir.PointerType(ir.IntType(8), addrspace=1)
    fields: list[Any] = []
    for p in kernel.parameters:
        if p.letters is not None:
            fields += [pointer, *[word] * len(p.letters)]
        else:
            fields.append(ir.DoubleType() if p.dtype == "float" else word)
    fields += [pointer, word]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), fields), name)
    for argument, kind in zip(function.args[:-2], fields, strict=False):
        if kind is pointer:
            argument.add_attribute("noalias")
    _fill(function, kernel, function.args, array, call)
    if kernel.batched:
        kind = ir.FunctionType(ir.VoidType(), [pointer, pointer, word])
        function = ir.Function(module, kind, name + BATCHED)
        _fill(function, kernel, _row(function, fields), array, call)


def _row(function, fields):
    """The fields of a block's row of the table."""
    from llvmlite import ir

    builder, word = ir.IRBuilder(function.append_basic_block()), ir.IntType(64)
    read = ir.FunctionType(ir.IntType(32), [])
    name = "llvm.nvvm.read.ptx.sreg.ctaid.z"
    known = function.module.globals.get(name)
    z = builder.call(known or ir.Function(function.module, read, name), [])
    row = builder.mul(builder.zext(z, word), word(8 * len(fields)))
    found = []
    for number, kind in enumerate(fields):
        place = builder.gep(function.args[0], [builder.add(row, word(8 * number))])
        own = ir.PointerType(ir.DoubleType() if kind == ir.DoubleType() else word, addrspace=1)
        loaded = builder.load(builder.bitcast(place, own))
        loaded.align = 8
        is_pointer = isinstance(kind, ir.PointerType)
        found.append(builder.inttoptr(loaded, kind) if is_pointer else loaded)
    return found


def _fill(function, kernel, fields, array, call):
    """Call the kernel with these fields, and put what it returns into the status."""
    from llvmlite import ir

    word = ir.IntType(64)
    function.calling_convention = "ptx_kernel"
    block = function.blocks[0] if function.blocks else function.append_basic_block()
    builder, given, values = ir.IRBuilder(block), iter(fields), []
    for number, p in enumerate(kernel.parameters):
        value = next(given)
        if p.letters is not None:
            shape = [next(given) for _ in p.letters]
            for extent in shape:
                builder.assume(builder.icmp_signed(">=", extent, word(0)))
            value = array(builder, number, value, shape)
        values.append(value)
    status = builder.bitcast(next(given), ir.PointerType(word, addrspace=1))
    number = next(given)
    own = builder.and_(number, word(~COMMITS))
    with builder.if_then(builder.icmp_signed("<", number, word(0))):
        failure, stopped = (builder.load(builder.gep(status, [word(n)])) for n in range(2))
        failure.align = stopped.align = 8
        skipped = builder.or_(
            builder.icmp_unsigned("<", failure, own), builder.icmp_signed("!=", stopped, word(0))
        )
        with builder.if_then(skipped, likely=False):
            builder.ret_void()
    found = call(builder, values)
    if not (isinstance(found, ir.Constant) and found.constant == 0):
        with builder.if_then(builder.icmp_unsigned("!=", found, word(0)), likely=False):
            builder.atomic_rmw("umin", status, builder.or_(found, own), "monotonic")
    builder.ret_void()
