"""GPT-2: a transformer that tells the next token (Radford and others, "Language models are
unsupervised multitask learners", 2019), with Hugging Face's names.

    x = wte[tokens] + wpe[positions]
    x = x + attention(layer norm(x));  x = x + gelu(layer norm(x) W + b) W' + b'    n_layer times
    logits = layer norm(x) wte^T
"""

from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np

from fastnn import checks, initializers, layers, ops, random
from fastnn.devices.choice import where_it_lies
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer, Shape
from fastnn.models import Model
from fastnn.symbolic import Spec
from fastnn.tensor import Tensor

from .huggingface import dotted, put, told

# of Hugging Face's configurations: what is taken, and what may stand there only so
SIZES = (
    "vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "layer_norm_epsilon",
    "initializer_range",
)  # fmt: skip
ONLY = {
    "activation_function": "gelu_new", "add_cross_attention": False,
    "reorder_and_upcast_attn": False, "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True, "tie_word_embeddings": True,
}  # fmt: skip


class GPT2(Model, aliases=None):
    """Logits of the token after each: tokens (B, T) to (B, T, vocab_size), T at most n_positions.
    Those of a place depend on it and the places before it alone.

    vocab_size: how many tokens there are. n_positions: the longest context. n_embd: the width, of
    n_head heads. n_layer: how many blocks. n_inner: the width within their feed-forward part,
    4 n_embd unless given. dropout: of embeddings, attention and what blocks add.
    layer_norm_epsilon: added to variances. initializer_range: the standard deviation of weights at
    first; 1 / sqrt(2 n_layer) of it in what blocks add. Defaults: the smallest published model's.

    >>> import fastnn
    >>> model = fastnn.applications.GPT2(65, n_positions=8, n_embd=16, n_layer=2, n_head=2)
    >>> model([[1, 2, 3]]).shape, model.count_params()
    ((1, 3, 65), 7760)
    """

    not_recorded = (*Model.not_recorded, "_text_readers")

    def __init__(
        self,
        vocab_size: int = 50257,
        n_positions: int = 1024,
        n_embd: int = 768,
        n_layer: int = 12,
        n_head: int = 12,
        n_inner: int | None = None,
        dropout: float = 0.1,
        layer_norm_epsilon: float = 1e-5,
        initializer_range: float = 0.02,
        **base: Any,
    ):
        super().__init__(**base)
        given = vocab_size, n_positions, n_embd, n_layer, n_head
        self.vocab_size, self.n_positions, self.n_embd, self.n_layer, self.n_head = (
            checks.whole_number(f"GPT2: {name}", value, 1)
            for name, value in zip(SIZES, given, strict=False)
        )
        n_inner = 4 * self.n_embd if n_inner is None else n_inner
        self.n_inner = checks.whole_number("GPT2: n_inner", n_inner, 1)
        rows = self.n_layer * (4 * self.n_embd + 2 * self.n_inner)
        rows += self.vocab_size + self.n_positions
        checks.room("GPT2: its sizes", rows * self.n_embd, self.n_layer)
        if n_embd % n_head:
            raise ValueError(f"GPT2: n_head must divide n_embd; got {n_head} and {n_embd}")
        self.dropout = checks.fraction("GPT2: dropout", dropout)
        self.layer_norm_epsilon = checks.positive("GPT2: layer_norm_epsilon", layer_norm_epsilon)
        self.initializer_range = checks.not_negative("GPT2: initializer_range", initializer_range)
        self.wte, self.wpe = self._table(vocab_size, "wte"), self._table(n_positions, "wpe")
        self.drop = layers.Dropout(dropout)
        self.h = [Block(self, name=f"h.{n}", dtype=self.dtype) for n in range(n_layer)]
        self.ln_f = self._norm("ln_f")
        self._text_readers: list[Any] = []  # one, whose steps are recorded, for the next text
        self.build_for((None, None))

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_text_readers": []}

    def _table(self, rows, name):
        initial = initializers.RandomNormal(stddev=self.initializer_range)
        return layers.Embedding(rows, self.n_embd, initial, name=name, dtype=self.dtype)

    def _norm(self, name):
        return layers.LayerNormalization(-1, self.layer_norm_epsilon, name=name, dtype=self.dtype)

    def _dense(self, units, name, share=1.0):
        initial = initializers.RandomNormal(stddev=share * self.initializer_range)
        return layers.Dense(units, kernel_initializer=initial, name=name, dtype=self.dtype)

    def build(self, input_shape: Shape) -> None:
        for layer in (self.wte, self.wpe, *self.h, self.ln_f):
            layer.build_for((None, None, self.n_embd))

    def compute_output_spec(self, inputs: Any, *others: Any, **named: Any) -> Any:
        return Spec((*inputs.shape, self.vocab_size), self.dtype)  # of a length that may be any

    def call(self, inputs: Tensor) -> Tensor:
        if inputs.ndim != 2 or not 1 <= inputs.shape[1] <= self.n_positions:
            raise ShapeError(
                f"GPT2 {self.name!r}: expected tokens, shape (any, from 1 to {self.n_positions}, "
                f"its n_positions); got {shape_text(inputs.shape)}"
            )
        x = self.drop(self.wte(inputs) + self.wpe.embeddings[: inputs.shape[1]])
        for block in self.h:
            x = block(x)
        return self.logits(x)

    def logits(self, x: Tensor) -> Tensor:
        """What the last block gave as logits."""
        return ops.matmul(self.ln_f(x), self.wte.embeddings, transpose_b=True)

    @where_it_lies
    def generate(
        self,
        prompt: Any,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: Any = None,
    ) -> np.ndarray:
        """The prompt (T,), at least one token, and max_new_tokens that go on from it, drawn one by
        one: (T + max_new_tokens,), int64.

        temperature: what logits are divided by; 0 takes the likeliest. top_k: draw from so many of
        the likeliest and what ties with the last of them, as Hugging Face transformers does; None,
        from all. seed: an integer makes the draws a function of it alone; None takes the process's
        generator. Whenever a text is longer than n_positions, the model goes on from its last
        n_positions // 2 tokens as if it began there.

        >>> import fastnn
        >>> model = fastnn.applications.GPT2(9, n_positions=8, n_embd=4, n_layer=1, n_head=1)
        >>> model.generate([1, 2, 3], 12, seed=0).shape
        (15,)
        """
        from .generation import generate

        return generate(self, prompt, max_new_tokens, temperature, top_k, seed)

    @classmethod
    def from_huggingface(cls, config: Any, state_dict: Mapping[str, Any]) -> "GPT2":
        """The model that Hugging Face transformers has of a `GPT2Config`, or a dictionary of it,
        and the `state_dict()` of its GPT2LMHeadModel or GPT2Model: tensors or arrays."""
        config, rate = told("GPT2", config, ONLY, ("resid_pdrop", "embd_pdrop", "attn_pdrop"))
        model = cls(**{name: config[name] for name in SIZES if name in config}, dropout=rate)
        prefix = "transformer." if "transformer.wte.weight" in state_dict else ""
        beyond = f"{prefix}h.{model.n_layer}."
        put(model, state_dict, lambda path: prefix + dotted(path), beyond=beyond)
        return model


class Block(Layer, aliases=None):
    """(B, T, n_embd) to the same: x + attention, x + a feed-forward part, each of a layer norm."""

    def __init__(self, model: GPT2, **base: Any):
        super().__init__(**base)
        width, self.n_head, share = model.n_embd, model.n_head, 1 / sqrt(2 * model.n_layer)
        self.ln_1 = model._norm("ln_1")
        self.c_attn = model._dense(3 * width, "attn.c_attn")
        self.c_proj = model._dense(width, "attn.c_proj", share)
        self.ln_2 = model._norm("ln_2")
        self.c_fc = model._dense(model.n_inner, "mlp.c_fc")
        self.mlp_proj = model._dense(width, "mlp.c_proj", share)
        self.dropout, self.drop = model.dropout, layers.Dropout(model.dropout)

    def build(self, input_shape: Shape) -> None:
        self.generator = random.default.spawn()
        for layer in (self.ln_1, self.c_attn, self.c_proj, self.ln_2, self.c_fc):
            layer.build_for(input_shape)
        self.mlp_proj.build_for((*input_shape[:-1], self.c_fc.units))

    def call(self, x: Tensor, keep: Any = None, training: bool | None = None) -> Tensor:
        """keep: takes keys and values (B, T, n_embd) of x; gives those of all places so far, and
        which of these each place sees, (T, L)."""
        q, k, v = ops.split(self.c_attn(self.ln_1(x)), 3, axis=-1)
        k, v, seen = (k, v, None) if keep is None else keep(k, v)
        n = self.n_head
        q, k, v = [ops.reshape(t, (*t.shape[:2], n, t.shape[2] // n)) for t in (q, k, v)]
        if training and self.dropout:
            state, offset = self.generator.draw()
            y = ops.dropout_attention(
                q, k, v, state, rate=self.dropout, draw_offset=offset, is_causal=True
            )
        else:
            y = ops.dot_product_attention(q, k, v, mask=seen, is_causal=seen is None)
        x = x + self.drop(self.c_proj(ops.reshape(y, x.shape)))
        y = ops.gelu(self.c_fc(self.ln_2(x)), approximate=True)
        return x + self.drop(self.mlp_proj(y))
