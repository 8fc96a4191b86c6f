"""Rows as a model takes them: inputs, targets, weights, all checked; and what it gives for them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastnn import tree
from fastnn.autograd import no_grad
from fastnn.errors import ShapeError, shape_text
from fastnn.layers import Layer
from fastnn.layers.base import Shape
from fastnn.locks import making
from fastnn.optimizers import Optimizer
from fastnn.symbolic import expected_shape
from fastnn.tape.record import Recorder, context
from fastnn.utils import pack_x_y_sample_weight
from fastnn.watch import Cache, Watch

from . import data
from .data import Rows
from .outputs import (
    Layout,
    Output,
    layout_of,
    losses_of,
    metrics_of,
    outputs_of,
    targets_of,
    weights_of,
)
from .own_steps import OwnSteps, owns


class Outputs:
    """What a model returns for rows of some shape, and whether it is still that."""

    def __init__(self, outputs: Any):
        self.outputs = outputs
        self.watches: list[Watch] = []

    def fits(self) -> bool:
        return all([watch.holds() for watch in self.watches])


class Checking(OwnSteps, Layer, aliases=None):
    """The part of a model that checks what it is given."""

    optimizer: Optimizer | None
    loss: Any
    output_names: list[str] | None = None  # of a list of outputs
    _can_be_called = True
    _programs: Cache
    _metric_names: tuple[Any, Any]
    _metrics: Any
    _layout: Layout

    @property
    def batch_rows(self) -> int | None:
        """How many rows each batch must have; None: any number."""
        return None

    def _compiled(self, what: str) -> tuple[Optimizer, Any]:
        if self.optimizer is None:
            raise RuntimeError(f"{what}: call compile(optimizer=..., loss=...) first")
        return self.optimizer, self.loss

    def _inputs(self, x: Any, name: str, check: bool = True) -> Any:
        """Rows of x as arrays, checked: of one input, or a structure of several."""
        if self.takes_one_tensor or x is None:
            return self._input(x, name, check)
        found = [self._input(value, name + path, check) for path, value in tree.leaves(x, "")]
        if not found:
            raise ValueError(f"{name}: there is no array in {x!r}")
        for (path, _), array in zip(tree.leaves(x), found, strict=True):
            data.expect_rows(len(found[0]), array, name, name + path)
        return tree.pack(x, found)

    def _values_of(self, x: Any, name: str) -> Any:
        """What is given for each input, in their order."""
        return x

    def _input(self, x: Any, name: str, check: bool) -> np.ndarray:
        rows = data.inputs(x, self.dtype, name)
        expected = getattr(self, "input_shape", None)
        if expected is not None and not expected_shape(rows.shape[1:], tuple(expected[1:])):
            raise ShapeError(
                f"model {self.name!r}: {name} must have shape {shape_text(expected)}; got "
                f"{shape_text(np.shape(x))}"
            )
        if check:
            data.expect_finite(rows, name, x)
        return rows

    def _rows(self, x: Any, y: Any, sample_weight: Any, what: str = "") -> Rows:
        """Checked rows of x, y and weights, targets as losses and metrics take them."""
        if x is not None and (owns(self, "train") or owns(self, "test")):
            return self._own_rows(x, y, sample_weight, what)
        _, loss = self._compiled("fit")
        if x is None or (y is None and tree.flatten((loss, self._metric_names))):
            raise ValueError(
                f"{what}x and {what}y are both needed; {what}{'x' if x is None else 'y'} is missing"
            )
        rows = self._inputs(x, f"{what}x")
        return self._judged_rows(rows, self._outputs(rows), y, sample_weight, what)

    def _judged_rows(self, rows: Any, outputs: Any, y: Any, sample_weight: Any, what: str) -> Rows:
        """Rows of inputs with targets and weights as losses and metrics take them."""
        count, names, losses = (
            len(tree.flatten(rows)[0]),
            self.output_names,
            self._losses_of(outputs),
        )
        if self._metrics is None:
            found = metrics_of(outputs, *self._metric_names, losses, names)
            self._metrics = tuple(map(tuple, found))  # which nobody changes, nor has to compare
        if self._judges(y):
            targets = targets_of(y, outputs, losses, self._metrics, count, what, names)
        else:  # they are for compute_loss alone
            targets = data.any_targets(y, count, self.dtype, f"{what}y")
        self._layout = layout_of(outputs, losses, self._metrics, targets)
        return Rows(rows, targets, weights_of(sample_weight, outputs, count, self.dtype, names))

    def _own_rows(self, x: Any, y: Any, sample_weight: Any, what: str) -> Rows:
        """Checked rows for steps of the model's own: y may be left out, or, without a loss, be any
        arrays."""
        rows = self._inputs(x, f"{what}x")
        count = len(tree.flatten(rows)[0])
        if self._can_be_called:
            outputs = self._outputs(rows)  # which builds it
            if self._judges(y):
                return self._judged_rows(rows, outputs, y, sample_weight, what)
        return Rows(
            rows,
            None if y is None else data.any_targets(y, count, self.dtype, f"{what}y"),
            data.weights(sample_weight, count, self.dtype),
        )

    def _judges(self, y: Any) -> bool:
        """Whether losses and metrics say what targets are."""
        if owns(self, "train") or owns(self, "test"):
            return self._can_be_called and y is not None and bool(tree.flatten(self.loss))
        return y is None or bool(tree.flatten((self.loss, self._metric_names)))

    def _losses_of(self, outputs: Any) -> list[Any]:
        """The loss of each output."""
        _, loss = self._compiled("fit")
        return losses_of(outputs, loss, self.output_names)

    def _outputs(self, rows: Any) -> Any:
        """What the model returns for such rows, an `Output` in the place of each tensor: found by
        calling it without computing, which builds what is not built yet."""
        if isinstance(rows, np.ndarray):
            declared = self._declared_output_shape(rows.shape)
            if declared is not None:
                return Output("", declared, self.dtype)
        return self._found_outputs("outputs", self, rows)

    def _predicted(self, rows: Any) -> Any:
        """What prediction returns for such rows."""
        if type(self).predict_step is OwnSteps.predict_step:
            return self._outputs(rows)
        return self._found_outputs(
            "predicted", lambda x: self.predict_step(pack_x_y_sample_weight(x)), rows
        )

    def _found_outputs(self, what: str, call: Callable[[Any], Any], rows: Any) -> Any:
        count = self.batch_rows or 2

        def called():
            with making:
                with Recorder(self.name) as recorder, no_grad():
                    y = call(tree.map(lambda a: np.zeros((count, *a.shape[1:]), a.dtype), rows))
                recorder.restore_gradients()
            for path, result in tree.leaves(y):
                if not result.shape or result.shape[0] != count:
                    raise ShapeError(
                        f"model {self.name!r}: a prediction must have a row for each row of x; got "
                        f"{shape_text(result.shape)} for {count} rows{path and f' at {path}'}"
                    )
            return Outputs(outputs_of(y, self.output_names))

        return self._kept((what, data.signature(rows)), called).outputs

    def _declared_output_shape(self, input_shape: Sequence[int]) -> Shape | None:
        """The shape of predictions where layers that are built say it, or None."""
        return None

    def _kept(self, key: tuple, make: Callable[[], Any]) -> Any:
        found = self._programs.find(key)
        found = self._made(key, make) if found is None else found
        if context.reads is not None:
            context.reads.others += found.watches
        return found

    def _made(self, key, make):
        with Watch() as watch:
            found = make()
        found.watches.append(watch)
        self._programs.add(key, found)
        return found
