"""Files of arrays, in the safetensors format: a length, a JSON table, the numbers. Reading one
never runs code.

https://huggingface.co/docs/safetensors: 8 bytes with the length of the table (little-endian), the
table {name: {"dtype", "shape", "data_offsets": [begin, end]}}, then the numbers of all, row by row,
with no gaps. What belongs to no array stands in the table as "__metadata__", by names of its own.
"""

import json
import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastnn.dtypes import CODES

DTYPES = {code: dtype.newbyteorder("<") for dtype, code in CODES.items()}
MAX_TABLE_BYTES = 100_000_000  # the format's own bound


class Contents(NamedTuple):
    """The arrays of a file, by name, and the texts that stand beside them."""

    arrays: dict[str, np.ndarray]
    metadata: dict[str, str]


def write(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] = {}) -> None:
    """Write arrays and texts to a file: aside first, then renamed, so that one that was there is
    whole until the new one is."""
    table: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        table[name] = {
            "dtype": CODES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    head = json.dumps(table, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    try:
        with open(aside, "wb") as file:
            file.write(len(head).to_bytes(8, "little") + head)
            for array in arrays.values():
                file.write(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder):
    """The rename lasts through a loss of power too, where a folder can be synced."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems have no such thing
        pass
    finally:
        os.close(descriptor)


def read(path: Any) -> Contents:
    """What is in a safetensors file."""
    try:
        return _parsed(Path(path).read_bytes())
    except ValueError as error:
        why = str(error)
    except (KeyError, TypeError, AttributeError):
        why = "its table is not one of safetensors"
    raise ValueError(f"{path} is not a whole safetensors file: {why}")


def _parsed(data):
    if len(data) < 8:
        raise ValueError(f"it has {len(data)} bytes")
    length = int.from_bytes(data[:8], "little")
    if length > min(len(data) - 8, MAX_TABLE_BYTES):
        raise ValueError(f"its table should have {length} bytes, and {len(data) - 8} follow")
    try:
        table = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        raise ValueError("its table is not JSON") from None
    numbers = memoryview(data)[8 + length :]
    arrays, place = {}, 0
    entries = [(name, entry) for name, entry in table.items() if name != "__metadata__"]
    for name, entry in sorted(entries, key=lambda item: item[1]["data_offsets"]):
        code, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        if code not in DTYPES:
            raise ValueError(f"{name!r} is of type {code!r}; fastnn reads {', '.join(DTYPES)}")
        if not all(type(e) is int and e >= 0 for e in (*shape, begin, end)):
            raise ValueError(f"{name!r} has shape {shape} at {begin} to {end}")
        if (
            begin != place
            or end - begin != prod(shape) * DTYPES[code].itemsize
            or end > len(numbers)
        ):
            raise ValueError(f"{name!r} does not lie where the table says")
        arrays[name] = np.frombuffer(numbers[begin:end], DTYPES[code]).reshape(shape)
        place = end
    if place != len(numbers):
        raise ValueError(f"{len(numbers) - place} bytes follow the last weight")
    texts = table.get("__metadata__") or {}
    return Contents(arrays, {str(name): str(text) for name, text in texts.items()})
