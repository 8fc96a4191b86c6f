"""Functional models: built by calling layers and ops on symbolic tensors."""

from typing import Any

from .model import Model


class Functional(Model):
    """A model of the calls that lead from symbolic inputs to symbolic outputs: what
    `Model(inputs, outputs)` makes."""

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **base: Any):
        super().__init__(inputs, outputs, name, **base)
