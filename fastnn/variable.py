"""Variables: tensors that a model learns or keeps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastnn import checks, config, dtypes, ops, registry
from fastnn.buffer import whole_lines
from fastnn.convert import as_array, own_type
from fastnn.declared import as_declared
from fastnn.devices.arena import Arena, Place
from fastnn.dtypes import INT32, INT64
from fastnn.errors import DTypeError, ShapeError, shape_text
from fastnn.ops.movement import take_gradient
from fastnn.ops.record import Op
from fastnn.tape.record import context, has_gradient, outside_the_step
from fastnn.tensor import Tensor, copied, copy_to, gradient_for, operand
from fastnn.watch import moved


def _values(initializer, shape, dtype, trainable, owner):
    """The first values of a variable, as an array."""
    if not isinstance(initializer, str | dict) and not callable(initializer):
        if dtype is None:
            dtype = np.dtype(config.floatx())
            if not trainable and not isinstance(initializer, float):
                own = own_type(initializer, owner)
                dtype = dtype if own.kind == "f" else own
                if own == INT64 and isinstance(initializer, int):
                    dtype = INT32
        array = as_array(initializer, dtype, owner)
        if shape is not None and array.shape != checks.extents(owner, shape):
            raise ShapeError(
                f"{owner}: expected values of shape {shape}; got {shape_text(array.shape)}"
            )
        return array
    if shape is None:
        raise ValueError(f"{owner}: an initializer needs a shape: pass shape=")
    shape, dtype = checks.extents(owner, shape), dtype or np.dtype(config.floatx())
    with outside_the_step():
        made = registry.kind("initializers").get(initializer, owner)(shape, dtype=dtype)
        array = as_array(made.numpy() if isinstance(made, Tensor) else made, dtype, owner)
    if array.shape != shape:
        raise ShapeError(
            f"{owner}: the initializer gave shape {shape_text(array.shape)}, not "
            f"{shape_text(shape)}"
        )
    return array


class Rows(NamedTuple):
    """A gradient of some rows of a variable: the sum of dy (..., D) wherever index (...) names a
    row, for each pair."""

    pairs: list[tuple[Tensor, Tensor]]

    def joined(self, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """index (N,) and dy (N, ...) of all, for a variable of this shape."""
        index = [i.view((i.size,)) for i, _ in self.pairs]
        dy = [d.view((i.size, *shape[1:])) for i, d in self.pairs]
        if len(index) == 1:
            return index[0], dy[0]
        return ops.concatenate(index, axis=0), ops.concatenate(dy, axis=0)


class Variable(Tensor):
    """A tensor that a model learns or keeps. Its address never changes; its gradient has memory of
    its own. Arguments are Keras's.

    initializer: values, or with a `shape` the name of an initializer, an initializer, or a function
    of (shape, dtype). dtype: None is `config.floatx()`; of values that are not trained, and no
    floats, their own. autocast, aggregation, synchronization: Keras's for half precision and
    several machines; they change nothing.

    >>> import fastnn
    >>> count = fastnn.Variable(0, trainable=False, name="count")
    >>> count.assign_add(2)
    >>> count.numpy()
    array(2, dtype=int32)
    >>> fastnn.Variable("ones", (2,)).numpy()
    array([1., 1.], dtype=float32)
    """

    __slots__ = (
        "_trainable", "chunk", "constraint", "name", "offset", "regularizer", "sparse_gradient",
    )  # fmt: skip

    @as_declared
    def __init__(
        self,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str = "none",
        synchronization: str = "auto",
        name: str | None = "variable",
        arena: Arena | None = None,
    ):
        name = "variable" if name is None else name
        owner = f"variable {name!r}"
        dtype = None if dtype is None else dtypes.expected(dtype, owner)
        trainable = bool(trainable)
        array = _values(initializer, shape, dtype, trainable, owner)
        if trainable and array.dtype not in dtypes.FLOATS:
            raise DTypeError(
                f"{owner}: {array.dtype} has no gradient to learn from. Pass trainable=False."
            )
        self.chunk, self.offset = (arena or Arena(chunk_bytes=0)).place(array.nbytes, trainable)
        super().__init__(Place(self.chunk, self.offset, array.nbytes), array.shape, array.dtype)
        self.name, self.trainable = name, trainable
        # of what an optimizer makes of it: a function of a tensor, by ops
        self.constraint: Callable[[Tensor], Tensor] | None = None
        self.regularizer: Callable[[Tensor], Any] | None = None  # whose number the loss has added
        self.sparse_gradient = False  # whether that of rows which are taken is those rows, Rows
        self.buffer.write(array)

    @property
    def trainable(self) -> bool:
        """Whether it is learned, as long as its layer is. Assigning it sets `requires_gradient`."""
        if context.reads is not None:
            context.reads.trainable_read[id(self)] = self
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = checks.flag(f"variable {self.name!r}: trainable", value)
        self._trainable = self.requires_gradient = value

    def move(self, arena: Arena) -> None:
        """Lie in another arena, with the gradient, if there is one, and what optimizers keep; tapes
        are recorded anew."""
        if self.chunk.device == arena.device:
            return
        values, before, start, gradient = self.numpy(), self.chunk, self.offset, self.gradient
        nbytes = self.buffer.nbytes
        self.chunk, self.offset = arena.place(nbytes, self._trainable)
        before.moved_away += whole_lines(nbytes)
        for mirrors in list(before.kept.values()):
            mirrors.follow(before, start, self.chunk, self.offset, nbytes)
        self.buffer = Place(self.chunk, self.offset, nbytes)
        self.buffer.write(values)
        if gradient is not None:
            self._gradient = self.mirror("gradient")
            self._gradient.buffer.write(gradient.numpy())
        moved()

    def mirror(self, key: object) -> Tensor:
        """Memory of this variable's shape, zeroed when first asked for: its gradient, an
        optimizer's moment."""
        return Tensor(
            Place(self.chunk, self.offset, self.buffer.nbytes, key), self.shape, self.dtype
        )

    @property
    def gradient(self) -> Tensor | None:
        """As any tensor's. It keeps its values, whatever later steps do."""
        return copied(self.dense_gradient()) if has_gradient(self) else None

    @gradient.setter
    def gradient(self, value: Any) -> None:
        has_gradient(self)
        slot = None
        if value is not None:
            given, slot = gradient_for(self, value), self.mirror("gradient")
            copy_to(given, slot)
        self._gradient = slot

    def dense_gradient(self) -> Tensor:
        """The gradient that it has, of all rows from now on."""
        slot, found = self.mirror("gradient"), self._gradient
        if isinstance(found, Rows):
            index, dy = found.joined(self.shape)
            given = {"shape": self.shape, "axis": 0}
            Op.run(take_gradient, (index, dy), given, (slot,))
            self._gradient = slot
        return slot

    def assign(self, value: Any) -> None:
        """Put values in, of the variable's shape; one number is put everywhere. Within a recorded
        step this is one of its calls, and what the step reads afterwards are these values."""
        owner = f"variable {self.name!r}"
        if context.recorder is None and not isinstance(value, Tensor):
            array = as_array(value, self.dtype, owner)
            self._expect_shape(array.shape)
            self.chunk.turn.run(self.buffer.write, np.broadcast_to(array, self.shape))
            return
        tensor = operand(value, self.dtype, owner)
        if tensor.dtype != self.dtype:
            tensor = tensor.astype(self.dtype)
        self._expect_shape(tensor.shape)
        if tensor.shape != self.shape:
            tensor = ops.add(tensor, operand(np.zeros(self.shape, self.dtype), self.dtype))
        if context.recorder is None:
            self.chunk.turn.run(copy_to, tensor, self)
        else:
            copy_to(tensor, self)

    def assign_add(self, value: Any) -> None:
        """Add values to it."""
        self.assign(self._other(value, ops.add))

    def assign_sub(self, value: Any) -> None:
        """Subtract values from it."""
        self.assign(self._other(value, ops.subtract))

    def _other(self, value, op):
        if isinstance(value, Tensor) and value.dtype != self.dtype:
            value = value.astype(self.dtype)
        return op(self.view(self.shape), operand(value, self.dtype, f"variable {self.name!r}"))

    def _expect_shape(self, shape):
        if shape not in (self.shape, ()):
            raise ShapeError(
                f"variable {self.name!r} has shape {shape_text(self.shape)}; got values of "
                f"{shape_text(shape)}"
            )

    @property
    def value(self) -> Tensor:
        """The variable itself, for it is a tensor."""
        return self

    def __repr__(self):
        values = self.buffer.array(self.shape, self.dtype)
        return f"<variable {self.name!r} {shape_text(self.shape)} {self.dtype}\n{values}>"


TENSORS = {Tensor, Variable}
