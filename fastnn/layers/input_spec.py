"""What a layer says of its inputs, to be checked when it is called."""

from collections.abc import Iterable
from typing import Any

from fastnn import tree
from fastnn.declared import as_declared
from fastnn.dtypes import expected
from fastnn.errors import DTypeError, ShapeError, shape_text


class InputSpec:
    """What a layer of one's own wants of its input, as its `input_spec`, or a list of these for
    several inputs: calls with another input raise, and say which. Arguments are Keras's.

    dtype: the element type (arrays are converted to the layer's before they are looked at). shape:
    None for an extent that may be any, the first of which is the number of rows. ndim, max_ndim,
    min_ndim: how many dimensions. axes: {axis: extent}. allow_last_axis_squeeze: whether a last
    extent of 1 may be left out or be one too many. name: of the input, where they come in a
    dictionary. optional: whether it may be None.

    >>> import fastnn
    >>> class Halves(fastnn.layers.Layer):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.input_spec = fastnn.layers.InputSpec(min_ndim=2, axes={-1: 4})
    ...     def call(self, inputs):
    ...         return inputs[..., :2]
    >>> Halves()([[1.0, 2.0, 3.0, 4.0]]).numpy()
    array([[1., 2.]], dtype=float32)
    """

    @as_declared
    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Any = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype = None if dtype is None else expected(dtype, "InputSpec").name
        if shape is not None and not isinstance(shape, Iterable):
            raise TypeError(f"InputSpec: shape must be of extents and None; got {shape!r}")
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim, self.min_ndim, self.name, self.optional = max_ndim, min_ndim, name, optional
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        try:
            self.axes = {int(axis): extent for axis, extent in (axes or {}).items()}
        except (AttributeError, TypeError, ValueError):
            raise TypeError(
                f"InputSpec: axes must be a dictionary of axes and their extents; got {axes!r}"
            ) from None
        most = self.ndim if self.ndim is not None else max_ndim
        if most is not None and self.axes and max(self.axes) >= most:
            raise ValueError(
                f"InputSpec: axes names axis {max(self.axes)} of {most} dimensions at most"
            )

    def __repr__(self) -> str:
        said = {name: value for name, value in self.get_config().items() if value}
        return f"InputSpec({', '.join(f'{name}={value}' for name, value in said.items())})"

    def get_config(self) -> dict[str, Any]:
        """The arguments that make it again."""
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes", "optional")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InputSpec":
        """Made of what `get_config` gives."""
        return cls(**config)

    def expect(self, x: Any, owner: str) -> None:
        """Raise unless x, a tensor or what stands for one, is what is said here. An extent of x
        that may be any is."""
        shape = tuple(x.shape)
        count, got = len(shape), f"got shape {shape_text(shape)}"
        if self.ndim is not None and count != self.ndim and not self.allow_last_axis_squeeze:
            raise ShapeError(f"{owner} must have {self.ndim} dimensions; {got}")
        if self.max_ndim is not None and count > self.max_ndim:
            raise ShapeError(f"{owner} must have {self.max_ndim} dimensions at most; {got}")
        if self.min_ndim is not None and count < self.min_ndim:
            raise ShapeError(f"{owner} must have {self.min_ndim} dimensions at least; {got}")
        if self.dtype is not None and x.dtype != self.dtype:
            raise DTypeError(f"{owner} must be {self.dtype}; got {x.dtype}")
        for axis, extent in self.axes.items():
            if not -count <= axis < count or extent not in (None, shape[axis]):
                if -count <= axis < count and shape[axis] is None:
                    continue
                raise ShapeError(f"{owner} must have the extent {extent} along axis {axis}; {got}")
        if self.shape is not None:
            own, wanted = shape, self.shape
            if self.allow_last_axis_squeeze:
                own, wanted = (s[:-1] if s and s[-1] == 1 else s for s in (own, wanted))
            pairs = zip(own, wanted, strict=False)
            if len(own) != len(wanted) or any([None not in (a, b) and a != b for a, b in pairs]):
                raise ShapeError(f"{owner} must have shape {shape_text(self.shape)}; {got}")


def expect_inputs(specs: Any, inputs: Any, layer: str) -> None:
    """Raise unless inputs are what a layer's `input_spec` says."""
    wanted = list(specs.values()) if isinstance(specs, dict) else specs
    wanted = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    names = [getattr(spec, "name", None) for spec in wanted]
    if isinstance(inputs, dict) and all(names):
        missing = [name for name in names if name not in inputs]
        if missing:
            raise ValueError(
                f"layer {layer!r}: the input {missing[0]!r} is missing; got {list(inputs)}"
            )
        given = [inputs[name] for name in names]
    else:
        given = list(inputs) if isinstance(inputs, list | tuple) else tree.flatten(inputs)
    if len(given) != len(wanted):
        raise ValueError(f"layer {layer!r}: takes {len(wanted)} inputs; got {len(given)}")
    for number, (x, spec) in enumerate(zip(given, wanted, strict=True)):
        if spec is None or (x is None and spec.optional):
            continue
        which = f"input {spec.name or number}" if len(wanted) > 1 or spec.name else "the input"
        spec.expect(x, f"layer {layer!r}: {which}")
