"""Ftrl, Lion, and optimizers whose steps depend on all of a variable: Lamb, Adafactor."""

from typing import Any

from fastnn import ops
from fastnn.checks import flag, fraction, not_negative, number, positive
from fastnn.ops import updates
from fastnn.tensor import Tensor

from .adam import Moments
from .base import Optimizer
from .commit import sum_of_squares

STRENGTHS = (
    "l1_regularization_strength",
    "l2_regularization_strength",
    "l2_shrinkage_regularization_strength",
)


class Ftrl(Optimizer):
    """Follow the regularised leader: accumulator += gradient^2, linear += gradient + 2 shrinkage w
    - (the change of accumulator^-power) / learning_rate w; w = (clip(linear, -l1, l1) - linear) /
    (accumulator^-power / learning_rate + 2 l2 + beta / learning_rate), with power =
    learning_rate_power. McMahan et al., "Ad click prediction: a view from the trenches", 2013;
    Keras's form and defaults. What has met no gradient, with an initial accumulator of 0, stays,
    where it is NaN in Keras; a learning rate of 0 has no step, and is refused by it. **base: those
    of `Optimizer`.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.Ftrl(0.5).apply([[0.5]], [weight])
    >>> round(weight.item(), 3)
    0.043
    """

    states = ("accumulator", "linear")
    op = updates.ftrl
    checks = {
        "learning_rate_power": lambda name, value: number(
            name, value, lambda v: v <= 0, "be a finite number up to 0"
        ),
        "initial_accumulator_value": not_negative,
        "beta": not_negative,
        **dict.fromkeys(STRENGTHS, not_negative),
    }

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **base: Any,
    ):
        super().__init__(learning_rate, **base)
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    @property
    def initial(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value}


class Lion(Optimizer):
    """w -= learning_rate sign(beta_1 m + (1 - beta_1) gradient); m = beta_2 m + (1 - beta_2)
    gradient. Chen et al., "Symbolic discovery of optimization algorithms", 2023; Keras's form and
    defaults. **base: those of `Optimizer`.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.Lion(0.1).apply([[5.0]], [weight])
    >>> round(weight.item(), 3)
    0.9
    """

    states = ("momentum",)
    op = updates.lion
    checks = {
        "beta_1": lambda name, value: fraction(name, value, zero=False, one=True),
        "beta_2": fraction,
    }

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **base: Any
    ):
        super().__init__(learning_rate, **base)
        self.beta_1, self.beta_2 = beta_1, beta_2


class Lamb(Moments):
    """Adam's direction, u = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon), as long as
    the variable: w -= learning_rate |w| / |u| u, or learning_rate u where one of them is 0. You et
    al., "Large batch optimization for deep learning", 2019; Keras's form and defaults.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.Lamb(0.1).apply([[5.0]], [weight])
    >>> round(weight.item(), 3)
    0.9
    """

    def update(  # type: ignore[override]
        self, parameter: Tensor, gradient: Tensor, rate: Tensor, momentum: Tensor, velocity: Tensor
    ) -> Any:
        t, dtype = self.update_number(), parameter.dtype
        m = momentum + (gradient - momentum) * (1.0 - self.beta_1)
        v = velocity + (ops.square(gradient) - velocity) * (1.0 - self.beta_2)
        of_m, of_v = [(1.0 - beta**t).astype(dtype) for beta in (self.beta_1, self.beta_2)]
        u = m / of_m / (ops.sqrt(v / of_v) + self.epsilon)
        length, step = [ops.sqrt(sum_of_squares(x)).view(()).astype(dtype) for x in (parameter, u)]
        both = ops.minimum(length, step) > 0.0
        ratio = ops.where(both, length / ops.where(both, step, 1.0), 1.0)
        return parameter - ratio * rate * u, m, v


class Adafactor(Optimizer):
    """Squares of gradients are averaged by rows and columns: with b = 1 - t^beta_2_decay and s =
    gradient^2 + epsilon_1, r = b r + (1 - b) mean of s over the last axis, c likewise over the last
    but one, v = r c / mean of r; of fewer than two dimensions v = b v + (1 - b) s. u = gradient /
    sqrt(v), divided by max(1, rms(u) / clip_threshold); w -= max(epsilon_2, rms(w)) min(
    learning_rate, 1 / sqrt(t)) u. Shazeer and Stern, "Adafactor: adaptive learning rates with
    sublinear memory cost", 2018; Keras's form and defaults. **base: those of `Optimizer`.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.Adafactor(0.1).apply([[5.0]], [weight])
    >>> round(weight.item(), 3)
    0.9
    """

    states = ("row", "column", "velocity")
    checks = {
        "beta_2_decay": lambda name, value: number(
            name, value, lambda v: v <= 0, "be a finite number up to 0"
        ),
        "epsilon_1": positive,
        "epsilon_2": positive,
        "clip_threshold": positive,
        "relative_step": flag,
    }

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **base: Any,
    ):
        super().__init__(learning_rate, **base)
        self.beta_2_decay, self.epsilon_1, self.epsilon_2 = beta_2_decay, epsilon_1, epsilon_2
        self.clip_threshold, self.relative_step = clip_threshold, relative_step

    def state_shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        if name == "velocity":
            return shape
        if len(shape) < 2:
            return ()
        return shape[:-1] if name == "row" else (*shape[:-2], shape[-1])

    def update(  # type: ignore[override]
        self, parameter: Tensor, gradient: Tensor, rate: Tensor,
        row: Tensor, column: Tensor, velocity: Tensor,
    ) -> Any:  # fmt: skip
        t, dtype, shape = self.update_number(), parameter.dtype, parameter.shape
        rate = ops.minimum(rate, (1.0 / ops.sqrt(t)).astype(dtype))
        new = (t**self.beta_2_decay).astype(dtype)  # 1 - b
        square = ops.square(gradient) + self.epsilon_1
        if len(shape) >= 2:
            row = row + new * (ops.mean(square, axis=-1) - row)
            column = column + new * (ops.mean(square, axis=-2) - column)
            of_rows = row / ops.mean(row, axis=-1, keepdims=True)
            velocity = ops.reshape(of_rows, (*shape[:-1], 1)) * ops.reshape(
                column, (*shape[:-2], 1, shape[-1])
            )
        else:
            velocity = velocity + new * (square - velocity)
        u = gradient / ops.sqrt(velocity)
        u = u / ops.maximum(_rms(u) / self.clip_threshold, 1.0)
        length = ops.maximum(_rms(parameter), self.epsilon_2)
        return parameter - length * rate * u, row, column, velocity


def _rms(x):
    return ops.sqrt(ops.mean(ops.square(x)))
