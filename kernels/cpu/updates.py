"""Optimizers' updates, one pass over memory each, over runs of variables that lie next to each other; and the check before.

What changes between steps lies in memory: `rate` is the learning rate, `steps` the number of updates done. An update whose
result is not finite leaves that element as it was and is reported.
"""

import numpy as np

from ..avx512 import AVX512, reciprocal_estimate
from ..marks import T, by_dtype, helper, kernel
from ..primitives import fma
from ..status import NOT_FINITE, UPDATE_OVERFLOW, lowest_place
from .share import FLAT, share

RUN = [("n", FLAT)]


@helper(reassociate=True)
def trace_of_not_finite(x):
    """0, or NaN if an element is NaN or infinite: one multiply-add an element."""
    trace = T(0)
    for i in range(x.size):
        trace += x[i] * T(0)
    return trace


@helper
def first_not_finite(x):
    for i in range(x.size):
        if not np.isfinite(x[i]):
            return i
    return x.size


@kernel(split=RUN, x="T[n]")
def check_finite(x, lane, lanes):
    """Report the first element that is NaN or infinite: the one instruction between computing a step and committing it."""
    start, stop = share(x.size, FLAT, lane, lanes)
    if trace_of_not_finite(x[start:stop]) == T(0):
        return 0
    return lowest_place(0, NOT_FINITE, start + first_not_finite(x[start:stop]))


@helper
def is_finite(x):
    """False for NaN too. Whether all were is kept as one bit an element, in mask registers: an integer would take up vectors."""
    return abs(x) < T(np.inf)


@helper
def update_status(kept):
    return 0 if kept else UPDATE_OVERFLOW


@kernel(split=RUN, parameter="inout T[n]", gradient="T[n]", rate="f8[s]")
def sgd(parameter, gradient, rate, lane, lanes):
    """parameter -= rate gradient."""
    start, stop = share(parameter.size, FLAT, lane, lanes)
    p, g, r, kept = parameter[start:stop], gradient[start:stop], T(rate[0]), True
    for i in range(p.size):
        new = fma(-r, g[i], p[i])
        finite = is_finite(new)
        p[i] = new if finite else p[i]
        kept &= finite
    return update_status(kept)


@kernel(split=RUN, parameter="inout T[n]", gradient="T[n]", velocity="inout T[n]", rate="f8[s]", momentum="float", nesterov="int")
def sgd_momentum(parameter, gradient, velocity, rate, momentum, nesterov, lane, lanes):
    """velocity = momentum velocity - rate gradient; parameter += velocity or, by Nesterov, momentum velocity - rate gradient."""
    start, stop = share(parameter.size, FLAT, lane, lanes)
    p, g, v, r, m = parameter[start:stop], gradient[start:stop], velocity[start:stop], T(rate[0]), T(momentum)
    ahead, along = (m, r) if nesterov != 0 else (T(1), T(0))
    kept = True
    for i in range(p.size):
        moved = fma(m, v[i], -r * g[i])
        new = p[i] + fma(ahead, moved, -along * g[i])
        finite = is_finite(new)
        v[i] = moved if finite else v[i]
        p[i] = new if finite else p[i]
        kept &= finite
    return update_status(kept)


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
def nearer(r, x):
    """A step of Newton's towards 1 / x, r (2 - x r), which doubles the digits."""
    return fma(r, fma(-x, r, T(1)), r)


# A root and a division share one unit, which both together keep busy for 16 cycles a vector (Zen 4); a step from an estimate is
# two multiply-adds, which run beside the root.


@helper
def reciprocal_32(x):
    return nearer(reciprocal_estimate(x), x) if AVX512 else np.float32(1) / x


@helper
def reciprocal_64(x):
    return nearer(nearer(reciprocal_estimate(x), x), x) if AVX512 else 1.0 / x


reciprocal = by_dtype(reciprocal_32, reciprocal_64)  # of a positive number, to a unit in the last place


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
)
def adam(parameter, gradient, m, v, rate, steps, earlier, beta_1, beta_2, epsilon, lane, lanes):
    """m and v move towards the gradient and its square; parameter -= rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) +
    epsilon) at update t. Every lane works the correction out itself: a value that one lane kept would need a barrier."""
    t = steps[0] + earlier + 1
    scale = T(rate[0] * np.sqrt(1.0 - power(beta_2, t)) / (1.0 - power(beta_1, t)))
    towards_1, towards_2, e, kept = T(1.0 - beta_1), T(1.0 - beta_2), T(epsilon), True
    start, stop = share(parameter.size, FLAT, lane, lanes)
    p, g, m, v = parameter[start:stop], gradient[start:stop], m[start:stop], v[start:stop]
    for i in range(p.size):
        mean = fma(g[i] - m[i], towards_1, m[i])
        square = fma(fma(g[i], g[i], -v[i]), towards_2, v[i])
        new = fma(-scale * mean, reciprocal(T(np.sqrt(square)) + e), p[i])
        # Newton's step from an estimate makes NaN of an infinite square's reciprocal, and so of `new`: one test does for both.
        finite = is_finite(new) if AVX512 else is_finite(new) & is_finite(square)
        m[i] = mean
        v[i] = square if finite else v[i]
        p[i] = new if finite else p[i]
        kept &= finite
    return update_status(kept)


@kernel(split=RUN, parameter="inout T[n]", gradient="T[n]", square="inout T[n]", rate="f8[s]", rho="float", epsilon="float")
def rmsprop(parameter, gradient, square, rate, rho, epsilon, lane, lanes):
    """square = rho square + (1 - rho) gradient^2; parameter -= rate gradient / sqrt(square + epsilon)."""
    start, stop = share(parameter.size, FLAT, lane, lanes)
    p, g, s, r, kept = parameter[start:stop], gradient[start:stop], square[start:stop], T(rate[0]), True
    keep, towards, e = T(rho), T(1.0 - rho), T(epsilon)
    for i in range(p.size):
        moved = fma(towards * g[i], g[i], keep * s[i])
        new = p[i] - r * g[i] / T(np.sqrt(moved + e))
        finite = is_finite(new) & is_finite(moved)
        s[i] = moved if finite else s[i]
        p[i] = new if finite else p[i]
        kept &= finite
    return update_status(kept)
