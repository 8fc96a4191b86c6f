"""Layers. Each is a class with `build`, which makes its weights for an input's shape, and `call`,
which computes."""

from .base import Layer, deserialize, get, serialize
from .core import Activation, Dense, Input, InputLayer, ReLU, Softmax
from .normalization import BatchNormalization, LayerNormalization
from .regularization import Dropout
