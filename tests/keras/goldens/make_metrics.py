"""Writes metrics.npz: what Keras makes of the metrics in `metrics.py`, one after another, each
after three batches. Run it where both are installed.

KERAS_BACKEND=jax python tests/keras/goldens/make_metrics.py
"""

from pathlib import Path

import keras
import numpy as np
from metrics import WEIGHTS, batches, each


def main():
    found = []
    for name, arguments, given, weights in each():
        metric = getattr(keras.metrics, name)(**arguments)
        for *batch, weight in batches(*given, WEIGHTS[weights]):
            metric.update_state(*batch, sample_weight=weight)
        found.append(np.ravel(metric.result()))
    path = Path(__file__).with_name("metrics.npz")
    np.savez_compressed(path, results=np.concatenate(found))


if __name__ == "__main__":
    main()
