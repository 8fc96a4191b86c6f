"""Tapes are used as long as what was read while they were recorded is as it was: optimizers, and
what is trainable."""

import inspect

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, ops, optimizers
from fastnn.registry import parameters

ROWS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
TARGETS = ROWS[:, :2] * 0.5


# ---- optimizers

OTHER = {
    "momentum": 0.7,
    "nesterov": True,
    "beta_1": 0.5,
    "beta_2": 0.9,
    "rho": 0.5,
    "epsilon": 0.1,
    "amsgrad": True,
    "centered": True,
    "epsilon_after_correction": True,
    "learning_rate_power": -0.9,
    "l1_regularization_strength": 0.1,
    "l2_regularization_strength": 0.1,
    "l2_shrinkage_regularization_strength": 0.1,
    "beta": 0.1,
    "beta_2_decay": -0.2,
    "epsilon_1": 0.1,
    "epsilon_2": 0.9,
    "clip_threshold": 0.1,
}
# of all: tried with one of them
SHARED = {
    "weight_decay": 0.5,
    "clipnorm": 0.01,
    "clipvalue": 0.01,
    "global_clipnorm": 0.01,
    "loss_scale_factor": 4.0,
    "gradient_accumulation_steps": 2,
}
KINDS = set(optimizers.KIND.names.values())
HYPERPARAMETERS = [  # and what else is given
    (kind, name, base)
    for kind in sorted(KINDS, key=lambda kind: kind.__name__)
    for name in OTHER
    if name in inspect.signature(kind).parameters
    or (kind in (optimizers.AdamW, optimizers.Nadam, optimizers.Lamb) and name == "beta_1")
    for base in ([{}, {"momentum": 0.9}] if kind is optimizers.SGD else [{}])
] + [(optimizers.SGD, name, {"momentum": 0.9}) for name in SHARED]
OTHER.update(SHARED)


def trained(optimizer, changes=(), recorded=True, steps=6):
    """Weights after some steps, before each of which a change of the optimizer may happen."""
    weight, bias = fastnn.Variable(np.arange(6.0).reshape(3, 2) / 5), fastnn.Variable([0.1, -0.2])
    optimizer.build([weight, bias])

    def step(x, y):
        loss = ops.mean(ops.squared_difference(ops.linear(x, weight, bias), y))
        loss.backward()
        optimizer.step()

    run = fastnn.record(step) if recorded else step
    for number in range(steps):
        for name, value in dict(changes).get(number, {}).items():
            setattr(optimizer, name, value)
        run(fastnn.tensor(ROWS), fastnn.tensor(TARGETS))
    return np.concatenate([weight.numpy().reshape(-1), bias.numpy()])


@pytest.mark.parametrize(("kind", "name", "base"), HYPERPARAMETERS)
def test_a_hyperparameter_that_is_assigned_is_as_if_it_had_been_given(kind, name, base):
    fresh = trained(kind(**{**base, name: OTHER[name]}))
    late = kind(**base)
    np.testing.assert_array_equal(trained(late, {0: {name: OTHER[name]}}), fresh)
    plain = trained(kind(**base))
    # of few steps the largest square is the last, and a sign the same
    same = name == "amsgrad" or kind is optimizers.Lion or (name == "nesterov" and not base)
    assert (fresh != plain).any() or same
    changes = {2: {name: OTHER[name]}, 4: {name: getattr(kind(**base), name)}}
    np.testing.assert_array_equal(
        trained(kind(**base), changes), trained(kind(**base), changes, recorded=False)
    )


@pytest.mark.parametrize("kind", sorted(KINDS, key=lambda kind: kind.__name__))
def test_a_hyperparameter_is_checked_when_it_is_assigned(kind):
    optimizer = kind()
    for name in parameters(kind):
        before = getattr(optimizer, name)
        if name == "name" or isinstance(before, bool):
            continue
        for wrong in (-1.0, float("nan"), float("inf")):
            if wrong == -1.0 and name in ("learning_rate_power", "beta_2_decay"):
                wrong = 1.0
            with pytest.raises(ValueError, match=name):
                setattr(optimizer, name, wrong)
        assert getattr(optimizer, name) == before


def test_momentum_that_is_set_to_zero_and_one_that_comes_later_are_those_of_new_optimizers():
    momentum = optimizers.SGD(momentum=0.9)
    np.testing.assert_array_equal(
        trained(momentum, {0: {"momentum": 0.0}}), trained(optimizers.SGD())
    )
    np.testing.assert_array_equal(
        trained(optimizers.SGD(), {0: {"momentum": 0.9}}), trained(optimizers.SGD(momentum=0.9))
    )
    assert not momentum._memory


def test_the_learning_rate_stays_in_memory(recordings):
    optimizer = optimizers.Adam()
    trained(optimizer, {n: {"learning_rate": 0.1 * n} for n in range(6)})
    assert len(recordings) == 1


@pytest.mark.parametrize(("kind", "name", "base"), HYPERPARAMETERS)
def test_a_hyperparameter_that_changes_between_fits_counts(kind, name, base):
    def weights(run_eagerly):
        model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2, kernel_initializer="ones")])
        model.compile(kind(**base), "mse", run_eagerly=run_eagerly)
        for value in (getattr(model.optimizer, name), OTHER[name], getattr(model.optimizer, name)):
            setattr(model.optimizer, name, value)
            model.fit(ROWS, TARGETS, epochs=2, batch_size=3, shuffle=False, verbose=0)
        return np.concatenate([w.reshape(-1) for w in model.get_weights()])

    np.testing.assert_array_equal(weights(False), weights(True))


@pytest.mark.parametrize("moment", ["on_epoch_begin", "on_epoch_end", "on_train_begin"])
@pytest.mark.parametrize(
    "change",
    [
        lambda model, epoch: setattr(model.optimizer, "momentum", 0.9),
        lambda model, epoch: setattr(model.layers[0], "trainable", False),
        lambda model, epoch: setattr(model.layers[2], "trainable", epoch != 1),
        lambda model, epoch: setattr(model.layers[1], "activation", fastnn.activations.get("tanh")),
    ],
)
def test_what_a_callback_changes_counts_from_then_on(moment, change):
    class Changing(fastnn.callbacks.Callback):
        pass

    setattr(Changing, moment, lambda self, *arguments: change(self.model, arguments[0]))

    def weights(run_eagerly):
        model = fastnn.Sequential(
            [
                fastnn.Input((3,)),
                layers.Dense(4, kernel_initializer="ones"),
                layers.Dense(2),
                layers.Dense(2),
            ]
        )
        model.layers[2].trainable = False
        for layer in model.layers[1:]:
            layer.set_weights([np.ones(layer.kernel.shape) / 4, np.zeros(2)])
        model.compile(optimizers.SGD(0.1), "mse", run_eagerly=run_eagerly)
        history = model.fit(
            ROWS, TARGETS, epochs=3, batch_size=3, shuffle=False, verbose=0, callbacks=[Changing()]
        )
        assert len(history.epoch) == 3
        return np.concatenate(
            [*history.history.values(), *[w.reshape(-1) for w in model.get_weights()]]
        )

    np.testing.assert_array_equal(weights(False), weights(True))


def test_an_error_names_the_epoch_also_after_a_change():
    class Changing(fastnn.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.momentum = 0.1 * epoch
            if epoch == 2:
                self.model.set_weights([np.full((3, 2), np.inf), np.zeros(2)])

    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    with pytest.raises(FloatingPointError, match="epoch 3, step 1"):
        model.fit(ROWS, TARGETS, epochs=4, verbose=0, callbacks=[Changing()])


# ---- what is trainable


def gan():
    generator = fastnn.Sequential(
        [fastnn.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(3)]
    )
    discriminator = fastnn.Sequential(
        [fastnn.Input((3,)), layers.Dense(4), layers.BatchNormalization(), layers.Dense(1)]
    )
    return generator, discriminator


def train(generator, discriminator, recorded, rounds=4):
    adam = [optimizers.Adam(0.01) for _ in range(2)]
    for optimizer, model in zip(adam, (generator, discriminator), strict=True):
        optimizer.build(model.trainable_variables)
    loss = losses.BinaryCrossentropy(from_logits=True)
    ones, zeros = np.ones((4, 1), np.float32), np.zeros((4, 1), np.float32)

    def of_generator(x):
        loss(ones, discriminator(generator(x), training=True)).backward()
        adam[0].step()

    def of_discriminator(x, y):
        (
            loss(ones, discriminator(y, training=True))
            + loss(zeros, discriminator(x, training=True))
        ).backward()
        adam[1].step()

    steps = [of_generator, of_discriminator]
    if recorded:
        steps = [fastnn.record(f) for f in steps]
    for _ in range(rounds):
        discriminator.trainable = False
        steps[0](fastnn.tensor(ROWS))
        discriminator.trainable = True
        steps[1](fastnn.tensor(ROWS), fastnn.tensor(ROWS + 1))
    return np.concatenate(
        [w.reshape(-1) for m in (generator, discriminator) for w in m.get_weights()]
    )


def test_networks_that_are_frozen_in_turn_find_their_tapes(recordings):
    first, second = gan(), gan()
    for one, other in zip(first, second, strict=True):
        other.set_weights(one.get_weights())
    eager = train(*first, recorded=False)
    assert not recordings
    np.testing.assert_array_equal(train(*second, recorded=True), eager)
    assert len(recordings) == 2


@pytest.mark.parametrize("variable", [lambda m: m.layers[0].kernel, lambda m: m.layers[1].gamma])
@pytest.mark.parametrize("name", ["trainable", "requires_gradient"])
def test_a_variable_that_is_frozen_by_itself_stays_as_it_is(variable, name, recordings):
    _, model = gan()
    model.compile("sgd", "mse")
    weight, optimizer, loss = variable(model), optimizers.SGD(), losses.MeanSquaredError()
    optimizer.build(model.trainable_variables)
    optimizer._warned = True  # that no gradient reaches what is frozen

    @fastnn.record
    def step(x, y):
        loss(y, model(x, training=True)).backward()
        optimizer.step()

    for train in (
        lambda: step(ROWS, TARGETS[:, :1]),
        lambda: model.fit(ROWS, TARGETS[:, :1], verbose=0),
    ):
        for learned in (True, False, True, False):
            setattr(weight, name, learned)
            before, others = weight.numpy(), model.layers[2].kernel.numpy()
            train()
            assert (weight.numpy() != before).any() == learned
            assert (model.layers[2].kernel.numpy() != others).any()
    assert recordings.count("step") == recordings.count("training") == 2


def test_a_layer_frozen_and_melted_leaves_frozen_what_was_frozen_by_itself():
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2)])
    kernel, bias = model.weights
    kernel.trainable = False
    model.trainable = False
    model.trainable = True
    assert model.trainable_weights == [bias]
    assert model.non_trainable_weights == [kernel]


def test_freezing_does_not_touch_predictions(recordings):
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2)])
    model.predict(ROWS)
    del recordings[:]
    for trainable in (False, True, False):
        model.trainable = trainable
        model.predict(ROWS)
    assert not recordings


def test_a_step_that_freezes_by_itself_is_recorded_once(recordings):
    _, model = gan()
    optimizer = optimizers.SGD()
    optimizer.build(model.trainable_variables)
    optimizer._warned = True  # that no gradient reaches what is frozen

    @fastnn.record
    def step(x):
        model.layers[0].trainable = False
        ops.mean(model(x)).backward()
        model.layers[0].trainable = True
        optimizer.step()

    for _ in range(3):
        step(ROWS)
    assert len(recordings) == 1
