"""Optimizers' updates: what they write, as it is after the step."""

import numpy as np


def _update(name, states, cells=0):
    """An update by its formula, of the update's number t, the scaled gradient and the parameter
    after its decay; what else is written stays."""

    def decorate(formula):
        def update(
            gradient, rate, steps, squares, *given,
            steps_before=0, every=1, decay=0.0, clipnorm=np.inf, unscale=1.0, **attributes,
        ):  # fmt: skip
            numbers, (parameter, *kept) = given[:cells], given[cells:]
            if (steps[0] + steps_before + 1) % every != 0:
                return parameter, *kept
            t = (steps + steps_before) // every + 1
            if clipnorm < np.inf:
                unscale = unscale * clipnorm / np.maximum(np.sqrt(squares) * unscale, clipnorm)
            parameter = parameter - decay * rate * parameter
            found = formula(
                parameter, gradient * unscale, *kept[:states], rate, t, *numbers, **attributes
            )
            return *found, *kept[states:]

        update.__name__ = name
        return update

    return decorate


@_update("sgd", 0)
def sgd(p, g, rate, t):
    return (p - rate * g,)


@_update("sgd_momentum", 1)
def sgd_momentum(p, g, velocity, rate, t, momentum=0.0, nesterov=0.0):
    velocity = momentum * velocity - rate * g
    return p + (momentum * velocity - rate * g if nesterov else velocity), velocity


def _moments(g, m, v, beta_1, beta_2):
    return m + (1 - beta_1) * (g - m), v + (1 - beta_2) * (g**2 - v)


def _adam_step(m, v, rate, t, beta_1, beta_2, epsilon, epsilon_after_correction):
    root = np.sqrt(1 - beta_2**t)
    if epsilon_after_correction:
        return rate / (1 - beta_1**t) * m / (np.sqrt(v) / root + epsilon)
    return rate * root / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)


@_update("adam", 2)
def adam(p, g, m, v, rate, t, beta_1=0.9, beta_2=0.999, epsilon=1e-7, epsilon_after_correction=0.0):
    m, v = _moments(g, m, v, beta_1, beta_2)
    return p - _adam_step(m, v, rate, t, beta_1, beta_2, epsilon, epsilon_after_correction), m, v


@_update("amsgrad", 3)
def amsgrad(
    p, g, m, v, largest, rate, t,
    beta_1=0.9, beta_2=0.999, epsilon=1e-7, epsilon_after_correction=0.0,
):  # fmt: skip
    m, v = _moments(g, m, v, beta_1, beta_2)
    largest = np.maximum(largest, v)
    step = _adam_step(m, largest, rate, t, beta_1, beta_2, epsilon, epsilon_after_correction)
    return p - step, m, v, largest


@_update("adamax", 2)
def adamax(p, g, m, u, rate, t, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, u = m + (1 - beta_1) * (g - m), np.maximum(beta_2 * u, np.abs(g))
    return p - rate / (1 - beta_1**t) * m / (u + epsilon), m, u


def nadam_momentum(t, beta_1):
    return beta_1 * (1 - 0.5 * 0.96**t)


@_update("nadam", 2, cells=1)
def nadam(p, g, m, v, rate, t, product, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = _moments(g, m, v, beta_1, beta_2)
    u, ahead = nadam_momentum(t, beta_1), nadam_momentum(t + 1, beta_1)
    product = product * u
    m_hat = ahead * m / (1 - product * ahead) + (1 - u) * g / (1 - product)
    return p - rate * m_hat / (np.sqrt(v / (1 - beta_2**t)) + epsilon), m, v


@_update("rmsprop", 1)
def rmsprop(p, g, square, rate, t, rho=0.9, epsilon=1e-7):
    square = square + (1 - rho) * (g**2 - square)
    return p - rate * g / np.sqrt(square + epsilon), square


@_update("rmsprop_general", 3)
def rmsprop_general(
    p, g, square, increment, mean, rate, t, rho=0.9, epsilon=1e-7, momentum=0.0, centered=0.0
):
    square, mean = rho * square + (1 - rho) * g**2, rho * mean + (1 - rho) * g
    spread = np.maximum(square - mean**2, 0) if centered else square
    increment = momentum * increment + rate * g / np.sqrt(spread + epsilon)
    return p - increment, square, increment if momentum else 0 * increment, mean


@_update("adagrad", 1)
def adagrad(p, g, square, rate, t, epsilon=1e-7):
    square = square + g**2
    return p - rate * g / np.sqrt(square + epsilon), square


@_update("adadelta", 2)
def adadelta(p, g, square, of_deltas, rate, t, rho=0.95, epsilon=1e-7):
    square = rho * square + (1 - rho) * g**2
    delta = np.sqrt(of_deltas + epsilon) * g / np.sqrt(square + epsilon)
    return p - rate * delta, square, rho * of_deltas + (1 - rho) * delta**2


@_update("ftrl", 2)
def ftrl(
    p, g, square, linear, rate, t, learning_rate_power=-0.5, l1_regularization_strength=0.0,
    l2_regularization_strength=0.0, l2_shrinkage_regularization_strength=0.0, beta=0.0,
):  # fmt: skip
    l1, l2 = l1_regularization_strength, l2_regularization_strength + beta / (2 * rate)
    before, square = square, square + g**2
    after_power, power = square**-learning_rate_power, before**-learning_rate_power
    linear = linear + g + 2 * l2_shrinkage_regularization_strength * p
    linear = linear - (after_power - power) / rate * p
    return (np.clip(linear, -l1, l1) - linear) / (after_power / rate + 2 * l2), square, linear


@_update("lion", 1)
def lion(p, g, m, rate, t, beta_1=0.9, beta_2=0.99):
    step = rate * np.sign(beta_1 * m + (1 - beta_1) * g)
    return p - step, beta_2 * m + (1 - beta_2) * g


def sum_of_squares(x, out):
    return np.sum(x**2).reshape(1)


# ---- what is kept besides


def accumulate_gradient(gradient, steps, accumulated, unscale=1.0, steps_before=0, every=1):
    is_update = (steps[0] + steps_before + 1) % every == 0
    return 0 * accumulated if is_update else accumulated + unscale * gradient


def moving_average(steps, parameter, average, momentum=0.99, frequency=0, steps_before=0, every=1):
    done = (steps[0] + steps_before) // every
    momentum = momentum if done else 0.0
    average = momentum * average + (1 - momentum) * parameter
    overwritten = frequency > 0 and (done + 1) % frequency == 0
    return average if overwritten else parameter, average


def nadam_product(steps, product, beta_1=0.9, steps_before=0, every=1):
    before = steps[0] + steps_before
    is_update = (before + 1) % every == 0
    return product * nadam_momentum(before // every + 1, beta_1) if is_update else product
