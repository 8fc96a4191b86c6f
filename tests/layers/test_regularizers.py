"""Regularizers and constraints against NumPy in float64, and what layers do with them."""

import numpy as np
import pytest

import fastnn
from fastnn import constraints, layers, ops, regularizers

W = np.random.default_rng(0).normal(size=(4, 3))
NORM = np.linalg.norm(W, axis=0)
COSINES = (W / np.linalg.norm(W, axis=1, keepdims=True)) @ (
    W / np.linalg.norm(W, axis=1, keepdims=True)
).T
REGULARIZERS = {
    "l1": (regularizers.L1(0.5), 0.5 * np.abs(W).sum()),
    "l2": (regularizers.L2(0.5), 0.5 * (W**2).sum()),
    "l1 and l2": (regularizers.L1L2(0.5, 0.25), 0.5 * np.abs(W).sum() + 0.25 * (W**2).sum()),
    "orthogonal": (
        regularizers.OrthogonalRegularizer(0.5),
        0.5 * np.abs(COSINES[~np.eye(4, dtype=bool)]).mean(),
    ),
}


@pytest.mark.parametrize("name", REGULARIZERS)
def test_regularizers_are_numpys_and_have_gradients(name):
    regularizer, expected = REGULARIZERS[name]
    assert regularizer(fastnn.tensor(W)).item() == pytest.approx(expected, rel=1e-12)
    fastnn.gradcheck(regularizer, [W])


def test_columns_are_rows_of_the_transpose():
    rows, columns = (regularizers.OrthogonalRegularizer(0.5, m) for m in ("rows", "columns"))
    assert columns(fastnn.tensor(W)).item() == pytest.approx(rows(fastnn.tensor(W.T)).item())
    assert rows(fastnn.tensor(W[:1])).item() == 0  # of one row there is no other


CONSTRAINTS = {
    "max norm": (constraints.MaxNorm(1.5), W * np.minimum(NORM, 1.5) / (1e-7 + NORM)),
    "not negative": (constraints.NonNeg(), np.maximum(W, 0)),
    "norm 1": (constraints.UnitNorm(), W / (1e-7 + NORM)),
    "norm of all": (constraints.UnitNorm((0, 1)), W / (1e-7 + np.linalg.norm(W))),
    "norm between": (
        constraints.MinMaxNorm(1.0, 1.5, 0.5),
        W * (0.5 * np.clip(NORM, 1, 1.5) + 0.5 * NORM) / (1e-7 + NORM),
    ),
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_are_numpys(name):
    constraint, expected = CONSTRAINTS[name]
    np.testing.assert_allclose(constraint(fastnn.tensor(W)).numpy(), expected, rtol=1e-14)
    assert not constraint(np.zeros((2, 2))).numpy().any()  # where the norm is 0, no NaN


def regularized(**arguments):
    fastnn.utils.set_random_seed(3)
    hidden = layers.Dense(3, "tanh", kernel_regularizer="l2", **arguments)
    return fastnn.Sequential([fastnn.Input((4,)), hidden, layers.Dense(1)])


X, Y = W[:, [0, 1, 2, 0]].astype("f4"), W[:, :1].astype("f4")


def test_the_loss_has_the_sum_of_all_added_in_training_and_evaluation():
    model = regularized(bias_regularizer="l1", activity_regularizer=lambda x: ops.sum(abs(x)))
    model.compile("sgd", "mse")
    hidden, plain = model.layers[0], ((model.predict(X) - Y) ** 2).mean()
    expected = plain + 0.01 * (hidden.kernel.numpy() ** 2).sum()
    expected += 0.01 * np.abs(hidden.bias.numpy()).sum() + np.abs(hidden(X).numpy()).sum() / len(X)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-6)
    assert model.fit(X, Y, verbose=0).history["loss"][0] == pytest.approx(expected, rel=1e-6)
    assert len(model.losses) == 2  # of the weights: none of them is a recorded step's
    hidden.trainable = False
    assert model.losses == []


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_regularizer_may_be_changed_between_epochs(eagerly):
    """As any attribute that a step reads."""
    found = []
    for factor in (0.0, 0.5):
        model = regularized()
        model.compile("sgd", "mse", run_eagerly=eagerly)
        model.layers[0].kernel_regularizer.l2 = 0.0
        model.fit(X, Y, verbose=0)
        model.layers[0].kernel_regularizer.l2 = factor
        history = model.fit(X, Y, verbose=0).history["loss"]
        found.append((history, model.layers[0].kernel.numpy()))
    (plain, _), (loss, _) = found
    assert loss[0] > plain[0]
    assert np.linalg.norm(found[1][1]) < np.linalg.norm(found[0][1])


def test_each_call_begins_anew_and_layers_within_layers_add_as_well():
    class Adding(layers.Layer):
        def call(self, x):
            self.add_loss([ops.sum(x), 2.0])
            return x

    inner = Adding()
    outer = fastnn.Sequential([inner, layers.Dense(1, kernel_regularizer="l2"), Adding()])
    for _ in range(2):
        outer(X)
    assert len(outer.losses) == 5
    assert len(inner.losses) == 2
    inner(X)
    assert len(inner.losses) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regularizers.L2(-1), "L2: l2 must be a finite number from 0 on; got -1"),
        (lambda: regularizers.L1(np.nan), "L1: l1 must be a finite number"),
        (lambda: regularizers.OrthogonalRegularizer(mode="row"), "mode 'row'; did you mean 'rows'"),
        (lambda: regularizers.OrthogonalRegularizer()(np.ones(3)), r"takes a matrix.*got \(3\)"),
        (lambda: constraints.MaxNorm(-1), "MaxNorm: max_value must be"),
        (lambda: constraints.MinMaxNorm(rate=2), "MinMaxNorm: rate must lie between 0 and 1"),
        (lambda: layers.Dense(1, kernel_regularizer="l3"), "Dense: kernel_regularizer: unknown"),
        (lambda: layers.Dense(1, bias_constraint=3), "Dense: bias_constraint: expected a name"),
        (lambda: layers.Dense(1, activity_regularizer="x"), "Dense: activity_regularizer: unknown"),
    ],
)
def test_what_is_wrong_is_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_model_may_have_no_other_loss_than_what_its_layers_add(eagerly):
    class Autoencoder(fastnn.Model):
        def __init__(self):
            super().__init__()
            self.code, self.decoded = layers.Dense(2), layers.Dense(4)

        def call(self, x):
            y = self.decoded(self.code(x))
            self.add_loss(ops.mean(ops.squared_difference(y, x)))
            return y

    model = Autoencoder()
    model.compile("adam", run_eagerly=eagerly)
    losses = model.fit(X, epochs=3, verbose=0).history["loss"]
    assert losses[2] < losses[0]
    expected = ((model.predict(X) - X) ** 2).mean()
    assert model.evaluate(X, verbose=0) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("eagerly", [False, True])
def test_constraints_hold_after_every_update_and_are_a_part_of_it(eagerly):
    seen = []

    def halved(w):
        seen.append(w.shape)
        return ops.minimum(w, 0.5) * 0.5

    fastnn.utils.set_random_seed(1)
    layer = layers.Dense(2, kernel_constraint=halved, bias_constraint="non_neg")
    model = fastnn.Sequential([fastnn.Input((4,)), layer])
    model.compile(fastnn.optimizers.SGD(0.0), "mse", run_eagerly=eagerly)
    before = layer.kernel.numpy()
    model.fit(X, np.tile(Y, 2), batch_size=2, epochs=1, verbose=0)
    expected = np.minimum(np.minimum(before, 0.5) * 0.5, 0.5) * 0.5  # two steps
    np.testing.assert_allclose(layer.kernel.numpy(), expected, rtol=1e-6)
    assert set(seen) == {(4, 2)}


def test_a_constraint_that_gives_nan_changes_nothing():
    layer = layers.Dense(1, kernel_constraint=lambda w: w * np.nan)
    model = fastnn.Sequential([fastnn.Input((4,)), layer])
    model.compile("adam", "mse")
    before = model.get_weights()
    with pytest.raises(FloatingPointError):
        model.fit(X, Y, verbose=0)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    assert model.optimizer.iterations == 0
