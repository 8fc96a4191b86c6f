"""Whether the number of threads that `fit` chooses is the right one: `--grids`, on several threads.

Fits of fresh models over a grid of shapes, short and long ones, with the automatic choice, on one
thread and on all, alternately. What counts is the automatic one's time over the better of the
others; the fastest of some rounds, because other work on the machine comes and goes.
"""

import itertools
import time
from contextlib import contextmanager
from typing import NamedTuple

from .conftest import THREADS

ROUNDS = 7
STEPS = 16  # in an epoch
LENGTHS = (0.02, 0.2)  # seconds that fits last on one thread


class Shape(NamedTuple):
    width: int
    depth: int
    batch: int
    norm: bool

    def __str__(self):
        return f"{self.depth}x{self.width}-batch-{self.batch}{'-norm' * self.norm}"


GRID = [
    Shape(*s)
    for s in itertools.product((16, 32, 64, 128, 256, 512), (1, 3), (16, 64, 256), (False, True))
][:-12]
GRID += [Shape(784, 2, 128, True), Shape(512, 3, 256, False)]


def pytest_generate_tests(metafunc):
    if "shape" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("grids") and THREADS > 1
        wanted = wanted and metafunc.config.getoption("peer") == "ours"
        metafunc.parametrize("shape", GRID if wanted else [], ids=str)
        metafunc.parametrize("seconds", LENGTHS if wanted else [])


def test_the_choice_of_threads(benchmark, shape, seconds):
    with threads("one"):
        fits = {epochs: min(seconds_of_fit(shape, epochs) for _ in range(3)) for epochs in (1, 11)}
    epochs = max(1, round(seconds / max((fits[11] - fits[1]) / 10, 1e-5)))
    others = dict.fromkeys(("one", "all"), float("inf"))

    def time_others():
        for name in others:
            with threads(name):
                others[name] = min(others[name], seconds_of_fit(shape, epochs))
        return (fit_of(shape, epochs),), {}

    benchmark.pedantic(lambda fit: fit(), setup=time_others, rounds=ROUNDS)
    if benchmark.stats is not None:  # --benchmark-disable
        automatic = benchmark.stats.stats.min
        benchmark.extra_info["threads"] = {**others, "automatic": automatic, "shape": str(shape)}


@contextmanager
def threads(name):
    """Fits run on one thread, or always on all."""
    import fastnn
    from fastnn.devices.cpu.autotune import SLICE_SECONDS, Autotuner

    def always_all(autotuner):
        steps = 1
        while True:
            each, _ = yield autotuner.all_threads, steps, SLICE_SECONDS
            steps = min(4 * steps, max(1, round(SLICE_SECONDS / each)))

    automatic = Autotuner._slices
    fastnn.set_threads(1 if name == "one" else None)
    if name == "all":
        Autotuner._slices = always_all
    try:
        yield
    finally:
        Autotuner._slices = automatic
        fastnn.set_threads(None)


def seconds_of_fit(shape, epochs):
    fit = fit_of(shape, epochs)
    start = time.perf_counter()
    fit()
    return time.perf_counter() - start


def fit_of(shape, epochs):
    """The fit of a fresh model."""
    import numpy as np

    import fastnn
    from fastnn import layers

    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS * shape.batch, shape.width)).astype("float32")
    y = rng.integers(0, 10, len(x))
    norm = [layers.BatchNormalization] if shape.norm else []
    hidden = [
        make()
        for _ in range(shape.depth)
        for make in (lambda: layers.Dense(shape.width), *norm, layers.ReLU)
    ]
    model = fastnn.Sequential(
        [fastnn.Input((shape.width,)), *hidden, layers.Dense(10, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return lambda: model.fit(x, y, batch_size=shape.batch, epochs=epochs, verbose=0)
