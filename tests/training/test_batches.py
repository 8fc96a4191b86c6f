"""fit, evaluate and predict with batches that come one at a time: the bits of the same rows in
arrays."""

import numpy as np
import pytest

import fastnn
from fastnn.callbacks import LambdaCallback
from fastnn.layers import BatchNormalization, Dense
from fastnn.preprocessing import MinMax

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")
W = RNG.uniform(0.5, 2, 40)


def network(seed=1, **compiled):
    fastnn.utils.set_random_seed(seed)
    model = fastnn.Sequential(
        [fastnn.Input((3,)), Dense(8, "relu"), BatchNormalization(), Dense(2)]
    )
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], **compiled)
    return model


def batches(size=16, weights=False, forever=False):
    while True:
        for i in range(0, len(X), size):
            part = X[i : i + size], Y[i : i + size]
            yield (*part, W[i : i + size]) if weights else part
        if not forever:
            return


class Sequence(fastnn.utils.PyDataset):
    ends = 0

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return X[16 * i : 16 * i + 16].tolist(), Y[16 * i : 16 * i + 16]

    def on_epoch_end(self):
        self.ends += 1


class Loader:
    """What can be iterated again and again."""

    def __iter__(self):
        return batches()

    def __len__(self):
        return 3


@pytest.mark.parametrize("eagerly", [False, True], ids=["tapes", "eagerly"])
@pytest.mark.parametrize("make", [Loader, Sequence])
def test_batches_train_as_arrays_do(make, eagerly):
    expected, model = network(run_eagerly=eagerly), None
    history = expected.fit(
        X, Y, 16, 3, shuffle=False, validation_data=(X[:9], Y[:9]), verbose=0
    ).history
    model = network(run_eagerly=eagerly)
    found = model.fit(
        make(), epochs=3, shuffle=False, validation_data=(X[:9], Y[:9]), verbose=0,
        validation_batch_size=16,
    )  # fmt: skip
    assert found.history == history
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_generator_goes_on_from_epoch_to_epoch():
    expected = network().fit(X, Y, 8, 2, shuffle=False, verbose=0).history["loss"]
    found = network().fit(
        batches(8, forever=True), epochs=2, steps_per_epoch=5, verbose=0
    )  # fmt: skip
    assert found.history["loss"] == expected
    assert found.params["steps"] == 5


def test_a_generator_that_ends_ends_training():
    with pytest.warns(UserWarning, match="ran out of batches after 3 of the 4"):
        history = network().fit(batches(), epochs=5, steps_per_epoch=4, verbose=0)
    assert history.epoch == [0]
    with pytest.warns(UserWarning, match="the generator is through after one epoch"):
        assert network().fit(batches(), epochs=5, verbose=0).epoch == [0]
    assert network().fit(batches(), epochs=1, verbose=0).epoch == [0]


def test_epochs_of_arrays_go_round_and_round():
    with pytest.warns(UserWarning, match="x: 6 steps are asked for and there are"):
        history = network().fit(X, Y, 16, 3, steps_per_epoch=6, shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    several = [b for _ in range(6) for b in batches()]
    found = network().fit(iter(several), epochs=3, steps_per_epoch=6, verbose=0).history
    assert found == history


def test_weights_in_batches():
    expected = network().fit(X, Y, 16, 2, sample_weight=W, shuffle=False, verbose=0)
    twice = list(batches(weights=True))
    found = network().fit(iter([*twice, *twice]), epochs=2, steps_per_epoch=3, verbose=0)
    assert found.history["loss"] == expected.history["loss"]
    of_classes = network().fit(Loader(), class_weight={1: 3.0}, verbose=0).history["loss"]
    rows = np.where(Y == 1, 3.0, 1.0)
    assert of_classes == network().fit(
        X, Y, 16, sample_weight=rows, shuffle=False, verbose=0
    ).history["loss"]  # fmt: skip


def test_epochs_of_arrays_of_so_many_steps():
    sizes = []
    note = LambdaCallback(on_train_batch_end=lambda batch, logs: sizes.append(batch))
    history = network().fit(
        X, Y, 16, 3, steps_per_epoch=2, callbacks=[note], validation_data=(X, Y),
        validation_steps=1, verbose=0,
    )  # fmt: skip
    assert sizes == [0, 1] * 3
    assert len(history.history["val_loss"]) == 3
    one = network().fit(X, Y, 16, 3, steps_per_epoch=2, shuffle=False, verbose=0)
    other = network().fit(batches(forever=True), epochs=3, steps_per_epoch=2, verbose=0)
    assert one.history == other.history


def test_the_batches_of_a_sequence_are_shuffled():
    seen = []

    class Noting(Sequence):
        def __getitem__(self, i):
            seen.append(i)
            return super().__getitem__(i)

    source = Noting()
    network().fit(source, epochs=4, verbose=0)
    assert sorted(seen) == sorted([0, 1, 2] * 4)
    assert seen != [0, 1, 2] * 4
    assert source.ends == 4
    first = list(seen)
    seen.clear()
    network().fit(Noting(), epochs=4, verbose=0)
    assert seen == first


def test_evaluate_and_predict():
    model = network()
    model.fit(X, Y, verbose=0)
    expected = model.evaluate(X, Y, 16, verbose=0)
    assert model.evaluate(Loader(), verbose=0) == expected
    assert model.evaluate(batches(), verbose=0) == expected
    assert model.evaluate(X, Y, 8, steps=2, verbose=0) == model.evaluate(
        X[:16], Y[:16], 8, verbose=0
    )
    np.testing.assert_array_equal(model.predict(Loader()), model.predict(X))
    np.testing.assert_array_equal(model.predict(X, 8, steps=2), model.predict(X[:16]))
    found = network().fit(X, Y, validation_data=Loader(), verbose=0).history
    assert found["val_loss"] == [network().fit(
        X, Y, validation_data=(X, Y), validation_batch_size=16, verbose=0
    ).history["val_loss"][0]]  # fmt: skip


def test_a_torch_loader():
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, TensorDataset

    rows = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    expected = network().fit(X, Y, 16, 2, shuffle=False, verbose=0).history
    assert network().fit(DataLoader(rows, batch_size=16), epochs=2, verbose=0).history == expected


def test_preprocessing_fitted_before():
    model = network()
    model.preprocessing = MinMax().fit(X)
    found = model.fit(Loader(), epochs=2, verbose=0).history
    expected = network().fit(
        MinMax().fit_transform(X), Y, 16, 2, shuffle=False, verbose=0
    ).history  # fmt: skip
    assert found == expected


def a_bad_batch():
    yield X[:16], Y[:16]
    yield X[:16, :2], Y[:16]


@pytest.mark.parametrize(
    ("source", "arguments", "error", "message"),
    [
        (iter([]), {}, ValueError, "x: it gives no batch"),
        (Loader(), {"y": Y}, ValueError, "x gives batches, with targets in them: y has no meaning"),
        (Loader(), {"validation_split": 0.5}, ValueError, "validation_split has no meaning"),
        (iter([(1, 2, 3, 4)]), {}, ValueError, "a batch must be x, .* got 4 parts"),
        (iter([(X, Y)]), {"steps_per_epoch": 0}, ValueError, "steps_per_epoch"),
        (a_bad_batch(), {}, ValueError, r"must have shape \(any, 3\); got \(16, 2\)"),
        (fastnn.utils.PyDataset(), {}, TypeError, "does not define __len__"),
        (X, {"y": Y, "steps_per_epoch": 1.5}, (TypeError, ValueError), "steps_per_epoch"),
    ],
)
def test_bad_batches_are_named(source, arguments, error, message):
    with pytest.raises(error, match=message):
        network().fit(source, verbose=0, **arguments)


def test_functions_of_all_predictions_are_given_those_of_batches():
    """Of different sizes too, the first not the largest; without order, as in an array."""

    targets = X[:, :2]

    def spread(y, p):
        assert len(y) == len(p)
        return float(np.asarray(p).max() - np.asarray(y).min()) + len(y)

    def parts():
        for start, stop in ((0, 4), (4, len(X) - 3), (len(X) - 3, len(X))):
            yield X[start:stop], targets[start:stop]

    class Parts:
        def __iter__(self):
            return parts()

    found, expected = [], []
    for run, x, y in ((found, Parts(), None), (expected, X, targets)):
        model = network()
        model.compile("sgd", "mse", metrics=[spread], weighted_metrics=[])
        run.append(model.evaluate(x, y, verbose=0))
        history = model.fit(
            parts() if y is None else x, y, batch_size=32, verbose=0, shuffle=False,
            validation_data=x if y is None else (x, y),
        ).history  # fmt: skip
        run.append(sorted(history))
        run.append(history["val_spread"][0] >= len(X))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    assert found[1:] == expected[1:]


def test_a_failure_names_epoch_and_step():
    def failing():
        yield X[:16], Y[:16]
        yield X[:16] * 1e30, Y[:16]
        yield X[:16] * np.float32(3e38), Y[:16]

    with pytest.raises(FloatingPointError, match=r"training, epoch 1, step [23]"):
        network().fit(failing(), verbose=0)


def test_batches_are_validated_after_some_epochs_alone():
    model = network()
    given = {"validation_data": (X, Y), "validation_freq": 2, "verbose": 0}
    history = model.fit(batches(forever=True), epochs=3, steps_per_epoch=3, **given)
    assert [len(history.history[name]) for name in ("loss", "val_loss")] == [3, 1]
