"""Data of one look and any number of rows: the same results as of a model that has seen no other,
recorded once a size of batch."""

import gc

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.training import programs
from fastnn.watch import Watch

ROWS = (70, 64, 71, 33, 200, 32, 5, 70, 1)
X = np.random.default_rng(0).normal(size=(300, 6)).astype("f4")
Y = (X @ np.arange(12.0).reshape(6, 2)).astype("f4")


class LessMean(layers.Layer):
    """What it makes of a row depends on the rows beside it."""

    def call(self, x):
        return x - ops.mean(x, axis=0, keepdims=True)


def model(**compiled):
    fastnn.utils.set_random_seed(1)
    hidden = [
        layers.Dense(7, activation="tanh"),
        layers.Dropout(0.2),
        LessMean(),
        layers.BatchNormalization(),
    ]
    made = fastnn.Sequential([fastnn.Input((6,)), *hidden, layers.Dense(2)])
    made.compile("adam", "mse", metrics=["mse"], **compiled)
    return made


@pytest.fixture
def recorded(monkeypatch):
    """Names and rows of the steps that are recorded."""
    found, record = [], programs.StepTape.__init__

    def noted(self, segment, n_threads):
        found.append((segment.name, segment.rows))
        record(self, segment, n_threads)

    monkeypatch.setattr(programs.StepTape, "__init__", noted)
    return found


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_of_another_number_of_rows_gives_the_bits_of_steps_that_run_eagerly(
    shuffle, weighted
):
    found = []
    for eager in (False, True):
        made, histories = model(run_eagerly=eager), []
        for number, rows in enumerate(ROWS):
            x, y = X[number : number + rows].copy(), Y[number : number + rows].copy()
            weights = np.linspace(0.1, 1, rows) if weighted else None
            validation = (X[: rows // 2 + 3], Y[: rows // 2 + 3])
            history = made.fit(
                x,
                y,
                epochs=2,
                verbose=0,
                shuffle=shuffle,
                sample_weight=weights,
                validation_data=validation,
            )
            histories.append(history.history)
        found.append([histories, *made.get_weights()])
    assert found[0][0] == found[1][0]
    for recorded_weight, eager_weight in zip(found[0][1:], found[1][1:], strict=True):
        np.testing.assert_array_equal(recorded_weight, eager_weight)


def test_only_batches_of_a_new_size_are_recorded(recorded):
    made = model()
    for rows in ROWS:
        made.fit(X[:rows], Y[:rows], verbose=0)
    sizes = [32, *dict.fromkeys(rows % 32 for rows in ROWS if rows % 32)]
    assert sorted(rows for name, rows in recorded if name == "training") == sorted(sizes)
    assert [name for name, _ in recorded if name != "training"] == ["shuffling", "end of epoch"]
    recorded.clear()
    for rows in (64, 300, 288):
        made.fit(X[:rows], Y[:rows], verbose=0)
    assert recorded == [("training", 300 % 32)]


def test_data_that_grows_and_shrinks_is_taken_from_where_it_lies_now(recorded):
    """Also while a callback evaluates and predicts other numbers of rows in the middle."""

    class Look(fastnn.callbacks.Callback):
        def on_epoch_end(self, number, logs=None):
            assert logs["val_loss"] == pytest.approx(
                self.model.evaluate(X[:50], Y[:50], verbose=0)[0], rel=1e-6
            )
            self.model.evaluate(X[:47], Y[:47], verbose=0)
            np.testing.assert_array_equal(
                self.model.predict(X[:90])[:32], self.model.predict(X[:32])
            )

    found = []
    for callbacks in ([], [Look()]):
        made = model()
        data = {
            "epochs": 2,
            "verbose": 0,
            "validation_data": (X[:50], Y[:50]),
            "callbacks": callbacks,
        }
        found.append(
            [
                made.fit(X[:rows].copy(), Y[:rows].copy(), **data).history
                for rows in (40, 41, 150, 39)
            ]
        )
    assert found[0] == found[1]


@pytest.mark.parametrize("eager", [False, True])
def test_a_prediction_of_any_number_of_rows_is_that_of_its_batches(eager, recorded):
    made = model(run_eagerly=eager)
    for rows in (3, 32, 33, 64, 65, 100, 299, 97, 33, 7, 3):
        x = X[:rows][::-1]
        batches = [made(x[first : first + 32].copy()).numpy() for first in range(0, rows, 32)]
        for _ in range(2):  # the second time from the tapes that the first left where it ended
            np.testing.assert_array_equal(made.predict(x), np.concatenate(batches))
    if not eager:
        # A single batch has a tape with memory of its own; of more there are full batches and a
        # last one.
        assert sorted(rows for _, rows in recorded) == sorted(
            [3, 7, 32, *{32, *(r % 32 for r in (33, 65, 100, 299, 97))}]
        )


def test_summaries_tell_the_rows_of_the_last_data():
    made = model()
    for rows in (64, 96):
        made.fit(X[:rows], Y[:rows], verbose=0)
        made.evaluate(X[:rows], Y[:rows], verbose=0)
    (found,) = [steps for (kind, *_), (steps, *_) in made._programs.items() if kind == "fit"]
    assert "96x6" in found.tapes[1].summary()


def test_programs_of_many_numbers_of_rows_are_let_go():
    made = model()
    for rows in range(1, 60):
        made.fit(X[:rows], Y[:rows], batch_size=64, verbose=0)
        made.predict(X[:rows], batch_size=8)
    for steps, *_ in made._programs.values():
        held = getattr(steps, "programs", steps)
        if isinstance(held, programs.Programs):
            assert len(held.schedules) <= programs.MAX_SCHEDULES
            assert len(held.step_tapes) <= programs.MAX_TAPES


def test_what_is_let_go_is_watched_no_longer(monkeypatch):
    """A prediction of a number of rows again and again, each recorded anew: what looks after a
    change stays as much."""
    monkeypatch.setattr(programs, "MAX_TAPES", 4)
    monkeypatch.setattr(programs, "MAX_SCHEDULES", 4)
    made, counts = model(), []
    for _ in range(3):
        for rows in range(33, 64):
            made.predict(X[:rows])
            made.fit(X[:rows], Y[:rows], verbose=0)
        gc.collect()
        counts.append(sum(type(o) is Watch for o in gc.get_objects()))
    assert counts[0] == counts[1] == counts[2]


def test_a_program_of_tapes_that_were_let_go_sees_what_has_changed(monkeypatch):
    monkeypatch.setattr(programs, "MAX_TAPES", 2)

    class Scaled(layers.Layer):
        factor = 1.0

        def call(self, x):
            return x * self.factor

    scaled = Scaled()
    made = fastnn.Sequential([fastnn.Input((6,)), scaled])
    for factor in (2.0, 3.0):
        scaled.factor = factor
        for rows in (33, 34, 35, 36, 33, 34):
            np.testing.assert_array_equal(made.predict(X[:rows]), X[:rows] * np.float32(factor))
