"""fastnn: neural networks that train and predict at the limit of the machine, from readable
Python."""

from typing import TYPE_CHECKING

from fastnn import (
    activations,
    callbacks,
    config,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    random,
    regularizers,
    saving,
    utils,
)
from fastnn.autograd import no_grad
from fastnn.config import get_threads, set_threads
from fastnn.devices import choice
from fastnn.devices.choice import device, get_device, set_device
from fastnn.gradcheck import gradcheck
from fastnn.layers import Input
from fastnn.models import Model, Sequential
from fastnn.recording import record
from fastnn.saving import load_model
from fastnn.tensor import Tensor, tensor
from fastnn.variable import Variable

from fastnn import keras  # isort: skip  # last: it holds names of all the others

choice.from_environment()

if TYPE_CHECKING:
    from fastnn.own_ops import elementwise
del TYPE_CHECKING

IMPORTED_WHEN_USED = ("applications", "elementwise", "preprocessing", "sklearn")


def __getattr__(name: str) -> object:
    if name == "elementwise":  # which reads the texts of functions
        from fastnn.own_ops import elementwise

        return elementwise
    if name in IMPORTED_WHEN_USED:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *IMPORTED_WHEN_USED])
