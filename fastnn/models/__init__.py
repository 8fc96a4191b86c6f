"""Models: layers put together, that train, predict and save their weights."""

from typing import Any

from .cloning import clone_model
from .functional import Functional
from .model import Model, model_from_json
from .sequential import Sequential


def __getattr__(name: str) -> Any:
    if name in ("load_model", "save_model"):  # Keras has them here too
        from fastnn import saving

        return getattr(saving, name)
    raise AttributeError(f"fastnn.models has no {name!r}")
