"""Losses by element and by row, and what metrics count."""

import numpy as np


def sigmoid_cross_entropy(z, target):
    size = np.where(np.real(z) < 0, -z, z)
    return np.where(np.real(z) < 0, 0.0, z) - z * target + np.log1p(np.exp(-size))


def clipped(p, low):
    return np.where(np.real(p) < low, low, np.where(np.real(p) > 1 - low, 1 - low, p))


def binary_crossentropy(p, target, clip=1e-7):
    q = clipped(p, clip)
    return -(target * np.log(q) + (1 - target) * np.log(1 - q))


def softmax_cross_entropy(z, labels):
    top = np.max(np.real(z), axis=-1)
    return np.log(np.exp(z - top[:, None]).sum(axis=-1)) + top - z[np.arange(len(z)), labels]


def sparse_categorical_crossentropy(p, labels, clip=1e-7):
    q = clipped(p, clip)
    return np.log(q.sum(axis=-1)) - np.log(q[np.arange(len(q)), labels])


def binary_accuracy(p, target, threshold=0.5):
    return (target == (p > threshold)).mean(axis=-1)


def sparse_categorical_accuracy(p, labels):
    return (p.argmax(axis=-1) == labels).astype(float)


def categorical_accuracy(p, target):
    return (p.argmax(axis=-1) == target.argmax(axis=-1)).astype(float)
