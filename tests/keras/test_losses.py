"""Losses against Keras on JAX: values by every reduction, with weights, and gradients."""

from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.losses.base import FUNCTIONS
from tests.keras.goldens.losses import CASES, each

GOLDENS = np.load(Path(__file__).parent / "goldens" / "losses.npz")
EPS = np.finfo("float32").eps


def expect_close(got, expected, case):
    """Both round in float32, by the largest number in a sum, of which the largest result tells."""
    assert np.isfinite(expected).all()
    assert np.abs(got - expected).max() <= 64 * EPS * (1 + np.abs(expected).max()), case


def test_losses_are_kerass():
    values, gradients = GOLDENS["values"], GOLDENS["gradients"]
    for kind, arguments, reduction, y_true, y_pred, weight in each():
        loss = getattr(fastnn.keras.losses, kind)(reduction=reduction, **arguments)
        case = kind, arguments, reduction, np.shape(weight)
        p = fastnn.tensor(y_pred, requires_gradient=True)
        value = loss(y_true, p, weight)
        expected, values = np.split(values, [value.size])
        expect_close(value.numpy().ravel(), expected, case)
        if reduction == "sum_over_batch_size":
            value.backward()
            expected, gradients = np.split(gradients, [p.size])
            expect_close(p.gradient.numpy().ravel(), expected, case)
    assert values.size == gradients.size == 0


@pytest.mark.parametrize("name", CASES)
def test_functions_are_the_classes_values(name):
    cls = getattr(fastnn.losses, name)
    function = next(f for f, known in FUNCTIONS if known is cls)
    for arguments, y_true, y_pred in CASES[name]:
        loss = cls(reduction=None, **arguments)
        given = arguments or ({"q": 0.5} if hasattr(loss, "q") else {})
        got = function(y_true, y_pred, **given)
        np.testing.assert_array_equal(got.numpy(), loss(y_true, y_pred).numpy())
