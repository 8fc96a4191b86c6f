"""Writes spatial.npz: what Keras on JAX makes of the layers in `spatial.py`, one after another:
results, and the gradients of their weighed sums by input and weights. Run it where both are
installed.

KERAS_BACKEND=jax python tests/keras/goldens/make_spatial.py
"""

from pathlib import Path

import jax
import keras
import numpy as np
from spatial import LAYERS, drawn


def main():
    results, gradients = [], []
    for number, (kind, arguments, shape) in enumerate(LAYERS):
        layer = getattr(keras.layers, kind)(**arguments)
        layer.build(shape)
        weights = [drawn(number, w.shape, 2 + n) for n, w in enumerate(layer.weights)]

        def call(x, weights, layer=layer):
            return layer.stateless_call(weights, [], x)[0]

        x = drawn(number, shape)
        y = call(x, weights)

        def weighed(x, weights, call=call, number=number, y=y):
            return (call(x, weights) * drawn(number, y.shape, 1)).sum()

        results.append(y)
        found = jax.grad(weighed, argnums=(0, 1))(x, weights)
        gradients += [found[0], *found[1]]
    path = Path(__file__).with_name("spatial.npz")
    arrays = [np.concatenate([np.ravel(a) for a in some]) for some in (results, gradients)]
    np.savez_compressed(path, results=arrays[0], gradients=arrays[1])


if __name__ == "__main__":
    main()
