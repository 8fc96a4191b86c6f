"""Callbacks that come with the library: what they do to training, and what they write."""

import csv
import pickle

import numpy as np
import pytest

import fastnn
from fastnn.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgbarLogger,
    ReduceLROnPlateau,
    TensorBoard,
    TerminateOnNaN,
)
from fastnn.layers import Dense

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 3)).astype("float32")
Y = X[:, :1] * 2


def network(optimizer="sgd", **compiled):
    fastnn.utils.set_random_seed(0)
    model = fastnn.Sequential([fastnn.Input((3,)), Dense(1)])
    model.compile(optimizer, "mse", **compiled)
    return model


class Losses(Callback):
    """Gives each epoch the next of some losses."""

    def __init__(self, losses):
        self.losses = losses

    def on_epoch_end(self, epoch, logs=None):
        logs["loss"] = self.losses[epoch]


def test_a_schedule_sets_the_rate_of_each_epoch():
    model = network()
    schedule = LearningRateScheduler(lambda epoch, rate: 0.1 if epoch == 0 else rate * 0.5)
    history = model.fit(X, Y, epochs=3, callbacks=[schedule], verbose=0).history
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.05, 0.025])
    by_hand = network(fastnn.optimizers.SGD(0.1))
    halve = LambdaCallback(
        on_epoch_end=lambda e, logs: setattr(
            by_hand.optimizer, "learning_rate", by_hand.optimizer.learning_rate * 0.5
        )
    )
    by_hand.fit(X, Y, epochs=3, callbacks=[halve], verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], by_hand.get_weights()[0])


def test_a_schedule_of_the_epoch_alone(capsys):
    model = network()
    model.fit(
        X, Y, epochs=2, callbacks=[LearningRateScheduler(lambda e: 1 / (e + 2), 1)], verbose=0
    )
    assert (
        "Epoch 2: LearningRateScheduler setting learning rate to 0.333" in capsys.readouterr().out
    )
    with pytest.raises(ValueError, match="the schedule must return a number; got 'a' for epoch 0"):
        model.fit(X, Y, callbacks=[LearningRateScheduler(lambda e: "a")], verbose=0)


def test_the_rate_falls_on_a_plateau():
    losses = [5, 4, 4, 4, 4, 4, 1, 1, 1]
    model = network(fastnn.optimizers.SGD(1e-3))
    reduce = ReduceLROnPlateau("loss", factor=0.1, patience=2, cooldown=1, min_lr=5e-6)
    history = model.fit(
        X, Y, epochs=9, callbacks=[Losses(losses), reduce], verbose=0
    ).history  # fmt: skip
    # Keras 3.15's of these losses
    expected = [1e-3, 1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5, 1e-5]
    np.testing.assert_allclose(history["learning_rate"], expected, rtol=1e-12)
    assert model.optimizer.learning_rate == pytest.approx(5e-6)


@pytest.mark.parametrize(("monitor", "falls"), [("val_loss", True), ("accuracy", False)])
def test_directions_are_known(monitor, falls):
    stopping = EarlyStopping(monitor)
    stopping.model = network()
    assert stopping.better(1.0, 2.0) == falls
    assert stopping.better(2.0, 1.0) != falls


def test_an_unknown_direction_is_asked_for():
    model = network()
    with pytest.raises(ValueError, match="whether 'surprise' improves as it rises"):
        model.fit(
            X, Y, epochs=2, verbose=0,
            callbacks=[LambdaCallback(on_epoch_end=lambda e, logs: logs.update(surprise=e)),
                       EarlyStopping("surprise")],
        )  # fmt: skip


@pytest.mark.parametrize("watched", [False, True], ids=["alone", "watched"])
def test_training_ends_at_a_loss_that_is_not_finite(watched, capsys):
    model = network(fastnn.optimizers.SGD(1e30))
    ends = []
    callbacks = [TerminateOnNaN(), LambdaCallback(on_train_end=lambda logs: ends.append(logs))]
    if watched:
        callbacks.append(LambdaCallback(on_epoch_begin=lambda e, logs: None))
    history = model.fit(X, Y, epochs=50, callbacks=callbacks, verbose=0)
    assert model.stop_training
    assert len(history.epoch) < 50
    assert len(ends) == 1
    assert np.isfinite(model.get_weights()[0]).all()
    assert "Training ends." in capsys.readouterr().out
    with pytest.raises(FloatingPointError):
        model.fit(X, Y, epochs=50, callbacks=[TerminateOnNaN(raise_error=True)], verbose=0)


def test_a_table_of_epochs(tmp_path):
    path = tmp_path / "log.csv"
    model = network(metrics=["mae"])
    history = model.fit(X, Y, epochs=2, callbacks=[CSVLogger(path)], verbose=0).history
    rows = list(csv.reader(path.read_text().splitlines()))
    # as Keras: columns for a validation that may come
    assert rows[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [r[0] for r in rows[1:]] == ["0", "1"]
    assert [float(r[1]) for r in rows[1:]] == history["loss"]
    assert rows[1][3] == "NA"
    more = CSVLogger(path, append=True)
    model.fit(X, Y, epochs=1, callbacks=[pickle.loads(pickle.dumps(more))], verbose=0)
    assert len(list(csv.reader(path.read_text().splitlines()))) == 4
    model.fit(X, Y, validation_split=0.5, callbacks=[CSVLogger(path, ";")], verbose=0)
    assert path.read_text().splitlines()[0] == "epoch;loss;mae;val_loss;val_mae"


def test_weights_are_saved_where_the_name_says(tmp_path, capsys):
    model = network()
    path = tmp_path / "new" / "{epoch:02d}-{loss:.1f}.safetensors"
    model.fit(
        X, Y, epochs=3, verbose=0,
        callbacks=[Losses([3, 2, 2.5]), ModelCheckpoint(path, "loss", 1, True, True)],
    )  # fmt: skip
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "01-3.0.safetensors",
        "02-2.0.safetensors",
    ]
    assert "Epoch 3: loss did not improve from 2.00000" in capsys.readouterr().out
    every = tmp_path / "{epoch}-{batch}.safetensors"
    model.fit(
        X,
        Y,
        4,
        2,
        verbose=0,
        callbacks=[ModelCheckpoint(every, save_weights_only=True, save_freq=4)],
    )
    assert sorted(p.name for p in tmp_path.glob("*.safetensors")) == [
        "1-4.safetensors", "2-2.safetensors", "2-6.safetensors",
    ]  # fmt: skip


def test_bad_checkpoints_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"filepath must end in \.safetensors"):
        ModelCheckpoint("m.h5", save_weights_only=True)
    with pytest.raises(ValueError, match="save_freq"):
        ModelCheckpoint("m.fastnn", save_freq=0)
    bad = ModelCheckpoint(tmp_path / "{accuracy}.safetensors", save_weights_only=True)
    with pytest.raises(ValueError, match="cannot be filled in: 'accuracy'; known are epoch, loss"):
        network().fit(X, Y, callbacks=[bad], verbose=0)


def test_functions_are_hooks():
    seen = []
    callback = LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch),
        on_test_begin=lambda logs: seen.append("test"),
    )
    network().fit(X, Y, 12, validation_split=0.5, callbacks=[callback, ProgbarLogger()], verbose=0)
    assert seen == [0, "test"]
    with pytest.raises(TypeError, match="unknown hook 'on_epoch_ends'; did you mean"):
        LambdaCallback(on_epoch_ends=print)


def test_tensorboards_files(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoard(tmp_path, histogram_freq=1, update_freq=2)
    history = network().fit(X, Y, 4, 2, validation_split=0.25, callbacks=[board], verbose=0).history
    found = EventAccumulator(str(tmp_path / "train")).Reload()
    assert set(found.Tags()["scalars"]) == {"epoch_loss", "epoch_learning_rate", "batch_loss"}
    assert found.Tags()["histograms"]
    np.testing.assert_allclose(
        [e.value for e in found.Scalars("epoch_loss")], history["loss"], rtol=1e-6
    )
    assert [e.step for e in found.Scalars("batch_loss")] == [2, 4, 6, 8, 10]
    tests = EventAccumulator(str(tmp_path / "validation")).Reload()
    assert tests.Tags()["scalars"] == ["epoch_loss"]


def test_tensorboard_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboard", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        network().fit(X, Y, callbacks=[TensorBoard()], verbose=0)
