"""Convolutions of images, of one, two or three dimensions."""

from collections.abc import Sequence
from math import prod
from typing import Any

from fastnn import checks
from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.geometry import Convolution, padding_of
from fastnn.kernels.reference import convolution as reference

from .composite import composite
from .elementwise import gradient_from_output
from .matmul import DOMAIN, activation_name, linear
from .record import Case, Op, expect_dtype, expect_shape
from .reduce import sum as sum_op
from .shapes import reshape, transpose


def _expect_kernel(name, x_shape, kernel):
    """Raise unless a kernel (D..., C / groups, filters) fits images (N, D..., C)."""
    ndim = len(x_shape)
    if not 3 <= ndim <= 5:
        raise ShapeError(
            f"{name}: inputs must have 3 to 5 dimensions, which are the batch, one to three of "
            f"space, the channels; got shape {shape_text(x_shape)}"
        )
    if len(kernel) != ndim or 0 in kernel:
        raise ShapeError(
            f"{name}: kernel must have {ndim} dimensions as inputs have, each from 1 on: those of "
            "space, channels of the inputs, channels of the result; got shape "
            f"{shape_text(kernel)} for inputs {shape_text(x_shape)}"
        )
    channels, (inputs, filters) = x_shape[-1], kernel[-2:]
    if not channels or channels % inputs or filters % (channels // inputs):
        raise ShapeError(
            f"{name}: inputs have {channels} channels, and kernel is for {inputs}, which must be "
            "as many; or, for groups of channels, divide them, and then its "
            f"{filters} channels of the result must be as many for each group"
        )


def _expect_windows(name, conv, extents):
    """Raise unless there is a window in images of these extents; of no pixels, there need not."""
    if any([n < 1 and e > 0 for n, e in zip(conv.output(extents), extents, strict=True)]):
        windows = tuple([(k - 1) * d + 1 for k, d in zip(conv.kernel, conv.dilation, strict=True)])
        raise ShapeError(
            f"{name}: the kernel's window {shape_text(windows)} is larger than the image "
            f"{shape_text(conv.padded(extents))}. Pass padding='same', or larger images."
        )


def _infer(x, w, bias=None, *, strides, dilation_rate, padding, activation=None):
    given = {"inputs": x, "kernel": w} if bias is None else {"inputs": x, "kernel": w, "bias": bias}
    dtype = expect_dtype("conv", **given)
    conv = Convolution(tuple(w.shape[:-2]), strides, dilation_rate, padding)
    out = conv.output(x.shape[1:-1])
    if bias is not None:
        expect_shape("conv", "bias", bias.shape, w.shape[-1:])
    activation_name(activation)
    return [((x.shape[0], *out, w.shape[-1]), dtype)]


def _flops(inputs, outputs, **_):
    """Of y: those of the taps that lie on zeros too."""
    return 2 * outputs[0].size * prod(inputs[1].shape[:-1])


def _gradient(g, dys, inputs, outputs, strides, dilation_rate, padding, activation=None):
    # y = activation(conv(x, w) + bias): dz = dy activation'(y); dbias = sum of dz's pixels
    (dy,), (x, w, *_), y = dys, inputs, outputs[0]
    with_bias, filters = len(inputs) == 3 and g.wants(2), w.shape[-1]
    rows = prod(y.shape[:-1]), filters
    if activation is None:
        dz = dy
        if with_bias:
            g.gradient(2, sum_op, dy.view(rows), axis=0)
    elif with_bias:
        dz = g.gradients(
            (None, 2), gradient_from_output[activation].gradient_and_sums, y.view(rows),
            dy.view(rows),
        ).view(y.shape)  # fmt: skip
    else:
        dz = g.run(gradient_from_output[activation].gradient, y, dy)
    conv = {"strides": strides, "dilation_rate": dilation_rate, "padding": padding}
    conv["groups"] = x.shape[-1] // w.shape[-2]
    g.gradient(1, by_kernel, x, dz, kernel=tuple(w.shape[:-2]), **conv)
    g.gradient(0, by_input, dz, w, extents=x.shape[1:-1], **conv)


# activation(convolution + bias) of channels-last images, by numbers for each dimension, of padding
# pairs: `conv` is the public one.
convolution = Op(
    "convolution",
    _infer,
    kernels="convolution.convolution",
    gradient=_gradient,
    flops=_flops,
)

by_kernel = Op(
    "gradient of convolution by kernel",
    lambda x, dy, *, kernel, groups, strides, dilation_rate, padding, accumulate=False: [
        ((*kernel, x.shape[-1] // groups, dy.shape[-1]), dy.dtype)
    ],
    kernels="convolution_gradient.convolution_by_kernel",
    accumulates=True,
    flops=lambda inputs, outputs, groups, **_: 2 * outputs[0].size * prod(inputs[1].shape[:-1]),
)


def _by_input_gradient(g, dys, inputs, outputs, extents, groups, **conv):
    # linear in each of (x, w), and the transpose of a convolution: dx = conv(dy, w); dw is that of
    # a convolution of dy whose upstream gradient is x
    (dy,), (x, w) = dys, inputs
    g.gradient(1, by_kernel, dy, x, kernel=tuple(w.shape[:-2]), groups=groups, **conv)
    g.gradient(0, convolution, dy, w, **conv)


# A convolution's transpose by x, for w as that has it: `conv_transpose` is the public one.
by_input = Op(
    "gradient of convolution by input",
    lambda dy, w, *, extents, groups, strides, dilation_rate, padding: [
        ((dy.shape[0], *extents, w.shape[-2] * groups), dy.dtype)
    ],
    kernels="convolution.convolution_by_input",
    gradient=_by_input_gradient,
    flops=lambda inputs, outputs, **_: 2 * inputs[0].size * prod(inputs[1].shape[:-1]),
)


def padding_mode(
    name: str, padding: Any, ndim: int, modes: Sequence[str] = ("valid", "same", "causal")
) -> str:
    """Its name in small letters, as Keras takes it."""
    mode = padding.lower() if isinstance(padding, str) else padding
    checks.one_of(f"{name}: padding", mode, *modes)
    if mode == "causal" and ndim != 1:
        raise ValueError(
            f"{name}: padding 'causal' is for images of one dimension of space; these have {ndim}"
        )
    return mode


def padding_pairs(
    name: str, padding: Any, space: Any, extents: Any, strides: Any, dilation: Any
) -> tuple[tuple[int, int], ...]:
    """Zeros (before, after) of each dimension, by a name or given as such."""
    if not isinstance(padding, list | tuple):
        mode = padding_mode(name, padding, len(strides))
        return padding_of(mode, space, extents, strides, dilation)
    if len(padding) != len(strides):
        raise ValueError(
            f"{name}: padding must have a pair (before, after) for each of {len(strides)} "
            f"dimensions; got {padding!r}"
        )
    pairs = [checks.whole_numbers(f"{name}: padding", pair, 2, 0) for pair in padding]
    return tuple([(before, after) for before, after in pairs])


def channels_last(x: Any) -> Any:
    """x (N, C, D...) with its channels last."""
    return transpose(x, axes=(0, *range(2, x.ndim), 1))


def channels_first(x: Any) -> Any:
    """x (N, D..., C) with its channels before space."""
    return transpose(x, axes=(0, x.ndim - 1, *range(1, x.ndim - 1)))


def convolved(
    inputs: Any,
    kernel: Any,
    bias: Any = None,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    activation: str | None = None,
    name: str = "conv",
) -> Any:
    """activation(`conv` + bias) in one call, of an activation that `linear` can fuse; name: what
    messages say."""
    is_first = checks.data_format(name, data_format) == "channels_first"
    x = channels_last(inputs) if is_first and inputs.ndim > 2 else inputs
    ndim = max(x.ndim - 2, 1)
    strides = checks.whole_numbers(f"{name}: strides", strides, ndim)
    dilation = checks.whole_numbers(f"{name}: dilation_rate", dilation_rate, ndim)
    _expect_kernel(name, x.shape, kernel.shape)
    extents = kernel.shape[:-2]
    pads = padding_pairs(name, padding, x.shape[1:-1], extents, strides, dilation)
    is_product = {*extents, *strides} == {1} and not any([any(pair) for pair in pads])
    if is_product and kernel.shape[-2] == x.shape[-1]:
        rows, matrix = (prod(x.shape[:-1]), x.shape[-1]), kernel.shape[-2:]
        given = (reshape(x, rows), reshape(kernel, matrix), *([] if bias is None else [bias]))
        y = linear(*given, activation=activation)
        y = reshape(y, (*x.shape[:-1], matrix[1]))
    else:
        _expect_windows(name, Convolution(tuple(extents), strides, dilation, pads), x.shape[1:-1])
        given = (x, kernel, *([] if bias is None else [bias]))
        attributes = {"strides": strides, "dilation_rate": dilation, "padding": pads}
        y = Op.run(convolution, given, {**attributes, "activation": activation})
    return channels_first(y) if is_first else y


# Tiles have 6 or 10 pixels and up to 8, 16 or 32 channels; the kernel is packed by 128 or 256 rows.
_CASES: list[tuple[tuple, tuple, dict]] = [
    ((2, 5, 5, 3), (3, 3, 3, 4), {}),
    ((2, 5, 6, 3), (3, 3, 3, 5), {"padding": "same"}),
    ((1, 7, 7, 1), (3, 3, 1, 17), {"padding": "same", "strides": 2}),
    ((3, 8, 7, 2), (3, 2, 2, 9), {"padding": "same", "strides": (2, 3)}),
    ((1, 9, 8, 2), (3, 3, 2, 3), {"dilation_rate": (2, 3)}),
    ((2, 6, 5, 4), (2, 3, 2, 6), {"padding": "same"}),  # two groups
    ((2, 5, 4, 3), (2, 2, 1, 6), {"strides": (1, 2)}),  # a group for each channel
    ((2, 4, 5, 3), (1, 1, 3, 7), {}),
    ((2, 4, 5, 3), (1, 1, 3, 7), {"strides": 2}),
    ((1, 3, 3, 2), (3, 3, 2, 2), {}),
    ((1, 1, 1, 1), (3, 3, 1, 1), {"padding": "same"}),
    ((0, 4, 4, 2), (3, 3, 2, 3), {"padding": "same"}),
    ((2, 3, 6, 5), (3, 3, 3, 4), {"data_format": "channels_first", "padding": "same"}),
    ((2, 13, 3), (2, 3, 4), {"padding": "causal", "dilation_rate": 4}),
    ((3, 11, 2), (5, 2, 3), {"padding": "causal", "strides": 2}),
    ((2, 12, 3), (4, 3, 2), {"strides": 3}),
    ((2, 6, 5, 3), (3, 3, 3, 4), {"padding": ((1, 1), (0, 2)), "strides": 2}),
    ((2, 7, 37), (3, 37, 70), {"padding": "same"}),
    ((1, 2, 3, 4, 2), (2, 2, 2, 2, 3), {"padding": "same", "strides": (1, 2, 1)}),
]


@composite(
    reference=reference.conv,
    cases=[
        Case((x, kernel), attributes, prod(kernel[:-1]), DOMAIN) for x, kernel, attributes in _CASES
    ],
)
def conv(
    inputs: Any,
    kernel: Any,
    *,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """The convolution of images (N, D..., C), of one, two or three dimensions D of space, with a
    kernel (K..., C / G, F) for G groups of channels: (N, P..., F). strides, dilation_rate: a
    number, or one for each dimension. padding: "valid", none, P = ceil((D - (K - 1) dilation) /
    stride); "same", zeros all round, P = ceil(D / stride), and where they are odd one more behind;
    "causal", of one dimension, all zeros before; or, beside Keras's names, how many zeros stand
    (before, after) in each dimension. data_format: "channels_last", the default, or
    "channels_first", which costs transposes. Strides and dilation may be given together, and
    causal padding too, which Keras leaves to its backends."""
    return convolved(inputs, kernel, None, strides, padding, data_format, dilation_rate)
