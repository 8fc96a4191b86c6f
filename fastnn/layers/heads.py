"""What layers of attention of several heads share: projections, masks, how they attend."""

from collections.abc import Sequence
from inspect import signature
from math import sqrt
from typing import Any

import numpy as np

from fastnn import checks, ops, random
from fastnn.errors import ShapeError, shape_text
from fastnn.layers.activations import masked_softmax
from fastnn.layers.base import Layer
from fastnn.layers.building import tuple_of
from fastnn.layers.einsum import EinsumDense
from fastnn.ops.attention import until_itself
from fastnn.symbolic import arena_of, is_symbolic
from fastnn.tensor import Tensor, mask_of

LETTERS = "abcdefghijklmnopqrstuvwxyz"


# what the projections take of a layer's arguments
PROJECTION = (
    "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer",
    "activity_regularizer", "kernel_constraint", "bias_constraint", "dtype",
)  # fmt: skip


def _both(mask, other):
    """What two masks have, either of which may be none."""
    return other if mask is None else mask if other is None else ops.logical_and(mask, other)


def _causal(query, key):
    return ops.expand_dims(until_itself(query.shape[1], key.shape[1]), 0)


class Projected(Layer, aliases=None):
    """What layers share that make queries, keys and values of what they are given, attend, and
    project what is found. Layers of it: `query_dense`, `key_dense`, `value_dense`, `output_dense`,
    in that order, and with a gate `gate_dense` before the values'."""

    supports_masking = True
    unwritten: tuple[str, ...] = ("activity_regularizer", "flash_attention")
    attention_axes: Sequence[int] | None = None
    output_shape: tuple[int, ...] | None = None
    seed: int | None

    def _keep(self, heads, dropout, use_bias, sliding_window, use_gate, **others):
        """Keep arguments. heads: of queries, of keys; the numbers of a query, of a value."""
        name, self._heads = type(self).__name__, heads
        for size in heads[2:]:
            checks.extents(f"{name}: heads and their dimensions", (heads[0], size))
        self.dropout = checks.fraction(f"{name}: dropout", dropout)
        self.use_bias, self.use_gate, self.sliding_window = bool(use_bias), bool(use_gate), None
        if sliding_window is not None:
            window = checks.whole_number(f"{name}: sliding_window", sliding_window, 1)
            self.sliding_window = checks.extents(f"{name}: sliding_window", window)[0]
        self.take(**others)

    # ---- building, for three shapes

    def __call__(  # type: ignore[override]
        self, query: Any, value: Any, key: Any = None, *others: Any, **named: Any
    ) -> Any:
        return super().__call__(*self._built_for_inputs(query, value, key, others), **named)

    def compute_output_spec(  # type: ignore[override]
        self, query: Any, value: Any, key: Any = None, *others: Any, **named: Any
    ) -> Any:
        given = self._built_for_inputs(query, value, key, others)
        return super().compute_output_spec(*given, **named)

    def _built_for_inputs(self, query, value, key, others):
        """Build for these if it is not built; the arguments."""
        if not self.built:
            given = [query, value, value if key is None else key]
            shapes = [x.shape if hasattr(x, "shape") else np.shape(x) for x in given]
            arena = arena_of([x for x in given if is_symbolic(x)])
            self.build_for([(None, *shape[1:]) for shape in shapes], arena)  # type: ignore[arg-type]
        return (query, value) if key is None and not others else (query, value, key, *others)

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build with what `get_build_config` gave, or Keras's."""
        if "shapes_dict" in config:
            self.build(**{name: tuple_of(shape) for name, shape in config["shapes_dict"].items()})
        super().build_from_config(config)

    def build(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> None:
        """Make the weights for these shapes; without the last, of the values', for keys too."""
        if value_shape is not None:  # as a program calls it; else a list of the three
            key_shape = value_shape if key_shape is None else key_shape
            self.build_for([query_shape, value_shape, key_shape])  # type: ignore[arg-type]
            return
        query, value, key = self._expect_shapes(query_shape)
        heads, groups, depth, value_depth = self._heads
        rank = len(query)
        self._axes = tuple(
            range(1, rank - 1)
            if self.attention_axes is None
            else [axis if axis >= 0 else rank + axis for axis in self.attention_axes]
        )
        if not all([0 < axis < rank - 1 for axis in self._axes]):
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}: attention_axes must lie between the rows "
                f"and the features of {shape_text(query)}; got {self.attention_axes}"
            )
        if self.dropout > 0:
            self.generator = (
                random.default.spawn() if self.seed is None else random.Generator(self.seed)
            )
        self.query_dense = self._dense("query", query, (heads, depth))
        self.key_dense = self._dense("key", key, (groups, depth))
        if self.use_gate:
            self.gate_dense = self._dense("gate", query, (heads, value_depth), "sigmoid")
        self.value_dense = self._dense("value", value, (groups, value_depth))
        found = (*query[:-1], heads, value_depth)
        self.output_dense = self._dense(
            "attention_output", found, self.output_shape or query[-1:], inner=2
        )

    def _expect_shapes(self, shapes):
        are_three = len(shapes) == 3 and all([isinstance(s, tuple | list) for s in shapes])
        if are_three:
            query, value, key = shapes
            if len(query) == len(value) == len(key) >= 3 and value[1:-1] == key[1:-1]:
                return [tuple(shape) for shape in shapes]
        got = " and ".join(map(shape_text, shapes)) if are_three else shape_text(shapes)
        raise ShapeError(
            f"{type(self).__name__} {self.name!r}: takes shapes of a query (B, T, C), a value "
            f"(B, S, C) and a key (B, S, C), with one S; got {got}"
        )

    def _dense(self, name, shape, outer, activation=None, inner=1):
        """A projection, built, of the last `inner` dimensions of a shape to `outer`."""
        rank = len(shape)
        kept, summed = LETTERS[: rank - inner], LETTERS[rank - inner : rank]
        made = LETTERS[rank : rank + len(outer)]
        layer = EinsumDense(
            f"{kept}{summed},{summed}{made}->{kept}{made}",
            (*[None] * (len(kept) - 1), *outer),
            activation,
            made if self.use_bias else None,
            name=name,
            **{argument: getattr(self, argument) for argument in PROJECTION},
        )
        layer.supports_masking = True  # rather than warn of a mask that is used here
        layer.build_for((*[None] * len(kept), *shape[rank - inner :]), self.arena())
        return layer

    # ---- masks

    def _compute_attention_mask(
        self,
        query: Tensor,
        value: Tensor,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """What of all masks together stays, (B, T, S) or what broadcasts to it; None without."""
        query_mask, value_mask, key_mask, found = (
            mask if mask is None else ops.cast(ops.convert_to_tensor(mask), "bool")
            for mask in (query_mask, value_mask, key_mask, attention_mask)
        )
        if query_mask is not None:
            found = _both(found, ops.expand_dims(query_mask, -1))
        for mask in (value_mask, key_mask):
            if mask is not None:
                found = _both(found, ops.expand_dims(mask, -2))
        if use_causal_mask:
            found = _both(found, _causal(query, value))
        if self.sliding_window is not None:
            rows = ops.expand_dims(ops.arange(query.shape[1]), (0, 2))
            apart = abs(rows - ops.arange(value.shape[1]))
            found = _both(found, apart < self.sliding_window)
        return found

    # ---- attending

    def call(  # type: ignore[override]
        self,
        query: Tensor,
        value: Tensor,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        how: dict[str, Any] = {
            "training": training,
            "return_attention_scores": return_attention_scores,
            "use_causal_mask": use_causal_mask,
        }
        is_own = type(self)._compute_attention is not Projected._compute_attention
        if is_own:  # a program's, which may know of a mask alone
            known = signature(self._compute_attention).parameters
            how = {name: value for name, value in how.items() if name in known}
            how.pop("use_causal_mask", None)
        mask = self._compute_attention_mask(
            query,
            value,
            mask_of(query) if query_mask is None else query_mask,
            mask_of(value) if value_mask is None else value_mask,
            mask_of(key) if key_mask is None else key_mask,
            attention_mask,
            use_causal_mask and is_own,
        )
        found, scores = self._compute_attention(
            self.query_dense(query),
            self.key_dense(value if key is None else key),
            self.value_dense(value),
            mask,
            **how,
        )
        found = self.output_dense(found * self.gate_dense(query) if self.use_gate else found)
        return (found, scores) if return_attention_scores else found

    def _in_one_call(self, query, key, value, mask, scale, is_causal, training):
        if training and self.dropout > 0:
            state, draw_offset = self.generator.draw()
            drawn = {"rate": self.dropout, "draw_offset": draw_offset}
            found = ops.dropout_attention(
                query, key, value, state, mask, **drawn, scale=scale, is_causal=is_causal
            )
        else:
            found = ops.dot_product_attention(query, key, value, None, mask, scale, is_causal)
        if self.dropout == 0 or mask is None:
            return found
        # of a query without keys Keras then makes zeros, where the op has the mean of all values
        sees = ops.any(_both(mask, _causal(query, key)) if is_causal else mask, axis=-1)
        return ops.where(ops.expand_dims(ops.swapaxes(sees, 1, 2), -1), found, 0.0)

    def _compute_attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Any = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[Any, Any]:
        """What the heads find, (B, T, N, H), and the weights if they are asked for. A class of
        one's own may have another."""
        heads, groups, depth, _ = self._heads
        scale, mask, rank = 1 / sqrt(depth), attention_mask, query.ndim
        if rank == 4 and not return_attention_scores:
            if mask is not None and mask.ndim == 3:
                mask = ops.expand_dims(mask, 1)
            return self._in_one_call(
                query, key, value, mask, scale, use_causal_mask, training
            ), None
        if groups != heads:
            key, value = (ops.repeat(x, heads // groups, axis=2) for x in (key, value))
        if use_causal_mask:
            mask = _both(mask, _causal(query, key))
        # the axes that are attended over have other letters in the keys than in the queries
        target, axes = LETTERS[:rank], self._axes
        source = "".join([LETTERS[rank + i] if i in axes else target[i] for i in range(rank)])
        made = "".join([target[i] for i in range(rank - 1) if i not in axes])
        made += "".join([target[i] for i in axes]) + "".join([source[i] for i in axes])
        scores = ops.einsum(f"{source},{target}->{made}", key, query * scale)
        while mask is not None and 2 * len(axes) <= mask.ndim < len(made):
            mask = ops.expand_dims(mask, -2 * len(axes) - 1)  # of heads, and of the batch
        weights = masked_softmax(self, scores, mask, tuple(range(-len(axes), 0)))
        kept = weights
        if training and self.dropout > 0:
            state, draw_offset = self.generator.draw()
            kept = ops.dropout(weights, state, rate=self.dropout, draw_offset=draw_offset)
        return ops.einsum(f"{made},{source}->{target}", kept, value), weights
