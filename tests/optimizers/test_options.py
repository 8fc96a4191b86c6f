"""What all optimizers take: clipping, decay, averages, accumulation, schedules, constraints; and
those of one's own."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops, optimizers
from fastnn.devices.cpu import INTERPRETED
from fastnn.errors import RecordingError, ShapeError

schedules = optimizers.schedules
RNG = np.random.default_rng(0)
GRADIENTS = RNG.normal(size=(8, 3)).astype("float32")


class Momentum(optimizers.Optimizer):
    states = ("velocity", "before")

    def update(self, parameter, gradient, rate, velocity, before):
        velocity = 0.9 * velocity - rate * gradient
        return parameter + velocity + 0.0 * before, velocity, parameter


class Warming(schedules.LearningRateSchedule):
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate * ops.minimum((step + 1.0) / 3.0, 1.0)


class TwoRates(schedules.LearningRateSchedule):
    def __call__(self, step):
        return step + np.ones(2)


MADE = {
    "clipnorm": lambda: optimizers.Adam(0.1, clipnorm=0.5, weight_decay=0.1),
    "global": lambda: optimizers.SGD(0.1, 0.9, global_clipnorm=0.5),
    "value": lambda: optimizers.RMSprop(0.1, clipvalue=0.5, use_ema=True),
    "accumulated": lambda: optimizers.Nadam(
        0.1, gradient_accumulation_steps=3, use_ema=True, ema_overwrite_frequency=2
    ),
    "composed": lambda: optimizers.Lamb(0.1, gradient_accumulation_steps=2, use_ema=True),
    "own": lambda: Momentum(0.1, clipnorm=0.5, loss_scale_factor=2.0),
    "schedule": lambda: optimizers.Adagrad(Warming(0.1)),
}
every = pytest.mark.parametrize("name", MADE)


def contents(optimizer, weights):
    return [w.numpy() for w in (*weights, *optimizer.variables)]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def step_of(optimizer, weights, recorded):
    def step(*gradients):
        optimizer.apply(list(gradients), weights)

    return fastnn.record(step) if recorded else step


def weights_of():
    return [fastnn.Variable(np.ones(3)), fastnn.Variable(2.0)]


def given(row):
    return fastnn.tensor(GRADIENTS[row]), fastnn.tensor(GRADIENTS[row, 0])


# ---- a step changes everything or nothing, and can be copied anywhere


@every
@pytest.mark.parametrize("recorded", [False, True])
def test_a_step_that_is_refused_changes_nothing(name, recorded):
    optimizer, weights = MADE[name](), weights_of()
    step = step_of(optimizer, weights, recorded)
    for row in range(4):
        before = contents(optimizer, weights) if row else None
        for bad in (np.nan, np.inf) if row else ():
            wrong = GRADIENTS[row].copy()
            wrong[1] = bad
            with pytest.raises(FloatingPointError):
                step(fastnn.tensor(wrong), given(row)[1])
            assert_same(contents(optimizer, weights), before)
        step(*given(row))


@every
def test_it_goes_on_where_it_was(name):
    """In copies, pickles, and another one that is given what it holds."""
    optimizer, weights = MADE[name](), weights_of()
    for row in range(4):
        optimizer.apply(given(row), weights)
    others = [copy.deepcopy((optimizer, weights)), pickle.loads(pickle.dumps((optimizer, weights)))]
    fresh, same = MADE[name](), weights_of()
    fresh.build(same)
    for mine, theirs in zip((*same, *fresh.variables), contents(optimizer, weights), strict=True):
        mine.assign(theirs)
    for row in range(4, 8):
        optimizer.apply(given(row), weights)
        for other, its in [*others, (fresh, same)]:
            other.apply(given(row), its)
    for other, its in [*others, (fresh, same)]:
        assert_same(contents(other, its), contents(optimizer, weights))
        assert other.iterations == optimizer.iterations


@pytest.mark.skipif(INTERPRETED, reason="interpreted kernels have one thread")
@pytest.mark.parametrize("name", ["clipnorm", "composed", "value"])
def test_bits_do_not_depend_on_threads(name):
    found, gradient = [], RNG.normal(size=40_000).astype("float32")
    for n_threads in (1, 2):
        fastnn.set_threads(n_threads)
        optimizer, weight = MADE[name](), fastnn.Variable(np.ones(gradient.size))
        step = step_of(optimizer, [weight], True)
        for _ in range(3):
            step(fastnn.tensor(gradient))
        found.append(contents(optimizer, [weight]))
    assert_same(*found)


def test_a_large_velocity_is_known_where_it_is_put():
    """Which the gradient alone does not tell (tests/optimizers/test_updates.py)."""
    weight, largest = fastnn.Variable(np.zeros(2)), float(np.finfo("float32").max)
    one, other = optimizers.SGD(1.0, 0.9), optimizers.SGD(1.0, 0.9)
    one.apply([[1.0, largest / 3]], [weight])
    other.build([weight])
    other.set_weights([v.numpy() for v in one.variables])
    weight.assign([0.0, -0.9 * largest])
    with pytest.raises(FloatingPointError, match="the update of element 1 would overflow"):
        other.apply([[0.0, 0.0]], [weight])


# ---- each of them


def test_norms_of_large_gradients_do_not_overflow():
    for limit in ({"clipnorm": 1.0}, {"global_clipnorm": 1.0}):
        weight = fastnn.Variable([0.0, 0.0])
        optimizers.SGD(1.0, **limit).apply([[3e25, 4e25]], [weight])
        np.testing.assert_allclose(weight.numpy(), [-0.6, -0.8], rtol=1e-6)


def test_some_variables_do_not_decay():
    made = [fastnn.Variable([1.0], name=name) for name in ("kernel", "bias", "gamma")]
    optimizer = optimizers.SGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[made[2]], var_names=["^bi"])
    optimizer.apply([[0.0]] * 3, made)
    assert [v.item() for v in made] == [0.75, 1.0, 1.0]
    with pytest.raises(ValueError, match="comes before build"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])


@pytest.mark.parametrize("amsgrad", [False, True])
def test_pytorchs_epsilon(amsgrad):
    weight, w, m, v, largest = fastnn.Variable(np.ones(3)), np.ones(3), 0.0, 0.0, 0.0
    adam = optimizers.Adam(0.1, epsilon=0.1, amsgrad=amsgrad, epsilon_after_correction=True)
    for t, g in enumerate(GRADIENTS.astype("float64"), 1):
        adam.apply([g], [weight])
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        largest = np.maximum(largest, v) if amsgrad else v
        w -= 0.1 / (1 - 0.9**t) * m / (np.sqrt(largest / (1 - 0.999**t)) + 0.1)
    np.testing.assert_allclose(weight.numpy(), w, rtol=1e-5)


@pytest.mark.parametrize("kind", [optimizers.Adam, Momentum])
def test_a_constraint_is_a_part_of_the_step(kind):
    weights, optimizer = weights_of(), kind(1.0, use_ema=True)
    weights[0].constraint = lambda w: ops.maximum(w, 0.5)
    optimizer.apply([np.ones(3), 1.0], weights)
    assert weights[0].numpy().min() == 0.5
    assert weights[1].item() < 2
    before = contents(optimizer, weights)
    weights[0].constraint = lambda w: ops.log(0.0 * w - 1.0)
    with pytest.raises(FloatingPointError):
        optimizer.apply([np.ones(3), 1.0], weights)
    assert_same(contents(optimizer, weights), before)
    weights[0].constraint = lambda w: ops.sum(w)
    with pytest.raises(
        ShapeError, match=r"the constraint of 'variable' must give .* of shape \(3\)"
    ):
        optimizer.apply([np.ones(3), 1.0], weights)


def test_fit_scales_the_loss_and_ends_with_averages():
    x, y = RNG.normal(size=(12, 3)).astype("float32"), RNG.normal(size=(12, 1)).astype("float32")

    def ended(**given):
        model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(1, kernel_initializer="ones")])
        model.compile(optimizers.SGD(0.1, **given), "mse")
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        return model

    plain, scaled, averaged = ended(), ended(loss_scale_factor=8.0), ended(use_ema=True)
    for a, b in zip(plain.get_weights(), scaled.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    kept = [v for v in averaged.optimizer.variables if v.name.endswith("_average")]
    assert_same(averaged.get_weights(), [v.numpy() for v in kept])


# ---- learning rates


def test_a_learning_rate_may_be_a_schedule_or_a_function():
    weight, sgd = fastnn.Variable([1.0]), optimizers.SGD(Warming(0.3))
    assert sgd.learning_rate == pytest.approx(0.1)
    with pytest.raises(TypeError, match="its learning rate is a schedule"):
        sgd.learning_rate = 0.1
    sgd.learning_rate = lambda: 0.5
    sgd.apply([[1.0]], [weight])
    assert (weight.item(), sgd.learning_rate) == (0.5, 0.5)
    with pytest.raises(RecordingError, match=r"its learning rate gave 0\.5"):
        fastnn.record(lambda: sgd.apply([[1.0]], [weight]))()
    sgd.learning_rate = 0.25
    sgd.apply([[1.0]], [weight])
    assert weight.item() == 0.25
    sgd.learning_rate = TwoRates()
    with pytest.raises(ShapeError, match="a learning rate is one number"):
        sgd.apply([[1.0]], [weight])


def test_a_schedule_that_is_changed_counts():
    weight, schedule = fastnn.Variable([1.0]), Warming(0.3)
    step = step_of(optimizers.SGD(schedule), [weight], True)
    step(fastnn.tensor([1.0]))
    schedule.rate = 0.6
    step(fastnn.tensor([1.0]))
    assert weight.item() == pytest.approx(0.5)


def test_the_count_is_no_number_within_a_recorded_step():
    sgd = optimizers.SGD(0.1)
    with pytest.raises(RecordingError, match="iterations is read while"):
        fastnn.record(lambda: fastnn.tensor([1.0]) * float(sgd.iterations))()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "decay_steps must be above 0; got 0"),
        (lambda: schedules.CosineDecayRestarts(0.1, -1), "first_decay_steps must be above 0"),
        (lambda: schedules.CosineDecayRestarts(0.1, 1, t_mul=0), "t_mul must be above 0; got 0"),
        (lambda: schedules.CosineDecay(np.nan, 1), "initial_learning_rate must be a finite number"),
        (lambda: schedules.PiecewiseConstantDecay([1], [0.1]), "1 boundaries and 1 values"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [0.1] * 3), "boundaries must increase"),
        (lambda: optimizers.SGD(clipnorm=1.0, clipvalue=1.0), "only one of clipnorm, clipvalue"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=1), "whole number from 2 on; got 1"),
        (lambda: optimizers.SGD(ema_overwrite_frequency=0), "whole number from 1 on; got 0"),
        (lambda: optimizers.AdamW(weight_decay=None), "weight_decay must be a finite number"),
        (lambda: optimizers.SGD().set_weights([]), "set_weights before build"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_unknown_argument_is_named():
    with pytest.raises(TypeError, match=r"Adam: unknown argument 'beta1'.*mean 'beta_1'"):
        optimizers.Adam(beta1=0.5)


# ---- one's own


def test_ones_own_is_recorded_as_it_is_eager():
    found = []
    for recorded in (False, True):
        optimizer, weights = Momentum(0.1, weight_decay=0.1), weights_of()
        step = step_of(optimizer, weights, recorded)
        for row in range(4):
            step(*given(row))
        found.append(contents(optimizer, weights))
    assert_same(*found)
    before = next(v for v in optimizer.variables if v.name.endswith("_before"))
    assert (before.numpy() != weights[0].numpy()).all()  # as it was, not as it became


@pytest.mark.parametrize(
    ("update", "message"),
    [
        (lambda p, g, rate: (p, g), "returns the variable and 0 states; got 2 tensors"),
        (lambda p, g, rate: ops.sum(p), r"gave the variable shape \(\), not \(3\)"),
        (lambda p, g, rate: p.astype("float64"), "gave the variable as float64, not float32"),
    ],
)
def test_what_an_update_returns_is_checked(update, message):
    optimizer = optimizers.Optimizer(0.1)
    optimizer.update = update
    with pytest.raises((ValueError, TypeError), match=message):
        optimizer.apply([np.ones(3)], [fastnn.Variable(np.ones(3))])
