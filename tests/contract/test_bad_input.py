"""Bad input: an error that says what, what was expected, what came and the way out, and nothing
changed by it."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, optimizers
from fastnn.errors import DTypeError, NotFiniteError, ShapeError

ROWS = 20
X = np.random.default_rng(0).normal(size=(ROWS, 3)).astype("float32")
Y = (X @ [[1.0], [-2.0], [0.5]]).astype("float32")
LABELS = np.arange(ROWS) % 3
SPARSE = "sparse_categorical_crossentropy"


def network(loss="mse", units=1, optimizer="sgd", metrics=(), **last):
    stack = [fastnn.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(units, **last)]
    model = fastnn.Sequential(stack, name="net")
    model.compile(optimizer, loss, metrics)
    return model


def classifier():
    return network(SPARSE, 3, activation="softmax")


def fit(x=X, y=Y, model=None, **arguments):
    return (model or network()).fit(x, y, **{"verbose": 0, **arguments})


def with_value(array, *places):
    array = array.copy()
    for place, value in places:
        array[place] = value
    return array


class ArrayLike:
    """What pandas and others are to us: an object with a shape and __array__."""

    def __init__(self, array):
        self.values, self.shape = array, array.shape

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


NAN = with_value(X, ((3, 1), np.nan), ((7, 2), np.inf), ((8, 0), -np.inf), ((9, 0), np.nan))
UNEQUAL_ROWS = r"as many rows; got 20 and 10"
BATCH = "batch_size must be a whole number from 1 on; got "

DATA = [
    (lambda: fit(y=Y[:10]), ValueError, f"x and y must have {UNEQUAL_ROWS}"),
    (lambda: fit(validation_data=(X, Y[:10])), ValueError, UNEQUAL_ROWS),
    (lambda: fit(X[:0], Y[:0]), ValueError, r"x is empty: shape \(0, 3\)"),
    (lambda: network().evaluate(X[:0], Y[:0]), ValueError, "x is empty"),
    (lambda: network().predict(X[:0]), ValueError, "x is empty"),
    (
        lambda: fit(np.ones((ROWS, 4))),
        ShapeError,
        r"model 'net': x must have shape \(any, 3\); got \(20, 4\)",
    ),
    (lambda: fit(X[:, 0]), ShapeError, r"x must have shape \(any, 3\); got \(20\)"),
    (lambda: fit(X[None]), ShapeError, r"x must have shape \(any, 3\); got \(1, 20, 3\)"),
    (lambda: network().predict(X[0]), ShapeError, r"x must have shape \(any, 3\); got \(3\)"),
    (
        lambda: network().predict(3.0),
        ShapeError,
        r"x must have rows, shape \(any, \.\.\.\); got a single number",
    ),
    (
        lambda: fit(validation_data=(X[:, :2], Y)),
        ShapeError,
        r"validation_x must have shape \(any, 3\); got \(20, 2\)",
    ),
    (lambda: fit(None, None), ValueError, "x and y are both needed; x is missing"),
    (lambda: fit(X, None), ValueError, "x and y are both needed; y is missing"),
    (
        lambda: fit(np.array([["a", "b", "c"]])),
        DTypeError,
        "x: expected numbers; got element type <U1. Convert it first",
    ),
    (
        lambda: fit(np.array([[{}, 1, 2]])),
        DTypeError,
        r"x: expected numbers; got objects such as \{\}. Convert it first",
    ),
    (
        lambda: fit(X.astype(complex)),
        DTypeError,
        "x: expected numbers; got element type complex128",
    ),
    (
        lambda: fit(X.astype("datetime64[s]")),
        DTypeError,
        "x: expected numbers; got element type datetime64",
    ),
    (lambda: fit({"a": X}), DTypeError, r"x: expected numbers; got objects such as \{'a'"),
    (lambda: network().predict(None), DTypeError, "x: expected numbers"),
    (lambda: fit(y=np.full(ROWS, "a")), DTypeError, "y: expected numbers; got element type <U1"),
    (lambda: fit([[1, 2, 3], [1, 2]], Y[:2]), ShapeError, "x: its rows are not of one length"),
    (lambda: fit(X[:2], [[1, 2], [1]]), ShapeError, "y: its rows are not of one length"),
    (lambda: fit(y=3.0), ValueError, "as many rows; got 20 and a single number"),
    (
        lambda: fit(NAN),
        ValueError,
        r"x has 4 values .*x\[3, 1\] = nan, x\[7, 2\] = inf, x\[8, 0\] = -inf and 1 more\. Remove",
    ),
    (lambda: fit(validation_data=(NAN, Y)), ValueError, r"validation_x\[3, 1\] = nan"),
    (
        lambda: fit(y=with_value(Y, (5, np.inf))),
        ValueError,
        r"y has 1 values that are NaN, infinite.*: y\[5, 0\] = inf\. Remove",
    ),
    (lambda: network().evaluate(NAN, Y), ValueError, r"x\[3, 1\] = nan"),
    (lambda: network().predict(NAN), ValueError, r"x\[3, 1\] = nan, x\[7, 2\] = inf"),
    (lambda: network().predict(np.tile(NAN, (10, 1))), ValueError, r"x has 40 values"),
    (
        lambda: fit(X.astype("f8") * 1e60),
        ValueError,
        r"x has 60 values .* too large for float32: x\[0, 0\] = ",
    ),
    (lambda: fit(y=Y.astype("f8") * 1e60), ValueError, "y has 20 values .* too large for float32"),
    (
        lambda: network().predict(X.astype("f8") * 1e60),
        ValueError,
        "x has 60 values .* too large for float32",
    ),
]

TARGETS = [
    (
        lambda: fit(model=network(units=3)),
        ShapeError,
        r"y must hold values of shape \(any, 3\) .* got \(20, 1\)",
    ),
    (
        lambda: fit(y=Y[:, 0], model=network(units=3)),
        ShapeError,
        r"values of shape \(any, 3\) .* got \(20\)",
    ),
    (
        lambda: fit(y=np.zeros((ROWS, 0))),
        ShapeError,
        r"y must hold values of shape \(any, 1\) .* got \(20, 0\)",
    ),
    (
        lambda: fit(y=LABELS + 1, model=classifier()),
        ValueError,
        r"between 0 and 2, .* got 3 at \(2,\). Number the classes from 0",
    ),
    (
        lambda: fit(y=LABELS - 1, model=classifier()),
        ValueError,
        r"between 0 and 2, .* got -1 at \(0,\)",
    ),
    (
        lambda: fit(y=LABELS * 1e30, model=classifier()),
        ValueError,
        r"between 0 and 2, .* got 1e\+30 at \(1,\)",
    ),
    (
        lambda: fit(y=LABELS + 0.5, model=classifier()),
        ValueError,
        r"labels must be whole numbers; got 0.5 at \(0,\)",
    ),
    (
        lambda: fit(y=LABELS * np.nan, model=classifier()),
        ValueError,
        r"labels must be whole numbers; got nan at \(0,\)",
    ),
    (
        lambda: fit(y=np.eye(3)[LABELS], model=classifier()),
        ShapeError,
        r"got \(20, 3\). One-hot rows are y.argmax\(-1\)",
    ),
    (
        lambda: fit(y=LABELS, model=network(SPARSE, 3, metrics=["mse"])),
        ValueError,
        r"metric 'mse' .* use metrics=\['accuracy'\]",
    ),
]

ARGUMENTS = [
    *[
        (lambda v=v: fit(batch_size=v), ValueError, BATCH)
        for v in (0, -1, 2.5, True, "32", np.float32(8))
    ],
    *[(lambda v=v: network().predict(X, v), ValueError, BATCH) for v in (0, -1, 2.5, True)],
    *[(lambda v=v: network().evaluate(X, Y, v), ValueError, BATCH) for v in (0, 2.5)],
    *[
        (lambda v=v: fit(epochs=v), ValueError, "epochs must be a whole number from 0 on; got ")
        for v in (1.5, -1, True, None)
    ],
    (lambda: fit(verbose="loud"), ValueError, "verbose must be 0, 1, 2 or 'auto'; got 'loud'"),
    (
        lambda: fit(validation_split=1.5),
        ValueError,
        "validation_split must lie between 0 and 1; got 1.5",
    ),
    (lambda: fit(validation_split=-0.1), ValueError, "validation_split must lie between 0 and 1"),
    (
        lambda: fit(validation_split=0.99),
        ValueError,
        "validation_split=0.99 of 20 rows leaves 0 to train and 20 to validate",
    ),
    (
        lambda: fit(validation_data=X),
        ValueError,
        r"validation_data: expected \(x, y\) or .* got ndarray",
    ),
    *[
        (
            lambda w=w: fit(sample_weight=np.ones(w)),
            ShapeError,
            r"sample_weight must have shape \(20\), one for each row, or \(20, 1\)",
        )
        for w in ((3,), (1,), (1, ROWS), (ROWS, 2), (ROWS, 1, 1), (0,))
    ],
    (
        lambda: fit(sample_weight="balanced"),
        DTypeError,
        "sample_weight: expected numbers; got element type <U8",
    ),
    (
        lambda: fit(sample_weight=np.inf),
        ValueError,
        "sample_weight has 1 values that are NaN, infinite",
    ),
    (
        lambda: fit(validation_data=(X, Y, np.ones(3))),
        ShapeError,
        r"sample_weight must have shape \(20\)",
    ),
    (
        lambda: network().evaluate(X, Y, sample_weight=np.full(ROWS, 1e60)),
        ValueError,
        "20 values .* too large for float32",
    ),
    (
        lambda: fit(sample_weight=np.full(ROWS, np.nan)),
        ValueError,
        r"sample_weight has 20 values .*sample_weight\[0\] = nan",
    ),
    (lambda: fit(callbacks=[3]), TypeError, "callbacks: expected .*Callback objects; got 3"),
    (lambda: fit(callbacks=3), TypeError, "callbacks: expected .*Callback objects; got 3"),
    (lambda: fit(callbacks=fastnn.callbacks.Callback), TypeError, "Call it: callbacks are objects"),
    (lambda: fastnn.utils.set_random_seed(1.5), TypeError, "seed: expected an integer; got 1.5"),
    (
        lambda: fastnn.config.set_floatx("float16"),
        ValueError,
        "expected 'float32' or 'float64'; got 'float16'",
    ),
    (lambda: fastnn.random.normal((2, -1)), ShapeError, r"integers from 0 on; got \(2, -1\)"),
]

NAMES = [
    (lambda: network("mse_"), ValueError, r"unknown loss 'mse_'; did you mean 'mse'\?"),
    # Another quantity is no slip of the fingers.
    (
        lambda: network("rmse"),
        ValueError,
        "unknown loss 'rmse'; known are .*bce, binary_crossentropy, binary_f",
    ),
    (
        lambda: network("contrastive"),
        ValueError,
        "unknown loss 'contrastive'; known are .*bce, bin",
    ),
    (
        lambda: network(optimizer="shampoo"),
        ValueError,
        "unknown optimizer 'shampoo'; known are ada",
    ),
    (
        lambda: network(optimizer="nesterov"),
        ValueError,
        "unknown optimizer 'nesterov'; known are ada",
    ),
    (
        lambda: network(metrics=["area"]),
        ValueError,
        "unknown metric 'area'; of ",
    ),
    (
        lambda: layers.Dense(1, activation="maxout"),
        ValueError,
        "unknown activation 'maxout'; known are ",
    ),
    (
        lambda: layers.Dense(1, kernel_initializer="kaiming_uniform"),
        ValueError,
        "unknown initializer 'kaiming_uniform'; known are constant, gl",
    ),
    (
        lambda: layers.Dense(1, activation="ReLU"),
        ValueError,
        r"unknown activation 'ReLU'; did you mean 'relu'\?",
    ),
    (lambda: network(optimizer="amda"), ValueError, "unknown optimizer 'amda'; known are ada"),
    (
        lambda: network(optimizer="sdg"),
        ValueError,
        r"unknown optimizer 'sdg'; did you mean 'sgd'\?",
    ),
    (
        lambda: network(optimizer="addam"),
        ValueError,
        "unknown optimizer 'addam'; did you mean 'adam'?",
    ),
    (
        lambda: network(optimizer=3),
        TypeError,
        "compile: optimizer: expected a name, a configuration or a fastnn.optimizers.Optimizer; "
        "got 3",
    ),
    (
        lambda: network(metrics=["acuracy"]),
        ValueError,
        "unknown metric 'acuracy'; did you mean 'accuracy'?",
    ),
    (
        lambda: layers.Dense(1, activation="rellu"),
        ValueError,
        "unknown activation 'rellu'; did you mean 'relu'?",
    ),
    (
        lambda: layers.Dense(1, kernel_initializer="glorot"),
        ValueError,
        "unknown initializer 'glorot'; did you mean 'glorot_nor",
    ),
    (
        lambda: network().get_layer("dense_x"),
        ValueError,
        "model 'net' has no layer 'dense_x'; (known are|did you mean) '?dense",
    ),
]

LAYERS = [
    *[
        (lambda u=u: layers.Dense(u), ValueError, "units must be a whole number from 1 on; got")
        for u in (2.5, 0, -1, True, "2", None)
    ],
    (
        lambda: fastnn.Input((0,)),
        ShapeError,
        r"Input: shape: a shape is made of integers from 1 on; got 0",
    ),
    (lambda: fastnn.Input(("a", 3)), ShapeError, r"Input: shape: .* got 'a'"),
    (
        lambda: layers.Dense(1, dtype="float16"),
        TypeError,
        "dtype must be float32 or float64; got float16",
    ),
    (
        lambda: layers.Dense(1)(np.ones(3)),
        ShapeError,
        r"expected rows, shape \(any, columns\); got \(any\). One row is x\[None\]",
    ),
    (
        lambda: layers.ReLU(max_value=-1),
        ValueError,
        "max_value must be a finite number from 0 on; got -1",
    ),
    (
        lambda: layers.BatchNormalization(momentum=2),
        ValueError,
        "momentum must lie between 0 and 1; got 2",
    ),
    (
        lambda: layers.BatchNormalization(epsilon=0),
        ValueError,
        "epsilon must be a finite number above 0; got 0",
    ),
    (
        lambda: layers.BatchNormalization(axis=3)(np.ones((2, 3, 4))),
        ShapeError,
        "axis must name dimensions of x but its first.* got axis=3 for 3 dimensions",
    ),
    (
        lambda: fastnn.Sequential([fastnn.Input((3,)), layers.Softmax(), 5]),
        TypeError,
        "expected a layer; got int",
    ),
    (
        lambda: fastnn.Sequential([layers.Dense]),
        TypeError,
        "got Dense. Call it: layers are objects",
    ),
    (
        lambda: (lambda d: fastnn.Sequential([d, d]))(layers.Dense(1)),
        ValueError,
        "already holds 'dense.*write a Model",
    ),
    (
        lambda: fastnn.Sequential([layers.Dense(1, name="a"), layers.ReLU(name="a")]),
        ValueError,
        "a layer called 'a'; give",
    ),
    (lambda: layers.Layer()(X), TypeError, r"Layer does not define call\(inputs\)"),
    (
        lambda: network()(fastnn.tensor(X.astype("f8"))),
        DTypeError,
        "x is float64 and w is float32. Convert one",
    ),
    (lambda: fastnn.Sequential().pop(), ValueError, "has no layers"),
    (
        lambda: network().set_weights([np.ones((2, 2))]),
        ValueError,
        "'net' has 4 weights; got 1 arrays",
    ),
    (
        lambda: fastnn.Sequential([layers.Dense(1)]).set_weights([X, Y]),
        ValueError,
        "It is not built yet: call it once",
    ),
]

STATE = [
    (
        lambda: fastnn.Sequential([layers.Dense(1)]).fit(X, Y),
        RuntimeError,
        r"fit: call compile\(optimizer=..., loss=...\) first",
    ),
    (lambda: network(loss=None).evaluate(X, Y), RuntimeError, "has no loss: compile with one"),
    (lambda: fit(model=compiled(fastnn.Sequential())), ValueError, "has no layers: add some"),
    (
        lambda: fit(model=compiled(fastnn.Sequential([layers.ReLU()])), y=X),
        ValueError,
        "has no trainable weights",
    ),
    (
        lambda: [fit(model=network(optimizer=o)) for o in [optimizers.Adam()] * 2],
        ValueError,
        "make a new optimizer for these",
    ),
]


def compiled(model):
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("call", "kind", "message"), [*DATA, *TARGETS, *ARGUMENTS, *NAMES, *LAYERS, *STATE]
)
def test_errors_name_what_is_wrong_and_the_way_out(call, kind, message):
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_layers_that_do_not_fit_each_other_name_the_one_that_does_not():
    inner = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(2)])
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(5)])
    with pytest.raises(
        ShapeError,
        match=rf"Dense '{inner.layers[0].name}': expected 4 columns, as it was built for; got 5",
    ):
        model.add(inner)
    assert len(model.layers) == 1
    assert model.output_shape == (None, 5)


@pytest.mark.parametrize(("shape", "changed"), [((4, 2), 2), ((3, 4, 1), 0), ((), 3)])
def test_weights_that_do_not_fit_change_none(shape, changed):
    model = network()
    before = model.get_weights()
    wrong = [w + 1 for w in before]
    wrong[changed] = np.ones(shape)
    name = model.weights[changed].name
    with pytest.raises(ShapeError, match=rf"set_weights: '{name}' of 'net' has shape"):
        model.set_weights(wrong)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("call", [c for c, *_ in DATA + TARGETS][::4])
def test_a_refused_fit_leaves_the_model_as_good_as_before(call):
    model, other = network(), network()
    other.set_weights(model.get_weights())
    with pytest.raises((ValueError, TypeError)):
        fit(NAN, model=model)
    histories = [fit(model=m, shuffle=False).history for m in (model, other)]
    assert histories[0] == histories[1]


# ---- losses that are not finite


class Weights(fastnn.callbacks.Callback):
    """The weights after each step."""

    def __init__(self):
        self.after = []

    def on_train_batch_end(self, batch, logs=None):
        self.after.append(self.model.get_weights())


@pytest.mark.parametrize("eagerly", [False, True], ids=["tapes", "eagerly"])
@pytest.mark.parametrize("watched", [False, True], ids=["one run", "step by step"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_loss_that_is_not_finite_is_located_and_leaves_the_weights_before_it(
    eagerly, watched, shuffle
):
    """Row 13 is large enough that its square is not a float32; everything before its step stays,
    that step does not."""

    def make():
        fastnn.utils.set_random_seed(3)  # of the initial weights
        stack = [fastnn.Input((3,)), layers.BatchNormalization(), layers.Dense(1, name="last")]
        model = fastnn.Sequential(stack)
        model.compile(optimizers.Adam(0.01), "mse", run_eagerly=eagerly)
        return model

    model, plain, after = make(), make(), Weights()
    large = with_value(Y, (13, 1e25))
    fastnn.utils.set_random_seed(4)  # of the shuffling
    with pytest.raises(
        NotFiniteError, match=r"^training, epoch 1, step \d: loss or gradients are not finite"
    ) as caught:
        fit(
            y=large,
            model=model,
            batch_size=4,
            epochs=3,
            shuffle=shuffle,
            callbacks=[Weights()] if watched else None,
        )
    assert isinstance(caught.value, FloatingPointError)
    step = int(str(caught.value).split("step ")[1][0])
    assert step == 4 or shuffle
    assert "Weights are those before this step" in str(caught.value)
    start = plain.get_weights()
    fastnn.utils.set_random_seed(4)
    fit(model=plain, batch_size=4, shuffle=shuffle, callbacks=after)
    for got, expected in zip(model.get_weights(), [start, *after.after][step - 1], strict=True):
        np.testing.assert_array_equal(got, expected)
    assert model.optimizer.iterations == step - 1
    assert np.isfinite(fit(model=model).history["loss"][0])


def test_the_layer_that_made_the_first_value_that_is_not_finite_is_named():
    model = fastnn.Sequential(
        [
            fastnn.Input((3,)),
            layers.Dense(4, name="first"),
            layers.Activation("exponential", name="e"),
        ]
    )
    model.compile("sgd", "mse")
    with pytest.raises(
        NotFiniteError,
        match=r"epoch 1, step 2: .*made by exp in layer 'e'\. Weights are those before",
    ):
        fit(
            with_value(X, (11, 1e6)),
            np.ones((ROWS, 4)),
            model,
            batch_size=10,
            shuffle=False,
            epochs=2,
        )
