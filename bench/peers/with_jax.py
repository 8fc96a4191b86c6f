"""JAX: the whole fit is one jitted function, a scan over epochs of a scan over batches, compiled
before it is timed.

Unrolling the scan by 4 or 10 steps was tried: no faster."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from bench.kinds import Both, Chain, Fit, Loop, OpCall, Predict, Product, Update

from .families_jax import train  # noqa: F401

IMPORT = "import jax"
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


def forward(weights, x, norm=False):
    """The last layer's result and, with batch normalisation, the mean and variance of each
    batch."""
    statistics = []
    for n in range(0, len(weights) - 2, 4 if norm else 2):
        x = x @ weights[n] + weights[n + 1]
        if norm:
            statistics += [x.mean(axis=0), x.var(axis=0)]
            x = (x - statistics[-2]) * jax.lax.rsqrt(statistics[-1] + 1e-3) * weights[
                n + 2
            ] + weights[n + 3]
        x = jax.nn.relu(x)
    return x @ weights[-2] + weights[-1], statistics


def loss_of(weights, x, y, norm=False):
    """Mean loss, the accuracy (of several columns: not wanted) and the statistics."""
    z, statistics = forward(weights, x, norm)
    if z.shape[1] == 1:
        loss = jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))
        return loss.mean(), (((z > 0) == y).mean(), statistics)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1)
    return -chosen.mean(), (0.0, statistics)


def updated_by_adam(weights, gradients, means, squares, t, rate):
    def tree_map(function, *trees):
        return [function(*leaves) for leaves in zip(*trees, strict=True)]

    scale = rate * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
    means = tree_map(lambda m, g: m + (g - m) * (1 - BETA_1), means, gradients)
    squares = tree_map(lambda v, g: v + (g * g - v) * (1 - BETA_2), squares, gradients)
    weights = tree_map(
        lambda w, m, v: w - scale * m / (jnp.sqrt(v) + EPSILON), weights, means, squares
    )
    return weights, means, squares


def fit(case: Fit):
    x, y = (jnp.asarray(a) for a in case.data())
    initial = case.weights()

    def step(state, batch):
        weights, means, squares, moving, t = state
        loss, gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, *batch, case.norm)
        loss, (accuracy, statistics) = loss
        moving = [m * 0.99 + s * 0.01 for m, s in zip(moving, statistics, strict=True)]
        if case.optimizer == "adam":
            weights, means, squares = updated_by_adam(
                weights, gradients, means, squares, t + 1.0, case.rate
            )
        else:
            weights = [w - case.rate * g for w, g in zip(weights, gradients, strict=True)]
        return (weights, means, squares, moving, t + 1), (loss, accuracy)

    def epoch(state, key):
        order = jax.random.permutation(key, case.rows)
        batches = [a[order].reshape(case.steps, case.batch, *a.shape[1:]) for a in (x, y)]
        state, (losses, accuracies) = jax.lax.scan(step, state, batches)
        return state, (losses.mean(), accuracies.mean())

    @jax.jit
    def whole(weights, key):
        zeros = [jnp.zeros_like(w) for w in weights] if case.optimizer == "adam" else []
        moving = (
            [f(n) for n in case.widths[1:-1] for f in (jnp.zeros, jnp.ones)] if case.norm else []
        )
        return jax.lax.scan(
            epoch,
            (weights, zeros, zeros, moving, jnp.float32(0)),
            jax.random.split(key, case.epochs),
        )

    def run():
        _, (losses, _accuracies) = jax.block_until_ready(whole(initial, jax.random.key(0)))
        return float(losses[-1])

    return lambda: run


def product(case: Product):
    a, b = (jnp.asarray(x) for x in case.arrays())
    call = jax.jit(jnp.matmul)

    def run():
        for _ in range(case.units):
            c = call(a, b)
        c.block_until_ready()

    return run


def predict(case: Predict):
    weights, row = [jnp.asarray(w) for w in case.weights()], case.row()
    call = jax.jit(lambda x: jax.nn.softmax(forward(weights, x)[0]))
    return lambda: np.asarray(call(row))


def conv(x, kernel, strides, padding, dilation_rate):
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (strides,) * 2,
        padding.upper(),
        rhs_dilation=(dilation_rate,) * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1] // kernel.shape[2],
    )


def pool(function, start):
    def pooled(x, pool_size, strides):
        window, steps = (1, pool_size, pool_size, 1), (1, strides, strides, 1)
        return jax.lax.reduce_window(x, start, function, window, steps, "VALID")

    return pooled


OPS = {
    "max_pool": pool(jax.lax.max, -jnp.inf),
    "average_pool": lambda x, pool_size, strides: (
        pool(jax.lax.add, 0.0)(x, pool_size, strides) / pool_size**2
    ),
    "conv": conv,
    "add": jnp.add,
    "matmul": jnp.matmul,
    "exp": jnp.exp,
    "tanh": jnp.tanh,
    "batch_norm": lambda x, gamma, beta: (
        gamma * (x - x.mean(axis=0)) * jax.lax.rsqrt(x.var(axis=0) + 1e-3) + beta
    ),
    "layer_norm": lambda x, gamma, beta: (
        gamma
        * (x - x.mean(axis=1, keepdims=True))
        * jax.lax.rsqrt(x.var(axis=1, keepdims=True) + 1e-3)
        + beta
    ),
    "softmax": partial(jax.nn.softmax, axis=1),
    "attention": jax.nn.dot_product_attention,
    "sum": lambda x, axis: x.sum(axis=axis),
    "softmax_cross_entropy": lambda z, labels: (
        jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, labels[:, None], axis=1)[:, 0]
    ),
    "gather": lambda source, order, cursor, rows: source[order[:rows]],
}


def op(case: OpCall):
    function, inputs = (
        jax.jit(partial(OPS[case.op], **case.attributes)),
        [jnp.asarray(a) for a in case.arrays()],
    )
    return lambda: function(*inputs).block_until_ready()


def repeated(call, times):
    def run():
        for _ in range(times):
            jax.block_until_ready(call())

    return run


def loop(case: Loop):
    return repeated(op(case), case.units)


def both(case: Both):
    function, inputs = (
        partial(OPS[case.op], **case.attributes),
        [jnp.asarray(a) for a in case.arrays()],
    )
    numbers = [n for n, x in enumerate(inputs) if x.dtype == jnp.float32]

    def of(*leaves):
        filled = list(inputs)
        for n, leaf in zip(numbers, leaves, strict=True):
            filled[n] = leaf
        return function(*filled)

    @jax.jit
    def call(leaves, upstream):
        y, back = jax.vjp(of, *leaves)
        return y, back(upstream)

    leaves, upstream = [inputs[n] for n in numbers], jnp.asarray(case.upstream())

    return repeated(lambda: call(leaves, upstream), case.units)


def chain(case: Chain):
    call, x = jax.jit(case.formula(jnp.tanh, jax.nn.relu)), jnp.asarray(case.array())
    return repeated(lambda: call(x), case.units)


def update(case: Update):
    values, gradients = (jnp.asarray(a) for a in case.arrays())
    state = [[values], [jnp.zeros_like(values)], [jnp.zeros_like(values)]]

    def adam(weights, means, squares):
        return updated_by_adam(weights, [gradients], means, squares, 1.0, 1e-3)

    def sgd(weights):
        return ([weights[0] - 1e-3 * gradients],)

    step: Callable = adam
    if case.optimizer == "sgd":
        step, state = sgd, state[:1]
    call = jax.jit(step, donate_argnums=tuple(range(len(state))))

    def run():
        state[:] = call(*state)
        return state

    return repeated(run, case.units)
