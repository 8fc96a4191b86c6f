"""Generators and discriminators for `gan.GAN`: dense ones, and convolutional ones for images."""

from collections.abc import Sequence
from math import prod
from typing import Any

from fastnn import checks, layers
from fastnn.errors import ShapeError
from fastnn.layers import Input
from fastnn.models import Sequential


def dense_generator(
    columns: int, latent_dim: int = 32, hidden: Sequence[int] = (128, 256)
) -> Sequential:
    """A generator of rows of numbers from 0 to 1: dense layers, each normalised before its ReLU."""
    _expect("dense_generator", columns=columns, latent_dim=latent_dim, hidden=hidden)
    found: list[Any] = [Input((latent_dim,))]
    for units in hidden:
        found += [layers.Dense(units), *_normalised()]
    return Sequential([*found, layers.Dense(columns, activation="sigmoid")], name="generator")


def dense_discriminator(
    columns: int, hidden: Sequence[int] = (256, 128), dropout: float = 0.4
) -> Sequential:
    """A discriminator of rows of numbers. Without dropout it soon knows the data by heart."""
    _expect("dense_discriminator", columns=columns, hidden=hidden, dropout=dropout)
    found: list[Any] = [Input((columns,))]
    for units in hidden:
        found += [layers.Dense(units), layers.LeakyReLU(0.2), layers.Dropout(dropout)]
    return Sequential([*found, layers.Dense(1)], name="discriminator")


def conv_generator(
    shape: Sequence[int], latent_dim: int = 64, filters: Sequence[int] = (64, 32)
) -> Sequential:
    """A generator of images (H, W, C) of numbers from 0 to 1 by transposed convolutions, each of
    which doubles H and W (Radford et al., "DCGAN", 2016). filters: of what each is given."""
    _expect("conv_generator", shape=shape, latent_dim=latent_dim, filters=filters)
    height, width, channels = shape
    times = 2 ** len(filters)
    if height % times or width % times:
        raise ValueError(
            f"conv_generator: with {len(filters)} filters, H and W must be multiples of {times}; "
            f"got {tuple(shape)}"
        )
    first = height // times, width // times, filters[0]
    found: list[Any] = [Input((latent_dim,)), layers.Dense(prod(first)), layers.Reshape(first)]
    for number in (*filters[1:], channels):
        found += [*_normalised(), layers.Conv2DTranspose(number, 4, 2, "same")]
    return Sequential([*found, layers.Activation("sigmoid")], name="generator")


def conv_discriminator(
    shape: Sequence[int], filters: Sequence[int] = (32, 64), dropout: float = 0.3
) -> Sequential:
    """A discriminator of images (H, W, C) by convolutions, each of which halves H and W."""
    _expect("conv_discriminator", shape=shape, filters=filters, dropout=dropout)
    found: list[Any] = [Input(shape)]
    for number in filters:
        found += [layers.Conv2D(number, 4, 2, "same"), layers.LeakyReLU(0.2)]
        found.append(layers.Dropout(dropout))
    return Sequential([*found, layers.Flatten(), layers.Dense(1)], name="discriminator")


def _expect(owner, dropout=0.0, shape=(1, 1, 1), hidden=(), filters=(1,), **counts):
    """Raise for arguments that are not what they must be."""
    for name, value in counts.items():
        checks.extents(f"{owner}: {name}", checks.whole_number(f"{owner}: {name}", value, 1))
    checks.sizes(f"{owner}: hidden", hidden)
    if len(checks.sizes(f"{owner}: filters", filters)) == 0:
        raise ValueError(f"{owner}: filters must have one number at least; got {filters!r}")
    if len(checks.extents(f"{owner}: shape", shape, 1)) != 3:
        raise ShapeError(f"{owner}: shape must be that of images, (H, W, C); got {shape!r}")
    checks.fraction(f"{owner}: dropout", dropout)


def _normalised():
    return layers.BatchNormalization(momentum=0.9), layers.ReLU()
