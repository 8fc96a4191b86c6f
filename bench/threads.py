"""`python -m bench.threads`: whether the number of threads that `fit` chooses is the right one.

Fits of fresh models over a grid of shapes, short ones and longer ones, with the automatic choice,
on one thread and on all. What counts is the automatic one's time over the better of the other two.
Each is run several times, in turns, and its fastest counts: other work on the machine comes and
goes.
"""

import argparse
import itertools
import time
from typing import NamedTuple

import numpy as np

import fastnn
from fastnn import layers
from fastnn.devices.cpu.autotune import SLICE, Pace

ROUNDS = 7
BAR = 1.1
STEPS = 16  # in an epoch


class Shape(NamedTuple):
    width: int
    depth: int
    batch: int
    norm: bool

    def __str__(self):
        norm = ", batch normalisation" if self.norm else ""
        return f"{self.depth} x {self.width}, batch {self.batch}{norm}"


GRID = [
    Shape(*s)
    for s in itertools.product((16, 32, 64, 128, 256, 512), (1, 3), (16, 64, 256), (False, True))
][:-12]
GRID += [Shape(784, 2, 128, True), Shape(512, 3, 256, False)]


def fit_of(shape: Shape, epochs: int) -> float:
    """Seconds of a fit of a fresh model."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS * shape.batch, shape.width)).astype("float32")
    y = rng.integers(0, 10, len(x))
    hidden = [
        layer
        for _ in range(shape.depth)
        for layer in (
            layers.Dense(shape.width),
            *([layers.BatchNormalization()] if shape.norm else []),
            layers.ReLU(),
        )
    ]
    model = fastnn.Sequential(
        [fastnn.Input((shape.width,)), *hidden, layers.Dense(10, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    start = time.perf_counter()
    model.fit(x, y, batch_size=shape.batch, epochs=epochs, verbose=0)
    return time.perf_counter() - start


def always_all(pace):
    """In the place of `Pace._slices`."""
    steps = 1
    while True:
        each, _ = yield pace.all_threads, steps, SLICE
        steps = min(4 * steps, max(1, round(SLICE / each)))


def seconds_of(shape: Shape, epochs: int, rounds: int) -> dict[str, float]:
    """The fastest of some fits by how many threads they had."""
    automatic, found = Pace._slices, {"automatic": [], "one": [], "all": []}
    for _ in range(rounds):
        for name, seconds in found.items():
            fastnn.set_threads(1 if name == "one" else None)
            Pace._slices = always_all if name == "all" else automatic
            try:
                seconds.append(fit_of(shape, epochs))
            finally:
                Pace._slices = automatic
                fastnn.set_threads(None)
    return {name: min(seconds) for name, seconds in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m bench.threads",
        description="the automatic number of threads over a grid of shapes",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        nargs="*",
        default=[0.02, 0.2],
        help="how long fits last on one thread",
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    for length in options.seconds:
        ratios = []
        print(
            f"fits of some {length:g} s on one thread: ms on one, on all, chosen; chosen over the "
            "better"
        )
        for shape in GRID:
            fastnn.set_threads(1)
            ten = min(fit_of(shape, 11) for _ in range(3)) - min(fit_of(shape, 1) for _ in range(3))
            fastnn.set_threads(None)
            found = seconds_of(shape, max(1, round(length / max(ten / 10, 1e-5))), options.rounds)
            ratios.append(found["automatic"] / min(found["one"], found["all"]))
            times = "".join(f"{1e3 * found[name]:9.2f}" for name in ("one", "all", "automatic"))
            print(f"{shape!s:46}{times}{ratios[-1]:7.2f}{'  *' * (ratios[-1] > BAR)}", flush=True)
        worst = int(np.argmax(ratios))
        mean = float(np.exp(np.mean(np.log(ratios))))
        print(
            f"{len(GRID)} shapes: worst {ratios[worst]:.2f} ({GRID[worst]}), geometric mean "
            f"{mean:.3f}, ",
            end="",
        )
        print(f"{sum(r > BAR for r in ratios)} over {BAR}\n")


if __name__ == "__main__":
    main()
