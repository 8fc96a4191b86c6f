"""Preprocessing as a part of a model: fitted by `fit` on training rows, applied ever after."""

import pickle

import numpy as np
import pytest

import fastnn
from fastnn.layers import Dense
from fastnn.preprocessing import Clean, Labels, MinMax, Pipeline, Standardize, Table

RNG = np.random.default_rng(1)
X = RNG.uniform(0, 100, (60, 3))
Y = np.where(X[:, 0] > 50, "high", "low")


def model_of(preprocessing, units=1, loss="mse", labels=None, activation=None):
    fastnn.utils.set_random_seed(3)
    model = fastnn.Sequential([Dense(units, activation=activation)])
    model.preprocessing, model.labels = preprocessing, labels
    model.compile("sgd", loss)
    return model


def test_training_rows_alone_are_learnt_from():
    model = model_of(MinMax())
    model.fit(X, X[:, 0] / 100, validation_split=0.25, verbose=0)
    by_hand = model_of(None)
    step = MinMax().fit(X[:45])
    by_hand.fit(
        step.transform(X[:45]), X[:45, 0] / 100, verbose=0,
        validation_data=(step.transform(X[45:]), X[45:, 0] / 100),
    )  # fmt: skip
    np.testing.assert_array_equal(model.predict(X), by_hand.predict(step.transform(X)))
    assert model.history.history == by_hand.history.history
    assert model.evaluate(X, X[:, 0] / 100, verbose=0) == by_hand.evaluate(
        step.transform(X), X[:, 0] / 100, verbose=0
    )
    model.fit(X * 2, X[:, 0] / 100, verbose=0)  # it stays as it was fitted
    np.testing.assert_array_equal(model.preprocessing.transform(X), step.transform(X))


def test_text_labels_train_and_come_back():
    loss, labels = "sparse_categorical_crossentropy", Labels()
    model = model_of(Standardize(), 2, loss, labels, "softmax")
    model.fit(X, Y.tolist(), epochs=40, batch_size=4, verbose=0, validation_data=(X[:5], Y[:5]))
    found = labels.inverse_transform(model.predict(X))
    assert np.mean(np.array(found) == Y) > 0.9
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(X[:3]), model.predict(X[:3]))
    assert model.evaluate(X, Y, verbose=0) == copy.evaluate(X, Y, verbose=0)


def test_rows_are_dropped_from_training_and_named_in_a_prediction(capsys):
    x, y = X.copy(), X[:, 0] / 100
    x[3, 1] = np.nan
    x[5], y[5] = x[4], y[4]
    model = model_of(Pipeline([Clean("drop", duplicates="drop"), MinMax()]))
    model.fit(x, y, sample_weight=np.ones(60))
    assert "2 of 60 rows are left out by cleaning" in capsys.readouterr().out
    with pytest.raises(ValueError, match="rows 3 have missing values, and only training drops"):
        model.predict(x)


def test_one_table_serves_two_inputs():
    class Two(fastnn.Model):
        def __init__(self):
            super().__init__()
            self.wide, self.deep = Dense(1), Dense(1)

        def call(self, inputs):
            return self.wide(inputs["wide"]) + self.deep(inputs["deep"])

    data = {"a": X[:, 0], "b": X[:, 1], "kind": Y}
    model = Two()
    model.preprocessing = {
        "wide": Table({"kind": "one_hot"}, rest="drop"),
        "deep": Table({"a": MinMax(), "b": MinMax()}, rest="drop"),
    }
    model.compile("sgd", "mse")
    history = model.fit(data, X[:, 2] / 100, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert model.predict(data).shape == (60, 1)


def test_what_is_no_step_is_refused():
    model = model_of(None)
    with pytest.raises(TypeError, match="preprocessing: expected a name, a configuration or a"):
        model.preprocessing = 3
    with pytest.raises(TypeError, match="labels: expected fastnn"):
        model.labels = MinMax()
