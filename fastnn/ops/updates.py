"""Optimizers' updates, which write a parameter and what is kept of it as they are after the step,
and the checks before them (kernels/cpu/updates.py). All arrays have one dimension: an optimizer
updates runs of variables, whatever their shapes."""

import numpy as np

from fastnn.kernels.reference import updates as reference

from .record import Case, Op


def _cases(states, *cells, kept=(), tested=()):
    """An update's: (gradient, rate, *cells), and in place (parameter, *states, *kept); cells and
    what else is kept are whole numbers."""

    def one(number):
        return lambda rng: np.array([number])

    def between(low, high, shape):
        return lambda rng: rng.uniform(low, high, shape)

    return [
        Case(
            (
                between(-4, 4, shape),
                between(0.01, 0.1, 1),
                *map(one, cells),
                between(-4, 4, shape),
                *[between(0.5, 1, shape)] * states,
                *map(one, kept),
            ),
            given,
        )
        for shape in [(0,), (1,), (5,), (65,), (393,)]
        for given in ({}, *tested)
    ]


sgd = Op(
    "sgd",
    lambda gradient, rate: [],
    kernels="updates.sgd",
    in_place=True,
    float64=(1,),
    reference=reference.sgd,
    cases=_cases(0),
    flops=2,
    doc="parameter = parameter - rate gradient.",
)
sgd_momentum = Op(
    "sgd_momentum",
    lambda gradient, rate, *, momentum=0.0, nesterov=False: [],
    kernels="updates.sgd_momentum",
    in_place=True,
    float64=(1,),
    reference=reference.sgd_momentum,
    cases=_cases(1, kept=(0,), tested=[{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}]),
    flops=7,
    doc="velocity = momentum velocity - rate gradient and parameter += velocity or, by Nesterov, "
    "parameter += momentum velocity - rate gradient. velocity_is_large: (1,), int64; 1 once a "
    "velocity is so large that the gradient alone no longer tells whether a step is finite.",
)
adam = Op(
    "adam",
    lambda gradient, rate, steps, *, beta_1=0.9, beta_2=0.999, epsilon=1e-7, steps_before=0: [],
    kernels="updates.adam",
    in_place=True,
    float64=(1,),
    reference=reference.adam,
    cases=_cases(2, 2, tested=[{"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}]),
    flops=12,
    doc="m += (1 - beta_1) (gradient - m), v += (1 - beta_2) (gradient^2 - v) and parameter -= "
    "rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon) with t = steps + "
    "steps_before + 1.",
)
rmsprop = Op(
    "rmsprop",
    lambda gradient, rate, *, rho=0.9, epsilon=1e-7: [],
    kernels="updates.rmsprop",
    in_place=True,
    float64=(1,),
    reference=reference.rmsprop,
    cases=_cases(1, tested=[{"rho": 0.5, "epsilon": 1e-3}]),
    flops=8,
    doc="square += (1 - rho) (gradient^2 - square) and parameter -= rate gradient / sqrt(square + "
    "epsilon).",
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
check_of = {
    update: Op(
        f"{name}'s check",
        lambda *_inputs, **_attributes: [],
        kernels=f"updates.check_{update.name}",
        in_place=True,
        flops=lambda inputs, outputs, **_: 2 * inputs[0].size,
        doc="Raises FloatingPointError, which names the first element that is not finite, or would "
        "not be after the update.",
    )
    for name, update in (("sgd", sgd), ("sgd", sgd_momentum), ("adam", adam), ("rmsprop", rmsprop))
}
