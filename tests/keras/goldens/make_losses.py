"""Writes losses.npz: what Keras on JAX makes of the losses in `losses.py`, one after another: all
values, and the gradients of means. Run it where both are installed.

KERAS_BACKEND=jax python tests/keras/goldens/make_losses.py
"""

from pathlib import Path

import jax
import keras
import numpy as np
from losses import each


def main():
    values, gradients = [], []
    for kind, arguments, reduction, y_true, y_pred, weight in each():
        loss = getattr(keras.losses, kind)(reduction=reduction, **arguments)

        def value(y_pred, loss=loss, y_true=y_true, weight=weight):
            return loss(y_true, y_pred, weight)

        values.append(np.ravel(value(y_pred)))
        if reduction == "sum_over_batch_size":
            gradients.append(np.ravel(jax.grad(value)(y_pred)))
    path = Path(__file__).with_name("losses.npz")
    np.savez_compressed(path, values=np.concatenate(values), gradients=np.concatenate(gradients))


if __name__ == "__main__":
    main()
