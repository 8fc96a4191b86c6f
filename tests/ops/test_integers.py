"""Bits and divisors of whole numbers: what the tests derived from the registry do not see."""

import numpy as np
import pytest

from fastnn import ops
from fastnn.errors import DTypeError

BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor")


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_bits_are_numpys_in_every_type(dtype):
    rng = np.random.default_rng(0)
    info = np.iinfo(dtype) if dtype != "bool" else np.iinfo("uint8")
    x, y = (rng.integers(info.min, info.max, 300, endpoint=True).astype(dtype) for _ in range(2))
    for name in BITWISE:
        got = getattr(ops, name)(x, y)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got.numpy(), getattr(np, name)(x, y), err_msg=name)
    got = ops.bitwise_not(x)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got.numpy(), ~x)
    if dtype != "bool":
        z = rng.integers(0, 70, 300).astype(dtype)
        for name in ("left_shift", "right_shift", "gcd"):
            got = getattr(ops, name)(x, z)
            assert got.dtype == dtype
            np.testing.assert_array_equal(got.numpy(), getattr(np, name)(x, z), err_msg=name)


def test_floats_have_no_bits():
    for name in (*BITWISE, "left_shift", "gcd", "lcm"):
        with pytest.raises(DTypeError, match=rf"{name}: x must be .*int64.*; got float32"):
            getattr(ops, name)([1.5], [2])
