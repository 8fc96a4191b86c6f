"""How far a training is, in a file, so that another process goes on with the same bits."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import files, random, weights
from fastnn.random import Generator
from fastnn.registry import parameters

from .models import described, put_optimizers, write

CALLBACKS = "callbacks/"
PLAIN = (bool, int, float, str, type(None))


def generators(model: Any) -> list[Generator]:
    """All that draw random numbers for a model: the process's, its own, those of its layers."""
    found = [random.default, model._drawing()]
    for layer in model._all_layers():
        found += [v for v in vars(layer).values() if isinstance(v, Generator)]
    return found


def save(path: Path, model: Any, epoch: int, callbacks: Sequence[Any]) -> None:
    """Write a model that stands at the beginning of an epoch: beside what `model.save` writes,
    history, random numbers and what the callbacks know."""
    arrays, known = {}, {}
    for key, callback in _by_name(callbacks).items():
        known[key], held = _state(callback)
        for name, values in held.items():
            for i, array in enumerate(values):
                arrays[f"{CALLBACKS}{key}/{name}/{i}"] = array
    training = {
        "epoch": epoch,
        "history": model.history.history,
        "generators": [g.position() for g in generators(model)],
        "callbacks": known,
    }
    write(model, path, others=arrays, training=training)


def restore(path: Path, model: Any, callbacks: Sequence[Any]) -> int:
    """Go on from such a file, and give the number of the next epoch. Raises where it is damaged or
    of another training."""
    contents = files.read(path)
    about = described(path, contents)
    training = about["training"]
    if training is None:
        raise ValueError(f"{path} is a saved model, no checkpoint of a training")
    own = generators(model)
    if len(own) != len(training["generators"]):
        raise ValueError(
            f"{path} is of another training: it has {len(training['generators'])} generators of "
            f"random numbers, and this one {len(own)}"
        )
    weights.put(path, weights.of_model(contents), model._named_weights())
    put_optimizers(path, model, contents)
    for generator, position in zip(own, training["generators"], strict=True):
        generator.go_to(position)
    history = model.history
    history.history = {name: list(values) for name, values in training["history"].items()}
    history.epoch = list(range(training["epoch"]))
    for key, callback in _by_name(callbacks).items():
        if key in training["callbacks"]:  # one that is new begins anew
            _put_state(callback, training["callbacks"][key], contents.arrays, f"{CALLBACKS}{key}/")
    return int(training["epoch"])


def _by_name(callbacks: Sequence[Any]) -> dict[str, Any]:
    """Callbacks by their classes' names, numbered where several have one."""
    found: dict[str, Any] = {}
    for callback in callbacks:
        name = type(callback).__name__
        count = sum([key.split("-")[0] == name for key in found])
        found[f"{name}-{count}" if count else name] = callback
    return found


def _state(callback: Any) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
    """What a callback counts: attributes that are plain values, and those that are lists of arrays,
    as the weights of the best epoch. Not what it was made with."""
    given = {*parameters(type(callback)), "model", "params", "together"}
    own = {name: value for name, value in vars(callback).items() if name not in given}
    plain = {name: value for name, value in own.items() if isinstance(value, PLAIN)}
    held = {
        name: value
        for name, value in own.items()
        if isinstance(value, list) and value and all(isinstance(a, np.ndarray) for a in value)
    }
    return plain, held


def _put_state(
    callback: Any, plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray], prefix: str
) -> None:
    vars(callback).update(plain)
    found: dict[str, list[np.ndarray]] = {}
    for name, array in arrays.items():  # in the order they were written
        if name.startswith(prefix):
            found.setdefault(name.removeprefix(prefix).split("/")[0], []).append(array)
    vars(callback).update(found)
