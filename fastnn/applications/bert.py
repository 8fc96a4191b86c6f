"""BERT: an encoder of text, in which each token sees all others (Devlin and others, "BERT:
pre-training of deep bidirectional transformers", 2018), with Hugging Face's names.

    x = layer norm(words[ids] + positions + types[token types])
    x = layer norm(x + attention(x));  x = layer norm(x + gelu(x W + b) W' + b')    in each block
"""

from typing import Any

import numpy as np

from fastnn import activations, checks, initializers, layers, ops, random
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer, Shape
from fastnn.models import Model
from fastnn.symbolic import Spec
from fastnn.tensor import Tensor

INPUTS = {"input_ids", "attention_mask", "token_type_ids", "masked_positions"}


class Built(Model, aliases=None):
    """A model that has its weights as soon as it is made."""

    hidden_size: int

    def dense(self, units: int, name: str, activation: Any = None) -> layers.Dense:
        """A dense layer."""
        initial = initializers.RandomNormal(stddev=0.02)
        return layers.Dense(
            units, activation, kernel_initializer=initial, name=name, dtype=self.dtype
        )

    def layer_norm(self, name: str) -> layers.LayerNormalization:
        """A layer norm."""
        return layers.LayerNormalization(epsilon=1e-12, name=name, dtype=self.dtype)

    def build(self, input_shape: Shape) -> None:
        for layer in self.sublayers():
            layer.build_for((None, None, self.hidden_size))


class BERT(Built, aliases=None):
    """The encoder: tokens (B, T) to features (B, T, hidden_size), T at most
    max_position_embeddings. It is called on the tokens, or on a dictionary of arrays (B, T):
    "input_ids"; "attention_mask", 0 where a token is padding, by default where it is pad_token_id
    (in Hugging Face's models, nowhere); "token_type_ids", by default 0. What is padding changes no
    feature of what is not.

    vocab_size: how many tokens there are. hidden_size: the width, of num_attention_heads heads.
    intermediate_size: the width within the feed-forward part of each of the num_hidden_layers
    blocks, hidden_act its activation. type_vocab_size: how many types of tokens there are. dropout:
    of embeddings, attention and what blocks add. Defaults are those of BERT base.

    >>> import fastnn
    >>> model = fastnn.applications.BERT(100, 8, 2, 2, 16, max_position_embeddings=10)
    >>> model([[2, 17, 4, 3]]).shape, model.count_params()
    ((1, 4, 8), 2112)
    """

    def __init__(
        self,
        vocab_size: int = 30522,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        hidden_act: Any = "gelu",
        dropout: float = 0.1,
        max_position_embeddings: int = 512,
        type_vocab_size: int = 2,
        pad_token_id: int = 0,
        **base: Any,
    ):
        super().__init__(**base)
        whole = checks.whole_number
        self.vocab_size = whole("BERT: vocab_size", vocab_size, 1)
        self.hidden_size = whole("BERT: hidden_size", hidden_size, 1)
        self.num_hidden_layers = whole("BERT: num_hidden_layers", num_hidden_layers, 1)
        self.num_attention_heads = whole("BERT: num_attention_heads", num_attention_heads, 1)
        self.intermediate_size = whole("BERT: intermediate_size", intermediate_size, 1)
        if hidden_size % num_attention_heads:
            raise ValueError(
                "BERT: hidden_size must be a multiple of num_attention_heads; got "
                f"{hidden_size} and {num_attention_heads}"
            )
        activations.get(hidden_act, "BERT: hidden_act")  # refuses what is none
        self.hidden_act, self.dropout = hidden_act, checks.fraction("BERT: dropout", dropout)
        positions = whole("BERT: max_position_embeddings", max_position_embeddings, 1)
        self.max_position_embeddings, self.pad_token_id = positions, pad_token_id
        self.type_vocab_size = whole("BERT: type_vocab_size", type_vocab_size, 1)
        rows = self.num_hidden_layers * (4 * self.hidden_size + 2 * self.intermediate_size)
        rows += self.vocab_size + positions + self.type_vocab_size
        checks.room("BERT: its sizes", rows * self.hidden_size, self.num_hidden_layers)
        self.words = self._table(vocab_size, "word")
        self.positions = self._table(max_position_embeddings, "position")
        self.types = self._table(type_vocab_size, "token_type")
        self.norm, self.drop = self.layer_norm("embeddings.LayerNorm"), layers.Dropout(dropout)
        self.blocks = [
            Block(self, name=f"encoder.layer.{n}", dtype=self.dtype)
            for n in range(num_hidden_layers)
        ]
        self.build_for((None, None))

    def _table(self, rows, name):
        initial, name = initializers.RandomNormal(stddev=0.02), f"embeddings.{name}_embeddings"
        return layers.Embedding(rows, self.hidden_size, initial, name=name, dtype=self.dtype)

    def by_name(self, inputs: Any) -> dict[str, Any]:
        """Inputs as a dictionary."""
        if isinstance(inputs, list | tuple):
            raise ValueError(
                f"BERT {self.name!r}: takes tokens, or a dictionary; got {len(inputs)} arrays"
            )
        found = inputs if isinstance(inputs, dict) else {"input_ids": inputs}
        if "input_ids" not in found or not INPUTS.issuperset(found):
            raise ValueError(f"BERT: takes input_ids, and of {sorted(INPUTS)}; got {list(found)}")
        return found

    def compute_output_spec(self, inputs: Any, *others: Any, **named: Any) -> Any:
        shape = self.by_name(inputs)["input_ids"].shape  # of a length that may be any
        return Spec((*shape, self.hidden_size), self.dtype)

    def call(self, inputs: Any) -> Tensor:
        inputs = self.by_name(inputs)
        ids, most = inputs["input_ids"], self.max_position_embeddings
        if ids.ndim != 2 or not 1 <= ids.shape[1] <= most:
            raise ShapeError(
                f"BERT {self.name!r}: expected tokens, shape (any, from 1 to {most}, its "
                f"max_position_embeddings); got {shape_text(ids.shape)}"
            )
        mask, types = inputs.get("attention_mask"), inputs.get("token_type_ids")
        for name, given in (("attention_mask", mask), ("token_type_ids", types)):
            if given is not None and given.shape != ids.shape:
                raise ShapeError(
                    f"BERT {self.name!r}: {name} must have the shape of input_ids, "
                    f"{shape_text(ids.shape)}; got {shape_text(given.shape)}"
                )
        is_token = ids != self.pad_token_id if mask is None else mask != 0
        x = self.words(ids) + self.positions.embeddings[: ids.shape[1]]
        x = self.drop(self.norm(x + self.types(np.zeros(1, np.int64) if types is None else types)))
        for block in self.blocks:
            x = block(x, is_token)
        return x


class Block(Layer, aliases=None):
    """Attention, then a feed-forward part, each added to what it is given, and normalised: (B, T,
    hidden_size) to the same."""

    def __init__(self, model: BERT, **base: Any):
        super().__init__(**base)
        width, self.heads = model.hidden_size, model.num_attention_heads
        self.qkv = model.dense(3 * width, "attention.self")
        self.projection = model.dense(width, "attention.output.dense")
        self.norm = model.layer_norm("attention.output.LayerNorm")
        self.inner = model.dense(model.intermediate_size, "intermediate.dense", model.hidden_act)
        self.outer = model.dense(width, "output.dense")
        self.last_norm = model.layer_norm("output.LayerNorm")
        self.dropout = model.dropout
        self.drops = [layers.Dropout(self.dropout) for _ in range(2)]

    def build(self, input_shape: Shape) -> None:
        self.generator = random.default.spawn()
        for layer in self.sublayers():
            width = self.inner.units if layer is self.outer else input_shape[-1]
            layer.build_for((None, None, width))

    def call(  # type: ignore[override]
        self, x: Tensor, is_token: Tensor, training: bool | None = None
    ) -> Tensor:
        rows, time, _ = x.shape
        qkv = ops.split(self.qkv(x), 3, axis=-1)
        q, k, v = [ops.reshape(t, (rows, time, self.heads, t.shape[2] // self.heads)) for t in qkv]
        mask = ops.reshape(is_token, (rows, 1, 1, time))
        if training and self.dropout:
            state, offset = self.generator.draw()
            y = ops.dropout_attention(q, k, v, state, mask, rate=self.dropout, draw_offset=offset)
        else:
            y = ops.dot_product_attention(q, k, v, mask=mask)
        x = self.norm(x + self.drops[0](self.projection(ops.reshape(y, x.shape))))
        return self.last_norm(x + self.drops[1](self.outer(self.inner(x))))
