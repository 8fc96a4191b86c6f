"""Normalisation of columns and rows, softmax."""

import numpy as np


def softmax(x, axis=-1):
    e = np.exp(x - np.max(np.real(x), axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax(x, axis=-1):
    shifted = x - np.max(np.real(x), axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def batch_norm(x, gamma, beta, epsilon=1e-3):
    mean = x.mean(axis=0)
    variance = ((x - mean) ** 2).mean(axis=0)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta, mean, variance


def batch_norm_inference(x, gamma, beta, mean, variance, epsilon=1e-3):
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def layer_norm(x, gamma, beta, epsilon=1e-3):
    mean = x.mean(axis=1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=1, keepdims=True)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta
