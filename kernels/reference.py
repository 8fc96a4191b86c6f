"""What structured kernels compute, in NumPy: slow, plain, for float64 and, where analytic, for
complex numbers.

They are the specification, and the oracle of the tests. Gradients are checked against complex steps
through them, so nothing here takes an absolute value or a real part except to choose a branch.
"""

import math

import numpy as np


def matmul(a, b, transpose_a=False, transpose_b=False):
    return (a.T if transpose_a else a) @ (b.T if transpose_b else b)


def linear(x, w, bias=None, activation=None):
    z = x @ w if bias is None else x @ w + bias
    if activation == "relu":
        return np.where(np.real(z) < 0, 0.0, z)
    return {None: z, "tanh": np.tanh(z), "sigmoid": 1 / (1 + np.exp(-z)), "exp": np.exp(z)}[
        activation
    ]


def absolute(x):
    return np.abs(x) if np.isrealobj(x) else np.where(np.real(x) < 0, -x, x)


def power(x, y):
    return np.power(x, y) if np.isrealobj(x) else np.exp(y * np.log(x))


def normal_share(x):
    """Phi(x), the share of the normal distribution below x; beside the real axis by its derivative,
    the density."""
    real = np.real(x)
    share = 0.5 * np.vectorize(math.erfc, otypes=[float])(-math.sqrt(0.5) * real)
    return (
        share
        if np.isrealobj(x)
        else share + 1j * np.imag(x) * np.exp(-0.5 * real * real) / math.sqrt(2 * math.pi)
    )


def erf(x):
    near = np.vectorize(math.erf, otypes=[float])(np.real(x))
    return (
        near
        if np.isrealobj(x)
        else near + 1j * np.imag(x) * np.exp(-(np.real(x) ** 2)) * 2 / math.sqrt(math.pi)
    )


def general_relu(x, negative_slope=0.0, max_value=math.inf, threshold=0.0):
    below = negative_slope * (x - threshold) if negative_slope else 0.0
    return np.where(np.real(x) <= threshold, below, np.where(np.real(x) > max_value, max_value, x))


def gelu(x):
    return x * normal_share(x)


def gelu_tanh(x):
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    size = np.where(np.real(x) < 0, -x, x)
    return np.where(np.real(x) < 0, 0.0, x) + np.log1p(np.exp(-size))


def softmax(x):
    e = np.exp(x - np.max(np.real(x), axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def batch_norm(x, gamma, beta, epsilon=1e-3):
    mean = x.mean(axis=0)
    variance = ((x - mean) ** 2).mean(axis=0)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta, mean, variance


def batch_norm_inference(x, gamma, beta, mean, variance, epsilon=1e-3):
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def layer_norm(x, gamma, beta, epsilon=1e-3):
    mean = x.mean(axis=1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=1, keepdims=True)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def sigmoid_cross_entropy(z, target):
    size = np.where(np.real(z) < 0, -z, z)
    return np.where(np.real(z) < 0, 0.0, z) - z * target + np.log1p(np.exp(-size))


def clip(p, low):
    return np.where(np.real(p) < low, low, np.where(np.real(p) > 1 - low, 1 - low, p))


def binary_crossentropy(p, target, clip_at=1e-7):
    q = clip(p, clip_at)
    return -(target * np.log(q) + (1 - target) * np.log(1 - q))


def softmax_cross_entropy(z, labels):
    top = np.max(np.real(z), axis=-1)
    return np.log(np.exp(z - top[:, None]).sum(axis=-1)) + top - z[np.arange(len(z)), labels]


def sparse_categorical_crossentropy(p, labels, clip_at=1e-7):
    q = clip(p, clip_at)
    return np.log(q.sum(axis=-1)) - np.log(q[np.arange(len(q)), labels])


def gather(source, order, cursor, rows):
    return source[order[cursor[0] : cursor[0] + rows]]


def binary_accuracy(p, target, threshold=0.5):
    return (target == (p > threshold)).mean(axis=-1)


def sparse_categorical_accuracy(p, labels):
    return (p.argmax(axis=-1) == labels).astype(float)


def categorical_accuracy(p, target):
    return (p.argmax(axis=-1) == target.argmax(axis=-1)).astype(float)


def dropout(x, state, rate, draw_offset=0):
    key, draw = int(state[0]) % (1 << 64), int(state[1]) + draw_offset
    threshold, kept = int(rate * (1 << 16) + 0.5), np.zeros(x.size, bool)
    for n in range(x.size):
        # a unit is 64 blocks of four words: first the low half of each decides, then the high half
        unit, place = divmod(n, 512)
        half, place = divmod(place, 256)
        word, block = divmod(place, 64)
        words = philox(
            (unit * 64 + block, 0, draw & 0xFFFFFFFF, draw >> 32), (key & 0xFFFFFFFF, key >> 32)
        )
        kept[n] = (words[word] >> 16 * half & 0xFFFF) >= threshold
    return np.where(kept.reshape(x.shape), x / (1 - threshold / (1 << 16)), 0)


def _words(state, draw_offset, count):
    """The first words of a draw."""
    key, draw = int(state[0]) % (1 << 64), int(state[1]) + draw_offset
    blocks = [
        philox((n, 0, draw & 0xFFFFFFFF, draw >> 32), (key & 0xFFFFFFFF, key >> 32))
        for n in range(-(-count // 4))
    ]
    return np.array(blocks, np.uint64).reshape(-1)


def _fractions(state, draw_offset, count, dtype):
    """Numbers in [0, 1), each of two words, of which float32 takes 24 bits and float64 53."""
    words = _words(state, draw_offset, 2 * count)[: 2 * count].astype(object)
    if np.dtype(dtype) == np.float32:
        return np.array([w >> 8 for w in words[::2]], float) * 2.0**-24
    pairs = zip(words[::2], words[1::2], strict=True)
    return np.array([(a << 32 | b) >> 11 for a, b in pairs], float) * 2.0**-53


def uniform(state, shape, low=0.0, high=1.0, draw_offset=0, dtype="float32"):
    u = _fractions(state, draw_offset, math.prod(shape), dtype)
    return (low + (high - low) * u).reshape(shape)


def normal(state, shape, mean=0.0, deviation=1.0, draw_offset=0, dtype="float32"):
    u = _fractions(state, draw_offset, 2 * math.prod(shape), dtype)
    z = np.sqrt(-2 * np.log(1 - u[::2])) * np.cos(2 * np.pi * u[1::2])
    return (mean + deviation * z).reshape(shape)


def permutation(state, words, order, cursor, draw_offset=0):
    words, order = _words(state, draw_offset, len(words)), np.arange(len(order))
    for i in range(len(order) - 1, 0, -1):
        j = int(words[i]) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return words.astype(np.uint32), order, np.zeros_like(cursor)


def philox(counter, key, rounds=10):
    """Philox4x32: four words for a counter of four words and a key of two, as Python integers."""
    mask, (a, b, c, d), (k, m) = 0xFFFFFFFF, counter, key
    for _ in range(rounds):
        p, q = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (q >> 32) ^ b ^ k, q & mask, (p >> 32) ^ d ^ m, p & mask
        k, m = (k + 0x9E3779B9) & mask, (m + 0xBB67AE85) & mask
    return a, b, c, d


def sgd(gradient, rate, parameter):
    return parameter - rate * gradient


def sgd_momentum(
    gradient, rate, parameter, velocity, velocity_is_large, momentum=0.0, nesterov=False
):
    velocity = momentum * velocity - rate * gradient
    step = momentum * velocity - rate * gradient if nesterov else velocity
    return parameter + step, velocity, velocity_is_large


def adam(
    gradient, rate, steps, parameter, m, v, beta_1=0.9, beta_2=0.999, epsilon=1e-7, steps_before=0
):
    t = steps + steps_before + 1
    m, v = m + (1 - beta_1) * (gradient - m), v + (1 - beta_2) * (gradient**2 - v)
    scale = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return parameter - scale * m / (np.sqrt(v) + epsilon), m, v


def rmsprop(gradient, rate, parameter, square, rho=0.9, epsilon=1e-7):
    square = square + (1 - rho) * (gradient**2 - square)
    return parameter - rate * gradient / np.sqrt(square + epsilon), square
