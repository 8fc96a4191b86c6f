"""What a recorded step is called with: which of its arguments are inputs, and what stands for them
while it is recorded."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from fastnn import config, tree
from fastnn.apply import apply
from fastnn.convert import as_numbers, nearest_type
from fastnn.dtypes import FLOATS
from fastnn.errors import DTypeError
from fastnn.tensor import Tensor, operand, shared
from fastnn.variable import Variable

CONSTANTS = {int, bool, str, bytes, type(None)}
# memory for an input: its number, shape, element type
Place: TypeAlias = Callable[[int, tuple[int, ...], np.dtype], Tensor]


class Argument(Tensor):
    """An array or a number among the arguments, or what was made of such alone: as when a function
    is called with arrays, its element type is that of what it meets. It has one of its own, with
    nothing to meet.

    strength: 2 if it was made by an op, 1 of an array, 0 of a number or a list (see
    `apply._common_type`); make: gives the same as another element type.
    """

    __slots__ = ("forms", "make", "strength")

    def __init__(self, tensor: Tensor, strength: int, make: Callable[[np.dtype], Tensor]):
        super().__init__(tensor.buffer, tensor.shape, tensor.dtype)
        self.node, self.place, self.requires_gradient = (
            tensor.node,
            tensor.place,
            tensor.requires_gradient,
        )
        self.strength, self.make = strength, make
        self.forms = {self.dtype: tensor}

    def as_type(self, dtype: np.dtype) -> Tensor:
        """The tensor that stands for it where one of this element type is wanted."""
        found = self.forms.get(dtype)
        if found is None:
            found = self.forms[dtype] = self.make(dtype)
        if self.requires_gradient and found is not self.forms[self.dtype]:
            raise DTypeError(
                f"an argument that is {self.dtype} meets tensors that are {dtype}, and has then "
                "no gradient: call the step with an "
                f"array that is {dtype}."
            )
        found.requires_gradient = self.requires_gradient
        return found

    @property
    def gradient(self) -> Tensor | None:
        return self.forms[self.dtype].gradient

    @gradient.setter
    def gradient(self, value: Any) -> None:
        self.forms[self.dtype].gradient = value

    def results(self, op: Any, given: tuple, attributes: dict, made: Any) -> Any:
        """What `op` made of arguments, arrays and numbers alone. As another element type it is made
        again."""

        def again(place, dtype):
            result = made if op.results == 1 else made[place]
            if result.dtype not in FLOATS:
                return result.astype(dtype)
            inputs = tuple([operand(x, op.fixed.get(i, dtype)) for i, x in enumerate(given)])
            found = apply(op, inputs, attributes)
            return found if op.results == 1 else found[place]

        has_type = any(
            [isinstance(x, np.ndarray) or (isinstance(x, Argument) and x.strength) for x in given]
        )
        found = [
            Argument(t, 2 * has_type, partial(again, n))
            for n, t in enumerate([made] if op.results == 1 else made)
        ]
        return found[0] if op.results == 1 else tuple(found)


class Shared(Tensor):
    """Another library's array on the GPU, which is to a recorded step what NumPy's is."""

    __slots__ = ()


class Listed(np.ndarray):
    """An array of what has no element type of its own: of a list, of a table."""


class Same:
    """Stands in a key for an object that is known by its identity."""

    def __init__(self, value: object):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Same) and other.value is self.value

    def __hash__(self):
        return id(self.value)


def signature(argument: Any, inputs: list) -> Any:
    """What a tape depends on of an argument, as a part of its key; what it copies of it is added to
    `inputs`."""
    kind = type(argument)
    if kind is Tensor:
        inputs.append(argument)
        return argument.shape, argument.dtype
    if kind is np.ndarray:
        inputs.append(argument)
        return argument.shape, argument.dtype, True
    if kind is float:
        inputs.append(argument)
        return float
    if kind in CONSTANTS:
        return kind, argument
    return _look_closer(argument, inputs)


def _look_closer(argument, inputs):
    kind, children = type(argument), tree.children(argument)
    if children is not None:
        return kind, *[(type(name), name, signature(child, inputs)) for name, child in children]
    if isinstance(argument, Variable):
        return kind, Same(argument)
    if isinstance(argument, Tensor):
        inputs.append(argument)
        return argument.shape, argument.dtype
    if isinstance(argument, np.integer | np.bool_):
        return kind, argument.item()
    if isinstance(argument, float | np.floating):
        inputs.append(argument)
        return float
    if isinstance(argument, np.ndarray):
        inputs.append(argument)
        return argument.shape, argument.dtype, True
    if (found := shared(argument, "an argument of a recorded step")) is not None:
        inputs.append(Shared(found.buffer, found.shape, found.dtype))
        return found.shape, found.dtype, True
    if isinstance(argument, list | tuple) or _is_array(argument):
        array = as_numbers(argument, "an argument of a recorded step").view(Listed)
        inputs.append(array)
        return array.shape, array.dtype, False
    try:
        hash(argument)
    except TypeError:
        return kind, Same(argument)
    return kind, argument


def _is_array(argument):
    """Whether NumPy takes it for an array: a table of pandas, a tensor of another library, a
    buffer."""
    if hasattr(type(argument), "__array__") or hasattr(type(argument), "__dlpack__"):
        return True
    try:
        memoryview(argument)
    except TypeError:
        return False
    return not isinstance(argument, bytes)


def filled(argument: Any, inputs: Iterator) -> Any:
    """An argument with the next ones of `inputs` in the place of what `signature` found."""

    def fill(leaf):
        own: list = []
        signature(leaf, own)
        return next(inputs) if own else leaf

    return tree.map(fill, argument)


def stand_ins(inputs: Iterable, place: Place, name: str) -> list[Tensor]:
    """What stands for each of a step's inputs: for a tensor one of its element type, for an array
    or a number an `Argument`."""
    return [_stand_in(number, value, place, name) for number, value in enumerate(inputs)]


def _stand_in(number, value, place, name):
    is_shared = isinstance(value, Shared)
    if isinstance(value, Tensor) and not is_shared:
        return place(number, value.shape, value.dtype)
    array = value if is_shared else as_numbers(value, f"argument of {name}")
    has_type = is_shared or (isinstance(value, np.ndarray) and not isinstance(value, Listed))
    dtype = (
        nearest_type(array.dtype, has_type)
        if has_type or isinstance(value, Listed)
        else np.dtype(config.floatx())
    )

    def make(other):
        if (
            other.kind in "biu" and dtype in FLOATS
        ):  # as of an array: the op that wants integers says so
            return own
        return place(number, array.shape, other)

    own = place(number, array.shape, dtype)
    return Argument(own, int(has_type and array.dtype in FLOATS), make)
