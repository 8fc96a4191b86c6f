"""What the numbers of `tests/keras` leave out: weights of every shape, masks, element types,
targets of one's own, losses in `fit`, and what is refused."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, ops
from fastnn.errors import ShapeError
from fastnn.tensor import set_mask

N, T, C = 6, 3, 2
RNG = np.random.default_rng(0)
Y, P = RNG.normal(size=(2, N, T, C)).astype("f4")
SQUARES = ((Y - P).astype("f8") ** 2).mean(axis=-1)  # (N, T)
WEIGHTS = {
    "one": 2.0,
    "of a list": [0.5],
    "rows": RNG.normal(size=N),
    "column": RNG.normal(size=(N, 1)),
    "steps": RNG.normal(size=(N, T)),
    "steps, a column": RNG.normal(size=(N, T, 1)),
    "the same steps of all": RNG.normal(size=(1, T)),
    "a tensor": fastnn.tensor(RNG.normal(size=(N, T))),
}


def broadcast(weights):
    w = np.asarray(weights, "f8")
    w = w[..., 0] if w.ndim == 3 else w
    return w if w.ndim != 1 or w.size == 1 else w[:, None]


@pytest.mark.parametrize("form", WEIGHTS)
@pytest.mark.parametrize("reduction", losses.base.REDUCTIONS)
def test_weights_of_rows_and_of_parts_of_rows(form, reduction):
    weights = WEIGHTS[form]
    values = SQUARES * broadcast(weights)
    expected = {
        "none": values,
        "sum": values.sum(),
        "mean_with_sample_weight": values.sum() / broadcast(weights).sum(),
    }.get(reduction, values.mean())
    loss = losses.MeanSquaredError(reduction=reduction)
    np.testing.assert_allclose(loss(Y, P, weights).numpy(), expected, rtol=1e-5, atol=1e-6)
    step = fastnn.record(lambda y, p, w: loss(y, p, w))
    given = weights if form == "a tensor" else np.asarray(weights, "f4")
    np.testing.assert_array_equal(step(Y, P, given).numpy(), loss(Y, P, given).numpy())


def test_weights_whose_sum_is_0_give_0():
    loss = losses.MeanSquaredError(reduction="mean_with_sample_weight")
    p = fastnn.tensor(P, requires_gradient=True)
    value = loss(Y, p, np.zeros(N))
    value.backward()
    assert value.item() == 0
    assert not p.gradient.numpy().any()


@pytest.mark.parametrize("shape", [(T,), (N, C), (N, T, C), (N, 1, 1, 1), (0,)])
def test_weights_of_other_shapes_are_refused(shape):
    with pytest.raises(ShapeError, match=r"\(6, 3\), one for each value, or be one number"):
        losses.MeanSquaredError()(Y, P, np.ones(shape))


MASK = np.array([[True, True, False]] * 3 + [[True, False, False]] * 3)


def masked(mask=MASK):
    p = fastnn.tensor(P, requires_gradient=True)
    set_mask(p, fastnn.tensor(mask))
    return p


@pytest.mark.parametrize("weights", [None, WEIGHTS["rows"], WEIGHTS["steps"]])
def test_a_mask_leaves_out_what_is_false(weights):
    values = SQUARES * (1 if weights is None else broadcast(weights))
    p = masked()
    value = losses.MeanSquaredError()(Y, p, weights)
    assert value.item() == pytest.approx(values[MASK].mean(), rel=1e-5)
    value.backward()
    assert not p.gradient.numpy()[~MASK].any()
    total = losses.MeanSquaredError(reduction="sum")(Y, masked(), weights)
    assert total.item() == pytest.approx(values[MASK].sum(), rel=1e-5)
    assert losses.MeanSquaredError()(Y, masked(np.zeros_like(MASK)), weights).item() == 0


def test_ignored_labels_and_a_mask_count_together():
    labels = np.where(RNG.integers(0, 3, (N, T)) == 0, -1, RNG.integers(0, C, (N, T)))
    counts = MASK & (labels >= 0)
    p = P.astype("f8")
    values = np.log(np.exp(p).sum(axis=-1)) - np.take_along_axis(
        p, np.maximum(labels, 0)[..., None], axis=-1
    ).squeeze(-1)
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    assert loss(labels, masked()).item() == pytest.approx(values[counts].mean(), rel=1e-5)


def test_the_element_type_is_the_predictions_unless_told_otherwise():
    p = fastnn.tensor(P.astype("f8"))
    assert losses.Huber()(Y, p).dtype == "float64"
    assert losses.Huber(dtype="float32")(Y, p).dtype == "float32"
    assert losses.Huber(dtype="float64")(Y, fastnn.tensor(P)).dtype == "float64"
    with pytest.raises(TypeError, match="huber_loss: dtype must be float32 or float64"):
        losses.Huber(dtype="int32")


def test_targets_of_ones_own_loss_may_have_any_shape():
    """As of a function; those of the library's have the prediction's."""
    y, p = RNG.normal(size=(N, 3)).astype("f4"), RNG.normal(size=(N, 2)).astype("f4")
    expected = ((p - y[:, :2]) ** 2 * y[:, 2:]).mean(dtype="f8")

    def weighted(y_true, y_pred):
        return ops.mean((y_pred - y_true[:, :2]) ** 2 * y_true[:, 2:], axis=-1)

    assert losses.FunctionLoss(weighted)(y, p).item() == pytest.approx(expected, rel=1e-5)
    model = fastnn.Sequential([fastnn.Input((2,)), layers.Activation("linear")])
    model.compile("sgd", weighted)
    assert model.evaluate(p, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ShapeError, match="y has 6 rows, the predictions have 5"):
        losses.FunctionLoss(weighted)(y, p[:5])


@pytest.mark.parametrize("name", ["mse", "MSE", "mean_squared_error", losses.mean_squared_error])
def test_functions_are_found_by_name_and_train_as_their_classes(name):
    assert losses.get(name) is losses.mean_squared_error
    found = losses.loss_of(name, "loss")
    assert (type(found), found.name) == (losses.MeanSquaredError, "mean_squared_error")
    assert losses.serialize(losses.mean_squared_error) == "mean_squared_error"


def test_time_steps_have_weights_in_fit():
    weights = np.abs(WEIGHTS["steps"]).astype("f4")
    model = fastnn.Sequential([fastnn.Input((T, C)), layers.Dense(C)])
    model.compile(fastnn.optimizers.SGD(0.0), "mse")
    expected = ((model.predict(P) - Y) ** 2).mean(axis=-1) * weights
    history = model.fit(P, Y, 2, verbose=0, sample_weight=weights).history
    assert history["loss"][0] == pytest.approx(expected.mean(), rel=1e-5)
    assert model.evaluate(P, Y, 4, 0, weights) == pytest.approx(expected.mean(), rel=1e-5)
    with pytest.raises(ShapeError, match=r"mean_squared_error: sample_weight.*got \(\d, 2\)"):
        model.fit(P, Y, verbose=0, sample_weight=weights[:, :2])


@pytest.mark.parametrize(
    "make",
    [
        lambda: losses.CategoricalCrossentropy(from_logits=True),
        lambda: losses.SparseCategoricalCrossentropy(from_logits=True),
        lambda: losses.BinaryCrossentropy(from_logits=True),
        lambda: losses.KLDivergence(),
        lambda: losses.CosineSimilarity(),
        lambda: losses.Circle(),
        lambda: losses.LogCosh(),
    ],
)
def test_gradients_are_finite_at_zero_and_far_away(make):
    loss = make()
    for p in (np.zeros((3, 2)), np.array([[1e4, -1e4], [0, 0], [-1e4, 1e4]])):
        p = fastnn.tensor(p.astype("f4"), requires_gradient=True)
        value = loss([0, 1, 1] if loss.takes_labels else [[1, 0], [0, 1], [0, 1]], p)
        if value.requires_gradient:
            value.backward()
            assert np.isfinite(p.gradient.numpy()).all()
        assert np.isfinite(value.item())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.Hinge(reduction="abc"), "hinge: unknown reduction 'abc'; known are"),
        (lambda: losses.Hinge(reduction="means"), "did you mean 'mean'"),
        (lambda: losses.Huber(0), "Huber: delta must be a finite number above 0"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=2), "label_smoothing must lie between"),
        (lambda: losses.CategoricalGeneralizedCrossEntropy(1), "q must lie between 0 and 1"),
        (lambda: losses.dice(Y, P[:1]), r"dice: y_true must have the shape of y_pred, \(1, 3, 2\)"),
        (lambda: losses.categorical_crossentropy(Y, P, axis=3), "axis must be one of the dimen"),
        (lambda: losses.sparse_categorical_crossentropy([0.5], P[0, :1]), "labels must be whole"),
        (lambda: losses.sparse_categorical_crossentropy([2], P[0, :1]), "lie between 0 and 1"),
        (lambda: losses.Circle()([0, 1], P[:2]), "y must hold labels of shape"),
        (lambda: losses.circle([0, 1], P[:2]), "circle: y_pred must hold embeddings"),
        (lambda: losses.loss_of(losses.Hinge("none"), "compile: loss"), "hinge has the reduction"),
        (lambda: losses.get("mean_square_error"), "did you mean 'mean_squared_error'"),
    ],
)
def test_what_is_wrong_is_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
