"""fastnn: neural networks that train and predict at the limit of the machine, from readable
Python."""

import gc
from typing import TYPE_CHECKING

# What is imported stays: to look through it for garbage, over and over, took 14 ms of 100.
_collects = gc.isenabled()
gc.disable()
try:
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
    from fastnn.tensor import Tensor, tensor
    from fastnn.variable import Variable
    from fastnn.when_used import names_when_used

    from fastnn import keras  # isort: skip  # last: it holds names of all the others
finally:
    if _collects:
        gc.enable()

choice.from_environment()

if TYPE_CHECKING:
    from fastnn import applications, preprocessing
    from fastnn.own_ops import elementwise
    from fastnn.saving.models import load_model
else:
    __getattr__, __dir__, _ = names_when_used(
        globals(),
        {
            "applications": "",
            "fastnn.own_ops": "elementwise",  # which reads the texts of functions
            "fastnn.saving.models": "load_model",
            "preprocessing": "",
            "sklearn": "",
        },
    )
del TYPE_CHECKING, gc, names_when_used
