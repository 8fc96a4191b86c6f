"""The graph of a functional model: the calls that lead from its inputs to its outputs, in an order
in which they can be made."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import ops, tree
from fastnn.errors import ShapeError, nearest, shape_text, warn
from fastnn.layers import InputLayer, Layer
from fastnn.symbolic import KerasTensor, Node, Operation, Spec, described, expected_shape
from fastnn.tensor import Tensor, operand


class Slot:
    """The place of a tensor among those of a graph."""

    __slots__ = ("number",)

    def __init__(self, number: int):
        self.number = number


class Step:
    """One call.

    operation: what is called. index: how many calls of it came before, when the model was built.
    args, kwargs: with what, and results: what that gives, slots in the place of tensors.
    """

    __slots__ = ("args", "index", "kwargs", "last_used", "operation", "results", "source", "target")

    def __init__(self, operation: Any, index: int, args: tuple, kwargs: dict, results: Any):
        self.operation, self.index, self.results = operation, index, results
        self.args, self.kwargs = args, kwargs
        # of one tensor, one tensor: the numbers of both
        is_plain = len(args) == 1 and not kwargs and isinstance(args[0], Slot)
        self.source = args[0].number if is_plain else None
        self.target = results.number if isinstance(results, Slot) else None
        self.last_used: list[int] = []  # tensors that no later step reads

    @property
    def reads(self) -> list[int]:
        """The numbers of the tensors that it is given."""
        given = tree.flatten((self.args, self.kwargs))
        return [slot.number for slot in given if isinstance(slot, Slot)]

    @property
    def called(self) -> Any:
        """What is called on tensors: the layer, or the op itself."""
        operation = self.operation
        return operation.function if operation.__class__ is Operation else operation

    def __call__(self, held: list, operation: Any) -> None:
        if self.source is not None:
            found = operation(held[self.source])
        else:
            args = [filled(a, held) for a in self.args]
            found = operation(*args, **{n: filled(a, held) for n, a in self.kwargs.items()})
        if self.target is not None:
            held[self.target] = found
        else:
            slots = tree.flatten(self.results)
            for slot, tensor in zip(slots, tree.flatten(found), strict=True):
                held[slot.number] = tensor
        for number in self.last_used:
            held[number] = None


def filled(template: Any, held: list) -> Any:
    """An argument with tensors in the place of their slots."""
    kind = template.__class__
    if kind is Slot:
        return held[template.number]
    if kind is list:
        return [filled(t, held) for t in template]
    if isinstance(template, tuple | dict):
        return tree.map(lambda t: held[t.number] if isinstance(t, Slot) else t, template)
    return template


class Graph:
    """Calls that lead from symbolic inputs to symbolic outputs, each a tensor or a structure of
    them. A copy calls copies of the layers in the same way.

    inputs, outputs: slots in the structure of the model's. input_layers: of each input.
    operations: the layers and ops, each once, in Keras's order: the farther from the outputs the
    earlier. specs: shape and element type of each slot.
    """

    def __init__(self, inputs: Any, outputs: Any, owner: str):
        given, wanted = _symbolic(inputs, "inputs"), _symbolic(outputs, "outputs")
        if len({id(t) for t in given}) < len(given):
            raise ValueError(f"model {owner!r}: the same tensor stands for two of its inputs")
        self.input_layers = [_input_layer(t) for t in given]
        calls = {
            id(t): layer.output.node for t, layer in zip(given, self.input_layers, strict=True)
        }
        order, met = _in_order(wanted, calls)
        self.operations = _by_depth(order, met, self.input_layers, calls)
        self._check(owner)
        tensors = [layer.output for layer in self.input_layers]
        read, made = {id(t): Slot(n) for n, t in enumerate(given)}, {}
        for node in order:
            for tensor in node.outputs if not node.is_input else ():
                made[id(tensor)] = Slot(len(tensors))
                read.setdefault(id(tensor), made[id(tensor)])
                tensors.append(tensor)
        self.specs = [Spec(t.shape, t.dtype) for t in tensors]

        def slots(structure, among):
            return tree.map(lambda t: among.get(id(t), t), structure)

        self.inputs, self.outputs = slots(inputs, read), slots(outputs, read)
        number = {id(operation): -1 for operation in self.operations}
        index = {}
        for node in sorted(order, key=lambda node: node.number):
            number[id(node.operation)] += 1
            index[node] = number[id(node.operation)]
        self.steps = []
        for node in order:
            if not node.is_input:
                args, kwargs = slots(node.arguments, read)
                results = slots(node.results, made)
                self.steps.append(Step(node.operation, index[node], args, kwargs, results))
        self._find_last_uses()
        names = [t.node.operation.name for t in wanted]
        # a layer that gives several has no name for each
        self.output_names = names if len(set(names)) == len(names) else None
        self.takes_one_tensor = isinstance(self.inputs, Slot)
        self._tensors: list[KerasTensor] | None = tensors

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_tensors": None}

    def _check(self, owner):
        for operation in self.operations:
            if isinstance(operation, InputLayer) and operation not in self.input_layers:
                raise ValueError(
                    f"model {owner!r}: its outputs depend on the input {operation.name!r} of shape "
                    f"{shape_text(operation.batch_shape)}, which is not among its inputs; these "
                    f"are {', '.join(repr(layer.name) for layer in self.input_layers)}"
                )
        names = [operation.name for operation in self.operations]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"model {owner!r}: {names.count(name)} of its layers are called {name!r}; give "
                    "each a name of its own"
                )

    def _find_last_uses(self):
        kept = {slot.number for slot in tree.flatten(self.outputs)}
        for step in reversed(self.steps):
            made = [slot.number for slot in tree.flatten(step.results)]
            for number in (*step.reads, *made):
                if number not in kept:
                    kept.add(number)
                    step.last_used.append(number)

    def __call__(self, values: list, replaced: Callable[[Any], Any] | None = None) -> Any:
        """The outputs for these inputs, in the order of `tree.flatten`. replaced: gives what is
        called instead of a layer or op."""
        held = values + [None] * (len(self.specs) - len(values))
        for step in self.steps:
            step(held, step.called if replaced is None else replaced(step.operation))
        outputs = self.outputs
        if isinstance(outputs, Slot):
            return held[outputs.number]
        if isinstance(outputs, list | tuple) and len(outputs) == 1:  # as in Keras
            outputs = outputs[0]
        return tree.map(lambda slot: held[slot.number], outputs)

    @property
    def layers(self) -> list[Layer]:
        """The operations that are layers, those of the inputs among them."""
        return [operation for operation in self.operations if isinstance(operation, Layer)]

    # ---- symbolic tensors

    @property
    def tensors(self) -> list[KerasTensor]:
        """Of each slot the symbolic tensor; of a copy they are made anew, with the calls."""
        if self._tensors is None:
            tensors = [layer.output for layer in self.input_layers]
            tensors += [KerasTensor(s.shape, s.dtype) for s in self.specs[len(tensors) :]]
            self._tensors = tensors
            for step in sorted(self.steps, key=lambda step: step.index):
                arguments, results = self.with_tensors((step.args, step.kwargs)), step.results
                Node(step.operation, arguments, self.with_tensors(results)).note()
        return self._tensors

    def with_tensors(self, structure: Any) -> Any:
        """A structure with symbolic tensors in the place of slots."""
        tensors = self.tensors
        return tree.map(lambda s: tensors[s.number] if isinstance(s, Slot) else s, structure)

    def spec_of(self, slot: Slot) -> Spec:
        return self.specs[slot.number]

    # ---- what is given for the inputs

    def values_of(self, x: Any, name: str) -> list[Any]:
        """What is given for each of the inputs, in their structure; for a list of inputs also in a
        dictionary by their names."""
        inputs, names = self.inputs, [layer.name for layer in self.input_layers]
        if isinstance(x, dict):
            keys = list(inputs) if isinstance(inputs, dict) else names
            missing = [key for key in keys if key not in x]
            if missing:
                raise ValueError(
                    f"{name}: expected a value for each input, {', '.join(map(repr, keys))}; "
                    f"{missing[0]!r} is missing, {nearest(missing[0], map(str, x))}"
                )
            if len(x) > len(keys) and isinstance(inputs, dict):
                more = [repr(key) for key in x if key not in keys]
                warn(f"{name}: {', '.join(more)} is given, which is no input of the model")
            if not isinstance(inputs, dict):
                return [x[key] for key in keys]
            x = {key: x[key] for key in keys}
        elif isinstance(inputs, dict) and isinstance(x, list | tuple) and len(x) == len(inputs):
            if list(inputs) != sorted(inputs):
                raise ValueError(
                    f"{name}: expected a dictionary of {list(inputs)}; got a list, of which it is "
                    "not clear what stands for what"
                )
            warn(f"{name}: a list is taken for the inputs {list(inputs)}, in this order")
            x = dict(zip(inputs, x, strict=True))
        elif len(names) == 1 and not isinstance(inputs, dict):
            # a list of one array, which has as many dimensions as the input, or the array alone
            is_list = isinstance(x, list | tuple) and len(x) == 1 and hasattr(x[0], "shape")
            return [x[0] if is_list and len(x[0].shape) >= len(self.specs[0].shape) else x]
        found: list[Any] = []
        tree.map(lambda slot, value: found.append(value), inputs, x, path=name)
        return found

    def operands(self, x: Any, owner: str) -> Any:
        """The same as tensors of the inputs' element types, in the inputs' structure."""
        if self.takes_one_tensor and isinstance(x, np.ndarray):
            return operand(x, self.specs[0].dtype, owner)
        values = self.values_of(x, f"model {owner!r}")
        dtypes = [spec.dtype for spec in self.specs]
        self.expect_all(values, owner)
        found = [
            None if value is None else operand(value, dtype, owner)
            for value, dtype in zip(values, dtypes, strict=False)
        ]
        return tree.pack(self.inputs, found)

    def expect_all(self, values: list[Any], owner: str) -> None:
        """Raise if there is None for an input that is not optional."""
        for value, layer in zip(values, self.input_layers, strict=True):
            if value is None and not layer.optional:
                raise ValueError(
                    f"model {owner!r}: the input {layer.name!r} is not optional, but got None"
                )

    def fitted(self, inputs: Any, owner: str) -> list[Tensor]:
        """Tensors for the inputs as a list, each of its input's shape. As in Keras a last extent of
        1 may be left out, or be one too many."""
        found: list[Any] = [inputs] if isinstance(inputs, Tensor) else []
        if not found:
            tree.map(lambda slot, x: found.append(x), self.inputs, inputs, path=f"model {owner!r}")
        if len(found) != len(self.input_layers):
            raise ValueError(
                f"model {owner!r}: expected {len(self.input_layers)} inputs, "
                f"{', '.join(repr(layer.name) for layer in self.input_layers)}; got {len(found)}"
            )
        for number, x in enumerate(found):
            wanted = self.specs[number].shape
            if x is not None and (
                x.shape[1:] != wanted[1:] or (wanted[0] is not None and wanted != x.shape)
            ):
                found[number] = ops.reshape(x, self.fitting_shape(number, x.shape, owner))
        return found

    @property
    def batch_rows(self) -> int | None:
        """How many rows its inputs have; None: any number."""
        rows = [spec.shape[0] for spec in self.specs[: len(self.input_layers)]]
        return next((n for n in rows if n is not None), None)

    def fitting_shape(
        self, number: int, shape: Any, owner: str, any_rows: bool = False
    ) -> tuple[int, ...]:
        """The shape that what is given for an input takes. any_rows: it is several batches."""
        wanted, shape = self.specs[number].shape, tuple(shape)
        wanted = (None, *wanted[1:]) if any_rows else wanted
        fitting = shape
        if len(shape) == len(wanted) + 1 and shape[-1] == 1:
            fitting = shape[:-1]
        elif len(shape) == len(wanted) - 1 and wanted[-1] == 1:
            fitting = (*shape, 1)
        if not expected_shape(fitting, wanted):
            raise ShapeError(
                f"model {owner!r}: input {self.input_layers[number].name!r} must have shape "
                f"{shape_text(wanted)}; got {shape_text(shape)}"
            )
        return fitting


def _symbolic(structure, what):
    """The symbolic tensors of a structure, which holds nothing else."""
    found = tree.flatten(structure)
    if isinstance(structure, list | tuple) and any([part is None for part in structure]):
        raise ValueError(f"Model: {what} must be symbolic tensors; got None among them")
    for path, tensor in tree.leaves(structure, what):
        if not isinstance(tensor, KerasTensor):
            raise ValueError(
                f"Model: {path} must be a symbolic tensor, which Input gives, or what layers and "
                f"ops give of it; got {type(tensor).__name__}"
            )
    if not found:
        raise ValueError(f"Model: there is no symbolic tensor in {what}")
    return found


def _input_layer(tensor):
    """The layer that stands for an input; of a tensor that is computed, a new one."""
    node = tensor.node
    if node is not None and isinstance(node.operation, InputLayer):
        return node.operation
    return InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{tensor.name}_input")


def _in_order(wanted, inputs):
    """The calls that lead to tensors, each after those it needs, and the operations in the order
    they are met in, walking back. inputs: the calls that stand for tensors which are given."""
    order: list[Node] = []
    seen: set[Node] = set()
    met: dict[int, Any] = {}
    for tensor in wanted:
        waiting = [(_call_of(tensor, inputs), False)]
        while waiting:
            node, is_last = waiting.pop()
            if is_last:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                met.setdefault(id(node.operation), node.operation)
                parents = [(_call_of(t, inputs), False) for t in node.parents]
                waiting += [(node, True), *reversed(parents)]
    return order, met


def _call_of(tensor, inputs):
    node = inputs.get(id(tensor), tensor.node)
    if node is None:
        raise ValueError(
            f"Model: {described(tensor)} is neither among the inputs nor computed from them"
        )
    return node


def _by_depth(order, met, inputs, calls):
    """The operations, each once, in Keras's order: those from which more calls lead to an output
    first; as they are met, walking back, among others as far from it."""
    depth_of_call: dict[Node, int] = {}
    depth = {id(layer): 0 for layer in inputs}
    for node in reversed(order):
        own = max(depth_of_call.get(node, 0), depth.get(id(node.operation), 0))
        depth[id(node.operation)] = own
        for tensor in node.parents:
            parent = _call_of(tensor, calls)
            depth_of_call[parent] = max(own + 1, depth_of_call.get(parent, 0))
    unused = [layer for layer in inputs if id(layer) not in met]
    # the order of those met at one depth stays
    return sorted([*unused, *met.values()], key=lambda operation: -depth[id(operation)])
