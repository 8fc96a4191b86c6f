"""Optimizers' updates, one pass over memory each, over runs of variables that lie next to each
other; and the checks before. `kernels/scalar/updates.py` has the formulas.

What changes between steps lies in memory: `rate` is the learning rate, `steps` the number of
updates done.

A step changes everything or nothing. So an update's kernel is called twice: with commit = 0, as a
check that writes nothing (its form `declared` so), for every run of variables, and only then, with
commit = 1, to update them. The check refuses what is not finite and what would make a weight so.
Nearly always gradients alone, and the rate, tell that none can become so, which takes two
instructions a vector; else the check works the update out, element by element. With commit = 1
every element is written, whatever it is: a choice of what to store would be a masked store, which
is slow on some processors.
"""

from ..declare import T, helper, kernel
from ..scalar.updates import adam as adam_of
from ..scalar.updates import rmsprop as rmsprop_of
from ..scalar.updates import sgd as sgd_of
from ..scalar.updates import sgd_momentum as sgd_momentum_of
from ..status import NOT_FINITE, lowest_place
from ..step_size import (
    FLOAT_MIN_NORMAL,
    OVERFLOW_MARGIN,
    adam_margin,
    adam_scale,
    is_finite,
    refusal,
    rmsprop_margin,
)
from .threads import ELEMENT_GRAIN

BY_ELEMENT = [("n", ELEMENT_GRAIN)]


@helper
def scaled(x, factor):
    """A product of its own: the sum around it may be taken in any order, but the factor not out of
    it."""
    return x * factor


@helper(reassociate=True)
def plus(total, x):
    """A sum that is finite only if all that is added to it is: infinity or NaN never leave it. It
    seldom overflows otherwise."""
    return total + x


@helper
def are_finite(x, factor):
    """Whether all elements times `factor` are: if False, perhaps."""
    total = T(0)
    for i in range(x.size):
        total = plus(total, scaled(x[i], factor))
    return is_finite(total)


@kernel(split=BY_ELEMENT, x="T[n]")
def check_finite(x, start, stop):
    """Report the first element that is NaN or infinite: the one instruction between computing a
    step and committing it."""
    x = x[start:stop]
    if are_finite(x, T(1)):
        return 0
    for i in range(x.size):
        if not is_finite(x[i]):
            return lowest_place(0, NOT_FINITE, start + i)
    return 0


@kernel(
    split=BY_ELEMENT,
    name="sgd",
    gradient="T[n]",
    rate="f8[s]",
    commit="int",
    parameter="inout T[n]",
)
def update_sgd(gradient, rate, commit, parameter, start, stop):
    p, g, r = parameter[start:stop], gradient[start:stop], T(rate[0])
    if commit == 0:
        if are_finite(g, T(rate[0] * OVERFLOW_MARGIN)):
            return 0
        for i in range(p.size):
            if not is_finite(sgd_of(p[i], g[i], r)):
                return refusal(start + i, g[i])
        return 0
    for i in range(p.size):
        p[i] = sgd_of(p[i], g[i], r)
    return 0


@kernel(
    split=BY_ELEMENT,
    name="sgd_momentum",
    gradient="T[n]",
    rate="f8[s]",
    momentum="float",
    nesterov="int",
    commit="int",
    parameter="inout T[n]",
    velocity="inout T[n]",
    velocity_is_large="inout i8[s]",
)
def update_sgd_momentum(
    gradient, rate, momentum, nesterov, commit, parameter, velocity, velocity_is_large, start, stop
):
    """`velocity_is_large` becomes 1 when a velocity is so large that the gradient alone no longer
    tells whether a step is finite."""
    p, g, v = parameter[start:stop], gradient[start:stop], velocity[start:stop]
    r, m = T(rate[0]), T(momentum)
    if commit == 0:
        if velocity_is_large[0] == 0 and are_finite(g, T(rate[0] * OVERFLOW_MARGIN)):
            return 0
        for i in range(p.size):
            new, _ = sgd_momentum_of(p[i], g[i], v[i], r, m, nesterov)
            if not is_finite(new):
                return refusal(start + i, g[i])
        return 0
    total = T(0)
    for i in range(p.size):
        p[i], moved = sgd_momentum_of(p[i], g[i], v[i], r, m, nesterov)
        total = plus(total, scaled(moved, T(OVERFLOW_MARGIN)))
        v[i] = moved
    if not is_finite(total):
        velocity_is_large[0] = 1
    return 0


@kernel(
    split=BY_ELEMENT,
    name="adam",
    gradient="T[n]",
    rate="f8[s]",
    steps="i8[s]",
    beta_1="float",
    beta_2="float",
    epsilon="float",
    steps_before="int",
    commit="int",
    parameter="inout T[n]",
    m="inout T[n]",
    v="inout T[n]",
)
def update_adam(
    gradient,
    rate,
    steps,
    beta_1,
    beta_2,
    epsilon,
    steps_before,
    commit,
    parameter,
    m,
    v,
    start,
    stop,
):
    """Update number t = steps + steps_before + 1. Every thread works the bias correction out
    itself: a value that one thread kept would need a barrier."""
    p, g, m, v = parameter[start:stop], gradient[start:stop], m[start:stop], v[start:stop]
    if commit == 0:
        if are_finite(g, T(adam_margin(rate[0], beta_1, beta_2, epsilon))):
            return 0
    scale = T(adam_scale(rate[0], steps[0] + steps_before + 1, beta_1, beta_2))
    one_minus_beta_1, one_minus_beta_2 = T(1.0 - beta_1), T(1.0 - beta_2)
    e = T(max(epsilon, FLOAT_MIN_NORMAL))
    if commit == 0:
        for i in range(p.size):
            new, mean, _ = adam_of(
                p[i], g[i], m[i], v[i], scale, one_minus_beta_1, one_minus_beta_2, e
            )
            if not (is_finite(new) and is_finite(mean)):
                return refusal(start + i, g[i])
        return 0
    for i in range(p.size):
        p[i], m[i], v[i] = adam_of(
            p[i], g[i], m[i], v[i], scale, one_minus_beta_1, one_minus_beta_2, e
        )
    return 0


@kernel(
    split=BY_ELEMENT,
    name="rmsprop",
    gradient="T[n]",
    rate="f8[s]",
    rho="float",
    epsilon="float",
    commit="int",
    parameter="inout T[n]",
    square="inout T[n]",
)
def update_rmsprop(gradient, rate, rho, epsilon, commit, parameter, square, start, stop):
    p, g, s, r = parameter[start:stop], gradient[start:stop], square[start:stop], T(rate[0])
    one_minus_rho, e = T(1.0 - rho), T(max(epsilon, FLOAT_MIN_NORMAL))
    if commit == 0:
        if are_finite(g, T(rmsprop_margin(rate[0]))):
            return 0
        for i in range(p.size):
            new, _ = rmsprop_of(p[i], g[i], s[i], r, one_minus_rho, e)
            if not is_finite(new):
                return refusal(start + i, g[i])
        return 0
    for i in range(p.size):
        p[i], s[i] = rmsprop_of(p[i], g[i], s[i], r, one_minus_rho, e)
    return 0


# ---- launchers


def check_of(update):
    """The same kernel, called with commit = 0: it writes nothing, and seldom reads more than the
    gradient."""
    changes = {p.name: f"some {p.dtype}[{p.letters[0]}]" for p in update.parameters if p.written}
    return update.declared(f"check_{update.name}", **changes)


def _sgd(kernel, commit):
    def launch(call, gradient, rate, parameter):
        call(kernel, gradient, rate, commit, parameter)

    return launch


def _sgd_momentum(kernel, commit):
    def launch(
        call,
        gradient,
        rate,
        parameter,
        velocity,
        velocity_is_large,
        *,
        momentum=0.0,
        nesterov=False,
    ):
        written = parameter, velocity, velocity_is_large
        call(kernel, gradient, rate, momentum, int(nesterov), commit, *written)

    return launch


def _adam(kernel, commit):
    def launch(
        call,
        gradient,
        rate,
        steps,
        parameter,
        m,
        v,
        *,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        steps_before=0,
    ):
        numbers = beta_1, beta_2, epsilon, steps_before, commit
        call(kernel, gradient, rate, steps, *numbers, parameter, m, v)

    return launch


def _rmsprop(kernel, commit):
    def launch(call, gradient, rate, parameter, square, *, rho=0.9, epsilon=1e-7):
        call(kernel, gradient, rate, rho, epsilon, commit, parameter, square)

    return launch


sgd, check_sgd = _sgd(update_sgd, 1), _sgd(check_of(update_sgd), 0)
sgd_momentum, check_sgd_momentum = (
    _sgd_momentum(update_sgd_momentum, 1),
    _sgd_momentum(check_of(update_sgd_momentum), 0),
)
adam, check_adam = _adam(update_adam, 1), _adam(check_of(update_adam), 0)
rmsprop, check_rmsprop = _rmsprop(update_rmsprop, 1), _rmsprop(check_of(update_rmsprop), 0)
