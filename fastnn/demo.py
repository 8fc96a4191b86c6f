"""The main job, `python -m fastnn demo`: an article's program as it was printed, and scikit-learn's
handwritten digits."""

import math
import runpy
import sys
import time

import numpy as np

import fastnn
from fastnn.compile import object_code
from fastnn.training.progress import CompileNotice

SPLITS = 5
EPOCHS = 40
PLOT = "digits.png"


def demo() -> None:
    """Both programs, one after the other."""
    with CompileNotice(True):
        print("An article's program: logistic regression on random numbers\n", flush=True)
        runpy.run_module("fastnn.article")
        print(
            "\nHandwritten digits: 8 x 8 pixels, 10 classes, five stratified splits\n", flush=True
        )
        digits()


def digits() -> float:
    """Train 64-128-64-10 on each split; returns the mean test accuracy."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import StratifiedKFold
    except ImportError:
        sys.exit("the digits come with scikit-learn: pip install 'fastnn-numba[demo]'")
    x, y = load_digits(return_X_y=True)
    x = (x - x.min()) / (x.max() - x.min())
    fastnn.utils.set_random_seed(0)
    confusion, accuracies = np.zeros((10, 10), int), []
    for number, (train, test) in enumerate(
        StratifiedKFold(SPLITS, shuffle=True, random_state=0).split(x, y), 1
    ):
        model = network()
        start, compiled = time.perf_counter(), len(object_code.compiled)
        history = model.fit(x[train], y[train], epochs=EPOCHS, validation_split=0.1, verbose=0)
        seconds = time.perf_counter() - start
        guesses = model.predict(x[test]).argmax(axis=1)
        np.add.at(confusion, (y[test], guesses), 1)
        accuracies.append(float((guesses == y[test]).mean()))
        steps = EPOCHS * history.params["steps"]
        note = " (kernels compiled meanwhile)" if len(object_code.compiled) > compiled else ""
        rate = f"{steps} steps in {seconds:.2f} s, {steps / seconds:,.0f} a second{note}"
        print(f"split {number} of {SPLITS}: test accuracy {accuracies[-1]:.4f}, {rate}", flush=True)
    mean = float(np.mean(accuracies))
    print(f"\nmean test accuracy {mean:.4f}\n\nhistory of the last split\n{table(history)}")
    print(f"\nconfusion matrix of all test rows: digits down, guesses across\n{confusion}")
    try:
        history.plot(PLOT)
        print(f"\ncurves of the last split: {PLOT}")
    except ImportError as error:
        print(f"\nno plot: {error}")
    return mean


def network() -> fastnn.Sequential:
    """Two hidden layers, each normalised before its ReLU."""
    layers = fastnn.layers
    model = fastnn.Sequential(
        [
            fastnn.Input((64,)),
            layers.Dense(128),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(64),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def table(history: fastnn.callbacks.History, rows: int = 10) -> str:
    """The history as a table of at most some `rows` epochs, the last among them."""
    every = math.ceil(len(history.epoch) / rows)
    shown = range(every - 1, len(history.epoch), every)
    lines = ["epoch  " + "  ".join(f"{name:>12}" for name in history.history)]
    for e in shown:
        lines.append(
            f"{history.epoch[e] + 1:5}  "
            + "  ".join(f"{values[e]:12.4f}" for values in history.history.values())
        )
    return "\n".join(lines)
