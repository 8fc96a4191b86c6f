"""Notes the launches that an op would make on a GPU, and the memory that they are of."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from fastnn.buffer import Buffer
from fastnn.compile.names import symbol
from fastnn.devices.cuda.address import DeviceAddress
from fastnn.devices.cuda.calls import grid_of, packed
from fastnn.devices.launchers import launcher
from fastnn.dtypes import LETTERS
from fastnn.kernels.declare import Kernel
from fastnn.ops.record import Constant, Op
from fastnn.tensor import Tensor

Forms = dict[str, tuple[Kernel, str]]  # kernel and element type, by symbol
NUMBER_SHIFT = 44  # of an address here: the number of the memory, and below it the byte


class Launches:
    """What a launcher is given as `call`. `memories` are all arrays, by number: shape, element
    type, and the values of those that are constants; `made` the launches, as `run` reads them."""

    def __init__(self) -> None:
        self.memories: list[tuple[tuple[int, ...], np.dtype, np.ndarray | None]] = []
        self.made: list[dict[str, Any]] = []
        self.forms: Forms = {}
        self.read: set[int] = set()  # memories that kernels read
        self.numbers: dict[int, int] = {}  # of constants

    def place(self, shape: tuple[int, ...], dtype: np.dtype) -> Tensor:
        """A tensor in memory of its own."""
        address = DeviceAddress(len(self.memories) << NUMBER_SHIFT)
        self.memories.append((shape, dtype, None))
        return Tensor(Buffer(address, prod(shape) * dtype.itemsize, self, 0), shape, dtype)

    scratch = place

    @staticmethod
    def constant(array: np.ndarray) -> Constant:
        return Constant(array)

    def __call__(self, kernel: Kernel, *arguments: Any) -> None:
        grid = grid_of(kernel, arguments)
        if 0 in grid:
            return
        dtype = "f4" if kernel.element is None else LETTERS[arguments[kernel.element].dtype]
        name = symbol(kernel, dtype)
        self.forms[name] = kernel, dtype
        addresses, slot = [], 0
        for p, a in zip(kernel.parameters, arguments, strict=True):
            if p.letters is not None:
                place = self._place(a)
                number = place >> NUMBER_SHIFT
                addresses.append([slot, number, place - (number << NUMBER_SHIFT)])
                if p.read:
                    self.read.add(number)
            slot += 1 + len(p.letters or ())
        block = packed(kernel, arguments, lambda argument: 0, 0, 0)
        self.made.append(
            {
                "kernel": name,
                "grid": grid,
                "threads": kernel.threads,
                "block": block.hex(),
                "addresses": addresses,
            }
        )

    def _place(self, argument):
        if not isinstance(argument, Constant):
            return argument.buffer.address.value
        if id(argument) not in self.numbers:
            self.numbers[id(argument)] = len(self.memories)
            self.memories.append((argument.shape, argument.dtype, argument.array))
        return self.numbers[id(argument)] << NUMBER_SHIFT


def launches_of(
    op: Op, inputs: Sequence[Any], outputs: Sequence[Any], attributes: Mapping[str, Any]
) -> Launches:
    """Those of an op. Of its inputs and outputs, which are the first memories, shape and element
    type are asked for; None stands for an input that was left out."""
    noted = Launches()
    given = [None if x is None else noted.place(x.shape, x.dtype) for x in inputs]
    given += [None] * (op.arity - len(given))
    made = [noted.place(y.shape, y.dtype) for y in outputs]
    launcher(op, "cuda")(noted, *given, *made, **attributes)
    return noted
