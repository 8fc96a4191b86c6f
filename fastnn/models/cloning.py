"""Models made again: with the same layers, as their configurations have them, and new weights."""

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

from fastnn import registry, tree
from fastnn.layers import InputLayer, Layer
from fastnn.metrics import Metric
from fastnn.optimizers import Optimizer
from fastnn.symbolic import Operation

from .model import Model
from .sequential import Sequential


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """A model of the same layers with weights of their own, freshly drawn, compiled as the model
    is. Arguments are Keras's.

    input_tensors: symbolic tensors to build it on, in the structure of the inputs; new ones unless
    given. clone_function: makes a layer for each layer of a functional or Sequential model; unless
    given, of its configuration. call_function: of (layer, *args, **kwargs), calls what was made in
    a functional model, and may call more. recursive: whether models within are cloned in the same
    way, instead of by clone_function.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2)])
    >>> other = fastnn.models.clone_model(model)
    >>> other.set_weights(model.get_weights())
    """
    if not isinstance(model, Model):
        raise ValueError(f"clone_model: expected a model; got {type(model).__name__}")
    is_sequential = isinstance(model, Sequential)
    if model._graph is None and not is_sequential:
        if input_tensors is not None or clone_function is not None or call_function is not None:
            raise ValueError(
                f"clone_model: {model.name!r} is a subclass with layers of its own, which it makes "
                "by itself: input_tensors, clone_function and call_function do not apply"
            )
        return _cloned(model)

    def clone(layer):
        is_known = isinstance(layer, Model) and (layer._graph or isinstance(layer, Sequential))
        if recursive and is_known:
            own_call = None if isinstance(layer, Sequential) else call_function
            return clone_model(layer, None, clone_function, own_call, True)
        return (clone_function or _cloned)(layer)

    if is_sequential and call_function is not None:
        raise ValueError("clone_model: call_function is for functional models")
    if is_sequential:
        made = _sequential(model, input_tensors, clone)
    else:
        made = _functional(model, input_tensors, clone, call_function)
    if model.compiled:
        made.compile(**{name: _copied(value) for name, value in model.compiled_with().items()})
    return made


def _copied(value):
    """An argument of `compile` for another model: an optimizer of its own."""

    def copied(one):
        if isinstance(one, FunctionType):
            return one
        try:
            return registry.deserialize(registry.serialize(one))
        except (TypeError, ValueError):  # of a function or class that no configuration finds
            if isinstance(one, Optimizer):
                raise
            return one.another() if isinstance(one, Metric) else one

    return tree.map(copied, value)


def _sequential(model, input_tensors, clone):
    inputs = [_cloned(layer) for layer in model._stack[:1] if isinstance(layer, InputLayer)]
    layers = [clone(layer) for layer in model.layers]
    made = Sequential([*inputs, *layers], name=model.name, trainable=model.trainable)
    if model.built and not made.built and model.input_shape is not None:
        made.build_for(model.input_shape)
    if input_tensors is not None:
        made(input_tensors)
    return made


def _functional(model, input_tensors, clone, call):
    graph = model._graph
    if input_tensors is None:
        given = [_cloned(layer).output for layer in graph.input_layers]
    else:
        given = []
        try:
            tree.map(lambda slot, tensor: given.append(tensor), graph.inputs, input_tensors)
        except ValueError as error:
            raise ValueError(
                f"clone_model: `input_tensors` must have the same structure as model.input; {error}"
            ) from None
    clones = {
        id(operation): Operation(operation.function, operation.name)
        if isinstance(operation, Operation)
        else clone(operation)
        for operation in graph.operations
        if operation not in graph.input_layers
    }

    def called(operation):
        made = clones[id(operation)]
        return made if call is None else partial(call, made)

    return type(model)(
        inputs=tree.pack(graph.inputs, given),
        outputs=graph(given, called),
        name=model.name,
        trainable=model.trainable,
    )


def _cloned(layer):
    return type(layer).from_config(layer.get_config())
