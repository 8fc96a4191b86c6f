"""Callbacks: when they are called and with what, what they may do meanwhile, and how training ends
by them."""

import gc
import math
import os
import signal
import threading
import types
from itertools import pairwise

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.callbacks import Callback, EarlyStopping
from fastnn.devices.cpu.program import Program

ROWS, COLUMNS, BATCH = 5, 3, 2
HOOKS = [name for name in vars(Callback) if name.startswith("on_")]
EPS = np.finfo("float32").eps


def data(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, COLUMNS)).astype("float32")
    return x, (x @ rng.normal(size=(COLUMNS, 1))).astype("float32")


def network(optimizer="sgd", **compiled):
    model = fastnn.Sequential(
        [fastnn.Input((COLUMNS,)), layers.Dense(4, activation="tanh"), layers.Dense(1)]
    )
    model.compile(optimizer, "mse", **compiled)
    return model


def at(hook, action):
    """A callback that does `action(callback, *arguments)` at one moment."""
    return type("At", (Callback,), {hook: action})()


def spying(*hooks):
    """(callback, list that gets (hook, number or None, logs) of every call of these hooks)."""
    seen = []

    def note(hook):
        def method(self, *arguments):
            *number, logs = arguments
            seen.append((hook, *(number or [None]), logs))

        return method

    return type("Spy", (Callback,), {hook: note(hook) for hook in hooks})(), seen


# ---- when


def batches(kind, count):
    return [(f"on_{kind}_batch_{end}", n) for n in range(count) for end in ("begin", "end")]


TEST = [("on_test_begin", None), *batches("test", 2), ("on_test_end", None)]


def epoch(number, validated):
    test = TEST if validated else []
    return [("on_epoch_begin", number), *batches("train", 3), *test, ("on_epoch_end", number)]


@pytest.mark.parametrize("eagerly", [False, True], ids=["tapes", "eagerly"])
@pytest.mark.parametrize("validated", [False, True], ids=["alone", "validated"])
def test_fit_calls_the_hooks_in_kerass_order(validated, eagerly):
    spy, seen = spying(*[h for h in HOOKS if h not in ("on_batch_begin", "on_batch_end")])
    x, y = data()
    model = network(metrics=["mse"], run_eagerly=eagerly)
    validation = (x[:3], y[:3]) if validated else None
    history = model.fit(x, y, BATCH, 2, 0, [spy], validation_data=validation).history
    expected = [
        ("on_train_begin", None),
        *epoch(0, validated),
        *epoch(1, validated),
        ("on_train_end", None),
    ]
    assert [call[:2] for call in seen] == expected
    measures = ["loss", "mse"]
    every = measures + (["val_loss", "val_mse"] if validated else [])
    for hook, number, logs in seen:
        named = {"on_epoch_end": every, "on_train_end": every}.get(
            hook, measures if hook.endswith("end") else []
        )
        assert list(logs) == named, hook
        if hook == "on_epoch_end":
            assert logs == {name: history[name][number] for name in every}
    assert seen[-1][2] == {name: values[-1] for name, values in history.items()}


def test_evaluate_calls_the_hooks_of_testing():
    spy, seen = spying(*HOOKS)
    x, y = data(3)
    result = network().evaluate(x, y, BATCH, 0, callbacks=[spy])
    assert [call[:2] for call in seen] == TEST
    assert seen[-1][2] == {"loss": result}


@pytest.mark.parametrize("batch_size", [BATCH, ROWS, ROWS + 1])
def test_predict_calls_the_hooks_of_prediction(batch_size):
    spy, seen = spying(*HOOKS)
    model, (x, _) = network(), data()
    predicted = model.predict(x, batch_size, callbacks=[spy])
    steps = math.ceil(ROWS / batch_size)
    assert [call[:2] for call in seen] == [
        ("on_predict_begin", None),
        *batches("predict", steps),
        ("on_predict_end", None),
    ]
    outputs = [logs["outputs"] for hook, _, logs in seen if hook == "on_predict_batch_end"]
    np.testing.assert_array_equal(np.concatenate(outputs), predicted)
    np.testing.assert_array_equal(predicted, model.predict(x))


def test_older_names_of_the_batch_hooks_are_called():
    spy, seen = spying("on_batch_begin", "on_batch_end")
    network().fit(*data(), BATCH, verbose=0, callbacks=spy)
    assert [call[:2] for call in seen] == [
        (f"on_batch_{end}", n) for n in range(3) for end in ("begin", "end")
    ]


def test_callbacks_know_model_and_params_and_are_called_in_turn():
    seen = []
    first, second = (
        at("on_epoch_end", lambda self, *_, n=n: seen.append((n, self.model, self.params)))
        for n in (1, 2)
    )
    model = network()
    model.fit(*data(), BATCH, 1, 0, [first, second])
    assert [(n, m is model) for n, m, _ in seen] == [(1, True), (2, True)]
    assert seen[0][2] == {"verbose": 0, "epochs": 1, "steps": 3}


# ---- what they cost


@pytest.fixture
def slices(monkeypatch):
    """The number of steps of every native run."""
    counted = []

    original = Program.run

    def run(self, epochs, steps=1 << 62, *arguments):
        counted.append(steps)
        return original(self, epochs, steps, *arguments)

    monkeypatch.setattr(Program, "run", run)
    return counted


def test_hooks_that_are_not_overridden_cost_no_slice(slices):
    spy, _ = spying("on_train_begin", "on_train_end", "on_predict_begin")
    network().fit(*data(), 1, 400, 0, [spy, Callback()])
    assert sum(slices) >= 400 * ROWS
    assert len(slices) < 400 // 4  # their length multiplies from slice to slice


def test_hooks_of_batches_stop_after_every_step_and_those_of_epochs_do_not(slices):
    spy, _ = spying("on_train_batch_end")
    network().fit(*data(), 1, 3, 0, spy)
    assert slices == [1] * (3 * (ROWS + 2))  # with shuffling and the end of the epoch
    slices.clear()
    spy, _ = spying("on_epoch_end")
    network().fit(*data(400), 1, 3, 0, spy)
    assert len(slices) < 400


@pytest.mark.parametrize("kind", ["train", "test"])
def test_logs_of_batches_are_the_means_so_far(kind):
    """Nothing is learned at a learning rate of 0, so that the mean so far is the loss over the rows
    so far."""
    spy, seen = spying(f"on_{kind}_batch_end")
    model, (x, y) = network(fastnn.optimizers.SGD(0.0)), data()
    model.fit(x, y, BATCH, 1, 0, spy, validation_data=(x, y), shuffle=False)
    losses = (model.predict(x).astype("f8") - y)[:, 0] ** 2
    for (_, _, logs), rows in zip(seen, (2, 4, 5), strict=True):
        assert abs(logs["loss"] - losses[:rows].mean()) <= 8 * EPS * losses[:rows].mean()


# ---- what they may do


def test_training_ends_with_the_batch_after_which_a_hook_says_so_and_the_epoch_is_closed():
    batches = []

    def stop(self, batch, logs):
        batches.append(batch)
        self.model.stop_training = batch == 1 or self.model.stop_training

    spy, seen = spying("on_epoch_end", "on_train_end")
    history = network().fit(*data(), BATCH, 5, 0, [at("on_train_batch_end", stop), spy])
    assert history.epoch == [0]
    assert batches == [0, 1]
    assert [call[:2] for call in seen] == [("on_epoch_end", 0), ("on_train_end", None)]


@pytest.mark.parametrize("learning_batch", [0, 1, 2])
def test_a_learning_rate_holds_from_the_next_step_on(learning_batch):
    weights = []

    class Schedule(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            weights.append(self.model.get_weights())
            self.model.optimizer.learning_rate = 0.1 if batch == learning_batch else 0.0

        def on_epoch_end(self, epoch, logs=None):
            weights.append(self.model.get_weights())

    network().fit(*data(), BATCH, 1, 0, Schedule())
    moved = [any((a != b).any() for a, b in zip(*pair, strict=True)) for pair in pairwise(weights)]
    assert moved == [batch == learning_batch for batch in range(3)]


def test_weights_that_a_hook_assigns_are_trained_on():
    x, y = data()
    model, other = network(), network()
    start = [w + 1 for w in model.get_weights()]
    assign = at(
        "on_epoch_end",
        lambda self, epoch, logs: self.model.set_weights(start) if epoch == 0 else None,
    )
    model.fit(x, y, BATCH, 2, 0, assign, shuffle=False)
    other.set_weights(start)
    other.fit(x, y, BATCH, 1, 0, shuffle=False)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("trainable", [False, True], ids=["frozen", "thawed"])
def test_a_layer_frozen_or_thawed_by_a_hook_is_so_from_the_next_epoch_on(trainable):
    kernels = []

    def toggle(self, epoch, logs):
        kernels.append(self.model.layers[0].kernel.numpy())
        if epoch == 1:
            self.model.layers[0].trainable = trainable

    model = network()
    model.layers[0].trainable = not trainable
    history = model.fit(*data(), BATCH, 4, 0, at("on_epoch_end", toggle))
    moved = [bool((a != b).any()) for a, b in pairwise(kernels)]
    assert moved == [not trainable, trainable, trainable]
    assert history.epoch == [0, 1, 2, 3]
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_a_hook_may_evaluate_and_predict():
    x, y = data()
    seen = []

    def look(self, *_):
        seen.append(
            (self.model.evaluate(x, y, verbose=0), ((self.model.predict(x) - y) ** 2).mean())
        )

    model, plain = network(), network()
    plain.set_weights(model.get_weights())
    history = model.fit(
        x, y, BATCH, 3, 0, at("on_epoch_end", look), validation_data=(x, y), shuffle=False
    )
    np.testing.assert_allclose(seen, np.transpose([history.history["val_loss"]] * 2), rtol=8 * EPS)
    assert (
        history.history
        == plain.fit(x, y, BATCH, 3, 0, validation_data=(x, y), shuffle=False).history
    )


# ---- ends


@pytest.mark.parametrize(
    "hook",
    ["on_epoch_begin", "on_train_batch_end", "on_test_end", "on_train_begin", "on_train_end"],
)
def test_an_exception_of_a_hook_comes_out_and_the_next_fit_works(hook):
    def fail(self, *_):
        raise LookupError("of the user's own")

    x, y = data()
    model = network()
    with pytest.raises(LookupError, match="user's own"):
        model.fit(x, y, BATCH, 2, 0, at(hook, fail), validation_data=(x, y))
    assert model.fit(x, y, BATCH, 2, 0, validation_data=(x, y)).epoch == [0, 1]


def interrupt(self, number, *_):
    if number == 1:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("hook", "finished"),
    [("on_epoch_end", [0, 1]), ("on_epoch_begin", [0]), ("on_train_batch_end", [])],
)
def test_ctrl_c_ends_fit_with_the_history_so_far(hook, finished, capsys):
    x, y = data()
    model = network()
    spy, seen = spying("on_train_end")
    history = model.fit(x, y, BATCH, 5, 0, [at(hook, interrupt), spy])
    assert history.epoch == finished
    assert model.history is history
    assert model.stop_training
    assert len(seen) == 1
    assert (
        capsys.readouterr().err.strip() == f"fit was interrupted after {len(finished)} of 5 epochs"
    )
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert model.fit(x, y, BATCH, 2, 0).epoch == [0, 1]
    assert not model.stop_training


MANY_EPOCHS = 10**6  # epochs that take a second or more, and end


def collected(phase, info):
    """What JAX and hypothesis have as well. In it, Python prints and forgets what Ctrl-C raises."""


@pytest.fixture
def _collector_with_a_callback():
    gc.callbacks.append(collected)
    yield
    gc.callbacks.remove(collected)


@pytest.mark.usefixtures("_collector_with_a_callback")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_reaches_a_native_run_that_calls_nothing():
    model, heard, done = network(), 0, 0
    for number in range(30):
        timer = threading.Timer(0.02 + 0.0001 * number, os.kill, (os.getpid(), signal.SIGINT))
        history = model.fit(
            *data(),
            BATCH,
            MANY_EPOCHS,
            0,
            [at("on_train_begin", lambda *_, timer=timer: timer.start())],
        )
        timer.join()
        heard += model.stop_training
        assert history.epoch == list(range(len(history.epoch)))
        # none, where the machine is so busy that the timer is through before
        assert len(history.history.get("loss", ())) == len(history.epoch)
        done += len(history.epoch)
    assert done > 0
    # One that comes just while the collector calls is lost in any program; a third of them was when
    # each epoch left a list.
    assert heard >= 27


def test_another_thread_may_end_training():
    model = network()
    timer = threading.Timer(0.3, setattr, (model, "stop_training", True))
    timer.start()
    history = model.fit(*data(), BATCH, 10 * MANY_EPOCHS, 0)
    timer.join()
    assert 10 * MANY_EPOCHS > len(history.history["loss"]) == len(history.epoch) > 0


# ---- early stopping

# arguments, values of the measure, stopped_epoch (0: not), best_epoch, epoch of the weights put
# back: from Keras 3
STOPS = [
    ({"monitor": "loss"}, [3, 2, 2, 1], 2, 1, None),
    ({"monitor": "loss"}, [1, 1], 1, 0, None),
    ({"monitor": "loss", "patience": 1}, [3, 2, 2, 2, 1], 2, 1, None),
    ({"monitor": "loss", "patience": 2, "min_delta": 0.5}, [3, 2.8, 2.6, 2.4, 1], 2, 0, None),
    ({"monitor": "loss", "patience": 2, "min_delta": -0.5}, [3, 2.8, 2.6, 2.55, 1], 2, 0, None),
    ({"monitor": "score", "mode": "max"}, [0.1, 0.2, 0.2, 0.3], 2, 1, None),
    ({"monitor": "accuracy"}, [0.1, 0.2, 0.2, 0.3], 2, 1, None),
    ({"monitor": "val_acc", "mode": "min"}, [0.1, 0.2, 0.3], 1, 0, None),
    ({"monitor": "loss", "mode": "max"}, [3, 2, 1], 1, 0, None),
    ({"monitor": "loss", "baseline": 1.0, "patience": 2}, [3, 2, 1.5, 1.2, 0.1], 0, 4, None),
    ({"monitor": "loss", "baseline": 2.5, "patience": 2}, [3, 2, 2.1, 2.2, 0.1], 3, 1, None),
    ({"monitor": "loss", "baseline": 1.0, "patience": 3}, [3, 2, 2, 2, 2], 2, 1, None),
    ({"monitor": "loss", "start_from_epoch": 3}, [1, 2, 3, 4, 5, 6], 4, 3, None),
    ({"monitor": "loss", "start_from_epoch": 3, "patience": 2}, [1, 2, 3, 4, 5, 6, 7], 5, 3, None),
    ({"monitor": "loss", "restore_best_weights": True, "patience": 1}, [3, 1, 2, 2], 2, 1, 1),
    ({"monitor": "loss", "restore_best_weights": True, "patience": 5}, [3, 1, 2, 2], 0, 1, 1),
    ({"monitor": "loss", "restore_best_weights": True, "baseline": 0.5}, [3, 2, 2], 2, 1, 1),
    ({"monitor": "loss", "restore_best_weights": True, "start_from_epoch": 2, "patience": 1},
     [1, 2, 3, 4, 5], 3, 2, 2),
    ({"monitor": "loss"}, [float("nan"), 1, 2], 1, 0, None),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "values", "stopped", "best", "restored"), STOPS)
def test_early_stopping_is_kerass(arguments, values, stopped, best, restored, capsys):
    put_back = []
    model = types.SimpleNamespace(
        stop_training=False, get_weights=lambda: number, set_weights=put_back.append
    )
    callback = EarlyStopping(**arguments, verbose=1)
    callback.set_model(model)
    callback.on_train_begin()
    for number, value in enumerate(values):
        callback.on_epoch_end(number, {callback.monitor: value})
        if model.stop_training:
            break
    callback.on_train_end()
    assert (callback.stopped_epoch, callback.best_epoch) == (stopped, best)
    assert model.stop_training == (stopped > 0)
    np.testing.assert_equal(callback.best, values[best])
    assert put_back == ([] if restored is None else [restored])
    printed = capsys.readouterr().out
    assert (f"Epoch {stopped + 1}: early stopping" in printed) == (stopped > 0)
    assert ("best epoch" in printed) == (restored is not None)


def test_early_stopping_puts_the_best_weights_back():
    x, y = data()
    weights = []

    class Spoil(Callback):
        def on_epoch_end(self, epoch, logs=None):
            weights.append(self.model.get_weights())
            self.model.optimizer.learning_rate = 0.1 if epoch < 2 else 5.0

    model = network(fastnn.optimizers.SGD(0.1))
    stopping = EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    history = model.fit(x, y, BATCH, 20, 0, [Spoil(), stopping], validation_data=(x, y)).history[
        "val_loss"
    ]
    best = int(np.argmin(history))
    assert len(history) == best + 3 == stopping.stopped_epoch + 1
    for got, expected in zip(model.get_weights(), weights[best], strict=True):
        np.testing.assert_array_equal(got, expected)
    assert model.evaluate(x, y, BATCH, verbose=0) == history[best] == stopping.best
    # it begins again
    assert len(model.fit(x, y, BATCH, 3, 0, stopping, validation_data=(x, y)).epoch) == 3


@pytest.mark.parametrize(
    ("monitor", "hint"),
    [
        ("val_loss", "Give fit validation data"),
        ("los", "did you mean 'loss'"),
        ("f1", "known are loss"),
    ],
)
def test_early_stopping_warns_once_of_a_measure_that_is_not_there(monitor, hint):
    model = network()
    with pytest.warns(UserWarning, match=f"EarlyStopping: there is no '{monitor}'") as caught:
        assert len(model.fit(*data(), BATCH, 4, 0, EarlyStopping(monitor)).epoch) == 4
    assert len(caught) == 1
    assert hint in str(caught[0].message)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"mode": "least"}, "mode must be 'auto'"), ({"patience": -1}, "patience must")],
)
def test_early_stopping_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**arguments)
