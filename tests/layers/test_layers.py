"""Layers and models as they stand: what they compute, what weights they have, how they are put
together."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import activations, initializers, layers

DTYPES = ("float32", "float64")


@pytest.fixture(params=DTYPES)
def dtype(request):
    fastnn.config.set_floatx(request.param)
    return request.param


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def assert_close(got, expected, terms=1):
    """Within rounding of numbers of size one, of which `terms` are summed."""
    eps = np.finfo(got.dtype).eps
    assert got.shape == expected.shape
    assert (np.abs(got - expected) <= 8 * eps * np.sqrt(terms) * (1 + np.abs(expected))).all()


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def swish(z):
    return z / (1 + np.exp(-z))


ACTIVATIONS = {
    None: lambda z: z,
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "exponential": np.exp,
    "softmax": softmax,
    "elu": lambda z: np.where(z > 0, z, np.expm1(z)),
    "gelu": lambda z: z * (1 + np.vectorize(math.erf)(z / math.sqrt(2))) / 2,
    "silu": swish,
    "swish": swish,
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "hard_sigmoid": lambda z: np.clip(z / 6 + 0.5, 0, 1),
    lambda z: z * activations.sigmoid(z): swish,
}
NAMES = [getattr(a, "__name__", str(a)).strip("<>") for a in ACTIVATIONS]


# ---- what layers compute


@pytest.mark.parametrize("use_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("shape", [(7, 5), (1, 5), (4, 3, 5), (2, 1, 3, 5)], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=NAMES)
def test_dense_is_numpys(activation, shape, use_bias, dtype):
    layer = layers.Dense(
        6,
        activation=activation,
        use_bias=use_bias,
        bias_initializer=initializers.RandomNormal(stddev=1.0),
    )
    x = draw(*shape).astype(dtype)
    got = layer(x).numpy()
    assert got.dtype == dtype
    kernel, *bias = [w.astype("float64") for w in layer.get_weights()]
    assert [w.shape for w in (kernel, *bias)] == [(5, 6), (6,)][: 1 + use_bias]
    assert_close(got, ACTIVATIONS[activation](x @ kernel + sum(bias)), terms=5)
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *shape[1:-1], 6)


@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 3)], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=NAMES)
def test_activations_alone_and_as_layers_are_numpys(activation, shape, dtype):
    x = draw(*shape).astype(dtype)
    expected = ACTIVATIONS[activation](x.astype("float64"))
    assert_close(activations.get(activation)(x).numpy(), expected, terms=3)
    assert_close(layers.Activation(activation)(x).numpy(), expected, terms=3)


def test_elu_takes_its_limit_and_gelu_its_approximation(dtype):
    z = np.linspace(-5, 5, 41).astype(dtype)
    exact = z.astype("float64")
    assert_close(
        activations.elu(z, alpha=0.5).numpy(), np.where(exact > 0, exact, np.expm1(exact) / 2)
    )
    by_tanh = exact * (1 + np.tanh(math.sqrt(2 / math.pi) * (exact + 0.044715 * exact**3))) / 2
    assert_close(activations.gelu(z, approximate=True).numpy(), by_tanh)
    assert np.abs(by_tanh - activations.gelu(exact).numpy()).max() < 5e-4


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.ReLU(), lambda x: np.maximum(x, 0)),
        (layers.ReLU(max_value=0.5), lambda x: np.clip(x, 0, 0.5)),
        (layers.ReLU(max_value=0), lambda x: 0 * x),
        (layers.Softmax(), softmax),
        (layers.InputLayer((4,)), lambda x: x),
    ],
    ids=["relu", "relu to 0.5", "relu to 0", "softmax", "input"],
)
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)], ids=str)
def test_layers_without_weights_are_numpys(layer, expected, shape):
    x = draw(*shape).astype("float32")
    assert_close(layer(x).numpy(), expected(x.astype("float64")), terms=4)
    assert layer.weights == []
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *shape[1:])


def test_relu_with_a_maximum_has_no_gradient_beyond_it():
    x = fastnn.tensor([[-1.0, 0.25, 2.0]], requires_gradient=True)
    layers.ReLU(max_value=0.5)(x).backward([[1.0, 1.0, 1.0]])
    np.testing.assert_array_equal(x.gradient.numpy(), [[0, 1, 0]])


# ---- batch normalisation


def normalised(x, gamma, beta, mean, variance):
    return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta


@pytest.mark.parametrize("shape", [(8, 3), (4, 5, 3)], ids=str)
@pytest.mark.parametrize(
    ("scale", "center"), [(True, True), (False, True), (True, False), (False, False)]
)
def test_batch_normalization_follows_its_formula_through_several_batches(
    scale, center, shape, dtype
):
    start = dict.fromkeys(
        ("gamma_initializer", "beta_initializer"), initializers.RandomNormal(1.0, 0.5)
    )
    layer = layers.BatchNormalization(momentum=0.9, scale=scale, center=center, **start)
    moving, weights = np.array([np.zeros(3), np.ones(3)]), None
    for number in range(4):
        x = draw(*shape, seed=number).astype(dtype)
        rows = x.reshape(-1, 3).astype("float64")
        got = layer(x, training=True).numpy()
        weights = dict(zip([w.name for w in layer.weights], layer.get_weights(), strict=True))
        assert list(weights) == ["gamma"] * scale + ["beta"] * center + [
            "moving_mean",
            "moving_variance",
        ]
        batch = np.array([rows.mean(axis=0), rows.var(axis=0)])
        moving = 0.9 * moving + 0.1 * batch
        gamma, beta = weights.get("gamma", 1.0), weights.get("beta", 0.0)
        assert_close(got, normalised(x, gamma, beta, *batch), terms=len(rows))
        assert_close(weights["moving_mean"], moving[0], terms=len(rows))
        assert_close(weights["moving_variance"], moving[1], terms=len(rows))
    x = draw(*shape, seed=9).astype(dtype)
    for training in (False, None):
        assert_close(
            layer(x, training=training).numpy(),
            normalised(x, gamma, beta, *moving),
            terms=len(rows),
        )
    assert [v.name for v in layer.trainable_weights] == ["gamma"] * scale + ["beta"] * center


def test_frozen_batch_normalization_infers_even_in_training():
    layer = layers.BatchNormalization(trainable=False)
    x = draw(8, 3).astype("float32")
    y = layer(x, training=True).numpy()
    assert_close(y, normalised(x.astype("float64"), 1, 0, 0, 1))
    np.testing.assert_array_equal(layer.moving_mean.numpy(), np.zeros(3))
    layer.trainable = True
    assert np.abs(layer(x, training=True).numpy().mean(axis=0)).max() < 1e-6
    assert (layer.moving_mean.numpy() != 0).all()


def test_batch_normalization_holds_far_from_zero():
    """Mean 1e4 and deviation 1: what float32 knows of x is lost, and nothing else."""
    x = (1e4 + draw(256, 3)).astype("float32")
    rows = x.astype("float64")
    layer = layers.BatchNormalization(momentum=0.0)
    expected = normalised(rows, 1, 0, rows.mean(axis=0), rows.var(axis=0))
    error = np.finfo("float32").eps * 1e4  # of the mean, were it rounded to float32
    assert np.abs(layer(x, training=True).numpy() - expected).max() <= error
    assert_close(layer.moving_variance.numpy(), rows.var(axis=0), terms=256)
    assert np.abs(layer(x).numpy() - expected).max() <= error


# ---- names, weights, structure


class Scale(layers.Layer):
    """A user's own layer."""

    def build(self, input_shape):
        self.offset = self.add_weight((input_shape[-1],), "zeros", name="offset", trainable=False)
        self.factor = self.add_weight(
            (input_shape[-1],), lambda shape, dtype: np.full(shape, 2.0), name="factor"
        )

    def call(self, x):
        return x * self.factor + self.offset


class Twice(fastnn.Model):
    """The same layer twice, a list and a dictionary of layers, and a branch for training."""

    def __init__(self):
        super().__init__()
        self.shared = Scale()
        self.listed = [layers.Dense(2, name="first"), layers.Dense(2)]
        self.named = {"norm": layers.BatchNormalization()}
        self.also = self.shared

    def call(self, x, training):
        x = self.shared(self.also(x))
        for layer in self.listed:
            x = layer(x)
        return self.named["norm"](x) if training else x


@pytest.mark.parametrize("shape", [(8, 3), (4, 5, 3)], ids=str)
@pytest.mark.parametrize(
    ("scale", "center"), [(True, True), (False, True), (True, False), (False, False)]
)
def test_layer_normalization_follows_its_formula(scale, center, shape, dtype):
    layer, x = (
        layers.LayerNormalization(scale=scale, center=center, epsilon=1e-2),
        draw(*shape).astype(dtype),
    )
    layer(x)
    assert [v.name for v in layer.weights] == ["gamma"] * scale + ["beta"] * center
    layer.set_weights([draw(3, seed=n + 1) for n in range(scale + center)])
    gamma, beta = layer.gamma.numpy(), layer.beta.numpy()
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    assert_close(layer(x).numpy(), gamma * (x - mean) / np.sqrt(variance + 1e-2) + beta, terms=64)


def test_layer_normalization_holds_far_from_zero():
    x = draw(5, 256).astype("float32") + np.float32(1e4)
    expected = (x.astype(float) - x.mean(axis=1, keepdims=True, dtype=float)) / np.sqrt(
        x.astype(float).var(axis=1) + 1e-3
    )[:, None]
    assert (
        np.abs(layers.LayerNormalization()(x).numpy() - expected).max()
        <= 8 * np.finfo("f4").eps * np.abs(expected).max()
    )


@pytest.mark.parametrize("layer", [layers.BatchNormalization, layers.LayerNormalization])
def test_normalization_refuses_what_it_cannot_normalise(layer):
    with pytest.raises(ValueError, match=r"epsilon must be a finite number above 0; got 0"):
        layer(epsilon=0)
    with pytest.raises(ValueError, match=r"each once; got axis=3 for 3 dimensions"):
        layer(axis=3)(draw(4, 2, 3))
    built = layer()
    built(draw(4, 3))
    with pytest.raises(
        ValueError, match=r"expected extents \(3,\) of axis=-1, .*; got shape \(4, 2\)"
    ):
        built(draw(4, 2))


def test_dropout_keeps_the_mean_drops_its_rate_and_passes_gradients_by_the_same_way():
    layer, count = layers.Dropout(0.3, seed=1), 100_000
    x = fastnn.Variable(np.ones((count // 10, 10)))
    assert layer(x) is not None
    np.testing.assert_array_equal(layer(x).numpy(), x.numpy())  # not training: x itself
    y = layer(x, training=True)
    dropped = y.numpy() == 0
    assert abs(dropped.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / count)
    # the rate is taken to 16 bits
    np.testing.assert_allclose(y.numpy()[~dropped], 1 / 0.7, rtol=1e-4)
    fastnn.ops.sum(y).backward()
    np.testing.assert_array_equal(x.gradient.numpy(), y.numpy())
    assert (dropped != (layer(x, training=True).numpy() == 0)).any(), "a second call drops others"


def test_dropout_drops_others_in_every_step_and_the_same_by_the_same_seed():
    def results():
        layer = layers.Dropout(0.5, seed=3)
        step = fastnn.record(lambda x: layer(x, training=True))
        return [step(np.ones((4, 50), "f4")).numpy() for _ in range(3)]

    first, again = results(), results()
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()
    assert (first[1] != first[2]).any()


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan"), "0.5", True])
def test_dropout_refuses_other_rates(rate):
    with pytest.raises(ValueError, match="Dropout: rate must lie between 0 and 1"):
        layers.Dropout(rate)


def test_a_layer_of_ones_own():
    layer = Scale()
    assert not layer.built
    np.testing.assert_array_equal(layer([[1.0, 2.0]]).numpy(), [[2, 4]])
    assert [w.name for w in layer.weights] == ["offset", "factor"]
    assert [w.name for w in layer.trainable_weights] == ["factor"]
    assert [w.name for w in layer.non_trainable_weights] == ["offset"]
    assert layer.count_params() == 4
    assert layer.variables == layer.weights
    layer([[3.0, 4.0]])
    assert len(layer.weights) == 2, "it was built again"


def test_a_model_of_ones_own_has_each_weight_once_and_in_order():
    model = Twice()
    x = draw(6, 2).astype("float32")
    inferred, trained = model(x).numpy(), model(x, training=True).numpy()
    kernels = [layer.kernel.numpy() for layer in model.listed]
    assert_close(inferred, x.astype("float64") * 4 @ kernels[0] @ kernels[1], terms=4)
    assert np.abs(trained.mean(axis=0)).max() < 1e-6
    assert [layer.name for layer in model.layers][1] == "first"
    assert [len(layer.weights) for layer in model.layers] == [2, 2, 2, 4]
    assert len(model.weights) == 10
    assert model.weights == [w for layer in model.layers for w in layer.weights]
    assert model.get_layer("first") is model.get_layer(index=1) is model.listed[0]


def test_a_shared_layer_gets_the_sum_of_its_gradients():
    layer = Scale()
    model = fastnn.Sequential([fastnn.Sequential([layer]), fastnn.Sequential([layer])])
    model.compile(fastnn.optimizers.SGD(0.125), "mse")
    model.fit([[1.0]], [[1.0]], verbose=0)
    assert layer.factor.item() == 2 - 0.125 * 2 * (4 - 1) * 2 * 2  # (w^2 - 1)^2 at w = 2
    assert len(model.weights) == 2


def test_nested_models_are_layers():
    inner = fastnn.Sequential(
        [fastnn.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(2)]
    )
    outer = fastnn.Sequential([inner, layers.Dense(1)])
    assert outer.input_shape == (None, 3)
    assert outer.output_shape == (None, 1)
    assert outer.layers[0] is inner
    assert outer.weights == inner.weights + outer.layers[1].weights
    x = draw(5, 3).astype("float32")
    np.testing.assert_array_equal(outer.predict(x), outer.layers[1](inner.predict(x)).numpy())


def fitted(model, x, y, epochs=2):
    before = model.get_weights()
    model.fit(x, y, epochs=epochs, verbose=0)
    return [bool((a != b).any()) for a, b in zip(before, model.get_weights(), strict=True)]


@pytest.mark.parametrize("eagerly", [False, True], ids=["tapes", "eagerly"])
def test_frozen_layers_stay_as_they_are_and_thaw_again(eagerly):
    # "tanh": a bias right before batch normalisation has a gradient of 0 but for rounding, so
    # whether it moves would depend on the machine.
    inner = fastnn.Sequential([layers.Dense(3, activation="tanh"), layers.BatchNormalization()])
    model = fastnn.Sequential([fastnn.Input((2,)), inner, layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=eagerly)
    x, y = draw(40, 2), draw(40, 1)
    assert fitted(model, x, y) == [True] * 8
    inner.trainable = False
    assert [layer.trainable for layer in inner.layers] == [False, False]
    assert len(model.trainable_weights) == 2
    assert len(model.non_trainable_weights) == 6
    assert fitted(model, x, y) == [False] * 6 + [True] * 2
    inner.layers[0].trainable = True
    assert fitted(model, x, y) == [True] * 2 + [False] * 4 + [True] * 2
    inner.trainable = True
    assert fitted(model, x, y) == [True] * 8


def test_layers_given_to_one_that_is_frozen_are_frozen():
    model = fastnn.Sequential([layers.Dense(2)], trainable=False)
    model.add(layers.Dense(2))
    model(draw(3, 2))
    assert model.trainable_weights == []
    assert len(model.weights) == 4


def test_weights_come_and_go_as_arrays():
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2), layers.BatchNormalization()])
    model.compile("sgd", "mse")
    model.fit(draw(8, 3), draw(8, 2), verbose=0)
    saved, x = model.get_weights(), draw(5, 3)
    predicted = model.predict(x)
    assert [w.shape for w in saved] == [(3, 2), (2,), (2,), (2,), (2,), (2,)]
    assert model.count_params() == 16
    model.set_weights([np.full(w.shape, 3) for w in saved])
    assert all((w == 3).all() for w in model.get_weights())
    assert all((w != 3).all() for w in saved), "get_weights gave the memory itself"
    model.set_weights([w.tolist() for w in saved])
    np.testing.assert_array_equal(model.predict(x), predicted)


def test_sequential_grows_and_shrinks():
    model = fastnn.Sequential(name="stack")
    assert model.output_shape is None
    for layer in (layers.Dense(4, input_shape=(3,)), layers.ReLU(), layers.Dense(2)):
        model.add(layer)
    model.compile("sgd", "mse")
    x = draw(6, 3)
    assert model.predict(x).shape == (6, 2) == (6, *model.output_shape[1:])
    model.pop()
    assert [type(layer) for layer in model.layers] == [layers.Dense, layers.ReLU]
    assert model.predict(x).shape == (6, 4)
    model.add(layers.Dense(1))
    assert fitted(model, x, draw(6, 1)) == [True] * 4


SUMMARY = """\
Model 'stack'
Layer (type)               Output shape  Weights    Bytes  Flops a row
-------------------------  ------------  -------  -------  -----------
hidden (Dense)             (None, 1000)    4,000  15.6 KB        6,000
norm (BatchNormalization)  (None, 1000)    4,000  15.6 KB        4,000
out (Dense)                (None, 1)       1,001   3.9 KB        2,000
9,001 weights (35.2 KB), 7,001 of them trainable; 12,000 flops a row
"""


def test_the_summary_is_a_table(capsys):
    stack = [
        layers.Dense(1000, name="hidden"),
        layers.BatchNormalization(name="norm"),
        layers.Dense(1, name="out"),
    ]
    model = fastnn.Sequential(stack, name="stack")
    model.summary()
    assert capsys.readouterr().out.count("not built") == 3
    model.build((None, 3))
    model.summary()
    assert capsys.readouterr().out == SUMMARY


@pytest.mark.parametrize(
    "build",
    [
        lambda model: model.build((None, 3)),
        lambda model: model(draw(2, 3)),
        lambda model: model.predict(draw(2, 3)),
        lambda model: model.evaluate(draw(4, 3), draw(4, 2), verbose=0),
        lambda model: model.fit(draw(4, 3), draw(4, 2), verbose=0),
    ],
    ids=["build", "call", "predict", "evaluate", "fit"],
)
def test_a_model_is_built_by_what_first_tells_its_input(build):
    model = fastnn.Sequential([layers.Dense(2)])
    model.compile("sgd", "mse")
    assert (model.built, model.weights, model.output_shape) == (False, [], None)
    build(model)
    assert model.output_shape == (None, 2)
    assert model.count_params() == 8


@pytest.mark.parametrize(
    "stack", [[fastnn.Input((3,)), layers.Dense(2)], [layers.Dense(2, input_shape=[3])]]
)
def test_a_model_that_knows_its_input_is_built_at_once(stack):
    model = fastnn.Sequential(stack)
    assert (model.built, model.count_params(), model.input_shape) == (True, 8, (None, 3))


def test_names_are_unique_and_tell_the_kind():
    class HTTPLayer2D(layers.Layer):
        def call(self, x):
            return x

    names = [HTTPLayer2D().name for _ in range(3)]
    assert names == ["http_layer2d", "http_layer2d_1", "http_layer2d_2"]
    assert layers.Dense(1, name="mine").name == "mine"
    assert len({layers.BatchNormalization().name for _ in range(3)}) == 3


def test_rows_of_more_dimensions_train_as_so_many_rows():
    """Dense and batch normalisation take the last dimension; the mean is over all others."""
    x, y = draw(4, 3, 5).astype("float32"), draw(4, 3, 1).astype("float32")
    models = [
        fastnn.Sequential(
            [
                fastnn.Input(shape),
                layers.Dense(4, activation="tanh"),
                layers.BatchNormalization(),
                layers.Dense(1),
            ]
        )
        for shape in [(3, 5), (5,)]
    ]
    models[1].set_weights(models[0].get_weights())
    histories = []
    for model, rows in zip(models, (slice(None), (-1,)), strict=True):
        model.compile("sgd", "mse")
        data = (x, y) if rows == slice(None) else (x.reshape(-1, 5), y.reshape(-1, 1))
        histories.append(
            model.fit(*data, batch_size=len(data[0]), epochs=3, verbose=0, shuffle=False).history[
                "loss"
            ]
        )
    assert_close(np.float32(histories[0]), np.float64(histories[1]), terms=36)
    for a, b in zip(*(m.get_weights() for m in models), strict=True):
        assert_close(a, b, terms=36)


def test_a_model_in_float64_computes_in_it():
    fastnn.config.set_floatx("float64")
    model = fastnn.Sequential(
        [fastnn.Input((3,)), layers.Dense(4), layers.BatchNormalization(), layers.Dense(1)]
    )
    model.compile("adam", "mse")
    fastnn.config.set_floatx("float32")
    x = draw(20, 3)
    model.fit(x, draw(20, 1), verbose=0)
    assert {w.dtype.name for w in model.weights} == {"float64"}
    hidden, norm, last = [
        [w.astype("float64") for w in layer.get_weights()] for layer in model.layers
    ]
    expected = normalised(x @ hidden[0] + hidden[1], *norm) @ last[0] + last[1]
    got = model.predict(x)
    assert got.dtype == "float64"
    assert_close(got, expected, terms=12)


def test_weights_are_added_with_keras_arguments():
    layer = layers.Layer()
    first = layer.add_weight((2, 3), "ones", "float64", False, name="first")
    assert (first.shape, first.dtype, first.trainable, first.name) == (
        (2, 3),
        "float64",
        False,
        "first",
    )
    assert layer.add_weight().shape == ()
    count = layer.add_weight(3, dtype="int64", trainable=False)
    assert (count.dtype, count.numpy().tolist()) == ("int64", [0, 0, 0])
    limited = layer.add_weight((2,), regularizer="l2", constraint="non_neg")
    assert type(limited.regularizer).__name__ == "L2"
    assert type(limited.constraint).__name__ == "NonNeg"
    for call, message in (
        (lambda: layer.add_weight((2,), "ones", "factor"), "weight: unknown dtype 'factor'"),
        (lambda: layer.add_weight((2, -1)), "weight: a shape is made of integers from 0"),
        (lambda: layer.add_weight((2,), dtype="int64"), "int64 has no gradient to learn from"),
        (lambda: layer.add_weight((2,), "once"), "initializer: unknown initializer 'once'"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            call()
