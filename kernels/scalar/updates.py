"""Optimizers' updates of one element: of a parameter p, its gradient g and what is kept of it. Each
returns the parameter and then the states, as they are after the step.

    sgd           p - rate g
    sgd_momentum  v' = momentum v - rate g;  p + v' or, by Nesterov, p + momentum v' - rate g
    adam          m' = m + (1 - beta_1) (g - m);  v' = v + (1 - beta_2) (g^2 - v);
                  p - scale m' / (sqrt(v') + epsilon)
    amsgrad       likewise with the largest v' so far
    adamax        m' as adam's;  u' = max(beta_2 u, |g|);  p - scale m' / (u' + epsilon)
    nadam         m', v' as adam's;  p - (a m' + b g) / (sqrt(v') + epsilon)
    rmsprop       s' = s + (1 - rho) (g^2 - s);  p - rate g / sqrt(s' + epsilon)
    rmsprop_general  a' = a + (1 - rho) (g - a);  d = s' or, if centered, s' - a'^2;
                  i' = momentum i + rate g / sqrt(d + epsilon);  p - i'
    adagrad       s' = s + g^2;  p - rate g / sqrt(s' + epsilon)
    adadelta      s' as rmsprop's;  d = g sqrt(e + epsilon) / sqrt(s' + epsilon);
                  e' = e + (1 - rho) (d^2 - e);  p - rate d
    ftrl          a' = a + g^2;  l' = l + g + 2 shrinkage p - (a'^power - a^power) p / rate;
                  (clip(l', -l1, l1) - l') / (a'^power / rate + 2 l2)
    lion          p - rate sign(beta_1 m + (1 - beta_1) g);  m' = beta_2 m + (1 - beta_2) g

What does not differ between elements (scale, a, b: kernels/step_size.py) is worked out once.
"""

import numpy as np

from ..avx512 import AVX512, reciprocal_estimate
from ..declare import T, by_dtype, helper, machine
from ..intrinsics import fma
from .power import power

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
    return (fma(-rate, g, p),)


@helper
def sgd_momentum(p, g, v, rate, momentum, nesterov):
    velocity = fma(momentum, v, -rate * g)
    return p + (fma(momentum, velocity, -rate * g) if nesterov != 0 else velocity), velocity


@helper
def mean_of(m, g, one_minus_beta):
    """m + one_minus_beta (g - m)."""
    return fma(one_minus_beta, g, fma(-one_minus_beta, m, m))


@helper
def larger(a, b):
    return a if a > b else b


@helper
def adam(p, g, m, v, scale, one_minus_beta_1, one_minus_beta_2, epsilon):
    mean = mean_of(m, g, one_minus_beta_1)
    square = mean_square(v, g, one_minus_beta_2)
    return fma(-scale, quotient(mean, T(np.sqrt(square)) + epsilon), p), mean, square


@helper
def amsgrad(p, g, m, v, v_max, scale, one_minus_beta_1, one_minus_beta_2, epsilon):
    mean = mean_of(m, g, one_minus_beta_1)
    square = mean_square(v, g, one_minus_beta_2)
    largest = larger(square, v_max)
    new = fma(-scale, quotient(mean, T(np.sqrt(largest)) + epsilon), p)
    return new, mean, square, largest


@helper
def adamax(p, g, m, u, scale, one_minus_beta_1, beta_2, epsilon):
    """u may be so large that its reciprocal is flushed to zero: hence the division."""
    mean, norm = mean_of(m, g, one_minus_beta_1), larger(beta_2 * u, abs(g))
    return fma(-scale, mean / (norm + epsilon), p), mean, norm


@helper
def nadam(p, g, m, v, rate, of_mean, of_gradient, one_minus_beta_1, one_minus_beta_2, epsilon):
    mean = mean_of(m, g, one_minus_beta_1)
    square = mean_square(v, g, one_minus_beta_2)
    # times the reciprocal before they are added: two large ones might overflow together
    reciprocal = quotient(T(1), T(np.sqrt(square)) + epsilon)
    step = fma(of_mean, mean * reciprocal, of_gradient * (g * reciprocal))
    return fma(-rate, step, p), mean, square


@helper
def rmsprop(p, g, s, rate, one_minus_rho, epsilon):
    square = mean_square(s, g, one_minus_rho)
    return fma(-rate, quotient(g, T(np.sqrt(square + epsilon))), p), square


@helper
def variance(square, mean):
    """square - mean^2, which rounding must not make negative; infinite where the square is."""
    centered = fma(-mean, mean, square)
    centered = centered if centered > T(0) else T(0)
    return centered if square < T(np.inf) else square


@helper
def rmsprop_general(p, g, s, i, a, rate, one_minus_rho, epsilon, momentum, centered):
    square, mean = mean_square(s, g, one_minus_rho), mean_of(a, g, one_minus_rho)
    d = variance(square, mean) if centered != 0 else square
    step = rate * quotient(g, T(np.sqrt(d + epsilon)))
    increment = fma(momentum, i, step)
    return p - increment, square, increment if momentum != 0 else T(0), mean


@helper
def adagrad(p, g, s, rate, epsilon):
    square = fma(g, g, s)
    return fma(-rate, quotient(g, T(np.sqrt(square + epsilon))), p), square


@helper
def adadelta(p, g, s, e, rate, one_minus_rho, epsilon):
    square = mean_square(s, g, one_minus_rho)
    delta = quotient(g, T(np.sqrt(square + epsilon))) * T(np.sqrt(e + epsilon))
    return fma(-rate, delta, p), square, mean_square(e, delta, one_minus_rho)


@helper(inline=True)
def ftrl(p, g, a, linear, rate, exponent, l1, l2, shrinkage):
    """l2: twice the strength, and beta / rate. What has met no gradient, and begins with an
    accumulator of 0, stays."""
    square = fma(g, g, a)
    before, after = power(a, exponent), power(square, exponent)
    linear += fma(shrinkage, p, g) - (after - before) / rate * p
    clipped = larger(-l1, linear if linear < l1 else l1)
    quadratic = after / rate + l2
    return (clipped - linear) / quadratic if quadratic > T(0) else p, square, linear


@helper
def lion(p, g, m, rate, one_minus_beta_1, one_minus_beta_2):
    direction = mean_of(m, g, one_minus_beta_1)
    sign = T(1) if direction > T(0) else (T(-1) if direction < T(0) else T(0))
    return fma(-rate, sign, p), mean_of(m, g, one_minus_beta_2)
