"""Transposes of convolutions, which make larger images of smaller ones."""

from math import prod
from typing import Any

from fastnn import checks
from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.geometry import transposed_extent
from fastnn.kernels.reference import convolution as reference

from .composite import composite
from .convolution import (
    by_input,
    channels_first,
    channels_last,
    padding_mode,
)
from .matmul import DOMAIN
from .record import Case, Op


def _transposed(x, kernel, mode, output_padding, strides, dilation):
    """What `by_input` is called with for the transpose of a convolution; raises where they do not
    fit."""
    ndim = len(x) - 2
    if not 3 <= len(x) <= 5:
        raise ShapeError(
            "conv_transpose: inputs must have 3 to 5 dimensions, which are the batch, one to three "
            f"of space, the channels; got shape {shape_text(x)}"
        )
    if len(kernel) != len(x) or 0 in kernel or kernel[-1] != x[-1]:
        raise ShapeError(
            f"conv_transpose: kernel must have {len(x)} dimensions as inputs have, each from 1 on: "
            "those of space, channels of the result, channels of the inputs, which are "
            f"{x[-1]}; got shape {shape_text(kernel)}"
        )
    if output_padding is not None:
        output_padding = checks.whole_numbers(
            "conv_transpose: output_padding", output_padding, ndim, 0
        )
        if any([more >= s for more, s in zip(output_padding, strides, strict=True)]):
            raise ValueError(
                "conv_transpose: output_padding must be less than strides; got "
                f"{output_padding} for strides {strides}"
            )
    pairs = [
        transposed_extent(mode, n, k, s, d, None if output_padding is None else output_padding[i])
        for i, (n, k, s, d) in enumerate(zip(x[1:-1], kernel, strides, dilation, strict=False))
    ]
    extents = tuple([n for n, _ in pairs])
    if any([found < min(n, 1) for found, n in zip(extents, x[1:-1], strict=True)]):
        raise ShapeError(
            f"conv_transpose: the result would have extents {shape_text(extents)}. Pass "
            "output_padding=None, or larger inputs."
        )
    # of the convolution that makes x's extents of the result's
    sizes = zip(x[1:-1], kernel, strides, dilation, pairs, strict=False)
    padding = tuple(
        [
            (before, max(0, (n - 1) * s + (k - 1) * d + 1 - before - found))
            for n, k, s, d, (found, before) in sizes
        ]
    )
    return {"extents": extents, "padding": padding}


_TRANSPOSED: list[tuple[tuple, tuple, dict]] = [
    ((2, 3, 4, 3), (3, 3, 4, 3), {}),
    ((2, 3, 4, 3), (3, 2, 4, 3), {"strides": 2, "padding": "same"}),
    ((1, 4, 3, 2), (2, 5, 3, 2), {"strides": (3, 2), "output_padding": (2, 0)}),
    ((2, 3, 3, 2), (3, 3, 17, 2), {"strides": 2, "padding": "same", "output_padding": 1}),
    ((1, 5, 4, 2), (3, 3, 1, 2), {"dilation_rate": 2, "padding": "same"}),
    ((2, 5, 3), (1, 2, 3), {"strides": 3}),
    ((2, 3, 5), (3, 2, 3), {"data_format": "channels_first", "strides": 2}),
    ((0, 5, 3), (3, 2, 3), {}),
    ((2, 0, 3), (3, 2, 3), {}),  # of no pixels, those that a window has beside its stride
    ((2, 0, 4, 3), (3, 3, 2, 3), {"strides": 2, "padding": "same"}),
]


@composite(
    reference=reference.conv_transpose,
    cases=[
        Case((x, kernel), attributes, prod(kernel[:-2]) * kernel[-1], DOMAIN)
        for x, kernel, attributes in _TRANSPOSED
    ],
)
def conv_transpose(
    inputs: Any,
    kernel: Any,
    *,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """The transpose of a convolution, which its gradient by input is: of images (N, D..., C) with a
    kernel (K..., F, C), (N, P..., F). P is D stride for padding "same", and for "valid" (D - 1)
    stride + max((K - 1) dilation + 1, stride). output_padding, less than the strides: with "same"
    P is (D - 1) stride + output_padding, and 1 more if the kernel's window is odd; with "valid"
    (D - 1) stride + (K - 1) dilation + 1 + output_padding. The rest as in `conv`."""
    is_first = checks.data_format("conv_transpose", data_format) == "channels_first"
    x = channels_last(inputs) if is_first and inputs.ndim > 2 else inputs
    ndim = max(x.ndim - 2, 1)
    strides = checks.whole_numbers("conv_transpose: strides", strides, ndim)
    dilation = checks.whole_numbers("conv_transpose: dilation_rate", dilation_rate, ndim)
    mode = padding_mode("conv_transpose", padding, ndim, ("valid", "same"))
    fitting = _transposed(x.shape, kernel.shape, mode, output_padding, strides, dilation)
    conv = {"strides": strides, "dilation_rate": dilation, "groups": 1}
    y = Op.run(by_input, (x, kernel), {**conv, **fitting})
    return channels_first(y) if is_first else y
