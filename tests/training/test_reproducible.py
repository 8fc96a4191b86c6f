"""The same seed gives the same bits: eager and recorded, on any number of threads, at once or
resumed, in another process."""

import functools
import hashlib
import json
import math
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.devices.cpu import INTERPRETED
from fastnn.devices.cpu.autotune import Autotuner

EPOCHS = 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(203, 5)).astype("float32")
Y = (X[:, 0] > 0) + 2 * (X[:, 1] > 0)


def network(seed=0, **compiled):
    fastnn.utils.set_random_seed(seed)
    model = fastnn.Sequential(
        [
            fastnn.Input((5,)),
            layers.Dense(70, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(70),
            layers.LayerNormalization(),
            layers.Dropout(0.2),
            layers.Dense(4, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **compiled)
    return model


def trained(model, epochs=EPOCHS, **fit):
    fit = {"batch_size": 32, "validation_split": 0.2, "verbose": 0, **fit}
    return model.fit(X, Y, epochs=epochs, **fit).history


def digest(model):
    return hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()


@functools.cache
def network_trained():
    model = network()
    trained(model)
    return model


@pytest.fixture(scope="module")
def expected():
    model = network_trained()
    return model.history.history, digest(model)


class Nothing(fastnn.callbacks.Callback):
    pass


class Epochs(Nothing):
    def on_epoch_begin(self, epoch, logs=None): ...


class Batches(Nothing):
    def on_train_batch_end(self, batch, logs=None): ...


def test_eager_training_has_the_bits_of_the_tape(expected):
    model = network(run_eagerly=True)
    assert (trained(model), digest(model)) == expected


@pytest.mark.parametrize("callback", [Nothing, Epochs, Batches])
def test_slices_have_the_bits_of_one_run(callback, expected):
    model = network()
    assert (trained(model, callbacks=[callback()]), digest(model)) == expected


def always_all_threads(autotuner):
    """In the place of `Autotuner._slices`, which takes all of them only where that is faster."""
    while True:
        yield autotuner.all_threads, 4, 1.0


@pytest.mark.skipif(INTERPRETED, reason="interpreted kernels have one thread")
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_any_number_of_threads_gives_the_same_weights_and_history(threads, expected, monkeypatch):
    fastnn.set_threads(threads)
    monkeypatch.setattr(Autotuner, "_slices", always_all_threads)
    model = network()
    assert (trained(model), digest(model)) == expected
    assert (
        model.predict(X, batch_size=50).tobytes()
        == network_trained().predict(X, batch_size=50).tobytes()
    )


@functools.cache
def network_trained_on_all_rows_at_once():
    model = network()
    return trained(model, batch_size=len(X)), digest(model)


@pytest.mark.skipif(INTERPRETED, reason="interpreted kernels have one thread")
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_so_do_batches_whose_statistics_are_joined_from_several_chunks_of_rows(
    threads, monkeypatch
):
    fastnn.set_threads(1)
    expected = network_trained_on_all_rows_at_once()
    fastnn.set_threads(threads)
    monkeypatch.setattr(Autotuner, "_slices", always_all_threads)
    model = network()
    assert (trained(model, batch_size=len(X)), digest(model)) == expected


def test_fit_by_fit_has_the_bits_of_one_fit(expected):
    model = network()
    histories = [trained(model, epochs=1) for _ in range(EPOCHS)]
    assert digest(model) == expected[1]
    assert {key: [h[key][0] for h in histories] for key in histories[0]} == expected[0]


def test_another_process_has_the_same_bits(expected):
    program = (
        "import tests.training.test_reproducible as t; m = t.network(); t.trained(m); "
        "print(t.digest(m))"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == expected[1]


def test_other_seeds_and_unseeded_runs_differ(expected):
    other = network(seed=1)
    trained(other)
    assert digest(other) != expected[1]
    fastnn.random.default.reset()
    first = fastnn.random.default.seed
    fastnn.random.default.reset()
    assert fastnn.random.default.seed != first


def test_the_history_tells_the_seed_that_repeats_the_run():
    runs = []
    for seed in (None, "the history's"):
        if seed is None:
            fastnn.random.default.reset()
        else:
            fastnn.utils.set_random_seed(runs[0].seed)
        model = fastnn.Sequential([layers.Dense(4, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        runs.append(model.fit(X, Y, epochs=2, verbose=0))
    assert runs[0].history == runs[1].history


def test_shuffling_takes_every_row_once_and_in_a_new_order():
    class Weights(fastnn.losses.Loss):
        """Its gradient by a weight is the row's number: batches of one row, and steps of SGD that
        add 10^-row."""

        def call(self, y_true, y_pred):
            return y_pred - y_true

    fastnn.config.set_floatx("float64")
    orders = []

    class Order(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            now = float(self.model.get_weights()[0][0, 0])
            orders.append(round(before[0] - now))
            before[0] = now

    fastnn.utils.set_random_seed(3)
    model = fastnn.Sequential(
        [fastnn.Input((1,)), layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    )
    model.compile(fastnn.optimizers.SGD(1.0), Weights())
    before = [0.0]
    rows = np.arange(1, 20, dtype=float)
    model.fit(rows, rows, batch_size=1, epochs=2, verbose=0, callbacks=[Order()])
    first, second = orders[:19], orders[19:]
    assert sorted(first) == sorted(second) == list(range(1, 20))
    assert first != second
    orders.clear()
    model.fit(rows, rows, batch_size=1, epochs=1, verbose=0, callbacks=[Order()], shuffle=False)
    assert orders == list(range(1, 20))


@pytest.mark.parametrize("batch_size", [1, 7, 32, 203, 1000])
def test_prediction_does_not_depend_on_the_batch(batch_size):
    model = network()
    expected = np.concatenate([model.predict(X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_array_equal(model.predict(X, batch_size=batch_size), expected)
    np.testing.assert_array_equal(
        network(run_eagerly=True).predict(X, batch_size=batch_size), expected
    )


def test_evaluation_has_the_bits_of_validation():
    model = network()
    history = model.fit(X, Y, epochs=1, validation_data=(X, Y), verbose=0).history
    assert model.evaluate(X, Y, verbose=0) == [history["val_loss"][0], history["val_accuracy"][0]]


def test_two_threads_train_two_models():
    models, errors = [network(), network()], []

    def work(model):
        try:
            trained(model, epochs=200, shuffle=False)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(m,)) for m in models]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    assert digest(models[0]) == digest(models[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_trains_to_the_same_bits_and_leaves_its_parent_alone():
    model = network()
    trained(model, epochs=2)
    before = digest(model)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            trained(model, epochs=2)
            os.write(write, digest(model).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    child = os.read(read, 64).decode()
    assert digest(model) == before
    trained(model, epochs=2)
    assert digest(model) == child


def test_interpreted_training_agrees_within_rounding(expected):
    program = (
        "import tests.training.test_reproducible as t, json; m = t.network(); h = t.trained(m, "
        "epochs=1);"
        "print(json.dumps([w.tolist() for w in m.get_weights()]))"
    )
    environment = {**os.environ, "FASTNN_INTERPRET": "1"}
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    model = network()
    trained(model, epochs=1)
    steps = math.ceil(int(len(X) * 0.8) / 32)
    for got, own in zip(json.loads(out.stdout), model.get_weights(), strict=True):
        assert np.abs(np.array(got) - own).max() <= 64 * np.finfo("float32").eps * steps * (
            1 + np.abs(own).max()
        )
