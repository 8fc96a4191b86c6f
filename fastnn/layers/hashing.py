"""Text for layers: arrays of strings, and hashes of them."""

from hashlib import blake2b
from typing import Any

import numpy as np

from fastnn import checks
from fastnn.errors import RecordingError
from fastnn.layers.base import Layer
from fastnn.layers.preprocessing import checked_mode, encoded
from fastnn.symbolic import is_symbolic
from fastnn.tape.record import context
from fastnn.tensor import tensor


def texts(values: Any, layer: Layer) -> np.ndarray:
    """An array of strings; bytes are taken for UTF-8."""
    array = np.asarray(values)
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8")
    if array.dtype.kind == "O" and array.size:
        found = [v.decode() if isinstance(v, bytes) else v for v in array.reshape(-1)]
        if all([isinstance(v, str) for v in found]):
            return np.array(found, str).reshape(array.shape)
    if array.dtype.kind != "U" and array.size:
        raise TypeError(
            f"{type(layer).__name__} {layer.name!r}: expected strings; got elements of type "
            f"{array.dtype}"
        )
    return array.astype(str)


def hashed(values: np.ndarray, bins: int, salt: Any = None) -> np.ndarray:
    """A bin for each text: BLAKE2b's first 64 bits, keyed by the salt, modulo bins."""
    different, places = np.unique(values.astype(str), return_inverse=True)
    key = b"" if salt is None else b"".join([int(s).to_bytes(8, "little") for s in salt])
    found = [blake2b(v.encode(), digest_size=8, key=key).digest() for v in different.tolist()]
    numbers = np.array([int.from_bytes(f, "little") % bins for f in found], np.int64)
    return numbers[places.reshape(values.shape)]


def salted(layer: str, salt: Any) -> Any:
    """None, or two whole numbers, of 64 bits each."""
    pair = [salt, salt] if isinstance(salt, int) else salt
    if pair is not None and not (
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and all([isinstance(s, int) and 0 <= s < 2**64 for s in pair])
    ):
        raise ValueError(
            f"{layer}: salt must be one or two whole numbers from 0 to 2^64 - 1; got {salt!r}"
        )
    return None if pair is None else list(pair)


def eager_only(layer: Layer, inputs: Any, what: str) -> None:
    """Refuse a symbolic input and a recorded step."""
    name = f"{type(layer).__name__} {layer.name!r}"
    if is_symbolic(inputs):
        raise TypeError(
            f"{name}: {what} is looked up before a model, not within it: tensors have no text. "
            "Call the layer on the arrays, and give the model its result."
        )
    if context.recorder is not None:
        raise RecordingError(
            f"{name}: {what} cannot be looked up while {context.recorder.name} is recorded: call "
            "the layer before, and give the step its result"
        )


class Hashing(Layer):
    """Texts or whole numbers as one of num_bins numbers, by a hash of their text: int64.

    mask_value: a value whose number is 0, which others then have not. salt: one or two whole
    numbers, for another hash. output_mode: "int", or "one_hot", "multi_hot", "count", as
    CategoryEncoding has them. Eager, as StringLookup is.

    The hash is BLAKE2b (Aumasson et al., "BLAKE2: simpler, smaller, fast as MD5", 2013), the same
    everywhere. Keras's are FarmHash64 and SipHash64, so its numbers are others: what was trained on
    them does not fit these.

    >>> import fastnn
    >>> layer = fastnn.layers.Hashing(3, mask_value="")
    >>> layer([["a"], [""], ["a"]]).numpy().tolist()
    [[1], [0], [1]]
    """

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        **base: Any,
    ):
        if base.get("dtype") in ("int32", "int64"):  # Keras's, of numbers: these are int64
            base["dtype"] = None
        super().__init__(**base)
        self.num_bins = checks.whole_number("Hashing: num_bins", num_bins, 1)
        checks.extents("Hashing: num_bins", num_bins)
        self.mask_value, self.salt = mask_value, salted("Hashing", salt)
        self.output_mode, self.sparse = checked_mode("Hashing", output_mode, sparse), False

    def __call__(self, inputs: Any, *others: Any, **named: Any) -> Any:
        eager_only(self, inputs, "what is hashed")
        given = np.asarray(inputs)
        if given.dtype.kind == "f" and np.isfinite(given).all():
            given = given.astype(np.int64)
        values = given if given.dtype.kind in "iu" else texts(given, self)
        is_masked = self.mask_value is not None and self.num_bins > 1
        numbers = hashed(values, self.num_bins - is_masked, self.salt) + int(is_masked)
        if is_masked:
            numbers = np.where(values == self.mask_value, 0, numbers)
        return encoded(tensor(numbers), self.output_mode, self.num_bins, self.dtype)
