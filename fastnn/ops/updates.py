"""Optimizers' updates, which write a parameter and what is kept of it as they are after the step,
and the checks before them (kernels/cpu/updates.py). All arrays have one dimension: an optimizer
updates runs of variables, whatever their shapes."""

from functools import partial

import numpy as np

from fastnn.kernels import update_rules as rules
from fastnn.kernels.reference import updates as reference

from .record import Case, Op, Parameters, Tolerance


def _number(value):
    return lambda rng: np.array([value])


def _between(low, high, shape):
    return lambda rng: rng.uniform(low, high, shape)


def _cases(rule, tested):
    """(gradient, rate, steps, squares, cells), and in place (parameter, states, flag)."""
    cells, flags = [_number(0.8)] * len(rule.cells), [_number(0)] * len(rule.flag)
    return [
        Case(
            (
                _between(-4, 4, shape),
                _between(0.01, 0.1, 1),
                _number(2),
                _number(9.0),
                *cells,
                _between(-4, 4, shape),
                *[_between(0.5, 1, shape)] * len(rule.states),
                *flags,
            ),
            given,
        )
        for shape in [(0,), (1,), (5,), (65,), (393,)]
        for given in ({}, *tested)
    ]


def _update(rule, flops, doc, *tested, optimizer=None, **record):
    """The op of a rule; its check, named after the optimizer, is in `check_of`."""

    def infer(*inputs, **attributes):
        return []

    inputs = ("gradient", "rate", "steps", "squares", *rule.cells)
    attributes = {**rule.attributes, **rules.COMMON}
    parameters = Parameters(inputs, len(inputs), tuple(attributes), attributes)
    op = Op(
        rule.name,
        infer,
        parameters=parameters,
        kernels="updates.update",
        formula=rule,
        in_place=True,
        float64=(1, 3, *range(4, 4 + len(rule.cells))),
        reference=getattr(reference, rule.name),
        cases=partial(_cases, rule, tested),
        flops=lambda inputs, outputs, **_: flops * inputs[0].size,
        doc=doc,
        **record,
    )
    check_of[op] = Op(
        f"{optimizer or rule.name}'s check",
        infer,
        parameters=parameters,
        kernels="updates.check",
        formula=rule,
        in_place=True,
        flops=lambda inputs, outputs, **_: 2 * inputs[0].size,
        doc="Raises FloatingPointError, which names the first element that is not finite, or would "
        "not be after the update.",
    )
    return op


check_of: dict[Op, Op] = {}
CONDITIONED = {"decay": 0.3, "clipnorm": 2.0, "unscale": 0.5}
ACCUMULATED = [{"every": 2, "steps_before": 1}, {"every": 2}]
BETAS = {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}

sgd = _update(rules.sgd, 4, "p - rate g.", CONDITIONED, *ACCUMULATED)
sgd_momentum = _update(
    rules.sgd_momentum,
    9,
    "velocity = momentum velocity - rate g and p + velocity or, by Nesterov, p + momentum velocity "
    "- rate g. velocity_is_large: (1,), int64; 1 once a velocity is so large that the gradient "
    "alone no longer tells whether a step is finite.",
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": 1.0},
    optimizer="sgd",
)
adam = _update(
    rules.adam,
    14,
    "momentum += (1 - beta_1) (g - momentum), velocity += (1 - beta_2) (g^2 - velocity) and p - "
    "rate sqrt(1 - beta_2^t) / (1 - beta_1^t) momentum / (sqrt(velocity) + epsilon) with t = steps "
    "+ steps_before + 1; or rate / (1 - beta_1^t) momentum / (sqrt(velocity / (1 - beta_2^t)) + "
    "epsilon), if epsilon_after_correction.",
    {**BETAS, **CONDITIONED},
    {"epsilon": 0.1, "epsilon_after_correction": 1.0, **ACCUMULATED[0]},
)
amsgrad = _update(
    rules.amsgrad,
    15,
    "adam with the largest velocity so far.",
    BETAS,
    {"beta_2": 0.1},
    optimizer="adam",
)
adamax = _update(
    rules.adamax,
    12,
    "adam with norm = max(beta_2 norm, |g|) in the place of sqrt(velocity) and its correction.",
    BETAS,
)
nadam = _update(
    rules.nadam,
    16,
    "adam with Nesterov's momentum: with u_t = beta_1 (1 - 0.96^t / 2), U_t the product of u_1 to "
    "u_t (product: that of those before t), the momentum becomes u_(t + 1) momentum / (1 - U_(t + "
    "1)) + (1 - u_t) g / (1 - U_t).",
    BETAS,
)
rmsprop = _update(
    rules.rmsprop,
    10,
    "velocity += (1 - rho) (g^2 - velocity) and p - rate g / sqrt(velocity + epsilon).",
    {"rho": 0.5, "epsilon": 1e-3},
)
rmsprop_general = _update(
    rules.rmsprop_general,
    18,
    "velocity as of rmsprop, less the square of the gradients' average if centered; increment = "
    "momentum increment + rate g / sqrt(velocity + epsilon) and p - increment.",
    {"rho": 0.5, "momentum": 0.9},
    {"centered": 1.0, "epsilon": 1.0},
    optimizer="rmsprop",
)
adagrad = _update(
    rules.adagrad, 6, "accumulator += g^2 and p - rate g / sqrt(accumulator + epsilon)."
)
adadelta = _update(
    rules.adadelta,
    16,
    "d = g sqrt(accumulated_delta_var + epsilon) / sqrt(accumulated_grad + epsilon), of which both "
    "average squares, of d and of g; p - rate d.",
    {"rho": 0.5, "epsilon": 1e-3},
)
ftrl = _update(
    rules.ftrl,
    120,
    "accumulator += g^2, linear += g + 2 shrinkage p - (the change of accumulator^-power) / rate p "
    "and the p that minimises linear p + (accumulator^-power / rate + 2 l2 + beta / rate) p^2 / 2 "
    "+ l1 |p|.",
    {
        "learning_rate_power": -0.7,
        "l1_regularization_strength": 0.5,
        "l2_regularization_strength": 0.1,
        "l2_shrinkage_regularization_strength": 0.2,
        "beta": 0.3,
    },
    tolerance=Tolerance(3e3, 40.0),  # of the difference of two powers, over the rate
)
lion = _update(
    rules.lion,
    9,
    "p - rate sign(beta_1 momentum + (1 - beta_1) g), momentum += (1 - beta_2) (g - momentum).",
    {"beta_1": 0.5, "beta_2": 0.5},
)

sum_of_squares = Op(
    "sum_of_squares",
    lambda x: [],
    kernels="updates.sum_of_squares",
    in_place=True,
    float64=(1,),
    reference=reference.sum_of_squares,
    cases=[Case(((n,), _number(0.0)), terms=n or 1) for n in (0, 1, 65, 4096, 4097, 9001)],
    flops=lambda inputs, outputs: 2 * inputs[0].size,
    doc="out = the sum of x^2, in float64.",
)
accumulate_gradient = Op(
    "accumulate_gradient",
    lambda gradient, steps, *, unscale=1.0, steps_before=0, every=1: [],
    kernels="updates.accumulate_gradient",
    in_place=True,
    reference=reference.accumulate_gradient,
    cases=[
        Case(((65,), _number(steps), (65,)), {"unscale": 0.5, "every": 3, "steps_before": 1})
        for steps in (0, 1)
    ],
    flops=2,
    doc="accumulated += unscale gradient, or 0 after every `every`-th step.",
)
moving_average = Op(
    "moving_average",
    lambda steps, *, momentum=0.99, frequency=0, steps_before=0, every=1: [],
    kernels="updates.moving_average",
    in_place=True,
    reference=reference.moving_average,
    cases=[
        Case((_number(steps), (65,), (65,)), {"momentum": 0.9, "frequency": 3})
        for steps in (0, 1, 2)
    ],
    flops=3,
    doc="average = momentum average + (1 - momentum) parameter, after the first update the "
    "parameter; after every frequency-th update, if that is not 0, the parameter is the average.",
)
nadam_product = Op(
    "nadam_product",
    lambda steps, *, beta_1=0.9, steps_before=0, every=1: [],
    kernels="updates.nadam_product",
    in_place=True,
    float64=(1,),
    reference=reference.nadam_product,
    cases=[Case((_number(3), _number(0.5)), given) for given in ({}, {"every": 3})],
    flops=1,
    doc="product = product u_t, what nadam is given.",
)
check_finite = Op(
    "check_finite",
    lambda x: [],
    kernels="updates.check_finite",
    in_place=True,
    reference=lambda x: (),
    cases=[Case((shape,)) for shape in [(0,), (1,), (65,), (3, 131)]],
    flops=lambda inputs, outputs: 2 * inputs[0].size,
    doc="Raises FloatingPointError, which names the first element of x that is NaN or infinite.",
)
