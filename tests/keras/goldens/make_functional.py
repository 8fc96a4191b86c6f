"""Writes functional.json: what Keras writes of a functional model. Run where Keras is installed."""

from pathlib import Path

import keras
from keras import layers, ops

a, b = keras.Input((3,), name="a"), keras.Input((4,), name="b")
shared = layers.Dense(5, name="s")
h = shared(a) + 2.0 * shared(ops.concatenate([a[:, :2], b[:, 1:2]], axis=-1))
h = ops.mean(ops.relu(h), axis=1, keepdims=True)
h = layers.Dropout(0.5, name="dr")(h, training=True)
model = keras.Model([a, b], {"y": h, "z": layers.Concatenate(name="c")([a, b])}, name="m")
Path(__file__).with_name("functional.json").write_text(model.to_json() + "\n")
