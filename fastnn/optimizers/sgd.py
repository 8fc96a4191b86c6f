"""Gradient descent."""

from functools import partial
from typing import Any

from fastnn.checks import fraction
from fastnn.ops import updates
from fastnn.ops.record import Op

from .base import Optimizer, flag


class SGD(Optimizer):
    """w -= learning_rate gradient; with momentum, velocity = momentum velocity - learning_rate
    gradient and w += velocity, or, by Nesterov, w += momentum velocity - learning_rate gradient.
    Keras's form and defaults. **base: those of `Optimizer`.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.SGD(0.1, momentum=0.9).apply([[1.0]], [weight])
    >>> round(weight.item(), 3)
    0.9
    """

    checks = {
        "momentum": partial(fraction, one=True),
        "nesterov": flag,
    }

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **base: Any,
    ):
        super().__init__(learning_rate, **base)
        self.momentum, self.nesterov = momentum, nesterov

    @property
    def states(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.op.formula.states

    @property
    def op(self) -> Op:  # type: ignore[override]
        return updates.sgd_momentum if self.momentum else updates.sgd
