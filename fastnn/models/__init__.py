"""Models: layers put together, that train, predict and save their weights."""

from typing import TYPE_CHECKING

from fastnn.when_used import names_when_used

from .functional import Functional
from .model import Model, model_from_json
from .sequential import Sequential

if TYPE_CHECKING:
    from fastnn.saving.models import load_model, save_model

    from .cloning import clone_model
else:
    __getattr__, __dir__, __all__ = names_when_used(
        globals(),
        {"cloning": "clone_model", "fastnn.saving.models": "load_model save_model"},
    )
