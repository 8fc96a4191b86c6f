"""Training that is stopped and goes on in another run: with the bits of one never stopped."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.callbacks import BackupAndRestore, Callback, EarlyStopping, ReduceLROnPlateau

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype("float32")
Y = X[:, :1] * 2 + RNG.normal(size=(60, 1)).astype("float32")


def network(seed=1, optimizer="adam"):
    fastnn.utils.set_random_seed(seed)
    model = fastnn.Sequential(
        [
            fastnn.Input((3,)), layers.Dense(16, "relu"), layers.BatchNormalization(),
            layers.Dropout(0.3), layers.Dense(1),
        ]
    )  # fmt: skip
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


class Stop(Exception):
    pass


class StopAt(Callback):
    def __init__(self, epoch, error=Stop):
        self.epoch, self.error = epoch, error

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise self.error


def fitted(model, callbacks, epochs=6):
    return model.fit(
        X, Y, 16, epochs, callbacks=callbacks, validation_data=(X[:20], Y[:20]), verbose=0
    )


def watchers():
    return [
        EarlyStopping("val_loss", patience=4, restore_best_weights=True),
        ReduceLROnPlateau("loss", patience=1, factor=0.5),
    ]


@pytest.mark.parametrize("backup_first", [True, False])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", fastnn.optimizers.AdamW(weight_decay=0.01)])
def test_stopped_and_resumed_is_never_stopped(optimizer, backup_first, tmp_path):
    def optimizer_of_its_own():
        known = isinstance(optimizer, str)
        return optimizer if known else type(optimizer).from_config(optimizer.get_config())

    whole = network(optimizer=optimizer_of_its_own())
    expected = fitted(whole, watchers())

    def run(stop, seed):
        model = network(seed, optimizer_of_its_own())
        backup = [BackupAndRestore(tmp_path)]
        others = watchers()
        parts = backup + others if backup_first else others + backup
        try:
            return model, fitted(model, [*parts, StopAt(stop)])
        except Stop:
            return model, None

    run(2, 1)
    assert os.listdir(tmp_path) == ["training.fastnn"]
    run(4, 77)  # seeds and weights of the process that goes on do not matter
    model, found = run(-1, 78)
    assert found.history == expected.history
    assert found.epoch == expected.epoch
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert os.listdir(tmp_path) == []


def test_ctrl_c_leaves_the_backup_and_training_goes_on(tmp_path, capfd):
    whole = network()
    expected = fitted(whole, [])
    model = network()
    history = fitted(model, [BackupAndRestore(tmp_path), StopAt(3, KeyboardInterrupt)])
    assert history.interrupted
    assert len(history.epoch) == 3
    model = network(5)
    assert fitted(model, [BackupAndRestore(tmp_path)]).history == expected.history
    np.testing.assert_array_equal(model.get_weights()[0], whole.get_weights()[0])


def test_a_finished_training_may_keep_its_backup(tmp_path):
    model = network()
    fitted(model, [BackupAndRestore(tmp_path, delete_checkpoint=False)])
    again = network(3)
    history = fitted(again, [BackupAndRestore(tmp_path, delete_checkpoint=False)], epochs=8)
    assert len(history.history["loss"]) == 8
    whole = network()
    assert fitted(whole, [], epochs=8).history == history.history


PROGRAM = """
import json, sys, numpy as np, fastnn
from fastnn import layers
from fastnn.callbacks import BackupAndRestore
folder, threads, epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
fastnn.set_threads(threads)
rng = np.random.default_rng(0)
x = rng.normal(size=(400, 8)).astype("float32")
y = (x.sum(axis=1) > 0).astype("int64")
fastnn.utils.set_random_seed(3)
model = fastnn.Sequential([fastnn.Input((8,)), layers.Dense(64, "relu"), layers.Dropout(0.2),
                           layers.Dense(2, "softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
callbacks = [BackupAndRestore(folder)] if folder else []
history = model.fit(x, y, epochs=epochs, callbacks=callbacks, verbose=0)
print(json.dumps([history.history, [w.tolist() for w in model.get_weights()]]))
"""


def run(folder, threads, epochs, killed_after=None):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(threads), str(epochs)],
        stdout=subprocess.PIPE,
        text=True,
    )
    if killed_after is not None:
        backup, start = folder / "training.fastnn", time.monotonic()
        while not backup.exists() and process.poll() is None and time.monotonic() < start + 60:
            time.sleep(0.001)
        time.sleep(killed_after)
        process.send_signal(signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    return json.loads(out) if out else None


def killed_and_resumed(tmp_path, times, epochs):
    expected = run("", 1, epochs)
    rng = np.random.default_rng(0)
    killed = 0
    for number in range(times):
        found = run(tmp_path, 1 + number % 2, epochs, rng.uniform(0, 0.05))
        killed += found is None
    assert killed
    assert run(tmp_path, 2, epochs) == expected


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9")
def test_killed_and_resumed(tmp_path):
    killed_and_resumed(tmp_path, 2, 300)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9")
def test_killed_twenty_times(tmp_path):
    killed_and_resumed(tmp_path, 20, 4000)


def test_what_cannot_be_resumed_is_named(tmp_path):
    with pytest.raises(ValueError, match="backup_dir is empty"):
        BackupAndRestore("")
    with pytest.raises(ValueError, match="save_freq must be 'epoch'; got 5"):
        BackupAndRestore(tmp_path, save_freq=5)
    model = network()
    with pytest.raises(Stop):
        fitted(model, [BackupAndRestore(tmp_path), StopAt(1)])
    other = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(1)])
    other.compile("adam", "mse")
    with pytest.raises(ValueError, match="is of another training"):
        other.fit(X, Y, callbacks=[BackupAndRestore(tmp_path)], verbose=0)
    data = (tmp_path / "training.fastnn").read_bytes()
    (tmp_path / "training.fastnn").write_bytes(data[:-8])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        fitted(network(), [BackupAndRestore(tmp_path), StopAt(1)])
    network().save(tmp_path / "training.fastnn")
    with pytest.raises(ValueError, match="no checkpoint of a training"):
        fitted(network(), [BackupAndRestore(tmp_path), StopAt(1)])
