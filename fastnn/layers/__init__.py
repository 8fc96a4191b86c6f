"""Layers. Each is a class with `build`, which makes its weights for an input's shape, and `call`,
which computes."""

from .base import Layer, deserialize, get, serialize
from .core import (
    Activation,
    Dense,
    Identity,
    Input,
    InputLayer,
    Lambda,
    Masking,
    ReLU,
    Softmax,
)
from .merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .normalization import BatchNormalization, LayerNormalization
from .regularization import Dropout
from .wrappers import TimeDistributed, Wrapper
