"""Several threads at one model, and children forked meanwhile: nobody hangs, nobody sees half an
update."""

import gc
import itertools
import os
import signal
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import files, layers, locks, ops
from fastnn.callbacks import Callback
from fastnn.devices.cpu import INTERPRETED
from fastnn.locks import Turn, combined

pytestmark = pytest.mark.skipif(
    INTERPRETED, reason="the locks are the same, and interpreted steps take too long"
)
WATCHDOG = 120  # seconds: what takes them would be hanging
X = np.random.default_rng(0).normal(size=(256, 20)).astype("f4")
Y = X[:, :3] * X[:, 3:6]
FOREVER = 1 << 40


class Apart(threading.Thread):
    """A call in a thread of its own, which begins at once; `value()` waits for what it returns, or
    raises what it raised."""

    def __init__(self, call, *arguments, **named):
        super().__init__(daemon=True)
        self.call, self.arguments, self.named, self.error = call, arguments, named, None
        self.start()

    def run(self):
        try:
            self.found = self.call(*self.arguments, **self.named)
        except BaseException as error:
            self.error = error

    def value(self):
        self.join(WATCHDOG)
        assert not self.is_alive(), "it hangs"
        if self.error:
            raise self.error
        return self.found


def side_by_side(calls):
    """What these calls return, each made in a thread of its own, all begun at the same time and
    switched between often."""
    start, before = threading.Barrier(len(calls)), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        return [
            t.value()
            for t in [Apart(lambda call=call: (start.wait(), call())[1]) for call in calls]
        ]
    finally:
        sys.setswitchinterval(before)


class Twins(fastnn.Model):
    """Two weights that each step changes alike, one after the other. It predicts how far they are
    apart: 0 between steps."""

    def build(self, input_shape):
        for name in "ab":
            setattr(self, name, self.add_weight((1 << 18,), "zeros", name=name))

    def call(self, x, training=False):
        row = ops.reshape(ops.mean(x, axis=1), (-1, 1))
        return (
            row * (ops.mean(self.a) + ops.mean(self.b)) + 1.0
            if training
            else row * 0.0 + ops.mean(ops.squared_difference(self.a, self.b))
        )


def twins():
    model = Twins()
    model.compile(fastnn.optimizers.SGD(1e-3, momentum=0.9), "mse")
    model.fit(X, Y[:, :1], epochs=1, batch_size=64, verbose=0)
    assert model.get_weights()[0].all()
    return model


def network(width=32):
    fastnn.utils.set_random_seed(1)
    model = fastnn.Sequential(
        [fastnn.Input((20,)), layers.Dense(width, activation="tanh"), layers.Dense(3)]
    )
    model.compile("adam", "mse")
    return model


class WatchesBatches(Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


class Training:
    """While it is entered, a thread trains the model without end."""

    def __init__(self, model, callbacks=(), columns=3):
        self.model, self.callbacks, self.y = model, callbacks, Y[:, :columns]

    def __enter__(self):
        steps, end = self.model.optimizer.iterations, time.monotonic() + WATCHDOG
        self.thread = Apart(
            self.model.fit,
            X,
            self.y,
            epochs=FOREVER,
            batch_size=64,
            verbose=0,
            callbacks=self.callbacks,
        )
        while (
            self.model.optimizer.iterations == steps
            and self.thread.is_alive()
            and time.monotonic() < end
        ):
            time.sleep(1e-3)
        return self.thread

    def __exit__(self, kind, *_):
        still = self.thread.is_alive()
        self.model.stop_training = True
        self.thread.value()
        assert kind or still, "nothing was trained meanwhile"


class Stepping:
    """The same with steps of one's own."""

    def __init__(self, step):
        self.step, self.stop = step, threading.Event()

    def __enter__(self):
        self.thread = Apart(self._run)
        return self.thread

    def _run(self):
        while not self.stop.is_set():
            self.step(X[:64])

    def __exit__(self, *_):
        self.stop.set()
        self.thread.value()


@pytest.mark.parametrize(
    "how", ["fit", "fit watched by the batch", "recorded steps", "eager steps"]
)
def test_who_looks_on_sees_weights_between_steps_and_waits_for_no_more_than_a_slice(how, tmp_path):
    model, file, rows = twins(), tmp_path / "twins.safetensors", itertools.count(1)
    recorded = fastnn.record(lambda x: model(x))
    shared = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(20), model])

    def saved():
        model.save_weights(file)
        return np.subtract(*files.read(file).arrays.values())

    def step(x):
        ops.mean(model(x, training=True)).backward()
        model.optimizer.step()

    looks = {
        "predict": lambda: model.predict(X[:1]),
        "predict many batches": lambda: model.predict(X, batch_size=16),
        "predict a new number of rows": lambda: model.predict(X[: next(rows)], batch_size=256),
        "predict with a callback": lambda: model.predict(X, callbacks=[Callback()]),
        "evaluate": lambda: model.evaluate(X, X[:, :1] * 0, verbose=0),
        "get_weights": lambda: np.subtract(*model.get_weights()),
        "save_weights": saved,
        "a recorded call": lambda: recorded(X[:8]).numpy(),
        "another model": lambda: shared.predict(X[:4]),
    }

    def look():
        for _ in range(5):
            for name, call in looks.items():
                assert not np.any(call()), name

    look()
    if how.startswith("fit"):
        training = Training(model, [WatchesBatches()] if "batch" in how else [], columns=1)
    else:
        training = Stepping(fastnn.record(step) if how == "recorded steps" else step)
    with training as thread:
        Apart(look).value()
        assert thread.is_alive()


def test_training_has_its_turn_beside_threads_that_predict_without_end():
    model, over = network(), threading.Event()

    def predict():
        while not over.is_set():
            model.predict(X[:1]), model.predict(X[:2])

    threads = [Apart(predict) for _ in range(4)]
    try:
        Apart(model.fit, X, Y, epochs=3000, verbose=0).value()
    finally:
        over.set()
    for thread in threads:
        thread.value()


def test_a_prediction_of_many_batches_holds_up_nobody():
    model = fastnn.Sequential([fastnn.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.predict(X[:1, :1])
    many = Apart(model.predict, np.zeros((10_000_000, 1), "f4"), batch_size=1)
    for _ in range(3):
        Apart(model.predict, X[:1, :1]).value()
    assert many.is_alive(), "it was waited for"
    many.value()


def test_a_slice_lets_go_first_who_waits(monkeypatch):
    monkeypatch.setattr(locks, "MAX_WAIT_SECONDS", WATCHDOG)
    turn, order, over, late = Turn(), [], threading.Event(), 0

    def slices():
        while not over.is_set():
            turn.run(lambda: (order.append("slice"), time.sleep(0.01)))

    long = Apart(slices)
    for _ in range(20):
        waiter = Apart(turn.run, order.append, "short")
        while len(turn.waiting) < 2 and waiter.is_alive():
            time.sleep(1e-4)
        begun = len(order)
        waiter.value()
        late += "slice" in order[begun : order.index("short", max(0, begun - 1))]
        time.sleep(0.01)
    over.set()
    long.value()
    assert late < 5, "one may begin in the moment in which another comes"


def test_two_threads_train_one_model_one_after_the_other():
    expected, model = network(), network()
    for m, run in ((expected, lambda calls: [c() for c in calls]), (model, side_by_side)):
        run([lambda m=m: m.fit(X, Y, epochs=3, shuffle=False, verbose=0)] * 2)
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_models_that_share_weights_train_and_predict_side_by_side():
    shared = twins()
    first = layers.Dense(20)
    both = [
        fastnn.Sequential([fastnn.Input((20,)), first, shared]),
        fastnn.Sequential([fastnn.Input((20,)), layers.Dense(20), shared]),
    ]
    for model in both:
        model.compile("sgd", "mse")
    with Training(both[0], columns=1), Training(both[1], columns=1):
        for _ in range(5):
            for model in (shared, *both):
                assert not Apart(model.predict, X[:4]).value().any()


def test_many_threads_predict_with_one_model_and_with_several():
    models = [network(width) for width in (16, 48)]
    inputs = [
        np.random.default_rng(n).normal(size=(rows, 20)).astype("f4")
        for n, rows in enumerate((1, 1, 5, 33, 33, 200))
    ]
    expected = {(m, n): models[m](x).numpy() for m in range(2) for n, x in enumerate(inputs)}

    def work(start):
        for turn in range(20):
            for m, n in itertools.islice(itertools.cycle(expected), start, start + len(expected)):
                np.testing.assert_array_equal(
                    models[m].predict(inputs[n], callbacks=[Callback()] if turn % 5 == 4 else None),
                    expected[m, n],
                )

    side_by_side([lambda n=n: work(n) for n in range(6)])


@pytest.mark.parametrize(
    "call", [lambda m: m.predict(X), lambda m: m(X[:2]), lambda m: m.build_for((None, 20))]
)
def test_a_model_is_built_once_by_whoever_comes_first(call):
    for _ in range(10):
        model = fastnn.Sequential([layers.Dense(4), layers.BatchNormalization(), layers.Dense(2)])
        side_by_side([lambda model=model: call(model)] * 4)
        assert [w.shape for w in model.weights] == [
            (20, 4),
            (4,),
            (4,),
            (4,),
            (4,),
            (4,),
            (4, 2),
            (2,),
        ]


def test_recording_goes_on_beside_recording():
    """Training steps of one model and predictions of it, of ever new shapes, recorded by several
    threads at once."""
    expected, model = network(), network()

    def train(model):
        return [
            model.fit(
                X[:rows], Y[:rows], epochs=1, batch_size=rows // 2, shuffle=False, verbose=0
            ).history["loss"]
            for rows in range(30, 40)
        ]

    def look():
        for rows in range(1, 40):
            assert np.isfinite(model.predict(X[:rows])).all()
            model.evaluate(X[:rows], Y[:rows], verbose=0)

    assert side_by_side([lambda: train(model), look, look])[0] == train(expected)


def test_callbacks_may_predict_evaluate_and_train():
    """In the same thread or in one that they wait for, also what has the shapes of what is going
    on."""
    model, other = network(), network()
    plain = model.predict(X, batch_size=16)

    class Busy(Callback):
        def on_epoch_end(self, epoch, logs=None):
            for call in (lambda f: f(), lambda f: Apart(f).value()):
                call(
                    lambda: (
                        model.predict(X[:1]),
                        model.evaluate(X, Y, verbose=0),
                        model.get_weights(),
                        other.fit(X, Y, verbose=0),
                    )
                )
            if epoch == 1:
                model.fit(X, Y, epochs=2, verbose=0)

        def on_predict_batch_end(self, batch, logs=None):
            np.testing.assert_array_equal(model.predict(X, batch_size=16), plain)
            np.testing.assert_array_equal(model.predict(X[:1]), plain[:1])

        def on_test_batch_end(self, batch, logs=None):
            model.evaluate(X, Y, verbose=0)

    np.testing.assert_array_equal(model.predict(X, batch_size=16, callbacks=[Busy()]), plain)
    np.testing.assert_array_equal(model.predict(X[:1], callbacks=[Busy()]), plain[:1])
    assert model.evaluate(X, Y, verbose=0, callbacks=[Busy()]) == model.evaluate(X, Y, verbose=0)
    assert len(model.fit(X, Y, epochs=3, verbose=0, callbacks=[Busy()]).epoch) == 3


@pytest.mark.parametrize("what", ["a callback", "the data", "the loss"])
def test_a_thread_that_dies_lets_go(what):
    model = network()

    class Dies(Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise ZeroDivisionError

    x, y = (
        (X, Y) if what == "a callback" else (X[:5, :3], Y) if what == "the data" else (X, Y * 1e30)
    )
    thread = Apart(
        model.fit, x, y, epochs=3, verbose=0, callbacks=[Dies()] if what == "a callback" else None
    )
    with pytest.raises((ZeroDivisionError, ValueError, FloatingPointError)):
        thread.value()
    (
        Apart(model.predict, X[:1]).value(),
        Apart(model.fit, X, Y, verbose=0).value(),
        Apart(model.evaluate, X, Y, verbose=0).value(),
    )


@pytest.mark.parametrize(
    "call", [lambda m: m.predict(X[:1]), lambda m: m.predict(X), lambda m: m.get_weights()]
)
def test_ctrl_c_is_heard_by_who_waits_for_a_turn(call):
    model, begun, over = network(), threading.Event(), threading.Event()
    call(model)
    turn = model.weights[0].chunk.turn
    thread = Apart(turn.run, lambda: (begun.set(), over.wait(WATCHDOG)))
    begun.wait(WATCHDOG)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        call(model)
    over.set()
    thread.value()
    assert not turn.waiting
    Apart(call, model).value()


def test_locks_keep_nothing_alive():
    def made():
        model = network()
        model.fit(X, Y, verbose=0), model.predict(X), model.evaluate(X, Y, verbose=0)
        fastnn.record(lambda x: x + 1.0)(X)
        return weakref.ref(model)

    made(), gc.collect()
    before = len(locks._locks), len(locks._turns)
    model = made()
    gc.collect()
    assert model() is None
    assert (len(locks._locks), len(locks._turns)) == before


def test_several_turns_are_taken_in_one_order():
    a, b = Turn(), Turn()
    calls = [
        lambda turns=turns: [combined(turns).run(time.sleep, 1e-5) for _ in range(200)]
        for turns in ([a, b], [b, a, b], [a], [b])
    ]
    side_by_side(calls)
    assert not a.waiting | b.waiting
