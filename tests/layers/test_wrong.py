"""Errors of ops say in which layer they were called."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.errors import ShapeError


def images(shape=(1, 6, 6, 3)):
    return np.zeros(shape, np.float32)


def conv():
    return layers.Conv2D(4, 9, name="wide")


@pytest.mark.parametrize(
    "use",
    [
        lambda: conv()(images()),
        lambda: conv()(fastnn.Input((6, 6, 3))),
        lambda: fastnn.Sequential([fastnn.Input((6, 6, 3)), conv()]),
        lambda: fastnn.Sequential([conv()]).predict(images()),
    ],
)
def test_a_window_larger_than_the_image(use):
    with pytest.raises(ShapeError, match=r"^layer 'wide': conv: the kernel's window \(9, 9\)"):
        use()


def test_a_layer_that_names_itself_is_not_named_twice():
    with pytest.raises(ShapeError, match=r"^Dense 'one': expected rows"):
        layers.Dense(3, name="one")(np.zeros(()))
