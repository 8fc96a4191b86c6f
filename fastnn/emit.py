"""The one way kernels are called: eager at once, in a recorder as an instruction."""

import struct
from typing import Any

from fastnn.buffer import Buffer
from fastnn.devices.arena import allocate_on
from fastnn.devices.cpu import call_once, entry
from fastnn.devices.cpu.memory import allocate
from fastnn.devices.cpu.program import argument_block
from fastnn.dtypes import LETTERS
from fastnn.errors import DTypeError, kernel_error
from fastnn.tape.instruction import NUMBERS, Instruction
from fastnn.tape.record import context


def new_buffer(nbytes: int, device: str = "cpu") -> Buffer:
    """Memory for an output: at once, or, while recording, when the tape is planned."""
    recorder = context.recorder
    if recorder is not None:
        return Buffer(None, nbytes, None, 0, recorder)
    return allocate(nbytes) if device == "cpu" else allocate_on(device, nbytes)


def emit(name: str, kernel: Any, arguments: tuple, flops: float = 0) -> None:
    """Call a kernel, or write the call down."""
    dtype = "f4" if kernel.element is None else LETTERS[arguments[kernel.element].dtype]
    recorder = context.recorder
    if recorder is not None:
        recorder.instructions.append(
            Instruction(name, kernel, dtype, arguments, context.layers, flops)
        )
        return
    if kernel.threads:  # of a GPU
        from fastnn.devices.cuda.calls import call_once as call_once_on_gpu

        call_once_on_gpu(name, kernel, dtype, arguments)
        return
    try:
        block = argument_block(kernel, arguments)
    except struct.error:
        buffers = [a.buffer for a in arguments if not isinstance(a, NUMBERS)]
        for buffer in buffers:
            if buffer.address is None:
                raise buffer.unreadable() from None
        raise DTypeError(
            f"{name}: it runs on the CPU, and something that it is given lies on the GPU. Move it: "
            "x.to('cpu')."
        ) from None
    status = call_once(kernel.entries.get(dtype) or entry(kernel, dtype), block)
    if status:
        raise kernel_error(status, name, context.layers[-1] if context.layers else "")
