"""A residual network: convolutions in blocks, each added to what its block was given.

    block(x) = relu(f(x) + x)

f is two convolutions of 3 x 3 ("basic"), or one of 1 x 1 to a quarter of the channels, one of 3 x 3
and one of 1 x 1 back ("bottleneck"), each normalised over the batch, with relu between them. Where
f changes extents or channels, x goes through a convolution of 1 x 1. He et al., "Deep residual
learning for image recognition", 2016; as Hugging Face's ResNet.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastnn import checks, layers
from fastnn.errors import ShapeError
from fastnn.layers.core import open_shape
from fastnn.models import Model
from fastnn.symbolic import KerasTensor

from .huggingface import dotted, put, told

BLOCKS = {
    "basic": {"hidden_sizes": (64, 128, 256, 512), "depths": (2, 2, 2, 2)},  # ResNet-18
    "bottleneck": {"hidden_sizes": (256, 512, 1024, 2048), "depths": (3, 4, 6, 3)},  # ResNet-50
}
# what Hugging Face's names begin with
PREFIXES = {"embedder": "resnet.embedder.embedder", "classifier": "classifier.1"}


class ResNet(Model, aliases=None):
    """Logits of classes, (N, num_classes), of images (N, H, W, C).

    num_classes: 0 for the features instead, the means of the last block's channels.
    image_shape: (H, W, C); H and W may be None, any. layer_type: "basic" or "bottleneck".
    hidden_sizes: channels of each stage's blocks; each stage but the first halves H and W.
    depths: how many blocks each stage has. They are those of ResNet-18 and ResNet-50 unless given.
    embedding_size: channels of the first convolution; stem_size: its extent, 7 with a stride of 2
    and max pooling after it, for photographs, or 3 with neither, for small images.
    downsample_in_first_stage: whether that halves H and W, too. downsample_in_bottleneck: whether
    the first convolution of a bottleneck does so, and not the second.

    >>> import fastnn
    >>> model = fastnn.applications.ResNet.small(8, 10, (28, 28, 1))
    >>> model.output_shape, model.count_params()
    ((None, 10), 78426)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        image_shape: Sequence[int | None] = (224, 224, 3),
        layer_type: str = "bottleneck",
        hidden_sizes: Sequence[int] | None = None,
        depths: Sequence[int] | None = None,
        embedding_size: int = 64,
        stem_size: int = 7,
        downsample_in_first_stage: bool = False,
        downsample_in_bottleneck: bool = False,
        **base: Any,
    ):
        checks.one_of("ResNet: layer_type", layer_type, *BLOCKS)
        if stem_size not in (3, 7):
            raise ValueError(f"ResNet: stem_size must be 3 or 7; got {stem_size!r}")
        checks.whole_number("ResNet: num_classes", num_classes, 0)
        checks.whole_number("ResNet: embedding_size", embedding_size, 1)
        usual = BLOCKS[layer_type]
        widths, depths = (
            checks.sizes(f"ResNet: {name}", usual[name] if given is None else given)
            for name, given in (("hidden_sizes", hidden_sizes), ("depths", depths))
        )
        if len(widths) != len(depths):
            raise ValueError(
                "ResNet: hidden_sizes and depths must have an entry for each stage; got "
                f"{widths} and {depths}"
            )
        if layer_type == "bottleneck" and min(widths, default=4) < 4:
            raise ValueError(f"ResNet: hidden_sizes of bottlenecks are at least 4; got {widths}")
        shape = open_shape("ResNet: image_shape", image_shape)
        squares = [depth * width**2 for width, depth in zip(widths, depths, strict=True)]
        rows = num_classes * max(widths, default=1) + 9 * embedding_size
        names = "num_classes, hidden_sizes, depths and embedding_size"
        checks.room(f"ResNet: {names}", sum(squares) + rows, sum(depths))
        images = layers.Input(shape)
        if images.ndim != 4 or images.shape[-1] is None:
            raise ShapeError(f"ResNet: image_shape must be (H, W, C), C known; got {image_shape}")
        strides = 2 if stem_size == 7 else 1
        x = _convolution(images, "embedder", embedding_size, stem_size, strides)
        if stem_size == 7:  # nothing is below 0, which may stand around it
            x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for number in range(depth):
                halves = number == 0 and (stage > 0 or downsample_in_first_stage)
                strides = 2 if halves else 1
                if layer_type == "basic":
                    parts = [(width, 3, strides), (width, 3, 1)]
                else:
                    first, second = (strides, 1) if downsample_in_bottleneck else (1, strides)
                    parts = [(width // 4, 1, first), (width // 4, 3, second), (width, 1, 1)]
                x = _block(x, f"stages.{stage}.layers.{number}", parts, strides)
        x = layers.GlobalAveragePooling2D(name="pooler")(x)
        if num_classes:
            x = layers.Dense(num_classes, name="classifier")(x)
        super().__init__(images, x, **base)
        self.num_classes, self.image_shape = num_classes, images.shape[1:]
        self.layer_type, self.hidden_sizes, self.depths = layer_type, widths, depths
        self.embedding_size, self.stem_size = embedding_size, stem_size
        self.downsample_in_first_stage = bool(downsample_in_first_stage)
        self.downsample_in_bottleneck = bool(downsample_in_bottleneck)

    @classmethod
    def small(
        cls, depth: int, num_classes: int, image_shape: Sequence[int | None], **base: Any
    ) -> "ResNet":
        """That of the paper's section 4.2 for images of some 32 x 32: 6 n + 2 layers deep, as 8, 20
        or 56, in three stages of basic blocks with 16, 32 and 64 channels. Shortcuts are
        projections where the paper's pad with zeros."""
        n, rest = divmod(checks.whole_number("ResNet.small: depth", depth, 8) - 2, 6)
        if rest:
            raise ValueError(f"ResNet.small: depth must be 6 n + 2, as 8, 20 or 56; got {depth}")
        return cls(num_classes, image_shape, "basic", (16, 32, 64), (n,) * 3, 16, 3, **base)

    @classmethod
    def from_huggingface(
        cls,
        config: Any,
        state_dict: Mapping[str, Any],
        image_shape: Sequence[int | None] = (None, None),
    ) -> "ResNet":
        """That of a `ResNetForImageClassification`, or of a `ResNetModel`'s features: its config
        and its state_dict(). image_shape: (H, W) of images. They are channels last here.

        Of the averages of variances PyTorch keeps n / (n - 1) of what Keras and fastnn do, n being
        the elements of a channel in a batch.
        """
        found, _ = told("ResNet", config, {"hidden_act": "relu"})
        classes = state_dict.get("classifier.1.bias", ())
        names = ("layer_type", "hidden_sizes", "depths", "embedding_size",
                 "downsample_in_first_stage", "downsample_in_bottleneck")  # fmt: skip
        missing = [name for name in ("num_channels", *names) if name not in found]
        if missing:
            raise ValueError(
                f"ResNet.from_huggingface: the configuration lacks {', '.join(missing)}"
            )
        model = cls(
            len(classes),
            (*image_shape, found["num_channels"]),
            **{name: found[name] for name in names},
        )
        prefix = "" if len(classes) else "resnet."  # which names of a model without head lack
        put(model, state_dict, lambda path: huggingface_name(path).removeprefix(prefix), True)
        return model


def huggingface_name(path: str) -> str:
    """The name of a weight in a state_dict, by the one that `save_weights` gives it."""
    part, rest = dotted(path).split(".", 1)
    return f"{PREFIXES.get(part, f'resnet.encoder.{part}')}.{rest}"


def _block(x: KerasTensor, name: str, parts: list, strides: int) -> KerasTensor:
    """relu(f(x) + x). parts: channels, extent and stride of each convolution of f."""
    shortcut, y = x, x
    for number, (channels, size, stride) in enumerate(parts):
        last = number == len(parts) - 1
        y = _convolution(y, f"{name}.layer.{number}", channels, size, stride, not last)
    channels = parts[-1][0]
    if strides != 1 or x.shape[-1] != channels:
        shortcut = _convolution(x, f"{name}.shortcut", channels, 1, strides, False)
    return layers.ReLU(name=f"{name}.activation")(layers.Add(name=f"{name}.add")([y, shortcut]))


class Convolution(layers.Conv2D, aliases=None):
    """With as many zeros on all sides, as PyTorch pads; with a stride of 2 "same" would begin a
    pixel later."""

    def _window(self):
        return {
            **super()._window(),
            "padding": [(size // 2, size // 2) for size in self.kernel_size],
        }


def _convolution(
    x: KerasTensor, name: str, channels: int, size: int, strides: int, activation: bool = True
) -> KerasTensor:
    """A convolution, normalised, and relu."""
    x = Convolution(
        channels, size, strides, use_bias=False, kernel_initializer="he_normal",
        name=f"{name}.convolution",
    )(x)  # fmt: skip
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}.normalization")(x)
    return layers.ReLU(name=f"{name}.activation")(x) if activation else x
