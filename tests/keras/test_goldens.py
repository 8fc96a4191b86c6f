"""Training runs against Keras on TensorFlow: the same weights at the start, the same order of rows,
the same numbers."""

import math
from pathlib import Path

import numpy as np
import pytest

import fastnn
from tests.keras.goldens.cases import CASES, ROWS, build, data

GOLDENS = np.load(Path(__file__).parent / "goldens" / "keras.npz")
EPS = np.finfo("float32").eps


def golden(name):
    return {
        key.removeprefix(f"{name}/"): GOLDENS[key]
        for key in GOLDENS.files
        if key.startswith(f"{name}/")
    }


def bound(expected, steps):
    """Both round in float32, in different orders: some eps a step, of numbers of size one."""
    return 8 * EPS * steps * (1 + np.abs(expected))


@pytest.mark.filterwarnings("ignore:binary_crossentropy")
@pytest.mark.parametrize("name", CASES)
def test_training_gives_kerass_numbers(name):
    case, expected = CASES[name], golden(name)
    model = build(fastnn.keras, case)
    model.set_weights([expected[f"start/{i}"] for i in range(len(model.weights))])
    x, y, weights = data(case)
    history = model.fit(x, y, sample_weight=weights, shuffle=False, verbose=0, **case.fit).history
    steps = case.fit["epochs"] * math.ceil(ROWS / case.fit.get("batch_size", 32))
    for i, got in enumerate(model.get_weights()):
        assert (np.abs(got - expected[f"end/{i}"]) <= bound(expected[f"end/{i}"], steps)).all(), (
            f"weight {i}"
        )
    assert sorted(history) == sorted(
        k.removeprefix("history/") for k in expected if k.startswith("history/")
    )
    for key, values in history.items():
        assert (
            np.abs(np.array(values) - expected[f"history/{key}"])
            <= bound(expected[f"history/{key}"], steps)
        ).all(), key
    assert (
        np.abs(model.predict(x) - expected["predict"]) <= bound(expected["predict"], steps)
    ).all()
    evaluated = np.array(model.evaluate(x, y, verbose=0))
    assert (np.abs(evaluated - expected["evaluate"]) <= bound(expected["evaluate"], steps)).all()
