"""What all tests share."""

import pytest

import fastnn


@pytest.fixture(autouse=True)
def _settings_as_they_were():
    """A test that changes the process's settings does not change the next test's."""
    before = fastnn.config.floatx()
    yield
    fastnn.config.set_floatx(before)
    fastnn.set_threads(None)
