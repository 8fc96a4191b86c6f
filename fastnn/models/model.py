"""What all models share: layers put together, that train, predict and save their weights."""

from typing import Any

from fastnn import weights
from fastnn.errors import nearest, shape_text
from fastnn.layers import InputLayer, Layer
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
