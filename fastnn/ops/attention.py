"""Scaled dot-product attention."""

from math import sqrt
from typing import Any

import numpy as np

from fastnn.dtypes import BOOL
from fastnn.errors import ShapeError, shape_text

from .arithmetic import add, cast, multiply, where
from .create import arange
from .einsum import einsum
from .functions import as_tensor, public
from .losses import softmax
from .shapes import reshape

# What stands where no key is seen, Keras's: of a row of such scores the softmax is even
MASKED = -0.7 * float(np.float32(3.38953e38))


def expect_heads(query: Any, key: Any, value: Any) -> None:
    """Raise unless they are (B, T, N, H), (B, S, K, H) and (B, S, K, V), N a multiple of K."""
    shapes = query.shape, key.shape, value.shape
    fit = all([len(shape) == 4 for shape in shapes])
    if fit:
        (batch, _, heads, depth), (_, _, groups, _), _ = shapes
        fit = (
            key.shape == (batch, *key.shape[1:3], depth)
            and value.shape[:3] == key.shape[:3]
            and ((groups > 0 and heads % groups == 0) or heads == groups)
        )
    if not fit:
        raise ShapeError(
            "dot_product_attention: query, key and value must be (B, T, N, H), (B, S, K, H) and "
            f"(B, S, K, V), N a multiple of K; got {', '.join(map(shape_text, shapes))}"
        )


def expect_fit(argument: str, x: Any, scores: tuple[int, ...]) -> None:
    """Raise unless a mask or bias broadcasts to the scores, (B, N, T, S)."""
    fit = zip(x.shape[::-1], scores[::-1], strict=False)
    if len(x.shape) > 4 or any([own not in (1, extent) for own, extent in fit]):
        raise ShapeError(
            f"dot_product_attention: {argument} must broadcast to the scores, (B, N, T, S) = "
            f"{shape_text(scores)}; got {shape_text(x.shape)}"
        )


def in_groups(x: Any, groups: int) -> Any:
    """What broadcasts to (B, N, T, S) as what broadcasts to (B, K, N / K, T, S)."""
    shape = (1,) * (4 - len(x.shape)) + x.shape
    heads = (1, 1) if shape[1] == 1 else (groups, shape[1] // max(groups, 1))
    return reshape(x, newshape=(shape[0], *heads, *shape[2:]))


def until_itself(length: int, keys: int) -> Any:
    """(T, S) booleans: which keys stand no later than the query of their row."""
    return reshape(arange(length), newshape=(length, 1)) >= arange(keys)


def composed(
    query: Any, key: Any, value: Any, bias: Any, mask: Any, scale: float, is_causal: bool
) -> Any:
    """Attention made of products, a softmax and a choice, with all scores in memory."""
    batch, length, heads, depth = query.shape
    keys, groups = key.shape[1:3]
    each = heads // max(groups, 1)
    query = reshape(query, newshape=(batch, length, groups, each, depth))
    scores = multiply(einsum("btkgh,bskh->bkgts", query, key), scale)
    if bias is not None:
        bias = bias if bias.dtype == scores.dtype else cast(bias, dtype=scores.dtype)
        scores = add(scores, in_groups(bias, groups))
    if is_causal:
        scores = where(until_itself(length, keys), scores, MASKED)
    if mask is not None:
        scores = where(in_groups(mask, groups), scores, MASKED)
    found = einsum("bkgts,bskh->btkgh", softmax(scores), value)
    return reshape(found, newshape=(batch, length, heads, value.shape[3]))


@public()
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    """softmax(scale Q K^T + bias) V for each head: what a query finds among the values, by how its
    product with each key compares. Vaswani and others, "Attention is all you need", 2017.

    query: (B, T, N, H); key: (B, S, K, H); value: (B, S, K, V); the result: (B, T, N, V). N a
    multiple of K: so many heads of queries share one of keys (Ainslie and others, "GQA", 2023).
    bias: what broadcasts to the scores, (B, N, T, S), and is added. mask: booleans that do; where
    False, a query does not see the key. is_causal: query t sees the keys 0 to t alone. scale: None
    is 1 / sqrt(H). A query that sees no key has the mean of all values, as on Keras's TensorFlow
    and JAX; its gradient goes to these alone. Keras's arguments; flash_attention changes nothing,
    and attn_logits_soft_cap, of TPUs, must be None.

    >>> from fastnn import ops
    >>> q = k = [[[[0.0, 1.0]], [[4.0, 0.0]]]]  # one sequence of two queries, one head
    >>> ops.dot_product_attention(q, k, [[[[1.0]], [[2.0]]]], is_causal=True).shape
    (1, 2, 1, 1)
    """
    if attn_logits_soft_cap is not None:
        raise ValueError(
            "dot_product_attention: attn_logits_soft_cap is of TPUs; got "
            f"{attn_logits_soft_cap!r}, expected None"
        )
    query, key, value = (as_tensor(x) for x in (query, key, value))
    expect_heads(query, key, value)
    scores = (*query.shape[:3:2], query.shape[1], key.shape[1])
    if bias is not None:
        expect_fit("bias", bias := as_tensor(bias), scores)
    if mask is not None:
        mask = as_tensor(mask)
        expect_fit("mask", mask := mask if mask.dtype == BOOL else cast(mask, dtype=BOOL), scores)
    scale = 1 / sqrt(max(query.shape[3], 1)) if scale is None else float(scale)
    return composed(query, key, value, bias, mask, scale, bool(is_causal))
