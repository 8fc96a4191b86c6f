"""Writes optimizers.npz: variables after each step of the optimizers in `optimizers.py`, and at
last with averages in their place; the schedules' rates. Run it where Keras is installed.

KERAS_BACKEND=jax python tests/keras/goldens/make_optimizers.py
"""

from pathlib import Path

import keras
import numpy as np
from optimizers import OPTIMIZERS, SCHEDULED, SCHEDULES, drawn


def flat(variables):
    return np.concatenate([keras.ops.convert_to_numpy(v).reshape(-1) for v in variables])


def main():
    arrays = {}
    for number, (name, (kind, given)) in enumerate(OPTIMIZERS.items()):
        values, gradients = drawn(number)
        variables = [keras.Variable(v) for v in values]
        optimizer, found = getattr(keras.optimizers, kind)(**given), []
        for each in gradients:
            optimizer.apply(each, variables)
            found.append(flat(variables))
        optimizer.finalize_variable_values(variables)
        arrays[name] = np.array([*found, flat(variables)])
    for name, (kind, arguments, named) in SCHEDULES.items():
        schedule = getattr(keras.optimizers.schedules, kind)(*arguments, **named)
        arrays[name] = np.array([float(schedule(step)) for step in SCHEDULED], "float32")
    np.savez_compressed(Path(__file__).with_name("optimizers.npz"), **arrays)


if __name__ == "__main__":
    main()
