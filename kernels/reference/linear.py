"""Products of matrices and the linear layer."""

import numpy as np


def matmul(a, b, transpose_a=False, transpose_b=False):
    a = np.swapaxes(a, -1, -2) if transpose_a and a.ndim > 1 else a
    return a @ (np.swapaxes(b, -1, -2) if transpose_b and b.ndim > 1 else b)


def linear(x, w, bias=None, activation=None):
    z = x @ w if bias is None else x @ w + bias
    if activation == "relu":
        return np.where(np.real(z) < 0, 0.0, z)
    return {None: z, "tanh": np.tanh(z), "sigmoid": 1 / (1 + np.exp(-z)), "exp": np.exp(z)}[
        activation
    ]
