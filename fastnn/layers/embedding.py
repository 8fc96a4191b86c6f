"""Rows of a table that is learned, for whole numbers."""

from typing import Any

import numpy as np

from fastnn import checks, ops
from fastnn.convert import expect_whole
from fastnn.dtypes import FLOATS, INT64
from fastnn.layers.base import Layer, Shape
from fastnn.registry import arguments_of
from fastnn.tensor import Tensor, operand


class Embedding(Layer):
    """y = embeddings[x]: a vector, which is learned, for each whole number.

    x: any shape, whole numbers from 0 to input_dim - 1 (of floats the whole part counts), y:
    (*x.shape, output_dim); embeddings: (input_dim, output_dim). Those below 0 count from the end,
    as in NumPy; one out of range is an IndexError. The gradient is that of the whole table, in
    which rows of the batch are added in their order: the same bits with any number of threads.

    embeddings_initializer, embeddings_regularizer, embeddings_constraint: of the table, names or
    objects. mask_zero: whether 0 is no number but padding: then the result has a mask, which
    leaves it out. weights: the table to begin with. Arguments and defaults are Keras's, without
    LoRA and quantization.
    sparse_gradient: whether the gradient is of the rows alone that were met, and an optimizer
    changes them alone ("lazily"), which of a large table saves nearly all the time. It then learns
    differently: with a dense gradient rows not met move on with their momentum, their moments fade
    and their weights decay, here they stay as they are. SGD without momentum or decay does the same
    with both. The table must not be read otherwise in training: the gradient is dense then.

    >>> import fastnn
    >>> layer = fastnn.layers.Embedding(3, 2, weights=[[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
    >>> layer([2, 1]).numpy()
    array([[3., 4.],
           [1., 2.]], dtype=float32)
    """

    takes_one_tensor = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        *,
        sparse_gradient: bool = False,
        **base: Any,
    ):
        super().__init__(**base)
        self.input_dim = checks.whole_number("Embedding: input_dim", input_dim, 1)
        self.output_dim = checks.whole_number("Embedding: output_dim", output_dim, 1)
        self.take(
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
        )
        self.mask_zero = self.supports_masking = bool(mask_zero)
        self.sparse_gradient = bool(sparse_gradient)
        if weights is not None:
            self.build_for((None,))
            one = isinstance(weights, list | tuple) and len(weights) == 1
            self.set_weights([np.asarray(weights[0] if one else weights)])

    def get_config(self) -> dict[str, Any]:
        config = arguments_of(self, False, ("weights",))
        if not self.sparse_gradient:  # which Keras has not
            del config["sparse_gradient"]
        return config

    def build(self, input_shape: Shape) -> None:
        self.embeddings = self.weight_of("embeddings", (self.input_dim, self.output_dim))
        self.embeddings.sparse_gradient = self.sparse_gradient

    def _operands(self, inputs: Any) -> Tensor:
        array = np.asarray(inputs)
        if array.dtype.kind == "f":
            expect_whole(array, f"Embedding {self.name!r}")
        return operand(array, INT64 if array.dtype.kind in "biu" else self.dtype, self.name)

    def call(self, x: Tensor) -> Tensor:
        return ops.take(self.embeddings, ops.cast(x, INT64) if x.dtype in FLOATS else x, axis=0)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Where x is not 0, if that is padding."""
        return inputs != 0 if self.mask_zero else None
