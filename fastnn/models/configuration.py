"""Functional models as configurations, in Keras 3's form, and models made from them again."""

from typing import Any

import numpy as np

from fastnn import registry, tree
from fastnn.errors import nearest
from fastnn.indexing import getitem
from fastnn.layers import Layer
from fastnn.symbolic import KerasTensor, Operation
from fastnn.tensor import Tensor, mask_of

from .graph import Graph, Slot

NO_OPS = {"get_item": getitem, "mask_of": mask_of}  # by the names that they have in a configuration


def graph_config(graph: Graph) -> dict[str, Any]:
    """The layers and ops of a graph, each with its calls, and which tensors it begins and ends
    with. A tensor is [the name of what gives it, of which of its calls, which result]."""
    history = {n: [layer.name, 0, 0] for n, layer in enumerate(graph.input_layers)}
    for step in graph.steps:
        for place, slot in enumerate(tree.flatten(step.results)):
            history[slot.number] = [step.operation.name, step.index, place]

    def written(value):
        if isinstance(value, Slot):
            spec = graph.spec_of(value)
            config = {"shape": list(spec.shape), "dtype": spec.dtype.name}
            config["keras_history"] = history[value.number]
            return {"class_name": "__keras_tensor__", "config": config}
        if isinstance(value, list | tuple):
            return [written(v) for v in value]
        if isinstance(value, dict):
            return {name: written(v) for name, v in value.items()}
        if isinstance(value, slice):
            config = {"start": value.start, "stop": value.stop, "step": value.step}
            return {"class_name": "__slice__", "config": config}
        if value is Ellipsis:
            return {"class_name": "__ellipsis__", "config": {}}
        if isinstance(value, np.ndarray | Tensor):
            config = {"value": np.asarray(value).tolist(), "dtype": value.dtype.name}
            return {"class_name": "__numpy__", "config": config}
        return registry.serialize(value)

    layers = []
    for operation in graph.operations:
        calls = sorted(
            [s for s in graph.steps if s.operation is operation], key=lambda step: step.index
        )
        nodes = []
        for step in calls:
            args = step.args
            if _is_getitem(operation) and not isinstance(args[1], tuple):
                args = args[0], (args[1],)  # JSON has no tuples
            nodes.append({"args": written(list(args)), "kwargs": written(step.kwargs)})
        entry = _op_config(operation) if isinstance(operation, Operation) else None
        entry = entry or registry.serialize(operation)
        layers.append({**entry, "name": operation.name, "inbound_nodes": nodes})

    def ends(structure):
        # Keras counts calls of a functional model from 1 on there
        models = {o.name for o in graph.operations if getattr(o, "_graph", None) is not None}

        def end(slot):
            name, index, place = history[slot.number]
            return [name, index + (name in models), place]

        return tree.map(end, structure)

    return {
        "layers": layers,
        "input_layers": ends(graph.inputs),
        "output_layers": ends(graph.outputs),
    }


def _is_getitem(operation):
    return isinstance(operation, Operation) and operation.function is getitem


def _op_config(operation):
    name = "get_item" if _is_getitem(operation) else operation.function.__name__
    return {
        "module": "fastnn.ops",
        "class_name": name,
        "config": {"name": operation.name},
        "registered_name": None,
    }


def graph_tensors(config: dict[str, Any]) -> tuple[Any, Any]:
    """(inputs, outputs): the symbolic tensors of such a configuration, Keras's too, which layers
    are made and called for."""
    made: dict[str, Any] = {}  # layers and ops, with arguments that their configuration gives
    results: dict[str, list[list[KerasTensor]]] = {}  # of each call of each
    waiting: list[tuple[str, dict]] = []
    for entry in config["layers"]:
        name = entry["name"]
        made[name] = operation, _ = _operation_of(entry)
        results[name] = []
        if not entry["inbound_nodes"]:
            results[name].append([operation.output])  # of an input
        waiting += [(name, node) for node in entry["inbound_nodes"]]
    while waiting:
        later, stopped = [], set()
        for name, node in waiting:
            # the calls of one layer come in their order
            if name in stopped or not _has_all(node, results):
                stopped.add(name)
                later.append((name, node))
                continue
            operation, own = made[name]
            args, kwargs = _arguments(node, results)
            if _is_getitem(operation):
                args[1] = tuple(args[1]) if isinstance(args[1], list) else args[1]
            found = operation(*args, **{**own, **kwargs})
            results[name].append(tree.flatten(found))
        if len(later) == len(waiting):
            raise ValueError(
                f"configuration: the calls of {', '.join(sorted(stopped))} wait for each other in "
                "a loop, or for what is not there"
            )
        waiting = later

    def ends(structure):
        if isinstance(structure, dict):
            return {name: ends(value) for name, value in structure.items()}
        if len(structure) == 3 and isinstance(structure[0], str):
            name, index, place = structure
            is_model = getattr(made[name][0], "_graph", None) is not None
            return results[name][index - is_model][place]
        return type(structure)([ends(value) for value in structure])

    return ends(config["input_layers"]), ends(config["output_layers"])


def _operation_of(entry):
    """The layer or the op of an entry, and the arguments that an op has in its configuration."""
    module = str(entry.get("module") or "")
    if "ops" not in module.split("."):
        layer = registry.deserialize({k: v for k, v in entry.items() if k != "inbound_nodes"})
        if not isinstance(layer, Layer):
            raise ValueError(f"configuration: expected a layer; got {layer!r}")
        return layer, {}
    name, config = registry.snake_case(entry["class_name"]), dict(entry["config"])
    function = NO_OPS.get(name) or registry.named_function(name, "configuration")
    given = config.pop("name", None)
    return Operation(function, given), {k: v for k, v in config.items() if k != "dtype"}


def _has_all(node, results):
    """Whether what a call is given is there."""
    found = []
    _walked(node if isinstance(node, dict) else _of_keras_2(node)[0], found.append)
    missing = [name for name, _, _ in found if name not in results]
    if missing:
        raise ValueError(
            f"configuration: Missing node: {missing[0]}; {nearest(missing[0], list(results))}"
        )
    return all([index < len(results[name]) for name, index, _ in found])


def _of_keras_2(node):
    """The calls of Keras 2's configurations: lists of [name, call, result, arguments]."""
    tensors = [{"class_name": "__keras_tensor__", "config": {"keras_history": n[:3]}} for n in node]
    return [tensors[0] if len(tensors) == 1 else tensors], (node[0][3] if len(node[0]) > 3 else {})


def _arguments(node, results):
    args, kwargs = (node["args"], node["kwargs"]) if isinstance(node, dict) else _of_keras_2(node)

    def tensor_of(history):
        name, index, place = history
        return results[name][index][place]

    return list(_walked(args, tensor_of)), _walked(kwargs, tensor_of)


def _walked(value, tensor_of):
    """An argument with what tensor_of gives in the place of tensors."""
    if isinstance(value, list | tuple):
        values = [_walked(v, tensor_of) for v in value]
        is_shape = bool(values) and all([type(v) is int for v in values])
        return tuple(values) if is_shape else values
    if not isinstance(value, dict):
        return value
    kind, config = value.get("class_name"), value.get("config", {})
    if kind == "__keras_tensor__":
        return tensor_of(config["keras_history"])
    if kind == "__slice__":
        return slice(config["start"], config["stop"], config["step"])
    if kind == "__ellipsis__":
        return Ellipsis
    if kind in ("__numpy__", "__tensor__"):
        return np.array(config["value"], config["dtype"])
    if kind is not None and "config" in value:
        return registry.deserialize(value)
    return {name: _walked(v, tensor_of) for name, v in value.items()}
