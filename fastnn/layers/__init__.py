"""Layers. Each is a class with `build`, which makes its weights for an input's shape, and `call`,
which computes. Most modules are imported when one of their names is used: they are listed twice."""

from typing import TYPE_CHECKING

from fastnn.when_used import names_when_used

from .base import KIND, Layer, deserialize, get, serialize
from .core import Dense, Identity, Input, InputLayer, Lambda, Masking

if TYPE_CHECKING:
    from .activations import *
    from .attention import *
    from .convolutional import *
    from .depthwise import *
    from .einsum import *
    from .embedding import *
    from .hashing import *
    from .input_spec import *
    from .lookup import *
    from .merging import *
    from .normalization import *
    from .pooling import *
    from .preprocessing import *
    from .regularization import *
    from .reshaping import *
    from .wrappers import *
else:
    __getattr__, __dir__, __all__ = names_when_used(
        globals(),
        {
            "activations": "ELU Activation LeakyReLU PReLU ReLU Softmax",
            "attention": "AdditiveAttention Attention GroupQueryAttention MultiHeadAttention",
            "convolutional": """
                Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose
                Convolution1D Convolution2D Convolution3D
                Convolution1DTranspose Convolution2DTranspose Convolution3DTranspose
            """,
            "depthwise": """
                DepthwiseConv1D DepthwiseConv2D
                SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D
            """,
            "einsum": "EinsumDense",
            "embedding": "Embedding",
            "hashing": "Hashing",
            "input_spec": "InputSpec",
            "lookup": "IntegerLookup StringLookup",
            "merging": """
                Add Average Concatenate Dot Maximum Minimum Multiply Subtract
                add average concatenate dot maximum minimum multiply subtract
            """,
            "normalization": """
                BatchNormalization GroupNormalization LayerNormalization RMSNormalization
                UnitNormalization
            """,
            "pooling": """
                AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
                AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D
                AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D
                GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
                GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D
                GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D
                GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
                MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D
            """,
            "preprocessing": "CategoryEncoding Discretization Normalization Rescaling",
            "regularization": """
                ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise
                SpatialDropout1D SpatialDropout2D SpatialDropout3D
            """,
            "reshaping": """
                Cropping1D Cropping2D Cropping3D Flatten Permute RepeatVector Reshape
                UpSampling1D UpSampling2D UpSampling3D
                ZeroPadding1D ZeroPadding2D ZeroPadding3D
            """,
            "wrappers": "TimeDistributed Wrapper",
        },
        KIND,
    )
