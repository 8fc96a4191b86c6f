"""SwapEMAWeights."""

import numpy as np
import pytest

import fastnn
from fastnn.callbacks import BackupAndRestore, Callback, ModelCheckpoint, SwapEMAWeights

X = np.random.default_rng(0).normal(size=(12, 3)).astype("f4")
Y = (X @ [[1.0, 0.0], [2.0, -1.0], [0.0, 3.0]]).astype("f4")


def compiled(use_ema=True):
    model = fastnn.Sequential(
        [fastnn.Input((3,)), fastnn.layers.Dense(2, kernel_initializer="ones", use_bias=False)]
    )
    model.compile(fastnn.optimizers.SGD(0.1, use_ema=use_ema, ema_momentum=0.9), "mse")
    return model


def fitted(callbacks, epochs=3, model=None):
    model = model or compiled()
    given = {"validation_data": (X, Y), "shuffle": False, "batch_size": 5, "verbose": 0}
    return model, model.fit(X, Y, epochs=epochs, callbacks=callbacks, **given).history


class Weights(Callback):
    """The weights at the end of each epoch, and the averages."""

    def __init__(self):
        self.seen, self.averages = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.model.get_weights()[0])
        self.averages.append(self.model.optimizer.variables[-1].numpy())


def test_validation_is_of_the_averages():
    plain, without = fitted([see := Weights()])
    model, history = fitted([SwapEMAWeights()])
    assert history["loss"] == without["loss"]  # training is of the weights
    expected = [float(np.mean((X @ average - Y) ** 2)) for average in see.averages]
    np.testing.assert_allclose(history["val_loss"], expected, rtol=1e-5)
    assert history["val_loss"] != without["val_loss"]
    np.testing.assert_array_equal(model.get_weights()[0], see.averages[-1])  # as fit ends
    np.testing.assert_array_equal(plain.get_weights()[0], see.averages[-1])


def test_callbacks_after_it_see_and_save_the_averages(tmp_path):
    fitted([see := Weights()])
    swapped = [SwapEMAWeights(swap_on_epoch=True), after := Weights()]
    model, _ = fitted([*swapped, ModelCheckpoint(tmp_path / "{epoch}.fastnn")])
    for seen, average, saved in zip(after.seen, see.averages, "123", strict=True):
        np.testing.assert_array_equal(seen, average)
        loaded = fastnn.load_model(tmp_path / f"{saved}.fastnn")
        np.testing.assert_array_equal(loaded.get_weights()[0], average)
    np.testing.assert_array_equal(model.get_weights()[0], see.averages[-1])


@pytest.mark.parametrize("backup_is_first", [True, False])
def test_goes_on_from_a_backup(tmp_path, backup_is_first):
    class Stop(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError("stopped")

    def callbacks(*others):
        pair = [BackupAndRestore(tmp_path / "b"), SwapEMAWeights(swap_on_epoch=True)]
        return [*(pair if backup_is_first else pair[::-1]), *others]

    whole, history = fitted([SwapEMAWeights(swap_on_epoch=True)], epochs=4)
    with pytest.raises(RuntimeError, match="stopped"):
        fitted(callbacks(Stop()), epochs=4)
    resumed, again = fitted(callbacks(), epochs=4)
    np.testing.assert_array_equal(resumed.get_weights()[0], whole.get_weights()[0])
    assert again["val_loss"] == history["val_loss"]


def test_evaluate_and_predict():
    model = compiled()
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    weights, average = model.get_weights()[0], model.optimizer.variables[-1].numpy()
    loss = model.evaluate(X, Y, callbacks=[SwapEMAWeights()], verbose=0)
    np.testing.assert_allclose(loss, np.mean((X @ average - Y) ** 2), rtol=1e-5)
    found = model.predict(X, callbacks=[SwapEMAWeights()], verbose=0)
    np.testing.assert_allclose(found, X @ average, rtol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[0], weights)


def test_needs_averages():
    with pytest.raises(ValueError, match="use_ema=True"):
        fitted([SwapEMAWeights()], model=compiled(use_ema=False))


def test_a_weight_without_a_gradient_keeps_its_value():
    """Its average, which `fit` ends with, was 0."""
    unused = fastnn.Variable(np.ones(2, "f4"), name="unused")
    used = fastnn.Variable(np.ones(2, "f4"), name="used")
    optimizer = fastnn.optimizers.SGD(0.1, use_ema=True)
    optimizer.build([used, unused])
    with pytest.warns(UserWarning, match="no gradient reaches unused"):
        optimizer.apply([[1.0, 1.0], None])
    optimizer.finalize_variable_values([used, unused])
    np.testing.assert_array_equal(unused.numpy(), [1, 1])
