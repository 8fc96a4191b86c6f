"""Tensors without values, of which models are built: a layer or an op that is called on one notes
the call, and gives what stands for its results."""

import re
import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastnn import config, dtypes, ops, tree
from fastnn.buffer import Buffer
from fastnn.devices.arena import Arena
from fastnn.errors import RecordingError, ShapeError, shape_text
from fastnn.locks import making
from fastnn.operators import Operators
from fastnn.ops.arithmetic import cast
from fastnn.ops.functions import Symbolic
from fastnn.registry import unique_name
from fastnn.tape.record import Recorder, context, outside_the_step
from fastnn.tensor import Tensor, mask_of, set_mask

Shape = tuple[int | None, ...]
# What extents that may be any are taken for while shapes are worked out: those of results that
# differ between the two depend on them. Primes, so that none is a product of others' extents, and
# far apart, so that windows that begin every so many elements differ in number.
EXTENTS = (1009, 2003)
SEQUENCES = (list, tuple)


class _Draft(threading.local):
    arena: Arena | None = None
    traces: int = 0  # calls that are traced, each within the one before


_draft = _Draft()


def is_traced() -> bool:
    """Whether what is called now is called for its shapes alone, extents that may be any among
    them."""
    return _draft.traces > 0


def draft_arena() -> Arena:
    """Where weights lie of what is being built: those of layers called on inputs that were made
    one after another lie together, until a model is made of them."""
    if _draft.arena is None or _draft.arena.device != context.device:
        _draft.arena = Arena()
    return _draft.arena


def end_draft() -> None:
    """A model is made: the weights of the next one lie elsewhere."""
    _draft.arena = None


class Node:
    """One call of a layer or an op on symbolic tensors: what was called, with what, and the tensors
    that stand for its results."""

    __slots__ = ("arguments", "number", "operation", "results")

    def __init__(self, operation: Any, arguments: tuple[tuple, dict], results: Any):
        self.operation, self.arguments, self.results = operation, arguments, results
        self.number = len(operation._nodes.calls)  # among those of its operation
        operation._nodes.calls.append(self)

    @property
    def is_input(self) -> bool:
        """Whether it stands for what a model is given."""
        return not self.parents

    @property
    def parents(self) -> "list[KerasTensor]":
        """The symbolic tensors among what was given."""
        return [t for t in tree.flatten(self.arguments) if isinstance(t, KerasTensor)]

    @property
    def outputs(self) -> "list[KerasTensor]":
        return tree.flatten(self.results)

    def note(self) -> None:
        """Let the results say that they are of this call."""
        arena = arena_of(self.parents)
        for place, tensor in enumerate(self.outputs):
            tensor.node, tensor.place, tensor.arena = self, place, arena


class Nodes:
    """The calls of a layer. A copy of the layer has none."""

    def __init__(self) -> None:
        self.calls: list[Node] = []

    def __deepcopy__(self, memo):
        return Nodes()

    def __reduce__(self):
        return Nodes, ()


class Operation:
    """An op, or another function of tensors, that was called on symbolic ones, by the name that it
    has in a model."""

    def __init__(self, function: Callable, name: str | None = None):
        self.function, self._nodes = function, Nodes()
        base: str = getattr(function, "__name__", type(function).__name__)
        self.name = name or unique_name("get_item" if base == "getitem" else base)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if is_symbolic((args, kwargs)):
            return symbolic_call(self, args, kwargs)
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


class KerasTensor(Operators):
    """What stands for a tensor while a model is built: its shape, in which None is any extent, its
    element type and how it is computed, but no values. `Input` gives one; layers, functions of
    `fastnn.ops` and operators give others of it, of which `Model` makes a model.

    >>> import fastnn
    >>> x = fastnn.Input((3,))
    >>> y = fastnn.ops.relu(2.0 * x[:, :2])
    >>> y.shape
    (None, 2)
    >>> fastnn.Model(x, y)([[1.0, -2.0, 3.0]]).numpy()
    array([[2., 0.]], dtype=float32)
    """

    def __init__(self, shape: Any, dtype: Any = None, name: str | None = None):
        self.shape: Shape = tuple(shape)
        self.dtype = dtypes.expected(dtype or config.floatx(), "KerasTensor")
        self.name = name or unique_name("keras_tensor")
        self.node: Node | None = None  # the call it is a result of, number `place` of them
        self.place = 0
        self.mask_spec: Spec | None = None  # what is known of its mask
        self.arena: Arena | None = None  # of the weights of layers that are called on it
        Symbolic.exist = True

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def _keras_mask(self) -> Any:
        """What stands for its mask, or None."""
        if self.mask_spec is None:
            return None
        return symbolic_call(Operation(mask_of, "mask"), (self,), {}, self.mask_spec)

    @property
    def T(self) -> Any:
        """The transpose."""
        return ops.transpose(self)

    def astype(self, dtype: Any) -> Any:
        """As another element type, as `Tensor.astype`."""
        return cast(self, dtype=dtype)

    def reshape(self, *shape: Any) -> Any:
        """Under another shape, as `ops.reshape`."""
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)

    def __getitem__(self, key):
        from fastnn.indexing import getitem

        return symbolic_call(Operation(getitem), (self, key), {})

    def _refused(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            f"{self!r} has no values: it stands for a tensor in a model. Call layers, functions of "
            "fastnn.ops and operators on it; what needs values or a loop over them goes into the "
            "call of a layer of one's own."
        )

    __array__ = __bool__ = __int__ = __float__ = __iter__ = __len__ = __contains__ = _refused
    __index__ = __round__ = numpy = item = backward = _refused

    def __repr__(self) -> str:
        shape = "(" + ", ".join(map(str, self.shape)) + ("," if self.ndim == 1 else "") + ")"
        return f"<KerasTensor shape={shape}, dtype={self.dtype}, name={self.name}>"


class Spec:
    """Shape and element type of a tensor, and those of its mask, if it has one."""

    __slots__ = ("dtype", "mask", "shape")

    def __init__(self, shape: Shape, dtype: np.dtype, mask: "Spec | None" = None):
        self.shape, self.dtype, self.mask = shape, dtype, mask

    def __repr__(self) -> str:
        return f"{shape_text(self.shape)} {self.dtype}"


def is_symbolic(value: Any) -> bool:
    """Whether a value is a symbolic tensor, or a list, tuple or dictionary that holds one."""
    if isinstance(value, SEQUENCES):
        return any(map(is_symbolic, value))
    if isinstance(value, dict):
        return any(map(is_symbolic, value.values()))
    return isinstance(value, KerasTensor)


def symbolic_call(operation: Any, args: tuple, kwargs: dict, specs: Any = None) -> Any:
    """Note a call of a layer or an `Operation`; what stands for its results. specs: what has the
    shape and element type of each, if they are known."""
    specs = inferred(operation, args, kwargs) if specs is None else specs

    def stands_for(spec):
        tensor = KerasTensor(spec.shape, spec.dtype)
        tensor.mask_spec = getattr(spec, "mask", None)
        return tensor

    results = tree.map(stands_for, specs)
    Node(operation, (args, kwargs), results).note()
    return results


def arena_of(tensors: Iterable[Any]) -> Arena | None:
    """That of the first of symbolic tensors which has one."""
    return next((t.arena for t in tensors if getattr(t, "arena", None) is not None), None)


def inferred(operation: Any, args: tuple, kwargs: dict) -> Any:
    """A `Spec` in the place of each tensor that a call gives: found by calling it without
    computing, with one extent and with another where any may be."""
    return _specs(operation.name, _traces(operation, args, kwargs))


def _traces(operation, args, kwargs):
    """What a call gives, once or for two extents."""
    given = [t for t in tree.flatten((args, kwargs)) if isinstance(t, KerasTensor)]
    extents = EXTENTS if any([None in t.shape for t in given]) else EXTENTS[:1]
    return [_traced(operation, args, kwargs, extent, True)[0] for extent in extents]


def _specs(name, traces):
    def common(x, *others):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{name}: of symbolic tensors, it must return tensors, or lists, tuples and "
                f"dictionaries of them; got {type(x).__name__}"
            )
        if any([other.ndim != x.ndim for other in others]):
            raise ShapeError(
                f"{name}: how many dimensions its result has depends on an extent that may be any"
            )
        masks = [mask_of(t) for t in (x, *others)]
        shape = _common_shape(x.shape, *[other.shape for other in others])
        return Spec(shape, x.dtype, None if None in masks else common(*masks))

    return tree.map(common, *traces)


def _common_shape(*shapes):
    return tuple([e[0] if len(set(e)) == 1 else None for e in zip(*shapes, strict=True)])


def instructions_of(operation: Any, args: tuple) -> list[Any]:
    """The kernel calls of a call where every extent that may be any is 1."""
    return _traced(operation, args, {}, 1)[1].instructions


def _traced(operation, args, kwargs, extent, only_shapes=False):
    """What the call gives where every extent that may be any is this one: tensors without memory,
    as of a step that is recorded; and the recorder."""

    def stand_in(value):
        if not isinstance(value, KerasTensor | Spec):
            return value
        shape = tuple([extent if e is None else e for e in value.shape])
        nbytes = int(np.prod(shape, dtype=np.int64)) * value.dtype.itemsize
        tensor = Tensor(Buffer(None, nbytes, None, 0, recorder), shape, value.dtype)
        mask = value.mask_spec if isinstance(value, KerasTensor) else value.mask
        if mask is not None:
            set_mask(tensor, stand_in(mask))
        return tensor

    with making, outside_the_step():
        recorder = Recorder(operation.name, getattr(operation, "device", None), only_shapes)
        gradients, context.gradients = context.gradients, False
        _draft.traces += 1
        try:
            with recorder:
                args, kwargs = tree.map(stand_in, (args, kwargs))
                results = operation(*args, **kwargs)
        except RecordingError as error:
            raise RecordingError(
                f"{operation.name}: called on symbolic tensors, which have no values. {error}"
            ) from None
        except Exception as error:
            if error.args and isinstance(error.args[0], str):
                error.args = (re.sub(rf"\b{extent}\b", "any", error.args[0]), *error.args[1:])
            raise
        finally:
            _draft.traces -= 1
            context.gradients = gradients
            if not isinstance(operation, Operation):
                operation._clear_losses()
        recorder.restore_gradients()
    return results, recorder


def expected_shape(shape: Shape, expected: Shape) -> bool:
    """Whether a shape is the expected one, in which None is any extent."""
    return len(shape) == len(expected) and all(
        [e is None or s is None or s == e for s, e in zip(shape, expected, strict=True)]
    )


def described(tensor: Any) -> str:
    """A symbolic tensor in messages."""
    return f"{tensor.name!r} of shape {shape_text(tensor.shape)}"


def _noted(function, args, kwargs):
    """A call of a function of `ops`: what stands for its results; a shape is only that."""
    operation = Operation(function)
    traces = _traces(operation, args, kwargs)
    if any([isinstance(x, Tensor) for x in tree.flatten(traces[0])]):
        return symbolic_call(operation, args, kwargs, _specs(operation.name, traces))
    is_shape = type(traces[0]) is tuple
    return _common_shape(*traces) if is_shape else _common_shape(*[(t,) for t in traces])[0]


Symbolic.among, Symbolic.call = is_symbolic, _noted  # type: ignore[assignment]
