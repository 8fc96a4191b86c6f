"""JAX's models: a step is one jitted function, whose weights and moments are donated. Images are
channels last."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from bench.kinds import Train

RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7
WIDTH, HEADS = 128, 4  # of transformers
DENSE = (WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)  # of a block


def adam(weights: Any, gradients: Any, means: Any, squares: Any, t: jax.Array) -> tuple:
    scale = RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
    tree_map = jax.tree_util.tree_map
    means = tree_map(lambda m, g: m + (g - m) * (1 - BETA_1), means, gradients)
    squares = tree_map(lambda v, g: v + (g * g - v) * (1 - BETA_2), squares, gradients)
    weights = tree_map(
        lambda w, m, v: w - scale * m / (jnp.sqrt(v) + EPSILON), weights, means, squares
    )
    return weights, means, squares


def steps(case: Train, call: Callable, first: Any) -> Callable:
    """What runs a round of steps, from a state that has made one, which compiles."""
    state = [call(first)[0]]

    def run():
        for _ in range(case.units):
            state[0], loss = call(state[0])
        return float(loss)

    return run


def train(case: Train) -> Callable[[], Callable]:
    if case.family == "gan":
        return gan(case)
    arrays, y = case.data()
    inputs, y = [jnp.asarray(a) for a in arrays], jnp.asarray(y)
    initial, forward = FAMILIES[case.family](case)

    def loss_of(weights, moving):
        z, moving = forward(weights, moving, *inputs)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(z), y[..., None], axis=-1)
        return -chosen.mean(), moving

    def step(state):
        weights, means, squares, moving, t = state
        (loss, moving), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, moving)
        updated = adam(weights, gradients, means, squares, t + 1.0)
        return (*updated, moving, t + 1.0), loss

    call = jax.jit(step, donate_argnums=0)

    def fresh():
        weights, moving = initial()
        zeros = [jax.tree_util.tree_map(jnp.zeros_like, weights) for _ in range(2)]
        return steps(case, call, (weights, *zeros, moving, jnp.float32(0)))

    return fresh


def gan(case: Train) -> Callable[[], Callable]:
    """Both steps of `applications.GAN`, each with an optimizer of its own, as one function."""
    x, (columns,) = jnp.asarray(case.data()[0][0]), case.shape
    sizes = [(32, 128), (128, 256), (256, columns)], [(columns, 256), (256, 128), (128, 1)]

    def dense_weights(key, k, n):
        return (6 / (k + n)) ** 0.5 * jax.random.uniform(key, (k, n), minval=-1), jnp.zeros(n)

    def initial():
        keys = iter(jax.random.split(jax.random.key(0), 6))
        draw, tell = ([dense_weights(next(keys), *s) for s in part] for part in sizes)
        norms = [(jnp.ones(n), jnp.zeros(n)) for _, n in sizes[0][:-1]]
        return (draw, norms), tell, [(jnp.zeros(n), jnp.ones(n)) for _, n in sizes[0][:-1]]

    def draw(weights, moving, key):
        (*hidden, last), norms = weights
        z, found = jax.random.normal(key, (case.batch, 32)), []
        for part, (gamma, beta), (mean, variance) in zip(hidden, norms, moving, strict=True):
            z = dense(z, *part)
            m, v = z.mean(axis=0), z.var(axis=0)
            found.append((mean * 0.9 + m * 0.1, variance * 0.9 + v * 0.1))
            z = jax.nn.relu((z - m) * jax.lax.rsqrt(v + 1e-3) * gamma + beta)
        return jax.nn.sigmoid(dense(z, *last)), found

    def tell(weights, x, key):
        *hidden, last = weights
        for part, k in zip(hidden, jax.random.split(key), strict=True):
            x = jax.nn.leaky_relu(dense(x, *part), 0.2)
            x = jnp.where(jax.random.bernoulli(k, 0.6, x.shape), x / 0.6, 0.0)
        return dense(x, *last)

    def step(state):
        (one, *of_one), (other, *of_other), moving, key, t = state
        keys, t = jax.random.split(key, 5), t + 1.0
        drawn, moving = draw(one, moving, keys[0])

        def loss_of_other(weights):
            z = tell(weights, jnp.concatenate([x, drawn]), keys[1])
            return jax.nn.softplus(
                jnp.where(jnp.arange(len(z)) < len(x), -1, 1)[:, None] * z
            ).mean()

        def loss_of_one(weights):
            drawn, found = draw(weights, moving, keys[2])
            return jax.nn.softplus(-tell(other, drawn, keys[3])).mean(), found

        other, *of_other = adam(other, jax.grad(loss_of_other)(other), *of_other, t)
        (loss, moving), gradients = jax.value_and_grad(loss_of_one, has_aux=True)(one)
        return ((*adam(one, gradients, *of_one, t),), (other, *of_other), moving, keys[4], t), loss

    call = jax.jit(step, donate_argnums=0)

    def fresh():
        one, other, moving = initial()
        zeros = [
            [jax.tree_util.tree_map(jnp.zeros_like, w) for _ in range(2)] for w in (one, other)
        ]
        first = (one, *zeros[0]), (other, *zeros[1]), moving, jax.random.key(1), jnp.float32(0)
        return steps(case, call, first)

    return fresh


def resnet(case: Train) -> tuple[Callable, Callable]:
    """What makes weights and moving averages, and the forward pass, which returns new averages."""
    sizes, inputs = [(case.shape[-1], 16, 3, 1)], 16
    for stage, width in enumerate((16, 32, 64)):
        for number in range((case.depth - 2) // 6):
            stride = 2 if stage and number == 0 else 1
            sizes += [(inputs, width, 3, stride), (width, width, 3, 1)]
            sizes += [(inputs, width, 1, stride)] * (inputs != width)
            inputs = width

    def initial():
        keys = jax.random.split(jax.random.key(0), len(sizes) + 1)
        of_convolutions = [
            {
                "kernel": jax.random.normal(key, (k, k, i, o)) * (2 / (k * k * i)) ** 0.5,
                "gamma": jnp.ones(o),
                "beta": jnp.zeros(o),
            }
            for key, (i, o, k, _) in zip(keys[:-1], sizes, strict=True)
        ]
        last = jax.random.normal(keys[-1], (inputs, case.classes)) * inputs**-0.5
        moving = [(jnp.zeros(o), jnp.ones(o)) for _, o, _, _ in sizes]
        return (of_convolutions, last, jnp.zeros(case.classes)), moving

    def forward(weights, moving, x):
        of_convolutions, last, bias = weights
        averages, found = iter(zip(of_convolutions, sizes, moving, strict=True)), []

        def convolution(x):
            w, (_, _, size, stride), (mean, variance) = next(averages)
            padding = [(size // 2, size // 2)] * 2
            y = jax.lax.conv_general_dilated(
                x, w["kernel"], (stride, stride), padding,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )  # fmt: skip
            m, v = y.mean(axis=(0, 1, 2)), y.var(axis=(0, 1, 2))
            found.append((mean * 0.9 + m * 0.1, variance * 0.9 + v * 0.1))
            return (y - m) * jax.lax.rsqrt(v + 1e-5) * w["gamma"] + w["beta"]

        x = jax.nn.relu(convolution(x))
        inputs = 16
        for width in (16, 32, 64):
            for _ in range((case.depth - 2) // 6):
                y = convolution(jax.nn.relu(convolution(x)))
                x = jax.nn.relu(y + (x if inputs == width else convolution(x)))
                inputs = width
        return x.mean(axis=(1, 2)) @ last + bias, found

    return initial, forward


def gpt(case: Train) -> tuple[Callable, Callable]:
    """Likewise of a GPT-2, which has no averages."""

    def initial():
        keys = iter(jax.random.split(jax.random.key(0), 2 + 4 * case.depth))
        tables = [
            0.02 * jax.random.normal(next(keys), (n, WIDTH)) for n in (case.classes, *case.shape)
        ]
        blocks = [
            [(0.02 * jax.random.normal(next(keys), s), jnp.zeros(s[1])) for s in DENSE]
            + [(jnp.ones(WIDTH), jnp.zeros(WIDTH)) for _ in range(2)]
            for _ in range(case.depth)
        ]
        return (tables, blocks, (jnp.ones(WIDTH), jnp.zeros(WIDTH))), ()

    def forward(weights, moving, tokens):
        (words, places), blocks, last = weights
        x = words[tokens] + places
        for attention, projection, inner, outer, first, second in blocks:
            y = attend(dense(norm(x, *first), *attention), is_causal=True)
            x = x + dense(y, *projection)
            x = x + dense(jax.nn.gelu(dense(norm(x, *second), *inner)), *outer)
        return norm(x, *last) @ words.T, moving

    return initial, forward


def bert(case: Train) -> tuple[Callable, Callable]:
    """Likewise of a BERT that tells masked tokens."""
    gelu = partial(jax.nn.gelu, approximate=False)

    def initial():
        keys = iter(jax.random.split(jax.random.key(0), 4 + 4 * case.depth))

        def matrix(*shape):
            return 0.02 * jax.random.normal(next(keys), shape)

        def normalised():
            return jnp.ones(WIDTH), jnp.zeros(WIDTH)

        tables = [matrix(n, WIDTH) for n in (case.classes, *case.shape, 2)]
        blocks = [
            [(matrix(*s), jnp.zeros(s[1])) for s in DENSE] + [normalised(), normalised()]
            for _ in range(case.depth)
        ]
        head = (matrix(WIDTH, WIDTH), jnp.zeros(WIDTH)), normalised(), jnp.zeros(case.classes)
        return (tables, normalised(), blocks, head), ()

    def forward(weights, moving, tokens, places):
        (words, positions, types), begin, blocks, (transform, last, bias) = weights
        x, mask = norm(words[tokens] + positions + types[0], *begin), (tokens != 0)[:, None, None]
        for attention, projection, inner, outer, first, second in blocks:
            y = attend(dense(x, *attention), mask=mask)
            x = norm(x + dense(y, *projection), *first)
            x = norm(x + dense(gelu(dense(x, *inner)), *outer), *second)
        x = jnp.take_along_axis(x, places[..., None], axis=1)
        return norm(gelu(dense(x, *transform)), *last) @ words.T + bias, moving

    return initial, forward


def norm(x: jax.Array, gamma: jax.Array, beta: jax.Array) -> jax.Array:
    x = x - x.mean(axis=-1, keepdims=True)
    return x * jax.lax.rsqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5) * gamma + beta


def dense(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    return x @ kernel + bias


def attend(qkv: jax.Array, **masked: Any) -> jax.Array:
    rows, time, width = qkv.shape
    q, k, v = (t.reshape(rows, time, HEADS, -1) for t in jnp.split(qkv, 3, axis=-1))
    return jax.nn.dot_product_attention(q, k, v, **masked).reshape(rows, time, width // 3)


FAMILIES: dict[str, Callable] = {"bert": bert, "gpt": gpt, "resnet": resnet}
