"""Tensors, their operators, and what ops remember of how a tensor was made."""

import itertools
from collections.abc import Iterator
from functools import lru_cache
from math import copysign, prod
from typing import Any

import numpy as np

from fastnn import config, dtypes, ops
from fastnn.buffer import Buffer
from fastnn.checks import flag
from fastnn.convert import as_array, as_numbers, on_gpu
from fastnn.devices.arena import Place, allocate_on, own_copy
from fastnn.devices.cpu.memory import address_of, buffer_of
from fastnn.errors import DTypeError, ShapeError, shape_text
from fastnn.operators import Operators
from fastnn.ops.arithmetic import cast
from fastnn.ops.movement import copy
from fastnn.ops.record import Op
from fastnn.tape.instruction import NUMBERS
from fastnn.tape.record import context, has_gradient

_numbers = itertools.count()


class Tensor(Operators):
    """An array that ops compute with: memory, shape and element type (float32, float64, int64,
    int32, uint8 or bool), and how it was computed.

    Ops never change their inputs, and every op returns fresh memory, except `reshape`, which shares
    it. `numpy()` reads a tensor; while a step is being recorded there is nothing to read yet, and
    that raises.

    A copy (copy.copy, copy.deepcopy, pickle) has values, in memory of its own, element type,
    `requires_gradient` and gradient; how it was computed is the original's alone, so the copy of a
    result requires no gradient.

    `+ - * / // % ** @`, `abs`, `round`, `[...]` and comparisons are NumPy's, element by element:
    `==` too, so tensors are told apart by `is`, and as members of a set or keys of a dictionary.
    `& | ^ ~` are for booleans. Where numbers are asked for, False is 0 and True is 1:
    `(x > 0) * x`. `[...]` copies, and has a gradient; an
    array of booleans in it, whose number of elements a recorded step cannot know, is taken eagerly
    only.

    >>> import fastnn
    >>> x = fastnn.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> (x @ x + 1.0).numpy()
    array([[ 8., 11.],
           [16., 23.]], dtype=float32)
    >>> print(x[::-1, 0] ** 2, x[0] == 2.0)
    [9. 1.] [False  True]
    """

    __slots__ = (
        "__weakref__",
        "_gradient",
        "_keras_mask",  # which parts count, if it has that: booleans; of losses and metrics
        "buffer",
        "dtype",
        "node",
        "place",
        "requires_gradient",
        "shape",
    )
    _keras_mask: Any
    # in setting the element type of an op: less for what a recorded step is given for an array or a
    # number
    strength = 3

    def __init__(self, buffer: Buffer, shape: tuple[int, ...], dtype: np.dtype):
        self.buffer, self.shape, self.dtype = buffer, shape, dtype
        self.node: Node | None = None  # the op that made it, of whose results it is number `place`
        self.place = 0
        self.requires_gradient = False
        self._gradient: Tensor | None = None

    @property
    def gradient(self) -> "Tensor | None":
        """The sum of what `backward` has found since it was cleared, for a tensor that was not
        computed from others; None if there is none. What is assigned takes its place."""
        return self._gradient if has_gradient(self) else None

    @gradient.setter
    def gradient(self, value: Any) -> None:
        has_gradient(self)  # which a step that is being recorded has to know
        self._gradient = None if value is None else gradient_for(self, value)

    __copy__ = own_copy

    def __getstate__(self) -> Any:
        state: Any = object.__getstate__(self)  # (attributes, slots)
        return state[0], {
            **state[1],
            "node": None,
            "requires_gradient": self.requires_gradient and self.node is None,
        }

    @property
    def device(self) -> str:
        """Where its values are: "cpu" or "cuda"."""
        return self.buffer.device

    def to(self, device: str) -> "Tensor":
        """The same values on a device, "cpu" or "cuda": itself, if they are there; else a copy,
        which is not computed from it as far as gradients go."""
        from fastnn.devices.choice import checked

        if checked("to", device) == self.device:
            return self
        result = Tensor(
            allocate_on(checked("to", device), self.buffer.nbytes), self.shape, self.dtype
        )
        result.buffer.write(self.buffer.array(self.shape, self.dtype))
        result.requires_gradient = self.requires_gradient and self.node is None
        return result

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def view(self, shape: tuple[int, ...]) -> "Tensor":
        """The same memory under another shape, for kernels; `ops.reshape` is the op."""
        return Tensor(self.buffer, shape, self.dtype)

    def flat(self) -> "Tensor":
        """The same memory as one row, for kernels."""
        return (
            self if len(self.shape) == 1 else Tensor(self.buffer, (prod(self.shape),), self.dtype)
        )

    def own(self) -> "Tensor":
        """A copy of the memory alone, on the device it is on."""
        memory = allocate_on(self.buffer.device, self.buffer.nbytes)
        memory.copy_from(self.buffer)
        return Tensor(memory, self.shape, self.dtype)

    def numpy(self) -> np.ndarray:
        """The values, copied."""
        return self.buffer.array(self.shape, self.dtype).copy()

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.numpy(), dtype)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """How CuPy, Numba and PyTorch share its memory on the GPU; a tensor on the CPU has none."""
        if self.device == "cpu":
            raise AttributeError("the tensor is on the CPU: x.to('cuda'), or x.numpy()")
        from fastnn.devices.cuda.arrays import described

        return described(self._readable(), self.shape, self.dtype)

    def __dlpack_device__(self) -> tuple[int, int]:
        """DLPack's kind of device, 1 for the CPU and 2 for CUDA, and its number."""
        from fastnn.devices.dlpack import PLACES

        return PLACES[self.device]

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A DLPack capsule of the memory, shared; of a copy, if `copy` is True or `dl_device` is
        another one.

        >>> import fastnn
        >>> import numpy
        >>> numpy.from_dlpack(fastnn.tensor([1.0, 2.0]))
        array([1., 2.], dtype=float32)
        """
        from fastnn.devices.dlpack import capsule, device_at

        device, source = self.device if dl_device is None else device_at(dl_device), self
        if device != self.device and copy is False:
            raise BufferError(f"__dlpack__: a tensor on {self.device!r} is on {device!r} if copied")
        if device != self.device or copy:
            source = self.to(device) if device != self.device else self.own()
        return capsule(source._readable(), self.shape, self.dtype, stream, max_version)

    def _readable(self):
        if self.buffer.owner is None:
            raise self.buffer.unreadable()
        return self.buffer

    def item(self) -> float | int:
        """The value of a tensor that has one element."""
        if self.size != 1:
            raise ShapeError(
                f"item: expected a tensor of one element; got shape {shape_text(self.shape)}"
            )
        return self.buffer.array((), self.dtype).item()

    def astype(self, dtype: Any) -> "Tensor":
        """The values as another element type, copied, with a gradient where both are floats. Floats
        become integers by rounding towards zero; all but 0 is True. What an integer of the type
        cannot be becomes any number."""
        return cast(self, dtype=dtype)

    def _number(self, what):
        if self.size != 1:
            raise TypeError(
                f"{what} of a tensor of shape {shape_text(self.shape)}: it must have one element. "
                "Use .numpy()."
            )
        return self.item()

    def __float__(self):
        return float(self._number("float()"))

    def __int__(self):
        return int(self._number("int()"))

    def __format__(self, spec):
        return format(self._number(f"format {spec!r}"), spec) if spec else str(self)

    def __bool__(self):
        if self.size != 1:
            raise ValueError(
                f"the truth of a tensor of shape {shape_text(self.shape)} is ambiguous. Use "
                ".numpy().any() or .numpy().all()."
            )
        return bool(self.item())

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of a tensor without dimensions")
        return self.shape[0]

    def __iter__(self) -> "Iterator[Tensor]":
        return (self[row] for row in range(len(self)))

    def __contains__(self, value):
        return bool((self == value).numpy().any())

    def __str__(self):
        return (
            repr(self)
            if self.buffer.owner is None
            else str(self.buffer.array(self.shape, self.dtype))
        )

    def __repr__(self):
        if self.buffer.owner is None:
            return f"<tensor {shape_text(self.shape)} {self.dtype}, no values>"
        values = self.buffer.array(self.shape, self.dtype)
        return f"<tensor {shape_text(self.shape)} {self.dtype}\n{values}>"

    def backward(self, gradient: Any = None) -> None:
        """Add the gradient of this number to that of every variable it was computed from.

        `gradient`, of this tensor's shape, is the upstream gradient; for one element it is 1.
        A variable used several times gets the sum. Gradients are added to until `optimizer.step()`
        or `variable.gradient = None` clears them.
        """
        from fastnn.autograd import backward

        backward(self, None if gradient is None else operand(gradient, self.dtype))

    @property
    def T(self) -> "Tensor":
        """The transpose, copied."""
        return ops.transpose(self)


class Masks:
    """Whether a tensor has a mask that layers pass on. As long as none has, they do not look."""

    exist = False


def mask_of(x: Any) -> Any:
    """The mask of a tensor, booleans that say which parts of it count, or None."""
    return getattr(x, "_keras_mask", None)


def set_mask(x: Tensor, mask: Any) -> None:
    """Let a tensor have a mask."""
    x._keras_mask = mask
    Masks.exist = True


class Node:
    """One op that was called: its inputs, and memory and shape of its outputs (not the tensors:
    they would hold each other). Where no gradient is wanted the inputs' own history is cut off, but
    losses still find their logits here."""

    __slots__ = ("attributes", "inputs", "layers", "number", "op", "outputs", "requires_gradient")

    def __init__(
        self,
        op: Op,
        inputs: tuple[Tensor, ...],
        outputs: list[Tensor],
        attributes: dict,
        requires_gradient: bool,
    ):
        self.op, self.attributes, self.number, self.layers = (
            op,
            attributes,
            next(_numbers),
            context.layers,
        )
        self.outputs = [(o.buffer, o.shape, o.dtype) for o in outputs]
        self.requires_gradient = requires_gradient
        self.inputs = inputs if requires_gradient else tuple([x.view(x.shape) for x in inputs])

    def outputs_as_tensors(self) -> list[Tensor]:
        return [Tensor(*o) for o in self.outputs]


def gradient_for(x: Tensor, value: Any) -> Any:
    """`value` as a gradient that is assigned to a tensor."""
    gradient = operand(value, x.dtype)
    if gradient.shape != x.shape or gradient.dtype != x.dtype:
        raise ShapeError(
            f"gradient of {getattr(x, 'name', 'a tensor')!r}: expected {shape_text(x.shape)} "
            f"{x.dtype}; got "
            f"{shape_text(gradient.shape)} {gradient.dtype}"
        )
    return (
        gradient
        if isinstance(value, Tensor) and not isinstance(value.buffer, Place)  # may be written over
        else copied(gradient)
    )


def copied(x: Tensor) -> Tensor:
    """The same values in memory of their own."""
    return copy(Tensor(x.buffer, x.shape, x.dtype))


def copy_to(x: Tensor, target: Tensor) -> None:
    """Write the values of `x` into the memory of `target`."""
    Op.run(copy, (Tensor(x.buffer, x.shape, x.dtype),), {}, (target,))


def tensor(value: Any, dtype: Any = None, requires_gradient: bool = False) -> Tensor:
    """A tensor of an array, a number or nested lists, copied. Of another library's array on the GPU
    (CuPy's, PyTorch's, whatever has `__cuda_array_interface__`) it lies there too.

    dtype: "float32", "float64", "int64", "int32", "uint8" or "bool"; None keeps one of these and
    makes float32 of Python's floats. requires_gradient: whether `backward` finds its gradient, for
    floats only.
    """
    expected = None if dtype is None else dtypes.expected(dtype, "tensor")
    found = shared(value, "tensor")
    if found is None:
        array = as_array(value, expected, "tensor")
        result = Tensor(allocate_on(context.device, array.nbytes), array.shape, array.dtype)
        result.buffer.write(array)
    else:
        result = found.own() if expected in (None, found.dtype) else cast(found, dtype=expected)
    if requires_gradient is not False:
        result.requires_gradient = flag("tensor: requires_gradient", requires_gradient)
        if requires_gradient and result.dtype not in dtypes.FLOATS:
            raise DTypeError(
                f"tensor: floats alone have gradients; got {result.dtype}. Pass dtype='float32'."
            )
    return result


def shared(value: Any, name: str) -> Tensor | None:
    """Another library's array on the GPU as a tensor of its memory; None of anything else."""
    found = on_gpu(value)
    if found is None:
        return None
    from fastnn.devices.cuda.arrays import borrowed

    return Tensor(*borrowed(value, found, name))


def operand(value: Any, dtype: np.dtype | None = None, name: str = "operand") -> Tensor:
    """What an op is given as a tensor, of element type `dtype`, or, for None, the process's; not
    copied if it can be shared. Floats stay floats where integers are asked for, for the op to say
    that it has no use for them. `name`: in errors, of what is given it."""
    if isinstance(value, Tensor):
        return value if value.strength == 3 else value.as_type(dtype or np.dtype(config.floatx()))  # type: ignore[attr-defined]
    dtype = dtype or np.dtype(config.floatx())
    if isinstance(value, NUMBERS) and (dtype.kind == "f" or not isinstance(value, float)):
        try:
            return _number(value, copysign(1.0, value), dtype)
        except OverflowError as error:
            raise OverflowError(f"{name}: {error}") from None
    if type(value) is np.ndarray and value.dtype == dtype and value.flags.c_contiguous:
        # a constant of the tape, which the user may write over
        array = value if context.recorder is None else value.copy()
    elif (found := shared(value, name)) is not None:
        if context.recorder is not None:
            found = found.own()
        fits = dtype.kind == "f" or found.dtype.kind != "f"
        return cast(found, dtype=dtype) if fits and found.dtype != dtype else found
    else:
        fits = dtype.kind == "f" or as_numbers(value, name).dtype.kind != "f"
        array = as_array(value, dtype if fits else None, name)
    return Tensor(buffer_of(array), array.shape, array.dtype)


@lru_cache(maxsize=256)
def _number(value, _sign, dtype):
    """A number as a tensor, kept, for the same ones come again and again; the sign tells 0.0 from
    -0.0."""
    try:
        with np.errstate(over="ignore"):
            array = np.array([value], dtype)
    except OverflowError:
        raise OverflowError(
            f"{value} is no {dtype}: convert what it is combined with first, as in "
            "x.astype('int64')"
        ) from None
    return Tensor(Buffer(address_of(array), dtype.itemsize, array.view(np.uint8), 0), (), dtype)
