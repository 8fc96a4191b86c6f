"""Tensors made of nothing but shapes and numbers, or of arrays; what is known of a tensor."""

from math import prod
from typing import Any

import numpy as np

from fastnn import dtypes
from fastnn.checks import whole_number
from fastnn.dtypes import ANY, FLOATS, INT32, INT64

from .arithmetic import cast as cast_op
from .arithmetic import maximum, minimum
from .composite import composite
from .functions import as_tensor, public, values_of
from .movement import broadcast_to
from .movement import zeros as zeros_op
from .record import Case, Op, expect_shape_attribute

Shape = Any
INT32_MIN, INT32_MAX = np.iinfo(INT32).min, np.iinfo(INT32).max


def as_type(x: Any, dtype: Any) -> Any:
    """x as another element type; itself, if it has it."""
    return x if x.dtype == dtype else cast_op(x, dtype=dtype)


def _tensor(array, dtype=None):
    from fastnn.tensor import tensor

    return tensor(array, dtype)


def _type(name, dtype, otherwise=None):
    """The element type of a result: the process's for None, unless something else is said."""
    if dtype is not None:
        return dtypes.expected(dtype, name)
    if otherwise is None or otherwise.kind == "f":
        from fastnn import config

        return np.dtype(config.floatx())
    return np.dtype("int32") if otherwise.kind in "iu" else otherwise


# ---- of shapes


@public()
def zeros(shape: Shape, dtype: Any = None) -> Any:
    """Zeros. dtype: None is config.floatx()."""
    shape = expect_shape_attribute("zeros", shape)
    return Op.run(zeros_op, (), {"shape": shape, "dtype": _type("zeros", dtype)})


@public()
def empty(shape: Shape, dtype: Any = None) -> Any:
    """The same as zeros: memory is never shown as it was found."""
    return zeros(shape, dtype)


@public()
def ones(shape: Shape, dtype: Any = None) -> Any:
    """Ones. dtype: None is config.floatx()."""
    return full(shape, 1, dtype)


@public()
def full(shape: Shape, fill_value: Any, dtype: Any = None) -> Any:
    """fill_value, a number or what broadcasts to the shape. dtype: None is config.floatx().

    >>> from fastnn import ops
    >>> print(ops.full((2, 2), 0.5))
    [[0.5 0.5]
     [0.5 0.5]]
    """
    return _filled(expect_shape_attribute("full", shape), fill_value, _type("full", dtype))


def _filled(shape, value, dtype):
    if hasattr(value, "requires_gradient"):
        return broadcast_to(as_type(value, dtype), shape)
    value = np.asarray(value)
    if value.dtype.kind not in "biuf":
        raise TypeError(f"full: fill_value must be numbers; got {value!r}")
    if value.dtype.kind == "f" and np.dtype(dtype).kind in "iu" and not np.isfinite(value).all():
        raise ValueError(f"full: fill_value {value} is no {dtype}. Give numbers, or another dtype.")
    return broadcast_to(value.astype(dtype), shape)


@composite(reference=np.zeros_like, cases=[Case(((2, 3),)), Case(((),))], dtypes=ANY, constant=(0,))
def zeros_like(x: Any, *, dtype: Any = None) -> Any:
    """Zeros of x's shape and, unless another is given, its element type."""
    return zeros(x.shape, dtype or x.dtype)


@composite(reference=np.zeros_like, cases=[Case(((2, 3),))], dtypes=ANY, constant=(0,))
def empty_like(x: Any, *, dtype: Any = None) -> Any:
    """The same as zeros_like."""
    return zeros(x.shape, dtype or x.dtype)


@composite(
    reference=np.ones_like, cases=[Case(((2, 3),)), Case(((0, 2),))], dtypes=ANY, constant=(0,)
)
def ones_like(x: Any, *, dtype: Any = None) -> Any:
    """Ones of x's shape and, unless another is given, its element type."""
    return full(x.shape, 1, dtype or x.dtype)


@composite(
    reference=lambda x, fill_value, dtype=None: np.full_like(np.real(x), fill_value, dtype),
    cases=[Case(((2, 3),), {"fill_value": 2}), Case(((2, 3),), {"fill_value": [1, 2, 3]})],
    dtypes=ANY,
    constant=(0,),
)
def full_like(x: Any, *, fill_value: Any, dtype: Any = None) -> Any:
    """fill_value, a number or what broadcasts to it, of x's shape and, unless another is given, its
    element type."""
    return full(x.shape, fill_value, dtype or x.dtype)


# ---- rows and matrices


@public()
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Numbers from start on, in steps, before stop; one number alone is the stop, from 0 on. dtype:
    None is int32 of integers, else config.floatx().

    >>> from fastnn import ops
    >>> print(ops.arange(3), ops.arange(1, 2, 0.25))
    [0 1 2] [1.   1.25 1.5  1.75]
    """
    given: list[Any] = [_number("arange", start)]
    given += [None if n is None else _number("arange", n) for n in (stop, step)]
    if given[1] is None:
        given[:2] = 0, given[0]
    array = np.arange(*[1 if n is None else n for n in given])
    return _tensor(array, _type("arange", dtype, array.dtype))


def _number(name, value):
    value = np.asarray(value)
    if value.size != 1 or value.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers; got {value!r}")
    return value.item()


@public()
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` numbers from start to stop, one as far from the next as any other; without the last, if
    not `endpoint`. start, stop: numbers or arrays, for each of which there is a row along `axis`.
    dtype: None is config.floatx(). retstep: return (numbers, step).

    >>> from fastnn import ops
    >>> print(ops.linspace(0, 1, 5))
    [0.   0.25 0.5  0.75 1.  ]
    """
    start, stop, num = np.asarray(start), np.asarray(stop), whole_number("linspace: num", num, 0)
    row, step = np.linspace(start, stop, num, endpoint, retstep=True, axis=axis)
    dtype = _type("linspace", dtype)
    found = _tensor(row, dtype)
    return (found, _tensor(step, dtype if dtype in FLOATS else None)) if retstep else found


@public()
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """base to the powers that `linspace` gives."""
    row = np.logspace(np.asarray(start), np.asarray(stop), num, endpoint, base, axis=axis)
    return _tensor(row, _type("logspace", dtype))


@public()
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """`num` numbers from start to stop, each the same multiple of the one before."""
    row = np.geomspace(np.asarray(start), np.asarray(stop), num, endpoint, axis=axis)
    return _tensor(row, _type("geomspace", dtype))


@public()
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """A matrix (N, M), square for None, with ones on diagonal number k and zeros elsewhere."""
    return _tensor(
        np.eye(_count("eye", N), M if M is None else _count("eye", M), k), _type("eye", dtype)
    )


@public()
def identity(n: int, dtype: Any = None) -> Any:
    """A square matrix with ones on its diagonal and zeros elsewhere."""
    return eye(n, dtype=dtype)


@public()
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """A matrix (N, M), square for None, with ones up to diagonal number k and zeros above."""
    return _tensor(
        np.tri(_count("tri", N), M if M is None else _count("tri", M), k), _type("tri", dtype)
    )


def _count(name, value):
    (count,) = expect_shape_attribute(name, value)
    return count


# ---- of arrays, and back


@public()
def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Any:
    """A tensor of an array, a number or nested lists, copied. A tensor stays what it is, or is cast
    to dtype. dtype: None keeps an array's; of Python's floats it is config.floatx(), of its
    integers int32, or int64 where they are larger. Sparse and ragged tensors there are none.

    >>> from fastnn import ops
    >>> ops.convert_to_tensor([1, 2]).dtype, ops.convert_to_tensor([0.5, 2]).dtype
    (dtype('int32'), dtype('float32'))
    """
    if sparse or ragged:
        raise NotImplementedError("convert_to_tensor: there are no sparse or ragged tensors")
    if not is_tensor(x):
        found = _tensor(x, dtype)
        if dtype is None and found.dtype == INT64 and not hasattr(x, "dtype"):
            values = found.numpy()
            fits = not values.size or (values.min() >= INT32_MIN and values.max() <= INT32_MAX)
            found = _tensor(values, INT32 if fits else INT64)
        return found
    return x if dtype is None else as_type(x, dtypes.expected(dtype, "convert_to_tensor"))


@public()
def array(x: Any, dtype: Any = None) -> Any:
    """The same as convert_to_tensor."""
    return convert_to_tensor(x, dtype)


@public()
def convert_to_numpy(x: Any) -> Any:
    """The values as a NumPy array. While a step is recorded there are none yet, and it raises."""
    return np.asarray(x)


@public()
def is_tensor(x: Any) -> bool:
    """Whether x is a tensor of fastnn."""
    from fastnn.tensor import Tensor

    return isinstance(x, Tensor)


@public()
def shape(x: Any) -> tuple[int, ...]:
    """The shape, a tuple of integers: all are known, also while a step is recorded."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


@public()
def ndim(x: Any) -> int:
    """The number of dimensions."""
    return len(shape(x))


@public()
def size(x: Any) -> int:
    """The number of elements."""
    return prod(shape(x))


@public()
def dtype(x: Any) -> str:
    """The name of the element type."""
    return str(as_tensor(x).dtype)


@public()
def cast(x: Any, dtype: Any) -> Any:
    """x as another element type, with a gradient where both are floats: see `Tensor.astype`.

    >>> from fastnn import ops
    >>> print(ops.cast([0.5, -1.5], "int32"))
    [ 0 -1]
    """
    return as_type(as_tensor(x), dtypes.expected(dtype, "cast"))


@public()
def saturate_cast(x: Any, dtype: Any) -> Any:
    """The same as cast, but what dtype does not reach becomes its nearest number.

    >>> from fastnn import ops
    >>> print(ops.saturate_cast([-1.0, 300.0], "uint8"))
    [  0 255]
    """
    x, to = as_tensor(x), dtypes.expected(dtype, "saturate_cast")
    if to.kind in "iu" and x.dtype.kind != "b":
        limits = np.iinfo(to)
        low, high = limits.min, limits.max
        if x.dtype.kind == "f":
            nearest = x.dtype.type(high)  # which may be beyond it
            high = nearest if int(nearest) <= high else np.nextafter(nearest, x.dtype.type(0))
        else:
            own = np.iinfo(x.dtype)
            low, high = max(low, own.min), min(high, own.max)
        x = minimum(maximum(x, np.asarray(low, x.dtype)), np.asarray(high, x.dtype))
    return as_type(x, to)


@public()
def nonzero(x: Any) -> tuple:
    """Where x is not 0: the indices along each dimension, a row int32 each. How many there are
    depends on the values, so a step that is recorded cannot know it: it raises, and names `where`
    with three arguments.

    >>> from fastnn import ops
    >>> print(*ops.nonzero([0, 3, 0, 4]))
    [1 3]
    """
    values = values_of(
        x,
        "nonzero, where(condition): how many elements are True depends on their values, but a "
        "recorded step has fixed shapes. Use where(condition, x1, x2), or call it before the step "
        "and pass the indices.",
    )
    return tuple([_tensor(index.astype(np.int32)) for index in np.nonzero(values)])
