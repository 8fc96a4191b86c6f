"""Metrics against Keras: results of three batches, with weights of rows."""

from pathlib import Path

import numpy as np

import fastnn
from tests.keras.goldens.metrics import CASES, SUMS, WEIGHTS, batches, each

GOLDENS = np.load(Path(__file__).parent / "goldens" / "metrics.npz")


def test_metrics_are_kerass():
    results = GOLDENS["results"]
    for name, arguments, given, weights in each():
        metric = getattr(fastnn.keras.metrics, name)(**arguments)
        for *batch, weight in batches(*given, WEIGHTS[weights]):
            metric.update_state(*batch, sample_weight=weight)
        got = metric.result().numpy().ravel()
        expected, results = np.split(results, [got.size])
        np.testing.assert_allclose(
            got, expected, rtol=2e-5, atol=1e-6, err_msg=f"{name} {arguments} {weights}"
        )
    assert results.size == 0


def test_every_metric_has_a_golden():
    kind = fastnn.metrics.get.__self__
    known = {found.__name__ for found in kind.spellings.values() if isinstance(found, type)}
    ours = {n for n in known if hasattr(fastnn.metrics, n)}
    assert ours - {"MeanMetricWrapper"} == {*CASES, *[name for name, _ in SUMS]}
