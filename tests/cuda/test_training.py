"""Programs on the GPU's double end with the CPU's weights, and fail with the CPU's messages."""

import copy
import pickle
import re

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops

BITS = 2e-6  # of weights of order 1: sums in another order


def rows(number, features=20, classes=3):
    random = np.random.default_rng(number)
    x = random.normal(size=(number, features)).astype("f4")
    y = (x[:, 0] > 0).astype("i8") + ((x[:, 1] > 0) if classes > 2 else 0)
    return x, y


def classifier(features=20, classes=3, widths=(24, 16), batch_norm=False, dropout=0.0):
    fastnn.utils.set_random_seed(3)
    stack = [fastnn.Input((features,))]
    for width in widths:
        stack.append(layers.Dense(width, use_bias=not batch_norm))
        if batch_norm:
            stack.append(layers.BatchNormalization())
        stack.append(layers.ReLU())
        if dropout:
            stack.append(layers.Dropout(dropout))
    return fastnn.Sequential([*stack, layers.Dense(classes, activation="softmax")])


def trained(device, optimizer, epochs=2, shuffle=True, **options):
    """A model after some epochs on a device, its history, its evaluation and predictions."""
    x, y = rows(70)
    model = classifier(**options)
    model.to(device)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=epochs, shuffle=shuffle, validation_split=0.2, verbose=0)
    return model, model.history.history, model.evaluate(x, y, verbose=0), model.predict(x)


def expect_alike(here, there, atol=BITS):
    model, history, loss, predicted = here
    other, other_history, other_loss, other_predicted = there
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=atol)
    for name, values in history.items():
        np.testing.assert_allclose(values, other_history[name], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(loss, other_loss, rtol=1e-4)
    np.testing.assert_allclose(predicted, other_predicted, atol=10 * atol)
    assert model.optimizer.iterations == other.optimizer.iterations


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_classifier_ends_with_the_cpus_weights(gpu, optimizer):
    there = trained("cuda", optimizer)
    assert there[0].device == "cuda"
    expect_alike(trained("cpu", optimizer), there)


@pytest.mark.slow
def test_metrics_count_as_on_the_cpu(gpu):
    x = rows(70)[0]
    y, weights = (x[:, :1] > 0).astype("float32"), np.arange(70, dtype="float32") / 64

    def counted(device):
        fastnn.utils.set_random_seed(3)
        model = fastnn.Sequential([layers.Dense(4, "relu"), layers.Dense(1, "sigmoid")])
        model.to(device)
        of = fastnn.metrics
        chosen = [
            of.AUC(name="auc"), of.Precision([0.25, 0.5], name="p"), of.F1Score(threshold=0.5),
            of.R2Score(), of.BinaryIoU(), of.RootMeanSquaredError(), "accuracy",
            lambda y, p: float(np.abs(np.asarray(y) - np.asarray(p)).max()),
        ]  # fmt: skip
        model.compile("sgd", "bce", metrics=chosen, weighted_metrics=["auc", "mae"])
        given = {"epochs": 2, "batch_size": 32, "validation_split": 0.2, "verbose": 0}
        history = model.fit(x, y, sample_weight=weights, **given).history
        return [*history.values(), *model.evaluate(x, y, verbose=0)]

    for here, there in zip(counted("cpu"), counted("cuda"), strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-6)


def test_rows_in_order(gpu):
    expect_alike(trained("cpu", "sgd", shuffle=False), trained("cuda", "sgd", shuffle=False))


def test_batch_norm_and_dropout(gpu):
    options = {"batch_norm": True, "dropout": 0.3}
    expect_alike(trained("cpu", "sgd", **options), trained("cuda", "sgd", **options), 2e-5)


@pytest.mark.filterwarnings("ignore:binary_crossentropy. targets should lie")
def test_the_articles_program(gpu):
    """Its first 100 steps: an epoch."""

    def ended(device):
        fastnn.utils.set_random_seed(0)
        x, y = fastnn.random.normal([1000, 10]), fastnn.random.normal([1000, 1])
        with fastnn.device(device):
            model = fastnn.keras.Sequential(
                [layers.Dense(units=1, input_shape=[10], activation="sigmoid")]
            )
            model.compile(optimizer="sgd", loss="binary_crossentropy", metrics=["accuracy"])
            model.fit(x, y, epochs=1, batch_size=10, verbose=0)
        assert model.device == device
        return model, model.history.history, [0.0], x.numpy()

    expect_alike(ended("cpu"), ended("cuda"))


def test_steps_that_python_runs(gpu):
    x, y = rows(40)

    def ended(device):
        model = classifier()
        model.to(device)
        model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
        model.fit(x, y, batch_size=32, epochs=1, verbose=0)
        return model, model.history.history, [0.0], model.predict(x)

    expect_alike(ended("cpu"), ended("cuda"))


def test_large_data_do_not_stay_on_the_gpu(gpu, monkeypatch):
    from fastnn.devices.cuda import program

    monkeypatch.setattr(program, "MAX_KEPT_DATA_BYTES", 0)
    x, y = rows(64)
    model = classifier()
    model.to("cuda")
    model.compile("sgd", "sparse_categorical_crossentropy")
    kept = []
    release = program.Program.release
    monkeypatch.setattr(
        program.Program, "release", lambda self: (release(self), kept.append(self.graphs))
    )
    for _ in range(2):
        model.fit(x, y, batch_size=32, epochs=1, verbose=0)
    assert kept == [[], []]


def test_profile_has_a_line_for_each_call(gpu, capsys):
    x, y = rows(32)
    model = classifier()
    model.to("cuda")
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=32, epochs=1, verbose=0)
    before = model.get_weights()
    model.profile(x, y)
    out = capsys.readouterr().out
    assert "each call by itself on the GPU" in out
    assert "gradient of softmax_cross_entropy" in out
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_an_epoch_of_digits(gpu):
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("f4")

    def ended(device):
        model = classifier(64, 10, (64,), batch_norm=True, dropout=0.2)
        model.to(device)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, batch_size=64, epochs=1, verbose=0)
        return model, model.history.history, [0.0], model.predict(x[:100])

    expect_alike(ended("cpu"), ended("cuda"), 5e-4)


def test_a_loop_of_ones_own(gpu):
    def ended(device):
        x, y = rows(64)
        model = classifier()
        with fastnn.device(device):
            model.to(device)
            model(x[:1])
            optimizer = fastnn.optimizers.Adam(0.01)
            optimizer.build(model.trainable_variables)

            @fastnn.record
            def step(x, y):
                loss = ops.mean(ops.clipped_sparse_cross_entropy(model(x, training=True), y))
                loss.backward()
                optimizer.step()
                return loss

            losses = [step(x[n : n + 16], y[n : n + 16]).item() for n in range(0, 64, 16)]
        return model.get_weights(), losses

    (weights, losses), (other_weights, other_losses) = ended("cpu"), ended("cuda")
    np.testing.assert_allclose(losses, other_losses, rtol=1e-5)
    for a, b in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_a_model_that_moves_goes_on(gpu):
    x, y = rows(64)
    weights = []
    for devices in (("cpu", "cpu"), ("cuda", "cpu"), ("cpu", "cuda")):
        model = classifier()
        model.compile("adam", "sparse_categorical_crossentropy")
        for device in devices:
            model.to(device)
            model.fit(x, y, batch_size=32, epochs=1, shuffle=False, verbose=0)
        weights.append(model.get_weights())
        assert model.optimizer.iterations == 4
    for other in weights[1:]:
        for a, b in zip(weights[0], other, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)


def there_and_back(model):
    model.to("cuda")
    memory = model.optimizer._memory
    assert {chunk for chunk, _ in memory} == {v.chunk for v in model.trainable_variables}
    model.to("cpu")
    return model


def moved_and_copied(model):
    model.to("cuda")
    return copy.deepcopy(model).to("cpu")


def moved_and_pickled(model):
    return pickle.loads(pickle.dumps(model.to("cuda")))


@pytest.mark.parametrize("way", [there_and_back, moved_and_copied, moved_and_pickled])
def test_moments_follow_without_a_step_between(gpu, way):
    x, y = rows(64)
    weights = []
    for between in (lambda model: model, way):
        model = classifier()
        model.compile("adam", "sparse_categorical_crossentropy")
        for _ in range(2):
            model.fit(x, y, batch_size=32, epochs=1, shuffle=False, verbose=0)
            model = between(model)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_files_saved_on_one_device_load_on_the_other(gpu, tmp_path):
    x, _ = rows(8)
    model, other = classifier(), classifier()
    model.to("cuda")
    model(x)
    model.save_weights(tmp_path / "w.safetensors")
    other(x)
    other.set_weights([w * 0 for w in other.get_weights()])
    other.load_weights(tmp_path / "w.safetensors")
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- what goes wrong


def fails(device, row):
    """The message of a fit, a row of whose data is too large, and the model afterwards."""
    x, y = rows(64)
    x[row] = 3e38
    model = classifier()
    model.to(device)
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(FloatingPointError) as raised:
        model.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0)
    return re.sub(r"_\d+", "", str(raised.value)), model


@pytest.mark.parametrize("row", [3, 40])  # of the first batch, of the last
def test_a_step_that_fails_leaves_weights_and_message_of_the_cpus(gpu, row):
    message, model = fails("cpu", row)
    other_message, other = fails("cuda", row)
    assert message == other_message
    assert model.optimizer.iterations == other.optimizer.iterations
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=BITS)


def test_a_label_that_is_none_is_named_by_its_row(gpu):
    """The lowest row's, in an eager call, and in a recorded step whose weights then stay."""
    x, y = rows(64)
    y[37:39] = 7
    with fastnn.device("cuda"):
        model = classifier()
        optimizer = fastnn.optimizers.SGD(0.1)
        optimizer.build(model.trainable_variables)

        @fastnn.record
        def step(x, y):
            loss = ops.mean(ops.clipped_sparse_cross_entropy(model(x, training=True), y))
            loss.backward()
            optimizer.step()
            return loss

        step(x, y % 3)
        before = model.get_weights()
        for call in (step, lambda x, y: ops.clipped_sparse_cross_entropy(model(x), y)):
            with pytest.raises(IndexError, match=r"row 37|at \(37\)"):
                call(x, y)
    assert optimizer.iterations == 1
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_too_little_memory_is_named(gpu):
    with fastnn.device("cuda"), pytest.raises(MemoryError, match="OUT_OF_MEMORY"):
        fastnn.tensor(np.zeros(1 << 25, "f4"))


@pytest.mark.slow
def test_schedules_norms_and_averages(gpu):
    def made():
        schedule = fastnn.optimizers.schedules.CosineDecay(0.01, 10)
        return fastnn.optimizers.Nadam(
            schedule, global_clipnorm=0.5, weight_decay=0.1, use_ema=True, ema_overwrite_frequency=3
        )

    expect_alike(trained("cpu", made()), trained("cuda", made()), 2e-5)
