"""Layers. Each is a class with `build`, which makes its weights for an input's shape, and `call`,
which computes."""

from .activations import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from .attention import GroupQueryAttention, MultiHeadAttention
from .base import Layer, deserialize, get, serialize
from .core import (
    Dense,
    Identity,
    Input,
    InputLayer,
    Lambda,
    Masking,
)
from .dot_attention import AdditiveAttention, Attention
from .einsum import EinsumDense
from .embedding import Embedding
from .hashing import Hashing
from .lookup import IntegerLookup, StringLookup
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
from .normalization import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from .preprocessing import CategoryEncoding, Discretization, Normalization, Rescaling
from .regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
)
from .reshaping import Flatten, Permute, RepeatVector, Reshape
from .wrappers import TimeDistributed, Wrapper
