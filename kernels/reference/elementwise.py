"""Pointwise functions that NumPy has not, or not for complex numbers."""

import math

import numpy as np


def absolute(x):
    return np.abs(x) if np.isrealobj(x) else np.where(np.real(x) < 0, -x, x)


def power(x, y):
    return np.power(x, y) if np.isrealobj(x) and np.isrealobj(y) else np.exp(y * np.log(x))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    size = np.where(np.real(x) < 0, -x, x)
    return np.where(np.real(x) < 0, 0.0, x) + np.log1p(np.exp(-size))


def normal_cdf(x):
    """Phi(x), the normal CDF; beside the real axis by its derivative,
    the density."""
    real = np.real(x)
    value = 0.5 * np.vectorize(math.erfc, otypes=[float])(-math.sqrt(0.5) * real)
    return (
        value
        if np.isrealobj(x)
        else value + 1j * np.imag(x) * np.exp(-0.5 * real * real) / math.sqrt(2 * math.pi)
    )


def erf(x):
    on_real = np.vectorize(math.erf, otypes=[float])(np.real(x))
    return (
        on_real
        if np.isrealobj(x)
        else on_real + 1j * np.imag(x) * np.exp(-(np.real(x) ** 2)) * 2 / math.sqrt(math.pi)
    )


def erfc(x):
    on_real = np.vectorize(math.erfc, otypes=[float])(np.real(x))
    slope = -np.exp(-(np.real(x) ** 2)) * 2 / math.sqrt(math.pi)
    return on_real if np.isrealobj(x) else on_real + 1j * np.imag(x) * slope


def erfinv(x):
    """By halving where it lies, and Newton's last step."""

    def one(size):
        if not size < 1:
            return math.inf if size == 1 else math.nan
        low, high = 0.0, 6.0
        for _ in range(60):
            y = (low + high) / 2
            below = math.erf(y) < size if size < 0.5 else math.erfc(y) > 1 - size
            low, high = (y, high) if below else (low, y)
        return low if size else 0.0

    y = np.copysign(np.vectorize(one, otypes=[float])(np.abs(np.real(x))), np.real(x))
    slope = math.sqrt(math.pi) / 2 * np.exp(y * y)
    return y if np.isrealobj(x) else y + 1j * np.imag(x) * slope


def gelu(x):
    return x * normal_cdf(x)


def gelu_tanh(x):
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def general_relu(x, negative_slope=0.0, max_value=math.inf, threshold=0.0):
    below = negative_slope * (x - threshold) if negative_slope else 0.0
    return np.where(np.real(x) <= threshold, below, np.where(np.real(x) > max_value, max_value, x))


def expm1(x):
    # NumPy's loses digits of complex numbers
    return (
        np.expm1(x)
        if np.isrealobj(x)
        else np.expm1(np.real(x)) + 1j * np.imag(x) * np.exp(np.real(x))
    )


def logaddexp(x, y):
    if np.isrealobj(x) and np.isrealobj(y):
        return np.logaddexp(x, y)
    return np.log(np.exp(x) + np.exp(y))


def hypot(x, y):
    real = np.isrealobj(x) and np.isrealobj(y)
    return np.hypot(x, y) if real else np.sqrt(x * x + y * y)


def arctan2(y, x):
    """The angle of (x, y); beside the real axes by its derivative."""
    a, b = np.real(y), np.real(x)
    angle = np.arctan2(a, b)
    if np.isrealobj(x) and np.isrealobj(y):
        return angle
    return angle + 1j * (b * np.imag(y) - a * np.imag(x)) / (a * a + b * b)
