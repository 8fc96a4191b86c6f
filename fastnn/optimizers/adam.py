"""Adam and its family: averages of gradients over the root of averages of their squares.

Keras's epsilon is the paper's epsilon-hat: it is added to sqrt(v), before the correction of v's
bias. Algorithm 1 of the paper, and PyTorch, add theirs to the corrected root; the same step needs
an epsilon-hat of sqrt(1 - beta_2^t) epsilon, a thirtieth at the first update.
"""

from collections.abc import Callable
from typing import Any

from fastnn.apply import apply
from fastnn.buffer import CACHE_LINE
from fastnn.checks import flag, fraction, not_negative, positive
from fastnn.devices.cpu.memory import reserve
from fastnn.dtypes import FLOAT64
from fastnn.ops import updates
from fastnn.ops.record import Op
from fastnn.tensor import Tensor

from .base import Optimizer

CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "beta_1": fraction,
    "beta_2": fraction,
    "epsilon": positive,
}


class Moments(Optimizer, aliases=None):
    """What Adam's family shares: two averages and a small number."""

    states: Any = ("momentum", "velocity")
    checks = CHECKS

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **base: Any,
    ):
        super().__init__(learning_rate, **base)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon


class Adam(Moments):
    """m and v follow the gradient and its square (m += (1 - beta_1)(gradient - m), v += (1 -
    beta_2)(gradient^2 - v)); at step t w -= learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m /
    (sqrt(v) + epsilon). Kingma and Ba, "Adam: a method for stochastic optimization", 2014, in the
    form before its section 2.1, as Keras has it, with Keras's defaults. amsgrad: the largest v so
    far takes its place (Reddi, Kale and Kumar, "On the convergence of Adam and beyond", 2018).
    epsilon_after_correction: epsilon is added to sqrt(v / (1 - beta_2^t)) instead, as in PyTorch,
    whose default is 1e-8; PyTorch's amsgrad is this one too. **base: those of `Optimizer`.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.Adam(0.1).apply([[5.0]], [weight])
    >>> round(weight.item(), 3)
    0.9
    """

    checks = {**CHECKS, "amsgrad": flag, "epsilon_after_correction": flag}

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        *,
        epsilon_after_correction: bool = False,
        **base: Any,
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **base)
        self.amsgrad, self.epsilon_after_correction = amsgrad, epsilon_after_correction

    @property
    def states(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.op.formula.states

    @property
    def op(self) -> Op:  # type: ignore[override]
        return updates.amsgrad if self.amsgrad else updates.adam


class AdamW(Adam):
    """`Adam` with weight_decay, decoupled from the gradient (Loshchilov and Hutter, "Decoupled
    weight decay regularization", 2019), with Keras's default.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.AdamW(0.1, weight_decay=0.5).apply([[0.0]], [weight])
    >>> round(weight.item(), 3)
    0.95
    """

    checks = {**Adam.checks, "weight_decay": not_negative}

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **base: Any,
    ):
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **base
        )


class Adamax(Moments):
    """Adam by the largest gradient: u = max(beta_2 u, |gradient|) and w -= learning_rate / (1 -
    beta_1^t) m / (u + epsilon). Kingma and Ba, 2014, section 7.1; Keras's form and defaults.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.Adamax(0.1).apply([[5.0]], [weight])
    >>> round(weight.item(), 3)
    0.9
    """

    states = ("momentum", "norm")
    op = updates.adamax


class Nadam(Moments):
    """Adam with Nesterov's momentum: with u_t = beta_1 (1 - 0.96^t / 2) and U_t the product of u_1
    to u_t, w -= learning_rate (u_(t+1) m / (1 - U_(t+1)) + (1 - u_t) gradient / (1 - U_t)) /
    (sqrt(v / (1 - beta_2^t)) + epsilon). Dozat, "Incorporating Nesterov momentum into Adam", 2016;
    Keras's form and defaults.

    >>> import fastnn
    >>> weight = fastnn.Variable([1.0])
    >>> fastnn.optimizers.Nadam(0.1).apply([[5.0]], [weight])
    >>> round(weight.item(), 3)
    0.894
    """

    op = updates.nadam

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **base: Any,
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **base)
        self.product = Tensor(reserve(CACHE_LINE).part(0, 8), (1,), FLOAT64)
        self.product.buffer.array((1,), FLOAT64)[0] = 1.0

    @property
    def cells(self) -> dict[str, Tensor]:
        return {"product": self.product}

    def commit_besides(self, counted: dict[str, int]) -> None:
        given = {"beta_1": self.beta_1, **counted}
        apply(updates.nadam_product, (self.steps,), given, (self.product,))
