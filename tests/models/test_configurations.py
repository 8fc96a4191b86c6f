"""Functional and Sequential models as configurations, and models made again of them."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import layers, models, ops

from .test_functional import A, B, Own, two_of_two

GOLDENS = Path(__file__).parents[1] / "keras" / "goldens"


def nested():
    a = fastnn.Input((3,))
    inner = two_of_two()
    return fastnn.Model(a, {"out": inner([a, layers.Dense(4, name="four")(a)])[1]}, name="outer")


def of_ops():
    """Slices, lists, arrays, attributes and arguments that are no tensors."""
    a, b = fastnn.Input((3,), name="a"), fastnn.Input((4,), name="b")
    joined = ops.concatenate([a[:, :2], b[..., 1, None]], axis=-1)
    scaled = ops.mean(joined * np.array([1.0, 2.0, 3.0], "float32"), axis=(1,), keepdims=True)
    dropped = layers.Dropout(0.5, seed=0)(2.0 * scaled, training=False)
    soft = fastnn.activations.softmax(b, axis=-1)
    return fastnn.Model({"a": a, "b": b}, [dropped, soft, layers.add([a, a])])


@pytest.mark.parametrize("make", [two_of_two, nested, of_ops])
def test_a_model_comes_back_from_json(make):
    model = make()
    written = model.to_json()
    found = models.model_from_json(written)
    assert found.to_json() == written
    assert [t.shape for t in found.outputs] == [t.shape for t in model.outputs]
    found.set_weights(model.get_weights())
    given = A if len(model.inputs) == 1 else {"a": A, "b": B}
    for one, other in zip(
        fastnn.tree.flatten(model(given)), fastnn.tree.flatten(found(given)), strict=True
    ):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert copy.deepcopy(model).to_json() == written
    assert models.clone_model(model).to_json() == written


def test_a_functional_model_of_keras_is_read():
    """The JSON that Keras 3.15 wrote of a model of two inputs, a shared layer, ops and a layer
    called with training=True."""
    model = models.model_from_json((GOLDENS / "functional.json").read_text())
    assert [layer.name for layer in model.layers] == ["a", "b", "s", "dr", "c"]
    assert list(model.output) == ["y", "z"]
    found = model({"a": A, "b": B})
    np.testing.assert_array_equal(found["z"].numpy(), np.concatenate([A, B], 1))
    dense = model.get_layer("s")
    mixed = dense(A).numpy() + 2 * dense(np.concatenate([A[:, :2], B[:, 1:2]], 1)).numpy()
    mean = np.maximum(mixed, 0).mean(1, keepdims=True)
    y = found["y"].numpy()
    np.testing.assert_allclose(y, np.where(y == 0, 0, 2 * mean), rtol=1e-5)


def test_a_subclass_keeps_its_class():
    x = fastnn.Input((3,))
    model = Own(x, layers.Dense(2)(x), name="mine")
    found = models.model_from_json(model.to_json(), custom_objects={"Own": Own})
    assert (type(found), found.name, found.output_shape) == (Own, "mine", (None, 2))
    assert type(models.clone_model(model)) is Own


class Twice(layers.Layer):
    def call(self, x):
        return 2.0 * x


def test_a_clone_has_weights_of_its_own():
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(4), layers.Dense(2)])
    clone = models.clone_model(model)
    assert clone.get_config() == model.get_config()
    assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(A), model.predict(A))
    assert clone.weights[0] is not model.weights[0]
    x = fastnn.Input((3,))
    doubled = models.clone_model(
        fastnn.Model(x, layers.ReLU()(x)), clone_function=lambda layer: Twice(name=layer.name)
    )
    np.testing.assert_array_equal(doubled.predict(A), 2 * A)
    model.compile(fastnn.optimizers.Adam(0.5), lambda y, p: ops.mean(abs(y - p)), ["mae"])
    compiled = models.clone_model(model)
    assert (compiled.optimizer.learning_rate, compiled.loss) == (0.5, model.loss)
    assert compiled.optimizer is not model.optimizer
    with pytest.raises(ValueError, match="expected a model; got Dense"):
        models.clone_model(layers.Dense(2))


def test_clones_of_models_within_and_calls_of_one_s_own():
    model = nested()

    def call(layer, *args, **kwargs):
        found = layer(*args, **kwargs)
        return layers.Dropout(0.5)(found) if isinstance(layer, layers.Dense) else found

    shared = models.clone_model(model, clone_function=lambda layer: layer, call_function=call)
    assert [type(layer).__name__ for layer in shared.layers].count("Dropout") == 1
    np.testing.assert_array_equal(shared.predict(A)["out"], model.predict(A)["out"])
    deep = models.clone_model(model, call_function=call, recursive=True)
    inner = next(layer for layer in deep.layers if isinstance(layer, models.Functional))
    assert [type(layer).__name__ for layer in inner.layers].count("Dropout") == 4
    with pytest.raises(ValueError, match="must have the same structure"):
        models.clone_model(two_of_two(), input_tensors=fastnn.Input((3,)))


def test_a_sequential_model_has_symbolic_tensors():
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(4), layers.Dense(2)])
    features = fastnn.Model(model.inputs, [layer.output for layer in model.layers])
    assert features.output_shape == [(None, 4), (None, 2)]
    np.testing.assert_array_equal(features.predict(A)[1], model.predict(A))
    model.add(layers.Dense(1))
    assert model.output.shape == (None, 1)
    with pytest.raises(AttributeError, match="once the shape of its input is known"):
        fastnn.Sequential([layers.Dense(1)]).outputs  # noqa: B018


def entry(name, *nodes, kind="Dense"):
    config = {"units": 10, "name": name} if nodes else {"batch_input_shape": [None, 10]}
    named = {"class_name": kind, "name": name, "config": {**config, "name": name}}
    return {**named, "inbound_nodes": [[[node, 0, 0, {}]] for node in nodes]}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([entry("x", kind="InputLayer"), entry("a", "b"), entry("b", "a")], "in a loop"),
        ([entry("x", kind="InputLayer"), entry("a", "bb")], "Missing node: bb"),
    ],
)
def test_calls_that_cannot_be_made_are_refused(found, message):
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["a", 0, 0]]}
    with pytest.raises(ValueError, match=message):
        models.Functional.from_config({"name": "m", "layers": found, **ends})


def test_keras_2_s_form_is_read():
    found = [entry("x", kind="InputLayer"), entry("a", "x"), entry("b", "a")]
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["b", 0, 0]]}
    model = models.Functional.from_config({"name": "m", "layers": found, **ends})
    assert model.predict(np.ones((2, 10))).shape == (2, 10)


def test_what_is_no_json_is_refused():
    with pytest.raises(ValueError, match="expected what to_json gives"):
        models.model_from_json("{")
    x = fastnn.Input((3,))
    with pytest.raises(TypeError, match="cannot be written"):
        fastnn.Model(x, layers.Lambda(lambda x: x)(x)).to_json()
    config = json.loads(two_of_two().to_json())
    for entry in config["config"]["layers"]:
        entry["class_name"] = "Popen"
    with pytest.raises(ValueError, match=r"unknown (class|layer) 'Popen'"):
        models.model_from_json(json.dumps(config))


def test_a_layer_is_built_from_its_build_configuration():
    layer = layers.Concatenate()
    layer([A, B])
    written = json.loads(json.dumps(layer.get_build_config()))
    assert written == {"input_shape": [[None, 3], [None, 4]]}
    dense = layers.Dense(2)
    assert dense.get_build_config() is None
    dense.build_from_config({"input_shape": [None, 3]})
    assert dense.kernel.shape == (3, 2)


class Wrapped(layers.Layer):
    """Keeps its argument in a layer, and says nothing of it."""

    def __init__(self, units, **base):
        super().__init__(**base)
        self.dense = layers.Dense(units)

    def call(self, x):
        return self.dense(x)


class WithParameter(fastnn.Model):
    def __init__(self, *args, parameter=1, **kwargs):
        super().__init__(*args, **kwargs)
        self.parameter = parameter

    def get_config(self):
        return {**super().get_config(), "parameter": self.parameter}


def test_arguments_that_are_no_attributes_and_those_of_a_subclass():
    x = fastnn.Input((3,))
    model = WithParameter(inputs=x, outputs=Wrapped(2)(x), parameter=3)
    custom = {"Wrapped": Wrapped, "WithParameter": WithParameter}
    found = models.model_from_json(model.to_json(), custom_objects=custom)
    assert (found.parameter, found.output_shape) == (3, (None, 2))
