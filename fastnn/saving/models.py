"""Whole models in files: their weights, configuration, optimizer and preprocessing."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import files, registry, tree, weights
from fastnn.errors import warn
from fastnn.layers.building import tuple_of
from fastnn.models import Model
from fastnn.optimizers import Optimizer
from fastnn.weights import MODEL, WEIGHTS

FORMAT = 1  # of what stands in the table; files of older ones are read for good
CHECKSUM = "checksum"


def save_model(
    model: Model, filepath: Any, overwrite: bool = True, include_optimizer: bool = True
) -> None:
    """Write a model to a file, which `load_model` makes it again from: a safetensors file with
    weights and what the optimizer keeps, in whose table stand configuration, preprocessing and the
    format's version as JSON. It is written aside, synced and renamed: one that was there is whole
    until the new one is.

    filepath: by custom *.fastnn. overwrite: False raises FileExistsError for an existing file.
    include_optimizer: False leaves it out, for a file of a third of the size.

    Code is in no file. Of a model of a class of one's own without get_config only weights are
    saved, with a warning: make it again and call `load_weights`. A loss or metric that is a
    function without a name is left out likewise.

    >>> import fastnn, tempfile, os
    >>> model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2)])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.fastnn")
    >>> model.save(path)
    >>> fastnn.load_model(path).summary()  # doctest: +ELLIPSIS
    Model 'sequential...
    """
    write(model, filepath, overwrite, include_optimizer)


def write(
    model: Model,
    filepath: Any,
    overwrite: bool = True,
    include_optimizer: bool = True,
    others: Mapping[str, np.ndarray] = {},
    training: dict[str, Any] | None = None,
) -> None:
    """`save_model` with more arrays, and how far training is."""
    path = weights.checked(filepath, "save", ".fastnn")
    if not overwrite and path.exists():
        raise FileExistsError(f"save: {path} exists; overwrite=True replaces it")
    variables = {WEIGHTS + name: v for name, v in model._named_weights().items()}
    for name, optimizer in optimizers_of(model).items() if include_optimizer else ():
        if optimizer.built:
            for number, variable in enumerate(optimizer.variables):
                variables[f"{name}/{number}/{variable.name}"] = variable
    arrays = {**weights.values(variables), **others}
    about = {
        "format": FORMAT,
        "fastnn": _version(),
        "class_name": type(model).__name__,
        "model": _configuration(model),
        "input_shape": model._built_for,
        "compile": _compiled(model) if include_optimizer else None,
        "not_decayed": _not_decayed(model) if include_optimizer else {},
        "preprocessing": _steps(model.preprocessing),
        "labels": _steps(model.labels),
        "training": training,
    }
    text = json.dumps(about, separators=(",", ":"))
    files.write(path, arrays, {MODEL: text, CHECKSUM: _checksum(text, arrays)})


def load_model(
    filepath: Any,
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """The model of a file that `save` wrote, built, with its weights and preprocessing, compiled as
    it was, its optimizer as far as it was.

    custom_objects: classes and functions of one's own by the names they have in the file, beside
    those registered. compile: False leaves loss and optimizer out. safe_mode: taken for Keras's
    sake; no code is ever run from a file.

    Raises ValueError for a file that is damaged, that a newer fastnn wrote, or of a model whose
    class is not known here.
    """
    path = weights.checked(filepath, "load_model", ".fastnn")
    contents = files.read(path)
    about = described(path, contents)
    if about["model"] is None:
        raise ValueError(
            f"load_model: {path} holds the weights of {about['class_name']}, a class of its own, "
            "whose code is in no file: make the model, and call model.load_weights(path)"
        )
    with registry.custom_object_scope(custom_objects or {}):
        model = registry.deserialize(about["model"])
        if not isinstance(model, Model):
            raise ValueError(f"load_model: {path} is of a {type(model).__name__}, not of a model")
        if not model.built and about.get("input_shape") is not None:
            _build(model, about["input_shape"], path)
        weights.put(path, weights.of_model(contents), model._named_weights())
        model.preprocessing = _made_steps(about["preprocessing"])
        model.labels = _made_steps(about["labels"])
        if compile and about["compile"] is not None:
            given = {k: registry.deserialize(v) for k, v in about["compile"].items()}
            model.compile(**given)
            named = model._named_weights()
            for name, paths in about.get("not_decayed", {}).items():
                optimizer = optimizers_of(model)[name]
                if not optimizer.built:  # else the model's class has seen to it
                    optimizer.exclude_from_weight_decay([named[one] for one in paths])
            put_optimizers(path, model, contents)
    return model


def save_weights(model: Model, filepath: Any, overwrite: bool = True) -> None:
    """`model.save_weights(filepath, overwrite)`."""
    model.save_weights(filepath, overwrite)


def load_weights(model: Model, filepath: Any) -> None:
    """`model.load_weights(filepath)`."""
    model.load_weights(filepath)


def described(path: Path, contents: files.Contents) -> dict[str, Any]:
    """What a file says of its model; raises if it is damaged, or no model's."""
    text = contents.metadata.get(MODEL)
    if text is None:
        raise ValueError(
            f"load_model: {path} is no file of a model: it holds arrays alone, as of save_weights; "
            "model.load_weights(path) puts them into a model"
        )
    if contents.metadata.get(CHECKSUM) != _checksum(text, contents.arrays):
        raise ValueError(f"load_model: {path} is damaged: its checksum does not fit")
    about: dict[str, Any] = json.loads(text)
    if about["format"] > FORMAT:
        raise ValueError(
            f"load_model: {path} is of format {about['format']}, by fastnn {about['fastnn']}; this "
            f"one ({_version()}) reads up to {FORMAT}: pip install --upgrade fastnn-numba"
        )
    return about


def optimizers_of(model: Model) -> dict[str, Optimizer]:
    """A model's optimizer, and those of a step of its own, by the attributes that they are."""
    return {n: v for n, v in vars(model).items() if isinstance(v, Optimizer)}


def _not_decayed(model):
    """Of each optimizer that was told so, the names of the weights that it does not decay."""
    named = model._named_weights()
    return {
        name: [path for path, v in named.items() if not optimizer.decays(v)]
        for name, optimizer in optimizers_of(model).items()
        if optimizer.weight_decay is not None and any(optimizer._not_decayed)
    }


def put_optimizers(path: Path, model: Model, contents: files.Contents) -> None:
    """Let the optimizers go on as far as they were."""
    for name, optimizer in optimizers_of(model).items():
        kept = {n: a for n, a in contents.arrays.items() if n.startswith(f"{name}/")}
        if not kept:
            continue
        if optimizer is model.optimizer:
            optimizer.build(model.trainable_variables)
        numbered = sorted(kept.items(), key=lambda item: int(item[0].split("/")[1]))
        try:
            optimizer.set_weights([array for _, array in numbered])
        except ValueError as error:
            raise ValueError(f"{path} is of another optimizer or model: {error}") from None


def _checksum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    found = blake2b(text.encode(), digest_size=16)
    for name, array in arrays.items():
        found.update(name.encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # here, for the time it takes

    try:
        return version("fastnn-numba")
    except PackageNotFoundError:  # run from its sources
        return "unknown"


def _build(model, shape, path):
    """Build a model of a class of one's own, whose layers get weights where `call` calls them."""
    try:
        model.compute_output_shape(tuple_of(shape))
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"load_model: {path}: {type(model).__name__} cannot be built for inputs of shape "
            f"{shape}: {error} Make the model, call it once, and call model.load_weights(path)."
        ) from error


def _configuration(model):
    try:
        return registry.serialize(model)
    except TypeError as error:
        warn(
            f"save: {type(model).__name__} {model.name!r} is saved as its weights alone, without "
            f"its configuration: {error}. load_weights puts them into a model made by its code."
        )
        return None


def _compiled(model):
    """The arguments of `compile`, or None for a model that is not compiled."""
    if not model.compiled:
        return None
    found = {}
    for name, value in model.compiled_with().items():
        try:
            found[name] = tree.map(registry.serialize, value)
        except TypeError as error:
            warn(f"save: {name} of model {model.name!r} is not saved: {error}. Compile again.")
            if name in ("optimizer", "loss"):
                return None
    return found


def _steps(steps):
    if steps is None:
        return None
    if isinstance(steps, Mapping):
        return {"each": {name: _steps(step) for name, step in steps.items()}}
    return {"step": registry.serialize(steps), "state": steps.state()}


def _made_steps(about):
    if about is None:
        return None
    from fastnn import preprocessing

    if "each" in about:
        return {name: _made_steps(step) for name, step in about["each"].items()}
    step = preprocessing.deserialize(about["step"])
    step.set_state(about["state"])
    return step
