"""How many threads there may be, and that they neither hang nor lag where the machine has other
things to do."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.devices import quota
from fastnn.devices.cpu import INTERPRETED, threads
from fastnn.devices.cpu import autotune as autotune
from fastnn.devices.cpu.autotune import Autotuner
from fastnn.devices.cpu.program import Program, threads_to_plan_for
from fastnn.locks import Turn

PROCESSORS = quota.allowed().number
WATCHDOG = 60  # seconds: what takes one would be hanging


def test_threads_are_what_set_threads_says_then_the_variable_then_the_system(monkeypatch):
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    assert fastnn.get_threads() == PROCESSORS
    monkeypatch.setenv(threads.VARIABLE, "5")
    assert fastnn.get_threads() == 5
    assert threads.allowed().reason == threads.VARIABLE
    fastnn.set_threads(3)
    assert fastnn.get_threads() == 3
    fastnn.set_threads(None)
    assert fastnn.get_threads() == 5


@pytest.mark.parametrize("count", [0, -1, 65, 2.0, "2", True])
def test_a_bad_number_of_threads_is_refused(count):
    with pytest.raises(
        ValueError, match=r"set_threads: expected a whole number from 1 to 64; got "
    ):
        fastnn.set_threads(count)


@pytest.mark.parametrize("text", ["0", "two", "1.5", "-2", "1000"])
def test_a_bad_variable_is_refused_by_name(text, monkeypatch):
    monkeypatch.setenv(threads.VARIABLE, text)
    with pytest.raises(
        ValueError, match=r"FASTNN_NUM_THREADS: expected a whole number from 1 to 64; got "
    ):
        fastnn.get_threads()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_affinity_counts():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert fastnn.get_threads() == 1
        assert threads_to_plan_for() == 1
    finally:
        os.sched_setaffinity(0, before)


RNG = np.random.default_rng(0)
X = RNG.normal(size=(256, 20)).astype("f4")
Y = RNG.integers(0, 3, len(X))


def network():
    fastnn.utils.set_random_seed(1)
    hidden = [layers.Dense(96, activation="tanh"), layers.BatchNormalization()]
    model = fastnn.Sequential([fastnn.Input((20,)), *hidden, layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def fit(model, epochs=3, **options):
    return model.fit(X, Y, epochs=epochs, verbose=0, **options).history["loss"]


def program_of(model):
    return next(found[0] for key, found in model._programs.items() if key[0] == "fit").program


needs_threads = pytest.mark.skipif(INTERPRETED, reason="interpreted kernels have one thread")


@needs_threads
def test_fewer_and_more_threads_later_train_on():
    expected = network()
    fit(expected, epochs=9)
    fastnn.set_threads(4)
    model = network()
    fit(model)
    assert program_of(model).n_threads == 4
    fastnn.set_threads(1)
    fit(model)
    assert program_of(model).n_threads == 1
    fastnn.set_threads(3)
    fit(model)
    assert program_of(model).n_threads == 3
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@needs_threads
def test_a_tape_for_more_threads_than_it_is_given_takes_one(monkeypatch):
    fastnn.set_threads(3)
    model = network()
    fit(model)
    taken = []
    monkeypatch.setattr(
        threads, "run", lambda replay, n_threads, abort: taken.append(n_threads) or replay(0, 1)
    )
    program = program_of(model)
    for n_threads in (1, 2, 3, 8):
        program.position = (0, 0, 0)
        program.run(1, 1, n_threads)
    assert taken == [3, 3], "barriers are placed for three threads, or for none"


def test_one_thread_has_no_barriers():
    fastnn.set_threads(1)
    model = network()
    fit(model)
    assert program_of(model).barriers == 1.0, (
        "but for the end of the step, where one thread does not wait"
    )
    assert program_of(model).n_threads == 1


class Busy:
    """Processes that compute without end, as many as there are processors."""

    def __enter__(self):
        self.processes = [
            subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(PROCESSORS)
        ]

    def __exit__(self, *error):
        for process in self.processes:
            process.kill()
            process.wait()


@needs_threads
def test_twice_as_many_threads_as_processors_beside_busy_processes_come_to_an_end(monkeypatch):
    """All threads, whatever it costs; and a native run still comes back to Python soon."""
    expected = network()
    fit(expected)
    fastnn.set_threads(2 * PROCESSORS)
    monkeypatch.setattr(Autotuner, "_slices", always_all_threads)
    longest = []
    run = Program.run
    monkeypatch.setattr(Program, "run", lambda *a: longest.append(time.perf_counter()) or run(*a))
    with Busy():
        model = network()
        start = time.perf_counter()
        fit(model)
        assert time.perf_counter() - start < WATCHDOG
    assert max(np.diff(longest), default=0) < WATCHDOG / 10
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def always_all_threads(autotuner):
    while True:
        yield autotuner.all_threads, 1 << 40, 0.1


@needs_threads
def test_threads_sleep_when_there_is_nothing_to_do(monkeypatch):
    fastnn.set_threads(3)
    monkeypatch.setattr(Autotuner, "_slices", always_all_threads)
    fit(network())
    time.sleep(0.002)
    before = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - before < 0.05


@needs_threads
def test_a_slice_may_end_with_any_step(monkeypatch):
    """Where threads have waited for each other too long, one of them ends the step, and be it the
    last of an epoch or of all."""
    fastnn.set_threads(1)
    expected = fit(network(), epochs=30)
    fastnn.set_threads(3)

    def late(autotuner):
        while True:
            yield autotuner.all_threads, 1 << 40, 0.0

    monkeypatch.setattr(Autotuner, "_slices", late)
    for _ in range(20):
        assert fit(network(), epochs=30) == expected


class FakeProgram:
    """Steps that take what a test says, by threads."""

    n_threads = 2

    def __init__(self, seconds, barriers=1.0):
        self.seconds, self.clock, self.used, self.position = seconds, 0.0, [], 0
        self.barriers, self.turn = barriers, Turn()

    def run(self, epochs, steps, n_threads, limit):
        self.done, seconds = steps, steps * self.seconds[n_threads]
        if n_threads > 1 and seconds > limit:  # one thread ends the step that is on
            self.done, seconds = int(limit / self.seconds[n_threads]) + 1, limit + self.seconds[1]
        self.used.append((n_threads, seconds))
        self.position += self.done
        self.clock += seconds

    def work(self):
        return self.position

    def seconds_each(self, before):
        return self.used[-1][1] / self.done


@pytest.fixture
def autotuned(monkeypatch):
    """Runs a program for so many seconds of its own clock; the share of them that each number of
    threads had."""

    def run(seconds, length, barriers=1.0):
        program = FakeProgram(seconds, barriers)
        monkeypatch.setattr(autotune.time, "perf_counter", lambda: program.clock)
        autotuner = Autotuner(program)
        while program.clock < length:
            autotuner.run(1, 1 << 40)
        return {
            n: sum(s for n_threads, s in program.used if n_threads == n) / program.clock
            for n in (1, 2)
        }, autotuner

    return run


@pytest.mark.parametrize("one", [2e-6, 2e-5, 2e-4, 2e-3, 2e-2])
def test_the_faster_number_of_threads_gets_nearly_all_the_time(one, autotuned):
    for ratio, winner in ((0.55, 2), (0.9, 2), (1.2, 1), (5.0, 1), (50.0, 1)):
        shares, _ = autotuned({1: one, 2: ratio * one}, max(1.0, 50 * one))
        assert shares[winner] > 0.9, f"all take {ratio} of one's time"


def test_steps_with_many_barriers_are_not_probed_on_all_threads(autotuned):
    shares, _ = autotuned({1: 2e-6, 2: 1e-6}, 0.1, barriers=20.0)
    assert shares[2] == 0


def test_slices_last_a_tenth_of_a_second(autotuned):
    _, autotuner = autotuned({1: 1e-5, 2: 2e-5}, 3.0)
    assert 0.05 < autotuner.steps * 1e-5 < 0.2


@pytest.mark.parametrize("all_threads", [0.3, 0.6])
def test_a_slice_of_long_steps_is_one_step(all_threads, monkeypatch):
    """Or Ctrl-C would have to wait for several."""
    program = FakeProgram({1: 0.5, 2: all_threads})
    monkeypatch.setattr(autotune.time, "perf_counter", lambda: program.clock)
    autotuner = Autotuner(program)
    while program.clock < 20.0:
        autotuner.run(1, 1 << 40)
    assert max(seconds for _, seconds in program.used) <= max(0.5, all_threads)


def test_what_becomes_slow_on_all_threads_is_given_up_at_once(monkeypatch):
    program = FakeProgram({1: 1e-4, 2: 6e-5}, barriers=10.0)
    monkeypatch.setattr(autotune.time, "perf_counter", lambda: program.clock)
    autotuner = Autotuner(program)
    while program.clock < 1.0:
        autotuner.run(1, 1 << 40)
    assert autotuner.n_threads == 2
    program.seconds[2] = 5e-3
    autotuner.run(1, 1 << 40)
    assert autotuner.n_threads == 1
    program.seconds[2] = 6e-5
    while program.clock < 8.0:
        autotuner.run(1, 1 << 40)
    assert autotuner.n_threads == 2, "and is probed again"


@needs_threads
def test_ctrl_c_ends_training_on_several_threads_beside_busy_processes():
    fastnn.set_threads(2 * PROCESSORS)
    model = network()
    fit(model)
    with Busy():
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        start = time.perf_counter()
        fit(model, epochs=300_000)
        assert time.perf_counter() - start < WATCHDOG
    assert model.stop_training


@needs_threads
def test_recorded_steps_and_long_predictions_take_several_threads_where_that_is_faster(monkeypatch):
    fastnn.set_threads(2)
    taken = set()
    monkeypatch.setattr(Autotuner, "_slices", always_all_threads)
    run = threads.run
    monkeypatch.setattr(
        threads,
        "run",
        lambda replay, n_threads, abort: taken.add(n_threads) or run(replay, n_threads, abort),
    )
    w = fastnn.tensor(RNG.normal(size=(512, 512)).astype("f4"))
    step = fastnn.record(lambda x: fastnn.ops.matmul(x, w) + 1.0)
    x = RNG.normal(size=(40, 512)).astype("f4")
    np.testing.assert_array_equal(
        step(x).numpy(), (fastnn.ops.matmul(fastnn.tensor(x), w) + 1.0).numpy()
    )
    assert taken == {2}
    taken.clear()
    model = network()
    model.predict(X, batch_size=32)
    assert taken == {2}


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="only Linux lets threads be placed"
)
def test_a_thread_is_placed_anew_after_ctrl_c_while_it_was_placed(monkeypatch):
    worker, asked = threads.Worker(), []

    def place(_thread, processors):
        asked.append(processors)
        if len(asked) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "sched_setaffinity", place)
    worker.place({0})
    worker.place({0})  # where it is already
    with pytest.raises(KeyboardInterrupt):
        worker.place({1})
    worker.place({0})
    assert asked == [{0}, {1}, {0}]


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="only Linux lets threads be placed"
)
def test_other_threads_keep_off_the_callers_processor_where_there_are_enough():
    before = os.sched_getaffinity(0)
    try:
        for processors in (before, {min(before)}):
            os.sched_setaffinity(0, processors)
            assert threads.run(lambda thread, n_threads: thread, 2, lambda: None) == 0
            own = os.sched_getaffinity(threads._workers[0].thread.native_id)
            assert own <= processors
            assert len(own) == max(1, len(processors) - 1)
    finally:
        os.sched_setaffinity(0, before)


def test_threads_may_be_had_again_after_ctrl_c_while_they_left():
    asked, taken = [], []

    def abort():
        asked.append(True)
        if len(asked) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        threads.run(lambda thread, n_threads: 0, 2, abort)
    threading.Thread(
        target=threads.run, args=(lambda thread, n_threads: taken.append(n_threads) or 0, 2, abort)
    ).start()
    while len(taken) < 1:
        time.sleep(1e-3)
    assert taken[0] == 2


@pytest.mark.parametrize("kilobytes", [128, 512])
def test_kernels_find_room_on_a_small_stack(kilobytes, monkeypatch):
    """Products copy blocks onto it: some threads have 512 kB, as on macOS, or what their maker
    thought enough."""
    monkeypatch.setattr(threads, "_workers", [])
    monkeypatch.setattr(Autotuner, "_slices", always_all_threads)
    found, before = [], threading.stack_size(kilobytes * 1024)
    x, w = (
        np.random.default_rng(0).normal(size=s).astype("f4") for s in ((300, 1024), (1024, 300))
    )
    losses = fit(network())

    def compute():
        variable = fastnn.Variable(x)
        (fastnn.ops.linear(variable, w, activation="relu") @ w.T).backward(x)
        found.extend([variable.gradient.numpy(), fit(network())])

    fastnn.set_threads(3)
    try:
        thread = threading.Thread(target=compute)
        thread.start()
        thread.join()
        assert threading.stack_size() == kilobytes * 1024
    finally:
        threading.stack_size(before)
    gradient, found_losses = found
    z = x.astype("f8") @ w
    np.testing.assert_allclose(gradient, (x @ w.astype("f8") * (z > 0)) @ w.T, rtol=1e-3, atol=1e-1)
    assert found_losses == losses
