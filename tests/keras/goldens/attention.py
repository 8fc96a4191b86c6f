"""Calls of layers of attention, for Keras and fastnn: class, arguments, shapes of query, value and
key, arguments of the call. Weights and inputs are drawn from a seed, so that only results stand in
attention.npz."""

import numpy as np

MASKS = {"query": (2, 5), "value": (2, 4), "key": (2, 4), "attention": (2, 5, 4)}
HEADS = ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3})
GROUPS = ("GroupQueryAttention", {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2})
SHAPES = ((2, 5, 6), (2, 4, 7))
SAME = ((2, 5, 6), (2, 5, 6))
SCORES = {"return_attention_scores": True}
CAUSAL = {"use_causal_mask": True}
DOT = ("Attention", {})
ADDITIVE = ("AdditiveAttention", {})
PLAIN = ((2, 5, 6), (2, 4, 3), (2, 4, 6))

# (layer, shapes, arguments of the call, masks)
CASES = {
    "heads": (*HEADS, SHAPES, {}, ()),
    "heads, key": (*HEADS, (*SHAPES, (2, 4, 9)), {}, ()),
    "heads, value_dim": (HEADS[0], {**HEADS[1], "value_dim": 5}, SHAPES, {}, ()),
    "heads, output_shape": (HEADS[0], {**HEADS[1], "output_shape": (3, 2)}, SHAPES, {}, ()),
    "heads, no bias": (HEADS[0], {**HEADS[1], "use_bias": False}, SAME, CAUSAL, ()),
    "heads, causal": (*HEADS, SHAPES, CAUSAL, ()),
    "heads, scores": (*HEADS, SHAPES, SCORES, ()),
    "heads, causal scores": (*HEADS, SHAPES, {**CAUSAL, **SCORES}, ()),
    "heads, masks": (*HEADS, SHAPES, {}, ("query", "value", "attention")),
    "heads, masks and causal": (*HEADS, SHAPES, CAUSAL, ("value", "attention")),
    "heads, masks, scores": (*HEADS, SHAPES, SCORES, ("query", "value")),
    "heads, key mask": (*HEADS, (*SHAPES, (2, 4, 9)), {}, ("key",)),
    "heads, dropout": (HEADS[0], {**HEADS[1], "dropout": 0.5}, SHAPES, {}, ("query", "value")),
    "heads, window": (HEADS[0], {**HEADS[1], "sliding_window": 2}, SAME, CAUSAL, ()),
    "heads, gate": (HEADS[0], {**HEADS[1], "use_gate": True}, SAME, {}, ()),
    "heads, 4d": (*HEADS, ((2, 3, 5, 6), (2, 3, 4, 7)), SCORES, ()),
    "heads, 4d, one axis": (
        HEADS[0], {**HEADS[1], "attention_axes": (2,)}, ((2, 3, 5, 6), (2, 3, 4, 7)), SCORES, (),
    ),
    "heads, 4d, negative axis": (
        HEADS[0], {**HEADS[1], "attention_axes": -2}, ((2, 3, 5, 6), (2, 3, 4, 7)), {}, (),
    ),
    "groups": (*GROUPS, SHAPES, {}, ()),
    "groups, causal": (*GROUPS, SAME, CAUSAL, ()),
    "groups, scores": (*GROUPS, SHAPES, {**CAUSAL, **SCORES}, ()),
    "groups, masks": (*GROUPS, SHAPES, {}, ("query", "value", "attention")),
    "groups, one": (GROUPS[0], {**GROUPS[1], "num_key_value_heads": 1}, SHAPES, {}, ()),
    "groups, gate": (GROUPS[0], {**GROUPS[1], "use_gate": True}, SAME, {}, ()),
    "groups, dropout": (GROUPS[0], {**GROUPS[1], "dropout": 0.5}, SHAPES, {}, ("query", "value")),
    "dot": (*DOT, PLAIN, SCORES, ()),
    "dot, scale": (DOT[0], {"use_scale": True}, PLAIN, CAUSAL, ()),
    "dot, concat": (DOT[0], {"score_mode": "concat", "use_scale": True}, PLAIN, {}, ()),
    "dot, masks": (*DOT, PLAIN, {**SCORES, **CAUSAL}, ("query", "value")),
    "additive": (*ADDITIVE, PLAIN, SCORES, ()),
    "additive, no scale": (ADDITIVE[0], {"use_scale": False}, PLAIN[:1] + PLAIN[2:], {}, ()),
    "additive, masks": (*ADDITIVE, PLAIN, {**SCORES, **CAUSAL}, ("query", "value")),
}  # fmt: skip


def results(layers, case, tensor, with_mask, array=np.asarray):
    """What a layer of `layers` gives, as arrays; tensor: an array as one; with_mask(tensor, mask):
    a tensor with a mask as `Masking` gives it one. Then the shapes of its weights."""
    name, arguments, shapes, call, masked = case
    rng = np.random.default_rng(7)
    inputs = [tensor(rng.normal(size=shape).astype("float32")) for shape in shapes]
    masks = {which: rng.uniform(size=MASKS[which]) > 0.4 for which in masked}
    if "query" in masks:
        masks["query"][0, 1] = False
    layer = getattr(layers, name)(**arguments)
    is_plain = name in ("Attention", "AdditiveAttention")
    for place, which in enumerate(("query", "value", "key")):
        if which in masks:
            inputs[place] = with_mask(inputs[place], masks[which])
    if "attention" in masks:
        call = {**call, "attention_mask": masks["attention"]}
    layer.build(
        [x.shape for x in inputs] if is_plain else inputs[0].shape,
        *([] if is_plain else [x.shape for x in inputs[1:]]),
    )
    weights = [rng.normal(size=w.shape).astype("float32") for w in layer.trainable_weights]
    for variable, value in zip(layer.trainable_weights, weights, strict=True):
        variable.assign(value)
    found = layer(inputs, **call) if is_plain else layer(*inputs, **call)
    found = list(found) if isinstance(found, list | tuple) else [found]
    shapes = np.array([str(tuple(w.shape)) for w in layer.trainable_weights])
    return [array(x) for x in found], shapes
