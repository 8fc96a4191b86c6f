"""What layers of sequences, images and volumes share: how many dimensions their input has, and
which of them are channels."""

from typing import Any

from fastnn import checks
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer, Shape

SHAPES = {1: "(N, T, C)", 2: "(N, H, W, C)", 3: "(N, D, H, W, C)"}


class Spatial(Layer, aliases=None):
    """A layer of rows with `dimensions` of space, and channels after them, or before them
    ("channels_first")."""

    takes_one_tensor = True
    dimensions: int
    data_format = "channels_last"

    @property
    def channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    @property
    def axes(self) -> tuple[int, ...]:
        """The dimensions of space."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.dimensions))

    def numbers(self, argument: str, value: Any, least: int = 1) -> tuple[int, ...]:
        """An argument that is a number for each dimension of space."""
        name = f"{type(self).__name__}: {argument}"
        return checks.whole_numbers(name, value, self.dimensions, least)

    def pairs(self, argument: str, value: Any) -> tuple[tuple[int, int], ...]:
        """An argument that is (before, after) for each dimension of space: a number for all, one
        for each, or such pairs."""
        name = f"{type(self).__name__}: {argument}"
        given = (value,) * self.dimensions if checks.is_whole(value) else value
        if not isinstance(given, list | tuple) or len(given) != self.dimensions:
            raise ValueError(
                f"{name} must be a whole number from 0 on, or {self.dimensions} of them or of "
                f"pairs (before, after); got {value!r}"
            )
        found = [checks.whole_numbers(name, pair, 2, 0) for pair in given]
        return tuple([(before, after) for before, after in found])

    def expect_space(self, shape: Shape) -> None:
        """Raise unless an input of this shape has the layer's dimensions."""
        if len(shape) != self.dimensions + 2:
            expected = SHAPES[self.dimensions]
            if self.data_format == "channels_first":
                expected = expected.replace("N", "N, C").replace(", C)", ")")
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}: expected {self.dimensions + 2} dimensions, "
                f"{expected}; got shape {shape_text(shape)}"
            )
