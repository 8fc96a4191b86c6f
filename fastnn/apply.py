"""The one way ops are called: inputs made tensors, outputs made, kernels called or written down,
and what the gradient needs remembered."""

import itertools
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fastnn import config
from fastnn.convert import own_type, promoted_type
from fastnn.devices.cuda.address import DeviceAddress
from fastnn.devices.launchers import launcher
from fastnn.dtypes import (
    BOOL,
    FLOAT64,
    FLOATS,
    INT32,
    INTEGERS,
    UINT8,
    exact_type,
    mixes_floats,
    result_type,
)
from fastnn.emit import emit, new_buffer
from fastnn.errors import DTypeError, IndexOutOfRange, RecordingError, ShapeError
from fastnn.ops.functions import Symbolic
from fastnn.ops.record import Constant, Op
from fastnn.symbolic import Operation, is_symbolic, symbolic_call
from fastnn.tape.record import context
from fastnn.tensor import Node, Tensor, copied, operand
from fastnn.variable import TENSORS, Variable


class Call:
    """What an op's launcher is given: calling it calls a kernel, or writes the call down."""

    __slots__ = ("device", "name")

    def __init__(self, name: str, device: str):
        self.name, self.device = name, device

    def __call__(self, kernel: Any, *arguments: Any) -> None:
        emit(self.name, kernel, arguments)

    def scratch(self, shape: tuple[int, ...], dtype: np.dtype) -> Tensor:
        """Memory for this call alone, with nothing of use in it."""
        return Tensor(new_buffer(prod(shape) * dtype.itemsize, self.device), shape, dtype)

    @staticmethod
    def constant(array: np.ndarray) -> Constant:
        """A small table that kernels read: keep it, rather than make it anew."""
        return Constant(array)


def device_of(tensors: Sequence[Any]) -> str:
    """Where an op of these runs: where the step is recorded for; else on the GPU, if one of them
    lies there or it is the device now. What lies elsewhere is copied."""
    recorder = context.recorder
    device = context.device if recorder is None else recorder.device
    if device == "cpu" and DeviceAddress.in_use:
        for t in tensors:
            if t is not None and t.buffer.address.__class__ is DeviceAddress:
                if recorder is None:
                    return "cuda"
                raise RecordingError(
                    f"{recorder.name} is recorded for the CPU, and uses a tensor that lies on the "
                    "GPU. Call it within fastnn.device('cuda'), or move the tensor: x.to('cpu')."
                )
    return device


PLAIN = (TypeError, ValueError, IndexError, OverflowError, ShapeError, DTypeError)


def launch(
    op: Op,
    inputs: Sequence[Tensor],
    outputs: Sequence[Any],
    attributes: dict,
    device: str = "cpu",
) -> None:
    """Let the device compute an op's outputs, or write that down with the op's work."""
    recorder = context.recorder
    # a view of its input; or what is looked for is the shapes of results
    if op.kernels is None or (recorder is not None and recorder.only_shapes):
        return
    if device not in op.launchers:
        op.launchers[device] = launcher(op, device), Call(op.name, device)
    launch, call = op.launchers[device]
    before = 0 if recorder is None else len(recorder.instructions)
    try:
        if len(inputs) < op.arity:
            launch(call, *inputs, *[None] * (op.arity - len(inputs)), *outputs, **attributes)
        else:
            launch(call, *inputs, *outputs, **attributes)
    except IndexOutOfRange as error:
        raise error.among(_indices(op, inputs), _element) from None
    if recorder is not None:
        made = recorder.instructions[before:]
        count_flops(op, inputs, outputs, attributes, made)
        if op.indices:
            indices = _indices(op, inputs)
            for instruction in made:
                instruction.indices = indices


def _indices(op, inputs):
    return [inputs[i] for i in op.indices if i < len(inputs)]


def _element(tensor, place):
    return tensor.numpy().reshape(-1)[place]


def _common_type(inputs):
    """The type of floats that arrays and numbers among the inputs become: that of the tensors, else
    of the first array. None if nothing has one. And whether tensors have it."""
    found, most = None, 0
    for x in inputs:
        strength = 1 if isinstance(x, np.ndarray) else x.strength if isinstance(x, Tensor) else 0
        if strength > most and x.dtype in FLOATS:
            found, most = x.dtype, strength
            if most == 3:
                break
    return found, most == 3


def _without_floats(op, inputs):
    """What they become if there is none: what all give together, as far as the op takes it."""
    found = [_promoted_type(x, op.name) for i, x in enumerate(inputs) if i not in op.fixed]
    return _accepted(op, result_type(*(found or [float]), floatx=config.floatx()))


def _promoted_type(x, name):
    if isinstance(x, Tensor):
        return float if x.strength == 0 and x.dtype in FLOATS else x.dtype
    return promoted_type(x, name)


def _accepted(op, dtype):
    """What an op computes in, given this type: where it does not take booleans or uint8, int32;
    where it does not take integers, floats. So it is in Keras."""
    if dtype in op.dtypes:
        return dtype
    if dtype in (BOOL, UINT8) and INT32 in op.dtypes:
        return INT32
    return result_type(dtype, float, floatx=config.floatx())


def _as_tensors(op, inputs, dtype):
    if dtype is None and op.compares:
        return tuple([_as_it_is(x, op.name) for x in inputs])
    dtype = dtype or _without_floats(op, inputs)
    return tuple([operand(x, op.fixed.get(i, dtype), op.name) for i, x in enumerate(inputs)])


def _as_it_is(x, name):
    """For a comparison, which takes each input as it is: a large whole number is no float32."""
    if isinstance(x, Tensor):
        return operand(x, FLOAT64 if x.strength == 0 and x.dtype in FLOATS else x.dtype)
    return operand(x, own_type(x, name), name)


def _promoted(op, inputs):
    """Inputs of types that an op refuses, as the type that they give together; of a comparison, as
    one that has the numbers of all. What the op refuses all the same stays, for it to say so."""
    types = {x.dtype for i, x in enumerate(inputs) if i not in op.fixed}
    common = None
    if op.compares and not mixes_floats(types):
        common = exact_type(types)
    elif not mixes_floats(types) and (op.integers_as_floats or not types.issubset(INTEGERS)):
        common = _accepted(op, result_type(*types))
    return tuple(
        [
            _as_type(x, None if i in op.indices and x.dtype in FLOATS else op.fixed.get(i, common))
            for i, x in enumerate(inputs)
        ]
    )


def _as_type(x, dtype):
    return x if dtype is None or x.dtype == dtype else x.astype(dtype)


def apply(
    op: Op,
    inputs: tuple,
    attributes: dict,
    places: Sequence[Tensor | None] = (),
    specs: Sequence | None = None,
) -> Any:
    """Call an op: check, make the outputs (`places` gives some), emit the kernel calls, remember
    what the gradient needs. `specs`, if at hand, is what the op infers of these inputs. An op that
    works in place is given tensors, and all its outputs."""
    if op.in_place:
        launch(op, inputs, places, attributes, device_of((*inputs, *places)))
        return None
    given = None
    for one in inputs:  # no comprehension, which is a call: 0.2 us of the 7 that an op takes
        if one.__class__ not in TENSORS:
            if Symbolic.exist and any([is_symbolic(x) for x in inputs]):
                return symbolic_call(Operation(op), inputs, attributes)
            others = inputs
            if op.conditions:
                others = tuple([x for i, x in enumerate(inputs) if i not in op.conditions])
            dtype, is_set = _common_type(others)
            given = None if is_set else inputs
            inputs = _as_tensors(op, inputs, dtype)
            break
    if specs is None:
        try:
            specs = op.infer(*inputs, **attributes)
        except DTypeError:
            try:
                inputs = _promoted(op, inputs)
                specs = op.infer(*inputs, **attributes)
            except PLAIN as error:
                raise _named(op, error) from None
        except PLAIN as error:
            raise _named(op, error) from None
    if op.composite:
        results = specs[0] if op.results == 1 else tuple(specs)
        return results if given is None else _of_arrays(op, given, inputs, attributes, results)
    if places:
        specs = [
            spec if place is None else place for spec, place in itertools.zip_longest(specs, places)
        ]
    device = device_of((*inputs, *places) if places else inputs)
    outputs = [
        spec
        if isinstance(spec, Tensor)
        else Tensor(new_buffer(prod(spec[0]) * spec[1].itemsize, device), *spec)
        for spec in specs
    ]
    try:
        launch(op, inputs, outputs, attributes, device)
    except (TypeError, ValueError) as error:  # a number that is none
        raise _named(op, error) from None
    if context.recorder is not None and context.gradients and context.reads is not None:
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


def _named(op, error):
    """An error of Python, of NumPy or of an op that this one is made of, with this one's name."""
    text = str(error)
    has_name = op.name in text or (text.partition(": ")[0].isidentifier() and not op.composite)
    if type(error) not in PLAIN or has_name:
        return error
    return type(error)(f"{op.name}: {text}").with_traceback(error.__traceback__)


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


def count_flops(op: Op, inputs: Any, outputs: Sequence[Any], attributes: dict, own: Any) -> None:
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
