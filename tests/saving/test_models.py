"""Whole models in files: what comes back, what is refused, and that no file does harm."""

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import files, layers, ops, saving
from fastnn.preprocessing import Clean, Labels, MinMax, Pipeline, Table

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 3)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")
GOLDEN = Path(__file__).with_name("format_1.fastnn")


def sequential(optimizer="adam"):
    fastnn.utils.set_random_seed(1)
    model = fastnn.Sequential(
        [layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dense(2, "softmax")]
    )
    loss = fastnn.losses.SparseCategoricalCrossentropy()
    model.compile(optimizer, loss, metrics=["accuracy"], weighted_metrics=["accuracy"])
    return model


def functional():
    fastnn.utils.set_random_seed(1)
    x = fastnn.Input((3,), name="x")
    shared = layers.Dense(4, "tanh")
    h = layers.Concatenate()([shared(x), shared(x * 2.0)])
    y = layers.Dense(2, "softmax")(layers.LayerNormalization()(h))
    model = fastnn.Model(x, y)
    model.compile(fastnn.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    return model


def scheduled():
    decay = fastnn.optimizers.schedules.CosineDecay(0.01, 12, warmup_target=0.1, warmup_steps=3)
    optimizer = fastnn.optimizers.AdamW(decay, weight_decay=0.3)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma"])
    return sequential(optimizer)


def trained(make):
    model = make()
    model.fit(X, Y, epochs=2, verbose=0)
    return model


@pytest.mark.parametrize("make", [sequential, functional, scheduled])
def test_a_model_comes_back_and_trains_on(make, tmp_path):
    model, path = trained(make), tmp_path / "m.fastnn"
    model.save(path)
    assert os.listdir(tmp_path) == ["m.fastnn"]
    loaded = fastnn.load_model(path)
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert loaded.optimizer.iterations == model.optimizer.iterations
    for one in (model, loaded):
        one.fit(X, Y, epochs=3, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["adam", "rmsprop", "adagrad", "lion", "nadam"])
def test_every_optimizer_goes_on(name, tmp_path):
    model, path = trained(lambda: sequential(name)), tmp_path / "m.fastnn"
    model.save(path)
    loaded = saving.load_model(path)
    for one in (model, loaded):
        one.fit(X, Y, epochs=1, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], loaded.get_weights()[0])


def test_without_the_optimizer(tmp_path):
    model = trained(sequential)
    model.save(tmp_path / "a.fastnn", include_optimizer=False)
    model.save(tmp_path / "b.fastnn")
    sizes = [(tmp_path / f"{n}.fastnn").stat().st_size for n in "ab"]
    assert sizes[0] < sizes[1]
    loaded = fastnn.load_model(tmp_path / "a.fastnn")
    assert loaded.optimizer is None
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert fastnn.load_model(tmp_path / "b.fastnn", compile=False).optimizer is None


def test_preprocessing_is_in_the_file(tmp_path):
    fastnn.utils.set_random_seed(0)
    model = fastnn.Sequential([layers.Dense(2, "softmax")])
    model.preprocessing = Table({"a": [Clean("median"), MinMax()], "b": "one_hot"})
    model.labels = Labels()
    model.compile("adam", "sparse_categorical_crossentropy")
    data = {"a": [1.0, None, 3.0, 4.0], "b": ["x", "y", "x", "z"]}
    model.fit(data, ["no", "yes", "no", "yes"], verbose=0)
    model.save(tmp_path / "m.fastnn")
    loaded = fastnn.load_model(tmp_path / "m.fastnn")
    np.testing.assert_array_equal(loaded.predict(data), model.predict(data))
    assert loaded.labels.classes == ["no", "yes"]


def test_weights_of_a_model_file_load_into_a_model(tmp_path):
    model, path = trained(sequential), tmp_path / "m.fastnn"
    model.save(path)
    other = sequential()
    other.predict(X)
    other.load_weights(path)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


class Doubling(fastnn.Model):
    def __init__(self, units, twice):
        super().__init__()
        self.inner, self._twice = layers.Dense(units), twice

    def call(self, x):
        return self._twice(self.inner(x))


def test_of_a_class_without_a_configuration_weights_are_saved(tmp_path):
    model, path = Doubling(2, lambda y: y * 2.0), tmp_path / "m.fastnn"
    model.predict(X)
    with pytest.warns(UserWarning, match="Doubling .* is saved as its weights alone"):
        model.save(path)
    with pytest.raises(ValueError, match=r"holds the weights of Doubling.*model\.load_weights"):
        fastnn.load_model(path)
    other = Doubling(2, lambda y: y * 2.0)
    other.predict(X)
    other.load_weights(path)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


def test_a_class_of_ones_own_is_found_by_its_name(tmp_path):
    class Scale(layers.Layer):
        def __init__(self, factor=2.0, **base):
            super().__init__(**base)
            self.factor = factor

        def call(self, x):
            return ops.multiply(x, self.factor)

    model = fastnn.Sequential([fastnn.Input((3,)), Scale(3.0), layers.Dense(1)])
    model.save(tmp_path / "m.fastnn")
    with pytest.raises(ValueError, match=r"'Scale' .*custom_objects"):
        fastnn.load_model(tmp_path / "m.fastnn")
    loaded = fastnn.load_model(tmp_path / "m.fastnn", custom_objects={"Scale": Scale})
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_a_model_of_a_class_of_ones_own_is_loaded_whole_where_its_class_is_known(tmp_path):
    class Two(fastnn.Model):
        def __init__(self, units=2):
            super().__init__()
            self.units, self.dense = units, layers.Dense(units)

        def call(self, inputs):
            return self.dense(inputs["a"]) + inputs["b"]

    model = Two(1)
    model.compile("adam", "mse")
    data = {"a": X, "b": X[:, :1]}
    model.fit(data, X[:, :1], verbose=0)
    model.save(tmp_path / "m.fastnn")
    with pytest.raises(ValueError, match=r"'Two' .*custom_objects"):
        fastnn.load_model(tmp_path / "m.fastnn")
    loaded = fastnn.load_model(tmp_path / "m.fastnn", custom_objects={"Two": Two})
    np.testing.assert_array_equal(loaded.predict(data), model.predict(data))
    assert loaded.optimizer.iterations == model.optimizer.iterations


def test_a_loss_without_a_name_is_left_out(tmp_path):
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(1)])
    model.compile("sgd", lambda y, p: ops.mean((y - p) ** 2))
    with pytest.warns(UserWarning, match="loss of model .* is not saved.*Compile again"):
        model.save(tmp_path / "m.fastnn")
    assert fastnn.load_model(tmp_path / "m.fastnn").optimizer is None


# ---- files that are no model's


def test_what_cannot_be_loaded_is_named(tmp_path):
    model = trained(sequential)
    model.save_weights(tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="holds arrays alone, as of save_weights"):
        fastnn.load_model(tmp_path / "w.safetensors")
    with pytest.raises(
        ValueError, match=r"models are \.fastnn files; got 'm.keras'. Call it m.fast"
    ):
        model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"save: expected the path of a file; got '\.', a folder"):
        model.save("")
    with pytest.raises(TypeError, match="load_model: expected the path of a file; got 5"):
        fastnn.load_model(5)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.save(tmp_path / "none" / "m.fastnn")
    model.save(tmp_path / "m.fastnn")
    with pytest.raises(FileExistsError, match="overwrite=True replaces it"):
        model.save(tmp_path / "m.fastnn", overwrite=False)
    with pytest.raises(FileNotFoundError):
        fastnn.load_model(tmp_path / "other.fastnn")
    arrays, texts = files.read(tmp_path / "m.fastnn")
    about = json.loads(texts["fastnn"])
    about["format"] = 99
    text = json.dumps(about)
    checksum = saving.models._checksum(text, arrays)
    files.write(tmp_path / "new.fastnn", arrays, {"fastnn": text, "checksum": checksum})
    with pytest.raises(ValueError, match=r"is of format 99.*reads up to 1: pip install --upgrade"):
        fastnn.load_model(tmp_path / "new.fastnn")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="a user who may not write")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        trained(sequential).save(tmp_path / "m.fastnn")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file(error, tmp_path, monkeypatch):
    model, path = trained(sequential), tmp_path / "m.fastnn"
    model.save(path)
    before = path.read_bytes()

    def fail(*_):
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error)):
        model.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.fastnn"]


def damaged(path, data, expected):
    """A file with these bytes is refused, or gives the right answer."""
    path.write_bytes(data)
    try:
        model = fastnn.load_model(path)
    except ValueError:
        return
    np.testing.assert_array_equal(model.predict(X), expected)


def small(path):
    model = trained(sequential)
    model.save(path)
    return path.read_bytes(), model.predict(X)


def test_files_that_are_cut(tmp_path):
    data, expected = small(tmp_path / "m.fastnn")
    for length in {*range(64), *range(64, len(data), 97), len(data) - 1}:
        (tmp_path / "cut.fastnn").write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"safetensors|damaged"):
            fastnn.load_model(tmp_path / "cut.fastnn")
    damaged(tmp_path / "whole.fastnn", data, expected)


def mutations(data, count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 8))):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        yield bytes(changed)


def test_mutated_files(tmp_path):
    data, expected = small(tmp_path / "m.fastnn")
    for changed in mutations(data, 200, 0):
        damaged(tmp_path / "changed.fastnn", changed, expected)


@pytest.mark.slow
def test_every_length_and_ten_thousand_mutations(tmp_path):
    data, expected = small(tmp_path / "m.fastnn")
    for length in range(len(data)):
        (tmp_path / "cut.fastnn").write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"safetensors|damaged"):
            fastnn.load_model(tmp_path / "cut.fastnn")
    for changed in mutations(data, 10_000, 1):
        damaged(tmp_path / "changed.fastnn", changed, expected)


def test_a_file_of_the_first_format_loads_for_good():
    """Made by this program at format 1: see `write_golden`."""
    model = fastnn.load_model(GOLDEN)
    expected = files.read(GOLDEN).arrays["expected"]
    x = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
    # other vector widths round otherwise
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5)
    assert model.optimizer.iterations == 4
    assert isinstance(model.preprocessing, Pipeline)


def write_golden():
    """python -c 'from tests.saving.test_models import write_golden; write_golden()', once a
    format."""
    model = sequential()
    model.preprocessing = [Clean("mean"), MinMax()]
    model.fit(X, Y, epochs=2, verbose=0)
    x = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
    saving.models.write(model, GOLDEN, others={"expected": model.predict(x)})


def test_models_without_weights_are_saved_too(tmp_path):
    x = fastnn.Input((4, 4, 1))
    model = fastnn.Model(x, fastnn.layers.MaxPooling2D()(x))
    model.save(tmp_path / "m.fastnn")
    images = np.arange(32.0).reshape(2, 4, 4, 1)
    expected = model.predict(images)
    np.testing.assert_array_equal(
        fastnn.load_model(tmp_path / "m.fastnn").predict(images), expected
    )
    model.save_weights(tmp_path / "w.safetensors")
    model.load_weights(tmp_path / "w.safetensors")
