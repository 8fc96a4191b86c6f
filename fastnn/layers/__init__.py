"""Layers. Each is a class with `build`, which makes its weights for an input's shape, and `call`,
which computes. Most modules are imported when one of their names is used: they are listed twice."""

from typing import TYPE_CHECKING

from fastnn.when_used import names_when_used

from .base import KIND, Layer, deserialize, get, serialize
from .core import Dense, Identity, Input, InputLayer, Lambda, Masking

if TYPE_CHECKING:
    from .activations import *
    from .attention import *
    from .dot_attention import *
    from .einsum import *
    from .embedding import *
    from .hashing import *
    from .lookup import *
    from .merging import *
    from .normalization import *
    from .preprocessing import *
    from .regularization import *
    from .reshaping import *
    from .wrappers import *
else:
    __getattr__, __dir__, __all__ = names_when_used(
        globals(),
        {
            "activations": "ELU Activation LeakyReLU PReLU ReLU Softmax",
            "attention": "GroupQueryAttention MultiHeadAttention",
            "dot_attention": "AdditiveAttention Attention",
            "einsum": "EinsumDense",
            "embedding": "Embedding",
            "hashing": "Hashing",
            "lookup": "IntegerLookup StringLookup",
            "merging": """
                Add Average Concatenate Dot Maximum Minimum Multiply Subtract
                add average concatenate dot maximum minimum multiply subtract
            """,
            "normalization": """
                BatchNormalization GroupNormalization LayerNormalization RMSNormalization
                UnitNormalization
            """,
            "preprocessing": "CategoryEncoding Discretization Normalization Rescaling",
            "regularization": """
                ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise
                SpatialDropout1D
            """,
            "reshaping": "Flatten Permute RepeatVector Reshape",
            "wrappers": "TimeDistributed Wrapper",
        },
        KIND,
    )
