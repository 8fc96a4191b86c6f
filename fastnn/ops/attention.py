"""Scaled dot-product attention."""

from math import sqrt
from typing import Any

import numpy as np

from fastnn import checks
from fastnn.dtypes import BOOL
from fastnn.errors import ShapeError, shape_text
from fastnn.kernels.heads import MAX_DEPTH
from fastnn.kernels.reference import attention as reference

from .arithmetic import add, cast, multiply, where
from .create import arange
from .einsum import einsum
from .functions import as_tensor, public
from .losses import softmax
from .random import a_state, expect_state
from .record import Case, Op, Tolerance, expect_dtype
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


# ---- in one call


def _flops(inputs, outputs, is_causal=False, **_):
    """Of the two products; causal ones are half of them."""
    (batch, length, heads, depth), keys = inputs[0].shape, inputs[1].shape[1]
    products = 2 * batch * heads * length * keys * (depth + inputs[2].shape[3])
    return products // 2 if is_causal else products


def _gradient_flops(inputs, outputs, is_causal=False, **_):
    """Of five products, of which the scores' is one."""
    (batch, length, heads, depth), keys = inputs[0].shape, inputs[1].shape[1]
    products = 2 * batch * heads * length * keys * (3 * depth + 2 * inputs[2].shape[3])
    return products // 2 if is_causal else products


def _outputs(query, key, value, mask):
    """The result; each row's logarithm of the sum of e^scores, for the gradient."""
    dtype = expect_dtype("attention", query=query, key=key, value=value)
    expect_heads(query, key, value)
    batch, length, heads, depth = query.shape
    if max(depth, value.shape[3]) > MAX_DEPTH:
        raise ShapeError(
            f"attention: heads must be of at most {MAX_DEPTH} numbers; got "
            f"{max(depth, value.shape[3])}. ops.dot_product_attention takes any."
        )
    if mask is not None:
        expect_fit("mask", mask, (batch, heads, length, key.shape[1]))
    return [
        ((batch, length, heads, value.shape[3]), dtype),
        ((batch * heads, length), dtype),
    ]


def _attention_infer(query, key, value, mask=None, *, scale=None, is_causal=False):
    if scale is not None:
        checks.real("attention: scale", scale)
    return _outputs(query, key, value, mask)


def _attention_gradient(g, dys, inputs, outputs, **attributes):
    query, key, value, *mask = inputs
    g.gradients((0, 1, 2), _gradient_op, query, key, value, *outputs, dys[0], *mask, **attributes)


def _alike(query, key, value):
    return [(x.shape, x.dtype) for x in (query, key, value)]


_gradient_op = Op(
    "gradient of attention",
    lambda query, key, value, out, sums, dout, mask=None, *, scale=None, is_causal=False: _alike(
        query, key, value
    ),
    kernels="attention_gradient.attention_gradient",
    results=3,
    flops=_gradient_flops,
)


def _shapes(batch, length, keys, heads, groups, depth, value_depth):
    return (
        (batch, length, heads, depth),
        (batch, keys, groups, depth),
        (batch, keys, groups, value_depth),
    )


def _mask(*shape, least=0.4):
    return lambda rng: rng.uniform(size=shape) >= least


# around a micro-tile, a panel, a block of queries and of keys; masks that leave a query nothing
_CASES = [
    Case(_shapes(1, 1, 1, 1, 1, 1, 1)),
    Case(_shapes(2, 15, 33, 4, 2, 5, 7), {"scale": 0.5}, 33),
    Case(_shapes(1, 59, 59, 2, 1, 17, 16), {"is_causal": True}, 59),
    Case(_shapes(1, 9, 5, 1, 1, 33, 3), {"is_causal": True}, 33),
    Case((*_shapes(2, 7, 19, 2, 2, 3, 3), _mask(2, 1, 7, 19, least=0.8)), {"is_causal": True}, 19),
    Case((*_shapes(2, 3, 5, 2, 2, 3, 3), _mask(2, 1, 1, 5)), terms=5),
    Case((*_shapes(2, 3, 5, 2, 2, 3, 3), _mask(2, 3, 1)), terms=5),
    Case(_shapes(1, 3, 521, 1, 1, 2, 2), terms=521),
    Case(_shapes(0, 3, 5, 2, 2, 3, 3)),
    Case(_shapes(2, 0, 5, 2, 2, 3, 3)),
]

attention = Op(
    "attention",
    _attention_infer,
    kernels="attention.attention",
    gradient=_attention_gradient,
    reference=reference.attention,
    cases=_CASES,
    conditions=(3,),
    # e^x of a score rounds with it: of size H / 2 for numbers of size one
    tolerance=Tolerance(absolute=16),
    flops=_flops,
    doc="`dot_product_attention` of heads of at most 512 numbers, without bias, in one call: the "
    "scores are nowhere but in caches. query (B, T, N, H), key (B, S, K, H), value (B, S, K, V), "
    "mask: booleans that broadcast to (B, N, T, S), or left out; the result (B, T, N, V).",
)


# ---- the same with dropout of the weights


def _dropout_infer(
    query, key, value, state, mask=None, *, rate, draw_offset=0, scale=None, is_causal=False
):
    expect_state("dropout_attention", state)
    checks.fraction("dropout_attention: rate", rate)
    if scale is not None:
        checks.real("dropout_attention: scale", scale)
    return _outputs(query, key, value, mask)


def _dropout_gradient(g, dys, inputs, outputs, **attributes):
    query, key, value, *others = inputs
    g.gradients(
        (0, 1, 2), _dropout_gradient_op, query, key, value, *outputs, dys[0], *others, **attributes
    )


_dropout_gradient_op = Op(
    "gradient of dropout_attention",
    lambda query, key, value, out, sums, dout, state, mask=None, *, rate, draw_offset=0, scale=None,
    is_causal=False: _alike(query, key, value),
    kernels="attention_gradient.dropout_attention_gradient",
    results=3,
    flops=_gradient_flops,
)  # fmt: skip

dropout_attention = Op(
    "dropout_attention",
    _dropout_infer,
    kernels="attention.dropout_attention",
    gradient=_dropout_gradient,
    reference=reference.dropout_attention,
    cases=[
        Case(
            (*c.inputs[:3], a_state, *c.inputs[3:]),
            {"rate": 0.3, "draw_offset": 2, **c.attributes},
            c.terms,
        )
        for c in (*_CASES[3:6], Case(_shapes(1, 2, 300, 1, 1, 1, 1), terms=300))
    ],
    conditions=(4,),
    indices=(3,),
    tolerance=Tolerance(absolute=16),
    flops=_flops,
    doc="`attention` with `dropout` of the weights, (B, N, T, S): of those each is zero with "
    "probability `rate`, and the others are multiplied with 1 / (1 - rate), but of a query that "
    "sees no key none. state, draw_offset: as for dropout.",
)


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
    if scale is not None:
        scale = checks.real("dot_product_attention: scale", scale)
    query, key, value = (as_tensor(x) for x in (query, key, value))
    expect_heads(query, key, value)
    scores = (*query.shape[:3:2], query.shape[1], key.shape[1])
    if bias is not None:
        expect_fit("bias", bias := as_tensor(bias), scores)
    if mask is not None:
        mask = as_tensor(mask)
        expect_fit("mask", mask := mask if mask.dtype == BOOL else cast(mask, dtype=BOOL), scores)
    if bias is None and max(query.shape[3], value.shape[3]) <= MAX_DEPTH:
        return attention(query, key, value, mask, scale=scale, is_causal=bool(is_causal))
    scale = 1 / sqrt(max(query.shape[3], 1)) if scale is None else scale
    return composed(query, key, value, bias, mask, scale, bool(is_causal))
