"""NumPy: forward and backward by hand, arrays updated in place; ops are their records'
references."""

from functools import partial
from typing import Any

import numpy as np

import fastnn
from bench.kinds import FLOAT, Fit, OpCall, Predict, Product, Update

IMPORT = "import numpy"
NORM = False  # batch normalisation is not written out here
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


def forward(x, weights):
    """The results of all layers, the last one's without activation."""
    results = [x]
    for n in range(0, len(weights), 2):
        z = results[-1] @ weights[n]
        z += weights[n + 1]
        if n < len(weights) - 2:
            np.maximum(z, 0, out=z)
        results.append(z)
    return results


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    e /= e.sum(axis=1, keepdims=True)
    return e


def loss_of(z, y):
    """Mean loss, its gradient by z, and the accuracy (of several columns: not wanted)."""
    if z.shape[1] == 1:
        p = 1 / (1 + np.exp(-z))
        loss = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
        return loss.mean(), (p - y) / len(z), ((p > 0.5) == y).mean()
    p, rows = softmax(z), np.arange(len(z))
    loss = -np.log(p[rows, y]).mean()
    p[rows, y] -= 1
    p /= len(z)
    return loss, p, 0.0


def gradients_of(results, weights, dz):
    found = [None] * len(weights)
    for n in range(len(weights) - 2, -1, -2):
        x = results[n // 2]
        found[n], found[n + 1] = x.T @ dz, dz.sum(axis=0)
        if n:
            dz = dz @ weights[n].T
            dz *= x > 0
    return found


def adam(weights, gradients, means, squares, t, rate):
    scale = FLOAT.type(rate * np.sqrt(1 - BETA_2**t) / (1 - BETA_1**t))
    for w, g, m, v in zip(weights, gradients, means, squares, strict=True):
        m += (g - m) * FLOAT.type(1 - BETA_1)
        v += (g * g - v) * FLOAT.type(1 - BETA_2)
        w -= scale * m / (np.sqrt(v) + FLOAT.type(EPSILON))


def sgd(weights, gradients, rate):
    for w, g in zip(weights, gradients, strict=True):
        w -= rate * g


def fit(case: Fit):
    x, y = case.data()
    initial = case.weights()

    def run():
        rng = np.random.default_rng(0)
        weights = [w.copy() for w in initial]
        means, squares = ([np.zeros_like(w) for w in weights] for _ in range(2))
        t, rate = 0, FLOAT.type(case.rate)
        for _ in range(case.epochs):
            order, loss_sum, accuracy_sum = rng.permutation(case.rows), 0.0, 0.0
            for first in range(0, case.rows, case.batch):
                rows = order[first : first + case.batch]
                results = forward(x[rows], weights)
                loss, dz, accuracy = loss_of(results[-1], y[rows])
                gradients = gradients_of(results, weights, dz)
                loss_sum, accuracy_sum, t = loss_sum + loss, accuracy_sum + accuracy, t + 1
                if case.optimizer == "adam":
                    adam(weights, gradients, means, squares, t, case.rate)
                else:
                    sgd(weights, gradients, rate)
        return loss_sum / case.steps

    return lambda: run


def product(case: Product):
    a, b = case.arrays()
    c = np.empty_like(a)

    def run():
        for _ in range(case.units):
            np.matmul(a, b, out=c)

    return run


def predict(case: Predict):
    weights, row = case.weights(), case.row()
    return lambda: softmax(forward(row, weights)[-1])


def op(case: OpCall):
    reference: Any = fastnn.ops.registry[case.op].reference
    return partial(reference, *case.arrays(), **case.attributes)


def update(case: Update):
    values, gradients = case.arrays()
    means, squares = np.zeros_like(values), np.zeros_like(values)

    def run():
        for _ in range(case.units):
            if case.optimizer == "sgd":
                sgd([values], [gradients], FLOAT.type(1e-3))
            else:
                adam([values], [gradients], [means], [squares], 1, 1e-3)

    return run
