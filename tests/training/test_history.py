"""What fit leaves behind, the history, and what it prints meanwhile."""

import re
import sys

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.callbacks import History

EPOCHS, ROWS, COLUMNS = 3, 20, 4


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, COLUMNS)).astype("float32"), rng.normal(size=(ROWS, 1)).astype(
        "float32"
    )


@pytest.fixture
def model(data):
    """A model whose kernels are compiled: the notice about compiling them is not what these tests
    look for."""
    model = fastnn.Sequential([fastnn.Input((COLUMNS,)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mean_squared_error"])
    model.fit(*data, verbose=0, validation_split=0.5)
    model.evaluate(*data, verbose=0)
    model.predict(data[0])
    return model


def test_it_prints_as_its_dictionary_and_knows_how_it_came_about(model, data):
    fastnn.utils.set_random_seed(11)
    history = model.fit(*data, 8, EPOCHS, 0)
    assert isinstance(history, History)
    assert model.history is history
    assert repr(history) == str(history) == repr(history.history)
    assert list(history.history) == ["loss", "mean_squared_error"]
    assert all(type(value) is float for values in history.history.values() for value in values)
    assert (history.epoch, history.seed) == ([0, 1, 2], 11)
    assert history.params == {"verbose": 0, "epochs": EPOCHS, "steps": 3}
    assert model.fit(*data, verbose=0).epoch == [0]


def test_no_epochs_leave_an_empty_history_and_the_weights_alone(model, data):
    before = model.get_weights()
    history = model.fit(*data, epochs=0, verbose=0)
    assert (history.history, history.epoch) == ({}, [])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_more_epochs_than_are_kept_natively_are_all_in_it(data):
    """Results of epochs wait in a ring of memory for Python to fetch them."""
    model = fastnn.Sequential([layers.Dense(1)])
    model.compile(fastnn.optimizers.SGD(1e-3), "mse")
    history = model.fit(data[0][:2], data[1][:2], 2, 3000, 0)
    assert history.epoch == list(range(3000))
    losses = history.history["loss"]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1] > 0


def test_it_is_plotted(model, data, tmp_path):
    history = model.fit(*data, 8, EPOCHS, 0, validation_data=data)
    figure = history.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 0
    assert [axes.get_title() for axes in figure.axes] == list(history.history)[:2]
    for axes in figure.axes:
        lines = {line.get_label(): line for line in axes.lines}
        assert list(lines) == ["training", "validation"]
        np.testing.assert_array_equal(
            lines["training"].get_ydata(), history.history[axes.get_title()]
        )
        np.testing.assert_array_equal(
            lines["validation"].get_ydata(), history.history[f"val_{axes.get_title()}"]
        )
        np.testing.assert_array_equal(lines["training"].get_xdata(), [1, 2, 3])


def test_without_matplotlib_the_plot_says_in_one_line_how_to_get_it(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        ImportError, match=r"^history\.plot needs matplotlib: pip install '[^\n]+\[plot\]'$"
    ) as caught:
        model.history.plot()
    assert caught.value.__suppress_context__


# ---- what is printed


def test_verbose_0_prints_nothing(model, data, capfd):
    model.fit(*data, epochs=EPOCHS, verbose=0, validation_split=0.5)
    model.evaluate(*data, verbose=0)
    model.predict(data[0])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", ["auto", 1, 2, True])
def test_piped_it_prints_a_line_an_epoch_without_control_characters(model, data, verbose, capfd):
    history = model.fit(*data, epochs=EPOCHS, verbose=verbose, validation_split=0.5)
    out, err = capfd.readouterr()
    assert not err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", out)
    values = zip(*history.history.values(), strict=True)
    assert out.splitlines() == [
        f"Epoch {number}/{EPOCHS} - "
        + " - ".join(f"{n}: {v:.4g}" for n, v in zip(history.history, row, strict=True))
        for number, row in enumerate(values, 1)
    ]


def test_evaluation_prints_one_line(model, data, capfd):
    loss, error = model.evaluate(*data)
    assert (
        capfd.readouterr().out
        == f"Evaluation - loss: {loss:.4g} - mean_squared_error: {error:.4g}\n"
    )


def test_on_a_terminal_the_live_line_is_cleared_for_the_epochs(model, data, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("fastnn.training.progress.LIVE_LINE_SECONDS", 0.0)
    # so that a slice ends within the first epoch
    monkeypatch.setattr("fastnn.devices.cpu.autotune.MIN_PROBE_SECONDS", 1e-9)
    model.fit(*data, 1, 2)
    out = capsys.readouterr().out
    assert re.search(rf"\r\x1b\[KEpoch 1/2 \d+/{ROWS + 2} - loss: ", out), "no live line"
    shown = [line.rsplit("\x1b[K", 1)[-1].split(" - ")[0] for line in out.split("\n")]
    assert shown == ["Epoch 1/2", "Epoch 2/2", ""]
    model.fit(*data, 1, 2, verbose=2)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("noted", [{}, {"loss": [1.0]}, {"loss": [1.0], "accuracy": [0.5]}])
def test_epochs_that_ctrl_c_leaves_half_noted_are_forgotten(noted):
    history = History({}, 0)
    history.history = {name: list(values) for name, values in noted.items()}
    history.cut()
    assert (history.epoch, history.history) == ([], {})
    history.extend(0, ["loss", "accuracy"], [[3.0, 2.0], [0.1, 0.2]])
    for name, values in noted.items():
        history.history[name].extend(values)
    history.cut()
    assert (history.epoch, history.history) == (
        [0, 1],
        {"loss": [3.0, 2.0], "accuracy": [0.1, 0.2]},
    )
