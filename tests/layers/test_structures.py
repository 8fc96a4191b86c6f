"""Layers that take and return lists, tuples and dictionaries of tensors."""

import numpy as np
import pytest

import fastnn
from fastnn import layers

A, B = np.arange(6, dtype="float32").reshape(2, 3), np.ones((2, 2), "float32")


class Mixed(layers.Layer):
    def build(self, input_shape):
        self.shape = input_shape
        self.scale = self.add_weight((input_shape["a"][-1],), "ones", name="scale")

    def call(self, inputs, other=None, training=None):
        y = inputs["a"] * self.scale
        return {"y": y + (other if other is not None else 0.0), "b": (inputs["b"][0], None)}


def test_structures_go_through_a_layer():
    layer = Mixed(name="mixed")
    found = layer({"b": [B], "a": A.tolist()})
    assert layer.shape == {"b": [(None, 2)], "a": (None, 3)}
    assert list(found) == ["y", "b"]
    np.testing.assert_array_equal(found["y"].numpy(), A)
    assert found["b"][1] is None
    assert found["b"][0].dtype == "float32"


def test_what_shares_a_given_array_is_copied():
    given = B.copy()
    kept = Mixed()({"a": A, "b": [given]})["b"][0]
    given[:] = 7
    np.testing.assert_array_equal(kept.numpy(), B)
    x = fastnn.tensor(B)
    assert Mixed()({"a": A, "b": [x]})["b"][0] is x


def test_more_arguments_follow_the_inputs():
    found = Mixed()({"a": A, "b": [B]}, A.astype("float64"))
    np.testing.assert_array_equal(found["y"].numpy(), 2 * A)
    assert found["y"].dtype == "float32"
    named = Mixed()({"a": A, "b": [B]}, other=A)
    np.testing.assert_array_equal(named["y"].numpy(), 2 * A)


def test_training_may_be_given_by_its_place():
    dropout = layers.Dropout(0.5, seed=0)
    x = np.ones((4, 25), "float32")
    assert 0 in dropout(x, True).numpy()
    assert 0 not in dropout(x, False).numpy()


def test_gradients_reach_all_inputs():
    a, b = (fastnn.tensor(v, requires_gradient=True) for v in (A, B))
    found = Mixed()({"a": a, "b": [b]})
    fastnn.ops.sum(found["y"]).backward()
    assert b.gradient is None
    np.testing.assert_array_equal(a.gradient.numpy(), np.ones_like(A))


def test_a_recorded_step_gives_the_same_bits():
    layer = Mixed()
    step = fastnn.record(layer)
    for scale in (1, 2):
        eager, replayed = (f({"a": scale * A, "b": [B]}) for f in (layer, step))
        np.testing.assert_array_equal(eager["y"].numpy(), replayed["y"].numpy())
        assert replayed["b"][1] is None
    assert len(step.tapes) == 1


@pytest.mark.parametrize("result", [[], None, {"a": 3.0}, [None]], ids=repr)
def test_other_results_are_refused(result):
    class Wrong(layers.Layer):
        def call(self, x):
            return result

    with pytest.raises(TypeError, match=r"'w': call must return a tensor"):
        Wrong(name="w")(A)


def test_the_place_of_another_result_is_told():
    class Wrong(layers.Layer):
        def call(self, x):
            return {"a": [x, "b"]}

    with pytest.raises(TypeError, match=r"got str at \['a'\]\[1\]"):
        Wrong()(A)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(2, name="one"),
        layers.Activation("relu", name="one"),
        layers.ReLU(name="one"),
        layers.Softmax(name="one"),
        layers.BatchNormalization(name="one"),
        layers.LayerNormalization(name="one"),
        layers.Dropout(0.5, name="one"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_of_one_tensor_say_so(layer):
    with pytest.raises(TypeError, match=r"'one': takes one tensor; got a list of 2"):
        layer([fastnn.tensor(A), B])
    assert not layer.built
