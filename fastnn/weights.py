"""Weights and their names, in files and out of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import files
from fastnn.devices.arena import turn_of
from fastnn.errors import ShapeError, nearest, shape_text
from fastnn.layers.base import Layer
from fastnn.registry import snake_case
from fastnn.variable import Variable

MODEL, WEIGHTS = "fastnn", "weights/"  # in files of whole models: a text, and what names begin with
OTHER_FORMATS = (".h5", ".hdf5", ".keras", ".pt", ".pth", ".npz")


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
    """Write variables to a safetensors file: see `fastnn.files`."""
    path = checked(path, "save_weights", ".safetensors")
    files.write(path, values(variables))


def values(variables: Mapping[str, Variable]) -> dict[str, np.ndarray]:
    """What variables hold, as they are between two steps."""
    arrays = turn_of([v.buffer for v in variables.values()]).run(
        lambda: [v.numpy() for v in variables.values()]
    )
    return dict(zip(variables, arrays, strict=True))


def load(path: Any, variables: dict[str, Variable]) -> None:
    """Put in the weights of a file. All are checked before the first is changed."""
    path = checked(path, "load_weights", ".safetensors")
    put(path, of_model(files.read(path)), variables)


def of_model(contents: files.Contents) -> dict[str, np.ndarray]:
    """The weights among the arrays of a file: of `save_weights` all, of `save` those called so."""
    if MODEL not in contents.metadata:
        return contents.arrays
    return {
        name.removeprefix(WEIGHTS): array
        for name, array in contents.arrays.items()
        if name.startswith(WEIGHTS)
    }


def put(path: Path, arrays: Mapping[str, np.ndarray], variables: Mapping[str, Variable]) -> None:
    """Assign arrays to the variables of the same names. All are checked before the first is
    changed. path: theirs, for the error."""
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


def checked(path: Any, what: str, suffix: str) -> Path:
    """A path as one, unless its name says that it is a file of another format; in saving, of a
    folder that is there."""
    try:
        path = Path(path)
    except TypeError:
        raise TypeError(f"{what}: expected the path of a file; got {path!r}") from None
    if not path.name:
        raise ValueError(f"{what}: expected the path of a file; got {str(path)!r}, a folder")
    if path.suffix.lower() in OTHER_FORMATS:
        kind = "weights are safetensors" if suffix == ".safetensors" else "models are .fastnn"
        raise ValueError(
            f"{what}: fastnn's {kind} files; got {path.name!r}. Call it "
            f"{path.name.split('.')[0]}{suffix}."
        )
    if path.is_dir():
        raise ValueError(f"{what}: expected the path of a file; got {str(path)!r}, a folder")
    if what.startswith("save"):
        if not path.parent.is_dir():
            raise FileNotFoundError(f"{what}: there is no folder {path.parent}")
    elif not path.exists():
        raise FileNotFoundError(f"{what}: there is no file {path}")
    return path
