"""Pooling: the largest and the mean element of windows, of sequences, images and volumes."""

from functools import reduce
from math import prod
from typing import Any

import numpy as np

from fastnn import checks
from fastnn.dtypes import INT32, INTEGERS, NUMBERS, UINT8
from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.reference import pooling as reference
from fastnn.kernels.windows import adaptive_windows, padding_before, windows_along

from .arithmetic import maximum, where
from .arrange import WHOLE, pad
from .composite import composite
from .convolution import channels_first, channels_last, padding_mode
from .movement import Span, slice_copy, take
from .record import Case, Op
from .shapes import reshape


def _results(x, pool_size, strides, padding):
    along = zip(x.shape[1:3], pool_size, strides, strict=True)
    return (x.shape[0], *[windows_along(*d, padding) for d in along], x.shape[3])


def _max_infer(x, *, pool_size, strides, padding):
    shape = _results(x, pool_size, strides, padding)
    # y; where in its window each stands, for the gradient
    return [(shape, x.dtype), (shape, UINT8 if prod(pool_size) <= 256 else INT32)]


_max_gradient = Op(
    "gradient of max_pool",
    lambda index, dy, *, shape, pool_size, strides, padding: [(shape, dy.dtype)],
    kernels="pooling.max_pool_gradient",
)
_average_gradient = Op(
    "gradient of average_pool",
    lambda dy, *, shape, pool_size, strides, padding: [(shape, dy.dtype)],
    kernels="pooling.average_pool_gradient",
)


def _window_flops(inputs, outputs, pool_size, **_):
    return prod(pool_size) * outputs[0].size


# Of images (N, H, W, C): `max_pool` and `average_pool`, of any, are the public ones.
_max_of_images = Op(
    "max_pool",
    _max_infer,
    kernels="pooling.max_pool",
    gradient=lambda g, dys, inputs, outputs, **windows: g.gradient(
        0, _max_gradient, outputs[1], dys[0], shape=inputs[0].shape, **windows
    ),
    flops=_window_flops,
)
_average_of_images = Op(
    "average_pool",
    lambda x, *, pool_size, strides, padding: [(_results(x, pool_size, strides, padding), x.dtype)],
    kernels="pooling.average_pool",
    gradient=lambda g, dys, inputs, outputs, **windows: g.gradient(
        0, _average_gradient, dys[0], shape=inputs[0].shape, **windows
    ),
    flops=_window_flops,
)


def _expect_images(name, x):
    """How many dimensions of space there are; raises unless there are one to three."""
    if not 3 <= x.ndim <= 5:
        raise ShapeError(
            f"{name}: inputs must have 3, 4 or 5 dimensions, those of a sequence (N, T, C), an "
            f"image (N, H, W, C) or a volume (N, D, H, W, C); got shape {shape_text(x.shape)}"
        )
    return x.ndim - 2


def _pool(op, x, pool_size, strides, padding, data_format):
    """Of windows by an op of images: a sequence is an image of one row; of a volume, images are
    pooled, then what is alike in them along the depth."""
    dimensions = _expect_images(op.name, x)
    sizes = checks.whole_numbers(f"{op.name}: pool_size", pool_size, dimensions)
    steps = (
        sizes
        if strides is None
        else checks.whole_numbers(f"{op.name}: strides", strides, dimensions)
    )
    padding = padding_mode(op.name, padding, dimensions, ("valid", "same"))
    if checks.data_format(op.name, data_format) == "channels_first":
        return channels_first(_pool(op, channels_last(x), sizes, steps, padding, None))
    along = [*zip(x.shape[1:-1], sizes, steps, strict=True)]
    counts = [windows_along(*d, padding) for d in along]
    if any([extent and not count for (extent, *_), count in zip(along, counts, strict=True)]):
        raise ShapeError(
            f"{op.name}: windows of {shape_text(sizes)} do not fit into {shape_text(x.shape)}; "
            "padding='same' lets them reach beyond"
        )
    if x.dtype in INTEGERS:
        return _max_of_integers(x, along, counts, padding)
    batch, channels = x.shape[0], x.shape[-1]
    if dimensions == 2:
        return op(x, pool_size=sizes, strides=steps, padding=padding)
    if dimensions == 1:
        rows = reshape(x, (batch, 1, *x.shape[1:]))
        y = op(rows, pool_size=(1, *sizes), strides=(1, *steps), padding=padding)
        return reshape(y, (batch, *counts, channels))
    depth = x.shape[1]
    images = reshape(x, (batch * depth, *x.shape[2:]))
    y = op(images, pool_size=sizes[1:], strides=steps[1:], padding=padding)
    columns = reshape(y, (batch, depth, counts[1] * counts[2], channels))
    y = op(columns, pool_size=(sizes[0], 1), strides=(steps[0], 1), padding=padding)
    return reshape(y, (batch, *counts, channels))


def _max_of_integers(x, along, counts, padding):
    """Dimension by dimension the larger of the first elements of all windows, of the second ones
    and so on: these are rare, and need no kernel."""
    least = np.iinfo(x.dtype).min
    for axis, ((extent, size, step), count) in enumerate(zip(along, counts, strict=True), 1):
        before = padding_before(extent, size, step, padding)
        reached = max(count - 1, 0) * step + size
        widths = [(0, 0)] * x.ndim
        widths[axis] = before, max(reached - before - extent, 0)
        x = pad(x, pad_width=widths, constant_values=least) if any(widths[axis]) else x
        around = (WHOLE,) * axis, (WHOLE,) * (x.ndim - axis - 1)
        spans = [Span(k, k + (count - 1) * step + 1 if count else k, step) for k in range(size)]
        x = reduce(maximum, [slice_copy(x, key=(*around[0], s, *around[1])) for s in spans])
    return x


def _some_equal(*shape):
    return lambda rng: rng.integers(0, 3, shape).astype(float)


WINDOWS: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 5, 7, 3), {"pool_size": 2}),
    ((1, 6, 4, 17), {"pool_size": (2, 2), "padding": "same"}),
    ((2, 7, 6, 33), {"pool_size": 3, "strides": 2, "padding": "same"}),
    ((2, 5, 4, 2), {"pool_size": (3, 2), "strides": 1}),
    ((1, 3, 9, 1), {"pool_size": (1, 2), "strides": (2, 4)}),
    ((1, 1, 3, 70), {"pool_size": 5, "strides": 1, "padding": "same"}),
    ((2, 3, 5, 4), {"pool_size": 2, "data_format": "channels_first"}),
    ((3, 9, 4), {"pool_size": 3, "strides": 2}),
    ((1, 5, 1), {"pool_size": 2, "padding": "same"}),
    ((2, 5, 4, 3, 3), {"pool_size": 2, "strides": (1, 2, 1), "padding": "same"}),
    ((1, 18, 20, 2), {"pool_size": (17, 16), "strides": 2}),
    ((0, 4, 4, 2), {"pool_size": 2}),
    ((2, 4, 4, 0), {"pool_size": 2}),
]


@composite(
    reference=reference.max_pool,
    cases=[Case((shape,), windows, terms=300) for shape, windows in WINDOWS]
    + [
        Case((_some_equal(2, 5, 6, 9),), {"pool_size": 3, "strides": 2, "padding": "same"}, terms=9)
    ],
    dtypes=NUMBERS,
)
def max_pool(
    inputs: Any,
    *,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """The largest element of each window of `pool_size` along the dimensions between rows and
    channels: inputs (N, T, C), (N, H, W, C) or (N, D, H, W, C); with data_format "channels_first"
    (N, C, ...), which is transposed twice. A window begins every `strides` elements, pool_size if
    None. padding: "valid", whole windows alone; "same", ceil(extent / stride) of them, of whose
    elements those count that are there. A result is NaN if an element of its window is. The
    gradient is that of the first largest element, as in PyTorch and TensorFlow. Keras's arguments.
    """
    return _pool(_max_of_images, inputs, pool_size, strides, padding, data_format)


@composite(
    reference=reference.average_pool,
    cases=[Case((shape,), windows, terms=300) for shape, windows in WINDOWS],
)
def average_pool(
    inputs: Any,
    *,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """The mean element of each window; otherwise as `max_pool`. Padding does not count. Of integers
    too it is a float (of Keras's backends some refuse them, some cut it off)."""
    return _pool(_average_of_images, inputs, pool_size, strides, padding, data_format)


# ---- to a given extent


def _adaptive(op, x, output_size, data_format):
    """Of `adaptive_windows` by windows that lie side by side: where they are not so many equal
    ones, elements that several have are repeated, and to shorter ones their last is added; for a
    mean these count nothing."""
    dimensions = _expect_images(op.name, x)
    sizes = checks.whole_numbers(f"{op.name}: output_size", output_size, dimensions)
    if checks.data_format(op.name, data_format) == "channels_first":
        return channels_first(_adaptive(op, channels_last(x), sizes, None))
    if 0 in x.shape[1:-1]:
        raise ShapeError(
            f"{op.name}: of no elements there is no result of {shape_text(sizes)}; got shape "
            f"{shape_text(x.shape)}"
        )
    is_mean, pool_size, share = op is adaptive_average_pool, [], np.ones((1,))
    for axis, (extent, size) in enumerate(zip(x.shape[1:-1], sizes, strict=True), 1):
        index, counts = adaptive_windows(extent, size)
        longest = index.shape[1]
        pool_size.append(longest)
        share = np.multiply.outer(share, longest / counts)
        if extent % size == 0:
            continue
        x = take(x, index.reshape(-1), axis=axis)
        if is_mean:
            counted = (np.arange(longest) < counts[:, None]).reshape(-1)
            x = where(counted.reshape(-1, *[1] * (x.ndim - axis - 1)), x, 0.0)
    if not is_mean:
        return max_pool(x, pool_size=tuple(pool_size))
    y = average_pool(x, pool_size=tuple(pool_size))
    return y if (share == 1).all() else y * share[..., None].astype(y.dtype)


ADAPTIVE: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 6, 9, 3), {"output_size": 3}),
    ((1, 7, 5, 17), {"output_size": (3, 2)}),
    ((2, 3, 4, 5), {"output_size": (5, 1), "data_format": "channels_first"}),
    ((3, 10, 2), {"output_size": 4}),
    ((1, 3, 4, 5, 2), {"output_size": (2, 4, 3)}),
    ((0, 5, 2), {"output_size": 2}),
]


@composite(
    reference=reference.adaptive_max_pool,
    cases=[Case((shape,), windows, terms=99) for shape, windows in ADAPTIVE],
    dtypes=NUMBERS,
)
def adaptive_max_pool(inputs: Any, *, output_size: Any, data_format: str | None = None) -> Any:
    """The largest element of each of output_size windows along every dimension of space, as equal
    as can be: of n elements window i of p has those from floor(i n / p) to before
    ceil((i + 1) n / p). inputs as of `max_pool`, of one to three dimensions of space, one element
    at least along each. Keras's arguments."""
    return _adaptive(adaptive_max_pool, inputs, output_size, data_format)


@composite(
    reference=reference.adaptive_average_pool,
    cases=[Case((shape,), windows, terms=99) for shape, windows in ADAPTIVE],
)
def adaptive_average_pool(inputs: Any, *, output_size: Any, data_format: str | None = None) -> Any:
    """The mean element of each window; otherwise as `adaptive_max_pool`."""
    return _adaptive(adaptive_average_pool, inputs, output_size, data_format)
