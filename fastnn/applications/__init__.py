"""Whole models of the literature, a readable file each, imported when its model is used."""

from importlib import import_module
from typing import Any

# models, and functions that make them, by the module that has them
MODELS: dict[str, str] = {
    "BERT": "bert",
    "BERTClassifier": "bert_heads",
    "BERTMaskedLM": "bert_heads",
    "GAN": "gan",
    "GPT2": "gpt",
    "ResNet": "resnet",
    "conv_discriminator": "gan_networks",
    "conv_generator": "gan_networks",
    "dense_discriminator": "gan_networks",
    "dense_generator": "gan_networks",
}
__all__ = sorted(MODELS)


def __getattr__(name: str) -> Any:
    if name not in MODELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODELS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *MODELS])
