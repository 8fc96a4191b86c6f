"""Writes result_type.json: the element type that Keras 3 gives for each pair of those that fastnn
has and Python's bool, int and float, for both settings of floatx. Run it where Keras is installed.

KERAS_BACKEND=tensorflow python tests/keras/goldens/make_result_type.py
"""

import json
from pathlib import Path

import keras

TYPES = ["bool", "uint8", "int32", "int64", "float32", "float64"]
WEAK = {"Python bool": bool, "Python int": int, "Python float": float}


def main():
    kinds = {**{name: name for name in TYPES}, **WEAK}
    table = {"made by": f"keras {keras.__version__}, keras.backend.result_type"}
    for floatx in ("float32", "float64"):
        keras.config.set_floatx(floatx)
        table[floatx] = {
            x: {y: keras.backend.result_type(kinds[x], kinds[y]) for y in kinds} for x in kinds
        }
    Path(__file__).with_name("result_type.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
