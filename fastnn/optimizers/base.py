"""What all optimizers share: one fused update over every run of variables that lie next to each
other in memory; clipping, decay, averages and accumulation; compute, then commit."""

import copy
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.apply import apply
from fastnn.autograd import no_grad
from fastnn.buffer import CACHE_LINE
from fastnn.checks import flag, fraction, not_negative, positive, whole_number
from fastnn.devices.arena import Arena, Mirrors, turn_of
from fastnn.devices.cpu.memory import reserve
from fastnn.dtypes import FLOAT64, FLOATS, INT64
from fastnn.errors import DTypeError, RecordingError, ShapeError, nearest, shape_text, warn
from fastnn.locks import combined
from fastnn.ops import updates
from fastnn.ops.record import Op
from fastnn.registry import Configured, Kind, arguments_of, parameters, snake_case
from fastnn.registry import serialize as serialize_any
from fastnn.tape.record import Counter, Search, context, has_gradient, outside_the_step
from fastnn.tensor import Tensor, operand
from fastnn.variable import Variable
from fastnn.watch import Watched

from .commit import prepared
from .runs import Run
from .schedules import LearningRateSchedule

KIND = Kind("optimizer", "optimizers", spelled=str.lower)


def optional(check: Callable[..., Any]) -> Callable[[str, Any], Any]:
    """A check that lets None pass."""
    return lambda name, value: None if value is None else check(name, value)


# of the arguments that all have: given their name and what is assigned
CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "weight_decay": optional(not_negative),
    "clipnorm": optional(positive),
    "clipvalue": optional(positive),
    "global_clipnorm": optional(positive),
    "use_ema": flag,
    "ema_momentum": partial(fraction, one=True),
    "ema_overwrite_frequency": optional(partial(whole_number, least=1)),
    "loss_scale_factor": optional(positive),
    "gradient_accumulation_steps": optional(partial(whole_number, least=2)),
}
CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")


class Optimizer(Watched, Configured):
    """What all optimizers share, with Keras's arguments and defaults.

    learning_rate: a number, a `schedules.LearningRateSchedule`, which is asked at every step, or a
    function without arguments. A number may be assigned at any time, also between the replays of a
    recorded step; so may the other arguments (momentum, beta_1, ...), but steps are then recorded
    anew. weight_decay: before the update a variable w becomes w - weight_decay learning_rate w
    (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019), unless
    `exclude_from_weight_decay` names it. Of gradients, one of these: clipvalue clips each number to
    [-clipvalue, clipvalue]; clipnorm scales each variable's to an Euclidean norm of at most this;
    global_clipnorm likewise that of all together. use_ema: keep an average of each variable,
    ema_momentum average + (1 - ema_momentum) w, which takes its place after every
    ema_overwrite_frequency-th update, and when `fit` ends. loss_scale_factor: by which `fit`
    multiplies the loss; gradients are divided by it. gradient_accumulation_steps: an update is made
    at every so many steps, of their gradients' mean; until then `iterations`, the number of
    updates done, stays, but schedules count steps.

    `step()` takes the gradients that `loss.backward()` left on the variables given to `build`,
    updates, and clears them. `apply(gradients, variables)` takes them as arguments. A step changes
    everything or nothing: one whose loss or gradients are not finite, or that would make a variable
    so, raises FloatingPointError beforehand. What an optimizer keeps may become infinite where a
    gradient's square does, and stays so: the step of that element is then 0, as in PyTorch. A
    variable's `constraint` is applied in the same step, after all else.

    copy.copy gives one with a learning rate, moments and count of its own for the same variables;
    copy.deepcopy and pickle copy the variables too: those of the copied model, if both are copied
    at once, as `model.optimizer` is with its model.

    A subclass says how one variable is updated, by ops: `states` are the names of what is kept of
    it, zeros at first.

    >>> import fastnn
    >>> class Momentum(fastnn.optimizers.Optimizer):
    ...     states = ("velocity",)
    ...     def update(self, parameter, gradient, rate, velocity):
    ...         velocity = 0.9 * velocity - rate * gradient
    ...         return parameter + velocity, velocity
    >>> weight = fastnn.Variable([1.0])
    >>> optimizer = Momentum(0.5)
    >>> for _ in range(2):
    ...     optimizer.apply([[1.0]], [weight])
    >>> round(weight.item(), 3)
    -0.45
    """

    _kind = KIND
    states: tuple[str, ...] = ()  # what is kept of each variable
    op: Op | None = None  # the update of ops/updates.py; None: `update` says it
    checks: dict[str, Callable[[str, Any], Any]] = {}  # of the arguments of its own
    not_recorded = ("_memory", "_warned")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **unknown: Any,
    ):
        for argument in unknown:
            raise TypeError(
                f"{type(self).__name__}: unknown argument {argument!r}; "
                f"{nearest(argument, parameters(type(self)))}"
            )
        self.name = name or snake_case(type(self).__name__)
        memory = reserve(4 * CACHE_LINE)
        self.rate = Tensor(memory.part(0, 8), (1,), FLOAT64)
        self.steps = Tensor(memory.part(CACHE_LINE, 8), (1,), INT64)
        self.is_large = Tensor(memory.part(2 * CACHE_LINE, 8), (1,), INT64)  # a state: see Rule
        self._count = Counter(self.steps.buffer)
        self._schedule: Any = None
        self._memory = Mirrors()
        self._warned = False
        self._trainable_variables: tuple[Variable, ...] = ()
        self._not_decayed: tuple[tuple[Variable, ...], tuple[str, ...]] = (), ()
        self.weight_decay, self.clipnorm, self.clipvalue = weight_decay, clipnorm, clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema, self.ema_momentum = use_ema, ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.learning_rate = learning_rate
        self._expect_one_way_of_clipping()

    def __copy__(self) -> "Optimizer":
        kept = [
            *self._trainable_variables,
            *self._not_decayed[0],
            *[v.chunk for v in self._trainable_variables],
            *[chunk for chunk, _ in self._memory],
        ]
        return copy.deepcopy(self, {id(o): o for o in kept})

    def __setattr__(self, name, value):
        check = self.checks.get(name) or CHECKS.get(name)
        super().__setattr__(name, value if check is None else check(f"{self.name}: {name}", value))

    def _expect_one_way_of_clipping(self):
        given = [name for name in CLIPPING if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"{self.name}: only one of clipnorm, clipvalue and global_clipnorm can be set; got "
                f"{' and '.join(given)}"
            )

    def get_config(self) -> dict[str, Any]:
        """As of everything configured; a schedule, or a function, stands there as itself."""
        config = arguments_of(self, type(self).get_config is Optimizer.get_config)
        if self._schedule is not None:
            config["learning_rate"] = serialize_any(self._schedule)
        return config

    # ---- learning rate and count

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the next step."""
        if self._schedule is None:
            return float(self.rate.numpy()[0])
        with outside_the_step(), no_grad():
            return float(self.rate_of_step().numpy()[0])

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, LearningRateSchedule) or (
            callable(value) and not isinstance(value, Tensor)
        ):
            self._schedule = value
            return
        if isinstance(self._schedule, LearningRateSchedule):
            raise TypeError(
                f"{self.name}: its learning rate is a schedule, which sets it at every step. Make "
                "the optimizer with a number for one that can be assigned."
            )
        with suppress(TypeError, ValueError):  # what is no number is refused by name
            value = float(value)
        number = not_negative(f"{self.name}: learning_rate", value)
        self.rate.buffer.array((1,), np.float64)[0] = number
        if self._schedule is not None:
            self._schedule = None

    def rate_of_step(self) -> Tensor:
        """The learning rate, float64 of shape (1,): a schedule's is worked out here, so that a
        recorded step does so anew."""
        schedule = self._schedule
        if schedule is None:
            return self.rate
        if isinstance(schedule, LearningRateSchedule):
            value = schedule(self.steps.view(()).astype(FLOAT64) + self.steps_before)
        else:
            value = schedule()
            if context.recorder is not None and not isinstance(value, Tensor):
                raise RecordingError(
                    f"{self.name}: the function that is its learning rate gave {value!r}, a number "
                    "that a recorded step could not ask for again. Assign numbers to "
                    "learning_rate, or give it a LearningRateSchedule, computed from the step by "
                    "fastnn.ops."
                )
        value = value if isinstance(value, Tensor) else operand(float(value), FLOAT64)
        if value.size != 1:
            raise ShapeError(
                f"{self.name}: a learning rate is one number; its schedule gave shape "
                f"{shape_text(value.shape)}"
            )
        return (value if value.dtype == FLOAT64 else value.astype(FLOAT64)).view((1,))

    @property
    def steps_before(self) -> int:
        """Steps that the step which runs has made already."""
        return self._count.pending()

    @property
    def iterations(self) -> int:
        """Updates done."""
        if context.recorder is not None:
            raise RecordingError(
                f"{self.name}: iterations is read while {context.recorder.name} is recorded, whose "
                "replays would find the number of now. Within an update use "
                "self.update_number()."
            )
        return self._count.value // (self.gradient_accumulation_steps or 1)

    def update_number(self) -> Tensor:
        """The number of the update that the step makes, from 1 on: a float64 tensor of shape (),
        for `update`."""
        done = self.steps.view(()).astype(FLOAT64) + (self.steps_before + 1)
        every = self.gradient_accumulation_steps
        return done if every is None else ops.floor(done / every)

    # ---- variables

    @property
    def built(self) -> bool:
        return bool(self._trainable_variables)

    @property
    def variables(self) -> list[Variable]:
        """What it keeps, as variables that share its memory: its count of steps, the learning rate
        (unless that is a schedule), and each state of each variable."""
        found = [_variable("iteration", self.steps)]
        if self._schedule is None:
            found.append(_variable("learning_rate", self.rate))
        found += [_variable(name, cell) for name, cell in self.cells.items()]
        for v in self._trainable_variables:
            for name in self._kept:
                state = Tensor(self._memory_of(v, name), self.state_shape(name, v.shape), v.dtype)
                found.append(_variable(f"{v.name}_{name}", state, v))
        return found

    @property
    def _kept(self):
        """The names of all that is kept of a variable."""
        others = (
            ("average", self.use_ema),
            ("accumulated_gradient", self.gradient_accumulation_steps is not None),
        )
        return *self.states, *[name for name, is_kept in others if is_kept]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Put in what `variables` held: as many arrays, of the same shapes."""
        if not self.built:
            raise ValueError(
                f"{self.name}: set_weights before build: call optimizer.build(variables) first, "
                "which makes what it keeps of them"
            )
        own = self.variables
        if len(own) != len(weights):
            raise ValueError(
                f"{self.name}: set_weights: it has {len(own)} variables; got {len(weights)}"
            )
        arrays = [np.asarray(w) for w in weights]
        for variable, array in zip(own, arrays, strict=True):
            if variable.size != array.size:
                raise ShapeError(
                    f"{self.name}: set_weights: {variable.name!r} has shape "
                    f"{shape_text(variable.shape)}; got {shape_text(array.shape)}"
                )
        for variable, array in zip(own, arrays, strict=True):
            variable.assign(array.reshape(variable.shape))
        # what an update would have noted of a state that it watches (kernels/update_rules.py)
        states = [v.numpy() for v in own if v.dtype in FLOATS]
        with np.errstate(over="ignore"):
            fits = [np.isfinite(s * s.dtype.type(2.0**60)).all() for s in states]
        self.is_large.buffer.array((1,), INT64)[0] = not all(fits)

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
        before = {id(v) for v in self._trainable_variables}
        if before and variables and not before & {id(v) for v in variables}:
            raise ValueError(
                f"{self.name}: this optimizer already updates {len(before)} other "
                "variables (of another model?). Its "
                "moments and its count of steps are theirs; make a new optimizer for these."
            )
        for v in variables:
            for name, value in self.initial.items() if id(v) not in before else ():
                self._memory_of(v, name).write(np.full(v.shape, value, v.dtype))
            if self.use_ema and id(v) not in before:  # that of one which no gradient reaches
                self._memory_of(v, "average").write(v.buffer.array(v.shape, v.dtype))
        self._trainable_variables = variables

    def exclude_from_weight_decay(
        self, var_list: Sequence[Variable] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Let weight_decay leave these variables alone, and those in whose names one of var_names
        (regular expressions) is found."""
        if self.built:
            raise ValueError(
                f"{self.name}: exclude_from_weight_decay comes before build, or the first step"
            )
        self._not_decayed = tuple(var_list or ()), tuple(var_names or ())

    def decays(self, v: Variable) -> bool:
        """Whether weight_decay is of this variable too."""
        if self.weight_decay is None:
            return False
        variables, names = self._not_decayed
        return not any([v is other for other in variables]) and not any(
            [re.search(name, v.name) for name in names]
        )

    # ---- a step

    def step(self) -> None:
        """Update every variable that has a gradient, then clear the gradients."""
        if not self._trainable_variables:
            raise ValueError(
                f"{self.name}: which variables? Call optimizer.build(model.trainable_variables) "
                "first."
            )
        ready = [v for v in self._trainable_variables if has_gradient(v)]
        if not ready:
            raise ValueError(
                f"{self.name}: none of its variables has a gradient. Call loss.backward() before "
                "optimizer.step()."
            )
        if len(ready) < len(self._trainable_variables):
            self._warn_of([v for v in self._trainable_variables if v._gradient is None])
        self._update([(v, v._gradient) for v in ready])
        for v in ready:
            v._gradient = None

    def _warn_of(self, variables):
        """Say, once, which variables have no gradient; others are frozen."""
        names = [v.name for v in variables if v.requires_gradient]
        if names and not self._warned:
            self._warned = True
            warn(
                f"{self.name}: no gradient reaches {', '.join(names)}: the loss does not use them."
            )

    def apply(
        self, gradients: Sequence[Any], trainable_variables: Sequence[Variable] | None = None
    ) -> None:
        """Update `trainable_variables` (those of `build` unless given) by these gradients, arrays
        or tensors of their shapes.

        >>> import fastnn
        >>> weight = fastnn.Variable([1.0, 2.0])
        >>> fastnn.optimizers.SGD(learning_rate=0.5).apply([[2.0, 0.0]], [weight])
        >>> weight.numpy()
        array([0., 2.], dtype=float32)
        """
        if trainable_variables is not None:
            self.build(trainable_variables)
        gradients, variables = list(gradients), self._trainable_variables
        if len(gradients) != len(variables):
            raise ValueError(
                f"{self.name}: got {len(gradients)} gradients for {len(variables)} variables"
            )
        if not gradients:
            return
        pairs = [
            (v, operand(g, v.dtype))
            for v, g in zip(variables, gradients, strict=True)
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
        if not pairs:
            raise ValueError(f"{self.name}: no gradient is given for any variable: all are None")
        if len(pairs) < len(variables):
            self._warn_of([v for v, g in zip(variables, gradients, strict=True) if g is None])
        self._update(pairs)

    def apply_gradients(self, gradients_and_variables: Iterable[tuple[Any, Variable]]) -> None:
        """`apply` for pairs, as tf.keras has it."""
        pairs = list(gradients_and_variables)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])

    def scale_loss(self, loss: Any) -> Any:
        """The loss that gradients are to be of: times loss_scale_factor, if there is one."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Put the averages of `use_ema` in the variables' place, as `fit` does at its end."""
        for v, average in self._averages(var_list):
            v.assign(average.array(v.shape, v.dtype))

    def swap_averages(self) -> None:
        """Exchange the variables and their averages of `use_ema`: done twice, nothing changed."""
        pairs = self._averages(self._trainable_variables)

        def swap():
            for v, average in pairs:
                value = v.numpy()
                v.assign(average.array(v.shape, v.dtype))
                average.write(value)

        if pairs:
            turn_of([v.buffer for v, _ in pairs]).run(swap)

    def _averages(self, variables):
        """Variables with the memory of their averages, once there has been an update."""
        kept = self._memory if self.use_ema and self._count.value else ()
        return [
            (v, self._memory_of(v, "average")) for v in variables if (v.chunk, "average") in kept
        ]

    def _memory_of(self, v, name):
        """Where what is kept of a variable under a name lies."""
        return self._memory.of(v.chunk, name).part(v.offset, v.buffer.nbytes)

    # ---- what subclasses say

    def update(self, parameter: Tensor, gradient: Tensor, rate: Tensor, *states: Tensor) -> Any:
        """A variable and its states as they are after a step, computed by ops. rate: the learning
        rate, of shape () and the variable's type."""
        raise TypeError(f"{type(self).__name__} does not define update(parameter, gradient, rate)")

    def attributes(self) -> dict[str, Any]:
        """Those of `op`, which bear its formula's names."""
        return {} if self.op is None else {n: getattr(self, n) for n in self.op.formula.attributes}

    @property
    def initial(self) -> dict[str, float]:
        """What states begin with, where that is not 0."""
        return {}

    @property
    def cells(self) -> dict[str, Tensor]:
        """Single numbers that `op` is given besides."""
        return {}

    def state_shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a state of a variable: no larger than that is."""
        return shape

    # ---- compute, then commit

    def _update(self, pairs):
        step = context.step
        self._expect_one_way_of_clipping()
        if isinstance(step, Search) and not step.checks:
            return
        for tensor in [t.flat() for t in (step.checked if step else ())]:
            apply(updates.check_finite, (tensor,), {})
        with no_grad():
            turns, commits = prepared(self, pairs)
        if isinstance(step, Search):
            step.updates.append((self, len(pairs)))
            return
        if context.recorder is None:  # other threads that predict see all of it or nothing
            combined(turns).run(self._commit, step, commits)
        else:
            self._commit(step, commits)

    def _commit(self, step, commits):
        with no_grad():
            if step is not None:
                step.flush()
            for call in commits:
                call()
        self._count.increment()

    def count_failed_step(self) -> None:
        """Count a step that ended by an error after it had committed this update."""
        self._count.increment()

    def commit_besides(self, counted: dict[str, int]) -> None:
        """Called where the updates are committed, after them, with the attributes that count
        steps: for `cells`."""

    def kept(self, run: Run, name: str) -> Tensor:
        """What is kept of a run under a name, flat."""
        memory = self._memory.of(run.chunk, name).part(run.offset, run.parameter.buffer.nbytes)
        return Tensor(memory, run.parameter.shape, run.parameter.dtype)


def _variable(name, tensor, of=None):
    """A variable that shares a tensor's memory; `of` is the one whose state it is."""
    found = Variable.__new__(Variable)
    Tensor.__init__(found, tensor.buffer, tensor.shape, tensor.dtype)
    found.name, found._trainable, found.constraint, found.regularizer = name, False, None, None
    found.sparse_gradient = False
    found.chunk, found.offset = (
        Arena("cpu", 0).place(0, False) if of is None else (of.chunk, of.offset)
    )
    return found


get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
