"""Random numbers that a step draws elsewhere than from fastnn while it is recorded."""

import functools
import operator
import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastnn
from fastnn.errors import RecordingError


class Holder:
    def __init__(self, inner):
        self.inner = inner


class Noisy(fastnn.layers.Layer):
    def __init__(self, generator):
        super().__init__()
        self._generators = [generator]

    def call(self, x):
        return x * float(self._generators[0].normal())


GENERATORS = {
    "Generator": np.random.default_rng(0),
    "RandomState": np.random.RandomState(0),
    "Mersenne": np.random.Generator(np.random.MT19937(0)),
}
PYTHONS = random.Random(0)
of_globals = np.random.default_rng(1)


def draws_from_a_global(x):
    return x * of_globals.normal()


def calls_one_that_does(x):
    return draws_from_a_global(x)


def through(kind, generator):
    """Ways by which a function comes to a generator."""
    draw = generator.normal if hasattr(generator, "normal") else generator.random

    class Own:
        def __init__(self):
            self.generator = generator

        def method(self, x):
            return self.inner(x)

        def inner(self, x):
            return x * draw()

        __call__ = method

    def default(x, g=generator):
        return x * draw()

    return {
        "closure": lambda x: (
            x * generator.normal() if hasattr(generator, "normal") else x * generator.random()
        ),
        "bound method": lambda x: x * draw(),
        "method's object": Own().method,
        "callable": Own(),
        "partial": functools.partial(lambda g, x: x * draw(), generator),
        "default": default,
        "attribute": functools.partial(
            lambda h, x: x * h.inner.inner.normal(), Holder(Holder(generator))
        ),
        "dictionary": lambda x, found={"a": [generator]}: x * draw(),
    }[kind]


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize(
    "kind",
    [
        "closure",
        "bound method",
        "method's object",
        "callable",
        "partial",
        "default",
        "attribute",
        "dictionary",
    ],
)
def test_draws_are_refused_however_the_generator_is_reached(kind, generator):
    with pytest.raises(RecordingError, match=r"test_recorded_draws\.py:\d+.*fastnn\.random"):
        fastnn.record(through(kind, GENERATORS[generator]))([1.0])


@pytest.mark.parametrize("kind", ["closure", "method's object", "dictionary"])
def test_draws_from_pythons_are_refused_however_they_are_reached(kind):
    with pytest.raises(RecordingError, match=r"test_recorded_draws\.py:\d+.*fastnn\.random"):
        fastnn.record(through(kind, PYTHONS))([1.0])


def test_draws_in_models_arguments_and_functions_that_are_called_are_refused():
    generator = GENERATORS["Generator"]
    model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1), Noisy(generator)])
    x = np.ones((1, 1), "f4")
    for step in (model, lambda x: model(x), calls_one_that_does):
        with pytest.raises(RecordingError, match=r"test_recorded_draws\.py:\d+.*fastnn\.random"):
            fastnn.record(step)(x)
    with pytest.raises(RecordingError, match=r"test_recorded_draws\.py:\d+.*fastnn\.random"):
        fastnn.record(lambda x, g: x * float(g["g"].normal()))(x, {"g": generator})


def test_numbers_of_a_generator_of_the_steps_own_are_as_they_are_eagerly():
    def step(x):
        return x * float(np.random.default_rng(3).normal()) * random.Random(4).random()

    system = random.SystemRandom()
    expected = np.asarray(step(np.float32(1.0)), "f4")
    np.testing.assert_allclose(
        fastnn.record(lambda x: step(x) if system else x)(1.0), expected, rtol=1e-6
    )


DRAWS = {
    "numpy": lambda: np.random.normal(),
    "python": lambda: random.random(),
    "shared": lambda: GENERATORS["Generator"].normal(),
    "shared RandomState": lambda: GENERATORS["RandomState"].normal(),
}


class Others:
    """Another thread that draws all the time, or with pauses."""

    def __init__(self, draw, pause):
        self.draw, self.pause, self.stop = draw, pause, False
        self.thread = threading.Thread(target=self.work)

    def work(self):
        while not self.stop:
            self.draw()
            if self.pause:
                time.sleep(self.pause)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *error):
        self.stop = True
        self.thread.join()


def plain(x):
    shared = GENERATORS
    y = x + 1.0 if shared else x
    time.sleep(0.002)  # others are let in here, again and again
    z = y * 2.0
    for _ in range(30):
        z = z + float(np.ones(1000).sum() > 0)
    time.sleep(0.002)
    return z


@pytest.mark.parametrize("pause", [0.0, 0.0005])
@pytest.mark.parametrize("kind", DRAWS)
def test_what_other_threads_draw_meanwhile_is_theirs(kind, pause):
    with Others(DRAWS[kind], pause):
        for _ in range(2):
            assert fastnn.record(plain)([1.0]).item() == 34


@pytest.mark.parametrize("other", DRAWS)
@pytest.mark.parametrize("own", DRAWS)
def test_draws_of_this_thread_are_told_from_those_of_others(own, other):
    draw = DRAWS[own]
    line = draw.__code__.co_firstlineno
    with (
        Others(DRAWS[other], 0.0),
        pytest.raises(RecordingError, match=rf"test_recorded_draws\.py:{line}:"),
    ):
        fastnn.record(lambda x: plain(plain(x) * draw()))([1.0])


@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells which threads run")
def test_draws_that_no_line_names_are_told_where_there_is_nobody_else():
    hidden = functools.partial(operator.methodcaller("normal"), GENERATORS["Generator"])

    def step(x):
        x = plain(x)
        return x * hidden()

    line = step.__code__.co_firstlineno + 2
    with pytest.raises(RecordingError, match=rf"test_recorded_draws\.py:{line}:"):
        fastnn.record(step)([1.0])


def test_a_line_that_fastnn_draws_in_is_innocent():
    step = fastnn.record(lambda x: plain(x) + fastnn.random.normal((1,)))
    with Others(DRAWS["numpy"], 0.0):
        step([1.0])


def test_a_draw_in_the_line_that_calls_the_step_is_told():
    with pytest.raises(RecordingError, match=r"test_recorded_draws\.py:\d+.*fastnn\.random"):
        fastnn.record(lambda x: x * float(np.random.normal()))([1.0])


def test_threads_that_begin_and_draw_do_not_make_a_recording_fail():
    """Some have no number yet when they are asked for their time; and one may be the first to
    import numpy.random."""
    program = """
import threading, numpy as np, fastnn
fastnn.record(lambda x: x * 2)([1.0])
going = True
def begin():
    while going:
        threads = [threading.Thread(target=lambda: np.random.rand()) for _ in range(8)]
        [t.start() for t in threads], [t.join() for t in threads]
beginners = [threading.Thread(target=begin) for _ in range(2)]
[t.start() for t in beginners]
try:
    for n in range(300):
        fastnn.record(lambda x: x * 2)([1.0])
finally:
    going = False
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
