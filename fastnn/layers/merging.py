"""Layers of several inputs: element by element, side by side, and dot products."""

from collections.abc import Callable
from functools import reduce
from math import inf
from typing import Any

from fastnn import checks, ops
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer
from fastnn.tensor import Tensor, mask_of, operand, set_mask


class Merge(Layer):
    """What layers of a list of inputs share. `merge` is what they compute of two, and then of the
    result and the next one. Inputs of fewer dimensions than others get new ones after the rows."""

    supports_masking = True
    inputs_needed: int | None = None  # None: one or more

    def merge(self, x: Tensor, y: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} does not define merge(x, y)")

    def build(self, input_shape: Any) -> None:
        expected = "a list of inputs" if self.inputs_needed is None else "a list of 2 inputs"
        if isinstance(input_shape, list) and not input_shape:
            raise ValueError(f"{self._who()}: expected {expected}; got none")
        if not isinstance(input_shape, list | tuple) or not isinstance(
            next(iter(input_shape), None), list | tuple
        ):
            raise ShapeError(f"{self._who()}: expected {expected}; got one of shape {input_shape}")
        self._expect_number(len(input_shape))

    def _operands(self, inputs):
        """Each of a list is an input, nested lists of numbers too."""
        if not isinstance(inputs, list | tuple):
            return super()._operands(inputs)
        return [operand(x, self.dtype, self.name) for x in inputs]

    def _who(self):
        return f"{type(self).__name__} {self.name!r}"

    def _expect_number(self, number):
        if self.inputs_needed not in (None, number):
            raise ValueError(
                f"{self._who()}: expected a list of {self.inputs_needed} inputs; got {number}"
            )

    def inputs_of(self, inputs: Any) -> list[Tensor]:
        """The inputs, checked: as many as the layer takes."""
        if not isinstance(inputs, list | tuple):
            raise TypeError(f"{self._who()}: expected a list of inputs; got one tensor")
        self._expect_number(len(inputs))
        return list(inputs)

    def call(self, inputs: Any) -> Tensor:
        given = self.inputs_of(inputs)
        if len({x.shape[:1] for x in given}) > 1:
            shapes = " and ".join([shape_text(x.shape) for x in given])
            raise ShapeError(f"{self._who()}: inputs must have as many rows; got {shapes}")
        ndim = max([x.ndim for x in given])
        return self.merged(
            [
                x
                if x.ndim == ndim
                else ops.reshape(x, (*x.shape[:1], *(1,) * (ndim - x.ndim), *x.shape[1:]))
                for x in given
            ]
        )

    def merged(self, inputs: list[Tensor]) -> Tensor:
        """What is computed of inputs of as many dimensions."""
        return reduce(self.merge, inputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """What any of the inputs' masks has; None if one input has none."""
        masks = self._expect_masks(inputs, mask)
        return None if not masks or any([m is None for m in masks]) else _any_of(masks)

    def _expect_masks(self, inputs, mask):
        if mask is None:
            return None
        for name, value in (("mask", mask), ("inputs", inputs)):
            if not isinstance(value, list | tuple):
                raise ValueError(
                    f"{self._who()}: `{name}` should be a list; got {type(value).__name__}"
                )
        if len(mask) != len(inputs):
            raise ValueError(
                f"{self._who()}: `inputs` and `mask` should have the same length; got "
                f"{len(inputs)} and {len(mask)}"
            )
        return mask


def _any_of(masks):
    return reduce(lambda a, b: ops.maximum(ops.cast(a, "uint8"), ops.cast(b, "uint8")) > 0, masks)


class Add(Merge):
    """The sum of a list of inputs of one shape, or of shapes that broadcast.

    >>> import fastnn
    >>> fastnn.layers.Add()([[[1.0, 2.0]], [[10.0, 20.0]]]).numpy()
    array([[11., 22.]], dtype=float32)
    """

    def merge(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.add(x, y)


class Subtract(Merge):
    """The first of two inputs less the second.

    >>> import fastnn
    >>> fastnn.layers.Subtract()([[[1.0, 2.0]], [[10.0, 20.0]]]).numpy()
    array([[ -9., -18.]], dtype=float32)
    """

    inputs_needed = 2

    def merge(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.subtract(x, y)


class Multiply(Merge):
    """The product of a list of inputs, element by element. A masked part of an input counts as 1;
    what is masked in all of them is 0.

    >>> import fastnn
    >>> fastnn.layers.Multiply()([[[1.0, 2.0]], [[10.0, 20.0]]]).numpy()
    array([[10., 40.]], dtype=float32)
    """

    def merged(self, inputs: list[Tensor]) -> Tensor:
        masks = [mask_of(x) for x in inputs]
        given = [
            x if m is None else ops.where(_spread(m, x), x, 1.0)
            for x, m in zip(inputs, masks, strict=True)
        ]
        output = reduce(ops.multiply, given)
        if any([m is None for m in masks]):
            return output
        mask = _any_of(masks)
        output = ops.where(_spread(mask, output), output, 0.0)
        set_mask(output, mask)
        return output


class Average(Merge):
    """The mean of a list of inputs, element by element.

    >>> import fastnn
    >>> fastnn.layers.Average()([[[1.0, 2.0]], [[3.0, 4.0]]]).numpy()
    array([[2., 3.]], dtype=float32)
    """

    def merged(self, inputs: list[Tensor]) -> Tensor:
        return reduce(ops.add, inputs) / float(len(inputs))


class Maximum(Merge):
    """The largest of a list of inputs, element by element. Masked parts of an input do not count.

    >>> import fastnn
    >>> fastnn.layers.Maximum()([[[1.0, 5.0]], [[3.0, 4.0]]]).numpy()
    array([[3., 5.]], dtype=float32)
    """

    def merged(self, inputs: list[Tensor]) -> Tensor:
        return _merged_where(ops.maximum, inputs)


class Minimum(Merge):
    """The smallest of a list of inputs, element by element. Masked parts of an input do not count.

    >>> import fastnn
    >>> fastnn.layers.Minimum()([[[1.0, 5.0]], [[3.0, 4.0]]]).numpy()
    array([[1., 4.]], dtype=float32)
    """

    def merged(self, inputs: list[Tensor]) -> Tensor:
        return _merged_where(ops.minimum, inputs)


def _merged_where(function: Callable[[Tensor, Tensor], Tensor], inputs: list[Tensor]) -> Tensor:
    """function of all inputs; where one is masked, of the others."""
    output, mask = inputs[0], mask_of(inputs[0])
    for x in inputs[1:]:
        other = mask_of(x)
        given = x
        if other is not None:
            given = ops.where(_spread(other, x), x, output)
        if mask is not None:
            output = ops.where(_spread(mask, output), output, given)
        mask = None if mask is None or other is None else _any_of([mask, other])
        output = function(output, given)
    if mask is not None:
        set_mask(output, mask)
    return output


def _spread(mask, x):
    """A mask of x's rows, or steps, as booleans of x's shape."""
    return ops.broadcast_to(ops.expand_dims(mask, -1), x.shape) if mask.ndim < x.ndim else mask


class Concatenate(Merge):
    """A list of inputs side by side along a dimension, the last unless `axis` names another. Their
    shapes are alike but there.

    >>> import fastnn
    >>> fastnn.layers.Concatenate()([[[1.0, 2.0]], [[3.0]]]).numpy()
    array([[1., 2., 3.]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **base: Any):
        super().__init__(**base)
        if not checks.is_whole(axis, -inf):
            raise TypeError(f"Concatenate: axis must be an integer; got {axis!r}")
        self.axis = int(axis)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        first = input_shape[0]
        for shape in input_shape:
            axis = self.axis % len(shape) if shape else 0
            others = [
                (a, b)
                for d, (a, b) in enumerate(zip(first, shape, strict=False))
                if d != axis and None not in (a, b)
            ]
            if len(shape) != len(first) or any([a != b for a, b in others]):
                shapes = " and ".join(map(shape_text, (first, shape)))
                raise ShapeError(
                    f"{self._who()}: requires inputs with matching shapes except for the "
                    f"concatenation axis, {self.axis}; got {shapes}"
                )

    def call(self, inputs: Any) -> Tensor:
        return ops.concatenate(self.inputs_of(inputs), axis=self.axis)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The inputs' masks side by side; along the last dimension, what any of them has. What has
        none counts."""
        masks = self._expect_masks(inputs, mask)
        if not masks or all([m is None for m in masks]):
            return None
        found = [
            ops.ones(x.shape, dtype="bool") if m is None else _spread(m, x)
            for x, m in zip(inputs, masks, strict=True)
        ]
        joined = ops.concatenate(found, axis=self.axis)
        return ops.any(joined, axis=-1)


class Dot(Merge):
    """The dot products, in each row, of two inputs along a dimension of each: (N, ..., K, ...) and
    (N, ..., K, ...) give (N, what is left of the first, what is left of the second); numbers are
    (N, 1).

    axes: the dimension of both, or a pair, the first's and the second's; not 0, which are the rows.
    normalize: divide both along it by their length, so that the product is the cosine.

    >>> import fastnn
    >>> fastnn.layers.Dot(axes=1)([[[1.0, 2.0]], [[3.0, 4.0]]]).numpy()
    array([[11.]], dtype=float32)
    """

    inputs_needed = 2

    def __init__(self, axes: Any, normalize: bool = False, **base: Any):
        super().__init__(**base)
        pair = axes if isinstance(axes, list | tuple) else (axes, axes)
        if len(pair) != 2 or not all([type(a) is int for a in pair]):
            raise ValueError(f"Dot: axes must be an integer or two of them; got {axes!r}")
        self.axes, self.normalize = axes, bool(normalize)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self._axes(input_shape)

    def _axes(self, shapes):
        """The two dimensions, counted from 0."""
        pair = self.axes if isinstance(self.axes, list | tuple) else (self.axes, self.axes)
        found = []
        for axis, shape in zip(pair, shapes, strict=True):
            if len(shape) < 2 or not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
                raise ShapeError(
                    f"{self._who()}: axes must be dimensions of the inputs, and not 0, the rows; "
                    f"got {self.axes!r} for {' and '.join(map(shape_text, shapes))}"
                )
            found.append(axis % len(shape))
        extents = {shape[axis] for axis, shape in zip(found, shapes, strict=True)} - {None}
        if len(extents) > 1:
            raise ShapeError(
                f"{self._who()}: the inputs must be of one extent along axes {self.axes!r}; got "
                f"{' and '.join(map(shape_text, shapes))}"
            )
        return found

    def call(self, inputs: Any) -> Tensor:
        x, y = self.inputs_of(inputs)
        ours, theirs = self._axes((x.shape, y.shape))
        if self.normalize:
            x, y = _of_unit_length(x, ours), _of_unit_length(y, theirs)
        rest = [d for d in range(1, x.ndim) if d != ours]
        others = [d for d in range(1, y.ndim) if d != theirs]
        shape = (*[x.shape[d] for d in rest], *[y.shape[d] for d in others])
        rows, extent = x.shape[0], x.shape[ours]
        left = ops.reshape(ops.transpose(x, axes=(0, *rest, ours)), (rows, -1, extent))
        right = ops.reshape(ops.transpose(y, axes=(0, theirs, *others)), (rows, extent, -1))
        return ops.reshape(ops.matmul(left, right), (rows, *(shape or (1,))))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None: a dot product has no masked parts."""
        return None


def _of_unit_length(x, axis):
    """x over its length along a dimension, 1e-12 at least, as Keras has it."""
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x / ops.sqrt(ops.maximum(squares, 1e-12))


def add(inputs: Any, **base: Any) -> Any:
    """What the layer `Add` makes of inputs."""
    return Add(**base)(inputs)


def subtract(inputs: Any, **base: Any) -> Any:
    """What the layer `Subtract` makes of two inputs."""
    return Subtract(**base)(inputs)


def multiply(inputs: Any, **base: Any) -> Any:
    """What the layer `Multiply` makes of inputs."""
    return Multiply(**base)(inputs)


def average(inputs: Any, **base: Any) -> Any:
    """What the layer `Average` makes of inputs."""
    return Average(**base)(inputs)


def maximum(inputs: Any, **base: Any) -> Any:
    """What the layer `Maximum` makes of inputs."""
    return Maximum(**base)(inputs)


def minimum(inputs: Any, **base: Any) -> Any:
    """What the layer `Minimum` makes of inputs."""
    return Minimum(**base)(inputs)


def concatenate(inputs: Any, axis: int = -1, **base: Any) -> Any:
    """What the layer `Concatenate` makes of inputs."""
    return Concatenate(axis, **base)(inputs)


def dot(inputs: Any, axes: Any = -1, **base: Any) -> Any:
    """What the layer `Dot` makes of two inputs."""
    return Dot(axes, **base)(inputs)
