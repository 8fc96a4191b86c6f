"""Models: layers put together, that train, predict and save their weights."""

from .functional import Functional
from .model import Model
from .sequential import Sequential
