"""Losses of one element and their gradients; those of a row are in kernels/cpu/losses.py.

of a logit z, which keeps the digits that log(probability) loses:
sigmoid_cross_entropy    max(z, 0) - z target + log(1 + e^-|z|)
                         dz = (sigmoid(z) - target) dloss

of a probability p, q = p clipped to [clip, 1 - clip]; dp = 0 where p is clipped:
binary_crossentropy      -target log(q) - (1 - target) log(1 - q)
                         dp = ((1 - target) / (1 - q) - target / q) dloss
"""

from ..declare import T, helper
from .elementary import exp_of_negative, log, log1p_of_fraction, sigmoid


@helper
def sigmoid_cross_entropy(z, target):
    positive = T(0) if z < T(0) else z
    return positive - z * target + log1p_of_fraction(exp_of_negative(-abs(z)))


@helper
def sigmoid_cross_entropy_gradient(z, target, dloss):
    return (sigmoid(z) - target) * dloss


@helper
def valid_label(label, classes):
    """The label, or the first class in the place of one that is out of range."""
    return label if 0 <= label < classes else 0


@helper
def clipped(p, clip):
    low, high = T(clip), T(1) - T(clip)
    p = low if p < low else p
    return high if p > high else p


@helper
def binary_crossentropy(p, target, clip=1e-7):  # Keras's
    q = clipped(p, clip)
    return -(target * log(q) + (T(1) - target) * log(T(1) - q))


@helper
def binary_crossentropy_gradient(p, target, dloss, clip=1e-7):
    q = clipped(p, clip)
    derivative = (T(1) - target) / (T(1) - q) - target / q
    return derivative * dloss if q == p else T(0)
