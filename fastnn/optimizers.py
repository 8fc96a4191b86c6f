"""Optimizers: one fused update over every run of variables that lie next to each other in
memory."""

import copy
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastnn.apply import apply
from fastnn.autograd import no_grad
from fastnn.buffer import CACHE_LINE, whole_lines
from fastnn.checks import fraction, not_negative, positive
from fastnn.devices.arena import Chunk, Mirrors
from fastnn.devices.cpu.memory import reserve
from fastnn.errors import DTypeError, ShapeError, shape_text, warn
from fastnn.locks import combined
from fastnn.ops import updates
from fastnn.ops.record import Op
from fastnn.registry import Configured, Kind, snake_case
from fastnn.tape.record import Counter, Search, context, has_gradient
from fastnn.tensor import Tensor, operand
from fastnn.variable import Variable
from fastnn.watch import Watched

# an update's inputs and attributes
Arguments = tuple[tuple[Tensor, ...], dict[str, Any]]


class Run(NamedTuple):
    """Neighbours in memory that are updated as one: their values and gradients, flat."""

    chunk: Chunk
    offset: int
    parameter: Tensor
    gradient: Tensor


KIND = Kind("optimizer", "optimizers", spelled=str.lower)


class Optimizer(Watched, Configured):
    """What all optimizers share. Subclasses name their `op`, an update of ops/updates.py, and their
    `states` (memory as large as the variables, zero at first), and define `arguments`.

    learning_rate: may be assigned at any time, also between the replays of a recorded step; so may
    the other arguments (momentum, beta_1, ...), but steps are then recorded anew. iterations:
    updates done.

    `step()` takes the gradients that `loss.backward()` left on the variables given to `build`,
    updates, and clears them. `apply(gradients, variables)` takes them as arguments. A step changes
    everything or nothing: one whose loss or gradients are not finite, or that would make a variable
    so, raises FloatingPointError beforehand. What an optimizer keeps may become infinite where a
    gradient's square does, and stays so: the step of that element is then 0, as in PyTorch.

    copy.copy gives one with a learning rate, moments and count of its own for the same variables;
    copy.deepcopy and pickle copy the variables too: those of the copied model, if both are copied
    at once, as `model.optimizer` is with its model.
    """

    _kind = KIND
    states: tuple[str, ...] = ()
    op: Op  # the update, which writes a parameter, its states and the flags
    flags: tuple[Tensor, ...] = ()
    # of arguments: given their name and what is assigned
    checks: dict[str, Callable[[str, Any], Any]] = {}
    not_recorded = ("_memory", "_warned")

    def __init__(self, learning_rate: float, name: str | None = None):
        self.name = name or snake_case(type(self).__name__)
        memory = reserve(2 * CACHE_LINE)
        self.rate = Tensor(memory.part(0, 8), (1,), np.dtype("float64"))
        self.steps = Tensor(memory.part(CACHE_LINE, 8), (1,), np.dtype("int64"))
        self._count = Counter(self.steps.buffer)
        self._memory = Mirrors()
        self._warned = False
        self.variables: tuple[Variable, ...] = ()
        self.learning_rate = learning_rate

    def __copy__(self) -> "Optimizer":
        kept = [
            *self.variables,
            *[v.chunk for v in self.variables],
            *[chunk for chunk, _ in self._memory],
        ]
        return copy.deepcopy(self, {id(o): o for o in kept})

    def __setattr__(self, name, value):
        check = self.checks.get(name)
        super().__setattr__(name, value if check is None else check(f"{self.name}: {name}", value))

    @property
    def learning_rate(self) -> float:
        return float(self.rate.numpy()[0])

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        number = not_negative(f"{self.name}: learning_rate", float(value))
        self.rate.buffer.array((1,), np.float64)[0] = number

    @property
    def iterations(self) -> int:
        return self._count.value

    def build(self, variables: Iterable[Variable]) -> None:
        """Say which variables `step()` updates. What it keeps of variables it has met stays."""
        variables = tuple(variables)
        for v in variables:
            if not isinstance(v, Variable):
                raise TypeError(
                    f"{self.name}: expected variables, such as model.trainable_variables; got "
                    f"{type(v).__name__}. An array becomes "
                    "one by fastnn.Variable(array)."
                )
        if (
            self.variables
            and variables
            and not {id(v) for v in self.variables} & {id(v) for v in variables}
        ):
            raise ValueError(
                f"{self.name}: this optimizer already updates {len(self.variables)} other "
                "variables (of another model?). Its "
                "moments and its count of steps are theirs; make a new optimizer for these."
            )
        self.variables = variables

    def step(self) -> None:
        """Update every variable that has a gradient, then clear the gradients."""
        if not self.variables:
            raise ValueError(
                f"{self.name}: which variables? Call optimizer.build(model.trainable_variables) "
                "first."
            )
        ready = [v for v in self.variables if has_gradient(v)]
        if not ready:
            raise ValueError(
                f"{self.name}: none of its variables has a gradient. Call loss.backward() before "
                "optimizer.step()."
            )
        if len(ready) < len(self.variables) and not self._warned:
            # others are frozen
            names = [v.name for v in self.variables if v._gradient is None and v.requires_gradient]
            if names:
                self._warned = True
                warn(
                    f"{self.name}: no gradient reaches {', '.join(names)}: the loss does not use "
                    "them."
                )
        self._update([(v, v._gradient) for v in ready])
        for v in ready:
            v._gradient = None

    def apply(self, gradients: Sequence[Any], variables: Sequence[Variable] | None = None) -> None:
        """Update `variables` (those of `build` unless given) by these gradients, arrays or tensors
        of their shapes.

        >>> import fastnn
        >>> weight = fastnn.Variable([1.0, 2.0])
        >>> fastnn.optimizers.SGD(learning_rate=0.5).apply([[2.0, 0.0]], [weight])
        >>> weight.numpy()
        array([0., 2.], dtype=float32)
        """
        if variables is not None:
            self.build(variables)
        gradients = list(gradients)
        if len(gradients) != len(self.variables):
            raise ValueError(
                f"{self.name}: got {len(gradients)} gradients for {len(self.variables)} variables"
            )
        pairs = [
            (v, operand(g, v.dtype))
            for v, g in zip(self.variables, gradients, strict=True)
            if g is not None
        ]
        for v, g in pairs:
            if g.shape != v.shape:
                raise ShapeError(
                    f"{self.name}: the gradient of {v.name!r} must have shape "
                    f"{shape_text(v.shape)}; got {shape_text(g.shape)}"
                )
            if g.dtype != v.dtype:
                raise DTypeError(
                    f"{self.name}: the gradient of {v.name!r} must be {v.dtype}, as it is; got "
                    f"{g.dtype}"
                )
        self._update(pairs)

    def apply_gradients(self, gradients_and_variables: Iterable[tuple[Any, Variable]]) -> None:
        """`apply` for pairs, as tf.keras has it."""
        pairs = list(gradients_and_variables)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])

    def arguments(self, gradient: Tensor) -> Arguments:
        """The update's inputs and attributes."""
        raise TypeError(f"{type(self).__name__} does not define arguments(gradient)")

    # ---- compute, then commit

    def _update(self, pairs):
        runs = _runs(pairs)
        step, op = context.step, self.op
        for tensor in [t.flat() for t in (step.checked if step else ())]:
            apply(updates.check_finite, (tensor,), {})
        calls = [(op, *self.arguments(run.gradient), self._written(run)) for run in runs]
        for _, inputs, attributes, written in calls:
            apply(updates.check_of[op], (*inputs, *written), attributes)
        if isinstance(step, Search):
            return
        if context.recorder is None:  # other threads that predict see all of it or nothing
            combined([r.chunk.turn for r in runs]).run(self._commit, step, calls)
        else:
            self._commit(step, calls)

    def _commit(self, step, calls):
        if step is not None:
            with no_grad():
                step.flush()
        for call in calls:
            apply(*call)
        self._count.increment()

    def _written(self, run):
        return run.parameter, *[self._state(run, name) for name in self.states], *self.flags

    def _state(self, run, name):
        memory = self._memory.of(run.chunk, name).part(run.offset, run.parameter.buffer.nbytes)
        return Tensor(memory, run.parameter.shape, run.parameter.dtype)


def _runs(pairs):
    """Variables and gradients as few runs: neighbours in memory, whose gradients are neighbours as
    well, are one."""
    # [chunk, offset, stop, dtype, whether gradients lie as the variables do, gradient]
    found: list[list] = []
    for v, g in sorted(pairs, key=lambda pair: (id(pair[0].chunk), pair[0].offset)):
        alike = (
            g.buffer.address is not None and g.buffer.address == v.mirror("gradient").buffer.address
        )
        stop = v.offset + v.buffer.nbytes
        last = found[-1] if found else None
        if (
            last
            and alike
            and last[4]
            and last[0] is v.chunk
            and last[3] == v.dtype
            and whole_lines(last[2]) == v.offset
        ):
            last[2] = stop
        else:
            found.append([v.chunk, v.offset, stop, v.dtype, alike, g])
    runs = []
    for chunk, offset, stop, dtype, alike, g in found:
        shape = ((stop - offset) // dtype.itemsize,)
        gradient = (
            Tensor(chunk.mirror("gradient").part(offset, stop - offset), shape, dtype)
            if alike
            else g.flat()
        )
        runs.append(
            Run(
                chunk,
                offset,
                Tensor(chunk.memory.part(offset, stop - offset), shape, dtype),
                gradient,
            )
        )
    return runs


class SGD(Optimizer):
    """w -= learning_rate gradient; with momentum, velocity = momentum velocity - learning_rate
    gradient and w += velocity, or, by Nesterov, w += momentum velocity - learning_rate gradient.
    Keras's form and defaults.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.SGD(0.1, momentum=0.9).apply([[1.0]], [weight])
    >>> round(weight.item(), 3)
    0.9
    """

    checks = {
        "momentum": partial(fraction, one=True),
        "nesterov": lambda name, value: bool(value),
    }

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        name: str | None = None,
    ):
        super().__init__(learning_rate, name)
        self.momentum, self.nesterov = momentum, nesterov
        self.velocity_is_large = Tensor(reserve(CACHE_LINE).part(0, 8), (1,), np.dtype("int64"))

    @property
    def states(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("velocity",) if self.momentum else ()

    @property
    def op(self) -> Op:  # type: ignore[override]
        return updates.sgd_momentum if self.momentum else updates.sgd

    @property
    def flags(self) -> tuple[Tensor, ...]:  # type: ignore[override]
        return (self.velocity_is_large,) if self.momentum else ()

    def arguments(self, gradient: Tensor) -> Arguments:
        attributes = {"momentum": self.momentum, "nesterov": self.nesterov}
        return (gradient, self.rate), attributes if self.momentum else {}


class Adam(Optimizer):
    """m and v follow the gradient and its square (m += (1 - beta_1)(gradient - m), v += (1 -
    beta_2)(gradient^2 - v)); at step t w -= learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m /
    (sqrt(v) + epsilon). Kingma and Ba, "Adam: a method for stochastic optimization", 2014, in the
    form before its section 2.1, as Keras has it, with Keras's defaults (PyTorch's epsilon stands
    elsewhere and is 1e-8).

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.Adam(0.1).apply([[5.0]], [weight])
    >>> round(weight.item(), 3)
    0.9
    """

    states = ("m", "v")
    op = updates.adam
    checks = {"beta_1": fraction, "beta_2": fraction, "epsilon": positive}

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str | None = None,
    ):
        super().__init__(learning_rate, name)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def arguments(self, gradient: Tensor) -> Arguments:
        return (gradient, self.rate, self.steps), {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "steps_before": self._count.pending(),
        }


class RMSprop(Optimizer):
    """square = rho square + (1 - rho) gradient^2; w -= learning_rate gradient / sqrt(square +
    epsilon). Tieleman and Hinton, 2012; Keras's form and defaults.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.RMSprop(0.1).apply([[5.0]], [weight])
    >>> round(weight.item(), 3)
    0.684
    """

    states = ("square",)
    op = updates.rmsprop
    checks = {"rho": fraction, "epsilon": positive}

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        name: str | None = None,
    ):
        super().__init__(learning_rate, name)
        self.rho, self.epsilon = rho, epsilon

    def arguments(self, gradient: Tensor) -> Arguments:
        return (gradient, self.rate), {"rho": self.rho, "epsilon": self.epsilon}


get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
