"""Layers that prepare numbers: rescaled, normalised, in bins, as vectors of zeros and ones."""

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from fastnn import checks, ops
from fastnn.convert import as_numbers as as_numbers_of
from fastnn.dtypes import FLOATS, INT64
from fastnn.errors import ShapeError, nearest, shape_text
from fastnn.layers.base import Layer, Shape
from fastnn.registry import arguments_of
from fastnn.tensor import Tensor, operand

EPSILON = 1e-7  # the least deviation, Keras's backend.epsilon()
MODES = ("int", "one_hot", "multi_hot", "count")


def batches_of(data: Any, layer: str, steps: int | None = None) -> Iterator[np.ndarray]:
    """What `adapt` is given as arrays: one, nested lists, or batches, of which `steps` are taken:
    a list of arrays, a generator, or what has a length and items; of (x, y) the x."""
    nested = isinstance(data, list | tuple) and not any([hasattr(one, "shape") for one in data])
    if nested or hasattr(data, "__array__"):
        data = [np.asarray(data)]
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        data = map(data.__getitem__, range(len(data)))
    if not isinstance(data, Iterable):
        raise TypeError(
            f"{layer}: adapt: expected an array, or batches of arrays; got {type(data).__name__}"
        )
    is_empty = True
    for number, batch in enumerate(data):
        if number == steps:
            break
        is_empty = False
        yield np.asarray(batch[0] if isinstance(batch, tuple) else batch)
    if is_empty:
        raise ValueError(f"{layer}: adapt: there is no batch")


def as_numbers(array: np.ndarray, layer: str) -> np.ndarray:
    """A batch for `adapt` in float64; refused if it is empty or not finite."""
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{layer}: adapt: expected numbers; got elements of type {array.dtype}")
    if not array.size or not np.isfinite(array).all():
        found = "has NaN or infinite numbers" if array.size else "is empty"
        raise ValueError(f"{layer}: adapt: the data {found}: clean it first")
    return array.astype(np.float64)


def whole_numbers(layer: Layer, inputs: Any) -> Tensor:
    """Integers as int64, floats as the layer's type."""
    array = np.asarray(inputs)
    return operand(array, INT64 if array.dtype.kind in "biu" else layer.dtype, layer.name)


def checked_mode(layer: str, mode: Any, sparse: bool, modes: Sequence[str] = MODES) -> str:
    """A mode, checked, "binary" being an older name of one; sparse tensors there are none."""
    mode = "multi_hot" if mode == "binary" else mode
    if mode not in modes:
        raise ValueError(f"{layer}: unknown output_mode {mode!r}; {nearest(str(mode), modes)}")
    if sparse:
        raise NotImplementedError(f"{layer}: there are no sparse tensors; leave out sparse=True")
    return str(mode)


def encoded(
    x: Tensor, mode: str, depth: int, dtype: np.dtype, count_weights: Tensor | None = None
) -> Tensor:
    """Numbers of categories, of `depth`, as `output_mode` says; all zeros for what is none."""
    if mode == "int":
        return x
    if x.ndim == 0:
        x = ops.reshape(x, (1,))
    if mode == "multi_hot":
        return ops.multi_hot(x, num_classes=depth, dtype=dtype)
    if mode == "one_hot":
        if x.ndim > 1 and x.shape[-1] == 1:
            x = ops.squeeze(x, axis=-1)
        return ops.one_hot(x, num_classes=depth, dtype=dtype)
    hot = ops.one_hot(x, num_classes=depth, dtype=dtype)
    if count_weights is not None:
        if count_weights.shape != x.shape:
            raise ShapeError(
                f"count_weights: expected shape {shape_text(x.shape)}, a weight for each number; "
                f"got {shape_text(count_weights.shape)}"
            )
        hot = hot * ops.expand_dims(count_weights, -1)
    return ops.sum(hot, axis=1 if x.ndim > 1 else 0)


def count_up_to(ordered: np.ndarray, x: Tensor) -> Tensor:
    """How many of `ordered`, which ascend, are at most x; all of them for NaN. By halves: for V
    numbers log2 V lookups."""
    bits = len(ordered).bit_length()
    most = np.inf if ordered.dtype.kind == "f" else np.iinfo(ordered.dtype).max
    padded = np.full(max(2**bits - 1, 1), most, ordered.dtype)
    padded[: len(ordered)] = ordered
    places = ops.zeros(x.shape, dtype="int64")
    for bit in reversed(range(bits)):
        bound = ops.take(padded, places + (2**bit - 1), axis=0)
        places = ops.where(x < bound, places, places + 2**bit)
    return ops.minimum(places, len(ordered))


class Rescaling(Layer):
    """y = scale x + offset; x of any shape, whole numbers such as an image's too.

    scale, offset: numbers, or arrays that are broadcast to x. Arguments and defaults are Keras's.

    >>> import fastnn
    >>> fastnn.layers.Rescaling(1 / 127.5, offset=-1)([[0, 255]]).numpy()
    array([[-1.,  1.]], dtype=float32)
    """

    takes_one_tensor = True
    supports_masking = True

    def __init__(self, scale: Any, offset: Any = 0.0, **base: Any):
        super().__init__(**base)
        self.scale, self.offset = self._number("scale", scale), self._number("offset", offset)

    def _number(self, name, value):
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"Rescaling: {name}: expected a number or an array; got {value!r}")
        return array.tolist()

    def call(self, x: Tensor) -> Tensor:
        scale, offset = np.asarray(self.scale, self.dtype), np.asarray(self.offset, self.dtype)
        return ops.cast(x, self.dtype) * scale + offset


class Normalization(Layer):
    """y = (x - mean) / sqrt(variance), the deviation taken for 1e-7 at least; with invert, x =
    mean + y sqrt(variance).

    axis: the dimensions whose every index has a mean and a variance of its own; None: one of each
    for all. mean, variance: given, both, or learned by `adapt`, which keeps them as weights, and
    which comes before training. Arguments and defaults are Keras's; data that is not finite is
    refused.

    >>> import fastnn
    >>> layer = fastnn.layers.Normalization()
    >>> layer.adapt([[0.0, 7.0], [2.0, 9.0]])
    >>> layer([[0.0, 9.0]]).numpy()
    array([[-1.,  1.]], dtype=float32)
    """

    takes_one_tensor = True
    supports_masking = True

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **base: Any,
    ):
        super().__init__(**base)
        axes = () if axis is None else (axis,) if isinstance(axis, int) else axis
        if not isinstance(axes, Iterable) or not all(
            [isinstance(a, int | np.integer) for a in axes]
        ):
            raise TypeError(f"Normalization: axis must be integers or None; got {axis!r}")
        self.axis = tuple([int(a) for a in axes])
        self.invert, self.input_mean, self.input_variance = bool(invert), mean, variance
        if (mean is None) != (variance is None):
            raise ValueError(
                "Normalization: mean and variance are given both or neither; got "
                f"mean={mean}, variance={variance}"
            )
        if mean is not None:
            self.input_mean, self.input_variance = (
                np.asarray(given, np.float64).tolist() for given in (mean, variance)
            )
            shape = np.shape(self.input_mean)
            if shape != np.shape(self.input_variance) or len(shape) > len(self.axis):
                raise ShapeError(
                    "Normalization: mean and variance must have the same shape, of at most as many "
                    f"dimensions as axis={self.axis}; got {shape_text(shape)} and "
                    f"{shape_text(np.shape(self.input_variance))}"
                )
            if np.min(self.input_variance) < 0:
                raise ValueError("Normalization: variance must not be negative")

    def get_config(self) -> dict[str, Any]:
        given = {"mean": self.input_mean, "variance": self.input_variance}
        return {**arguments_of(self, False, ("mean", "variance")), **given}

    def build(self, input_shape: Shape) -> None:
        kept = self._kept(input_shape)
        shape = tuple([input_shape[d] for d in kept])
        if None in shape:
            raise ShapeError(
                f"Normalization {self.name!r}: the extents of axis={self.axis} must be known; got "
                f"shape {shape_text(input_shape)}"
            )
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(shape, "zeros", name="mean", trainable=False)
            self.adapt_variance = self.add_weight(shape, "ones", name="variance", trainable=False)
            # Keras keeps it and never counts: here for the order of `get_weights`
            self.count = self.add_weight((), "zeros", "int32", False, name="count")
            return
        try:
            np.broadcast_to(self.input_mean, shape)
        except ValueError:
            raise ShapeError(
                f"Normalization {self.name!r}: a mean of shape "
                f"{shape_text(np.shape(self.input_mean))} cannot be broadcast to "
                f"{shape_text(shape)}, the extents of axis={self.axis}"
            ) from None

    def _kept(self, shape):
        ndim = len(shape)
        kept = tuple(sorted({a % ndim if -ndim <= a < ndim else ndim for a in self.axis}))
        if ndim in kept or len(kept) < len(self.axis):
            raise ShapeError(
                f"Normalization {self.name!r}: axis must name dimensions of x, each once; got axis="
                f"{self.axis} for shape {shape_text(shape)}"
            )
        return kept

    def _expect(self, extents, shape):
        if extents != self.adapt_mean.shape:
            raise ShapeError(
                f"Normalization {self.name!r}: expected extents {shape_text(self.adapt_mean.shape)}"
                f" of axis={self.axis}, as it was built for; got shape {shape_text(shape)}"
            )

    def adapt(self, data: Any) -> None:
        """Learn mean and variance (biased), in float64, of an array or of batches: a list of
        arrays, a generator, a dataset; of (x, y) the x."""
        if self.input_mean is not None:
            raise ValueError(
                f"Normalization {self.name!r}: adapt: mean and variance were given; leave them out "
                "to learn them"
            )
        count, mean, variance = 0, np.float64(0), np.float64(0)
        for batch in batches_of(data, "Normalization"):
            x = as_numbers(batch, "Normalization")
            if not self.built:
                kept = self._kept(x.shape)
                self.build_for(tuple([e if d in kept else None for d, e in enumerate(x.shape)]))
            kept = self._kept(x.shape)
            self._expect(tuple([x.shape[d] for d in kept]), x.shape)
            others = tuple([d for d in range(x.ndim) if d not in kept])
            added = prod([x.shape[d] for d in others])
            share = added / (count + added)
            gap = x.mean(axis=others) - mean
            variance = variance + share * (x.var(axis=others) - variance)
            variance, count = variance + share * (1 - share) * gap * gap, count + added
            mean = mean + share * gap
        self.adapt_mean.assign(np.asarray(mean, self.dtype))
        self.adapt_variance.assign(np.asarray(variance, self.dtype))

    def call(self, x: Tensor) -> Tensor:
        x, kept = ops.cast(x, self.dtype), self._kept(x.shape)
        shape = [e if d in kept else 1 for d, e in enumerate(x.shape)]
        extents = tuple([x.shape[d] for d in kept])
        if self.input_mean is None:
            self._expect(extents, x.shape)
            mean, variance = (ops.reshape(v, shape) for v in (self.adapt_mean, self.adapt_variance))
        else:
            given = (self.input_mean, self.input_variance)
            mean, variance = (
                operand(np.broadcast_to(g, extents).reshape(shape), self.dtype) for g in given
            )
        deviation = ops.maximum(ops.sqrt(variance), EPSILON)
        return mean + x * deviation if self.invert else (x - mean) / deviation


class Discretization(Layer):
    """The number of each x's bin: how many boundaries are at most x, so that bin i is [b_i-1,
    b_i). NaN is in the last.

    bin_boundaries: ascending; or num_bins, for `adapt`, which then chooses boundaries so that as
    many numbers are in each bin. output_mode: "int": the numbers themselves, int64 (Keras: int32);
    "one_hot", "multi_hot", "count": as CategoryEncoding has them. epsilon: taken for Keras's sake,
    whose quantiles are that near: here they are exact, what Keras's become for small ones.

    >>> import fastnn
    >>> fastnn.layers.Discretization([0.0, 1.0])([[-3.0, 0.0, 0.5, 7.0]]).numpy()
    array([[0, 1, 1, 2]])
    """

    takes_one_tensor = True

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        **base: Any,
    ):
        super().__init__(**base)
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError(
                "Discretization: one of bin_boundaries and num_bins is needed; got "
                f"bin_boundaries={bin_boundaries}, num_bins={num_bins}"
            )
        self.bin_boundaries = None if bin_boundaries is None else self._ascending(bin_boundaries)
        self.num_bins = num_bins
        if num_bins is not None:
            self.num_bins = checks.whole_number("Discretization: num_bins", num_bins, 1)
        self.epsilon = checks.positive("Discretization: epsilon", epsilon)
        self.output_mode = checked_mode("Discretization", output_mode, sparse)
        self.sparse = False

    def _ascending(self, given):
        bounds = as_numbers_of(given, "Discretization: bin_boundaries").astype(np.float64)
        if bounds.ndim != 1 or not (bounds[1:] >= bounds[:-1]).all() or np.isnan(bounds).any():
            raise ValueError(
                f"Discretization: bin_boundaries must be numbers that ascend; got {given!r}"
            )
        return bounds.tolist()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Discretization":
        """With boundaries that were learned, num_bins is there too."""
        learned = config.get("bin_boundaries")
        if learned is None or config.get("num_bins") is None:
            return super().from_config(config)
        made = super().from_config({**config, "bin_boundaries": None})
        made.bin_boundaries = made._ascending(learned)
        return made

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the boundaries: of all numbers of an array, or of (`steps`) batches, in order x_1
        to x_n, those at places n i / num_bins, between two numbers by linear interpolation."""
        if self.num_bins is None:
            raise ValueError(
                f"Discretization {self.name!r}: adapt: bin_boundaries were given; make it with "
                "num_bins to learn them"
            )
        batches = batches_of(data, "Discretization", steps)
        x = np.concatenate([as_numbers(b, "Discretization").reshape(-1) for b in batches])
        parts = np.arange(1, self.num_bins) / self.num_bins
        self.bin_boundaries = np.quantile(x, parts, method="interpolated_inverted_cdf").tolist()

    def call(self, x: Tensor) -> Tensor:
        if self.bin_boundaries is None:
            raise ValueError(
                f"Discretization {self.name!r}: it has no boundaries yet: call adapt(data) first"
            )
        bounds = np.asarray(self.bin_boundaries, x.dtype if x.dtype in FLOATS else self.dtype)
        places = count_up_to(bounds, x if x.dtype in FLOATS else ops.cast(x, self.dtype))
        return encoded(places, self.output_mode, len(bounds) + 1, self.dtype)


class CategoryEncoding(Layer):
    """Numbers of categories as vectors of num_tokens numbers.

    x: whole numbers from 0 to num_tokens - 1; others are no category, and count nowhere, as in
    Keras with JAX. output_mode: "multi_hot": (N, C) to (N, num_tokens), 1 for each category that is
    among a row's numbers; "count": how often it is, each time as its count_weights, of x's shape,
    if they are given; "one_hot": a vector for each number, (..., C) to (..., C, num_tokens), and of
    (..., 1) to (..., num_tokens). Arguments and defaults are Keras's.

    >>> import fastnn
    >>> layer = fastnn.layers.CategoryEncoding(4, output_mode="count")
    >>> layer([[0, 1], [3, 3]]).numpy()
    array([[1., 1., 0., 0.],
           [0., 0., 0., 2.]], dtype=float32)
    """

    takes_one_tensor = True

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **base: Any,
    ):
        super().__init__(**base)
        if num_tokens is None:
            raise ValueError(
                "CategoryEncoding: num_tokens is needed; IntegerLookup learns how many there are"
            )
        self.num_tokens = checks.whole_number("CategoryEncoding: num_tokens", num_tokens, 1)
        self.output_mode = checked_mode("CategoryEncoding", output_mode, sparse, MODES[1:])
        self.sparse = False

    def _operands(self, inputs: Any) -> Tensor:
        return whole_numbers(self, inputs)

    def call(self, x: Tensor, count_weights: Any = None) -> Tensor:
        if count_weights is not None:
            if self.output_mode != "count":
                raise ValueError(
                    "CategoryEncoding: count_weights are of output_mode='count'; it is "
                    f"{self.output_mode!r}"
                )
            count_weights = operand(count_weights, self.dtype, self.name)
        x = ops.cast(x, INT64) if x.dtype in FLOATS else x
        return encoded(x, self.output_mode, self.num_tokens, self.dtype, count_weights)
