"""Pooling: the largest and the mean element of windows, of sequences, images and volumes."""

from math import prod
from typing import Any

from fastnn import checks
from fastnn.dtypes import INT32, UINT8
from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.reference import pooling as reference
from fastnn.kernels.windows import windows_along

from .arrange import moveaxis
from .composite import composite
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


def _pool(op, x, pool_size, strides, padding, data_format):
    """Of windows by an op of images: a sequence is an image of one row; of a volume, images are
    pooled, then what is alike in them along the depth."""
    dimensions = len(x.shape) - 2
    if not 1 <= dimensions <= 3:
        raise ShapeError(
            f"{op.name}: inputs must have 3, 4 or 5 dimensions, those of a sequence (N, T, C), an "
            f"image (N, H, W, C) or a volume (N, D, H, W, C); got shape {shape_text(x.shape)}"
        )
    sizes = checks.whole_numbers(f"{op.name}: pool_size", pool_size, dimensions)
    steps = (
        sizes
        if strides is None
        else checks.whole_numbers(f"{op.name}: strides", strides, dimensions)
    )
    checks.one_of(f"{op.name}: padding", padding, "valid", "same")
    if checks.data_format(op.name, data_format) == "channels_first":
        y = _pool(op, moveaxis(x, source=1, destination=-1), sizes, steps, padding, None)
        return moveaxis(y, source=-1, destination=1)
    counts = [windows_along(*d, padding) for d in zip(x.shape[1:-1], sizes, steps, strict=True)]
    if padding == "valid" and 0 in counts:
        raise ShapeError(
            f"{op.name}: windows of {shape_text(sizes)} do not fit into {shape_text(x.shape)}; "
            "padding='same' lets them reach beyond"
        )
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
    """The mean element of each window; otherwise as `max_pool`. Padding does not count."""
    return _pool(_average_of_images, inputs, pool_size, strides, padding, data_format)
