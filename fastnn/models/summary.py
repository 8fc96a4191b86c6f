"""The table of a model's layers."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from fastnn import tree
from fastnn.errors import ShapeError
from fastnn.layers import Layer
from fastnn.symbolic import KerasTensor, instructions_of

NUMBERS = ("Weights", "Bytes", "Flops a row")  # columns
UNITS = ("B", "KB", "MB", "GB")


def lines_of(model: Any, expand_nested: bool, show_trainable: bool) -> list[str]:
    """The lines of `Model.summary`."""
    shapes, flops, sources = shapes_of(model), flops_of(model), _sources(model)
    heads = ["Layer (type)", "Output shape", "Weights", "Bytes", "Flops a row"]
    heads += ["Trainable"] if show_trainable else []
    heads += ["Connected to"] if sources else []
    rows = [heads]
    for depth, layer in _each(model, expand_nested):
        is_op = not isinstance(layer, Layer)
        names = _ids(layer)
        weights = [] if is_op else layer.weights
        kind = "op" if is_op else type(layer).__name__
        row = [
            f"{'  ' * depth}{layer.name} ({kind})",
            _shape_text(shapes.get(id(layer)), layer) if not depth else "",
            f"{sum(v.size for v in weights):,}",
            bytes_text(_bytes(weights)),
            "" if is_op else f"{sum(flops.get(key, 0) for key in names):,.0f}" if flops else "?",
        ]
        if show_trainable:
            row.append(("yes" if layer.trainable else "no") if weights else "")
        if sources:
            row.append(", ".join(sources.get(id(layer), ())))
        rows.append(row)
    widths = [max(len(row[c]) for row in rows) for c in range(len(heads))]
    lines = [
        "  ".join(
            text.rjust(widths[c]) if heads[c] in NUMBERS else text.ljust(widths[c])
            for c, text in enumerate(row)
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    learned = sum(v.size for v in model.trainable_weights)
    total = f"{model.count_params():,} weights ({bytes_text(_bytes(model.weights))})"
    work = f"; {sum(flops.values()):,.0f} flops a row" if flops else ""
    return [f"Model {model.name!r}", *lines, f"{total}, {learned:,} of them trainable{work}"]


def _each(model: Any, expand: bool) -> Iterator[tuple[int, Any]]:
    """(how deep, layer or op) of each line."""
    from .model import Model

    for layer in model.layers if model._graph is None else model._graph.operations:
        yield 0, layer
        if expand and isinstance(layer, Model):
            inner = [(d, one) for d, one in _each(layer, expand) if isinstance(one, Layer)]
            yield from ((depth + 1, one) for depth, one in inner)


def _ids(layer):
    """Of a layer and those within."""
    return {id(inner) for inner in layer._all_layers()} if isinstance(layer, Layer) else set()


def _bytes(weights):
    return sum(v.buffer.nbytes for v in weights)


def bytes_text(count: float) -> str:
    """12 B, 4.7 KB, ..."""
    unit = 0
    while count >= 1024 and unit < len(UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:,.1f} {UNITS[unit]}" if unit else f"{count} B"


def _shape_text(shape, layer=None):
    if shape is None:
        return "?" if getattr(layer, "built", False) else "not built"
    if isinstance(shape, tuple) and all([e is None or isinstance(e, int) for e in shape]):
        return "(" + ", ".join("None" if e is None else str(e) for e in shape) + ")"
    if isinstance(shape, dict):
        return "{" + ", ".join(f"{k}: {_shape_text(v)}" for k, v in shape.items()) + "}"
    return ", ".join(map(_shape_text, shape))


def shapes_of(model: Any) -> dict[int, Any]:
    """The shape of each layer's result, or a structure of them, by the layer's id."""
    graph = model._graph
    if graph is not None:
        found = {id(layer): layer.batch_shape for layer in graph.input_layers}
        for step in graph.steps:
            shapes = tree.map(lambda slot: graph.spec_of(slot).shape, step.results)
            found.setdefault(id(step.operation), shapes)
        return found
    shape = getattr(model, "input_shape", None)
    if shape is None or not hasattr(model, "_stack"):
        return {}
    return {id(layer): s for layer, s in zip(model._stack, model._shapes(shape), strict=True)}


def flops_of(model: Any) -> dict[int, float]:
    """The floating-point operations of a row by the id of the layer that does them; nothing where
    the shape of the inputs is not known."""
    graph, shape = model._graph, getattr(model, "input_shape", None)
    if graph is not None:
        specs = graph.specs[: len(graph.input_layers)]
        tensors = [KerasTensor(s.shape, s.dtype, "x") for s in specs]
        inputs = tree.pack(graph.inputs, tensors)
    elif shape is not None and hasattr(model, "_stack"):
        inputs = KerasTensor(shape, model.dtype, "x")
    else:
        return {}

    @cache
    def called(names):
        """The layer of a call by names, each within the one before: others may share its name."""
        if not names:
            return model
        above = called(names[:-1])
        within = (*above.sublayers(), *above._all_layers()[1:])
        return next((layer for layer in within if layer.name == names[-1]), above)

    found: dict[int, float] = {}
    try:
        instructions = instructions_of(model, (inputs,))
    except ShapeError:  # an image of any size is taken as one pixel, which no window may be in
        return {}
    for instruction in instructions:
        key = id(called(instruction.layers[1:]))
        found[key] = found.get(key, 0) + instruction.flops
    return found


def _sources(model):
    """Of each layer the names of what it is called on; nothing if each follows the one before."""
    graph = model._graph
    if graph is None:
        return {}
    makers = {n: layer.name for n, layer in enumerate(graph.input_layers)}
    for step in graph.steps:
        for slot in tree.flatten(step.results):
            makers[slot.number] = step.operation.name
    found: dict[int, list[str]] = {}
    is_chain, before = True, None
    for step in graph.steps:
        names = [makers[n] for n in step.reads]
        is_chain &= len(names) == 1 and before in (None, names[0])
        before = step.operation.name
        found.setdefault(id(step.operation), []).extend(names)
    return {} if is_chain else found
