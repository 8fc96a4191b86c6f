"""Optimizers and learning-rate schedules, with Keras's names, arguments, defaults and formulas."""

from typing import TYPE_CHECKING

from fastnn.when_used import names_when_used

from . import schedules
from .adam import Adam, Adamax, AdamW, Nadam
from .base import KIND, Optimizer, deserialize, get, serialize
from .sgd import SGD

if TYPE_CHECKING:
    from .adaptive import *
    from .others import *
else:
    __getattr__, __dir__, __all__ = names_when_used(
        globals(),
        {
            "adaptive": "Adadelta Adagrad RMSprop",
            "others": "Adafactor Ftrl Lamb Lion",
        },
        KIND,
    )
    __all__ += ["schedules"]
