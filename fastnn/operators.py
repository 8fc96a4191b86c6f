"""Python's operators of tensors, and of what stands for a tensor while a model is built."""

from typing import Any

import numpy as np

from fastnn import dtypes, ops
from fastnn.errors import DTypeError
from fastnn.tape.instruction import NUMBERS


def _reduced(op: Any, x: Any, axis: Any, keepdims: bool, numpys: dict[str, Any]) -> Any:
    """numpys: what NumPy's function of the same name passes on, as in numpy.mean(tensor)."""
    for argument, value in numpys.items():
        if argument not in ("dtype", "out", "ddof") or value not in (None, 0):
            raise TypeError(
                f"{op.name}: unknown argument {argument}={value!r}; it takes axis and keepdims. "
                "Convert before by x.astype, or take x.numpy()."
            )
    return op(x, axis=axis, keepdims=keepdims)


class Operators:
    """`+ - * / // % ** @`, `abs`, `round`, `[...]` and comparisons, element by element as NumPy has
    them; `& | ^ ~` of booleans; and its methods that reduce."""

    __slots__ = ()
    __array_priority__ = 1000.0  # so that array + tensor asks the tensor

    def __add__(self, other):
        return ops.add(self, other)

    def __radd__(self, other):
        return ops.add(other, self)

    def __sub__(self, other):
        return ops.subtract(self, other)

    def __rsub__(self, other):
        return ops.subtract(other, self)

    def __mul__(self, other):
        return ops.multiply(self, other)

    def __rmul__(self, other):
        return ops.multiply(other, self)

    def __truediv__(self, other):
        return ops.divide(self, other)

    def __rtruediv__(self, other):
        return ops.divide(other, self)

    def __floordiv__(self, other):
        return ops.floor_divide(self, other)

    def __rfloordiv__(self, other):
        return ops.floor_divide(other, self)

    def __mod__(self, other):
        return ops.mod(self, other)

    def __rmod__(self, other):
        return ops.mod(other, self)

    def __and__(self, other):
        return ops.logical_and(*_booleans("&", self, other))

    __rand__ = __and__

    def __or__(self, other):
        return ops.logical_or(*_booleans("|", self, other))

    __ror__ = __or__

    def __xor__(self, other):
        return ops.logical_xor(*_booleans("^", self, other))

    __rxor__ = __xor__

    def __invert__(self):
        return ops.logical_not(*_booleans("~", self))

    def __round__(self, digits=None):
        return ops.round(self, decimals=0 if digits is None else digits)

    def __neg__(self):
        return ops.negative(self)

    def __abs__(self):
        return ops.absolute(self)

    def __pow__(self, other):
        if isinstance(other, int | float | np.number) and other in POWERS:
            return POWERS[other](self)
        return ops.power(self, other)

    def __rpow__(self, other):
        return ops.power(other, self)

    def __getitem__(self, key):
        from fastnn.indexing import getitem

        return getitem(self, key)

    def __setitem__(self, key, value):
        raise TypeError(
            "x[...] = y: a tensor does not change. Make another one: ops.where(condition, y, x), "
            "ops.slice_update(x, start_indices, y), ops.scatter_update(x, indices, y); a variable "
            "is given new values by assign."
        )

    # A tensor is what it is, whatever it is equal to: `==` compares elements.
    __hash__ = object.__hash__

    def __eq__(self: Any, other: Any) -> Any:
        return ops.equal(self, other) if _is_array(other) else NotImplemented

    def __ne__(self: Any, other: Any) -> Any:
        return ops.not_equal(self, other) if _is_array(other) else NotImplemented

    def __lt__(self, other):
        return ops.less(self, other) if _is_array(other) else NotImplemented

    def __le__(self, other):
        return ops.less_equal(self, other) if _is_array(other) else NotImplemented

    def __gt__(self, other):
        return ops.greater(self, other) if _is_array(other) else NotImplemented

    def __ge__(self, other):
        return ops.greater_equal(self, other) if _is_array(other) else NotImplemented

    def sum(self: Any, axis: Any = None, keepdims: bool = False, **numpys: Any) -> Any:
        """`ops.sum`."""
        return _reduced(ops.sum, self, axis, keepdims, numpys)

    def mean(self: Any, axis: Any = None, keepdims: bool = False, **numpys: Any) -> Any:
        """`ops.mean`."""
        return _reduced(ops.mean, self, axis, keepdims, numpys)

    def var(self: Any, axis: Any = None, keepdims: bool = False, **numpys: Any) -> Any:
        """`ops.var`."""
        return _reduced(ops.var, self, axis, keepdims, numpys)

    def std(self: Any, axis: Any = None, keepdims: bool = False, **numpys: Any) -> Any:
        """`ops.std`."""
        return _reduced(ops.std, self, axis, keepdims, numpys)

    def prod(self: Any, axis: Any = None, keepdims: bool = False, **numpys: Any) -> Any:
        """`ops.prod`."""
        return _reduced(ops.prod, self, axis, keepdims, numpys)

    def max(self: Any, axis: Any = None, keepdims: bool = False, **numpys: Any) -> Any:
        """`ops.max`."""
        return _reduced(ops.max, self, axis, keepdims, numpys)

    def min(self: Any, axis: Any = None, keepdims: bool = False, **numpys: Any) -> Any:
        """`ops.min`."""
        return _reduced(ops.min, self, axis, keepdims, numpys)

    def argmax(self: Any, axis: Any = None, keepdims: bool = False, **numpys: Any) -> Any:
        """`ops.argmax`."""
        return _reduced(ops.argmax, self, axis, keepdims, numpys)

    def argmin(self: Any, axis: Any = None, keepdims: bool = False, **numpys: Any) -> Any:
        """`ops.argmin`."""
        return _reduced(ops.argmin, self, axis, keepdims, numpys)

    def any(self: Any, axis: Any = None, keepdims: bool = False, **numpys: Any) -> Any:
        """`ops.any`."""
        return _reduced(ops.any, self, axis, keepdims, numpys)

    def all(self: Any, axis: Any = None, keepdims: bool = False, **numpys: Any) -> Any:
        """`ops.all`."""
        return _reduced(ops.all, self, axis, keepdims, numpys)

    def cumsum(self: Any, axis: Any = None) -> Any:
        """`ops.cumsum`."""
        return ops.cumsum(self, axis=axis)

    def cumprod(self: Any, axis: Any = None) -> Any:
        """`ops.cumprod`."""
        return ops.cumprod(self, axis=axis)

    def __matmul__(self, other):
        return ops.matmul(self, other)

    def __rmatmul__(self, other):
        return ops.matmul(other, self)


# Powers that take fewer instructions than power and, but for the square root, one rounding for each
# product.
POWERS = {
    1: lambda x: x * 1,
    2: lambda x: ops.square(x),
    3: lambda x: ops.square(x) * x,
    4: lambda x: ops.square(ops.square(x)),
    -1: lambda x: 1.0 / x,
    -2: lambda x: ops.square(1.0 / x),  # the square first might over- or underflow
    0.5: lambda x: ops.sqrt(x),
}


def _booleans(operator, *values):
    """Operands of `& | ^ ~`, which are for booleans: of integers they would be operations of
    bits."""
    for value in values:
        dtype = value.dtype if isinstance(value, Operators) else np.asarray(value).dtype
        if dtype != dtypes.BOOL:
            raise DTypeError(
                f"{operator}: expected booleans; got {dtype}. Say what is meant: x != 0, or "
                "ops.logical_and and its like, which take 0 for False."
            )
    return values


# a tuple, for a union is made anew by every call
ARRAYS = (Operators, *NUMBERS, list, tuple, np.ndarray, np.generic)


def _is_array(value):
    """Whether elements can be compared with it. What else there is, None and strings among it, is
    equal to no tensor."""
    return isinstance(value, ARRAYS) or hasattr(value, "__array__")
