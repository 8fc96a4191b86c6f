"""Convolutions, tap after tap."""

import itertools

import numpy as np

from ..geometry import Convolution, padding_of, transposed_extent


def _each(value, count):
    return (value,) * count if isinstance(value, int) else tuple(value)


def _windows(conv, padded, out):
    """(tap, the elements of the padded images that it is multiplied with)."""
    for tap in itertools.product(*map(range, conv.kernel)):
        key = [
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, s, n in zip(tap, conv.dilation, conv.strides, out, strict=True)
        ]
        yield tap, padded[:, *key] if min(out) else padded[:, *[slice(0)] * len(out)]


def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    x = np.moveaxis(inputs, 1, -1) if data_format == "channels_first" else inputs
    ndim = x.ndim - 2
    extents, strides, dilation = x.shape[1:-1], _each(strides, ndim), _each(dilation_rate, ndim)
    pads = padding
    if isinstance(padding, str):
        pads = padding_of(padding, extents, kernel.shape[:-2], strides, dilation)
    y = convolution(x, kernel, strides=strides, padding=pads, dilation_rate=dilation)
    return np.moveaxis(y, -1, 1) if data_format == "channels_first" else y


def convolution(x, w, bias=None, *, strides, padding, dilation_rate):
    """Of channels-last images; padding: (before, after) of each dimension."""
    conv = Convolution(w.shape[:-2], strides, dilation_rate, padding)
    out, (inputs, filters) = conv.output(x.shape[1:-1]), w.shape[-2:]
    groups = x.shape[-1] // inputs
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    y = np.zeros((len(x), *out, groups, filters // groups), np.result_type(x, w))
    for tap, seen in _windows(conv, padded, out):
        seen = seen.reshape(*seen.shape[:-1], groups, inputs)
        y += np.einsum("...gi,igo->...go", seen, w[tap].reshape(inputs, groups, -1))
    return y.reshape(len(x), *out, filters) + (0 if bias is None else bias)


def conv_transpose(
    inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None,
    dilation_rate=1,
):  # fmt: skip
    """Each pixel's number times the kernel, added up where they fall, and cut out."""
    x = np.moveaxis(inputs, 1, -1) if data_format == "channels_first" else inputs
    ndim = x.ndim - 2
    strides, dilation = _each(strides, ndim), _each(dilation_rate, ndim)
    more = _each(output_padding, ndim) if output_padding is not None else (None,) * ndim
    found = [
        transposed_extent(padding, *one)
        for one in zip(x.shape[1:-1], kernel.shape, strides, dilation, more, strict=False)
    ]
    whole = [max(n * s + k * d, e + b) for n, s, k, d, (e, b) in zip(
        x.shape[1:-1], strides, kernel.shape, dilation, found, strict=False)]  # fmt: skip
    y = np.zeros((len(x), *whole, kernel.shape[-2]), np.result_type(x, kernel))
    conv = Convolution(kernel.shape[:-2], strides, dilation, ((0, 0),) * ndim)
    for tap, seen in _windows(conv, y, x.shape[1:-1]) if x.size else ():
        seen += x @ kernel[tap].T
    y = y[:, *[slice(b, b + e) for e, b in found]]
    return np.moveaxis(y, -1, 1) if data_format == "channels_first" else y
