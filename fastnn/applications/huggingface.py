"""What models take of Hugging Face transformers: configurations and weights."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fastnn import weights
from fastnn.errors import ShapeError, nearest, shape_text
from fastnn.models import Model

# of layers
PARTS = {
    "kernel": "weight", "gamma": "weight", "embeddings": "weight", "beta": "bias",
    "moving_mean": "running_mean", "moving_variance": "running_var",
}  # fmt: skip


def dotted(path: str) -> str:
    """What PyTorch calls a weight that `save_weights` calls h.0/ln_1/gamma: h.0.ln_1.weight."""
    *layer, part = path.split("/")
    return ".".join([*layer, PARTS.get(part, part)])


def told(
    owner: str, config: Any, only: Mapping[str, Any], rates: Sequence[str] = ()
) -> tuple[dict[str, Any], float]:
    """A configuration, or a dictionary of one, as a dictionary, and its rate of dropout. only: what
    a model of ours has of what may stand there; raises for other values. rates: the names of rates
    of dropout, of which ours has one."""
    if not isinstance(config, Mapping) and not hasattr(config, "to_dict"):
        raise TypeError(
            f"{owner}.from_huggingface: config must be a configuration of transformers, or a "
            f"dictionary of one; got {type(config).__name__}"
        )
    found = dict(config) if isinstance(config, Mapping) else config.to_dict()
    for name, value in only.items():
        if found.get(name, value) != value:
            raise ValueError(
                f"{owner}.from_huggingface: {name} must be {value!r}; got {found[name]!r}, which "
                "this model has not"
            )
    given = {found.get(name, 0.1) for name in rates}
    if len(given) > 1:
        raise ValueError(
            f"{owner}.from_huggingface: {', '.join(rates)} must be one number; got {given}. Set "
            "them to one in the configuration: they change nothing but training."
        )
    return found, given.pop() if given else 0.0


def put(
    model: Model,
    state_dict: Mapping[str, Any],
    names_of: Callable[[str], str | list[str]],
    transposed: bool = False,
    beyond: str | None = None,
) -> None:
    """Put in the weights of a `state_dict()`: tensors or arrays. names_of: gives the name there of
    a weight that `save_weights` calls so, or the names of its parts, side by side. transposed:
    whether kernels lie there as (outputs, inputs, ...). beyond: what names of a block more than
    the configuration's would begin with."""
    owner = f"{type(model).__name__}.from_huggingface"
    if beyond is not None and any([name.startswith(beyond) for name in state_dict]):
        raise ValueError(
            f"{owner}: the state_dict has {beyond}..., of more blocks than the configuration's"
        )
    if not state_dict:
        raise ValueError(f"{owner}: the state_dict is empty")
    found = []
    for path, variable in weights.named(model).items():
        names, parts = names_of(path), []
        for name in [names] if isinstance(names, str) else names:
            if name not in state_dict:
                close = nearest(name, state_dict)
                raise ValueError(f"{owner}: the state_dict lacks {name!r}; {close}")
            part = np.asarray(state_dict[name])
            if transposed and path.endswith("/kernel"):
                part = part.transpose(*range(2, part.ndim), 1, 0)
            parts.append(part)
        value = np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        if value.shape != variable.shape:
            raise ShapeError(
                f"{owner}: {name!r} must make {shape_text(variable.shape)}, by the configuration; "
                f"got {shape_text(value.shape)}"
            )
        found.append(value)
    model.set_weights(found)
