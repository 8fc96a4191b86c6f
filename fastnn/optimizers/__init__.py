"""Optimizers and learning-rate schedules, with Keras's names, arguments, defaults and formulas."""

from . import schedules
from .adam import Adam, Adamax, AdamW, Nadam
from .adaptive import Adadelta, Adagrad, RMSprop
from .base import KIND, Optimizer, deserialize, get, serialize
from .others import Adafactor, Ftrl, Lamb, Lion
from .sgd import SGD

__all__ = [
    "KIND",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]
