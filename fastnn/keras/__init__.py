"""Keras's names for what fastnn has: `import fastnn.keras as keras`, or `from fastnn.keras.layers
import Dense`."""

import sys

from fastnn import (
    activations,
    callbacks,
    config,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    random,
    saving,
    utils,
)
from fastnn.layers import Input
from fastnn.model import Model, Sequential

for _module in (
    activations,
    callbacks,
    config,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    random,
    saving,
    utils,
):
    # so that import statements find them here
    sys.modules[f"{__name__}.{_module.__name__.rpartition('.')[2]}"] = _module
