"""What every device's updates know of a step: its number, its length, and whether gradients alone
tell that it stays finite. Numbers of a step are float64, whatever T is.
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


# ---- numbers of a step: what a formula is given besides an element


@helper
def updates_done(steps, every):
    """Of so many steps, if an update takes the mean gradient of `every` of them."""
    return steps if every == 1 else steps // every


@helper
def is_between(steps, every):
    """Whether the step after so many only adds to the mean gradient."""
    return every != 1 and (steps + 1) % every != 0


@helper
def gradient_scale(squares, clipnorm, unscale):
    """What gradients are multiplied by whose sum of squares this is: their norm, times `unscale`,
    is then at most clipnorm."""
    if not clipnorm < np.inf:
        return unscale
    return unscale * (clipnorm / max(np.sqrt(squares) * unscale, clipnorm))


@helper
def sgd_numbers(rate, t):
    return (rate,)


@helper
def sgd_momentum_numbers(rate, t, momentum, nesterov):
    return rate, momentum, nesterov


@helper
def adam_scale(rate, t, beta_1, beta_2):
    """The rate of Adam's update number t, with the correction of its averages' bias."""
    return rate * np.sqrt(1.0 - integer_power(beta_2, t)) / (1.0 - integer_power(beta_1, t))


@helper
def adam_numbers(rate, t, beta_1, beta_2, epsilon, epsilon_after_correction):
    """An epsilon that is added to the corrected root, sqrt(v / (1 - beta_2^t)), is this much
    smaller beside sqrt(v)."""
    if epsilon_after_correction != 0.0:
        epsilon = epsilon * np.sqrt(1.0 - integer_power(beta_2, t))
    scale = adam_scale(rate, t, beta_1, beta_2)
    return scale, 1.0 - beta_1, 1.0 - beta_2, max(epsilon, FLOAT_MIN_NORMAL)


@helper
def adamax_numbers(rate, t, beta_1, beta_2, epsilon):
    scale = rate / (1.0 - integer_power(beta_1, t))
    return scale, 1.0 - beta_1, beta_2, max(epsilon, FLOAT_MIN_NORMAL)


@helper
def nadam_momentum(t, beta_1):
    """u_t = beta_1 (1 - 0.96^t / 2)."""
    return beta_1 * (1.0 - 0.5 * integer_power(0.96, t))


@helper
def nadam_numbers(rate, t, product, beta_1, beta_2, epsilon):
    """product: of u_1 to u_(t - 1)."""
    u, ahead, root = (
        nadam_momentum(t, beta_1),
        nadam_momentum(t + 1, beta_1),
        np.sqrt(1.0 - integer_power(beta_2, t)),
    )
    product = product * u
    of_mean, of_gradient = ahead / (1.0 - product * ahead), (1.0 - u) / (1.0 - product)
    epsilon = max(epsilon * root, FLOAT_MIN_NORMAL)
    return rate * root, of_mean, of_gradient, 1.0 - beta_1, 1.0 - beta_2, epsilon


@helper
def rmsprop_numbers(rate, t, rho, epsilon):
    return rate, 1.0 - rho, max(epsilon, FLOAT_MIN_NORMAL)


@helper
def rmsprop_general_numbers(rate, t, rho, epsilon, momentum, centered):
    return rate, 1.0 - rho, max(epsilon, FLOAT_MIN_NORMAL), momentum, centered


@helper
def adagrad_numbers(rate, t, epsilon):
    return rate, max(epsilon, FLOAT_MIN_NORMAL)


@helper
def ftrl_numbers(rate, t, learning_rate_power, l1, l2, shrinkage, beta):
    return rate, -learning_rate_power, l1, 2.0 * l2 + beta / rate, 2.0 * shrinkage


@helper
def lion_numbers(rate, t, beta_1, beta_2):
    return rate, 1.0 - beta_1, 1.0 - beta_2


# ---- margins: what a gradient is multiplied by: is that finite, so is the step, and all that is
# kept but squares. Infinity: it does not tell.


@helper
def sgd_margin(rate):
    return rate * OVERFLOW_MARGIN


@helper
def sgd_momentum_margin(rate, momentum, nesterov):
    return rate * OVERFLOW_MARGIN


@helper
def checked_margin(margin, decayed):
    """The margin, if the decay cannot make a parameter larger."""
    return margin if decayed <= 2.0 else np.inf


@helper
def bounded_margin(rate, margin):
    """Of an update whose step is at most the rate times little."""
    return margin if rate < BOUNDED_STEP_MAX_RATE else np.inf


@helper
def adam_margin(rate, beta_1, beta_2, epsilon, epsilon_after_correction):
    """|m| is at most sqrt(v / (1 - beta_2) / (1 - beta_1^2 / beta_2)), so that a step is the rate
    times little. Where beta_1^2 is beta_2 or more, m may outlast v; but while v is finite |m|
    is at most sqrt(FLOAT_MAX / (1 - beta_2)), and v at least 0."""
    is_bounded = beta_1 * beta_1 < beta_2
    if not is_bounded:
        if epsilon_after_correction != 0.0:
            epsilon = epsilon * np.sqrt(1.0 - beta_2)
        longest = rate / (1.0 - beta_1) * np.sqrt(FLOAT_MAX / (1.0 - beta_2)) / epsilon
        is_bounded = longest < FLOAT_MAX / OVERFLOW_MARGIN
    # which leaves room for the rounding of m
    return bounded_margin(rate, 1.001) if is_bounded else np.inf


@helper
def adamax_margin(rate, beta_1, beta_2, epsilon):
    """|m| is at most u (1 - beta_1) / (1 - beta_1 / beta_2)."""
    return bounded_margin(rate, 1.001) if beta_1 < 0.9999 * beta_2 else np.inf


@helper
def nadam_margin(rate, beta_1, beta_2, epsilon):
    """As Adam's: with u_1 at most 0.52, m and the gradient are multiplied by at most 2.1 each."""
    return adam_margin(rate, beta_1, beta_2, epsilon, 1.0)


@helper
def rmsprop_margin(rate, rho, epsilon):
    """A step is at most rate / sqrt(1 - rho)."""
    return bounded_margin(rate, 1.0)


@helper
def rmsprop_general_margin(rate, rho, epsilon, momentum, centered):
    """Where it is centered the root may be sqrt(epsilon)."""
    if centered == 0.0:
        return bounded_margin(rate, 1.0)
    return max(1.0, rate * OVERFLOW_MARGIN) / np.sqrt(max(epsilon, FLOAT_MIN_NORMAL))


@helper
def adagrad_margin(rate, epsilon):
    """A step is at most the rate."""
    return bounded_margin(rate, 1.0)


@helper
def ftrl_margin(rate, learning_rate_power, l1, l2, shrinkage, beta):
    return np.inf


@helper
def lion_margin(rate, beta_1, beta_2):
    return bounded_margin(rate, 1.001)
