"""Scaled dot-product attention."""

import numpy as np

from .random import dropout


def attention(query, key, value, mask=None, scale=None, is_causal=False, bias=None, drop=None):
    """query (B, T, N, H), key (B, S, K, H), value (B, S, K, V); bias and mask broadcast to the
    scores, (B, N, T, S). drop: of the weights."""
    each = query.shape[2] // max(key.shape[2], 1)
    key, value = np.repeat(key, each, axis=2), np.repeat(value, each, axis=2)
    scores = np.einsum("btnh,bsnh->bnts", query, key)
    scores = scores * (1 / np.sqrt(max(query.shape[3], 1)) if scale is None else scale)
    if bias is not None:
        scores = scores + bias
    # of a query that sees no key all weights are the same
    seen = np.ones(scores.shape, bool) if mask is None else np.broadcast_to(mask, scores.shape)
    if is_causal:
        seen = seen & np.tri(*scores.shape[2:], dtype=bool)
    sees_some = seen.any(axis=-1, keepdims=True)
    scores = np.where(seen, scores, np.where(sees_some, -np.inf, 0))
    weights = np.exp(scores - np.max(np.real(scores), axis=-1, keepdims=True, initial=-np.inf))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    weights = weights if drop is None else np.where(sees_some, drop(weights), weights)
    return np.einsum("bnts,bsnv->btnv", weights, value)


def dropout_attention(
    query, key, value, state, mask=None, *, rate, draw_offset=0, scale=None, is_causal=False
):
    def drop(weights):
        return dropout(weights, state, rate, draw_offset)

    return attention(query, key, value, mask, scale, is_causal, drop=drop)
