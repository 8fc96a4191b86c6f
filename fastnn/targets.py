"""Targets and weights of rows, aligned with the predictions that they are of."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.checks import is_whole
from fastnn.convert import as_array, as_numbers
from fastnn.dtypes import INT64
from fastnn.errors import ShapeError, shape_text
from fastnn.frames import not_finite
from fastnn.tensor import Tensor, operand

Shape = Sequence[int | None]  # None for any extent


def targets(
    y_true: Any,
    shape: Shape,
    dtype: Any,
    takes_labels: bool,
    name: str,
    axis: int = -1,
    ignored: int | None = None,
) -> np.ndarray:
    """Values as `dtype`, of the predictions' shape; or labels as int64, whole numbers from 0 to
    their extent along `axis` less one, or `ignored`."""
    y = as_array(y_true, None if takes_labels else dtype, "y")
    y = y.reshape(aligned_shape(y.shape, shape, takes_labels, name, axis))
    return labels(y, shape[axis] or 0, name, ignored) if takes_labels else y


def labels(y: np.ndarray, classes: int, name: str, ignored: int | None = None) -> np.ndarray:
    """Labels as int64, checked: whole numbers from 0 to `classes` less one, or `ignored`."""
    y = whole_numbers(y, name)
    outside = (y < 0) | (y >= classes)
    if ignored is not None:
        outside &= y != ignored
    if outside.any():
        place = tuple(int(i) for i in np.argwhere(outside)[0])
        raise ValueError(
            f"{name}: labels must lie between 0 and {classes - 1}, for predictions of {classes} "
            f"columns; got {y[place]} at "
            f"{place}. Number the classes from 0, or give the last layer more units."
        )
    # only now: of what is too large for the type this would make anything
    return np.ascontiguousarray(y, INT64)


def whole_numbers(y: np.ndarray, name: str) -> np.ndarray:
    """Labels as they are, floats too; raises where one is no whole number."""
    if y.dtype.kind == "f":
        whole = np.isfinite(y) & (np.floor(y) == y)
        if not whole.all():
            place = tuple(int(i) for i in np.argwhere(~whole)[0])
            raise ValueError(
                f"{name}: labels must be whole numbers; got {y[place]} at {place}. One-hot rows "
                "are y.argmax(-1)."
            )
    return y


def as_labels(y: Any, name: str) -> Tensor:
    """Labels as a tensor of int64; of arrays they are whole numbers."""
    if not isinstance(y, Tensor):
        y = whole_numbers(as_numbers(y, f"{name}: labels"), name)
        return operand(y, INT64, f"{name}: labels")
    return y if y.dtype == INT64 else y.astype(INT64)


def expect_axis(name: str, shape: Shape, axis: Any) -> None:
    """Raise unless the axis of the classes is one of predictions of this shape."""
    if not is_whole(axis, -len(shape)) or axis >= len(shape):
        raise ValueError(
            f"{name}: axis must be one of the dimensions of y_pred, whose shape is "
            f"{shape_text(shape)}; got {axis!r}"
        )


def aligned_shape(
    y_shape: Sequence[int], shape: Shape, takes_labels: bool, name: str, axis: int = -1
) -> tuple[int, ...]:
    """The shape that targets must have for predictions of `shape`; theirs, but for a last extent of
    1 that is left out or one too many. Nothing else is broadcast: a target (N,) against predictions
    (N, 1) would silently become (N, N)."""
    inner: tuple[Any, ...] = tuple(shape[1:])
    if takes_labels:
        expect_axis(name, shape, axis)
        inner = tuple(e for d, e in enumerate(shape) if d and d != axis % len(shape))
    y_shape = tuple(y_shape)
    if y_shape[1:] == inner:
        return y_shape
    if (*y_shape[1:], 1) == inner or y_shape[1:] == (*inner, 1):
        return (*y_shape[:1], *inner)
    kind = "labels" if takes_labels else "values"
    hint = (
        " One-hot rows are y.argmax(-1)."
        if takes_labels and y_shape[1:] == tuple(shape[1:])
        else ""
    )
    raise ShapeError(
        f"{name}: y must hold {kind} of shape {shape_text((None, *inner))} for predictions of "
        f"{shape_text((None, *shape[1:]))}; "
        f"got {shape_text(y_shape)}.{hint}"
    )


def aligned(y: Tensor, shape: Shape, takes_labels: bool, name: str, axis: int = -1) -> Tensor:
    """The same for a tensor."""
    wanted = aligned_shape(y.shape, shape, takes_labels, name, axis)
    expect_rows(wanted, shape, name)
    return y if wanted == y.shape else ops.reshape(y, wanted)


def expect_rows(y_shape: Sequence[int], shape: Shape, name: str) -> None:
    """Raise unless targets have as many rows as predictions."""
    if tuple(y_shape[:1]) != tuple(shape[:1]):
        raise ShapeError(
            f"{name}: y has {y_shape[0] if y_shape else 0} rows, the predictions have "
            f"{shape[0] if shape else 0}"
        )


def row_weights(sample_weight: Any, rows: int, dtype: Any, owner: str = "") -> Any:
    """Weights of rows as (N,), an array or, of a tensor, a tensor: given so, as (N, 1) or as one
    number for all. Raises where an array's are not finite."""
    given = checked_weights(sample_weight, dtype, owner)
    if given.shape not in ((), (rows,), (rows, 1)):
        raise ShapeError(
            f"{owner}sample_weight must have shape {shape_text((rows,))}, one for each row, or "
            f"{shape_text((rows, 1))}, or be one "
            f"number for all; got {shape_text(given.shape)}"
        )
    if isinstance(given, Tensor):
        return ops.reshape(given, (rows,)) if given.ndim else given * np.ones(rows, dtype)
    return np.ascontiguousarray(np.broadcast_to(given.reshape(-1), (rows,)))


def value_weights(sample_weight: Any, shape: tuple[int, ...], dtype: Any, owner: str) -> Any:
    """Weights as what is multiplied with a loss's values of this shape: one number; one for each
    row, (N,), or for each part of one, as each time step's (N, T); or (N, 1) and the like, which
    broadcast. An array or, of a tensor, a tensor."""
    given = checked_weights(sample_weight, dtype, owner)
    if not shape or not given.shape:
        return given
    of = weights_shape(given.shape, shape, owner)
    of += (1,) * (len(shape) - len(of))
    if of == given.shape:
        return given
    return ops.reshape(given, of) if isinstance(given, Tensor) else given.reshape(of)


def weights_shape(of: tuple[int, ...], shape: tuple[int, ...], owner: str) -> tuple[int, ...]:
    """The shape that weights get beside values of this shape: theirs, but for a last extent of 1
    too many. It must begin as the values' does, 1 standing for any extent."""
    wanted = of[:-1] if len(of) == len(shape) + 1 and of[-1] == 1 else of
    fits = [a in (1, b) for a, b in zip(wanted, shape, strict=False)]
    if len(wanted) > len(shape) or not all(fits):
        rows, each = shape[:1], f", or {shape_text(shape)}, one for each value"
        raise ShapeError(
            f"{owner}sample_weight must have shape {shape_text(rows)}, one for each row, or "
            f"{shape_text((*rows, 1))}{each * (len(shape) > 1)}, or be one number for all; got "
            f"{shape_text(of)}"
        )
    return wanted


def checked_weights(sample_weight: Any, dtype: Any, owner: str) -> Any:
    """Weights as they are given, of an element type: an array, which is finite, or a tensor."""
    if isinstance(sample_weight, Tensor):
        return sample_weight if sample_weight.dtype == dtype else sample_weight.astype(dtype)
    given = as_array(sample_weight, dtype, f"{owner}sample_weight")
    if not np.isfinite(given).all():
        raise not_finite(given, f"{owner}sample_weight", sample_weight)
    return given
