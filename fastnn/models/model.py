"""What all models share: layers put together, that train, predict and save their weights."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

from fastnn import registry, tree
from fastnn.errors import nearest
from fastnn.layers import InputLayer, Layer
from fastnn.layers.building import derived, one_or_all
from fastnn.symbolic import KerasTensor, arena_of, end_draft
from fastnn.training import data
from fastnn.training.trainer import Trainer

from .graph import Graph, Slot


class Model(Trainer, aliases=None):
    """A layer that trains. Subclasses make layers in `__init__` and call them in `call(inputs)` or
    `call(inputs, training)`. `Model(inputs, outputs)` is a functional model: of the symbolic
    tensors, or structures of them, that `Input` gives and that layers and ops make of these.

    `fit`, `evaluate` and `predict` record what `call` asks to compute. What it reads may change at
    any time: attributes of the model, its layers, loss, metrics and optimizer, also private ones,
    entries of their lists and dictionaries, also nested, and `trainable`. The next run, or the next
    epoch of one that goes on, then records anew, which may take a millisecond; a state that comes
    back finds what was recorded for it. What `call` itself assigns is no change. Not watched are
    global and enclosing variables, attributes of objects of other classes, arrays that are changed
    in place, methods that are replaced in a class, and attributes that are assigned past the
    object, as by `vars(layer)` or a descriptor of one's own: call `compile` after such a change, or
    compile with run_eagerly=True.

    >>> import fastnn
    >>> class Residual(fastnn.Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = fastnn.layers.Dense(8, activation="relu")
    ...         self.last = fastnn.layers.Dense(8)
    ...     def call(self, x):
    ...         return x + self.last(self.hidden(x))
    >>> model = Residual()
    >>> model.compile("adam", "mse")
    >>> x = fastnn.random.normal((100, 8), seed=0).numpy()
    >>> history = model.fit(x, 2 * x, epochs=2, verbose=0)
    >>> len(history.history["loss"])
    2
    """

    def __new__(cls, *args: Any, **named: Any) -> Any:
        if cls is Model and (len(args) > 1 or "outputs" in named):
            from .functional import Functional

            cls = Functional
        return super().__new__(cls, *args, **named)

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, **base: Any
    ):
        super().__init__(name=name, **base)
        if (inputs is None) != (outputs is None):
            raise ValueError(
                f"model {self.name!r}: expected inputs and outputs, symbolic tensors both; got "
                f"{'no outputs' if outputs is None else 'no inputs'}"
            )
        self._graph = None if inputs is None else Graph(inputs, outputs, self.name)
        self._graph_layers: tuple[Layer, ...] = ()
        if self._graph is not None:
            self._graph_layers = tuple(self._graph.layers)
            self._arena = arena_of(self._graph.tensors)
            end_draft()
            self.built = True
            if not self._trainable:
                self.trainable = False

    def call(self, inputs: Any) -> Any:
        graph = self._graph
        if graph is None:
            raise TypeError(f"{type(self).__name__} does not define call(inputs)")
        return graph(graph.fitted(inputs, self.name))

    @property
    def _can_be_called(self) -> bool:  # type: ignore[override]
        return self._graph is not None or type(self).call is not Model.call

    @property
    def takes_one_tensor(self) -> bool:  # type: ignore[override]
        return self._graph is not None and self._graph.takes_one_tensor

    @property
    def batch_rows(self) -> int | None:
        """How many rows each batch has, by the batch_shape of its inputs; None: any number."""
        return None if self._graph is None else self._graph.batch_rows

    def _expect_one(self, inputs):
        if self._graph is None:  # which takes a dictionary of its one input, or a list
            super()._expect_one(inputs)

    def _operands(self, inputs):
        if self._graph is None:
            return super()._operands(inputs)
        return self._graph.operands(inputs, self.name)

    def _inputs(self, x, name, check=True):
        graph = self._graph
        if graph is None or x is None:
            return super()._inputs(x, name, check)
        values = self._values_of(x, name)
        graph.expect_all(values, self.name)
        names = [name + path for path, _ in tree.leaves(graph.inputs)]
        found: list[Any] = []
        for number, (value, own) in enumerate(zip(values, names, strict=True)):
            if value is None:
                found.append(None)
                continue
            rows = data.inputs(value, graph.specs[number].dtype, own)
            rows = rows.reshape(graph.fitting_shape(number, rows.shape, self.name, any_rows=True))
            if check:
                data.expect_finite(rows, own, value)
            given = [array for array in found if array is not None]
            data.expect_rows(len(given[0]) if given else len(rows), rows, names[0], own)
            found.append(rows)
        return tree.pack(graph.inputs, found)

    def _values_of(self, x, name):
        return x if self._graph is None else self._graph.values_of(x, name)

    def _declared_output_shape(self, input_shape):
        graph = self._graph
        if graph is None or not isinstance(graph.outputs, Slot):
            return None
        spec = graph.spec_of(graph.outputs)
        return spec.shape if None not in spec.shape[1:] and spec.dtype == self.dtype else None

    def compute_output_spec(self, inputs: Any, *others: Any, **named: Any) -> Any:
        graph = self._graph
        if graph is None or others or named or not self._are_own(inputs):
            return super().compute_output_spec(inputs, *others, **named)
        return tree.map(graph.spec_of, graph.outputs)

    def _are_own(self, inputs):
        """Whether symbolic tensors are of the shapes that the model was built for."""
        given, specs = tree.flatten(inputs), self._graph.specs[: len(self._graph.input_layers)]
        return [getattr(t, "shape", None) for t in given] == [spec.shape for spec in specs]

    # ---- configurations

    def get_config(self) -> dict[str, Any]:
        """A functional model's layers and calls, in Keras's form; of a subclass with a constructor
        of its own, the constructor's arguments."""
        if self._graph is not None and _takes_tensors(type(self)):
            from .configuration import graph_config

            common = {"name": self.name, "trainable": self.trainable}
            return {**common, **graph_config(self._graph)}
        is_derived = type(self).get_config is Model.get_config
        return registry.arguments_of(self, is_derived, ("inputs", "outputs"))

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """A model of such a configuration, with new weights. custom_objects: a user's classes and
        functions, by the names they have in it."""
        with registry.custom_object_scope(custom_objects or {}):
            if "input_layers" not in config or not _takes_tensors(cls):
                return super().from_config(config)
            from .configuration import graph_tensors

            inputs, outputs = graph_tensors(config)
            ends = ("layers", "input_layers", "output_layers")
            others = {n: registry.deserialize(v) for n, v in config.items() if n not in ends}
            return cls(inputs=inputs, outputs=outputs, **others)

    def to_json(self) -> str:
        """Its configuration, as `models.model_from_json` reads it: layers and calls, no weights.

        >>> import fastnn
        >>> x = fastnn.Input((3,))
        >>> model = fastnn.Model(x, fastnn.layers.Dense(2)(x) * 2.0)
        >>> fastnn.models.model_from_json(model.to_json()).output_shape
        (None, 2)
        """
        import json

        return json.dumps(registry.serialize(self))

    # ---- of a functional model; an attribute of a subclass may have the name

    def _symbolic_graph(self):
        """The graph that symbolic tensors are of, or None."""
        return self._graph

    def _symbolic_of(self, what):
        graph = self._symbolic_graph()
        if graph is None:
            raise AttributeError(
                f"model {self.name!r} has no {what}: it is not made of symbolic tensors, as "
                "Model(inputs, outputs) is, and Sequential, once the shape of its input is known"
            )
        return graph.with_tensors(getattr(graph, what))

    @derived
    def input(self) -> Any:
        """The symbolic tensors it was made of, in their structure."""
        return self._symbolic_of("inputs")

    @derived
    def output(self) -> Any:
        """The symbolic tensors that it gives, in their structure."""
        return self._symbolic_of("outputs")

    @derived
    def inputs(self) -> list[KerasTensor]:
        """The symbolic tensors it was made of."""
        return tree.flatten(self._symbolic_of("inputs"))

    @derived
    def outputs(self) -> list[KerasTensor]:
        """The symbolic tensors that it gives."""
        return tree.flatten(self._symbolic_of("outputs"))

    @derived
    def input_shape(self) -> Any:
        """The shape of its input, in which None is any extent; of several, a list."""
        return one_or_all([t.shape for t in self.inputs])

    @derived
    def output_shape(self) -> Any:
        """The shape of its output, in which None is any extent; of several, a list."""
        return one_or_all([t.shape for t in self.outputs])

    @derived
    def output_names(self) -> list[str] | None:
        """The names of the layers or ops that give its outputs."""
        return None if self._graph is None else self._graph.output_names

    @property
    def layers(self) -> list[Layer]:
        """The layers it is made of, in order; of a functional model also those of its inputs."""
        if self._graph is not None:
            own = [*self._graph_layers, *self.sublayers()]
            return list({id(layer): layer for layer in own}.values())
        return [layer for layer in self.sublayers() if not isinstance(layer, InputLayer)]

    @layers.setter
    def layers(self, value: Any) -> None:
        raise AttributeError(
            f"model {self.name!r}: `layers` is a name of every model's, for all of its layers; "
            "call the attribute something else. Use `add()` and `pop()` of a Sequential model."
        )

    @property
    def operations(self) -> list[Any]:
        """The layers and ops of a functional model; of others the layers."""
        return self.layers if self._graph is None else list(self._graph.operations)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its number."""
        if index is not None:
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"model {self.name!r} has no layer {name!r}; "
            f"{nearest(name, [layer.name for layer in self.layers])}"
        )

    def save(self, filepath: Any, overwrite: bool = True, include_optimizer: bool = True) -> None:
        """Write the whole model to a file (.fastnn): weights, configuration, optimizer,
        preprocessing. `fastnn.load_model` makes it again: see `fastnn.saving.save_model`."""
        from fastnn.saving.models import save_model

        save_model(self, filepath, overwrite, include_optimizer)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Write all weights to a file, in the safetensors format: see `fastnn.weights`. An existing
        one is replaced as a whole, or, with overwrite=False, kept: FileExistsError."""
        from fastnn import weights  # here, as below: files need json, which takes 1 ms

        if not overwrite and weights.checked(filepath, "save_weights", ".safetensors").exists():
            raise FileExistsError(f"save_weights: {filepath} exists; overwrite=True replaces it")
        weights.save(filepath, self._named_weights())

    def load_weights(self, filepath: Any) -> None:
        """Put in the weights of such a file. If one is missing or of another shape, nothing is
        changed."""
        from fastnn import weights

        weights.load(filepath, self._named_weights())

    def _named_weights(self):
        if not (self.built or self.weights):
            raise ValueError(
                f"model {self.name!r} has no weights yet: call it once, or give its input's shape"
            )
        from fastnn.weights import named

        return named(self)

    def summary(
        self,
        print_fn: Callable[[str], None] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
    ) -> None:
        """Print the layers, the shapes of their results, how many weights they have, how many bytes
        these are, and the floating-point operations of a row; of a functional model with branches
        also what each layer is called on. Layers of several calls are counted with all of them.

        print_fn: is given each line, instead of `print`. expand_nested: whether the layers of
        models within have lines of their own. show_trainable: whether a column says which layers
        learn. Keras's arguments, but for those of its box.
        """
        from .summary import lines_of

        for line in lines_of(self, expand_nested, show_trainable):
            (print_fn or print)(line)


def _takes_tensors(cls):
    """Whether a class of models is made of symbolic tensors: its constructor is `Model`'s, or
    passes on what it is given."""
    given = signature(cls.__init__).parameters.values()
    passes_on = {p.kind for p in given} >= {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}
    return passes_on or {"inputs", "outputs"} <= {p.name for p in given}


def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """The model of what `to_json` wrote, Keras's too, with new weights. custom_objects: a user's
    classes and functions, by the names they have in it."""
    import json

    try:
        config = json.loads(json_string)
    except (TypeError, ValueError) as error:
        raise ValueError(f"model_from_json: expected what to_json gives; {error}") from None
    return registry.deserialize(config, custom_objects)
