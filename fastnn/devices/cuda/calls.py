"""Single launches: an eager op's kernel, at once."""

import struct
import threading
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from fastnn.compile.ptx_entry import NO_FAILURE
from fastnn.errors import kernel_error
from fastnn.kernels.declare import Kernel
from fastnn.tape.instruction import NUMBERS
from fastnn.tape.record import context

from .address import DeviceAddress
from .code import function_of
from .device import Device, device
from .memory import HostCopies, Memory, host_span


def grid_of(kernel: Kernel, arguments: Sequence[Any]) -> tuple[int, int, int]:
    """How many blocks along x, y and z: none, where there is nothing to do."""
    blocks = [-(-arguments[i].shape[axis] // grain) for _, grain, i, axis in kernel.split_axes]
    x, y, z = (*blocks, 1, 1, 1)[:3]
    return x, y, z


def packed(
    kernel: Kernel,
    arguments: Sequence[Any],
    address_of: Callable[[Any], int],
    status: int,
    number: int,
) -> bytes:
    """The parameters of a launch: the argument block, the status's address, the instruction's
    number."""
    fields: list[Any] = []
    for a in arguments:
        if isinstance(a, NUMBERS):
            fields.append(a)
        else:
            fields += [address_of(a), *a.shape]
    return kernel.block.pack(*fields) + struct.pack("qq", status, number)


class _Status(threading.local):
    """Two words on the GPU into which a thread's launches report."""

    memory: Memory | None = None

    def of(self, gpu: Device) -> Memory:
        """The words on a GPU."""
        if self.memory is None or self.memory.device is not gpu:
            self.memory = Memory(16)
            self.clear()
        return self.memory

    def clear(self) -> None:
        assert self.memory is not None
        self.memory.write(0, np.array([NO_FAILURE, 0], np.int64))


_status = _Status()


def call_once(name: str, kernel: Kernel, dtype: str, arguments: Sequence[Any]) -> None:
    """Launch a kernel. What it can report is waited for, and raised; else this returns at once."""
    grid = grid_of(kernel, arguments)
    if 0 in grid:
        return
    gpu = device()
    status = _status.of(gpu)
    touched = [
        (span, p)
        for p, a in zip(kernel.parameters, arguments, strict=True)
        if p.letters is not None and (span := host_span(a)) is not None
    ]
    copies = HostCopies([span for span, _ in touched])
    copies.send([span for span, p in touched if p.read])

    def address_of(argument):
        address = argument.buffer.address
        if isinstance(address, DeviceAddress):
            return address.value
        if address is None:
            raise argument.buffer.unreadable()
        return copies.address(address) if prod(argument.shape) else 0

    block = packed(kernel, arguments, address_of, status.address, 0)
    gpu.launch(function_of(kernel, dtype), grid, kernel.threads, block)
    copies.fetch([span for span, p in touched if p.written])
    if kernel.reports:
        found = int(status.read(0, (1,), np.int64)[0])
        if found != NO_FAILURE:
            _status.clear()
            raise kernel_error(found, name, context.layers[-1] if context.layers else "")
