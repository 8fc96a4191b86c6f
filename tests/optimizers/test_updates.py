"""A step changes everything or nothing: gradients, states and weights at the edge of what numbers
hold."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, optimizers
from fastnn.devices.cpu import INTERPRETED
from fastnn.errors import NotFiniteError
from fastnn.kernels import update_rules as rules
from fastnn.kernels.cpu import updates
from tests.processors import ON_X86_64, call

DTYPES = ("float32", "float64")
LARGEST = {dtype: float(np.finfo(dtype).max) for dtype in DTYPES}
# Gradients whose squares, or what is added to them, are too small or too large for a number; as
# powers of ten for each type.
POWERS = {
    "float32": (-30, -19.5, -3, 0, 18, 19.2, 19.6, 25, 38),
    "float64": (-200, -162, -3, 0, 150, 154, 155.5, 200, 307),
}


def gradient(dtype):
    values = 10 ** np.array(POWERS[dtype])
    return np.concatenate([values, -3 * values, [0.0, LARGEST[dtype], -LARGEST[dtype]]]).astype(
        dtype
    )


# ---- a step in longdouble, whose exponents go far beyond; a state that the type does not hold is
# infinite from then on

RATE, MOMENTUM, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.9, 0.999, 1e-7


def average(old, rate, square, dtype):
    moved = (1 - rate) * np.minimum(old, LARGEST[dtype]) + rate * square
    return np.where(np.isinf(old) | (moved > LARGEST[dtype]), np.inf, moved)


def sgd(t, w, g, kept, dtype):
    return w - RATE * g


def momentum(t, w, g, kept, dtype, nesterov=False):
    kept["v"] = MOMENTUM * kept.get("v", 0) - RATE * g
    return w + (MOMENTUM * kept["v"] - RATE * g if nesterov else kept["v"])


def nesterov(t, w, g, kept, dtype):
    return momentum(t, w, g, kept, dtype, nesterov=True)


def adam(t, w, g, kept, dtype, beta_1=BETA_1, beta_2=BETA_2):
    kept["m"] = beta_1 * kept.get("m", 0) + (1 - beta_1) * g
    kept["v"] = average(kept.get("v", 0 * g), 1 - beta_2, g**2, dtype)
    scale = RATE * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return w - scale * kept["m"] / (np.sqrt(kept["v"]) + EPSILON)


def adam_of_last(t, w, g, kept, dtype):
    """Whose moments are the last gradient's."""
    return adam(t, w, g, kept, dtype, 0.0, 0.0)


def adam_of_long_memory(t, w, g, kept, dtype):
    """Whose m outlasts its v."""
    return adam(t, w, g, kept, dtype, 0.9, 0.5)


def amsgrad(t, w, g, kept, dtype):
    largest = kept.get("largest", 0 * g)
    kept["v"] = average(kept.get("v", 0 * g), 1 - BETA_2, g**2, dtype)
    kept["m"] = BETA_1 * kept.get("m", 0) + (1 - BETA_1) * g
    kept["largest"] = np.maximum(largest, kept["v"])
    scale = RATE * np.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
    return w - scale * kept["m"] / (np.sqrt(kept["largest"]) + EPSILON)


def adamax(t, w, g, kept, dtype):
    kept["m"] = BETA_1 * kept.get("m", 0) + (1 - BETA_1) * g
    kept["u"] = np.maximum(BETA_2 * kept.get("u", 0 * g), np.abs(g))
    return w - RATE / (1 - BETA_1**t) * kept["m"] / (kept["u"] + EPSILON)


def nadam(t, w, g, kept, dtype):
    u, ahead = (BETA_1 * (1 - 0.5 * np.longdouble(0.96) ** n) for n in (t, t + 1))
    product = kept["product"] = kept.get("product", 1) * u
    kept["m"] = BETA_1 * kept.get("m", 0) + (1 - BETA_1) * g
    kept["v"] = average(kept.get("v", 0 * g), 1 - BETA_2, g**2, dtype)
    m = ahead * kept["m"] / (1 - product * ahead) + (1 - u) * g / (1 - product)
    return w - RATE * m / (np.sqrt(kept["v"] / (1 - BETA_2**t)) + EPSILON)


def rmsprop(t, w, g, kept, dtype):
    kept["s"] = average(kept.get("s", 0 * g), 1 - BETA_1, g**2, dtype)
    return w - RATE * g / np.sqrt(kept["s"] + EPSILON)


def rmsprop_with_momentum(t, w, g, kept, dtype):
    step = w - rmsprop(t, w, g, kept, dtype)
    kept["i"] = MOMENTUM * kept.get("i", 0) + step
    return w - kept["i"]


def adagrad(t, w, g, kept, dtype):
    kept["s"] = kept.get("s", 0.1 + 0 * g) + g**2
    kept["s"] = np.where(kept["s"] > LARGEST[dtype], np.inf, kept["s"])
    return w - RATE * g / np.sqrt(kept["s"] + EPSILON)


def adadelta(t, w, g, kept, dtype):
    kept["s"] = average(kept.get("s", 0 * g), 1 - BETA_1, g**2, dtype)
    before = kept.get("e", 0 * g)
    delta = g / np.sqrt(kept["s"] + EPSILON) * np.sqrt(before + EPSILON)
    kept["e"] = average(before, 1 - BETA_1, delta**2, dtype)
    return w - RATE * delta


def lion(t, w, g, kept, dtype):
    before = kept.get("m", 0 * g)
    kept["m"] = BETA_2 * before + (1 - BETA_2) * g
    return w - RATE * np.sign(BETA_1 * before + (1 - BETA_1) * g)


OPTIMIZERS = {
    sgd: lambda rate=RATE: optimizers.SGD(rate),
    momentum: lambda rate=RATE: optimizers.SGD(rate, MOMENTUM),
    nesterov: lambda rate=RATE: optimizers.SGD(rate, MOMENTUM, nesterov=True),
    adam: lambda rate=RATE: optimizers.Adam(rate, BETA_1, BETA_2, EPSILON),
    adam_of_last: lambda rate=RATE: optimizers.Adam(rate, 0.0, 0.0, EPSILON),
    adam_of_long_memory: lambda rate=RATE: optimizers.Adam(rate, 0.9, 0.5, EPSILON),
    rmsprop: lambda rate=RATE: optimizers.RMSprop(rate, BETA_1, epsilon=EPSILON),
}
OTHERS = {
    amsgrad: lambda rate=RATE: optimizers.Adam(rate, BETA_1, BETA_2, EPSILON, amsgrad=True),
    adamax: lambda rate=RATE: optimizers.Adamax(rate, BETA_1, BETA_2, EPSILON),
    nadam: lambda rate=RATE: optimizers.Nadam(rate, BETA_1, BETA_2, EPSILON),
    rmsprop_with_momentum: lambda rate=RATE: optimizers.RMSprop(rate, BETA_1, MOMENTUM, EPSILON),
    adagrad: lambda rate=RATE: optimizers.Adagrad(rate, epsilon=EPSILON),
    adadelta: lambda rate=RATE: optimizers.Adadelta(rate, BETA_1, EPSILON),
    lion: lambda rate=RATE: optimizers.Lion(rate, BETA_1, BETA_2),
}
OPTIMIZER_OF = {**OPTIMIZERS, **OTHERS}
EVERY = pytest.mark.parametrize("update", OPTIMIZER_OF, ids=lambda f: f.__name__)
ALL = pytest.mark.parametrize("update", OPTIMIZERS, ids=lambda f: f.__name__)


@EVERY
@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_gradients_give_what_exact_arithmetic_does(update, dtype):
    """First extremes, once more with the other sign, then ordinary ones, in which old extremes are
    still kept."""
    largest, ordinary = gradient(dtype), np.linspace(-2, 2, gradient(dtype).size).astype(dtype)
    fits = np.abs(largest) < LARGEST[dtype] / 10 if update in (momentum, nesterov) else True
    optimizer, kept = OPTIMIZER_OF[update](), {}
    weight, expected = (
        fastnn.Variable(np.ones(largest.size), dtype=dtype),
        np.ones(largest.size, np.longdouble),
    )
    for t, g in enumerate([largest, largest, -largest, ordinary, 0 * ordinary, ordinary], 1):
        g = np.where(fits, g, 0).astype(dtype)
        optimizer.apply([g], [weight])
        expected = update(t, expected, g.astype(np.longdouble), kept, dtype)
        scale = (
            1
            + np.abs(expected)
            + (RATE * np.abs(largest) if update in (sgd, momentum, nesterov) else 0)
        )
        assert (np.abs(weight.numpy() - expected) <= 8 * np.finfo(dtype).eps * t * scale).all()


@ON_X86_64
@pytest.mark.parametrize("processor", ["AVX-512", "AVX2", "128 bits"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_processors_form_keeps_infinite_states(processor, dtype):
    """The estimate of a reciprocal is of AVX-512 only. As often as vectors, and once more for what
    is left over."""
    inf, n = np.inf, 67
    rate, steps, g = np.array([RATE]), np.zeros(1, np.int64), np.full(n, 2, dtype)

    def arrays(*values):
        return [np.full(n, v, dtype) for v in values]

    def update(rule, *attributes_and_written):
        *attributes, written = attributes_and_written
        common = 0.0, inf, 1.0, 0, 1, 1  # decay, clipnorm, unscale, steps_before, every, commit
        given = g, rate, steps, rate, *attributes, *common, *written
        call(updates.kernel_of(rule), processor, *given)

    w, m, v = arrays(1, 3, inf)
    update(rules.adam, BETA_1, BETA_2, EPSILON, 0.0, (w, m, v))
    assert (w.min(), w.max(), v.min()) == (1, 1, inf)
    np.testing.assert_allclose(m, 2.9, rtol=4 * np.finfo(dtype).eps)
    w, s = arrays(1, inf)
    update(rules.rmsprop, BETA_1, EPSILON, (w, s))
    assert (w.min(), w.max(), s.min()) == (1, 1, inf)
    w, m, v = arrays(1, 0, 0)
    update(rules.adam, BETA_1, BETA_2, EPSILON, 0.0, (w, m, v))
    expected = adam(1, np.longdouble(1), np.longdouble(2), {}, dtype)
    np.testing.assert_allclose(w, expected.astype(dtype), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("kind", [optimizers.Adam, optimizers.RMSprop])
def test_an_epsilon_too_small_for_the_type_is_not_zero(kind):
    weight = fastnn.Variable(np.ones(3, "float32"))
    kind(0.1, epsilon=1e-300).apply([[0.0, 1.0, 0.0]], [weight])
    assert weight.numpy()[[0, 2]].tolist() == [1, 1]


def test_three_times_ten_to_the_19_just_works():
    """Its square is too large, a thousandth of that is not: PyTorch's result."""
    weight = fastnn.Variable(np.ones(2, "float32"))
    optimizers.Adam(1e-3).apply([[1.0, 3e19]], [weight])
    np.testing.assert_allclose(weight.numpy(), 0.999, rtol=1e-6)


def test_two_hundred_layers_start():
    """Through which gradients grow until their squares are infinite."""
    fastnn.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    hidden = [
        layer
        for _ in range(200)
        for layer in (layers.Dense(8, "relu"), layers.BatchNormalization())
    ]
    model = fastnn.Sequential([fastnn.Input((8,)), *hidden, layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    history = model.fit(rng.normal(size=(64, 8)), rng.integers(0, 3, 64), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())


# ---- nothing: what would overflow is refused

PLACES = (0, 63, 64, 130)  # of the element that would


def variables(place):
    """Of two types and in several runs, of which the last is about to overflow."""
    full = np.ones(131, "float32")
    full[place] = -0.999 * LARGEST["float32"]
    return [
        fastnn.Variable(v, dtype=v.dtype) for v in (np.ones(3), np.ones((2, 2), "float32"), full)
    ]


def gradients(place):
    last = np.zeros(131, "float32")
    last[place] = 1
    return [
        fastnn.tensor(g, dtype=g.dtype) for g in (np.zeros(3), np.zeros((2, 2), "float32"), last)
    ]


def contents(optimizer, weights):
    """Weights, what the optimizer keeps of them, and its count."""
    kept = [
        optimizer._memory[w.chunk, name].bytes()[: w.chunk.used].copy()
        for w in weights
        for name in optimizer.states
    ]
    return [*[w.numpy() for w in weights], *kept, optimizer.iterations]


def assert_same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@ALL
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", ["eager", "recorded", "two threads"])
def test_a_step_that_would_make_a_weight_infinite_changes_nothing(update, place, way):
    """In the last of several runs, at an enormous rate. The ordinary step after is what it is
    without."""
    if way == "two threads":
        if INTERPRETED:
            pytest.skip("interpreted kernels have one thread")
        fastnn.set_threads(2)
    (optimizer, weights), (other, same) = [
        (OPTIMIZER_OF[update](), variables(place)) for _ in range(2)
    ]

    def step_of(optimizer, weights):
        def step(*given):
            optimizer.apply(list(given), weights)

        return step if way == "eager" else fastnn.record(step)

    step, step_of_other = step_of(optimizer, weights), step_of(other, same)
    small = [fastnn.tensor(np.full(g.shape, 1e-3), dtype=g.dtype) for g in gradients(place)]
    for call_of_step in (step, step_of_other):
        call_of_step(*small)
    before = contents(optimizer, weights)
    optimizer.learning_rate = LARGEST["float32"] / 32
    message = (
        f"{type(optimizer).__name__.lower()}'s check: the update of element {place} would "
        "overflow, and was not made. Lower the learning"
    )
    with pytest.raises(FloatingPointError, match=message) as caught:
        step(*gradients(place))
    assert not isinstance(caught.value, NotFiniteError)
    assert_same(contents(optimizer, weights), before)
    optimizer.learning_rate = RATE
    for call_of_step in (step, step_of_other):
        call_of_step(*small)
    assert_same(contents(optimizer, weights), contents(other, same))


@EVERY
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_weight_becomes_infinite_whatever_comes(update, dtype):
    """Random gradients of all sizes, and rates: a step is refused, with all as before, or leaves
    finite weights."""
    rng = np.random.default_rng(0)
    powers, refused = np.log10(LARGEST[dtype]), 0
    for rate in (RATE, 1.0, 1e5, LARGEST[dtype] / 10):
        weight, optimizer = (
            fastnn.Variable(rng.normal(size=70), dtype=dtype),
            OPTIMIZER_OF[update](rate),
        )
        for _ in range(60):
            g = rng.choice([-1, 1, 0], 70) * 10 ** rng.uniform(
                -powers, powers if rng.random() < 0.5 else 0, 70
            )
            before = weight.numpy()
            try:
                optimizer.apply([g.astype(dtype)], [weight])
            except FloatingPointError:
                refused += 1
                np.testing.assert_array_equal(weight.numpy(), before)
            assert np.isfinite(weight.numpy()).all()
    assert refused or update not in (sgd, momentum, nesterov)


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_large_velocity_is_not_forgotten(nesterov):
    """It moves the weight on though the gradient is zero: until there is no room."""
    weight, optimizer = fastnn.Variable(np.zeros(2, "float32")), optimizers.SGD(1.0, 0.9, nesterov)
    optimizer.apply([[1.0, LARGEST["float32"] / 3]], [weight])
    weight.assign(0.9 * weight.numpy())
    for _ in range(2 - nesterov):
        optimizer.apply([[0.0, 0.0]], [weight])
    before = contents(optimizer, [weight])
    with pytest.raises(
        FloatingPointError, match="sgd's check: the update of element 1 would overflow"
    ):
        optimizer.apply([[0.0, 0.0]], [weight])
    assert_same(contents(optimizer, [weight]), before)


@EVERY
@pytest.mark.parametrize("dtype", DTYPES)
def test_at_a_rate_of_zero_nothing_finite_is_refused(update, dtype):
    weight, g = fastnn.Variable(np.ones(gradient(dtype).size), dtype=dtype), gradient(dtype)
    optimizer = OPTIMIZER_OF[update](0.0)
    for _ in range(3):
        optimizer.apply([g], [weight])
    assert (weight.numpy() == 1).all()


@EVERY
@pytest.mark.parametrize("values", [[1, 5, np.nan, 9], [1, 5, -np.inf, 9]])
def test_what_is_not_finite_is_said_so(update, values):
    weight, optimizer = fastnn.Variable(np.ones(4, "float32")), OPTIMIZER_OF[update](0.0)
    with pytest.raises(
        NotFiniteError, match=f"{type(optimizer).__name__.lower()}'s check: element 2 is not finite"
    ):
        optimizer.apply([values], [weight])
    assert (weight.numpy() == 1).all()
    assert optimizer.iterations == 0


def test_the_first_element_is_named_whatever_is_wrong_with_it():
    weight, optimizer = fastnn.Variable(np.ones(200, "float32")), optimizers.SGD(LARGEST["float32"])
    g = np.zeros(200)
    g[150], g[190] = 2, np.nan
    with pytest.raises(FloatingPointError, match="the update of element 150 would overflow"):
        optimizer.apply([g], [weight])
    g[70] = np.inf
    with pytest.raises(FloatingPointError, match="element 70 is not finite"):
        optimizer.apply([g], [weight])


def test_in_fit_it_is_said_where_and_all_is_as_before():
    """Moving statistics too, which are committed with the weights."""
    rng = np.random.default_rng(0)
    model = fastnn.Sequential([fastnn.Input((4,)), layers.BatchNormalization(), layers.Dense(1)])
    model.compile(optimizers.SGD(LARGEST["float32"]), "mse")
    before = model.get_weights()
    with pytest.raises(
        FloatingPointError,
        match=r"training, epoch 1, step 1: sgd's check: the update of element \d+ would overf",
    ):
        model.fit(rng.normal(size=(8, 4)), np.full((8, 1), 1e4), verbose=0)
    assert_same(model.get_weights(), before)
    assert model.optimizer.iterations == 0
