"""Writes configurations.json: how Keras 3 writes what stands in `configurations.py`, and layers of
`spatial.py`. Run it where Keras is installed.

KERAS_BACKEND=tensorflow python tests/keras/goldens/make_configurations.py
"""

import json
from pathlib import Path

import keras
from configurations import CONFIGURATIONS
from spatial import CONFIGURATIONS as OF_SPACE


def main():
    table = {"made by": f"keras {keras.__version__}, keras.saving.serialize_keras_object"}
    for name, make in {**CONFIGURATIONS, **OF_SPACE}.items():
        keras.utils.clear_session()  # names count from the start
        table[name] = keras.saving.serialize_keras_object(make(keras))
    Path(__file__).with_name("configurations.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
