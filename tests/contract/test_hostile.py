"""No argument of anything public crashes, hangs or fails by accident: whatever it is, the call
works or is refused by an error that names the function or the argument."""

import json
import os
import subprocess
import sys

import pytest

NAMESPACES = [
    "activations", "applications", "callbacks", "constraints", "fastnn", "initializers", "layers",
    "losses", "metrics", "ops", "optimizers", "optimizers.schedules", "preprocessing", "random",
    "regularizers", "utils",
]  # fmt: skip
# (function, argument): refused, but in the words of an op within that name neither
UNNAMED = {
    ("gather", "source"), ("gather", "cursor"), ("gather", "rows"),  # of batches, not for users
    ("uniform", "shape"), ("normal", "shape"),  # of a generator's draws
    ("append", "axis"), ("circle", "ref_embeddings"),
    ("CategoricalFocalCrossentropy", "alpha"), ("categorical_focal_crossentropy", "alpha"),
    ("SparseCategoricalCrossentropy", "ignore_class"),
    *[
        (f"{kind}categorical_accuracy", argument)
        for kind in ("", "sparse_", "top_k_", "sparse_top_k_")
        for argument in ("y_true", "y_pred")
    ],
}  # fmt: skip


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_what_nobody_meant_is_taken_or_refused_by_name(namespace):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.contract.hostile", namespace],
        env={**os.environ, "FASTNN_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [f for f in found if tuple(f[:2]) not in UNNAMED] == []
