"""`ops.dot_product_attention`: values and gradients, what a query without keys has, what is
refused."""

from functools import partial

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import ShapeError
from fastnn.kernels.reference.attention import attention as reference
from fastnn.ops.attention import composed

RNG = np.random.default_rng(0)


def drawn(batch, length, keys, heads, groups, depth, value_depth):
    return (
        RNG.normal(size=(batch, length, heads, depth)),
        RNG.normal(size=(batch, keys, groups, depth)),
        RNG.normal(size=(batch, keys, groups, value_depth)),
    )


MASK = RNG.uniform(size=(2, 1, 5, 6)) > 0.4
MASK[0, 0, 0] = False
BIAS = RNG.normal(size=(4, 5, 6))


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2, 5, 6, 4, 4, 3, 7), {}),
        ((2, 5, 6, 4, 2, 3, 3), {"is_causal": True, "scale": 0.25}),
        ((2, 5, 6, 4, 1, 3, 3), {"mask": MASK}),
        ((2, 5, 6, 4, 2, 3, 3), {"mask": MASK, "is_causal": True}),
        ((2, 5, 6, 4, 2, 3, 3), {"bias": BIAS, "mask": MASK[:, :, :1], "is_causal": True}),
        ((2, 5, 6, 4, 2, 3, 3), {"mask": np.repeat(MASK, 4, 1)}),
        ((2, 0, 6, 4, 2, 3, 3), {}),
        ((2, 5, 0, 4, 2, 3, 3), {}),
        ((2, 5, 0, 4, 2, 3, 3), {"bias": BIAS[:, :, :0]}),
        ((0, 5, 6, 4, 2, 3, 3), {"is_causal": True}),
        ((2, 5, 6, 4, 2, 1, 1), {}),
    ],
)
def test_values_and_gradients_are_the_references(shape, options):
    arrays = drawn(*shape)
    expected = reference(*arrays, **options)
    for dtype in ("float32", "float64"):
        found = ops.dot_product_attention(*(a.astype(dtype) for a in arrays), **options)
        assert (found.shape, found.dtype) == (expected.shape, dtype)
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=64 * eps)
    weights = RNG.normal(size=expected.shape)

    def loss(*tensors):
        return ops.sum(ops.dot_product_attention(*tensors, **options) * weights)

    fastnn.gradcheck(loss, [fastnn.tensor(a) for a in arrays])


def test_a_query_without_keys_has_the_mean_of_all_values():
    query, key, value = drawn(1, 2, 3, 1, 1, 4, 4)
    mask = np.array([[True, True, False], [False, False, True]])
    tensors = [fastnn.tensor(a, requires_gradient=True) for a in (query, key, value)]
    found = ops.dot_product_attention(*tensors, mask=mask, is_causal=True)
    np.testing.assert_allclose(found.numpy()[0, 1, 0], value[0, :, 0].mean(0), rtol=1e-14)
    ops.sum(found[:, 1:]).backward()
    assert not tensors[0].gradient.numpy()[0, 1].any()
    assert not tensors[1].gradient.numpy().any()
    np.testing.assert_allclose(tensors[2].gradient.numpy(), 1 / 3, rtol=1e-14)


Q, K, V = drawn(2, 5, 6, 4, 2, 3, 3)
attend = ops.dot_product_attention


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: attend(Q[0], K, V), ShapeError, r"\(B, T, N, H\).* got \(5, 4, 3\)"),
        (lambda: attend(Q[:, :, :3], K, V), ShapeError, "N a multiple of K"),
        (lambda: attend(Q, K, V[:, :4]), ShapeError, "must be"),
        (lambda: attend(Q, K, V, mask=MASK[:, 0]), ShapeError,
         r"mask must broadcast to the scores, \(B, N, T, S\) = \(2, 4, 5, 6\); got \(2, 5, 6\)"),
        (lambda: attend(Q, K, V, bias=BIAS[:3]), ShapeError, "bias must broadcast"),
        (lambda: attend(Q, K, V, attn_logits_soft_cap=2.0), ValueError, "of TPUs"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "shape",
    [
        (1, 70, 300, 2, 1, 33, 5),
        pytest.param((2, 150, 1100, 4, 2, 130, 300), marks=pytest.mark.slow),
    ],
)
def test_keys_of_several_blocks_are_joined_to_the_same_bits_on_threads(shape):
    """What one call gives of them, and its gradients, are those of scores in memory."""
    mask = np.random.default_rng(1).uniform(size=(shape[0], 1, *shape[1:3])) > 0.5
    mask[0, 0, 1], mask[0, 0, 2, 256:] = False, False
    given = [np.random.default_rng(n).normal(size=a.shape) for n, a in enumerate(drawn(*shape))]
    query, key, value = variables = [fastnn.Variable(a, dtype="float64") for a in given]
    hidden = fastnn.tensor(mask)

    def step(attend, is_causal):
        for variable in variables:
            variable.gradient = None
        y = attend(query, key, value, None, hidden, shape[5] ** -0.5, is_causal)
        ops.sum(y * np.cos(np.arange(y.size)).reshape(y.shape)).backward()
        return y, *[variable.gradient for variable in variables]

    for causal in (False, True):
        expected = [y.numpy() for y in step(composed, causal)]
        found = [step(attend, causal)]
        for threads in (1, 2):
            fastnn.set_threads(threads)
            found.append(fastnn.record(partial(step, attend, causal))())
        for other, one, *others in zip(expected, *found, strict=True):
            np.testing.assert_allclose(one.numpy(), other, rtol=0, atol=1e-12)
            assert all(y.numpy().tobytes() == one.numpy().tobytes() for y in others)
