"""The one way ops are called: inputs made tensors, outputs made, kernels called or written down,
and what the gradient needs remembered."""

import itertools
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fastnn import config
from fastnn.convert import INDEX, as_array
from fastnn.devices.cpu.device import launcher
from fastnn.emit import emit, new_buffer
from fastnn.errors import DTypeError
from fastnn.ops.elementwise import BOOL
from fastnn.ops.record import FLOATS, Constant, Op
from fastnn.tape.record import context
from fastnn.tensor import TENSORS, Node, Tensor, Variable, copied, operand


class Call:
    """What an op's launcher is given: calling it calls a kernel, or writes the call down."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __call__(self, kernel: Any, *arguments: Any) -> None:
        emit(self.name, kernel, arguments)

    def scratch(self, shape: tuple[int, ...], dtype: np.dtype) -> Tensor:
        """Memory for this call alone, with nothing of use in it."""
        return Tensor(new_buffer(prod(shape) * dtype.itemsize), shape, dtype)

    @staticmethod
    def constant(array: np.ndarray) -> Constant:
        """A small table that kernels read: keep it, rather than make it anew."""
        return Constant(array)


def launch(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Any], attributes: dict) -> None:
    """Let the device compute an op's outputs."""
    if op.kernels is None:  # it is a view of its input
        return
    launch = op.launch
    if launch is None:
        launch = launcher(op)
        object.__setattr__(op, "call", Call(op.name))
        object.__setattr__(op, "launch", launch)
    absent = [None] * (op.arity - len(inputs))
    launch(op.call, *inputs, *absent, *outputs, **attributes)


def _common_type(inputs):
    """What arrays and numbers among the inputs become: the type of the tensors, else of the first
    array, else, for None, the process's. And whether there are tensors with floats."""
    found, most = None, 0
    for x in inputs:
        strength = 1 if isinstance(x, np.ndarray) else x.strength if isinstance(x, Tensor) else 0
        if strength > most and x.dtype in FLOATS:
            found, most = x.dtype, strength
            if most == 3:
                break
    return found, most == 3


def _alike(op, inputs):
    """Inputs of types that an op refuses, with those of bool as numbers; of one that compares, as
    what has the numbers of all."""
    types = {x.dtype for x in inputs}
    floats = [t for t in FLOATS if t in types]
    if op.compares and len(floats) < 2:
        common = (FLOATS[1] if INDEX in types else floats[0]) if floats else INDEX
        return tuple([x if x.dtype == common else x.astype(common) for x in inputs])
    common = floats[0] if floats else np.dtype(config.floatx())
    return tuple(
        [
            x.astype(INDEX if i in op.indices else common) if x.dtype == BOOL else x
            for i, x in enumerate(inputs)
        ]
    )


def _as_tensors(op, inputs, dtype):
    return tuple([operand(x, INDEX if i in op.indices else dtype) for i, x in enumerate(inputs)])


def _as_they_are(op, inputs, attributes):
    """Inputs of which none sets the element type. Comparisons take each as it is, for a large whole
    number is no float32, and so does what a recorded step was given if the op takes that; else they
    are of the process's type."""
    if op.compares:
        return tuple([_as_it_is(x, op.name) for x in inputs])
    if any([isinstance(x, Tensor) and x.strength < 3 for x in inputs]):
        found = tuple(
            [
                operand(x, x.dtype if isinstance(x, Tensor) and x.dtype not in FLOATS else None)
                for x in inputs
            ]
        )
        try:
            op.infer(*found, **attributes)
            return found
        except DTypeError:
            pass
    return _as_tensors(op, inputs, None)


def _as_it_is(x, name):
    if isinstance(x, Tensor):
        return operand(x, FLOATS[1] if x.strength == 0 and x.dtype in FLOATS else x.dtype)
    return operand(x, as_array(np.asarray(x), None, name).dtype)


def apply(
    op: Op,
    inputs: tuple,
    attributes: dict,
    places: Sequence[Tensor | None] = (),
    specs: Sequence | None = None,
) -> Any:
    """Call an op: check, make the outputs (`places` gives some), emit the kernel calls, remember
    what the gradient needs. `specs`, if at hand, is what the op infers of these inputs."""
    given = None
    if not all([x.__class__ in TENSORS for x in inputs]):
        dtype, is_set = _common_type(inputs)
        given = None if is_set else inputs
        inputs = (
            _as_they_are(op, inputs, attributes)
            if dtype is None
            else _as_tensors(op, inputs, dtype)
        )
    if specs is None:
        try:
            specs = op.infer(*inputs, **attributes)
        except DTypeError:
            inputs = _alike(op, inputs)
            specs = op.infer(*inputs, **attributes)
    if places:
        specs = [
            spec if place is None else place for spec, place in itertools.zip_longest(specs, places)
        ]
    outputs = [
        spec
        if isinstance(spec, Tensor)
        else Tensor(new_buffer(prod(spec[0]) * spec[1].itemsize), *spec)
        for spec in specs
    ]
    recorder = context.recorder
    before = 0 if recorder is None else len(recorder.instructions)
    if op.calls is None:
        launch(op, inputs, outputs, attributes)
    else:
        for kernel, arguments in op.calls(outputs, inputs, **attributes):
            emit(op.name, kernel, arguments)
    if recorder is not None:
        count_flops(op, inputs, outputs, attributes, recorder.instructions[before:])
        if context.gradients and context.reads is not None:
            context.reads.meet([x for x in inputs if isinstance(x, Variable)])
    if context.watch is not None:
        context.watch(op.name, outputs)
    requires_gradient = (
        op.gradient is not None and context.gradients and any([x.requires_gradient for x in inputs])
    )
    if requires_gradient or op.loss_reads_input:
        node = Node(op, inputs, outputs, attributes, requires_gradient)
        for place, result in enumerate(outputs[: op.results]):
            result.node, result.place = node, place
            result.requires_gradient = requires_gradient and result.dtype in FLOATS
    results = outputs[0] if op.results == 1 else tuple(outputs[: op.results])
    return results if given is None else _of_arrays(op, given, inputs, attributes, results)


def _of_arrays(op, given, inputs, attributes, results):
    """The results of an op that was given no tensors, or none with floats."""
    if any([isinstance(x, Tensor) for x in given]):
        tensors = [x for x in given if isinstance(x, Tensor)]
        return (
            results
            if any([x.strength == 3 for x in tensors])
            else tensors[0].results(op, given, attributes, results)
        )
    # What shares the user's array, which may be written over, would not keep its values.
    return copied(results) if op.results == 1 and results.buffer is inputs[0].buffer else results


def count_flops(op, inputs, outputs, attributes, own):
    """Note an op's work with the last of its `own` instructions that reads what the op was given:
    others move results about."""
    if len(own) > 1:
        given = {x.buffer for x in inputs}
        own = [i for i in own if any([i.arguments[n].buffer in given for n, _ in i.kernel.arrays])]
    if own:
        own[-1].flops = (
            op.flops(inputs, outputs, **attributes)
            if callable(op.flops)
            else op.flops * outputs[0].size
        )


Op.run = staticmethod(apply)
