"""Layers of sequences and images: by name the class, its arguments and the shape of its input.
Inputs and weights are drawn alike for both libraries."""

import numpy as np

FIRST = {"data_format": "channels_first"}
SEQUENCE, IMAGE, VOLUME = (2, 7, 3), (2, 6, 5, 3), (1, 3, 4, 5, 2)

POOLING = [
    (f"{kind}Pooling{d}D", arguments, shape)
    for kind in ("Max", "Average")
    for d, arguments, shape in [
        (1, {"pool_size": 2}, SEQUENCE),
        (1, {"pool_size": 3, "strides": 2, "padding": "same"}, SEQUENCE),
        (1, {"pool_size": 2, "strides": 3, **FIRST}, SEQUENCE),
        (2, {"pool_size": 2}, IMAGE),
        (2, {"pool_size": (3, 2), "strides": 1, "padding": "same"}, IMAGE),
        (2, {"pool_size": 3, "strides": (2, 1), "padding": "same", **FIRST}, IMAGE),
        (3, {"pool_size": 2, "strides": 1, "padding": "same"}, VOLUME),
    ]
]
GLOBAL = [
    (f"Global{kind}Pooling{d}D", arguments, shape)
    for kind in ("Max", "Average")
    for d, arguments, shape in [
        (1, {}, SEQUENCE),
        (1, {"keepdims": True, **FIRST}, SEQUENCE),
        (2, {}, IMAGE),
        (2, {"keepdims": True, **FIRST}, IMAGE),
        (3, {"keepdims": True}, VOLUME),
    ]
]
RESHAPING = [
    ("UpSampling1D", {"size": 3}, SEQUENCE),
    ("UpSampling2D", {}, IMAGE),
    ("UpSampling2D", {"size": (1, 3), **FIRST}, IMAGE),
    ("UpSampling2D", {"size": (3, 2), "interpolation": "bilinear"}, IMAGE),
    ("UpSampling2D", {"interpolation": "bilinear", **FIRST}, IMAGE),
    ("UpSampling3D", {"size": (2, 1, 3)}, VOLUME),
    ("ZeroPadding1D", {"padding": (1, 2), **FIRST}, SEQUENCE),
    ("ZeroPadding2D", {"padding": (2, 1)}, IMAGE),
    ("ZeroPadding2D", {"padding": ((1, 0), (2, 3)), **FIRST}, IMAGE),
    ("ZeroPadding3D", {"padding": 1}, VOLUME),
    ("Cropping1D", {"cropping": (2, 1)}, SEQUENCE),
    ("Cropping2D", {"cropping": ((1, 0), (2, 1))}, IMAGE),
    ("Cropping2D", {"cropping": 1, **FIRST}, (2, 3, 5, 4)),
    ("Cropping3D", {"cropping": ((0, 1), (1, 0), (1, 2))}, VOLUME),
]
CONVOLUTIONS = [
    ("Conv1D", {"filters": 4, "kernel_size": 3, "activation": "relu"}, SEQUENCE),
    ("Conv1D", {"filters": 2, "kernel_size": 2, "padding": "causal", "dilation_rate": 2}, SEQUENCE),
    ("Conv1D", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "causal"}, SEQUENCE),
    (
        "Conv1D",
        {"filters": 6, "kernel_size": 4, "padding": "same", "groups": 3, **FIRST},
        (2, 3, 7),
    ),
    ("Conv2D", {"filters": 5, "kernel_size": 3, "padding": "same", "activation": "tanh"}, IMAGE),
    ("Conv2D", {"filters": 2, "kernel_size": (3, 2), "strides": 2, "use_bias": False}, IMAGE),
    ("Conv2D", {"filters": 4, "kernel_size": 1, "activation": "gelu"}, IMAGE),
    ("Conv2D", {"filters": 6, "kernel_size": 2, "groups": 2, "dilation_rate": 2}, (1, 5, 5, 4)),
    ("Conv2D", {"filters": 3, "kernel_size": 3, "padding": "SAME", "strides": 2, **FIRST}, IMAGE),
    ("Conv3D", {"filters": 3, "kernel_size": 2, "padding": "same"}, VOLUME),
]
TRANSPOSED = [
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 3}, SEQUENCE),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 2, "strides": 3, "activation": "relu"},
     SEQUENCE),
    ("Conv1DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same",
                         "output_padding": 1, **FIRST}, SEQUENCE),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 4, "strides": 2, "padding": "same"}, IMAGE),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": (2, 3), "strides": (1, 2)}, IMAGE),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "use_bias": False},
     IMAGE),
    ("Conv3DTranspose", {"filters": 2, "kernel_size": 2, "strides": 2}, VOLUME),
]  # fmt: skip
DEPTHWISE = [
    ("DepthwiseConv1D", {"kernel_size": 3, "padding": "same", "depth_multiplier": 2}, SEQUENCE),
    ("DepthwiseConv1D", {"kernel_size": 2, "strides": 2, **FIRST}, SEQUENCE),
    ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same", "activation": "relu"}, IMAGE),
    ("DepthwiseConv2D", {"kernel_size": (2, 3), "strides": 2, "depth_multiplier": 3}, IMAGE),
    ("DepthwiseConv2D", {"kernel_size": 2, "dilation_rate": 2, "use_bias": False, **FIRST}, IMAGE),
    ("SeparableConv1D", {"filters": 4, "kernel_size": 3, "padding": "same"}, SEQUENCE),
    ("SeparableConv2D", {"filters": 4, "kernel_size": 3, "strides": 2, "depth_multiplier": 2,
                         "activation": "elu"}, IMAGE),
    ("SeparableConv2D", {"filters": 2, "kernel_size": 2, "dilation_rate": 2, **FIRST}, IMAGE),
]  # fmt: skip
ADAPTIVE = [
    (f"Adaptive{kind}Pooling{d}D", arguments, shape)
    for kind in ("Max", "Average")
    for d, arguments, shape in [
        (1, {"output_size": 4}, SEQUENCE),
        (2, {"output_size": (3, 2)}, IMAGE),
        (2, {"output_size": (4, 7), **FIRST}, (2, 3, 6, 5)),
        (3, {"output_size": (2, 3, 5)}, VOLUME),
    ]
]
LAYERS = POOLING + GLOBAL + RESHAPING + CONVOLUTIONS + TRANSPOSED + DEPTHWISE + ADAPTIVE

# Of each class the arguments of its last layer, for configurations
CONFIGURATIONS = {
    kind: lambda k, kind=kind, arguments=arguments: getattr(k.layers, kind)(**arguments)
    for kind, arguments, _ in LAYERS
}


def drawn(number, shape, what=0):
    """Numbers for layer `number` and one of its arrays: its input, its weights, what its result is
    weighed with."""
    return np.random.default_rng((number, what)).standard_normal(shape).astype("float32")
