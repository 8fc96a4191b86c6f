"""Keras's names for what fastnn has: `import fastnn.keras as keras`, or `from fastnn.keras.layers
import Dense`."""

import sys
from types import ModuleType

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
from fastnn.layers import Input
from fastnn.models import Model, Sequential

for _name, _module in list(vars().items()):
    if isinstance(_module, ModuleType) and _module.__name__.startswith("fastnn."):
        # so that import statements find them here
        sys.modules[f"{__name__}.{_name}"] = _module
