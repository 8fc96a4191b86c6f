"""The element types of tensors: what is known of each, and which one several give together."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from fastnn.errors import DTypeError, nearest
from fastnn.kernels import declare

SAFETENSORS = {
    "f4": "F32", "f8": "F64", "i8": "I64", "i4": "I32", "u1": "U8", "b1": "BOOL", "u4": "U32",
}  # fmt: skip


class ElementType(NamedTuple):
    dtype: np.dtype
    letter: str  # in kernels' declarations
    accumulation: np.dtype  # in which its sums are made
    safetensors: str  # in files of weights

    @property
    def name(self) -> str:
        return self.dtype.name

    @property
    def nbytes(self) -> int:
        return self.dtype.itemsize


TABLE = [
    ElementType(np.dtype(letter), letter, np.dtype(facts.accumulation), SAFETENSORS[letter])
    for letter, facts in declare.ELEMENTS.items()
]
LETTERS = {t.dtype: t.letter for t in TABLE}
CODES = {t.dtype: t.safetensors for t in TABLE}

FLOATS = tuple(map(np.dtype, declare.FLOATS))
NUMBERS = tuple(map(np.dtype, declare.NUMBERS))
ANY = tuple(map(np.dtype, declare.ANY))  # what users' tensors hold
FLOAT32, FLOAT64 = FLOATS
INTEGERS = NUMBERS[len(FLOATS) :]
INT64, INT32, UINT8, BOOL = map(np.dtype, ("int64", "int32", "uint8", "bool"))
SUMMED = (*FLOATS, INT64, INT32)  # what sums and products are made of; of smaller integers, int32

# Of several types the last one here. Python's numbers are weak: an int gives way to every type of
# integers, a float to both of floats. Integers become floats beside a float, as in Keras and JAX:
# int64 and float32 give float32.
PROMOTION = {t: n for n, t in enumerate((BOOL, int, UINT8, INT32, INT64, float, *FLOATS))}


@lru_cache(maxsize=1024)
def result_type(*types: Any, floatx: str = "float32") -> np.dtype:
    """The element type that several give together, of tensors' types and Python's bool, int and
    float: Keras's `result_type`, but for float32 and float64, which do not mix. `floatx` is what
    Python's floats are where nothing else is a float.

    >>> result_type(np.dtype("int64"), float)
    dtype('float32')
    """
    if mixes_floats(types):
        raise DTypeError(
            "float32 and float64 give no common type: convert one of them, as in "
            "x.astype('float32')"
        )
    known = [BOOL if t is bool else t for t in types]
    found: Any = max(known, key=PROMOTION.__getitem__, default=float)
    if found is int:
        return INT64 if floatx == "float64" else INT32
    return np.dtype(floatx) if found is float else found


def mixes_floats(types: Iterable[Any]) -> bool:
    """Whether both types of floats are among `types`."""
    return set(types).issuperset(FLOATS)  # `float in FLOATS`, for NumPy takes them for equal


def exact_type(types: Iterable[np.dtype]) -> np.dtype:
    """The type that has all numbers of several: for comparisons. A large whole number is no
    float32."""
    return np.result_type(*types)


def names_of(types: Iterable[np.dtype]) -> str:
    """The types as messages list them."""
    *others, last = map(str, types)
    return f"{', '.join(others)} or {last}" if others else last


def expected(value: Any, owner: str, among: tuple[np.dtype, ...] = ANY) -> np.dtype:
    """`value`, a name or a type of NumPy's, as an element type that is `among` these."""
    try:
        dtype = np.dtype(value)
    except TypeError:
        hint = nearest(value, map(str, among))
        raise DTypeError(f"{owner}: unknown dtype {value!r}; {hint}") from None
    if dtype not in among:
        raise DTypeError(f"{owner}: dtype must be {names_of(among)}; got {dtype}")
    return dtype
