"""What all metrics share: states that steps add to, by recorded calls, and what is made of them."""

from collections.abc import Sequence
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np

from fastnn import config, initializers, tree
from fastnn.autograd import no_grad
from fastnn.devices.arena import Arena, own_copy
from fastnn.dtypes import FLOATS, INT64, expected
from fastnn.errors import ShapeError, shape_text
from fastnn.ops.record import Op
from fastnn.ops.reduce import add_to
from fastnn.registry import Configured, Kind, snake_case, unique_name
from fastnn.tape.record import context, outside_the_step
from fastnn.targets import Shape, aligned, targets
from fastnn.tensor import Tensor, operand
from fastnn.variable import Variable
from fastnn.watch import READERS, Watched, own

KIND = Kind("metric", "metrics", wrap=lambda function: function)
EPSILON = 1e-7  # Keras's


class Metric(Watched, Configured):
    """A number, or several, about all batches that it was given: `update_state(y_true, y_pred,
    sample_weight)` adds to its variables, `result()` is made of them, `reset_state()` begins again,
    and calling it does the first two.

    A metric of one's own makes variables with `add_variable` and changes them by `assign`,
    `assign_add` and `assign_sub` in `update_state`. Within `fit` and `evaluate` both methods are
    recorded, so they are made of ops: each step then adds to the variables natively, when it
    commits, and `result` is taken at an epoch's end. There copies of the metric count, of training
    and of validation each its own; what the metric itself holds is the user's.

    dtype: of results and of variables that say no other; None is `config.floatx()`. What the
    library's own metrics count is float64 (Keras: dtype), so that an epoch's sums are exact; what a
    mask of the predictions leaves out does not count (in Keras so of means of functions only).

    >>> import fastnn
    >>> class Positives(fastnn.metrics.Metric):
    ...     def __init__(self, name="positives", **base):
    ...         super().__init__(name=name, **base)
    ...         self.count = self.add_variable((), "zeros", name="count")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.count.assign_add(fastnn.ops.sum((y_pred > 0.5) * 1.0))
    ...     def result(self):
    ...         return self.count
    >>> float(Positives()(fastnn.tensor([1.0, 0.0]), fastnn.tensor([0.75, 0.25])))
    1.0
    """

    _kind = KIND
    # whether targets are labels, integers (N,), or values of the prediction's shape; None: either
    takes_labels: bool | None = None
    axis: Any = -1  # where they are labels: along which predictions have classes
    ignore_class: int | None = None  # and one that need not be a class
    # "up" or "down": whether it improves as it rises or as it falls; None: neither is known
    _direction: str | None = None

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name = str(name) if name is not None else unique_name(snake_case(type(self).__name__))
        self.dtype = expected(dtype or config.floatx(), f"metric {self.name!r}")
        self._variables: tuple[Variable, ...] = ()
        self._arena: Arena | None = None

    __copy__ = own_copy

    # ---- what a subclass defines

    def update_state(self, *arguments: Any, **named: Any) -> None:
        """Add a batch, (y_true, y_pred, sample_weight)."""
        with no_grad():
            self.add(*self.measure(*arguments, **named))

    def measure(self, *arguments: Any, **named: Any) -> tuple:
        """What a batch adds, computed of (y_true, y_pred, sample_weight); `add` is given it. A
        metric that defines both instead of `update_state` computes before a step is checked, and
        adds when it commits."""
        raise TypeError(f"metric {self.name!r} does not define update_state(y_true, y_pred)")

    def add(self, *measured: Any) -> None:
        """Add to the variables what `measure` gave."""
        raise TypeError(f"metric {self.name!r} does not define add")

    def result(self) -> Any:
        """The metric so far: a tensor, or a dictionary of tensors."""
        with no_grad():
            return self.value().astype(self.dtype if self.dtype in FLOATS else config.floatx())

    def value(self) -> Tensor:
        """The same in float64, for a history."""
        raise TypeError(f"metric {self.name!r} does not define result()")

    def reset_state(self) -> None:
        """Begin again: all variables are 0."""
        for variable in self.variables:
            variable.assign(0)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.update_state(*arguments, **named)
        return self.result()

    # ---- variables

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """A new variable of this metric, made by an initializer; dtype: the metric's unless given.
        `aggregation` is Keras's, for several machines, and changes nothing."""
        if "_variables" not in vars(self):
            raise RuntimeError(
                f"{type(self).__name__}.add_variable: call super().__init__() first, in __init__"
            )
        with outside_the_step():
            self._arena = self._arena or Arena(chunk_bytes=0)
            made = initializers.get(initializer or "zeros")
            value = np.asarray(made(tuple(shape), np.dtype("float64")))
            dtype = dtype or self.dtype
            variable = Variable(
                value, None, dtype, False, name=name or "variable", arena=self._arena
            )
        self._variables = (*self._variables, variable)
        return variable

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """`add_variable`, by its older name."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """Its variables, then others and those of metrics among its attributes, each once."""
        found = {id(v): v for v in self._variables}
        for value in list(vars(self).values()):
            if isinstance(value, Variable | Metric | list | tuple | dict):
                for held in tree.flatten(value):
                    inner = held.variables if isinstance(held, Metric) else [held]
                    found |= {id(v): v for v in inner if isinstance(v, Variable)}
        return list(found.values())

    def another(self) -> "Metric":
        """One like it, with variables of its own, which are 0. All else is shared. A step that is
        recorded meanwhile depends on what is assigned to this one."""
        if context.reads is not None:
            context.reads.note(self, "__dict__")
        made: dict[int, Any] = {}
        arena = Arena(chunk_bytes=0)

        def fresh(value):
            if id(value) not in made:
                if isinstance(value, Metric):
                    made[id(value)] = value.another()
                elif isinstance(value, Variable) and not value.trainable:
                    zeros = np.zeros(value.shape, value.dtype)
                    made[id(value)] = Variable(
                        zeros, None, value.dtype, False, name=value.name, arena=arena
                    )
            return made.get(id(value), value)

        one = object.__new__(type(self))
        for name, value in own(self, "__dict__").items():
            if name != READERS:
                held = isinstance(value, Metric | Variable | list | tuple | dict)
                vars(one)[name] = tree.map(fresh, value) if held else value
        one._arena = arena
        return one

    def stateless_update_state(self, metric_variables: Sequence[Any], *arguments: Any) -> list:
        """The values of its variables after a batch, if before it they are these."""
        return self._with(metric_variables, lambda: self.update_state(*arguments))[1]

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """The result, if its variables have these values."""
        return self._with(metric_variables, self.result)[0]

    def stateless_reset_state(self) -> list:
        """The values of its variables at the beginning."""
        return self._with(self.variables, self.reset_state)[1]

    def _with(self, values, call):
        """What a call gives and leaves in the variables, which then are as before."""
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(
                f"metric {self.name!r} has {len(variables)} variables; got {len(values)} values"
            )
        before = [v.numpy() for v in variables]
        try:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            found = call()
            if isinstance(found, Variable):
                found = found.own()
            return found, [v.own() for v in self.variables]
        finally:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)

    # ---- what is measured

    def targets(self, y_true: Any, shape: Shape, dtype: Any) -> np.ndarray:
        """Targets as the kernels take them, as `Loss.targets`."""
        labelled = bool(self.takes_labels), self.name, self.axis, self.ignore_class
        return targets(y_true, shape, dtype, *labelled)

    def operands(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        """Targets and predictions as tensors, checked to fit each other."""
        y_pred = operand(y_pred)
        if not isinstance(y_true, Tensor):
            y_true = operand(
                self.targets(y_true, y_pred.shape, y_pred.dtype),
                INT64 if self.takes_labels else y_pred.dtype,
            )
        y_true = aligned(y_true, y_pred.shape, bool(self.takes_labels), self.name, self.axis)
        if not self.takes_labels and y_true.dtype != y_pred.dtype:
            y_true = y_true.astype(y_pred.dtype)
        return y_true, y_pred

    def expect_columns(self, variable: Variable, y_pred: Tensor) -> None:
        """Raise unless predictions have as many columns as a variable that was made for them."""
        if variable.ndim > 1 and variable.shape[-1] != y_pred.shape[-1]:
            raise ShapeError(
                f"metric {self.name!r}: it began with predictions of {variable.shape[-1]} columns; "
                f"got {shape_text(y_pred.shape)}"
            )

    def __repr__(self):
        return f"<{type(self).__name__} {self.name!r}>"


def number(name: str, value: Any) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(value):
        raise ValueError(f"{name} must be a finite number; got {value!r}")
    return float(value)


def as_floats(x: Any, name: str = "y_pred") -> Tensor:
    """What is given as a tensor of floats, as it has them or of the process's type."""
    x = operand(x, None, name)
    return x if x.dtype in FLOATS else x.astype(config.floatx())


def into(op: Op, inputs: tuple, attributes: dict, *states: Tensor) -> None:
    """Let an op that works in place write over states."""
    Op.run(op, inputs, attributes, states)


def add_to_parts(variable: Variable, values: Sequence[Tensor]) -> None:
    """Add to the parts of a variable along its first dimension, to each its values."""
    size = variable.buffer.nbytes // len(values)
    for number, x in enumerate(values):
        part = Tensor(variable.buffer.part(number * size, size), x.shape, x.dtype)
        into(add_to, (x,), {}, part)
