"""Optimizers' updates of one element: of a parameter p, its gradient g and what is kept of it. Each
returns the parameter and then the states, as they are after the step.

    sgd           p - rate g
    sgd_momentum  v' = momentum v - rate g;  p + v' or, by Nesterov, p + momentum v' - rate g
    adam          m' = m + (1 - beta_1) (g - m);  v' = v + (1 - beta_2) (g^2 - v);
                  p - scale m' / (sqrt(v') + epsilon)  with
                  scale = rate sqrt(1 - beta_2^t) / (1 - beta_1^t)  at step t
    rmsprop       s' = s + (1 - rho) (g^2 - s);  p - rate g / sqrt(s' + epsilon)
"""

import numpy as np

from ..avx512 import AVX512, reciprocal_estimate
from ..declare import T, by_dtype, helper, machine
from ..intrinsics import fma

FLOAT_MAX = machine(lambda _target, item_bytes: float(np.finfo(f"f{item_bytes}").max))


@helper
def clamp_to_finite(x):
    """x, or the largest number if that is smaller."""
    return x if x < T(FLOAT_MAX) else T(FLOAT_MAX)


@helper
def newton_reciprocal(r, x):
    """A step of Newton's method from r towards 1 / x, r (2 - x r), which doubles the digits."""
    return fma(r, fma(-x, r, T(1)), r)


# A square root and a division share one unit, which both together keep busy for 16 cycles a vector
# (Zen 4); a step from an estimate is two multiply-adds, which run beside the root. The estimate for
# infinity is 0, which the step keeps if it is not told of infinity.


@helper
def quotient_32(a, x):
    if AVX512:
        return a * newton_reciprocal(reciprocal_estimate(x), clamp_to_finite(x))
    return a / x


@helper
def quotient_64(a, x):
    if AVX512:
        finite = clamp_to_finite(x)
        return a * newton_reciprocal(newton_reciprocal(reciprocal_estimate(x), finite), finite)
    return a / x


# a / x for a positive x, to two units in the last place; 0 if x is infinite
quotient = by_dtype(quotient_32, quotient_64)


@helper
def mean_square(v, g, one_minus_beta):
    """v + one_minus_beta (g^2 - v). g^2 need not be finite; v, once infinite, stays so."""
    return fma(one_minus_beta * g, g, fma(-one_minus_beta, clamp_to_finite(v), v))


@helper
def sgd(p, g, rate):
    return fma(-rate, g, p)


@helper
def sgd_momentum(p, g, v, rate, momentum, nesterov):
    velocity = fma(momentum, v, -rate * g)
    return p + (fma(momentum, velocity, -rate * g) if nesterov != 0 else velocity), velocity


@helper
def adam(p, g, m, v, scale, one_minus_beta_1, one_minus_beta_2, epsilon):
    mean = fma(one_minus_beta_1, g, fma(-one_minus_beta_1, m, m))
    square = mean_square(v, g, one_minus_beta_2)
    return fma(-scale, quotient(mean, T(np.sqrt(square)) + epsilon), p), mean, square


@helper
def rmsprop(p, g, s, rate, one_minus_rho, epsilon):
    square = mean_square(s, g, one_minus_rho)
    return fma(-rate, quotient(g, T(np.sqrt(square + epsilon))), p), square
