"""Models that take and return lists, tuples and dictionaries: training, evaluation, prediction."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, tree

ROWS = 50
RNG = np.random.default_rng(0)
X = {"u": RNG.normal(size=(ROWS, 4)).astype("float32"), "v": [RNG.normal(size=(ROWS, 2))]}
Y = {"value": X["u"][:, :1], "kind": (X["v"][0][:, 0] > 0).astype(int)}
SPARSE = "sparse_categorical_crossentropy"
LOSSES = {"value": "mse", "kind": SPARSE}


class Pair(fastnn.Model):
    """Two inputs, one of them within a list, and two outputs, in a dictionary or a list."""

    def __init__(self, form=lambda value, kind: {"value": value, "kind": kind}, **base):
        super().__init__(**base)
        self.form = form
        self.hidden = [layers.Dense(8, "relu"), layers.Dense(8, "relu")]
        self.value, self.kind = layers.Dense(1), layers.Dense(2, "softmax")

    def call(self, x):
        h = self.hidden[0](x["u"]) + self.hidden[1](x["v"][0])
        return self.form(self.value(h), self.kind(h))


def compiled(form=None, loss=LOSSES, **arguments):
    fastnn.utils.set_random_seed(0)
    model = Pair(name="pair") if form is None else Pair(form, name="pair")
    model.compile("adam", loss, **arguments)
    return model


def rows(structure, part):
    return tree.map(lambda a: a[part], structure)


def test_the_loss_is_the_weighted_sum_of_the_outputs_losses():
    model = compiled(
        loss_weights={"kind": 2.0, "value": None}, metrics={"kind": "accuracy", "value": ["mae"]}
    )
    history = model.fit(X, Y, epochs=3, verbose=0, validation_split=0.2).history
    names = ["loss", "kind_loss", "value_loss", "kind_accuracy", "value_mae"]
    assert sorted(history) == sorted([*names, *[f"val_{n}" for n in names]])
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert sorted(found) == sorted(names)
    predicted = model.predict(X)
    assert found["value_loss"] == pytest.approx(np.square(predicted["value"] - Y["value"]).mean())
    chosen = predicted["kind"][np.arange(ROWS), Y["kind"]]
    assert found["kind_loss"] == pytest.approx(-np.log(chosen).mean(), rel=1e-5)
    assert found["loss"] == pytest.approx(found["value_loss"] + 2 * found["kind_loss"])
    assert found["kind_accuracy"] == pytest.approx((chosen > 0.5).mean())
    assert history["loss"][-1] < history["loss"][0]


def test_eager_and_recorded_training_have_the_same_bits():
    results = []
    for eager in (False, True):
        model = compiled(run_eagerly=eager)
        model.fit(X, Y, epochs=2, verbose=0, batch_size=16)
        results.append([*model.get_weights(), *model.predict(X).values()])
    for native, eager in zip(*results, strict=True):
        np.testing.assert_array_equal(native, eager)


@pytest.mark.parametrize("form", [lambda *r: list(r), lambda *r: r], ids=["list", "tuple"])
def test_lists_and_tuples_give_what_dictionaries_give(form):
    y = list(Y.values())
    first = compiled()
    one = first.fit(X, Y, epochs=2, verbose=0).history
    second = compiled(form, list(LOSSES.values()))
    other = second.fit(X, y, epochs=2, verbose=0).history
    assert list(other) == ["loss", "output_1_loss", "output_2_loss"]
    assert other["loss"] == pytest.approx(one["loss"])
    predicted = second.predict(X)
    assert type(predicted) is type(form())
    np.testing.assert_allclose(predicted[0], first.predict(X)["value"], rtol=1e-6)


@pytest.mark.parametrize("count", [1, 3, 32, 33, 50])
def test_predictions_of_any_number_of_rows(count):
    model = compiled()
    part = rows(X, slice(0, count))
    eager, found = model(part), model.predict(part)
    for name in Y:
        np.testing.assert_allclose(found[name], eager[name].numpy(), rtol=1e-5, atol=1e-6)


def test_callbacks_are_told_of_all_outputs():
    class Note(fastnn.callbacks.Callback):
        def on_predict_batch_end(self, batch, logs=None):
            seen.append({name: array.shape for name, array in logs["outputs"].items()})

    seen = []
    compiled().predict(X, callbacks=[Note()])
    assert seen == [{"value": (n, 1), "kind": (n, 2)} for n in (32, 18)]


def test_an_output_without_a_loss_is_not_trained():
    model = compiled(loss={"value": "mse", "kind": None})
    model.predict(X)
    before = model.kind.get_weights()
    with pytest.warns(UserWarning, match="no gradient reaches kernel, bias"):
        history = model.fit(X, {"value": Y["value"], "kind": None}, epochs=1, verbose=0).history
    assert list(history) == ["loss", "value_loss"]
    for array, was in zip(model.kind.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, was)


def test_one_loss_is_for_all_outputs():
    model = compiled(loss="mse")
    y = {"value": Y["value"], "kind": np.eye(2)[Y["kind"]]}
    found = model.evaluate(X, y, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(found["value_loss"] + found["kind_loss"])


def test_sample_weights_for_all_outputs_or_for_each():
    weight = RNG.uniform(size=ROWS).astype("float32")
    model = compiled()
    whole = model.evaluate(X, Y, sample_weight=weight, verbose=0)
    each = model.evaluate(X, Y, sample_weight={"value": weight, "kind": weight}, verbose=0)
    assert whole == each
    one = model.evaluate(
        X, Y, sample_weight={"value": weight, "kind": None}, verbose=0, return_dict=True
    )
    assert one["value_loss"] == whole[2]
    assert one["kind_loss"] != whole[1]


def test_losses_and_their_weights_may_change():
    model = compiled(loss_weights={"value": 1.0, "kind": 1.0})
    found = model.evaluate(X, Y, verbose=0)
    model.loss_weights["value"] = 0.0
    assert model.evaluate(X, Y, verbose=0)[0] == pytest.approx(found[1])
    model.loss = {**model.loss, "kind": None}
    assert model.evaluate(X, {**Y, "kind": None}, verbose=0)[0] == 0


def fit(x=X, y=Y, model=None, **arguments):
    return (model or compiled()).fit(x, y, verbose=0, **arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit(y=[1, 2, 3]), r"^y: expected a dictionary of \['value', 'kind'\]; got a list"),
        (lambda: fit(y={**Y, "kind": Y["kind"][:9]}), r"x and y\['kind'\] must have as many rows"),
        (lambda: fit({**X, "u": X["u"][:9]}), r"x and x\['v'\]\[0\] must have as many rows"),
        (lambda: fit({**X, "u": X["u"] * np.nan}), r"x\['u'\] has 200 values that are NaN"),
        (lambda: compiled().predict({**X, "u": X["u"] * np.nan}), r"x\['u'\] has 200 values"),
        (lambda: fit({**X, "u": "a"}), r"x\['u'\]: expected numbers"),
        (lambda: fit([]), r"x: there is no array in \[\]"),
        (lambda: fit(model=compiled(loss={"kinds": "mse"})), r"^loss: .* no output 'kinds'; did"),
        (lambda: fit(y={"value": Y["value"]}), r"^y\['kind'\] is missing: .* has a loss"),
        (lambda: fit(model=compiled(metrics=["mae"])), r"^metrics: expected a dictionary"),
        (
            lambda: fit(sample_weight=[np.ones(ROWS)]),
            r"^sample_weight: expected a dictionary of \['value', 'kind'\]; got a list",
        ),
        (
            lambda: fit(model=compiled(metrics={"value": [], "kind": ["mae"]})),
            "metric 'mae' takes values of the prediction's shape, the loss .* labels",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_a_structure_for_the_one_output_of_a_model_is_refused():
    model = fastnn.Sequential([layers.Dense(1)])
    model.compile("sgd", {"a": "mse"})
    with pytest.raises(ValueError, match="loss: the model has one output, and needs no dict for"):
        model.fit(X["u"], Y["value"], verbose=0)


def test_lists_for_outputs_in_a_dictionary_are_in_the_order_of_names():
    """As in Keras."""
    x = fastnn.Input((3,))
    model = fastnn.Model(x, {"b": layers.Dense(1)(x), "a": layers.Dense(2)(x)})
    rows, a, b = np.ones((8, 3)), np.ones((8, 2)), np.zeros((8, 1))
    start = model.get_weights()

    def losses(loss, y):
        model.compile("sgd", loss)
        model.set_weights(start)
        return model.fit(rows, y, verbose=0).history

    assert losses(["mse", "mae"], [a, b]) == losses({"a": "mse", "b": "mae"}, {"a": a, "b": b})
