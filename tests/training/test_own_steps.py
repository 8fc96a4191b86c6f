"""Steps of a model's own, and steps with one batch. Numbers are Keras 3.15's."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, metrics, ops, optimizers

RNG = np.random.default_rng(0)
X = RNG.random((64, 3)).astype("float32")
Y = X[:, :1]
OTHERS = {"epochs": 2, "verbose": 0, "shuffle": False, "batch_size": 20}


def made(kind, **named):
    x = fastnn.Input((3,))
    model = kind(x, layers.Dense(1)(x))
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.random(weight.shape).astype("float32"))
    model.compile("sgd", "mse", metrics=["mae"], **named)
    return model


def test_one_batch():
    model = made(fastnn.Model)
    np.testing.assert_allclose(model.train_on_batch(X[:8], Y[:8]), [1.9348, 1.3366], atol=1e-4)
    found = model.train_on_batch(X[8:20], Y[8:20], return_dict=True)
    assert list(found) == ["loss", "mae"]
    np.testing.assert_allclose(list(found.values()), [1.4903, 1.1768], atol=1e-4)
    weights = np.linspace(0, 1, 12).astype("float32")
    found = model.train_on_batch(X[8:20], Y[8:20], sample_weight=weights)
    np.testing.assert_allclose(found, [0.7108, 1.1339], atol=1e-4)
    np.testing.assert_allclose(model.test_on_batch(X[:8], Y[:8]), [1.6527, 1.2285], atol=1e-4)
    np.testing.assert_array_equal(model.predict_on_batch(X), model.predict(X))
    assert model.predict_on_batch(X[:5]).shape == (5, 1)


class OwnLoss(fastnn.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return 3.0 * ops.mean(ops.square(y - y_pred))


def test_a_loss_of_its_own():
    model = made(OwnLoss)
    history = model.fit(X, Y, **OTHERS).history
    np.testing.assert_allclose(history["loss"], [4.2493, 1.8493], atol=1e-4)
    np.testing.assert_allclose(history["mae"], [1.1323, 0.7088], atol=1e-4)
    np.testing.assert_allclose(model.evaluate(X, Y, verbose=0), [1.078, 0.5171], atol=1e-4)


class OwnStep(fastnn.Model):
    """As in Keras's guide."""

    def train_step(self, data):
        x, y = data
        y_pred = self(x, training=True)
        loss = self.compute_loss(y=y, y_pred=y_pred)
        loss.backward()
        self.optimizer.step()
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


class Inherited(fastnn.Model):
    """Says what it adds to the usual step."""

    def train_step(self, data):
        return {**super().train_step(data), "rows": ops.sum(data[1] * 0.0 + 1.0)}


def test_a_step_of_its_own_is_the_usual_one():
    usual = made(fastnn.Model)
    expected = usual.fit(X, Y, validation_data=(X, Y), **{**OTHERS, "batch_size": 16}).history
    for kind in (OwnStep, Inherited):
        for run_eagerly in (False, True):
            model = made(kind, run_eagerly=run_eagerly)
            found = model.fit(X, Y, validation_data=(X, Y), **{**OTHERS, "batch_size": 16}).history
            rows = found.pop("rows", None)
            assert rows in (None, [16.0, 16.0])
            assert found.keys() == expected.keys()
            for name, values in expected.items():
                np.testing.assert_allclose(found[name], values, rtol=1e-6)
            for one, other in zip(model.get_weights(), usual.get_weights(), strict=True):
                np.testing.assert_array_equal(one, other)


class Autoencoder(fastnn.Model):
    """Steps of x alone, and no loss in compile."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = layers.Dense(2), layers.Dense(3)
        self.error = metrics.Mean(name="error")

    def call(self, x):
        return self.decoder(self.encoder(x))

    def train_step(self, x):
        loss = ops.mean(ops.square(self(x) - x))
        loss.backward()
        self.optimizer.step()
        self.error.update_state(loss)
        return {"error": self.error.result()}

    def test_step(self, x):
        self.error.update_state(ops.mean(ops.square(self(x) - x)))
        return {"error": self.error.result()}


def test_metrics_begin_anew_with_each_epoch_and_with_validation():
    model = Autoencoder()
    model.compile(optimizers.SGD(0.0))
    history = model.fit(X, epochs=2, verbose=0, validation_data=(X[:32], None)).history
    mse = [((model.predict(rows) - rows) ** 2).mean() for rows in (X, X[:32])]
    np.testing.assert_allclose(history["error"], [mse[0]] * 2, rtol=1e-5)
    np.testing.assert_allclose(history["val_error"], [mse[1]] * 2, rtol=1e-5)
    assert model.evaluate(X, verbose=0, return_dict=True).keys() == {"error"}
    assert [metric.name for metric in model.metrics] == ["error"]


class Gan(fastnn.Model):
    """Two models and two optimizers."""

    def __init__(self):
        super().__init__()
        self.generator = fastnn.Sequential([fastnn.Input((2,)), layers.Dense(3)])
        self.critic = fastnn.Sequential(
            [fastnn.Input((3,)), layers.Dense(4, "relu"), layers.Dense(1)]
        )
        self.judge = losses.BinaryCrossentropy(from_logits=True)

    def compile(self, of_critic, of_generator):
        super().compile()
        self.of_critic, self.of_generator = of_critic, of_generator
        of_critic.build(self.critic.trainable_weights)
        of_generator.build(self.generator.trainable_weights)

    def train_step(self, real):
        rows = real.shape[0]
        fake = self.generator(fastnn.random.normal((rows, 2)))
        y = np.repeat([[1.0], [0.0]], rows, axis=0)
        critic_loss = self.judge(y, self.critic(ops.concatenate([real, fake], axis=0)))
        critic_loss.backward()
        self.of_critic.step()
        for weight in self.generator.weights:
            weight.gradient = None
        fooled = self.critic(self.generator(fastnn.random.normal((rows, 2))))
        loss = self.judge(np.ones((rows, 1)), fooled)
        loss.backward()
        self.of_generator.step()
        for weight in self.critic.weights:
            weight.gradient = None
        return {"critic": critic_loss, "generator": loss}


def test_two_optimizers():
    fastnn.utils.set_random_seed(0)
    model = Gan()
    model.compile(optimizers.Adam(0.01), optimizers.Adam(0.01))
    before = model.get_weights()
    history = model.fit(X, epochs=3, verbose=0).history
    assert list(history) == ["critic", "generator"]
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    assert len(set(history["critic"])) == 3


class Halves(fastnn.Model):
    def predict_step(self, data):
        return {"half": 0.5 * self(data, training=False)}


def test_a_prediction_of_its_own():
    model, usual = made(Halves), made(fastnn.Model)
    for rows in (X[:1], X):
        found = model.predict(rows)
        np.testing.assert_array_equal(found["half"], 0.5 * usual.predict(rows))
        np.testing.assert_array_equal(model.predict(rows)["half"], found["half"])


def returning(logs):
    return type("Returning", (OwnStep,), {"train_step": lambda self, data: logs(self, data)})


@pytest.mark.parametrize(
    ("logs", "error", "message"),
    [
        (lambda self, data: [1.0], TypeError, "must return a dictionary of names and tensors"),
        (lambda self, data: {"loss": "x"}, (TypeError, ValueError), "expected numbers"),
    ],
)
def test_what_a_step_returns_is_checked(logs, error, message):
    with pytest.raises(error, match=message):
        made(returning(logs)).fit(X, Y, verbose=0)


def test_a_step_needs_what_it_needs():
    x = fastnn.Input((3,))
    model = OwnStep(x, layers.Dense(1)(x))
    with pytest.raises(ValueError, match="rows"):
        made(OwnStep).fit(X, Y[:3], verbose=0)
    with pytest.raises(RuntimeError, match="compile"):
        fastnn.Model(x, layers.Dense(1)(x)).train_on_batch(X, Y)
    assert model.get_metrics_result() == {}
