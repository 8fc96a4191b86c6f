"""Children that are forked while other threads train, record, build, draw or compile do all their
parent can."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastnn
from fastnn import layers, locks, ops
from fastnn.callbacks import Callback
from fastnn.compile import object_code
from tests.devices.test_locks import (
    WATCHDOG,
    Apart,
    Stepping,
    Training,
    Twins,
    WatchesBatches,
    X,
    Y,
    network,
    side_by_side,
    twins,
)

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def apart(function, *arguments, **environment):
    """Call a function of this file in a process of its own, where a hang is an error."""
    code = f"import tests.devices.test_forks as t; t.{function.__name__}(*{arguments!r})"
    command = [sys.executable, "-W", "ignore:.*fork:DeprecationWarning", "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=WATCHDOG, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr


def child(call, *arguments):
    """Call it in a forked child, which must end within a time."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            call(*arguments)
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    end = time.monotonic() + WATCHDOG / 3
    while (found := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError("the child hangs")
        time.sleep(1e-3)
    assert found[1] == 0, "the child failed"


def uses_everything(model):
    """What a child does: with the model that its parent trains, and with what is new."""
    before, y = model.get_weights(), Y[:, : model.predict(X[:1]).shape[1]]
    if isinstance(model, Twins):
        np.testing.assert_array_equal(*before)
        assert not model.predict(X).any()
        assert not fastnn.record(lambda x: model(x))(X[:8]).numpy().any()
        assert not model(X[:4]).numpy().any()
    model.predict(X[: np.random.randint(2, 30)]), model.evaluate(X, y, verbose=0)
    model.fit(X, y, epochs=2, batch_size=64, verbose=0)
    assert any((a != b).any() for a, b in zip(model.get_weights(), before, strict=True))
    fresh = network()
    fresh.fit(X, Y, epochs=2, verbose=0), fresh.predict(X)
    fastnn.random.normal((3,)), fastnn.set_threads(2), fresh.fit(X, Y, epochs=2, verbose=0)


def _forked_while_another_thread_trains(watched):
    model = twins()
    network().fit(X, Y, verbose=0)  # compile
    with Training(model, [WatchesBatches()] if watched else [], columns=1):
        for _ in range(10):
            child(uses_everything, model)
            assert not model.predict(X[:1]).any()


@forks
@pytest.mark.parametrize("watched", [False, True])
def test_a_child_forked_while_another_thread_trains_does_all(watched):
    apart(_forked_while_another_thread_trains, watched)


def _forked_while_others_do_all_sorts():
    model, shared = network(), network()
    uses_everything(model)
    rows, draws = itertools.count(1), fastnn.random.Generator(3)
    step = fastnn.record(lambda x: x * 2.0 + draws.uniform(x.shape))

    def train(x):
        ops.mean(shared(x, training=True)).backward()
        shared.optimizer.step()

    shared.optimizer.build(shared.trainable_variables)
    busy = [
        lambda x: fastnn.record(lambda x: shared(x) + model(x))(x),
        lambda x: fastnn.Sequential([layers.Dense(3), layers.Dense(4)])(x),
        lambda x: shared.predict(X[: 1 + next(rows) % 200], batch_size=17),
        step,
        fastnn.record(train),
        lambda x: fastnn.record(train)(x[: 1 + next(rows) % 60]),
    ]
    everyone = [Stepping(b) for b in busy]
    threads = [e.__enter__() for e in everyone]
    for _ in range(15):
        child(lambda: (uses_everything(shared), step(X[:64]), [b(X[:64]) for b in busy]))
    assert all(t.is_alive() for t in threads)
    for e in everyone:
        e.__exit__()


@forks
def test_a_child_forked_while_others_record_build_draw_and_predict_does_all():
    apart(_forked_while_others_do_all_sorts)


def _forked_while_another_thread_compiles():
    x, begun = fastnn.tensor(X), threading.Event()
    for op, other, wait in ((ops.tanh, ops.exp, 0.0), (ops.sigmoid, ops.log, 0.2)):
        object_code.listeners[:] = [lambda name: begun.set()]
        thread = Apart(op, x)
        assert begun.wait(WATCHDOG)
        begun.clear()
        time.sleep(wait)
        child(
            lambda: np.testing.assert_allclose(
                other(x * x + 1.0).numpy(), other.reference(X * X + 1.0), rtol=1e-5
            )
        )
        thread.value()


@forks
def test_a_child_forked_while_another_thread_compiles_compiles_too(tmp_path):
    apart(_forked_while_another_thread_compiles, FASTNN_CACHE_DIR=str(tmp_path))


def _forked_by_a_callback():
    model = twins()

    class Forks(Callback):
        def on_epoch_end(self, epoch, logs=None):
            child(uses_everything, model)

    model.fit(X, Y[:, :1], epochs=2, verbose=0, callbacks=[Forks()])
    with Training(network()):  # others that train are waited for
        model.fit(X, Y[:, :1], epochs=2, verbose=0, callbacks=[Forks()])


@forks
def test_a_callback_may_fork():
    apart(_forked_by_a_callback)


_parents = []


def _of_the_parents(x):
    return _parents[0].predict(x)


def _predicted_by_pools():
    import multiprocessing

    _parents.append(twins())
    with Training(_parents[0], columns=1):
        for _ in range(3):
            with multiprocessing.get_context("fork").Pool(2) as pool:
                found = pool.map_async(_of_the_parents, [X[:1], X[:7], X]).get(WATCHDOG)
                assert [len(y) for y in found] == [1, 7, len(X)]
                assert not any(y.any() for y in found)


@forks
def test_pools_of_forked_processes_predict():
    apart(_predicted_by_pools)


def _forks_by_several_threads():
    model = twins()
    with Training(model, columns=1):
        side_by_side([lambda: [child(uses_everything, model) for _ in range(3)]] * 3)


@forks
def test_several_threads_fork():
    apart(_forks_by_several_threads)


@forks
def test_a_fork_does_not_wait_for_ever_for_who_waits_for_it(monkeypatch):
    monkeypatch.setattr(locks, "MAX_FORK_WAIT_SECONDS", 0.2)
    model, begun, over = network(), threading.Event(), threading.Event()
    thread = Apart(model.weights[0].chunk.turn.run, lambda: (begun.set(), over.wait(WATCHDOG)))
    begun.wait(WATCHDOG)
    try:
        child(model.predict, X[:1])
    finally:
        over.set()
    thread.value()
