"""Models: layers put together, that train, predict and save their weights."""

from collections.abc import Sequence
from typing import Any

from fastnn import weights
from fastnn.errors import nearest, shape_text
from fastnn.layers import InputLayer, Layer, deserialize, serialize
from fastnn.layers.base import Shape
from fastnn.training.trainer import Trainer


class Model(Trainer, aliases=None):
    """A layer that trains. Subclasses make layers in `__init__` and call them in `call(inputs)` or
    `call(inputs, training)`.

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

    @property
    def layers(self) -> list[Layer]:
        """The layers it is made of, in order."""
        return [layer for layer in self.sublayers() if not isinstance(layer, InputLayer)]

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

    def save_weights(self, path: Any) -> None:
        """Write all weights to a file, in the safetensors format: see `fastnn.weights`. An existing
        one is replaced as a whole."""
        weights.save(path, self._named_weights())

    def load_weights(self, path: Any) -> None:
        """Put in the weights of such a file. If one is missing or of another shape, nothing is
        changed."""
        weights.load(path, self._named_weights())

    def _named_weights(self):
        if not self.weights:
            raise ValueError(
                f"model {self.name!r} has no weights yet: call it once, or give its input's shape"
            )
        return weights.named(self)

    def summary(self) -> None:
        """Print the layers, the shapes of their results and how many weights they have."""
        shapes = self._result_shapes()
        rows = [("Layer (type)", "Output shape", "Weights")]
        for layer in self.layers:
            shape = shapes.get(id(layer))
            text = shape_text(shape) if shape else "not built"
            rows.append(
                (f"{layer.name} ({type(layer).__name__})", text, f"{layer.count_params():,}")
            )
        widths = [max(len(r[c]) for r in rows) for c in range(3)]
        print(f"Model {self.name!r}")
        for number, row in enumerate(rows):
            print(
                "  ".join(
                    (row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].rjust(widths[2]))
                )
            )
            if number == 0:
                print("  ".join("-" * w for w in widths))
        trainable = sum(v.size for v in self.trainable_weights)
        print(f"{self.count_params():,} weights, {trainable:,} of them trainable")

    def _result_shapes(self) -> dict[int, Shape]:
        return {}


class Sequential(Model):
    """Layers one after another.

    layers: the first may be `Input(shape)`, or have input_shape; else the first call or fit tells.

    >>> import fastnn
    >>> hidden = fastnn.layers.Dense(4, activation="relu")
    >>> model = fastnn.Sequential([fastnn.Input((3,)), hidden, fastnn.layers.Dense(1)])
    >>> model.count_params()
    21
    """

    def __init__(self, layers: Sequence[Layer] = (), name: str | None = None, **base: Any):
        super().__init__(name=name, **base)
        self._stack: tuple[Layer, ...] = ()
        self.input_shape: Shape | None = None
        for layer in layers:
            self.add(deserialize(layer) if isinstance(layer, dict) else layer)

    def get_config(self) -> dict[str, Any]:
        """Its layers, the input among them, each with its configuration."""
        return {
            **super().get_config(),
            "layers": [serialize(layer) for layer in self._stack],
            "build_input_shape": self.input_shape,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The layers of such a configuration, in a new model, built if they were."""
        shape = config.get("build_input_shape")
        model = super().from_config({n: v for n, v in config.items() if n != "build_input_shape"})
        if shape is not None and not model.built:
            model.build_for(tuple(shape))
        return model

    @property
    def takes_one_tensor(self) -> bool:  # type: ignore[override]
        return bool(self._stack) and self._stack[0].takes_one_tensor

    def add(self, layer: Layer) -> None:
        """Append a layer."""
        if not isinstance(layer, Layer):
            kind = layer.__name__ if isinstance(layer, type) else type(layer).__name__
            hint = " Call it: layers are objects." if isinstance(layer, type) else ""
            raise TypeError(f"Sequential {self.name!r}: expected a layer; got {kind}.{hint}")
        if layer in self._stack:
            raise ValueError(
                f"Sequential {self.name!r} already holds {layer.name!r}; to use a layer twice "
                "write a Model with call"
            )
        if any(layer.name == other.name for other in self._stack):
            raise ValueError(
                f"Sequential {self.name!r} already holds a layer called {layer.name!r}; give this "
                "one another name"
            )
        first = not self._stack
        self._stack = (*self._stack, layer)
        row = getattr(layer, "input_shape", None) if first else None
        if isinstance(layer, Sequential):
            row = row[1:] if row else None
        if first and row is not None:
            self.input_shape = (None, *row)
        if self.input_shape is not None:
            try:
                self._build_stack(self.input_shape)
            except Exception:
                self._stack = self._stack[:-1]
                raise

    def pop(self) -> Layer:
        """Remove the last layer, and return it."""
        if not self._stack:
            raise ValueError(f"Sequential {self.name!r} has no layers")
        self._stack, last = self._stack[:-1], self._stack[-1]
        return last

    def build(self, input_shape: Shape) -> None:
        """Make the weights for inputs of this shape, in which None is any extent."""
        is_one = isinstance(input_shape, tuple) and isinstance(input_shape[-1], int | None)
        self.input_shape = (None, *input_shape[1:]) if is_one else None
        self._build_stack(self.input_shape or input_shape)

    def _build_stack(self, shape):
        for layer in self._stack:
            layer.build_for(shape, self.arena())
            shape = layer.compute_output_shape(shape)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if not self._stack:
            raise ValueError(f"Sequential {self.name!r} has no layers: add some")
        for layer in self._stack:
            inputs = layer(inputs, training=training)
        return inputs

    def _declared_output_shape(self, input_shape):
        return (
            self.compute_output_shape((None, *input_shape[1:]))
            if self.built and _declares_its_shape(self)
            else None
        )

    def compute_output_shape(self, input_shape: Shape) -> tuple:
        for layer in self._stack:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    @property
    def output_shape(self) -> Shape | None:
        """The shape of its results, (None, ...); None until it is built."""
        return None if self.input_shape is None else self.compute_output_shape(self.input_shape)

    def _result_shapes(self):
        shapes, shape = {}, self.input_shape
        for layer in self._stack if shape is not None else ():
            shape = shapes[id(layer)] = layer.compute_output_shape(shape)
        return shapes


def _declares_its_shape(layer):
    """Whether its `compute_output_shape` can be trusted: a user's own layer need not define one;
    the base's gives the input's."""
    if isinstance(layer, Sequential):
        plain = type(layer).call is Sequential.call and bool(layer._stack)
        return plain and all(_declares_its_shape(inner) for inner in layer._stack)
    kind = type(layer)
    return (
        kind.__module__.startswith("fastnn.layers.")
        or kind.compute_output_shape is not Layer.compute_output_shape
    )
