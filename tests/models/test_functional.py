"""Functional models: built by calling layers and ops on symbolic tensors."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.errors import ShapeError

RNG = np.random.default_rng(0)
A, B = RNG.random((40, 3)).astype("float32"), RNG.random((40, 4)).astype("float32")
Y, LABELS = RNG.random((40, 1)).astype("float32"), RNG.integers(0, 3, 40)


def two_of_two():
    """Two inputs, a layer shared by two calls, ops, a nested model, two outputs."""
    a, b = fastnn.Input((3,), name="a"), fastnn.Input((4,), name="b")
    shared = layers.Dense(5, activation="tanh", name="shared")
    h = shared(a) + shared(ops.matmul(b, np.ones((4, 3), "float32")))
    h = layers.BatchNormalization(name="bn")(h)
    inner = fastnn.Sequential([fastnn.Input((5,)), layers.Dense(4, "relu", name="i")], name="inner")
    h = inner(h)
    p = layers.Dense(1, name="p")(h)
    q = layers.Dense(3, activation="softmax", name="q")(h)
    model = fastnn.Model([a, b], [p, q])
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.random(weight.shape).astype("float32") * 0.3 + 0.1)
    return model


def compiled(model):
    model.compile(
        "sgd",
        loss={"p": "mse", "q": "sparse_categorical_crossentropy"},
        loss_weights={"p": 0.5, "q": 2.0},
        metrics={"q": ["accuracy"]},
    )
    return model


def test_training_evaluation_and_prediction_are_keras_s():
    """Numbers of Keras 3.15 (JAX) for the same program."""
    model = compiled(two_of_two())
    history = model.fit(
        {"a": A, "b": B},
        {"p": Y, "q": LABELS},
        epochs=2,
        batch_size=8,
        shuffle=False,
        verbose=0,
        validation_data=([A, B], [Y, LABELS]),
    ).history
    expected = {
        "loss": [2.3802, 2.3427],
        "p_loss": [0.3565, 0.2869],
        "q_loss": [1.101, 1.0996],
        "q_accuracy": [0.325, 0.325],
        "val_loss": [3.0331, 2.834],
        "val_p_loss": [1.6754, 1.2849],
        "val_q_loss": [1.0977, 1.0958],
        "val_q_accuracy": [0.4, 0.4],
    }
    assert set(history) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, atol=1e-4, err_msg=name)
    found = model.evaluate([A, B], [Y, LABELS], verbose=0)
    np.testing.assert_allclose(found, [2.834, 1.2849, 1.0958, 0.4], atol=1e-4)
    p, q = model.predict((A[:2], B[:2]))
    np.testing.assert_allclose(p, [[1.5645], [1.6041]], atol=1e-4)
    np.testing.assert_allclose(q[0], [0.353, 0.3168, 0.3301], atol=1e-4)


def test_layers_stand_in_keras_s_order():
    model = two_of_two()
    named = [layer.name for layer in model.layers]
    assert named == ["b", "a", "shared", "bn", "inner", "p", "q"]
    assert model.get_layer("inner").layers[0].name == "i"
    assert (model.input_shape, model.output_shape) == (
        [(None, 3), (None, 4)],
        [(None, 1), (None, 3)],
    )
    assert model.count_params() == 84


def test_what_is_between_inputs_and_outputs_is_a_model_too():
    model = two_of_two()
    features = fastnn.Model(model.inputs, model.get_layer("bn").output)
    head = fastnn.Model(model.get_layer("bn").output, model.output)
    assert [layer.name for layer in head.layers][1:] == ["inner", "p", "q"]
    whole, parts = model.predict([A, B]), head.predict(features.predict([A, B]))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


def test_models_are_called_on_symbolic_tensors():
    model, a = two_of_two(), fastnn.Input((3,))
    one = fastnn.Model(a, a * 2.0)
    assert one([a]).shape == one({a.name: a}).shape == (None, 3)
    outer = fastnn.Model(a, model({"a": a, "b": layers.Dense(4)(a)}))
    assert [t.shape for t in outer.outputs] == [(None, 1), (None, 3)]
    given = [A, outer.layers[1](A).numpy()]
    np.testing.assert_array_equal(outer.predict(A)[1], model.predict(given)[1])
    assert {id(w) for w in model.weights} <= {id(w) for w in outer.weights}


class Scaled(fastnn.Model):
    """A subclass within a functional model."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x, factor, training=None):
        y = self.dense(x) * factor
        return {"y": y, "twice": (y * 2.0, y * 0.0 if training else y)}


def test_structures_arguments_and_training_reach_the_layers():
    x, factor = fastnn.Input((3,)), fastnn.Input((1,))
    found = Scaled()(x, factor=factor)
    assert found["twice"][0].shape == (None, 2)
    model = fastnn.Model({"x": x, "factor": factor}, {"out": found["twice"], "y": [found["y"]]})
    given = {"x": A, "factor": Y}
    once = model(given)
    np.testing.assert_array_equal(once["out"][0].numpy(), 2 * once["y"][0].numpy())
    assert not model(given, training=True)["out"][1].numpy().any()
    np.testing.assert_allclose(model.predict(given)["out"][0], once["out"][0].numpy(), rtol=1e-6)


def test_training_that_was_said_stays():
    x = fastnn.Input((30,))
    model = fastnn.Model(x, layers.Dropout(0.5, seed=0)(x, training=True))
    assert not model(np.ones((2, 30), "float32"), training=False).numpy().all()


class Own(fastnn.Model):
    """A subclass that is made of symbolic tensors, as in Keras's guides."""

    def predict_twice(self, x):
        return 2 * self.predict(x)


def test_a_subclass_of_symbolic_tensors():
    x = fastnn.Input((3,))
    model = Own(inputs=x, outputs=layers.Dense(1, kernel_initializer="ones")(x), name="own")
    np.testing.assert_allclose(model.predict_twice(A)[:, 0], 2 * A.sum(1), rtol=1e-5)
    assert (type(model), model.name) == (Own, "own")


def test_shapes_are_worked_out_with_any_extent():
    x = fastnn.Input((None, 6))
    assert ops.reshape(x, (-1, 3)).shape == (None, 3)
    assert ops.sum(x, axis=1).shape == (None, 6)
    assert x[:, -1, None].shape == (None, 1, 6)
    assert (x[0] > 1.0).dtype == "bool"
    assert layers.Dense(2)(x).shape == (None, None, 2)
    assert fastnn.Input((6,), batch_size=5)[1:].shape == (4, 6)
    assert ops.transpose(x, axes=(2, 0, 1)).shape == (6, None, None)


def test_functions_of_lists_and_of_several_results():
    a, b, t = fastnn.Input((3,)), fastnn.Input((4,)), fastnn.Input((None, 4))
    joined = ops.concatenate([a, b], axis=-1)
    parts = ops.split(joined, [2, 5], axis=-1)
    soft = fastnn.activations.softmax(t, axis=1)
    model = fastnn.Model([a, b, t], [joined, *parts[::-1], ops.stack([a, 2.0 * a], axis=1), soft])
    assert [x.shape[1:] for x in model.outputs] == [(7,), (2,), (3,), (2,), (2, 3), (None, 4)]
    both = np.concatenate([A, B], axis=1)
    found = model.predict([A, B, np.ones((40, 5, 4), "float32")])
    np.testing.assert_array_equal(found[0], both)
    np.testing.assert_array_equal(found[2], both[:, 2:5])
    np.testing.assert_allclose(found[5], 0.2, rtol=1e-6)
    assert ops.shape(t) == (None, None, 4)
    assert fastnn.activations.softmax([[1.0, 1.0]]).shape == (1, 2)


def test_weights_of_what_is_built_together_lie_together():
    model = two_of_two()
    built = [model.get_layer(name) for name in ("shared", "bn", "p", "q")]
    assert len({id(v.chunk) for layer in built for v in layer.trainable_weights}) == 1
    assert two_of_two().weights[0].chunk is not model.weights[0].chunk


def test_integers_scalars_and_a_last_extent_of_one():
    n, s = fastnn.Input((1,), dtype="int64"), fastnn.Input(())
    model = fastnn.Model([n, s], [n * 2, s[:, None] * 3.0])
    big = np.array([[2**40 + 1]])
    found = model.predict([big, np.ones((1, 1))])
    assert found[0].dtype == "int64"
    assert found[0] == model.predict([big[:, 0], np.ones(1)])[0]
    x = fastnn.Input((3, 1))
    assert fastnn.Model(x, x * 1.0).predict(A).shape == (40, 3, 1)
    x = fastnn.Input((3,))
    assert fastnn.Model(x, x * 1.0)(A[:, :, None]).shape == (40, 3)


def test_the_same_bits_eagerly_recorded_and_copied():
    model = compiled(two_of_two())
    model.fit([A, B], [Y, LABELS], epochs=1, verbose=0, shuffle=False)
    eager = compiled(two_of_two())
    eager.run_eagerly = True
    eager.fit([A, B], [Y, LABELS], epochs=1, verbose=0, shuffle=False)
    for copied in (eager, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        for one, other in zip(model.get_weights(), copied.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert [t.shape for t in copied.inputs] == [(None, 3), (None, 4)]
    features = fastnn.Model(copied.inputs, copied.get_layer("bn").output)
    wanted = fastnn.Model(model.inputs, model.get_layer("bn").output)
    np.testing.assert_array_equal(features.predict([A, B]), wanted.predict([A, B]))
    copied.fit([A, B], [Y, LABELS], epochs=1, verbose=0)
    assert any((copied.get_weights()[0] != model.get_weights()[0]).ravel())


def test_inputs_that_nothing_needs_and_outputs_that_are_inputs():
    a, b = fastnn.Input((3,), name="a"), fastnn.Input((4,), name="b")
    model = fastnn.Model({"a": a, "b": b}, [b, a * 2.0])
    with pytest.warns(UserWarning, match="'more' is given, which is no input"):
        found = model({"a": A, "b": B, "more": 1})
    np.testing.assert_array_equal(found[0].numpy(), B)
    assert [layer.name for layer in fastnn.Model([a, b], a * 2.0).layers] == ["a", "b"]


class Sum(layers.Layer):
    def call(self, x, y=None):
        return x if y is None else x + y


def test_an_input_may_be_optional():
    a, b = fastnn.Input((3,), name="a"), fastnn.Input((3,), name="b", optional=True)
    model = fastnn.Model([a, b], Sum()(a, b))
    np.testing.assert_array_equal(model([A, None]).numpy(), A)
    np.testing.assert_array_equal(model.predict([A, None]), A)
    np.testing.assert_array_equal(model.predict({"a": A, "b": A}), 2 * A)
    with pytest.raises(ValueError, match="input 'a' is not optional, but got None"):
        model([None, A])
    assert fastnn.models.clone_model(model).get_config() == model.get_config()


def test_a_list_for_inputs_by_name_is_taken_in_their_order():
    a, b = fastnn.Input((3,)), fastnn.Input((4,))
    model = fastnn.Model({"a": a, "b": b}, [a * 1.0, b * 1.0])
    with pytest.warns(UserWarning, match="a list is taken for the inputs"):
        np.testing.assert_array_equal(model.predict([A, B])[1], B)
    with pytest.raises(ValueError, match="not clear what stands for what"):
        fastnn.Model({"b": b, "a": a}, [a * 1.0, b * 1.0])([A, B])


def test_a_functional_model_is_a_sequential_one_s_first_layer():
    x = fastnn.Input((3,))
    base = fastnn.Model(x, layers.Dense(5)(x))
    model = fastnn.Sequential([base, layers.Dense(2)])
    assert (model.input_shape, model.output_shape) == ((None, 3), (None, 2))
    with pytest.raises(ValueError, match="already been configured"):
        model.add(fastnn.Input((3,)))
    with pytest.raises(AttributeError, match="`layers` is a name"):
        model.layers = []


def test_a_step_of_a_functional_model_may_be_recorded():
    model = two_of_two()
    step = fastnn.record(lambda a, b: model([a, b])[0])
    np.testing.assert_array_equal(step(A, B).numpy(), model([A, B])[0].numpy())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda a, b: fastnn.Model(b, a + a),
            ValueError,
            "the input 'a' .* these are 'b'",
        ),
        (lambda a, b: fastnn.Model(a, "x"), ValueError, "outputs must be a symbolic tensor"),
        (lambda a, b: fastnn.Model([a, a], a), ValueError, "same tensor stands for two"),
        (lambda a, b: fastnn.Model(a), ValueError, "no outputs"),
        (lambda a, b: layers.Dense(2, name="d")(a[:, 0]), ShapeError, r"'d'.*got \(any\)"),
        (lambda a, b: ops.add(a, b[:, 1:] * 1.0) if ops.add(a, b) else 0, ShapeError, "add"),
        (lambda a, b: layers.Dense(2)([a, a]), TypeError, "takes one tensor; got a list of 2"),
        (lambda a, b: bool(a), TypeError, "has no values"),
        (lambda a, b: np.asarray(a), TypeError, "has no values"),
        (lambda a, b: list(a), TypeError, "has no values"),
        (
            lambda a, b: fastnn.Model(a, layers.Dense(1, name="x")(layers.Dense(2, name="x")(a))),
            ValueError,
            "2 of its layers are called 'x'",
        ),
        (lambda a, b: fastnn.Model([a, b], b)(A), ValueError, "a list of 2 entries"),
        (
            lambda a, b: fastnn.Model([a, b], b)([B, B]),
            ShapeError,
            r"'a' must have shape \(any, 3\)",
        ),
        (lambda a, b: fastnn.Model([a, b], b)({"a": A}), ValueError, "'b' is missing"),
        (lambda a, b: fastnn.Model([a, b], b).predict([A, B[:3]]), ValueError, "as many rows"),
        (
            lambda a, b: fastnn.Model([a, b], b).predict([A, A]),
            ShapeError,
            r"'b' must .* \(40, 3\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, error, message):
    a, b = fastnn.Input((3,), name="a"), fastnn.Input((4,), name="b")
    with pytest.raises(error, match=message):
        make(a, b)


@pytest.mark.filterwarnings("ignore:sgd. no gradient reaches")
def test_a_list_of_one_loss_is_that_loss():
    model = two_of_two()
    model.compile("sgd", {"p": ["mse"]}, metrics={"p": ["mae"]}, weighted_metrics={"p": ["mae"]})
    names = ["loss", "p_loss", "p_mae", "p_weighted_mae"]
    assert list(model.fit([A, B], {"p": Y}, verbose=0).history) == names
    x = fastnn.Input((3,))
    one = fastnn.Model(x, layers.Dense(1)(x))
    one.compile("sgd", ["mse"])
    assert list(one.fit(A, Y, verbose=0).history) == ["loss"]
    model.compile("sgd", ["mse", ["mse", "mae"]])
    with pytest.raises(ValueError, match="loss: expected one for each output; got 2 for one"):
        model.fit([A, B], [Y, LABELS], verbose=0)


def test_an_unknown_output_is_refused():
    model = two_of_two()
    model.compile("sgd", {"r": "mse"})
    with pytest.raises(ValueError, match="no output 'r'"):
        model.fit([A, B], [Y, LABELS])


def test_predictions_have_the_results_element_type():
    x = fastnn.Input((4,))
    model = fastnn.Model(x, ops.argmax(x, axis=1))
    found = model.predict(np.eye(3, 4, dtype="float32"), verbose=0)
    assert found.dtype == "int64"
    np.testing.assert_array_equal(found, [0, 1, 2])


def test_masks_are_outputs_too(tmp_path):
    """What compute_mask gives of a symbolic tensor, and what stands for the mask that one has."""
    steps, ids = fastnn.Input((4, 3)), fastnn.Input((4,), dtype="int32")
    masking, embedding = layers.Masking(), layers.Embedding(5, 2, mask_zero=True)
    outputs = [masking.compute_mask(steps), embedding(ids)._keras_mask, embedding.compute_mask(ids)]
    model = fastnn.Model([steps, ids], outputs)
    x, n = np.array([[[0, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1]]], "f4"), np.array([[0, 2, 1, 0]])
    model.save(tmp_path / "m.fastnn")
    for one in (model, fastnn.load_model(tmp_path / "m.fastnn")):
        found = one.predict([x, n], verbose=0)
        np.testing.assert_array_equal(found[0], [[False, True, False, True]])
        np.testing.assert_array_equal(found[1], n != 0)
        np.testing.assert_array_equal(found[2], n != 0)
    with pytest.raises(ValueError, match="outputs must be symbolic tensors; got None among them"):
        fastnn.Model(ids, [ids, None])


@pytest.mark.parametrize("rows", [1, 3])
def test_a_batch_shape_is_the_size_of_every_batch(rows):
    """What goes across rows does so within a batch, whatever is predicted, measured or trained."""
    x = fastnn.Input(batch_shape=(rows, 2))
    centred = layers.Lambda(lambda x: x - ops.mean(x, axis=0, keepdims=True))(x)
    model = fastnn.Model(x, layers.Dense(1)(centred))
    model.compile("sgd", "mse")
    data, target = np.random.default_rng(0).normal(size=(6, 2)), np.ones((6, 1))
    expected = np.concatenate([model(data[i : i + rows]).numpy() for i in range(0, 6, rows)])
    loss = float(np.mean((expected - 1) ** 2))
    for size in (None, rows):
        np.testing.assert_allclose(model.predict(data, batch_size=size), expected, rtol=1e-6)
        found = model.evaluate(data, target, batch_size=size, verbose=0)
        assert found == pytest.approx(loss, rel=1e-6)
    model.fit(data, target, validation_split=0.5, verbose=0)
    with pytest.raises(ValueError, match=f"batch_size must be {rows}, for which model 'functional"):
        model.predict(data, batch_size=2)
    with pytest.raises(ShapeError, match=rf"must have shape \({rows}, 2\); got \(6, 2\)"):
        model.predict_on_batch(data)
    if rows > 1:
        for use in (model.predict, lambda x: model.evaluate(x, target[:4], verbose=0)):
            with pytest.raises(ShapeError, match="4 rows do not make whole batches of 3, for"):
                use(data[:4])
