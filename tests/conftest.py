"""What all tests share."""

import signal

import pytest

import fastnn
from fastnn.tape.record import Recorder


@pytest.fixture(autouse=True)
def _settings_as_they_were():
    """A test that changes the process's settings does not change the next test's."""
    before = fastnn.config.floatx()
    yield
    fastnn.config.set_floatx(before)
    fastnn.set_threads(None)


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard():
    """Shells start programs in the background deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def recordings(monkeypatch):
    """A list that grows by each recording's name."""
    names, begin = [], Recorder.__init__
    monkeypatch.setattr(
        Recorder,
        "__init__",
        lambda self, name, *more: names.append(name) or begin(self, name, *more),
    )
    return names
