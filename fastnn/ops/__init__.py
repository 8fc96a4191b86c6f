"""The ops. Each is a record (`record.Op`) that is called like a function, on tensors, arrays and numbers."""

from .batches import binary_match, categorical_match, class_match, gather
from .losses import binary_cross_entropy, class_cross_entropy, sigmoid_cross_entropy, softmax, softmax_cross_entropy
from .matmul import linear, matmul
from .normalization import batch_norm, batch_norm_inference
from .pointwise import (
    add,
    divide,
    exp,
    log,
    maximum,
    multiply,
    negative,
    relu,
    sigmoid,
    sqrt,
    squared_difference,
    subtract,
    tanh,
)
from .record import registry
from .reduce import mean, sum
from .shape import reshape, transpose

__all__ = sorted(registry)  # every op with a reference; a test holds that each is importable from here
