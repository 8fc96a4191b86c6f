"""The entry point of a GPU's kernel, in LLVM IR.

Its parameters are the fields of the argument block that the CPU's entry point reads, so the block's
bytes are what a launch is given. Two more follow: the address of the step's status and the
instruction's number, shifted to where the status has it.

The status is two words: `first_failure`, all ones while nothing failed, and `stopped`. What a
thread returns goes into the first by an atomic minimum, with the instruction's number above it, so
that the lowest instruction's lowest place wins whatever the order of threads. An instruction whose
number is negative commits: it does nothing if an earlier one, or an earlier step, has failed.
"""

from typing import Any

from fastnn.kernels.declare import Kernel

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
    kind = ir.FunctionType(ir.VoidType(), [*fields, pointer, word])
    function = ir.Function(module, kind, name)
    function.calling_convention = "ptx_kernel"
    builder, given, values = ir.IRBuilder(function.append_basic_block()), iter(function.args), []
    for number, p in enumerate(kernel.parameters):
        value = next(given)
        if p.letters is not None:
            value.add_attribute("noalias")
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
