"""Optimizers and schedules against Keras: the same variables after each step, which a recorded one
makes as an eager one does."""

from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import optimizers
from tests.keras.goldens.optimizers import OPTIMIZERS, SCHEDULED, SCHEDULES, drawn

GOLDENS = np.load(Path(__file__).parent / "goldens" / "optimizers.npz")
EPS = np.finfo("float32").eps


def trained(name, recorded):
    """Variables after each step, and with averages in their place."""
    (kind, given), number = OPTIMIZERS[name], list(OPTIMIZERS).index(name)
    values, gradients = drawn(number)
    variables = [fastnn.Variable(v) for v in values]
    optimizer, found = getattr(optimizers, kind)(**given), []

    def step(*each):
        optimizer.apply(list(each), variables)

    step = fastnn.record(step) if recorded else step
    for each in gradients:
        step(*map(fastnn.tensor, each))
        found.append(np.concatenate([v.numpy().reshape(-1) for v in variables]))
    optimizer.finalize_variable_values(variables)
    return np.array([*found, np.concatenate([v.numpy().reshape(-1) for v in variables])])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_give_kerass_numbers(name):
    found, expected = trained(name, False), GOLDENS[name]
    # Keras's powers of a float32 beta are as exact as that; a variance is a difference
    rounding = 1000 if name == "general" else 60
    np.testing.assert_allclose(found, expected, rtol=rounding * EPS, atol=rounding * EPS)
    np.testing.assert_array_equal(trained(name, True), found)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_give_kerass_numbers(name):
    """By themselves, several steps at once, and within a recorded step."""
    kind, arguments, named = SCHEDULES[name]
    schedule, expected = getattr(optimizers.schedules, kind)(*arguments, **named), GOLDENS[name]
    found = [float(schedule(step)) for step in SCHEDULED]
    np.testing.assert_allclose(found, expected, rtol=20 * EPS, atol=4 * EPS)
    np.testing.assert_array_equal(schedule(np.array(SCHEDULED)).numpy(), found)
    weight, sgd, rates = fastnn.Variable([1.0], dtype="float64"), optimizers.SGD(schedule), []
    step = fastnn.record(lambda: sgd.apply([np.ones(1)], [weight]))
    for n in SCHEDULED:
        before = weight.item()
        rates.append(sgd.learning_rate)
        step()
        np.testing.assert_allclose(before - weight.item(), found[n], rtol=1e-9, atol=1e-14)
    assert rates == found
    assert len(step.tapes) == 1
