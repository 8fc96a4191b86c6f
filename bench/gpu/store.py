"""What `prepare` writes and `run` reads: one file of arrays, and one of what is to be done with
them. NumPy alone is needed."""

import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

ARRAYS, MANIFEST, KERNELS = "arrays.bin", "manifest.json", "kernels"
LINE = 64  # bytes, of which arrays begin at multiples


class Writer:
    """Arrays, one after another; of those that are alike, one."""

    def __init__(self, folder: Path):
        self.file = (folder / ARRAYS).open("wb")
        self.top = 0
        self.known: dict[bytes, int] = {}

    def add(self, array: np.ndarray) -> int:
        """Where it begins."""
        data = array.tobytes()
        if data not in self.known:
            self.known[data] = self.top
            self.file.write(data + bytes(-len(data) % LINE))
            self.top += len(data) + -len(data) % LINE
        return self.known[data]

    def close(self) -> None:
        self.file.close()


class Prepared:
    """A folder that `prepare` wrote."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.arrays = np.fromfile(folder / ARRAYS, np.uint8)
        self.manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())

    def array(self, start: int, shape: list[int], dtype: str) -> np.ndarray:
        """The array that begins there."""
        kind = np.dtype(dtype)
        return self.arrays[start : start + prod(shape) * kind.itemsize].view(kind).reshape(shape)

    def kernels(self) -> list[str]:
        """The names of all."""
        return sorted([file.stem for file in (self.folder / KERNELS).iterdir()])

    def ptx(self, name: str) -> bytes:
        """A kernel's."""
        return (self.folder / KERNELS / f"{name}.ptx").read_bytes()
