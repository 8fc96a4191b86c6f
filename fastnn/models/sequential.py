"""Layers one after another."""

from collections.abc import Sequence
from typing import Any

from fastnn.layers import Input, InputLayer, Layer, deserialize, serialize
from fastnn.layers.base import Shape
from fastnn.symbolic import KerasTensor

from .graph import Graph
from .model import Model


class Sequential(Model):
    """Layers one after another.

    layers: the first may be `Input(shape)`, or have input_shape; else the first call or fit tells.

    >>> import fastnn
    >>> hidden = fastnn.layers.Dense(4, activation="relu")
    >>> model = fastnn.Sequential([fastnn.Input((3,)), hidden, fastnn.layers.Dense(1)])
    >>> model.count_params()
    21
    """

    def __init__(
        self,
        layers: Sequence[Layer | KerasTensor] | None = None,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self._stack: tuple[Layer, ...] = ()
        self.input_shape: Shape | None = None
        self._chain: Graph | None = None  # of symbolic tensors, once they are asked for
        for layer in layers or ():
            self.add(deserialize(layer) if isinstance(layer, dict) else layer)

    def get_config(self) -> dict[str, Any]:
        """Its layers, the input among them, each with its configuration."""
        return {
            **super().get_config(),
            "layers": [serialize(layer) for layer in self._stack],
            "build_input_shape": self.input_shape,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The layers of such a configuration, in a new model, built if they were."""
        shape = config.get("build_input_shape")
        arguments = {n: v for n, v in config.items() if n != "build_input_shape"}
        model = super().from_config(arguments, custom_objects)
        if shape is not None and not model.built:
            model.build_for(tuple(shape))
        return model

    @property
    def takes_one_tensor(self) -> bool:  # type: ignore[override]
        return bool(self._stack) and self._stack[0].takes_one_tensor

    def add(self, layer: Layer | KerasTensor) -> None:
        """Append a layer; first of all, what `Input` gives."""
        if isinstance(layer, KerasTensor) and layer.node is not None and layer.node.is_input:
            layer = layer.node.operation
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
        if isinstance(layer, InputLayer) and not first:
            raise ValueError(
                f"Sequential {self.name!r} has already been configured for an input: "
                f"{self._stack[0].name!r} is its first layer"
            )
        self._stack = (*self._stack, layer)
        row = getattr(layer, "input_shape", None) if first else None
        if isinstance(layer, Model):
            row = row[1:] if isinstance(row, tuple) else None
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
        for _ in self._shapes(shape, build=True):
            pass
        self.built = True

    def _shapes(self, shape, build=False):
        """The shape after each layer, for an input's. Masks are passed on from one to the next."""
        mask = None
        for layer in self._stack:
            if build:
                layer.build_for(shape, self.arena())
            if mask is None and not layer._makes_masks:
                shape = layer.compute_output_shape(shape)
            else:
                inputs = KerasTensor(shape, layer.dtype, "x")
                inputs.mask_spec = mask
                spec = layer.compute_output_spec(inputs)
                shape, mask = spec.shape, getattr(spec, "mask", None)
            yield shape

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
        for shape in self._shapes(input_shape):
            input_shape = shape
        return input_shape

    def _symbolic_graph(self):
        """The graph of its layers, made when it is asked for; None while the input's shape is not
        known."""
        if self.input_shape is None:
            return None
        if self._chain is None or self._chain.layers[1:] != [*self.layers]:
            given, *_ = self._stack
            is_input = isinstance(given, InputLayer)
            x = y = given.output if is_input else Input(batch_shape=self.input_shape)
            for layer in self.layers:
                y = layer(y)
            self._chain = Graph(x, y, self.name)
        return self._chain

    @property
    def output_shape(self) -> Shape | None:
        """The shape of its results, (None, ...); None until it is built."""
        return None if self.input_shape is None else self.compute_output_shape(self.input_shape)


def _declares_its_shape(layer):
    """Whether its `compute_output_shape` can be trusted, and need not be found by calling it: a
    user's own layer need not define one."""
    if isinstance(layer, Sequential):
        plain = type(layer).call is Sequential.call and bool(layer._stack)
        return plain and all(_declares_its_shape(inner) for inner in layer._stack)
    kind = type(layer)
    return (
        kind.__module__.startswith("fastnn.layers.")
        or kind.compute_output_shape is not Layer.compute_output_shape
    )
