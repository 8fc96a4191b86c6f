"""Arguments of fit beside the data: epochs that are counted on, validation now and then, weights of
classes."""

import numpy as np
import pytest

import fastnn
from fastnn.callbacks import LambdaCallback
from fastnn.layers import Dense, Dropout

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")


def network(seed=1):
    fastnn.utils.set_random_seed(seed)
    model = fastnn.Sequential([fastnn.Input((3,)), Dense(8, "relu"), Dropout(0.3), Dense(2)])
    model.compile("adam", fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.parametrize("watched", [False, True], ids=["alone", "watched"])
def test_epochs_are_counted_on(watched):
    callbacks = [LambdaCallback(on_epoch_end=lambda e, logs: None)] if watched else []
    whole = network()
    expected = whole.fit(X, Y, epochs=5, verbose=0, callbacks=callbacks)
    parts = network()
    first = parts.fit(X, Y, epochs=2, verbose=0, callbacks=callbacks)
    then = parts.fit(X, Y, epochs=5, initial_epoch=2, verbose=0, callbacks=callbacks)
    assert (first.epoch, then.epoch) == ([0, 1], [2, 3, 4])
    assert first.history["loss"] + then.history["loss"] == expected.history["loss"]
    for a, b in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_epoch_is_left(capsys):
    model = network()
    before = model.get_weights()
    assert model.fit(X, Y, epochs=2, initial_epoch=2).epoch == []
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
    assert "Epoch" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("freq", "validated"), [(1, [0, 1, 2, 3, 4]), (2, [1, 3]), ([1, 4], [0, 3]), (9, [])]
)
def test_validation_now_and_then(freq, validated):
    tests = []
    note = LambdaCallback(on_epoch_end=lambda e, logs: "val_loss" in logs and tests.append(e))
    history = network().fit(
        X, Y, epochs=5, validation_data=(X[:7], Y[:7]), validation_freq=freq, verbose=0,
        callbacks=[note],
    )  # fmt: skip
    assert tests == validated
    assert len(history.history.get("val_loss", [])) == len(validated)
    # training is what it is without validation
    assert network().fit(X, Y, epochs=5, verbose=0).history["loss"] == history.history["loss"]
    quiet = network().fit(
        X, Y, epochs=5, validation_data=(X[:7], Y[:7]), validation_freq=freq, verbose=0
    )
    assert quiet.history == history.history


def test_batches_of_validation_have_a_size_of_their_own():
    sizes = []
    model = network()
    model.fit(
        X, Y, 8, validation_data=(X[:10], Y[:10]), validation_batch_size=4, verbose=0,
        callbacks=[LambdaCallback(on_test_batch_end=lambda batch, logs: sizes.append(batch))],
    )  # fmt: skip
    assert sizes == [0, 1, 2]
    assert model.evaluate(X[:10], Y[:10], verbose=0) == pytest.approx(
        model.history.history["val_loss"][0], rel=1e-6
    )


@pytest.mark.parametrize("y", [Y, Y[:, None], np.eye(2)[Y]], ids=["labels", "column", "one-hot"])
def test_weights_of_classes_are_weights_of_rows(y):
    def fitted(**weights):
        model = network()
        if y.ndim == 2 and y.shape[1] == 2:
            model.compile("adam", fastnn.losses.CategoricalCrossentropy(from_logits=True))
        return model.fit(X, y, epochs=2, verbose=0, **weights).history["loss"]

    of_rows = np.where(Y == 1, 3.0, 1.0)
    assert fitted(class_weight={1: 3.0}) == fitted(sample_weight=of_rows)
    both = fitted(class_weight={1: 3.0}, sample_weight=of_rows)
    assert both == fitted(sample_weight=of_rows**2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"initial_epoch": -1}, ValueError, "initial_epoch"),
        ({"validation_freq": 0}, ValueError, "validation_freq"),
        ({"validation_freq": [0]}, ValueError, "validation_freq"),
        ({"validation_batch_size": 0.5}, (ValueError, TypeError), "batch_size"),
        ({"class_weight": [1, 2]}, TypeError, "class_weight: expected a dictionary"),
        ({"class_weight": {0: np.nan}}, ValueError, "NaN"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        network().fit(X, Y, verbose=0, **arguments)
