"""Losses, metrics and optimizers by themselves, without a model, against NumPy in float64."""

import numpy as np
import pytest

import fastnn
from fastnn import activations, losses, metrics, optimizers
from fastnn.errors import ShapeError

CLIP = 1e-7
N, C = 12, 4


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    fastnn.config.set_floatx(request.param)
    return request.param


def rng(seed=0):
    return np.random.default_rng(seed)


def assert_close(got, expected, dtype, terms=1):
    """Within rounding of numbers of size one, of which `terms` are summed."""
    assert np.shape(got) == np.shape(expected)
    bound = 8 * np.finfo(dtype).eps * np.sqrt(terms) * (1 + np.abs(expected))
    assert (np.abs(np.asarray(got, "f8") - expected) <= bound).all()


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# ---- losses: each row's or element's value, in NumPy


def squares(y, p):
    return (y - p) ** 2


def binary(y, p):
    p = np.clip(p, CLIP, 1 - CLIP)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def sparse(y, p):
    p = np.clip(p, CLIP, 1 - CLIP)
    p = p / p.sum(axis=-1, keepdims=True)
    return -np.log(np.take_along_axis(p, y[..., None], axis=-1)[..., 0])


def probabilities(*shape):
    return softmax(rng(1).normal(size=shape))


def labels(*shape):
    return rng(2).integers(0, C, shape)


LOSSES = {
    "squares": (
        losses.MeanSquaredError(),
        squares,
        rng(2).normal(size=(N, C)),
        rng(1).normal(size=(N, C)),
    ),
    "squares of a row": (
        losses.MeanSquaredError(),
        squares,
        rng(2).normal(size=N),
        rng(1).normal(size=N),
    ),
    "squares of images": (
        losses.MeanSquaredError(),
        squares,
        rng(2).normal(size=(N, 2, C)),
        rng(1).normal(size=(N, 2, C)),
    ),
    "binary": (
        losses.BinaryCrossentropy(),
        binary,
        rng(2).integers(0, 2, (N, C)),
        rng(1).uniform(size=(N, C)),
    ),
    "binary between": (
        losses.BinaryCrossentropy(),
        binary,
        rng(2).uniform(size=(N, 1)),
        rng(1).uniform(size=(N, 1)),
    ),
    "binary logits": (
        losses.BinaryCrossentropy(from_logits=True),
        lambda y, z: binary(y, sigmoid(z)),
        rng(2).integers(0, 2, (N, C)),
        rng(1).normal(size=(N, C)),
    ),
    "sparse": (losses.SparseCategoricalCrossentropy(), sparse, labels(N), probabilities(N, C)),
    "sparse sequences": (
        losses.SparseCategoricalCrossentropy(),
        sparse,
        labels(N, 3),
        probabilities(N, 3, C),
    ),
    "sparse unnormalised": (
        losses.SparseCategoricalCrossentropy(),
        sparse,
        labels(N),
        3 * probabilities(N, C),
    ),
    "sparse logits": (
        losses.SparseCategoricalCrossentropy(from_logits=True),
        lambda y, z: sparse(y, softmax(z)),
        labels(N),
        rng(1).normal(size=(N, C)),
    ),
    "function": (
        losses.FunctionLoss(lambda y, p: (y - p) * y),
        lambda y, p: (y - p) * y,
        *rng(3).normal(size=(2, N, C)),
    ),
}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_numpys(name, weighted, dtype):
    loss, formula, y, prediction = LOSSES[name]
    prediction = prediction.astype(dtype)
    rows = formula(y, prediction.astype("f8")).reshape(N, -1).mean(axis=1)
    weights = rng(4).uniform(size=N).astype(dtype) if weighted else None
    expected = (rows * (1 if weights is None else weights)).mean()
    got = loss(y, prediction, weights)
    assert got.shape == ()
    assert got.dtype == dtype
    assert_close(got.item(), expected, dtype, N)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_probabilities_are_kept_away_from_0_and_1(probability, dtype):
    """As Keras does; float32 has no number closer to 1 than 6e-8."""
    p = np.array([[probability]])
    one = np.dtype(dtype).type(1)
    high = -np.log(float(one - (one - np.dtype(dtype).type(CLIP))))
    worst = -np.log(CLIP) if probability == 0 else high
    got = losses.BinaryCrossentropy()([[1 - probability]], p).item()
    assert abs(got - worst) <= 8 * np.finfo(dtype).eps * worst
    both = np.array([[1 - probability, probability]])
    got = losses.SparseCategoricalCrossentropy()([0 if probability else 1], both).item()
    assert abs(got + np.log(CLIP)) <= 8 * np.finfo(dtype).eps * -np.log(CLIP)


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_losses_look_through_the_activation_and_stay_exact(logit):
    """Made of sigmoid and softmax by fastnn, probabilities that round to 0 and 1 lose nothing."""
    z = fastnn.tensor([[logit]], requires_gradient=True)
    target = [[0.0 if logit > 0 else 1.0]]
    loss = losses.BinaryCrossentropy()(target, activations.sigmoid(z))
    assert loss.item() == 200
    loss.backward()
    assert z.gradient.item() == np.sign(logit)
    z = fastnn.tensor([[logit, 0.0]], requires_gradient=True)
    loss = losses.SparseCategoricalCrossentropy()([1 if logit > 0 else 0], activations.softmax(z))
    assert loss.item() == 200
    loss.backward()
    np.testing.assert_array_equal(z.gradient.numpy(), [np.sign(logit) * np.array([1, -1])])


def test_a_class_of_ones_own_is_a_loss():
    class Absolute(losses.Loss):
        def call(self, y_true, y_pred):
            return fastnn.ops.maximum(y_true - y_pred, y_pred - y_true)

    assert Absolute()([[1.0], [4.0]], [[3.0], [3.0]]).item() == 1.5
    model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1)])
    model.compile("sgd", Absolute())
    assert model.fit([[1.0]], [[1.0]], verbose=0).history["loss"][0] >= 0


# ---- metrics

METRICS = {
    "binary": (
        metrics.BinaryAccuracy,
        lambda y, p: ((p > 0.5) == y).mean(axis=-1),
        lambda r, n: r.integers(0, 2, (n, C)),
    ),
    "binary at 0.2": (
        lambda: metrics.BinaryAccuracy(threshold=0.2),
        lambda y, p: ((p > 0.2) == y).mean(axis=-1),
        lambda r, n: r.integers(0, 2, (n, C)),
    ),
    "categorical": (
        metrics.CategoricalAccuracy,
        lambda y, p: y.argmax(axis=-1) == p.argmax(axis=-1),
        lambda r, n: np.eye(C)[r.integers(0, C, n)],
    ),
    "sparse": (
        metrics.SparseCategoricalAccuracy,
        lambda y, p: y == p.argmax(axis=-1),
        lambda r, n: r.integers(0, C, n),
    ),
    "squares": (
        metrics.MeanSquaredError,
        lambda y, p: squares(y, p).mean(axis=-1),
        lambda r, n: r.normal(size=(n, C)),
    ),
}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_means_over_all_rows_they_were_given(name, weighted, dtype):
    make, formula, targets = METRICS[name]
    metric, random = make(), rng(5)
    for _ in range(2):
        assert metric.result() == 0
        total = weight = 0.0
        for n in (5, 1, 8):
            y, p = targets(random, n), random.uniform(size=(n, C)).astype(dtype)
            weights = random.uniform(size=n).astype(dtype) if weighted else np.ones(n)
            got = metric(y, p, sample_weight=weights) if weighted else metric(y, p)
            total, weight = (
                total + (formula(y, p.astype("f8")) * weights).sum(),
                weight + weights.sum(),
            )
            assert_close(got, total / weight, dtype, 14)
            assert metric.result() == got
        metric.reset_state()


def test_the_mean_of_numbers():
    mean = metrics.Mean()
    mean.update_state(3.0)
    mean.update_state([1.0, 2.0], [1.0, 2.0])
    assert mean.result() == (3 + 1 + 4) / 4
    mean.reset_state()
    assert mean.result() == 0


def test_accuracy_in_fit_is_that_of_all_rows_whatever_their_dimensions():
    """Sequences: a label for every step."""
    y, p = rng(2).integers(0, C, (N, 3)), rng(1).normal(size=(N, 3, C)).astype("float32")
    model = fastnn.Sequential([fastnn.Input((3, C)), fastnn.layers.Activation("softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.evaluate(p, y, batch_size=5, verbose=0)
    assert_close(accuracy, (p.argmax(axis=-1) == y).mean(), "float32")
    assert_close(loss, sparse(y, softmax(p.astype("f8"))).mean(), "float32", 3 * N)


@pytest.mark.parametrize(
    ("loss", "units", "expected"),
    [
        ("sparse_categorical_crossentropy", 3, metrics.SparseCategoricalAccuracy),
        ("binary_crossentropy", 1, metrics.BinaryAccuracy),
        ("mse", 1, metrics.BinaryAccuracy),
        ("mse", 3, metrics.CategoricalAccuracy),
    ],
)
def test_accuracy_is_the_one_that_fits_targets_and_predictions(loss, units, expected):
    found = metrics.for_targets("accuracy", losses.loss_of(loss, "").takes_labels, units)
    assert type(found) is expected
    assert found.name == "accuracy"


# ---- optimizers: a step in NumPy, with a dictionary of what is kept


def sgd(step, w, g, kept):
    return w - 0.1 * g


def momentum(step, w, g, kept):
    kept["v"] = 0.9 * kept.get("v", 0) - 0.1 * g
    return w + kept["v"]


def nesterov(step, w, g, kept):
    kept["v"] = 0.9 * kept.get("v", 0) - 0.1 * g
    return w + 0.9 * kept["v"] - 0.1 * g


def adam(step, w, g, kept):
    kept["m"] = 0.8 * kept.get("m", 0) + 0.2 * g
    kept["s"] = 0.95 * kept.get("s", 0) + 0.05 * g**2
    return w - 0.1 * np.sqrt(1 - 0.95**step) / (1 - 0.8**step) * kept["m"] / (
        np.sqrt(kept["s"]) + 1e-3
    )


def rmsprop(step, w, g, kept):
    kept["s"] = 0.8 * kept.get("s", 0) + 0.2 * g**2
    return w - 0.1 * g / np.sqrt(kept["s"] + 1e-3)


OPTIMIZERS = {
    sgd: lambda: optimizers.SGD(0.1),
    momentum: lambda: optimizers.SGD(0.1, momentum=0.9),
    nesterov: lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    adam: lambda: optimizers.Adam(0.1, beta_1=0.8, beta_2=0.95, epsilon=1e-3),
    rmsprop: lambda: optimizers.RMSprop(0.1, rho=0.8, epsilon=1e-3),
}
SHAPES = [(3, 5), (1,), (), (70,), (2, 3, 4)]
STEPS = 6


@pytest.mark.parametrize("how", ["apply", "apply_gradients", "step"])
@pytest.mark.parametrize("update", OPTIMIZERS, ids=lambda f: f.__name__)
def test_optimizers_are_numpys_for_several_steps(update, how, dtype):
    random, optimizer = rng(6), OPTIMIZERS[update]()
    values = [random.normal(size=shape).astype(dtype).astype("f8") for shape in SHAPES]
    variables, kept = [fastnn.Variable(v) for v in values], [{} for _ in SHAPES]
    optimizer.build(variables)
    for step in range(1, STEPS + 1):
        gradients = [random.normal(size=shape).astype(dtype) for shape in SHAPES]
        if how == "apply":
            optimizer.apply(gradients, variables)
        elif how == "apply_gradients":
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
        else:
            sum(fastnn.ops.sum(v * g) for v, g in zip(variables, gradients, strict=True)).backward()
            optimizer.step()
            assert all(v.gradient is None for v in variables)
        values = [
            update(step, v, g.astype("f8"), k)
            for v, g, k in zip(values, gradients, kept, strict=True)
        ]
        assert optimizer.iterations == step
        for variable, value in zip(variables, values, strict=True):
            assert_close(variable.numpy(), value, dtype, step)


def test_a_learning_rate_may_be_assigned_between_steps():
    weight, optimizer = fastnn.Variable([1.0]), optimizers.SGD(0.5)
    for rate, expected in [(0.5, 0.5), (0.25, 0.25), (0.0, 0.25)]:
        optimizer.learning_rate = rate
        optimizer.apply([[1.0]], [weight])
        assert (optimizer.learning_rate, weight.item()) == (rate, expected)


def test_a_variable_without_a_gradient_stays_and_is_named_once():
    used, unused = fastnn.Variable([1.0], name="used"), fastnn.Variable([1.0], name="unused")
    optimizer = optimizers.SGD(0.5)
    optimizer.build([used, unused])
    (used * 1.0).backward()
    with pytest.warns(UserWarning, match="sgd: no gradient reaches unused: the loss does not use"):
        optimizer.step()
    (used * 1.0).backward()
    optimizer.step()
    assert (used.item(), unused.item()) == (0, 1)


def test_a_gradient_that_is_not_finite_changes_nothing():
    weights, optimizer = [fastnn.Variable([1.0, 2.0]), fastnn.Variable([3.0])], optimizers.Adam()
    with pytest.raises(FloatingPointError, match="element 1 is not finite"):
        optimizer.apply([[1.0, np.nan], [1.0]], weights)
    assert [w.numpy().tolist() for w in weights] == [[1, 2], [3]]
    assert optimizer.iterations == 0
    optimizer.apply([[1.0, 1.0], [1.0]], weights)
    assert optimizer.iterations == 1


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda o, w: o.apply([[1.0]]), ValueError, "adam: got 1 gradients for 0 variables"),
        (lambda o, w: o.apply([[1.0]], [w]), ShapeError,
         r"the gradient of 'variable' must have shape \(2\); got \(1\)"),
        (lambda o, w: o.apply([fastnn.tensor([1, 2], dtype="float64")], [w]), TypeError,
         "must be float32, as it is; got float64"),
        (lambda o, w: o.apply([np.ones(2)], [np.ones(2)]), TypeError,
         "expected variables.*got ndarray"),
        (lambda o, w: o.step(), ValueError, r"which variables\? Call optimizer.build"),
        (lambda o, w: (o.build([w]), o.step()), ValueError, "none of its variables has a gradient"),
        (lambda o, w: (o.build([w]), o.build([fastnn.Variable([1.0])])), ValueError,
         "already updates 1 other variables"),
        (lambda o, w: setattr(o, "learning_rate", -1), ValueError,
         "learning_rate must be a finite number from 0 on; got -1"),
        (lambda o, w: optimizers.SGD(np.nan), ValueError, "learning_rate must be a finite number"),
        (lambda o, w: optimizers.SGD("fast"), ValueError,
         "sgd: learning_rate must be a finite number from 0 on; got 'fast'"),
        (lambda o, w: optimizers.SGD([0.1, 0.2]), ValueError, "learning_rate must be a finite"),
        (lambda o, w: optimizers.SGD(momentum=1.5), ValueError,
         "momentum must lie between 0 and 1; got 1.5"),
        (lambda o, w: optimizers.Adam(beta_2=1.0), ValueError,
         "beta_2 must lie between 0 and 1; got 1.0"),
        (lambda o, w: optimizers.Adam(epsilon=0), ValueError,
         "epsilon must be a finite number above 0; got 0"),
        (lambda o, w: optimizers.RMSprop(rho=-0.1), ValueError,
         "rho must lie between 0 and 1; got -0.1"),
    ],
)  # fmt: skip
def test_optimizers_refuse(call, kind, message):
    with pytest.raises(kind, match=message):
        call(optimizers.Adam(), fastnn.Variable([1.0, 2.0]))


Y, P = np.zeros((3, 2)), np.full((3, 2), 0.5)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: losses.MeanSquaredError()(Y, P[:2]), ShapeError,
         "y has 3 rows, the predictions have 2"),
        (lambda: losses.MeanSquaredError()(Y[:, :1], P), ShapeError,
         r"y must hold values of shape \(any, 2\) .* got \(3, 1\)"),
        (lambda: losses.MeanSquaredError()([["a", "b"]], P[:1]), TypeError, "y: expected numbers"),
        (lambda: losses.MeanSquaredError()([[1], [1, 2]], P), ShapeError,
         "y: its rows are not of one length"),
        (lambda: losses.MeanSquaredError()(Y, P, np.ones(2)), ShapeError,
         r"sample_weight must have shape \(3\).* got \(2\)"),
        (lambda: losses.SparseCategoricalCrossentropy()([0, 1, 2], P), ValueError,
         r"between 0 and 1, .* got 2 at \(2,\)"),
        (lambda: losses.SparseCategoricalCrossentropy()([0, 0.5, 1], P), ValueError,
         r"whole numbers; got 0.5 at \(1,\)"),
        (lambda: losses.SparseCategoricalCrossentropy()(Y, P), ShapeError,
         r"One-hot rows are y.argmax\(-1\)"),
        (lambda: metrics.BinaryAccuracy()(Y, P[:2]), ShapeError,
         "binary_accuracy: y has 3 rows, the predictions have 2"),
        (lambda: metrics.SparseCategoricalAccuracy()([0, 1, -1], P), ValueError,
         r"got -1 at \(2,\)"),
        (lambda: metrics.BinaryAccuracy()(Y, P, np.ones(2)), ShapeError,
         r"sample_weight must have shape \(3\), one .*; got \(2\)"),
        (lambda: losses.get(3), TypeError,
         "loss: expected a name, .*, a fastnn.losses.Loss or a function; got 3"),
        (lambda: losses.Loss()(Y, P), TypeError, "Loss does not define call"),
    ],
)  # fmt: skip
def test_losses_and_metrics_refuse(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


class OfTwo(fastnn.losses.Loss):
    """A loss of two outputs, in a list or a dictionary."""

    def call(self, y_true, y_pred):
        keys = ("a", "b") if isinstance(y_pred, dict) else (0, 1)
        return sum(fastnn.ops.mean(abs(y_true[k] - y_pred[k]), axis=-1) for k in keys)


def test_a_loss_of_ones_own_takes_several_outputs():
    rng = np.random.default_rng(0)
    y, p = ([rng.normal(size=(5, n)) for n in (1, 3)] for _ in range(2))
    weights = rng.uniform(size=5)
    values = sum(np.abs(a - b).mean(-1) for a, b in zip(y, p, strict=True))
    loss = OfTwo(reduction="sum")
    for wrap in (lambda pair: pair, lambda pair: dict(zip("ab", pair, strict=True))):
        np.testing.assert_allclose(loss(wrap(y), wrap(p)).numpy(), values.sum(), rtol=1e-6)
        found = loss(wrap(y), wrap(p), weights).numpy()
        np.testing.assert_allclose(found, (weights * values).sum(), rtol=1e-6)
    with pytest.raises(TypeError, match="expected numbers; got objects"):
        fastnn.losses.MeanSquaredError()({"a": y[0]}, {"a": p[0]})


def test_a_models_own_compute_loss_is_given_the_targets_of_all_outputs():
    class Two(fastnn.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = fastnn.layers.Dense(1), fastnn.layers.Dense(2)
            self.loss_of_both = OfTwo()

        def call(self, x):
            return [self.a(x), self.b(x)]

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return self.loss_of_both(y, y_pred)

    x = np.random.default_rng(0).normal(size=(32, 3)).astype("f4")
    model = Two()
    model.compile("sgd")
    history = model.fit(x, [x[:, :1], x[:, 1:]], epochs=3, verbose=0).history
    assert list(history) == ["loss"]
    assert history["loss"][-1] < history["loss"][0]
