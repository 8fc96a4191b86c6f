"""Writes attention.npz: what Keras's layers of attention give of the cases in `attention.py`. Run
it where Keras is installed.

KERAS_BACKEND=torch python tests/keras/goldens/make_attention.py
"""

from pathlib import Path

import keras
import numpy as np
from attention import CASES, results
from keras.src.backend import set_keras_mask


def with_mask(x, mask):
    set_keras_mask(x, keras.ops.convert_to_tensor(mask))
    return x


def main():
    table = {"made by": np.array(f"keras {keras.__version__}, {keras.backend.backend()}")}
    for name, case in CASES.items():
        found, shapes = results(
            keras.layers, case, keras.ops.convert_to_tensor, with_mask, keras.ops.convert_to_numpy
        )
        for place, array in enumerate(found):
            table[f"{name}/{place}"] = array
        table[f"{name}/weights"] = shapes
    np.savez_compressed(Path(__file__).with_name("attention.npz"), **table)


if __name__ == "__main__":
    main()
