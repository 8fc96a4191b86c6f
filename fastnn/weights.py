"""Weights in files, in the safetensors format: a length, a JSON table, the numbers. Reading one
never runs code.

https://huggingface.co/docs/safetensors: 8 bytes with the length of the table (little-endian), the
table {name: {"dtype", "shape", "data_offsets": [begin, end]}}, then the numbers of all, row by row,
with no gaps.
"""

import json
import os
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fastnn.devices.arena import turn_of
from fastnn.dtypes import CODES
from fastnn.errors import ShapeError, nearest, shape_text
from fastnn.layers.base import Layer
from fastnn.registry import snake_case
from fastnn.variable import Variable

DTYPES = {code: dtype.newbyteorder("<") for dtype, code in CODES.items()}
MAX_TABLE_BYTES = 100_000_000  # the format's own bound


def named(layer: Layer, prefix: str = "") -> dict[str, Variable]:
    """The weights of a layer and of those within it, by names that are the same in every process:
    dense/kernel, dense_1/kernel. Layers that were given no name are counted by kind."""
    found: dict[str, Variable] = {}
    for variable in layer._own_weights:
        found[_free(prefix + variable.name, found)] = variable
    counts: dict[str, int] = {}
    for inner in layer.sublayers():
        base = inner.name if inner.given_name else snake_case(type(inner).__name__)
        counts[base] = counts.get(base, -1) + 1
        name = base if counts[base] == 0 else f"{base}_{counts[base]}"
        found.update(named(inner, f"{prefix}{name}/"))
    return found


def _free(name, taken):
    number = 1
    while name in taken:
        name, number = f"{name}_{number}", number + 1
    return name


def save(path: Any, variables: dict[str, Variable]) -> None:
    """Write variables to a file: aside first, then renamed, so that one that was there is whole
    until the new one is."""
    path = _checked(path, "save_weights")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"save_weights: there is no folder {path.parent}")
    table: dict[str, Any] = {}
    end = 0
    for name, variable in variables.items():
        begin, end = end, end + variable.buffer.nbytes
        table[name] = {
            "dtype": CODES[variable.dtype],
            "shape": list(variable.shape),
            "data_offsets": [begin, end],
        }
    head = json.dumps(table, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    arrays = turn_of([v.buffer for v in variables.values()]).run(
        lambda: [v.numpy() for v in variables.values()]
    )
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    try:
        with open(aside, "wb") as file:
            file.write(len(head).to_bytes(8, "little") + head)
            for array in arrays:
                file.write(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def load(path: Any, variables: dict[str, Variable]) -> None:
    """Put in the weights of a file. All are checked before the first is changed."""
    path = _checked(path, "load_weights")
    arrays = read(path)
    missing, unknown = (
        [n for n in variables if n not in arrays],
        [n for n in arrays if n not in variables],
    )
    if missing or unknown:
        what = (
            f"lacks {missing[0]!r}" if missing else f"holds {unknown[0]!r}, which the model has not"
        )
        close = nearest(missing[0], arrays) if missing else nearest(unknown[0], variables)
        raise ValueError(f"load_weights: {path} is of another model: it {what}; {close}")
    for name, variable in variables.items():
        if arrays[name].shape != variable.shape:
            raise ShapeError(
                f"load_weights: {name!r} has shape {shape_text(variable.shape)}; {path} holds "
                f"{shape_text(arrays[name].shape)}"
            )

    def put_in():
        for name, variable in variables.items():
            variable.assign(arrays[name])

    turn_of([v.buffer for v in variables.values()]).run(put_in)


def read(path: Any) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, by name."""
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
    return arrays


def _checked(path, what):
    path = Path(path)
    if path.suffix.lower() in (".h5", ".hdf5", ".keras", ".pt", ".pth", ".npz"):
        raise ValueError(
            f"{what}: fastnn's weights are safetensors files; got {path.name!r}. Call it "
            f"{path.stem}.safetensors."
        )
    return path
