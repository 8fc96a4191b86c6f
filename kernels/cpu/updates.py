"""Optimizers' updates, one pass over memory each, over runs of variables that lie next to each
other; and the checks before.

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

import numpy as np

from ..avx512 import AVX512, reciprocal_estimate
from ..declare import T, by_dtype, helper, kernel, machine
from ..intrinsics import fma
from ..status import NOT_FINITE, UPDATE_OVERFLOW, lowest_place
from .threads import ELEMENT_GRAIN

RUN = [("n", ELEMENT_GRAIN)]
LARGEST = machine(lambda _target, item_bytes: float(np.finfo(f"f{item_bytes}").max))
# what is smaller is flushed to zero
SMALLEST = machine(lambda _target, item_bytes: float(np.finfo(f"f{item_bytes}").tiny))
# The largest number, divided by this, is a quarter of half a unit in its last place: it may be
# added four times to any number, and that stays finite.
TIMES_ROOM = machine(lambda _target, item_bytes: 2.0 ** (np.finfo(f"f{item_bytes}").nmant + 4))
# up to which a step of Adam or RMSprop, which is the rate times little, needs no second look
SANE_RATE = 1e6


@helper
def times(x, factor):
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
        total = plus(total, times(x[i], factor))
    return is_finite(total)


@helper
def is_finite(x):
    """False for NaN too."""
    return abs(x) < T(np.inf)


@helper
def refusal(i, gradient):
    """The status for element i, whose update would not be finite."""
    return lowest_place(0, UPDATE_OVERFLOW if is_finite(gradient) else NOT_FINITE, i)


@kernel(split=RUN, x="T[n]")
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


@kernel(split=RUN, parameter="inout T[n]", gradient="T[n]", rate="f8[s]", commit="int")
def sgd(parameter, gradient, rate, commit, start, stop):
    """parameter -= rate gradient."""
    p, g, r = parameter[start:stop], gradient[start:stop], T(rate[0])
    if commit == 0:
        if are_finite(g, T(rate[0] * TIMES_ROOM)):
            return 0
        for i in range(p.size):
            if not is_finite(fma(-r, g[i], p[i])):
                return refusal(start + i, g[i])
        return 0
    for i in range(p.size):
        p[i] = fma(-r, g[i], p[i])
    return 0


@helper
def with_momentum(p, g, v, r, m, nesterov):
    """The velocity and the parameter after a step."""
    moved = fma(m, v, -r * g)
    return moved, p + (fma(m, moved, -r * g) if nesterov != 0 else moved)


@kernel(
    split=RUN,
    parameter="inout T[n]",
    gradient="T[n]",
    velocity="inout T[n]",
    rate="f8[s]",
    momentum="float",
    nesterov="int",
    grown="inout i8[s]",
    commit="int",
)
def sgd_momentum(
    parameter, gradient, velocity, rate, momentum, nesterov, grown, commit, start, stop
):
    """velocity = momentum velocity - rate gradient; parameter += velocity or, by Nesterov, momentum
    velocity - rate gradient. `grown` becomes 1 when a velocity is so large that the gradient alone
    no longer tells what a step does."""
    p, g, v, r, m = (
        parameter[start:stop],
        gradient[start:stop],
        velocity[start:stop],
        T(rate[0]),
        T(momentum),
    )
    if commit == 0:
        if grown[0] == 0 and are_finite(g, T(rate[0] * TIMES_ROOM)):
            return 0
        for i in range(p.size):
            _, new = with_momentum(p[i], g[i], v[i], r, m, nesterov)
            if not is_finite(new):
                return refusal(start + i, g[i])
        return 0
    total = T(0)
    for i in range(p.size):
        moved, p[i] = with_momentum(p[i], g[i], v[i], r, m, nesterov)
        total = plus(total, times(moved, T(TIMES_ROOM)))
        v[i] = moved
    if not is_finite(total):
        grown[0] = 1
    return 0


@helper
def power(base, exponent):
    """base^exponent by squaring, in float64."""
    result = 1.0
    while exponent > 0:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result


@helper
def finite(x):
    """x, or the largest number if that is smaller."""
    return x if x < T(LARGEST) else T(LARGEST)


@helper
def mean_square(v, g, towards):
    """v + towards (g^2 - v), whose `towards` is exact, next to 1 too. g^2 need not be finite; v,
    once infinite, stays so."""
    return fma(towards * g, g, fma(-towards, finite(v), v))


@helper
def nearer(r, x):
    """A step of Newton's towards 1 / x, r (2 - x r), which doubles the digits."""
    return fma(r, fma(-x, r, T(1)), r)


# A root and a division share one unit, which both together keep busy for 16 cycles a vector (Zen
# 4); a step from an estimate is two multiply-adds, which run beside the root. The estimate for
# infinity is 0, which the step keeps if it is not told of infinity.


@helper
def quotient_32(a, x):
    return a * nearer(reciprocal_estimate(x), finite(x)) if AVX512 else a / x


@helper
def quotient_64(a, x):
    return a * nearer(nearer(reciprocal_estimate(x), finite(x)), finite(x)) if AVX512 else a / x


# a / x for a positive x, to two units in the last place; 0 if x is infinite
quotient = by_dtype(quotient_32, quotient_64)


@helper
def of_adam(p, g, m, v, scale, towards_1, towards_2, e):
    """m, v and the parameter after a step."""
    mean, square = fma(towards_1, g, fma(-towards_1, m, m)), mean_square(v, g, towards_2)
    return mean, square, fma(-scale, quotient(mean, T(np.sqrt(square)) + e), p)


@kernel(
    split=RUN,
    parameter="inout T[n]",
    gradient="T[n]",
    m="inout T[n]",
    v="inout T[n]",
    rate="f8[s]",
    steps="i8[s]",
    earlier="int",
    beta_1="float",
    beta_2="float",
    epsilon="float",
    commit="int",
)
def adam(
    parameter, gradient, m, v, rate, steps, earlier, beta_1, beta_2, epsilon, commit, start, stop
):
    """m and v move towards the gradient and its square; parameter -= rate sqrt(1 - beta_2^t) / (1 -
    beta_1^t) m / (sqrt(v) + epsilon) at update t. Every thread works the correction out itself: a
    value that one thread kept would need a barrier.

    |m| is at most sqrt(v / (1 - beta_2) / (1 - beta_1^2 / beta_2)), so that a step is the rate
    times little. Where beta_1^2 is beta_2 or more, m may outlast v; but while v is finite |m|
    is at most sqrt(LARGEST / (1 - beta_2)), and v at least 0."""
    p, g, m, v = parameter[start:stop], gradient[start:stop], m[start:stop], v[start:stop]
    if commit == 0:
        longest = rate[0] / (1.0 - beta_1) * np.sqrt(LARGEST / (1.0 - beta_2)) / epsilon
        is_sane = rate[0] < SANE_RATE and (
            beta_1 * beta_1 < beta_2 or longest < LARGEST / TIMES_ROOM
        )
        # which leaves room for the rounding of m
        if are_finite(g, T(1.001 if is_sane else np.inf)):
            return 0
    t = steps[0] + earlier + 1
    scale = T(rate[0] * np.sqrt(1.0 - power(beta_2, t)) / (1.0 - power(beta_1, t)))
    towards_1, towards_2, e = T(1.0 - beta_1), T(1.0 - beta_2), T(max(epsilon, SMALLEST))
    if commit == 0:
        for i in range(p.size):
            mean, _, new = of_adam(p[i], g[i], m[i], v[i], scale, towards_1, towards_2, e)
            if not (is_finite(new) and is_finite(mean)):
                return refusal(start + i, g[i])
        return 0
    for i in range(p.size):
        m[i], v[i], p[i] = of_adam(p[i], g[i], m[i], v[i], scale, towards_1, towards_2, e)
    return 0


@helper
def of_rmsprop(p, g, s, r, towards, e):
    """The mean square and the parameter after a step."""
    moved = mean_square(s, g, towards)
    return moved, fma(-r, quotient(g, T(np.sqrt(moved + e))), p)


@kernel(
    split=RUN,
    parameter="inout T[n]",
    gradient="T[n]",
    square="inout T[n]",
    rate="f8[s]",
    rho="float",
    epsilon="float",
    commit="int",
)
def rmsprop(parameter, gradient, square, rate, rho, epsilon, commit, start, stop):
    """square = rho square + (1 - rho) gradient^2; parameter -= rate gradient / sqrt(square +
    epsilon), which is at most rate / sqrt(1 - rho)."""
    p, g, s, r = parameter[start:stop], gradient[start:stop], square[start:stop], T(rate[0])
    towards, e = T(1.0 - rho), T(max(epsilon, SMALLEST))
    if commit == 0:
        if are_finite(g, T(1.0 if rate[0] < SANE_RATE else np.inf)):
            return 0
        for i in range(p.size):
            _, new = of_rmsprop(p[i], g[i], s[i], r, towards, e)
            if not is_finite(new):
                return refusal(start + i, g[i])
        return 0
    for i in range(p.size):
        s[i], p[i] = of_rmsprop(p[i], g[i], s[i], r, towards, e)
    return 0


def check_of(update):
    """The same kernel, called with commit = 0: it writes nothing, and seldom reads more than the
    gradient."""
    changes = {p.name: f"some {p.dtype}[{p.letters[0]}]" for p in update.parameters if p.written}
    return update.declared(f"check_{update.name}", **changes)


check_sgd, check_sgd_momentum, check_adam, check_rmsprop = map(
    check_of, (sgd, sgd_momentum, adam, rmsprop)
)
