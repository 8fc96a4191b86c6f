"""Metrics within fit and evaluate: exact over the epoch, recorded as eagerly, on any number of
threads, of training and validation apart."""

import copy
import pickle
import threading

import numpy as np
import pytest

import fastnn
from fastnn import layers, metrics, ops

N, C = 90, 3
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N, 6)).astype("f4")
Y = (X[:, :C] + RNG.normal(size=(N, C)) > 0).astype("f4")
WEIGHTS = RNG.integers(0, 4, N).astype("f4")
TEST = X[:40], Y[:40]


class Share(metrics.Metric):
    """Of one's own: a dictionary of results, by an inner metric too."""

    def __init__(self, name="share", **base):
        super().__init__(name=name, **base)
        self.above = self.add_weight(name="above")
        self.rows = self.add_variable((), "zeros", dtype="int32", name="rows")
        self.inner = metrics.MeanSquaredError()
        self.limit = 0.5

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.inner.update_state(y_true, y_pred)
        self.above.assign(self.above + ops.sum((y_pred > self.limit) * 1.0))
        self.rows.assign_add(y_pred.shape[0])

    def result(self):
        rows = self.rows.astype("float32")
        return {"above": self.above / rows, "inner": self.inner.result()}

    def reset_state(self):
        self.above.assign(0.0)
        self.rows.assign(0)
        self.inner.reset_state()


def absolute(y_true, y_pred):
    return abs(y_true - y_pred)


def largest(y_true, y_pred):
    """Of all predictions at once, by NumPy."""
    assert type(y_true) is type(y_pred) is np.ndarray
    return np.max(np.abs(y_true - y_pred))


def chosen():
    return [
        "accuracy", metrics.AUC(name="auc"), metrics.AUC(name="by_label", multi_label=True),
        metrics.Precision([0.25, 0.5], name="precision"), metrics.F1Score(threshold=0.5),
        metrics.R2Score(), metrics.RootMeanSquaredError(), Share(), absolute, largest,
    ]  # fmt: skip


def network(given=None, seed=1, **compiled):
    fastnn.utils.set_random_seed(seed)
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(C, "sigmoid")])
    if given is None:
        given = chosen()
    model.compile("adam", "binary_crossentropy", metrics=given, **compiled)
    return model


def fit(model, **given):
    given = {"epochs": 2, "batch_size": 16, "verbose": 0, **given}
    return model.fit(X, Y, **given).history


def same(a, b):
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_names_and_shapes_of_results():
    history = fit(network(), validation_data=TEST)
    assert list(history) == [
        prefix + name
        for prefix in ("", "val_")
        for name in (
            "loss", "accuracy", "auc", "by_label", "precision", "f1_score", "r2_score",
            "root_mean_squared_error", "above", "inner", "absolute", "largest",
        )
    ]  # fmt: skip
    assert np.shape(history["precision"]) == (2, 2)
    assert np.shape(history["val_f1_score"]) == (2, C)
    assert all(type(value) is float for value in history["auc"])


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_evaluate_is_the_metric_of_what_is_predicted(weights):
    given = [m for m in chosen() if m not in ("accuracy", absolute, largest)][:-1]
    model = network(["accuracy", absolute, largest, *given], weighted_metrics=chosen()[:7])
    found = model.evaluate(X, Y, 16, verbose=0, sample_weight=weights, return_dict=True)
    p = model.predict(X)
    assert found["largest"] == np.abs(Y - p).max()
    np.testing.assert_allclose(found["absolute"], np.abs(Y - p).mean(), rtol=1e-6)
    for prefix, w in (("", None), ("weighted_", weights)):
        for metric in (metrics.CategoricalAccuracy("accuracy"), *chosen()[1:7]):
            metric.update_state(Y, p, w)
            expected = metric.result().numpy()
            got = found[prefix + metric.name]
            np.testing.assert_allclose(got, expected, rtol=2e-6, err_msg=prefix + metric.name)


@pytest.mark.parametrize("threads", [1, 2])
def test_recorded_steps_count_as_eager_ones(threads):
    before = fastnn.get_threads()
    try:
        fastnn.set_threads(threads)
        given = {"validation_data": (*TEST, WEIGHTS[:40]), "sample_weight": WEIGHTS}
        same(fit(network(), **given), fit(network(run_eagerly=True), **given))
    finally:
        fastnn.set_threads(before)


def test_an_epoch_knows_nothing_of_the_last_one():
    model = network()
    model.optimizer.learning_rate = 0.0
    history = fit(model, epochs=3, shuffle=False, validation_data=(X, Y))
    for name in history:
        np.testing.assert_array_equal(history[name][0], history[name][2], err_msg=name)
        if not name.startswith("val_"):
            np.testing.assert_allclose(history[name][0], history["val_" + name][0], rtol=1e-6)
    # 90 rows are six steps, after the second of which there is an end
    model.fit(X[:30], Y[:30], 16, verbose=0)
    same(
        fit(model, shuffle=False, epochs=1),
        {n: v[:1] for n, v in history.items() if n[:4] != "val_"},
    )


def test_callbacks_see_them_within_an_epoch():
    seen = []

    class Watching(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(logs)

    model = network()
    model.optimizer.learning_rate = 0.0
    fit(model, epochs=1, shuffle=False, callbacks=[Watching()])
    p = model.predict(X)
    for rows, logs in zip(range(16, N, 16), seen, strict=False):
        metric = metrics.AUC()
        metric.update_state(Y[:rows], p[:rows])
        np.testing.assert_allclose(logs["auc"], metric.result().numpy(), rtol=1e-6)
        np.testing.assert_allclose(logs["above"], (p[:rows] > 0.5).sum() / rows, rtol=1e-6)
    assert seen[-1]["f1_score"].shape == (C,)
    assert ["largest" in logs for logs in seen] == [False] * 5 + [True]


def test_what_changes_in_a_metric_counts_from_then_on():
    share, precision = Share(), metrics.Precision(name="precision")
    share.inner = metrics.Precision()
    model = network([share, precision])
    p = model.predict(X)
    for limit, number in ((0.5, None), (0.3, 1), (0.5, None)):
        share.limit, precision.class_id, share.inner.class_id = limit, number, number
        found = model.evaluate(X, Y, 16, verbose=0, return_dict=True)
        np.testing.assert_allclose(found["above"], (p > limit).sum() / N, rtol=1e-6)
        metric = metrics.Precision(class_id=number)
        metric.update_state(Y, p)
        assert found["precision"] == pytest.approx(metric.result().item())
        assert found["inner"] == pytest.approx(found["precision"])


def test_a_step_that_fails_counts_nothing():
    model = network([metrics.AUC(name="auc"), Share()])
    fit(model)
    expected, weights = model.evaluate(X, Y, 16, verbose=0), model.get_weights()
    model.optimizer.learning_rate = 1e38
    with pytest.raises(FloatingPointError):
        model.fit(1e6 * X, Y, 16, 3, verbose=0)
    epoch = next(e for key, kept in model._programs.items() if key[0] == "fit" for e in kept)
    auc, share = [one.metric for one in epoch.measures[0].metrics]
    assert 0 < auc.histogram.numpy().sum() < N * C
    assert auc.histogram.numpy().sum() == C * share.rows.item()
    assert share.rows.item() % 16 == 0
    assert share.rows.item() == epoch.totals.numpy()[0, 1]
    model.set_weights(weights)
    assert model.evaluate(X, Y, 16, verbose=0) == expected


def test_evaluations_at_once_do_not_meet():
    model, found = network(), []
    expected = [model.evaluate(x, y, 16, verbose=0) for x, y in ((X, Y), TEST)]

    def work(number):
        x, y = ((X, Y), TEST)[number % 2]
        for _ in range(5):
            got = model.evaluate(x, y, 16, verbose=0)
            found.append(all(map(np.array_equal, got, expected[number % 2])))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [True] * 20


def test_outputs_have_metrics_of_their_own():
    class Two(fastnn.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(C, "sigmoid"), layers.Dense(1)

        def call(self, x):
            return {"a": self.a(x), "b": self.b(x)}

    model = Two()
    model.compile(
        "adam",
        {"a": "binary_crossentropy", "b": "mse"},
        metrics={"a": ["accuracy", metrics.AUC(name="auc")], "b": "mae"},
        weighted_metrics={"b": ["mae"]},
    )
    targets = {"a": Y, "b": X[:, :1]}
    history = model.fit(X, targets, 16, verbose=0, sample_weight=WEIGHTS).history
    assert list(history) == [
        "loss", "a_loss", "b_loss", "a_accuracy", "a_auc", "b_mae", "b_weighted_mae",
    ]  # fmt: skip
    found = model.evaluate(X, targets, 16, verbose=0, sample_weight=WEIGHTS, return_dict=True)
    error = np.abs(model.predict(X)["b"] - X[:, :1])[:, 0]
    np.testing.assert_allclose(found["b_mae"], error.mean(), rtol=1e-6)
    weighted = (error * WEIGHTS).sum() / WEIGHTS.sum()
    np.testing.assert_allclose(found["b_weighted_mae"], weighted, rtol=1e-6)


def test_scikit_learns_functions_are_metrics():
    of = pytest.importorskip("sklearn.metrics")

    def f1(y_true, y_pred):
        return of.f1_score(y_true, y_pred > 0.5)

    fastnn.utils.set_random_seed(1)
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(1, "sigmoid")])
    model.compile(
        "adam", "bce", metrics=[of.roc_auc_score, f1], weighted_metrics=[of.roc_auc_score]
    )
    y = Y[:, 0]
    history = model.fit(X, y, 16, 2, verbose=0, validation_split=0.3, sample_weight=WEIGHTS).history
    assert list(history)[:4] == ["loss", "roc_auc_score", "f1", "weighted_roc_auc_score"]
    for rows in (N, 50):  # with another last batch
        x, y, w = X[:rows], Y[:rows, 0], WEIGHTS[:rows]
        found = model.evaluate(x, y, 16, verbose=0, sample_weight=w, return_dict=True)
        p = model.predict(x)
        assert found["roc_auc_score"] == of.roc_auc_score(y, p)
        assert found["weighted_roc_auc_score"] == of.roc_auc_score(y, p, sample_weight=w)
        assert found["f1"] == of.f1_score(y, p > 0.5)
    assert model.test_on_batch(x, y, w, return_dict=True) == pytest.approx(found)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (lambda y, p: [np.sum(y)] * 3, "must return one number"),
        (metrics.AUC(multi_label=True, num_labels=2), "it has 2 labels"),
        (metrics.Precision(class_id=3), "class_id=3 is no column"),
    ],
)
def test_what_a_metric_cannot_measure_is_said(metric, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fit(network([metric]))


def test_copies_count_for_themselves():
    for metric in (metrics.AUC(), Share(), metrics.MeanIoU(2), metrics.F1Score()):
        y, p = (Y[:, 0] > 0, Y[:, 1]) if isinstance(metric, metrics.IoU) else (Y, fastnn.tensor(Y))
        y = y if isinstance(metric, metrics.IoU) else fastnn.tensor(y)
        metric.update_state(y, p)
        for other in (copy.copy(metric), copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
            assert [v.numpy().tolist() for v in other.variables] == [
                v.numpy().tolist() for v in metric.variables
            ]
            other.update_state(y, p)
            assert any(
                (a.numpy() != b.numpy()).any()
                for a, b in zip(other.variables, metric.variables, strict=True)
            )
        assert not any(v.numpy().any() for v in metric.another().variables)


def test_a_loop_of_ones_own_counts_in_its_recorded_steps():
    model, auc, mean = network(), metrics.AUC(), metrics.Mean()

    @fastnn.record
    def step(x, y):
        p = model(x)
        auc.update_state(y, p)
        mean.update_state(ops.mean(abs(p - y), axis=1))
        return mean.result()

    for _ in range(2):
        for start in range(0, N, 30):
            so_far = step(X[start : start + 30], Y[start : start + 30])
        p = model.predict(X)
        expected = metrics.AUC()
        expected.update_state(Y, p)
        assert auc.result().item() == expected.result().item()
        np.testing.assert_allclose(so_far.item(), np.abs(p - Y).mean(), rtol=1e-6)
        auc.reset_state()
        mean.reset_state()


def test_stateless_forms_leave_the_metric_as_it_is():
    metric = metrics.MeanSquaredError()
    values = metric.stateless_update_state([1.0, 1.0], Y, 0 * Y)
    np.testing.assert_allclose([float(v) for v in values], [1 + Y.mean() * N, 1 + N], rtol=1e-6)
    assert float(metric.stateless_result([6.0, 3.0])) == 2.0
    assert [float(v) for v in metric.stateless_reset_state()] == [0.0, 0.0]
    assert float(metric.result()) == 0.0
    with pytest.raises(ValueError, match="2 variables; got 1"):
        metric.stateless_result([1.0])


@pytest.mark.parametrize("metric", [metrics.Sum(), metrics.Mean(), "sum", "mean"])
def test_what_is_of_values_is_no_metric_of_predictions(metric):
    with pytest.raises(TypeError, match="of values, not of y_true and y_pred"):
        fastnn.Sequential([layers.Dense(1)]).compile("sgd", "mse", metrics=[metric])


def test_weights_that_are_all_zero_make_means_of_zero():
    """As in Keras: Mean divides by no weight as by one."""
    model = network([], weighted_metrics=["mae"])
    found = model.fit(X, Y, 16, 1, sample_weight=np.zeros(len(X)), verbose=0).history
    assert found["loss"] == found["mae"] == [0.0]
