"""Weights of rows, as Keras has them: negative ones, one for all, a column; in losses, metrics,
fit, evaluate and validation."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, metrics, ops
from fastnn.errors import ShapeError

ROWS = 13
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 3)).astype("f4")
Y = RNG.normal(size=(ROWS, 2)).astype("f4")
LABELS = RNG.integers(0, 2, ROWS)
SIGNED = RNG.normal(size=ROWS).astype("f4")
FORMS = {
    "signed": (SIGNED, SIGNED),
    "a column": (SIGNED[:, None], SIGNED),
    "one for all": (-2.5, np.full(ROWS, -2.5, "f4")),
    "a number of NumPy's": (np.float64(0.5), np.full(ROWS, 0.5, "f4")),
    "a list": (SIGNED.tolist(), SIGNED),
    "integers": (LABELS, LABELS.astype("f4")),
    "booleans": (LABELS > 0, LABELS.astype("f4")),
    "float64": (SIGNED.astype("f8"), SIGNED),
    "a tensor": (fastnn.tensor(SIGNED), SIGNED),
    "a tensor of one": (fastnn.tensor(2), np.full(ROWS, 2, "f4")),
    "a column, a tensor of float64": (fastnn.tensor(SIGNED.astype("f8")[:, None]), SIGNED),
    "a tensor of bool": (fastnn.tensor(LABELS > 0), LABELS.astype("f4")),
}
by_form = pytest.mark.parametrize("form", FORMS)
LOSSES = {
    "mse": (lambda: losses.MeanSquaredError(), Y, lambda p: ((p - Y) ** 2).mean(axis=1)),
    "mae": (lambda: losses.MeanAbsoluteError(), Y, lambda p: np.abs(p - Y).mean(axis=1)),
    "sparse": (
        lambda: losses.SparseCategoricalCrossentropy(from_logits=True),
        LABELS,
        lambda p: np.log(np.exp(p).sum(axis=1)) - p[np.arange(ROWS), LABELS],
    ),
}


def network(loss, seed=0):
    fastnn.utils.set_random_seed(seed)
    model = fastnn.Sequential(
        [fastnn.Input((3,)), layers.Dense(4, activation="tanh"), layers.Dense(2)]
    )
    model.compile(fastnn.optimizers.SGD(0.05), loss)
    return model


@by_form
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_the_mean_of_weighted_rows(name, form):
    make, y, rows = LOSSES[name]
    given, weights = FORMS[form]
    p = RNG.normal(size=(ROWS, 2))
    expected = (rows(p) * weights).mean()
    assert make()(y, p.astype("f4"), given).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    step = fastnn.record(lambda p, w: make()(y, p, w))
    assert step(p.astype("f4"), given).item() == make()(y, p.astype("f4"), given).item()


@by_form
@pytest.mark.parametrize("name", LOSSES)
def test_fit_evaluate_and_validation_take_them_alike(name, form):
    make, y, rows = LOSSES[name]
    given, weights = FORMS[form]
    found = []
    for w in (given, weights):
        model = network(make())
        history = model.fit(X, y, 5, 3, 0, validation_data=(X, y, w), sample_weight=w).history
        found.append(
            [history, model.evaluate(X, y, verbose=0, sample_weight=w), model.predict(X).tobytes()]
        )
    assert found[0] == found[1]
    expected = (rows(model.predict(X).astype("f8")) * weights).mean()
    assert found[0][1] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_gradient_goes_away_from_rows_of_negative_weight():
    """An advantage in reinforcement learning: w ascends where it is negative."""
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    for sign in (1.0, -1.0):
        p = fastnn.tensor(np.zeros((2, 2), "f4"), requires_gradient=True)
        loss([0, 1], p, [sign, 0.0]).backward()
        np.testing.assert_array_equal(p.gradient.numpy(), np.array([[-0.25, 0.25], [0, 0]]) * sign)


@by_form
@pytest.mark.parametrize("kind", [metrics.MeanSquaredError, metrics.MeanAbsoluteError])
def test_a_metric_is_the_weighted_mean(kind, form):
    given, weights = FORMS[form]
    p = np.random.default_rng(3).normal(size=(ROWS, 2)).astype("f4")
    metric = kind()
    rows = {"mean_squared_error": (p - Y) ** 2, "mean_absolute_error": np.abs(p - Y)}[
        metric.name
    ].mean(axis=1)
    metric.update_state(Y, p, given)
    assert metric.result() == pytest.approx(
        (rows * weights).sum() / weights.sum(dtype="f8"), rel=1e-5
    )
    metric.update_state(Y, p)
    total, count = (rows * weights).sum() + rows.sum(), weights.sum(dtype="f8") + ROWS
    assert metric.result() == pytest.approx(total / count, rel=1e-4)


@pytest.mark.parametrize(
    "weights",
    [SIGNED, SIGNED[:, None], 3.0, SIGNED[:, None] * [1, -2]],
    ids=["rows", "column", "one", "all"],
)
def test_a_mean_takes_weights_of_rows_or_of_every_number(weights):
    mean = metrics.Mean()
    mean.update_state(Y, weights)
    w = np.broadcast_to(weights if np.ndim(weights) != 1 else weights[:, None], Y.shape)
    assert mean.result() == pytest.approx((Y * w).sum(dtype="f8") / w.sum(dtype="f8"), rel=1e-4)
    mean.reset_state()
    mean.update_state([1.0, 5.0], [0.0, 0.0])
    assert mean.result() == 0.0


@pytest.mark.parametrize("shape", [(ROWS, 2), (2,), (1, ROWS), (ROWS, 1, 1), (0,)])
def test_other_shapes_are_refused_with_those_that_are_taken(shape):
    for weights in (np.ones(shape), fastnn.tensor(np.ones(shape))):
        message = (
            r"sample_weight must have shape \(13\), one for each row, or \(13, 1\), "
            r"or be one number for all; got \("
        )
        with pytest.raises(ShapeError, match=f"mean_squared_error: {message}"):
            losses.MeanSquaredError()(Y, Y, weights)
        with pytest.raises(ShapeError, match=f"metric 'mean_squared_error': {message}"):
            metrics.MeanSquaredError().update_state(Y, Y, weights)
    with pytest.raises(
        ValueError,
        match=r"mean_squared_error: sample_weight has 1 values .*sample_weight\[2\] = nan",
    ):
        losses.MeanSquaredError()(Y, Y, np.where(np.arange(ROWS) == 2, np.nan, 1.0))


@pytest.mark.parametrize(
    "loss", ["mae", "mean_absolute_error", "MeanAbsoluteError", losses.MeanAbsoluteError]
)
def test_mean_absolute_error_by_its_names(loss):
    model = network(loss)
    model.compile(
        "adam", loss, metrics=["mae", "mean_absolute_error", metrics.MeanAbsoluteError(name="own")]
    )
    before = np.abs(model.predict(X).astype("f8") - Y).mean()
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert list(found) == ["loss", "mae", "mean_absolute_error", "own"]
    assert list(found.values()) == pytest.approx([before] * 4, rel=1e-5)
    history = model.fit(X, Y, epochs=30, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["loss"] == pytest.approx(history["mae"], rel=1e-5)


def test_its_gradient_is_the_sign():
    fastnn.gradcheck(
        lambda p: losses.MeanAbsoluteError()(np.zeros((3, 2)), p), [RNG.normal(size=(3, 2))]
    )
    p = fastnn.tensor([[0.0, 2.0]], requires_gradient=True)
    ops.sum(losses.MeanAbsoluteError()([[0.0, 0.0]], p)).backward()
    np.testing.assert_array_equal(p.gradient.numpy(), [[0, 0.5]])
