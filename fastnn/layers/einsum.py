"""A layer whose product is an equation."""

import re
from collections.abc import Sequence
from math import prod
from typing import Any

from fastnn import activations, ops
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer, Shape
from fastnn.layers.core import FUSED, open_shape
from fastnn.tensor import Tensor

FORMS = (r"(\.\.\.)?([a-zA-Z]+)(),([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)()",
         r"()([a-zA-Z]{2,})(\.\.\.),([a-zA-Z]+)->()([a-zA-Z]+)(\.\.\.)")  # fmt: skip


class EinsumDense(Layer):
    """activation(einsum(equation, x, kernel) + bias). Arguments and defaults are Keras's, without
    LoRA and quantization.

    equation: "ab,bc->ac" is Dense's; "..." on the left or on the right stands for dimensions that
    stay. output_shape: of a result without its first dimension, None where it is the input's.
    bias_axes: the letters of the result that have a bias; None, no bias.

    >>> import fastnn
    >>> layer = fastnn.layers.EinsumDense("abc,cde->abde", (None, 8, 64), bias_axes="de")
    >>> layer(fastnn.ops.ones((2, 5, 12))).shape
    (2, 5, 8, 64)
    >>> layer.kernel.shape, layer.bias.shape
    ((12, 8, 64), (8, 64))
    """

    takes_one_tensor = True

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **base: Any,
    ):
        super().__init__(**base)
        self.equation, self.bias_axes = str(equation), bias_axes
        self.output_shape = open_shape("EinsumDense: output_shape", output_shape)
        self.activation = activations.get(activation, "EinsumDense: activation")
        self.take(
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        self._linear_form = self._as_linear()

    def _parts(self):
        """The letters of input, kernel and result, and whether dimensions stay left or right."""
        text = self.equation.replace(" ", "")
        for form in FORMS:
            found = re.fullmatch(form, text)
            if found and found[1] == found[5] and found[3] == found[7]:
                return found[2], found[4], found[6], bool(found[1]), bool(found[3])
        raise ValueError(
            f"EinsumDense {self.name!r}: equation must be like 'ab,bc->ac', '...ab,bc->...ac' or "
            f"'ab...,bc->ac...'; got {self.equation!r}"
        )

    def build(self, input_shape: Shape) -> None:
        given, kernel, result, left, right = self._parts()
        kept = len(input_shape) - len(given)
        if kept < 0 or (kept and not (left or right)):
            raise ShapeError(
                f"EinsumDense {self.name!r}: {self.equation} takes {len(given)} dimensions"
                f"{' or more' if left or right else ''}; got shape {shape_text(input_shape)}"
            )
        first = kept if left else 0
        extents: dict[str, Any] = {letter: input_shape[first + i] for i, letter in enumerate(given)}
        # without the first dimension, which has a letter unless it is among those that stay
        own = result if left and kept else result[1:]
        if len(self.output_shape) != len(own):
            raise ShapeError(
                f"EinsumDense {self.name!r}: output_shape must have {len(own)} extents, of "
                f"{', '.join(own)}; got {shape_text(self.output_shape)}"
            )
        for letter, extent in zip(own, self.output_shape, strict=True):
            if extent is not None and extents.get(letter, extent) not in (None, extent):
                raise ShapeError(
                    f"EinsumDense {self.name!r}: {letter} is {extents[letter]} in the input and "
                    f"{extent} in output_shape"
                )
            extents[letter] = extents.get(letter) if extent is None else extent
        shape: list[Any] = [extents.get(letter) for letter in kernel]
        if None in shape:
            unknown = kernel[shape.index(None)]
            raise ShapeError(
                f"EinsumDense {self.name!r}: the extent of {unknown} is in neither the input's "
                f"shape {shape_text(input_shape)} nor output_shape {shape_text(self.output_shape)}"
            )
        self.kernel = self.weight_of("kernel", shape)
        self.bias = None
        if self.bias_axes:
            if unknown_letters := [a for a in self.bias_axes if a not in result]:
                raise ValueError(
                    f"EinsumDense {self.name!r}: bias_axes has {unknown_letters[0]!r}, which is no "
                    f"dimension of the result, {result}"
                )
            from_first = result[min(result.index(a) for a in self.bias_axes) :]
            bias = [extents[a] if a in self.bias_axes else 1 for a in from_first]
            self.bias = self.weight_of("bias", [*bias, *[1] * (kept if right else 0)])

    def call(self, x: Tensor) -> Tensor:
        summed, ndim = self._linear_form
        if summed and ndim in (None, x.ndim) and x.shape[-summed:] == self.kernel.shape[:summed]:
            return self._linear(x, summed)
        y = ops.einsum(self.equation.replace(" ", ""), x, self.kernel)
        if self.bias is not None:
            y = y + self.bias
        return y if self.activation is None else self.activation(y)

    def _as_linear(self):
        """How many dimensions are summed, if these are the last of the input and the first of the
        kernel, whose others follow in the result, as in a linear layer; else 0. And how many the
        input has, None for any."""
        given, kernel, result, left, right = self._parts()
        summed = sum(letter not in result for letter in given)
        made = kernel[summed:]
        is_linear = (given, kernel, result) == (
            given[: len(given) - summed] + kernel[:summed],
            kernel[:summed] + made,
            given[: len(given) - summed] + made,
        )
        is_linear = is_linear and not right and self.bias_axes in (None, "", made)
        return summed if is_linear else 0, None if left else len(given)

    def _linear(self, x, summed):
        first, last = x.shape[:-summed], self.kernel.shape[summed:]
        rows, depth, columns = prod(first), prod(x.shape[-summed:]), prod(last)
        bias = None if self.bias is None else ops.reshape(self.bias, (columns,))
        fused = FUSED.get(self.activation)
        y = ops.linear(
            ops.reshape(x, (rows, depth)),
            ops.reshape(self.kernel, (depth, columns)),
            bias,
            activation=fused,
        )
        y = ops.reshape(y, (*first, *last))
        return y if fused or self.activation is None else self.activation(y)
