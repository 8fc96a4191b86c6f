"""What every device's updates know of a step: Adam's correction of its length, and whether
gradients alone tell that it stays finite. Numbers of a step are float64, whatever T is.
"""

import numpy as np

from .declare import T, helper, machine
from .scalar.updates import FLOAT_MAX
from .status import NOT_FINITE, UPDATE_OVERFLOW, lowest_place

# what is smaller is flushed to zero
FLOAT_MIN_NORMAL = machine(lambda _target, item_bytes: float(np.finfo(f"f{item_bytes}").tiny))
# FLOAT_MAX, divided by this, is a quarter of half a unit in its last place: it may be added four
# times to any number, and that stays finite.
OVERFLOW_MARGIN = machine(lambda _target, item_bytes: 2.0 ** (np.finfo(f"f{item_bytes}").nmant + 4))
# up to which a step of Adam or RMSprop, the rate times little, is finite if its gradient is
BOUNDED_STEP_MAX_RATE = 1e6


@helper
def is_finite(x):
    """False for NaN too."""
    return abs(x) < T(np.inf)


@helper
def refusal(i, gradient):
    """The status for element i, whose update would not be finite."""
    return lowest_place(0, UPDATE_OVERFLOW if is_finite(gradient) else NOT_FINITE, i)


@helper
def integer_power(base, exponent):
    """base^exponent by squaring."""
    result = 1.0
    while exponent > 0:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result


@helper
def adam_scale(rate, t, beta_1, beta_2):
    """The rate of Adam's update number t, with the correction of its averages' bias."""
    return rate * np.sqrt(1.0 - integer_power(beta_2, t)) / (1.0 - integer_power(beta_1, t))


# A margin is what a gradient is multiplied by: is that finite, so is the step. Infinity: it does
# not tell.


@helper
def adam_margin(rate, beta_1, beta_2, epsilon):
    """|m| is at most sqrt(v / (1 - beta_2) / (1 - beta_1^2 / beta_2)), so that a step is the rate
    times little. Where beta_1^2 is beta_2 or more, m may outlast v; but while v is finite |m|
    is at most sqrt(FLOAT_MAX / (1 - beta_2)), and v at least 0."""
    is_bounded = beta_1 * beta_1 < beta_2
    if not is_bounded:
        longest = rate / (1.0 - beta_1) * np.sqrt(FLOAT_MAX / (1.0 - beta_2)) / epsilon
        is_bounded = longest < FLOAT_MAX / OVERFLOW_MARGIN
    # which leaves room for the rounding of m
    return 1.001 if is_bounded and rate < BOUNDED_STEP_MAX_RATE else np.inf


@helper
def rmsprop_margin(rate):
    """A step is at most rate / sqrt(1 - rho)."""
    return 1.0 if rate < BOUNDED_STEP_MAX_RATE else np.inf
