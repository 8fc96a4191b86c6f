"""Attention between sequences as they are, without projections: dot-product and additive."""

from typing import Any

from fastnn import checks, ops, random
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer
from fastnn.ops.attention import until_itself
from fastnn.tensor import Tensor

MASKED = 1e9  # Keras's: taken from scores that are not to count


class Attention(Layer):
    """softmax(scores) value, the scores those of each query and each key: their product, or with
    score_mode "concat" the sum of tanh(query + key). Luong and others, "Effective approaches to
    attention-based neural machine translation", 2015. Arguments and defaults are Keras's.

    Called on a list: query (B, T, C), value (B, S, V) and key (B, S, C), the value where it is left
    out; the result (B, T, V). use_scale: multiply with a number that is learned, the scores or,
    with "concat", what the tanh is of. dropout: of the weights, in training.

    `call` takes besides a mask, a list of those of query (B, T), whose rows become zero, and value
    (B, S), where they do not come with the tensors; return_attention_scores: also give the weights
    (B, T, S); use_causal_mask: no query sees later keys.

    >>> import fastnn
    >>> query, value = fastnn.ops.zeros((1, 1, 2)), fastnn.tensor([[[1.0, 0.0], [3.0, 2.0]]])
    >>> fastnn.layers.Attention()([query, value]).numpy()
    array([[[2., 1.]]], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **base: Any,
    ):
        super().__init__(**base)
        name = type(self).__name__
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"{name}: score_mode must be 'dot' or 'concat'; got {score_mode!r}")
        self.use_scale, self.score_mode = bool(use_scale), score_mode
        self.dropout, self.seed = checks.fraction(f"{name}: dropout", dropout), seed

    def build(self, input_shape: Any) -> None:
        self._expect_list("inputs", input_shape)
        self.scale = self.concat_score_weight = None
        self._add_scales(input_shape[0][-1])
        if self.dropout > 0:
            self.generator = (
                random.default.spawn() if self.seed is None else random.Generator(self.seed)
            )

    def _add_scales(self, depth):
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def _expect_list(self, what, given):
        """Raise unless it is a list of two or three."""
        is_list = isinstance(given, list | tuple)
        if is_list and what == "inputs":  # a shape is no list of shapes, nor a row a tensor
            is_list = all([hasattr(x, "shape") or isinstance(x, list | tuple) for x in given])
        if not is_list or not 2 <= len(given) <= 3:
            got = f"a list of {len(given)}" if is_list else type(given).__name__
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: {what} must be a list, of query and value, "
                f"or of query, value and key; got {got}"
            )

    def _calculate_scores(self, query: Tensor, key: Tensor) -> Tensor:
        """(B, T, S), of query (B, T, C) and key (B, S, C)."""
        if self.score_mode == "dot":
            scores = ops.matmul(query, key, transpose_b=True)
            return scores if self.scale is None else scores * self.scale
        both = ops.expand_dims(query, -2) + ops.expand_dims(key, -3)
        both = both if self.scale is None else both * self.scale
        return self.concat_score_weight * ops.sum(ops.tanh(both), axis=-1)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._expect_list("inputs", inputs)
        if mask is not None:
            self._expect_list("mask", mask)
        query, value, key = inputs[0], inputs[1], inputs[-1]
        query_mask, value_mask = (
            (None if m is None else ops.cast(m, "bool") for m in mask[:2]) if mask else (None, None)
        )
        fits = query.ndim == value.ndim == key.ndim >= 3 and value.shape[-2] == key.shape[-2]
        if not fits or query.shape[-1] != key.shape[-1]:
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}: query must be (B, T, C), value (B, S, V), "
                f"key (B, S, C); got {', '.join([shape_text(x.shape) for x in inputs])}"
            )
        scores = self._calculate_scores(query, key)
        counts = None
        if use_causal_mask:
            counts = until_itself(*scores.shape[-2:])
        if value_mask is not None:
            value_mask = ops.expand_dims(value_mask, -2)
            counts = value_mask if counts is None else ops.logical_and(value_mask, counts)
        if counts is not None:
            scores = ops.where(counts, scores, scores - MASKED)
        weights = ops.softmax(scores)
        kept = weights
        if training and self.dropout > 0:
            state, draw_offset = self.generator.draw()
            kept = ops.dropout(weights, state, rate=self.dropout, draw_offset=draw_offset)
        found = ops.matmul(kept, value)
        if query_mask is not None:
            found = ops.where(ops.expand_dims(query_mask, -1), found, 0.0)
        return (found, weights) if return_attention_scores else found

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The query's."""
        return None if mask is None else mask[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(B, T, V)."""
        return (*input_shape[0][:-1], input_shape[1][-1])


class AdditiveAttention(Attention):
    """`Attention` whose scores are the sum of scale tanh(query + key), (C,) numbers that are
    learned, or 1 where use_scale is False. Bahdanau and others, "Neural machine translation by
    jointly learning to align and translate", 2015. Arguments and defaults are Keras's.

    >>> import fastnn
    >>> query, value = fastnn.ops.zeros((1, 1, 2)), fastnn.tensor([[[1.0, 1.0], [1.0, 1.0]]])
    >>> fastnn.layers.AdditiveAttention()([query, value]).numpy()
    array([[[1., 1.]]], dtype=float32)
    """

    def __init__(
        self, use_scale: bool = True, dropout: float = 0.0, seed: int | None = None, **base: Any
    ):
        super().__init__(use_scale=use_scale, dropout=dropout, seed=seed, **base)

    def _add_scales(self, depth):
        if self.use_scale:
            self.scale = self.add_weight((depth,), "glorot_uniform", name="scale")

    def _calculate_scores(self, query: Tensor, key: Tensor) -> Tensor:
        both = ops.tanh(ops.expand_dims(query, -2) + ops.expand_dims(key, -3))
        return ops.sum(both if self.scale is None else both * self.scale, axis=-1)
