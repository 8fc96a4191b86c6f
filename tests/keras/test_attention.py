"""Layers of attention give what Keras's give."""

from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.tensor import set_mask
from tests.keras.goldens.attention import CASES, results

GOLDENS = np.load(Path(__file__).parent / "goldens" / "attention.npz")
EPS = np.finfo("float32").eps


def with_mask(x, mask):
    set_mask(x, fastnn.tensor(mask))
    return x


@pytest.mark.parametrize("name", CASES)
def test_layers_give_kerass_numbers(name):
    found, shapes = results(layers, CASES[name], fastnn.tensor, with_mask)
    assert list(shapes) == list(GOLDENS[f"{name}/weights"])
    assert len(found) == sum(key.startswith(f"{name}/") for key in GOLDENS.files) - 1
    for place, array in enumerate(found):
        expected = GOLDENS[f"{name}/{place}"]
        assert array.shape == expected.shape
        assert (np.abs(array - expected) <= 64 * EPS * (1 + np.abs(expected))).all()
