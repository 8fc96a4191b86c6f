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
from fastnn.initializers import Initializer
from fastnn.layers import Input, Layer
from fastnn.losses import Loss
from fastnn.metrics import Metric
from fastnn.models import Model, Sequential
from fastnn.optimizers import Optimizer
from fastnn.regularizers import Regularizer
from fastnn.symbolic import KerasTensor
from fastnn.variable import Variable

for _name, _module in list(vars().items()):
    if isinstance(_module, ModuleType) and _module.__name__.startswith("fastnn."):
        # so that import statements find them here, and what is within them, which would be imported
        # once more
        for _known in [n for n in sys.modules if f"{n}.".startswith(f"{_module.__name__}.")]:
            _within = _known.removeprefix(_module.__name__)
            sys.modules[f"{__name__}.{_name}{_within}"] = sys.modules[_known]
