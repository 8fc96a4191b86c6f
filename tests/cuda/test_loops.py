"""Pointwise kernels of every element type, on arrays that begin at multiples of 16 bytes and on
others."""

import numpy as np
import pytest

from fastnn import ops

from .emulator import mirrored

SIZE = 1027  # a block's 1024 and a tail


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool"])
def test_elements_of_every_type_are_moved_as_they_are(dtype):
    rng, run = np.random.default_rng(0), []
    x, y = (rng.integers(0, 2 if dtype == "bool" else 100, SIZE).astype(dtype) for _ in range(2))

    def check(op, _, expected, found):
        assert found[0].tobytes() == expected[0].tobytes()
        run.append(op.name)

    for shift in (0, 1):
        with mirrored(check, shift=shift):
            ops.where(ops.not_equal(x, y), x, y)
    assert run == ["not_equal", "where"] * 2
