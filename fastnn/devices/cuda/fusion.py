"""Calls that one kernel does: each launch of a step takes some microseconds, whatever it does.

    batch_norm, activation                batch_norm with the activation before y is stored
    softmax, cross-entropy of its result  both of a row at once

What is fused has the bits of the calls one after another.
"""

from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from typing import Any

from fastnn.buffer import Buffer
from fastnn.kernels.cuda.loops import flat_kernel
from fastnn.kernels.cuda.losses import softmax_cross_entropy_rows, softmax_loss_kernel
from fastnn.kernels.cuda.normalization import batch_norm_strips, strips_then
from fastnn.kernels.cuda.softmax import softmax_kernel
from fastnn.kernels.declare import Kernel
from fastnn.ops.elementwise import gradient_from_output
from fastnn.ops.record import Op
from fastnn.tape.instruction import Instruction

Readers = dict[Buffer, int]  # how many instructions read a buffer


def fused(instructions: Sequence[Instruction], kept: Collection[Buffer]) -> list[Instruction]:
    """The same step in fewer instructions. Buffers `kept` are read after it."""
    found = list(instructions)
    for number in range(len(found) - 1, 0, -1):
        second = found[number]
        rule = _rules().get(second.kernel)
        if rule is None:
            continue
        first = _maker(found, number, rule[0](second))
        one = None if first is None else rule[1](found[first], second, _readers(found, kept))
        if one is not None:
            found[number] = one
            del found[first]
    return found


def _maker(instructions, number, buffer):
    """The instruction that made a buffer, if nothing but that of this `number` touches what it
    made since."""
    for n in range(number - 1, -1, -1):
        i = instructions[n]
        if any(i.arguments[w].buffer is buffer for w in i.kernel.writes):
            made = {i.arguments[w].buffer for w in i.kernel.writes}
            between = {a.buffer for other in instructions[n + 1 : number] for _, a in other.tensors}
            return None if made & between else n
    return None


def _readers(instructions: Sequence[Instruction], kept: Collection[Buffer]) -> Readers:
    found: Readers = dict.fromkeys(kept, 1)
    for i in instructions:
        for n in i.kernel.reads:
            buffer = i.arguments[n].buffer
            found[buffer] = found.get(buffer, 0) + 1
    return found


Rule = tuple[
    Callable[[Instruction], Any],  # what the second reads of the first
    Callable[[Instruction, Instruction, Readers], Instruction | None],
]


@cache
def _rules() -> dict[Kernel, Rule]:
    """By the kernel of the second call."""
    rules: dict[Kernel, Rule] = {
        softmax_cross_entropy_rows: (lambda i: i.arguments[1].buffer, _softmax_and_loss)
    }
    for op in list(Op.known):
        if op.name in gradient_from_output and op.formula is not None and not op.formula.attributes:
            rule = partial(_norm_and_activation, op.formula.function)
            rules[flat_kernel(op.formula)] = lambda i: i.arguments[0].buffer, rule
    return rules


def _norm_and_activation(function, first, second, readers):
    if first.kernel is not batch_norm_strips:
        return None
    *given, y, mean, variance, mean_lo, rstd = first.arguments
    result = second.arguments[1]
    is_alone = readers.get(y.buffer) == 1 and y.buffer.address is None
    if not is_alone or second.arguments[0].buffer is not y.buffer:
        return None
    arguments = (*given, result.view(y.shape), mean, variance, mean_lo, rstd)
    return _joined(first, second, strips_then(function), arguments)


def _softmax_and_loss(first, second, readers):
    z, row_max, exp_sum, labels, loss = second.arguments
    if first.kernel is not softmax_kernel(z.shape[1]):
        return None
    x, p, *of_rows = first.arguments
    if x.buffer is not z.buffer or [a.buffer for a in of_rows] != [row_max.buffer, exp_sum.buffer]:
        return None
    arguments = z, labels, p, row_max, exp_sum, loss
    return _joined(first, second, softmax_loss_kernel(z.shape[1]), arguments)


def _joined(first, second, kernel, arguments):
    # what is reported is the second's, and is called as on the CPU
    name = second.name if second.kernel.reports else f"{first.name} and {second.name}"
    flops = first.flops + second.flops
    return Instruction(name, kernel, second.dtype, arguments, second.layers, flops)
