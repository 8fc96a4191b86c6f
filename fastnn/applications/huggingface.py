"""What models take of Hugging Face transformers: configurations and weights."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastnn import weights
from fastnn.errors import nearest
from fastnn.models import Model


def told(owner: str, config: Any, only: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration, or a dictionary of one, as a dictionary. only: what a model of ours has of
    what may stand there; raises for other values."""
    found = dict(config) if isinstance(config, Mapping) else config.to_dict()
    for name, value in only.items():
        if found.get(name, value) != value:
            raise ValueError(
                f"{owner}.from_huggingface: {name} must be {value!r}; got {found[name]!r}, which "
                "this model has not"
            )
    return found


def put(model: Model, state_dict: Mapping[str, Any], name_of: Callable[[str], str]) -> None:
    """Put in the weights of a `state_dict()`: tensors or arrays. name_of: gives the name there of a
    weight that `save_weights` calls so."""
    owner = f"{type(model).__name__}.from_huggingface"
    found = []
    for path in weights.named(model):
        name = name_of(path)
        if name not in state_dict:
            raise ValueError(f"{owner}: the state_dict lacks {name!r}; {nearest(name, state_dict)}")
        found.append(np.asarray(state_dict[name]))
    model.set_weights(found)
