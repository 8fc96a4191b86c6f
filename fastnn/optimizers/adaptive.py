"""Optimizers whose steps are gradients over the root of their own squares."""

from functools import partial
from typing import Any

from fastnn.checks import fraction, not_negative, positive
from fastnn.ops import updates
from fastnn.ops.record import Op

from .base import Optimizer, flag


class RMSprop(Optimizer):
    """square = rho square + (1 - rho) gradient^2; w -= learning_rate gradient / sqrt(square +
    epsilon). centered: the square of the gradients' own average is taken off square; what rounding
    would make negative, NaN in Keras, is 0. momentum: step = momentum step + learning_rate gradient
    / sqrt(...) and w -= step. Tieleman and Hinton, 2012; Keras's form and defaults. **base: those
    of `Optimizer`.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.RMSprop(0.1).apply([[5.0]], [weight])
    >>> round(weight.item(), 3)
    0.684
    """

    checks = {
        "rho": fraction,
        "momentum": partial(fraction, one=True),
        "epsilon": positive,
        "centered": flag,
    }

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **base: Any,
    ):
        super().__init__(learning_rate, **base)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    @property
    def op(self) -> Op:  # type: ignore[override]
        return updates.rmsprop_general if self.momentum or self.centered else updates.rmsprop

    @property
    def states(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.op.formula.states


class Adagrad(Optimizer):
    """accumulator += gradient^2, from initial_accumulator_value on; w -= learning_rate gradient /
    sqrt(accumulator + epsilon). Duchi, Hazan and Singer, "Adaptive subgradient methods", 2011;
    Keras's form and defaults (PyTorch's begins with 0, adds epsilon to the root and has a rate of
    0.01). **base: those of `Optimizer`.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.Adagrad(0.1, initial_accumulator_value=0.0).apply([[5.0]], [weight])
    >>> round(weight.item(), 3)
    0.9
    """

    states = ("accumulator",)
    op = updates.adagrad
    checks = {"initial_accumulator_value": not_negative, "epsilon": positive}

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **base: Any,
    ):
        super().__init__(learning_rate, **base)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    @property
    def initial(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value}


class Adadelta(Optimizer):
    """square averages gradient^2, of_steps averages step^2, both by rho, with step = gradient
    sqrt(of_steps + epsilon) / sqrt(square + epsilon); w -= learning_rate step. Zeiler, "ADADELTA:
    an adaptive learning rate method", 2012; Keras's form and defaults (the paper's learning rate
    is 1). **base: those of `Optimizer`.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.Adadelta(1.0).apply([[5.0]], [weight])
    >>> round(weight.item(), 4)
    0.9986
    """

    states = ("accumulated_grad", "accumulated_delta_var")
    op = updates.adadelta
    checks = {"rho": fraction, "epsilon": positive}

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **base: Any
    ):
        super().__init__(learning_rate, **base)
        self.rho, self.epsilon = rho, epsilon
