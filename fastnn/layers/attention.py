"""Attention: of several heads, of heads that share keys, and between sequences as they are."""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any

from fastnn import checks, ops, random
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.base import Layer, Shape
from fastnn.layers.heads import Projected
from fastnn.ops.attention import until_itself
from fastnn.tensor import Tensor

MASKED = 1e9  # Keras's: taken from scores that are not to count


class MultiHeadAttention(Projected):
    """Attention of several heads: each projects queries, keys and values, weighs the values by
    softmax(Q K^T / sqrt(key_dim)), and what the heads find is projected together. Vaswani and
    others, "Attention is all you need", 2017. Arguments and defaults are Keras's.

    Called on query (B, T, C), value (B, S, C') and key (B, S, C''), the value where it is left out;
    gives (B, T, C), or with output_shape (B, T, *output_shape). More dimensions may stand between,
    of which `attention_axes` are attended over, all where it is None.

    num_heads, key_dim: the heads, and of how many numbers a query and a key of each are; value_dim:
    a value, None as many. dropout: of the weights, in training. use_bias: of the projections.
    sliding_window: a query sees keys less than so many steps away. use_gate: what the heads find is
    multiplied with a sigmoid of a projection of the query. flash_attention changes nothing. The
    other arguments are those of each projection.

    `call` takes, besides, query_mask (B, T), value_mask and key_mask (B, S), booleans, where they
    do not come with the tensors (`Masking`, `Embedding`); attention_mask (B, T, S), or (B, N, T,
    S); return_attention_scores: also give the weights (B, N, T, S); use_causal_mask: no query sees
    later keys. Of a query without any key the weights are zero where they are asked for or with
    dropout, else even: so it is in Keras. Unlike in Keras 3.15, a query_mask that is given counts.

    >>> import fastnn
    >>> layer = fastnn.layers.MultiHeadAttention(num_heads=2, key_dim=4)
    >>> x = fastnn.ops.ones((3, 5, 8))
    >>> layer(x, x, use_causal_mask=True).shape
    (3, 5, 8)
    >>> [w.shape for w in layer.weights][:2]
    [(8, 2, 4), (2, 4)]
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **base: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **base)
        self.flash_attention, self.seed = flash_attention, seed
        self.num_heads = checks.whole_number("MultiHeadAttention: num_heads", num_heads, 1)
        self.key_dim = checks.whole_number("MultiHeadAttention: key_dim", key_dim, 1)
        self.value_dim = checks.whole_number(
            "MultiHeadAttention: value_dim", self.key_dim if value_dim is None else value_dim, 1
        )
        self._keep(
            (self.num_heads, self.num_heads, self.key_dim, self.value_dim),
            dropout,
            use_bias,
            sliding_window,
            use_gate,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        if output_shape is not None:
            self.output_shape = checks.extents("MultiHeadAttention: output_shape", output_shape, 1)
        if attention_axes is not None:
            axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
            is_list = isinstance(axes, Iterable) and bool(axes)
            if not is_list or not all([checks.is_whole(a, -inf) for a in axes]):
                raise TypeError(
                    f"{type(self).__name__}: attention_axes must be integers, one at least; got "
                    f"{axes!r}"
                )
            self.attention_axes = tuple([int(axis) for axis in axes])

    def _regularize(self, y):
        """The activity regularizer is that of each projection, not of the result once more."""

    def compute_output_shape(  # type: ignore[override]
        self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None
    ) -> Shape:
        """(B, T, C), or (B, T, *output_shape)."""
        self._expect_shapes([query_shape, value_shape, key_shape or value_shape])
        return (*query_shape[:-1], *(self.output_shape or query_shape[-1:]))


class GroupQueryAttention(Projected):
    """`MultiHeadAttention` in which several heads of queries share one of keys and values. Ainslie
    and others, "GQA: training generalized multi-query transformer models", 2023. Arguments and
    defaults are Keras's.

    Called on query (B, T, C), value (B, S, C') and key (B, S, C''), with what else that takes;
    gives (B, T, C). head_dim: of how many numbers a query, a key and a value of each head are.
    num_query_heads: a multiple of num_key_value_heads. Other arguments are those of
    `MultiHeadAttention`.

    >>> import fastnn
    >>> layer = fastnn.layers.GroupQueryAttention(4, num_query_heads=6, num_key_value_heads=2)
    >>> x = fastnn.ops.ones((3, 5, 8))
    >>> layer(x, x).shape, layer.key_dense.kernel.shape
    ((3, 5, 8), (8, 2, 4))
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **base: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **base)
        self.flash_attention, self.seed, name = flash_attention, seed, type(self).__name__
        self.head_dim = checks.whole_number(f"{name}: head_dim", head_dim, 1)
        self.num_query_heads = checks.whole_number(f"{name}: num_query_heads", num_query_heads, 1)
        self.num_key_value_heads = checks.whole_number(
            f"{name}: num_key_value_heads", num_key_value_heads, 1
        )
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(
                f"{name}: num_query_heads must be a multiple of num_key_value_heads; got "
                f"{num_query_heads} and {num_key_value_heads}"
            )
        self._keep(
            (self.num_query_heads, self.num_key_value_heads, self.head_dim, self.head_dim),
            dropout,
            use_bias,
            sliding_window,
            use_gate,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )

    def _expect_shapes(self, shapes):
        found = super()._expect_shapes(shapes)
        if len(found[0]) != 3:
            raise ShapeError(
                f"GroupQueryAttention {self.name!r}: query, value and key must have three "
                f"dimensions; got {' and '.join(map(shape_text, found))}"
            )
        return found

    def compute_output_shape(  # type: ignore[override]
        self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None
    ) -> Shape:
        """(B, T, C)."""
        self._expect_shapes([query_shape, value_shape, key_shape or value_shape])
        return tuple(query_shape)


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
