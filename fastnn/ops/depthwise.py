"""Convolutions of each channel by itself, and with a product of all channels after it."""

from math import prod
from typing import Any

from fastnn import checks
from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.reference import convolution as reference

from .arrange import repeat
from .composite import composite
from .convolution import channels_first, channels_last, convolved
from .matmul import DOMAIN
from .record import Case
from .shapes import reshape


def _depthwise_reference(inputs, kernel, *given, data_format=None, **attributes):
    axis = 1 if data_format == "channels_first" else -1
    kernel = kernel.reshape(*kernel.shape[:-2], 1, -1)
    assert kernel.shape[-1] % inputs.shape[axis] == 0
    return reference.conv(inputs, kernel, *given, data_format=data_format, **attributes)


_DEPTHWISE: list[tuple[tuple, tuple, dict]] = [
    ((2, 5, 6, 3), (3, 3, 3, 1), {}),
    ((2, 5, 6, 17), (3, 2, 17, 1), {"padding": "same"}),
    ((3, 7, 6, 33), (3, 3, 33, 1), {"padding": "same", "strides": 2}),
    ((1, 8, 7, 2), (2, 2, 2, 3), {"dilation_rate": (1, 2)}),
    ((2, 9, 4), (4, 4, 1), {"padding": "causal"}),
    ((2, 3, 5, 4), (2, 2, 3, 2), {"data_format": "channels_first", "padding": "same"}),
    ((1, 5, 4, 1), (3, 3, 1, 4), {"padding": "same"}),
    ((0, 5, 4), (3, 4, 1), {}),
]


@composite(
    reference=_depthwise_reference,
    cases=[
        Case((x, kernel), attributes, prod(kernel[:-2]), DOMAIN)
        for x, kernel, attributes in _DEPTHWISE
    ],
)
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    *,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """The convolution of each channel of images (N, D..., C) by M of its own, kernel (K..., C, M):
    (N, P..., C M), channel c's from c M on. The rest as in `conv`."""
    is_first = checks.data_format("depthwise_conv", data_format) == "channels_first"
    x = channels_last(inputs) if is_first and inputs.ndim > 2 else inputs
    if x.ndim < 3 or kernel.ndim != x.ndim or kernel.shape[-2] != x.shape[-1]:
        raise ShapeError(
            "depthwise_conv: kernel must have as many dimensions as inputs, from 3 on, the last "
            f"but one as long as these have channels; got shape {shape_text(kernel.shape)} for "
            f"inputs {shape_text(x.shape)}, channels last"
        )
    *extents, channels, multiplier = kernel.shape
    kernel = reshape(kernel, (*extents, 1, channels * multiplier))
    # a channel for each of the result, of which the kernel for channels of their own is made
    x = repeat(x, multiplier, axis=-1) if multiplier > 1 else x
    given = strides, padding, None, dilation_rate
    y = convolved(x, kernel, None, *given, name="depthwise_conv")
    return channels_first(y) if is_first else y


def _separable_reference(inputs, depthwise_kernel, pointwise_kernel, **attributes):
    y = _depthwise_reference(inputs, depthwise_kernel, **attributes)
    return reference.conv(y, pointwise_kernel, data_format=attributes.get("data_format"))


@composite(
    reference=_separable_reference,
    cases=[
        Case(((2, 5, 6, 3), (3, 3, 3, 2), (1, 1, 6, 4)), {"padding": "same"}, 54, DOMAIN),
        Case(
            ((2, 3, 7), (2, 3, 1), (1, 3, 5)),
            {"data_format": "channels_first", "strides": 2},
            6,
            DOMAIN,
        ),
    ],
)
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    *,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """`depthwise_conv` of images (N, D..., C) by depthwise_kernel (K..., C, M), and of its result
    the `conv` by pointwise_kernel (1..., C M, F): (N, P..., F). The rest as in `conv`."""
    is_first = checks.data_format("separable_conv", data_format) == "channels_first"
    x = channels_last(inputs) if is_first and inputs.ndim > 2 else inputs
    if {*pointwise_kernel.shape[:-2]} - {1}:
        raise ShapeError(
            "separable_conv: pointwise_kernel must have shape (1..., channels, filters); got "
            f"{shape_text(pointwise_kernel.shape)}"
        )
    given = {"strides": strides, "padding": padding, "dilation_rate": dilation_rate}
    y = convolved(depthwise_conv(x, depthwise_kernel, **given), pointwise_kernel)
    return channels_first(y) if is_first else y
