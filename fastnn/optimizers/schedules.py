"""Learning rates that follow the number of steps done: Keras's, and a base for one's own. A
recorded step works its rate out anew each time, from the counter that it increments."""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite, log, pi
from numbers import Real
from typing import Any

import numpy as np

from fastnn import checks, ops
from fastnn.dtypes import FLOAT64
from fastnn.registry import Configured, Kind
from fastnn.tensor import Tensor, operand
from fastnn.watch import Watched

KIND = Kind("learning-rate schedule", "optimizers.schedules")
NUMBERS = {
    *("initial_learning_rate", "end_learning_rate", "alpha", "power", "decay_rate", "decay_steps"),
    *("first_decay_steps", "t_mul", "m_mul", "warmup_target", "warmup_steps"),
}
ROUNDING = 1e-10  # of the number of restarts so far, which is a quotient of logarithms


class LearningRateSchedule(Watched, Configured):
    """A function of the number of steps done, as `learning_rate` of an optimizer. A subclass
    defines `__call__(step)` by fastnn's ops and operators: step is a tensor of shape ().

    >>> import fastnn
    >>> class Halving(fastnn.optimizers.schedules.LearningRateSchedule):
    ...     def __init__(self, initial):
    ...         self.initial = initial
    ...     def __call__(self, step):
    ...         return self.initial * 0.5**step
    >>> weight = fastnn.Variable([1.0])
    >>> optimizer = fastnn.optimizers.SGD(Halving(0.5))
    >>> for _ in range(2):
    ...     optimizer.apply([[1.0]], [weight])
    >>> weight.item(), optimizer.learning_rate
    (0.25, 0.125)
    """

    _kind = KIND

    def __call__(self, step: Any) -> Any:
        raise TypeError(f"{type(self).__name__} does not define __call__(step)")

    def __setattr__(self, name, value):
        is_ours = type(self).__module__ == __name__
        if is_ours and name in NUMBERS and not (name == "warmup_target" and value is None):
            checks.real(f"{type(self).__name__}: {name}", value)
        if name in ("decay_steps", "first_decay_steps", "t_mul") and not value > 0:
            raise ValueError(f"{type(self).__name__}: {name} must be above 0; got {value!r}")
        if isinstance(value, Real) and not isfinite(value):
            raise ValueError(f"{type(self).__name__}: {name} must be a finite number; got {value}")
        super().__setattr__(name, value)


def _steps(step):
    """A number of steps, or several, as float64."""
    if isinstance(step, Tensor):
        return step if step.dtype == FLOAT64 else step.astype(FLOAT64)
    return operand(np.asarray(step, FLOAT64), FLOAT64)


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate decay_rate^(step / decay_steps); staircase rounds the exponent down.

    >>> import fastnn
    >>> schedule = fastnn.optimizers.schedules.ExponentialDecay(0.1, 100, 0.5)
    >>> round(float(schedule(200)), 6)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ):
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def __call__(self, step: Any) -> Tensor:
        p = ops.divide(_steps(step), self.decay_steps)
        p = ops.floor(p) if self.staircase else p
        return ops.multiply(self.initial_learning_rate, ops.power(self.decay_rate, p))


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and with step boundaries[0], then values[1] up to boundaries[1], and so on;
    values[-1] after the last.

    >>> import fastnn
    >>> schedule = fastnn.optimizers.schedules.PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.25])
    >>> [float(schedule(step)) for step in (10, 11, 21)]
    [1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        boundaries: Sequence[float],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ):
        for argument, given in (("boundaries", boundaries), ("values", values)):
            if not isinstance(given, Sequence | np.ndarray) or isinstance(given, str):
                raise TypeError(
                    f"PiecewiseConstantDecay: {argument} must be several numbers; got {given!r}"
                )
            for n in given:
                checks.real(f"PiecewiseConstantDecay: {argument}", n)
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "PiecewiseConstantDecay: one value more than boundaries is needed; got "
                f"{len(boundaries)} boundaries and {len(values)} values"
            )
        if any(b <= a for a, b in pairwise(boundaries)):
            raise ValueError(
                f"PiecewiseConstantDecay: boundaries must increase; got {boundaries!r}"
            )
        self.boundaries, self.values, self.name = list(boundaries), list(values), name

    def __call__(self, step: Any) -> Tensor:
        step = _steps(step)
        rate: Any = ops.multiply(step, 0.0) + self.values[-1]
        for boundary, value in zip(self.boundaries[::-1], self.values[-2::-1], strict=True):
            rate = ops.where(ops.less_equal(step, boundary), value, rate)
        return rate


class PolynomialDecay(LearningRateSchedule):
    """(initial - end) (1 - step / decay_steps)^power + end, step being at most decay_steps; with
    cycle, decay_steps is multiplied by what makes it the first multiple from step on.

    >>> import fastnn
    >>> schedule = fastnn.optimizers.schedules.PolynomialDecay(0.1, 100, 0.0)
    >>> round(float(schedule(50)), 6)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ):
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power = end_learning_rate, power
        self.cycle, self.name = cycle, name

    def __call__(self, step: Any) -> Tensor:
        step, total = _steps(step), self.decay_steps
        if self.cycle:
            cycles = ops.maximum(ops.ceil(ops.divide(step, total)), 1.0)
            p = ops.divide(step, ops.multiply(cycles, total))
        else:
            p = ops.divide(ops.minimum(step, total), total)
        length = self.initial_learning_rate - self.end_learning_rate
        left = ops.power(ops.subtract(1.0, p), self.power)
        return ops.add(ops.multiply(length, left), self.end_learning_rate)


class InverseTimeDecay(LearningRateSchedule):
    """initial_learning_rate / (1 + decay_rate step / decay_steps); staircase rounds step /
    decay_steps down.

    >>> import fastnn
    >>> schedule = fastnn.optimizers.schedules.InverseTimeDecay(0.1, 100, 1.0)
    >>> round(float(schedule(100)), 6)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ):
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def __call__(self, step: Any) -> Tensor:
        p = ops.divide(_steps(step), self.decay_steps)
        p = ops.floor(p) if self.staircase else p
        return ops.divide(
            self.initial_learning_rate, ops.add(ops.multiply(self.decay_rate, p), 1.0)
        )


class CosineDecay(LearningRateSchedule):
    """rate ((1 - alpha) (1 + cos(pi step / decay_steps)) / 2 + alpha) with rate =
    initial_learning_rate, step being at most decay_steps. With a warmup_target the rate first goes
    to it in warmup_steps, evenly, and decays from it. Loshchilov and Hutter, "SGDR: stochastic
    gradient descent with warm restarts", 2016.

    >>> import fastnn
    >>> schedule = fastnn.optimizers.schedules.CosineDecay(0.0, 100, warmup_target=0.1,
    ...                                                    warmup_steps=10)
    >>> [round(float(schedule(step)), 6) for step in (5, 10, 60, 110)]
    [0.05, 0.1, 0.05, 0.0]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ):
        self.initial_learning_rate, self.decay_steps, self.alpha = (
            initial_learning_rate,
            decay_steps,
            alpha,
        )
        self.name, self.warmup_target, self.warmup_steps = name, warmup_target, warmup_steps

    def __call__(self, step: Any) -> Tensor:
        step, initial, target = _steps(step), self.initial_learning_rate, self.warmup_target
        warmup = 0 if target is None else self.warmup_steps
        done = ops.divide(
            ops.minimum(ops.subtract(step, warmup), self.decay_steps), self.decay_steps
        )
        decayed = ops.multiply(initial if target is None else target, _cosine(done, self.alpha))
        if target is None or warmup <= 0:
            return decayed
        warming = ops.add(ops.multiply(step, (target - initial) / warmup), initial)
        return ops.where(ops.less(step, warmup), warming, decayed)


class CosineDecayRestarts(LearningRateSchedule):
    """`CosineDecay` that begins again after first_decay_steps, then after t_mul times as many, and
    so on, each time with m_mul times the rate. Loshchilov and Hutter, 2016, as above.

    >>> import fastnn
    >>> schedule = fastnn.optimizers.schedules.CosineDecayRestarts(0.1, 10)
    >>> [round(float(schedule(step)), 6) for step in (0, 5, 10, 20, 30)]
    [0.1, 0.05, 0.1, 0.05, 0.1]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ):
        self.initial_learning_rate, self.first_decay_steps = (
            initial_learning_rate,
            first_decay_steps,
        )
        self.t_mul, self.m_mul, self.alpha, self.name = t_mul, m_mul, alpha, name

    def __call__(self, step: Any) -> Tensor:
        done, t = ops.divide(_steps(step), self.first_decay_steps), self.t_mul
        if t == 1.0:
            restarts = ops.floor(done)
            done = ops.subtract(done, restarts)
        else:
            grown = ops.log(ops.add(ops.multiply(done, t - 1.0), 1.0))
            restarts = ops.floor(ops.add(ops.divide(grown, log(t)), ROUNDING))
            length = ops.power(t, restarts)  # of this period, in first ones
            before = ops.divide(ops.subtract(length, 1.0), t - 1.0)
            done = ops.divide(ops.subtract(done, before), length)
        factor = ops.power(self.m_mul, restarts)
        return ops.multiply(self.initial_learning_rate, _cosine(done, self.alpha, factor))


def _cosine(done, alpha, factor=1.0):
    """(1 - alpha) factor (1 + cos(pi done)) / 2 + alpha."""
    cosine = ops.multiply(ops.add(ops.cos(ops.multiply(done, pi)), 1.0), 0.5)
    if not isinstance(factor, float):
        cosine = ops.multiply(cosine, factor)
    return ops.add(ops.multiply(cosine, 1.0 - alpha), alpha)


get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize
