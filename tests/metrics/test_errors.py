"""What metrics refuse, and what they say."""

import numpy as np
import pytest

import fastnn
from fastnn import metrics as m
from fastnn.errors import DTypeError, ShapeError

Y = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
P = np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]])
ROWS = [m.AUC, m.Precision, m.BinaryAccuracy, m.MeanSquaredError, m.F1Score, m.R2Score, m.Hinge]


class NoInit(m.Metric):
    def __init__(self):
        self.total = self.add_weight()


def twice(metric):
    metric.update_state(Y, P)
    metric.update_state(Y[:, :1], P[:, :1])


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((Y[:2], P), ShapeError, "y has 2 rows, the predictions have 3"),
        ((Y[:, :1], P), ShapeError, r"predictions of \(any, 2\); got \(3, 1\)"),
        ((None, P), DTypeError, "missing value"),
        (([["a", "b"]] * 3, P), DTypeError, "expected numbers"),
        ((Y, P, [1.0, 2.0]), ShapeError, r"sample_weight must have shape \(3\).* got \(2\)"),
        ((Y, P, [1.0, 2.0, np.nan]), ValueError, r"sample_weight\[2\] = nan"),
    ],
)
def test_a_batch_that_does_not_fit(kind, given, error, message):
    metric = kind()
    with pytest.raises(error, match=message):
        metric.update_state(*given)
    assert not any(v.numpy().any() for v in metric.variables)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: m.SparseCategoricalAccuracy()([-1, 0, 1], P), ValueError, "between 0 and 1.* -1"),
        (lambda: m.SparseCategoricalAccuracy()(Y, P), ShapeError, r"y\.argmax"),
        (
            lambda: m.SparseCategoricalCrossentropy(axis=2)([0, 1, 0], P),
            ValueError,
            r"axis must be one of the dimensions of y_pred, whose shape is \(3, 2\); got 2",
        ),
        (
            lambda: m.sparse_categorical_accuracy([0.5], P[:1]),
            ValueError,
            "sparse_categorical_accuracy: labels must be whole numbers; got 0.5",
        ),
        (
            lambda: m.sparse_top_k_categorical_accuracy([np.nan], P[:1]),
            ValueError,
            "sparse_top_k_categorical_accuracy: labels must be whole numbers; got nan",
        ),
        (
            lambda: fastnn.losses.sparse_categorical_crossentropy(["a"], P[:1]),
            DTypeError,
            "sparse_categorical_crossentropy: labels: expected numbers",
        ),
        (lambda: m.TopKCategoricalAccuracy(k=0), ValueError, "k must be a whole number from 1"),
        (lambda: m.BinaryAccuracy(threshold="a"), ValueError, "threshold must be a finite number"),
        (lambda: m.Precision(top_k="a"), ValueError, "top_k must be a whole number from 1 on"),
        (lambda: m.Precision(class_id=-1)(Y, P), ShapeError, "class_id=-1 is no column"),
        (lambda: m.Precision([]), ValueError, "thresholds must be one or more"),
        (lambda: m.Recall([0.5, 2]), ValueError, r"Recall: thresholds must lie in \[0, 1\]"),
        (lambda: m.AUC(num_thresholds=1), ValueError, "AUC: num_thresholds .* from 2 on; got 1"),
        (lambda: m.AUC(curve="x"), ValueError, "curve must be one of ROC, PR, PRGAIN; got 'x'"),
        (lambda: m.AUC(summation_method=1), ValueError, "must be one of interpolation, minoring"),
        (lambda: m.AUC(num_labels=2), ValueError, "with multi_label=True only"),
        (lambda: m.AUC(label_weights=[1.0])(Y, P), ShapeError, "it has 1 label_weights"),
        (lambda: m.AUC(label_weights=["a"]), ValueError, "label_weights must be a finite number"),
        (lambda: m.AUC(multi_label=True)(Y[0], P[0]), ShapeError, r"shape \(any, labels\)"),
        (lambda: twice(m.AUC(multi_label=True)), ShapeError, "it has 2 labels"),
        (lambda: twice(m.F1Score()), ShapeError, "began with predictions of 2 columns"),
        (lambda: twice(m.R2Score()), ShapeError, "began with predictions of 2 columns"),
        (lambda: m.SensitivityAtSpecificity(2), ValueError, "specificity must lie between 0 and 1"),
        (lambda: m.RecallAtPrecision(0.5, 0), ValueError, "num_thresholds .* from 1 on; got 0"),
        (lambda: m.FBetaScore(beta=0), ValueError, "beta must be a finite number above 0"),
        (lambda: m.F1Score("some"), ValueError, "average must be None, 'micro'"),
        (lambda: m.F1Score(threshold=2.0), ValueError, "threshold must lie between 0 and 1"),
        (lambda: m.R2Score("some"), ValueError, "class_aggregation must be None, 'uniform_aver"),
        (lambda: m.IoU(2, [2]), ValueError, r"target_class_ids must be .* 0 to 1; got \[2\]"),
        (lambda: m.IoU(2, 1), ValueError, "target_class_ids must be classes"),
        (lambda: m.MeanIoU("a"), ValueError, "MeanIoU: num_classes must be a whole number from 1"),
        (lambda: m.MeanIoU(2, ignore_class="a"), ValueError, "ignore_class must be an integer"),
        (lambda: m.MeanIoU(2)([0, 1], [0, 1, 1]), ShapeError, "as many targets as predictions"),
        (lambda: m.BinaryCrossentropy(label_smoothing=2), ValueError, "label_smoothing must lie"),
        (lambda: m.MeanMetricWrapper(3), TypeError, "fn must be a function; got 3"),
        (lambda: m.Mean()("a"), DTypeError, "metric 'mean': values: expected numbers"),
        (lambda: m.Mean(dtype="float16"), DTypeError, "dtype must be float32"),
        (lambda: m.Metric()(Y, P), TypeError, r"does not define update_state\(y_true, y_pred\)"),
        (NoInit, RuntimeError, r"NoInit.add_variable: call super\(\).__init__\(\) first"),
    ],
)
def test_arguments_that_are_no_use(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_nothing_is_zero_and_too_few_rows_are_said():
    for kind in (m.AUC, m.Precision, m.BinaryAccuracy, m.Mean, m.MeanSquaredError):
        assert kind().result().item() == 0.0
    metric = m.R2Score(num_regressors=2)
    with pytest.warns(UserWarning, match="3 rows are too few for num_regressors=2"):
        got = metric(Y, P)
    assert got.item() == m.R2Score()(Y, P).item()


def test_labels_of_classes_along_another_axis():
    p = np.array([[[0.25, 0.5, 0.25], [0.75, 0.5, 0.75]]])  # (N, C, T)
    rows = p.transpose(0, 2, 1).reshape(-1, 2)
    for y, ignored in (([[0, 1, 1]], None), ([[0, 1, 1]], 9), (fastnn.tensor([[1, 0, 0]]), None)):
        got = m.SparseCategoricalCrossentropy(ignore_class=ignored, axis=1)(y, p)
        flat = np.asarray(y).reshape(-1)
        assert got.item() == m.SparseCategoricalCrossentropy()(flat, rows).item()
    model = fastnn.Sequential([fastnn.Input((2, 3)), fastnn.layers.Softmax(axis=1)])
    metric = m.SparseCategoricalCrossentropy(axis=1)
    model.compile("sgd", fastnn.losses.SparseCategoricalCrossentropy(axis=1), metrics=[metric])
    loss, measured = model.evaluate(p, [[0, 1, 1]], verbose=0)
    assert measured == pytest.approx(loss, rel=1e-6)


def masked(p):
    p = fastnn.tensor(p)
    p._keras_mask = fastnn.tensor(np.array([True, False, True]))
    return p


@pytest.mark.parametrize(
    ("make", "columns"),
    [
        (m.F1Score, 2), (m.BinaryIoU, 2), (m.R2Score, 2), (m.R2Score, 1),
        (lambda: m.AUC(from_logits=True), 2), (m.BinaryAccuracy, 0), (m.MeanAbsoluteError, 0),
        (m.BinaryCrossentropy, 0),
    ],
)  # fmt: skip
def test_masks_leave_out_whatever_predictions_are_made_into(make, columns):
    y, p = (x[:, :columns] if columns else x[:, 0] for x in (Y, P))
    got = make()(y, masked(p)).numpy()
    np.testing.assert_allclose(got, make()(y[::2], p[::2]).numpy(), rtol=1e-6)
    assert not np.allclose(got, make()(y, p).numpy())
    got = make()(y, masked(p), [1.0, 9.0, 2.0]).numpy()
    np.testing.assert_allclose(got, make()(y[::2], p[::2], [1.0, 2.0]).numpy(), rtol=1e-6)


def test_rows_that_a_mask_leaves_out_do_not_adjust_a_score():
    y, p = np.array([[0.0], [5.0], [1.0]]), np.array([[0.25], [9.0], [0.5]])
    metric = m.R2Score(num_regressors=1)
    metric.update_state(y, masked(p))
    assert metric.num_samples.item() == 2.0


def test_masks_leave_out():
    p = masked(P)
    for kind in (m.AUC, m.Precision, m.BinaryAccuracy, m.MeanSquaredError, m.RootMeanSquaredError):
        assert kind()(Y, p).item() == kind()(Y[::2], P[::2]).item()
        assert kind()(Y, p, [1.0, 9.0, 2.0]).item() == kind()(Y[::2], P[::2], [1.0, 2.0]).item()
