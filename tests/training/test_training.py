"""Whole training runs against a plain NumPy implementation, step by step, in float64 and
float32."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, optimizers
from fastnn.kernels.reference.random import philox

ROWS, COLUMNS, CLASSES, BATCH, EPOCHS = 37, 5, 3, 8, 3


class PlainDense:
    def __init__(self, weights, use_bias=True):
        self.parameters = [next(weights) for _ in range(1 + use_bias)]

    def forward(self, x, training):
        self.x = x
        return x @ self.parameters[0] + sum(self.parameters[1:])

    def backward(self, dy):
        self.gradients = [self.x.T @ dy, dy.sum(axis=0)][: len(self.parameters)]
        return dy @ self.parameters[0].T


class PlainReLU:
    parameters, gradients = (), ()

    def forward(self, x, training):
        self.positive = x > 0
        return x * self.positive

    def backward(self, dy):
        return dy * self.positive


class PlainBatchNorm:
    def __init__(self, weights):
        self.parameters = [next(weights), next(weights)]
        self.moving = [next(weights), next(weights)]

    def forward(self, x, training):
        mean, variance = (x.mean(axis=0), x.var(axis=0)) if training else self.moving
        if training:
            self.pending = [
                0.99 * self.moving[0] + 0.01 * mean,
                0.99 * self.moving[1] + 0.01 * variance,
            ]
        self.factor = 1 / np.sqrt(variance + 1e-3)
        self.z = (x - mean) * self.factor
        return self.parameters[0] * self.z + self.parameters[1]

    def backward(self, dy):
        self.gradients = [(dy * self.z).sum(axis=0), dy.sum(axis=0)]
        self.moving = self.pending
        dz = dy * self.parameters[0]
        return self.factor * (dz - dz.mean(axis=0) - self.z * (dz * self.z).mean(axis=0))


def softmax_loss(z, labels, weights):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p, rows = e / e.sum(axis=1, keepdims=True), np.arange(len(labels))
    dz = p.copy()
    dz[rows, labels] -= 1
    return (
        (-np.log(p[rows, labels]) * weights).mean(),
        dz * weights[:, None] / len(labels),
        (p.argmax(axis=1) == labels).sum(),
    )


def sigmoid_loss(z, y, weights):
    p = 1 / (1 + np.exp(-z))
    value = -(y * np.log(p) + (1 - y) * np.log(1 - p)) * weights[:, None]
    return value.mean(), (p - y) * weights[:, None] / y.size, ((p > 0.5) == y).all(axis=1).sum()


def square_loss(z, y, weights):
    return ((z - y) ** 2 * weights[:, None]).mean(), 2 * (z - y) * weights[:, None] / y.size, 0


def sgd(step, w, g, state):
    w -= 0.1 * g


def momentum(step, w, g, state):
    v = state.setdefault("v", np.zeros_like(w))
    v[...] = 0.9 * v - 0.1 * g
    w += v


def nesterov(step, w, g, state):
    v = state.setdefault("v", np.zeros_like(w))
    v[...] = 0.9 * v - 0.1 * g
    w += 0.9 * v - 0.1 * g


def adam(step, w, g, state):
    m, v = state.setdefault("m", np.zeros_like(w)), state.setdefault("v", np.zeros_like(w))
    m += (g - m) * (1 - 0.9)
    v += (g * g - v) * (1 - 0.999)
    w -= 0.01 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step) * m / (np.sqrt(v) + 1e-7)


def rmsprop(step, w, g, state):
    v = state.setdefault("v", np.zeros_like(w))
    v[...] = 0.9 * v + 0.1 * g * g
    w -= 0.01 * g / np.sqrt(v + 1e-7)


UPDATES = {
    sgd: lambda: optimizers.SGD(0.1),
    momentum: lambda: optimizers.SGD(0.1, momentum=0.9),
    nesterov: lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    adam: lambda: optimizers.Adam(0.01),
    rmsprop: lambda: optimizers.RMSprop(0.01),
}
LOSSES = {
    softmax_loss: (losses.SparseCategoricalCrossentropy, "softmax"),
    sigmoid_loss: (losses.BinaryCrossentropy, "sigmoid"),
    square_loss: (losses.MeanSquaredError, None),
}


def problem(loss, dtype):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(ROWS, COLUMNS)).astype(dtype)
    y = {
        softmax_loss: lambda: rng.integers(0, CLASSES, ROWS),
        sigmoid_loss: lambda: rng.integers(0, 2, (ROWS, CLASSES)).astype(dtype),
    }
    return x, y.get(loss, lambda: rng.normal(size=(ROWS, CLASSES)).astype(dtype))()


def network(loss, update, dtype):
    fastnn.config.set_floatx(dtype)
    fastnn.utils.set_random_seed(5)
    kind, activation = LOSSES[loss]
    model = fastnn.Sequential(
        [
            fastnn.Input((COLUMNS,)),
            layers.Dense(16, activation="relu"),
            # its gradient would be zero but for rounding, which Adam blows up
            layers.Dense(9, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(CLASSES, activation=activation),
        ]
    )
    model.compile(UPDATES[update](), kind(), metrics=["accuracy"] if loss is softmax_loss else [])
    return model


class Plain:
    """The same network in NumPy, float64."""

    def __init__(self, weights, loss, update):
        given = iter([w.astype(np.float64) for w in weights])
        self.loss, self.update, self.steps, self.states = loss, update, 0, {}
        self.layers = [
            PlainDense(given),
            PlainReLU(),
            PlainDense(given, False),
            PlainBatchNorm(given),
            PlainReLU(),
            PlainDense(given),
        ]

    def forward(self, x, training=False):
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def step(self, x, y, weights):
        value, dz, hits = self.loss(self.forward(x, True), y, weights)
        for layer in reversed(self.layers):
            dz = layer.backward(dz)
        self.steps += 1
        for number, (w, g) in enumerate(
            (w, g)
            for layer in self.layers
            for w, g in zip(layer.parameters, layer.gradients, strict=True)
        ):
            self.update(self.steps, w, g, self.states.setdefault(number, {}))
        return value * len(x), hits

    def weights(self):
        return [
            w for layer in self.layers for w in (*layer.parameters, *getattr(layer, "moving", ()))
        ]


def shuffled(generator, draw):
    """The order of an epoch by Fisher and Yates from Philox, written out."""
    key, words = int(generator.state.numpy()[0]) % (1 << 64), []
    for block in range(math.ceil(ROWS / 4)):
        words += philox((block, 0, draw & 0xFFFFFFFF, draw >> 32), (key & 0xFFFFFFFF, key >> 32))
    order = np.arange(ROWS)
    for i in range(ROWS - 1, 0, -1):
        j = words[i] * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("update", UPDATES, ids=lambda f: f.__name__)
def test_every_epoch_has_numpys_weights_and_means(update, loss, weighted, dtype):
    x, y = problem(loss, dtype)
    sample_weight = (
        np.random.default_rng(1).uniform(0.5, 2, ROWS).astype(dtype) if weighted else None
    )
    model = network(loss, update, dtype)
    plain = Plain(model.get_weights(), loss, update)
    seen = []

    class Keep(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((self.model.get_weights(), logs))

    model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=EPOCHS,
        sample_weight=sample_weight,
        callbacks=[Keep()],
        verbose=0,
    )
    weights = np.ones(ROWS) if sample_weight is None else sample_weight.astype(np.float64)
    x = x.astype(np.float64)
    for epoch, (got, logs) in enumerate(seen):
        order, total, hits = shuffled(model._drawing(), epoch), 0.0, 0
        for first in range(0, ROWS, BATCH):
            rows = order[first : first + BATCH]
            value, right = plain.step(x[rows], y[rows], weights[rows])
            total, hits = total + value, hits + right
        bound = tolerance(dtype, plain.steps)
        for i, (a, b) in enumerate(zip(got, plain.weights(), strict=True)):
            assert (np.abs(a - b) <= bound * (1 + np.abs(b))).all(), (
                f"epoch {epoch}, weight {i}: {np.abs(a - b).max()}"
            )
        assert abs(logs["loss"] - total / ROWS) <= bound * (1 + abs(total))
        if "accuracy" in logs:
            assert logs["accuracy"] == pytest.approx(hits / ROWS)


def tolerance(dtype, steps):
    """Each step rounds sums of some ten terms and hands the error on, through the square root of
    small moments enlarged."""
    return 64 * np.finfo(dtype).eps * steps


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_evaluation_and_prediction_are_numpys(loss):
    x, y = problem(loss, "float64")
    model = network(loss, sgd, "float64")
    model.fit(x, y, epochs=2, verbose=0)
    plain = Plain(model.get_weights(), loss, sgd)
    z = plain.forward(x)
    value = loss(z, y, np.ones(ROWS))[0]
    results = model.evaluate(x, y, batch_size=BATCH, verbose=0)
    assert (results[0] if isinstance(results, list) else results) == pytest.approx(value, rel=1e-13)
    p = model.predict(x, batch_size=BATCH)
    if loss is softmax_loss:
        z = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        p, 1 / (1 + np.exp(-z)) if loss is sigmoid_loss else z, rtol=1e-13, atol=1e-14
    )


def test_statistics_that_overflow_are_not_committed():
    """The squares of 1e30 are infinite in float32, though loss and gradients are finite."""
    model = fastnn.Sequential(
        [fastnn.Input((1,)), layers.BatchNormalization(name="norm"), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(
        FloatingPointError, match=r"epoch 1, step 1: .* made by batch_norm in layer 'norm'"
    ):
        model.fit([[1e30], [-1e30]], [[1.0], [2.0]], verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shuffle", [True, False])
def test_what_a_layer_keeps_of_a_recorded_step_has_no_memory(shuffle):
    """Rows that are read where they lie are the user's, and may be freed."""

    class Keeps(fastnn.layers.Layer):
        not_recorded = ("last",)

        def call(self, x):
            self.last = x
            return x

    x = np.ones((40, 2), np.float32)
    model = fastnn.Sequential([fastnn.Input((2,)), Keeps(), fastnn.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1], shuffle=shuffle, verbose=0)
    for read in (
        lambda t: t.numpy(),
        lambda t: t + 1.0,
        lambda t: fastnn.ops.reshape(t, (-1,)) * 2.0,
    ):
        with pytest.raises(fastnn.errors.DeadTensorError, match="its memory ended with the step"):
            read(model.layers[0].last)
    for _ in range(2):  # the tape knows where rows lie
        model.fit(x.copy(), x[:, :1].copy(), shuffle=shuffle, verbose=0)
