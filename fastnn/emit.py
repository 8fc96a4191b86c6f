"""The one way kernels are called: eager at once, in a recorder as an instruction."""

import struct
from typing import Any

from fastnn.buffer import Buffer
from fastnn.devices.cpu import call_once, entry
from fastnn.devices.cpu.memory import allocate
from fastnn.devices.cpu.program import argument_block
from fastnn.dtypes import LETTERS
from fastnn.errors import kernel_error
from fastnn.tape.instruction import NUMBERS, Instruction
from fastnn.tape.record import context


def new_buffer(nbytes: int) -> Buffer:
    """Memory for an output: at once, or, while recording, when the tape is planned."""
    recorder = context.recorder
    return allocate(nbytes) if recorder is None else Buffer(None, nbytes, None, 0, recorder)


def emit(name: str, kernel: Any, arguments: tuple, flops: float = 0) -> None:
    """Call a kernel, or write the call down."""
    dtype = "f4" if kernel.element is None else LETTERS[arguments[kernel.element].dtype]
    recorder = context.recorder
    if recorder is not None:
        layer = context.layers[-1] if context.layers else ""
        recorder.instructions.append(Instruction(name, kernel, dtype, arguments, layer, flops))
        return
    try:
        block = argument_block(kernel, arguments)
    except struct.error:
        raise next(
            a.buffer.unreadable()
            for a in arguments
            if not isinstance(a, NUMBERS) and a.buffer.address is None
        ) from None
    status = call_once(kernel.entries.get(dtype) or entry(kernel, dtype), block)
    if status:
        raise kernel_error(status, name, context.layers[-1] if context.layers else "")
