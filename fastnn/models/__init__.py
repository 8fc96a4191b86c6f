"""Models: layers put together, that train, predict and save their weights."""

from .cloning import clone_model
from .functional import Functional
from .model import Model, model_from_json
from .sequential import Sequential
