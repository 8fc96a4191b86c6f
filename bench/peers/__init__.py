"""One file a peer, all with the same functions, each of which makes of a case (`kinds.py`) what is
timed:

    IMPORT                  the statement that imports it
    fit(case)               a function that makes a fresh model and returns the run, which returns
                            the last epoch's mean loss
    train(case)             likewise, for steps of a whole model (`families_*.py`)
    record(case)            likewise, for recording a step
    predict, op, update     a function to call over and over
    write(case)             likewise, of `case.units` tokens
    product(case)           likewise, of `case.units` products

A peer leaves out what it does not have. Each does what somebody who knows the peer well would write
with its defaults, and says so where there was a choice. All get the same data and the same initial
weights.
"""

from typing import NamedTuple


class Peer(NamedTuple):
    name: str  # in the table
    file: str  # of this folder
    distribution: str | None  # that has to be installed; None: it is this project


PEERS = {
    "ours": Peer("fastnn", "ours", None),
    "numpy": Peer("NumPy", "with_numpy", "numpy"),
    "torch": Peer("PyTorch", "with_torch", "torch"),
    "jax": Peer("JAX", "with_jax", "jax"),
    "keras": Peer("Keras on TensorFlow", "with_keras", "tensorflow"),
}
