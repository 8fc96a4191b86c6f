"""The optimizers whose update is a formula of each element (`scalar/updates.py`): what is kept, and
what makes the numbers that a formula takes. Every device's `updates.py` makes a kernel of each, and
its check.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from . import step_size
from .scalar import updates


@dataclass(frozen=True, eq=False)
class Rule:
    """An update of each element.

    formula     (p, g, *states, *numbers) -> (p, *states), as they are after the step.
    numbers     (rate, t, *cells, *attributes) -> the formula's numbers, in float64: t counts
                updates from 1.
    margin      (rate, *attributes) -> what a gradient is multiplied by to see that the step is
                finite (kernels/step_size.py).
    states      what is kept of each element.
    attributes  and their defaults.
    finite those of `states` that must stay finite, as the parameter must.
    watched     a state for which the margin holds only while it is no larger than FLOAT_MAX /
                OVERFLOW_MARGIN: a flag, `<state>_is_large`, becomes 1 when it is.
    unbounded   whether gradients never tell that a step is finite: each check works it out.
    counts      whether the numbers depend on t.
    cells       single numbers in memory, float64, that the numbers are made of besides.
    """

    name: str
    formula: Any
    numbers: Any
    count: int  # of numbers
    margin: Any
    states: tuple[str, ...] = ()
    attributes: dict[str, float] = field(default_factory=dict)
    finite: tuple[str, ...] = ()
    watched: str | None = None
    unbounded: bool = False
    counts: bool = False
    cells: tuple[str, ...] = ()

    @property
    def flag(self) -> tuple[str, ...]:
        """The flag's name, if there is one."""
        return (f"{self.watched}_is_large",) if self.watched else ()

    # ---- its kernels' text and arguments

    @property
    def number_names(self) -> list[str]:
        """What kernels call the numbers."""
        return [f"number_{n}" for n in range(self.count)]

    @property
    def declared_inputs(self) -> dict[str, str]:
        """What a kernel is given before what it writes."""
        return {
            "gradient": "T[n]",
            "rate": "f8[s]",
            "steps": "i8[s]",
            "squares": "f8[s]",
            **dict.fromkeys(self.cells, "f8[s]"),
            **dict.fromkeys((*self.attributes, *[a for a in COMMON if a not in WHOLE]), "float"),
            **dict.fromkeys(WHOLE, "int"),
        }

    def declared_results(self, access: str) -> dict[str, str]:
        """What it writes: access "inout", or "some", by a check that does not."""
        flag = "inout i8[s]" if access == "inout" else "i8[s]"
        written = ("parameter", *self.states)
        return {**dict.fromkeys(written, f"{access} T[n]"), **dict.fromkeys(self.flag, flag)}


# of every update, besides the rule's own
COMMON = {"decay": 0.0, "clipnorm": math.inf, "unscale": 1.0, "steps_before": 0, "every": 1}
WHOLE = ("steps_before", "every")


def listed(names: Iterable[str], form: str = "{}") -> str:
    """Names in a kernel's text, with a comma behind each."""
    return "".join([form.format(n) + ", " for n in names])


def launcher_of(rule: Rule, kernel: Any, last: tuple[int, ...] = ()) -> Any:
    """The launcher that calls a kernel with a rule's inputs, attributes, `last` and what it
    writes."""
    count = 4 + len(rule.cells)
    defaults = {**rule.attributes, **{a: v for a, v in COMMON.items() if a not in WHOLE}}

    def launch(call, *tensors, **given):
        numbers = [float(given.get(name, value)) for name, value in defaults.items()]
        whole = [given.get(name, COMMON[name]) for name in WHOLE]
        call(kernel, *tensors[:count], *numbers, *whole, *last, *tensors[count:])

    return launch


def _rule(name, count, states=(), attributes=None, numbers=None, **others):
    numbers = numbers or name
    return Rule(
        name,
        getattr(updates, name),
        getattr(step_size, f"{numbers}_numbers"),
        count,
        getattr(step_size, f"{numbers}_margin"),
        states,
        attributes or {},
        **others,
    )


BETAS = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
ADAM = {**BETAS, "epsilon_after_correction": 0.0}
RMSPROP = {"rho": 0.9, "epsilon": 1e-7}
FTRL = {
    "learning_rate_power": -0.5,
    "l1_regularization_strength": 0.0,
    "l2_regularization_strength": 0.0,
    "l2_shrinkage_regularization_strength": 0.0,
    "beta": 0.0,
}
MOMENTS = ("momentum", "velocity")

sgd = _rule("sgd", 1)
sgd_momentum = _rule(
    "sgd_momentum", 3, ("velocity",), {"momentum": 0.0, "nesterov": 0.0}, watched="velocity"
)
adam = _rule("adam", 4, MOMENTS, ADAM, finite=("momentum",), counts=True)
amsgrad = _rule(
    "amsgrad", 4, (*MOMENTS, "velocity_hat"), ADAM, "adam", finite=("momentum",), counts=True
)
adamax = _rule("adamax", 4, ("momentum", "norm"), BETAS, finite=("momentum", "norm"), counts=True)
nadam = _rule("nadam", 6, MOMENTS, BETAS, finite=("momentum",), counts=True, cells=("product",))
rmsprop = _rule("rmsprop", 3, ("velocity",), RMSPROP)
rmsprop_general = _rule(
    "rmsprop_general",
    5,
    ("velocity", "increment", "average_gradient"),
    {**RMSPROP, "momentum": 0.0, "centered": 0.0},
    finite=("increment", "average_gradient"),
    watched="increment",
)
adagrad = _rule("adagrad", 2, ("accumulator",), {"epsilon": 1e-7})
adadelta = _rule(
    "adadelta",
    3,
    ("accumulated_grad", "accumulated_delta_var"),
    {"rho": 0.95, "epsilon": 1e-7},
    "rmsprop",
    finite=("accumulated_delta_var",),
    watched="accumulated_delta_var",
)
ftrl = _rule("ftrl", 5, ("accumulator", "linear"), FTRL, finite=("linear",), unbounded=True)
lion = _rule("lion", 3, ("momentum",), {"beta_1": 0.9, "beta_2": 0.99}, finite=("momentum",))
RULES = (
    sgd, sgd_momentum, adam, amsgrad, adamax, nadam, rmsprop, rmsprop_general, adagrad, adadelta,
    ftrl, lion,
)  # fmt: skip
