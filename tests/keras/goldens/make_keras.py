"""Writes keras.npz: what Keras on TensorFlow makes of the runs in `cases.py`. Run it where Keras is
installed; see CONTRIBUTING.

KERAS_BACKEND=tensorflow python tests/keras/goldens/make_keras.py
"""

from pathlib import Path

import keras
import numpy as np
from cases import CASES, build, data


def main():
    arrays = {}
    for name, case in CASES.items():
        keras.utils.set_random_seed(1)
        model = build(keras, case)
        start = model.get_weights()
        x, y, weights = data(case)
        history = model.fit(x, y, sample_weight=weights, shuffle=False, verbose=0, **case.fit)
        for i, (before, after) in enumerate(zip(start, model.get_weights(), strict=True)):
            arrays[f"{name}/start/{i}"], arrays[f"{name}/end/{i}"] = before, after
        for key, values in history.history.items():
            arrays[f"{name}/history/{key}"] = np.array(values)
        arrays[f"{name}/predict"] = model.predict(x, verbose=0)
        arrays[f"{name}/evaluate"] = np.array(model.evaluate(x, y, verbose=0))
    np.savez_compressed(Path(__file__).with_name("keras.npz"), **arrays)


if __name__ == "__main__":
    main()
