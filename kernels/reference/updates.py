"""Optimizers' updates: what they write, as it is after the step."""

import numpy as np


def sgd(gradient, rate, parameter):
    return parameter - rate * gradient


def sgd_momentum(
    gradient, rate, parameter, velocity, velocity_is_large, momentum=0.0, nesterov=False
):
    velocity = momentum * velocity - rate * gradient
    step = momentum * velocity - rate * gradient if nesterov else velocity
    return parameter + step, velocity, velocity_is_large


def adam(
    gradient, rate, steps, parameter, m, v, beta_1=0.9, beta_2=0.999, epsilon=1e-7, steps_before=0
):
    t = steps + steps_before + 1
    m, v = m + (1 - beta_1) * (gradient - m), v + (1 - beta_2) * (gradient**2 - v)
    scale = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return parameter - scale * m / (np.sqrt(v) + epsilon), m, v


def rmsprop(gradient, rate, parameter, square, rho=0.9, epsilon=1e-7):
    square = square + (1 - rho) * (gradient**2 - square)
    return parameter - rate * gradient / np.sqrt(square + epsilon), square
