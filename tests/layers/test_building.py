"""A program that calls `build` itself gets the weights once."""

import pytest

import fastnn
from fastnn import layers
from fastnn.errors import ShapeError


class Outer(layers.Layer):
    def build(self, input_shape):
        self.inner = layers.Dense(2)
        self.inner.build(input_shape)
        self.factor = self.add_weight((2,))
        super().build(input_shape)

    def call(self, x):
        return self.inner(x) * self.factor


class More(Outer):
    def build(self, input_shape):
        super().build(input_shape)
        self.offset = self.add_weight((2,))

    def call(self, x):
        return super().call(x) + self.offset


@pytest.mark.parametrize(
    ("made", "count"),
    [
        (lambda: layers.Dense(2), 2),
        (layers.BatchNormalization, 4),
        (lambda: layers.TimeDistributed(layers.Dense(2)), 2),
        (More, 4),
        (lambda: fastnn.Sequential([layers.Dense(2), More()]), 6),
    ],
)
def test_build_is_once(made, count):
    layer = made()
    layer.build([None, 4, 3])
    assert layer.built
    assert layer.get_build_config() == {"input_shape": (None, 4, 3)}
    first = layer.weights
    assert len(first) == count
    layer([[[1.0, 2.0, 3.0]] * 4])
    layer.build((None, 4, 3))
    assert [id(v) for v in layer.weights] == [id(v) for v in first]


def test_a_build_that_fails_may_be_tried_again():
    layer = layers.Dense(2)
    with pytest.raises(ShapeError, match="must be known"):
        layer.build((None, None))
    layer.build((None, 3))
    assert [v.shape for v in layer.weights] == [(3, 2), (2,)]
