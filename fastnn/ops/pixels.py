"""Pixels moved between places and channels, and how alike two images are."""

from typing import Any

import numpy as np

from fastnn.checks import whole_number
from fastnn.dtypes import ANY
from fastnn.errors import ShapeError, shape_text

from .arithmetic import multiply, squared_difference, subtract
from .composite import composite
from .pointwise import log10
from .record import Case, expect_shape
from .reduce import mean
from .shapes import reshape, transpose


def _expect(name, x, block_size, data_format):
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            f"{name}: data_format must be 'channels_last' or 'channels_first'; got {data_format!r}"
        )
    expect_shape(name, "x", x.shape, (None,) * 4)
    return whole_number(f"block_size of {name}", block_size, 1), data_format == "channels_first"


def _depth_to_space(x, block_size, data_format="channels_last"):
    b, is_first = block_size, data_format == "channels_first"
    n, c, h, w = x.shape if is_first else (x.shape[0], x.shape[3], *x.shape[1:3])
    y = np.zeros((n, c // b**2, h * b, w * b), x.dtype)
    for i, j in np.ndindex(b, b):
        k = i * b + j
        if is_first:
            y[:, :, i::b, j::b] = x[:, k :: b**2]
        else:
            part = x[..., k * (c // b**2) : (k + 1) * (c // b**2)]
            y[:, :, i::b, j::b] = np.moveaxis(part, -1, 1)
    return y if is_first else np.moveaxis(y, 1, -1)


@composite(
    reference=_depth_to_space,
    cases=[
        Case(((2, 3, 2, 8),), {"block_size": 2}),
        Case(((2, 8, 3, 2),), {"block_size": 2, "data_format": "channels_first"}),
    ],
    dtypes=ANY,
)
def depth_to_space(x: Any, *, block_size: int, data_format: str = "channels_last") -> Any:
    """x (N, H, W, C) as (N, H b, W b, C / b^2), b the block_size: the channels of a pixel become b
    x b pixels, row by row. Of "channels_first", (N, C, H, W), channel C / b^2 is made of b^2 that
    are neighbours, as in Keras."""
    b, is_first = _expect("depth_to_space", x, block_size, data_format)
    n, c, h, w = x.shape if is_first else (x.shape[0], x.shape[3], *x.shape[1:3])
    if c % b**2:
        raise ShapeError(
            f"depth_to_space: the channels of x, {c}, must be a multiple of block_size^2, {b**2}; "
            f"got shape {shape_text(x.shape)}"
        )
    if is_first:
        x = transpose(reshape(x, newshape=(n, c // b**2, b, b, h, w)), axes=(0, 1, 4, 2, 5, 3))
        return reshape(x, newshape=(n, c // b**2, h * b, w * b))
    x = transpose(reshape(x, newshape=(n, h, w, b, b, c // b**2)), axes=(0, 1, 3, 2, 4, 5))
    return reshape(x, newshape=(n, h * b, w * b, c // b**2))


def _space_to_depth(x, block_size, data_format="channels_last"):
    b = block_size
    if data_format == "channels_first":
        parts = np.stack([x[:, :, i::b, j::b] for i, j in np.ndindex(b, b)], 2)
        return parts.reshape(len(x), -1, *parts.shape[3:])
    return np.concatenate([x[:, i::b, j::b] for i, j in np.ndindex(b, b)], -1)


@composite(
    reference=_space_to_depth,
    cases=[
        Case(((2, 6, 4, 3),), {"block_size": 2}),
        Case(((2, 3, 6, 4),), {"block_size": 2, "data_format": "channels_first"}),
    ],
    dtypes=ANY,
)
def space_to_depth(x: Any, *, block_size: int, data_format: str = "channels_last") -> Any:
    """x (N, H, W, C) as (N, H / b, W / b, C b^2): what `depth_to_space` undoes."""
    b, is_first = _expect("space_to_depth", x, block_size, data_format)
    n, c, h, w = x.shape if is_first else (x.shape[0], x.shape[3], *x.shape[1:3])
    if h % b or w % b:
        raise ShapeError(
            f"space_to_depth: height and width of x must be multiples of block_size, {b}; got "
            f"shape {shape_text(x.shape)}"
        )
    if is_first:
        x = reshape(x, newshape=(n, c, h // b, b, w // b, b))
        x = transpose(x, axes=(0, 1, 3, 5, 2, 4))
        return reshape(x, newshape=(n, c * b**2, h // b, w // b))
    x = transpose(reshape(x, newshape=(n, h // b, b, w // b, b, c)), axes=(0, 1, 3, 2, 4, 5))
    return reshape(x, newshape=(n, h // b, w // b, c * b**2))


@composite(
    reference=lambda x, y, max_val: 20 * np.log10(max_val) - 10 * np.log10(np.mean((x - y) ** 2)),
    cases=[Case(((2, 5, 4, 3), (2, 5, 4, 3)), {"max_val": 255.0}, terms=120)],
)
def psnr(x: Any, y: Any, *, max_val: float) -> Any:
    """The peak signal-to-noise ratio in decibels, 20 log10(max_val) - 10 log10(mean of (x - y)^2),
    of images of one shape."""
    expect_shape("psnr", "y", y.shape, x.shape)
    noise = multiply(log10(mean(squared_difference(x, y))), 10.0)
    return subtract(20.0 * float(np.log10(max_val)), noise)
