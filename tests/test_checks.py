"""Checks of arguments."""

import numpy as np
import pytest

from fastnn import checks


@pytest.mark.parametrize(
    ("check", "taken", "refused"),
    [
        (lambda v: checks.whole_number("n", v, 1), [1, np.int8(3)], [0, 1.0, True, "1", None]),
        (
            lambda v: checks.fraction("f", v),
            [0, 0.5, np.float32(0.25)],
            [1, -0.1, np.nan, "0", True],
        ),
        (lambda v: checks.fraction("f", v, one=True), [0, 1, 1.0], [1.5, None]),
        (lambda v: checks.fraction("f", v, zero=False), [0.5], [0, 1]),
        (
            lambda v: checks.positive("p", v),
            [1, 1e-30, np.float64(2)],
            [0, -1, np.inf, np.nan, "1"],
        ),
        (lambda v: checks.not_negative("p", v), [0, 2.5], [-1e-9, np.inf, np.nan, None, False]),
        (
            lambda v: checks.extents("s", v),
            [(), 3, (0, 2), [np.int64(1)]],
            [-1, (2.0,), (True,), "a"],
        ),
        (lambda v: checks.extents("s", v, 1), [(1, 2)], [0, (1, 0)]),
    ],
)
def test_checks(check, taken, refused):
    for value in taken:
        found = check(value)
        assert found == (tuple(np.atleast_1d(value)) if isinstance(found, tuple) else value)
        assert type(found) in (int, float, tuple)
    for value in refused:
        with pytest.raises(ValueError, match=r"^[nfps](:| must) .*; got "):
            check(value)
