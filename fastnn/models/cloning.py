"""Models made again: with the same layers, as their configurations have them, and new weights."""

from collections.abc import Callable
from typing import Any

from fastnn import tree
from fastnn.layers import InputLayer, Layer
from fastnn.symbolic import Operation

from .model import Model
from .sequential import Sequential


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
) -> Any:
    """A model of the same layers with weights of their own, freshly drawn. Arguments are Keras's.

    input_tensors: symbolic tensors to build it on; new ones unless given. clone_function: makes a
    layer for each layer of a functional or Sequential model; unless given, of its configuration.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2)])
    >>> other = fastnn.models.clone_model(model)
    >>> other.set_weights(model.get_weights())
    """
    if not isinstance(model, Model):
        raise ValueError(f"clone_model: expected a model; got {type(model).__name__}")
    clone = clone_function or _cloned
    if isinstance(model, Sequential):
        inputs = model._stack[:1] if isinstance(model._stack[0], InputLayer) else ()
        made = Sequential(
            [*[_cloned(i) for i in inputs], *[clone(layer) for layer in model.layers]],
            name=model.name,
            trainable=model.trainable,
        )
        if model.built and not made.built and model.input_shape is not None:
            made.build_for(model.input_shape)
        if input_tensors is not None:
            made(input_tensors)
        return made
    graph = model._graph
    if graph is None:
        if input_tensors is not None or clone_function is not None:
            raise ValueError(
                f"clone_model: {model.name!r} is a subclass with layers of its own, which it makes "
                "by itself: input_tensors and clone_function do not apply"
            )
        return _cloned(model)
    if input_tensors is None:
        given = [_cloned(layer).output for layer in graph.input_layers]
    else:
        given = graph.values_of(input_tensors, "clone_model: input_tensors")
    clones = {
        id(operation): Operation(operation.function, operation.name)
        if isinstance(operation, Operation)
        else clone(operation)
        for operation in graph.operations
        if operation not in graph.input_layers
    }
    outputs = graph(given, lambda operation: clones[id(operation)])
    return type(model)(
        inputs=tree.pack(graph.inputs, given),
        outputs=outputs,
        name=model.name,
        trainable=model.trainable,
    )


def _cloned(layer):
    return type(layer).from_config(layer.get_config())
