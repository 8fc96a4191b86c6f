"""Estimators: scikit-learn's own checks, and what they are for beside them."""

import pickle
import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_diabetes, load_digits, load_iris  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.model_selection import GridSearchCV, train_test_split  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from fastnn.sklearn import FastNNClassifier, FastNNRegressor  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
QUICK = {"max_iter": 60, "learning_rate_init": 0.02, "random_state": 0}


@parametrize_with_checks([FastNNClassifier(), FastNNRegressor()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_it_takes_mlp_classifiers_place_on_digits():
    data = train_test_split(*load_digits(return_X_y=True), random_state=0)
    scores = {}
    for kind in (FastNNClassifier, MLPClassifier):
        one = kind((64,), random_state=0, max_iter=60).fit(data[0] / 16, data[2])
        scores[kind] = one.score(data[1] / 16, data[3])
        assert [c.shape for c in one.coefs_] == [(64, 64), (64, 10)]
        assert [c.shape for c in one.intercepts_] == [(64,), (10,)]
        assert one.n_iter_ == len(one.loss_curve_) == 60
        assert one.loss_ == one.loss_curve_[-1]
        assert one.t_ == 60 * len(data[0])
        assert (one.n_layers_, one.n_outputs_, one.out_activation_) == (3, 10, "softmax")
    # of 450 digits, as of another random state
    assert abs(scores[FastNNClassifier] - scores[MLPClassifier]) < 0.02


def test_the_loss_is_scikit_learns():
    """Of full batches without shuffling, from the same weights: the same course."""
    given = {"batch_size": 150, "shuffle": False, "alpha": 0.1, "max_iter": 5, "random_state": 0}
    ours = FastNNClassifier((8,), solver="sgd", momentum=0.0, **given).fit(X, Y)
    theirs = MLPClassifier((8,), solver="sgd", momentum=0.0, warm_start=True, **given)
    theirs.fit(X, Y)
    fresh = FastNNClassifier((8,), solver="sgd", momentum=0.0, **given | {"max_iter": 1})
    fresh.fit(X, Y)
    start = FastNNClassifier(
        (8,), solver="sgd", momentum=0.0, learning_rate_init=1e-30, **given
    ).fit(X, Y)  # fmt: skip
    theirs.coefs_ = start.coefs_
    theirs.intercepts_ = start.intercepts_
    theirs.loss_curve_ = []
    theirs.fit(X, Y)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_it_takes_mlp_regressors_place(loss):
    x, y = load_diabetes(return_X_y=True)
    x, y = StandardScaler().fit_transform(x), y / 100
    given = {"hidden_layer_sizes": (32,), "random_state": 0, "max_iter": 150, "loss": loss}
    ours, theirs = (kind(**given).fit(x, y) for kind in (FastNNRegressor, MLPRegressor))
    assert ours.score(x, y) > theirs.score(x, y) - 0.1
    assert ours.predict(x).shape == y.shape
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=0.3)


def test_text_labels_probabilities_and_class_weights():
    one = FastNNClassifier((16,), **QUICK).fit(X, NAMES)
    assert list(one.classes_) == ["setosa", "versicolor", "virginica"]
    assert one.score(X, NAMES) > 0.9
    p = one.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(one.predict_log_proba(X), np.log(p))
    weighted = FastNNClassifier((16,), class_weight={"setosa": 100.0}, **QUICK).fit(X, NAMES)
    by_rows = FastNNClassifier((16,), **QUICK)
    by_rows.fit(X, NAMES, sample_weight=np.where(NAMES == "setosa", 100.0, 1.0))
    np.testing.assert_array_equal(weighted.predict_proba(X), by_rows.predict_proba(X))
    FastNNClassifier((16,), class_weight="balanced", **QUICK).fit(X, NAMES)


def test_several_labels_and_several_numbers():
    labels = np.stack([Y == 0, Y > 0, X[:, 0] > 6], axis=1).astype(int)
    one = FastNNClassifier((16,), **QUICK).fit(X, labels)
    assert one.predict(X).shape == labels.shape
    assert one.out_activation_ == "logistic"
    assert (one.predict(X) == labels).mean() > 0.9
    numbers = FastNNRegressor((16,), **QUICK).fit(X[:, :2], X[:, 2:])
    assert numbers.predict(X[:, :2]).shape == (150, 2)
    two = FastNNClassifier((8,), **QUICK).fit(X[:100], Y[:100])
    assert two.coefs_[-1].shape == (8, 1)
    assert two.score(X[:100], Y[:100]) == 1


def test_the_type_of_x_is_computed_in():
    assert FastNNClassifier((4,), **QUICK).fit(X, Y).coefs_[0].dtype == np.float64
    assert FastNNClassifier((4,), **QUICK).fit(X.astype("f4"), Y).coefs_[0].dtype == np.float32
    assert FastNNClassifier((4,), dtype="float32", **QUICK).fit(X, Y).coefs_[0].dtype == np.float32


def test_early_stopping_puts_the_best_weights_back():
    one = FastNNClassifier(
        (32,),
        early_stopping=True,
        n_iter_no_change=3,
        validation_fraction=0.3,
        **QUICK | {"max_iter": 500},
    ).fit(X, Y)
    assert one.n_iter_ < 500
    assert one.best_validation_score_ == max(one.validation_scores_)
    assert len(one.validation_scores_) == one.n_iter_


def test_it_goes_on():
    one = FastNNClassifier((8,), warm_start=True, random_state=0, max_iter=3)
    one.fit(X, Y)
    first = one.coefs_[0]
    one.fit(X, Y)
    assert len(one.loss_curve_) == 6
    assert np.abs(one.coefs_[0] - first).max() > 0
    with pytest.raises(ValueError, match="warm_start can only be used where"):
        one.fit(X, NAMES)
    parts = FastNNClassifier((8,), random_state=0, early_stopping=True)
    for _ in range(30):
        parts.partial_fit(X, NAMES, classes=np.unique(NAMES))
    assert len(parts.validation_scores_) == 30
    with pytest.raises(ValueError, match="has classes not in"):
        parts.partial_fit(X, np.where(NAMES == "setosa", "rose", NAMES))


@pytest.mark.parametrize("rate", ["constant", "invscaling", "adaptive"])
def test_rates_of_sgd(rate):
    one = FastNNClassifier(
        (8,), "tanh", solver="sgd", learning_rate=rate, learning_rate_init=0.1, max_iter=60,
        random_state=0,
    ).fit(X, Y)  # fmt: skip
    theirs = MLPClassifier(
        **{k: v for k, v in one.get_params().items() if k not in ("class_weight", "dtype")}
    ).fit(X, Y)
    if rate != "invscaling":  # by which the weights stay near where they begin
        assert one.score(X, Y) >= theirs.score(X, Y) - 0.15
    if rate == "invscaling":
        assert one.model_.optimizer.learning_rate == pytest.approx(0.1 / (one.t_ + 1) ** 0.5)


def test_within_pipelines_searches_threads_and_processes():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), FastNNClassifier((8,), **QUICK)),
        {"fastnnclassifier__alpha": [1e-4, 1.0]}, cv=2, n_jobs=2,
    )  # fmt: skip
    from joblib import parallel_backend

    found = []
    for backend in ("threading", "loky"):
        with parallel_backend(backend):
            found.append(clone(search).fit(X, NAMES).cv_results_["mean_test_score"])
    np.testing.assert_array_equal(*found)


def test_copies():
    one = FastNNClassifier((8,), **QUICK).fit(X, Y)
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(again.predict_proba(X), one.predict_proba(X))
    assert not hasattr(clone(one), "model_")
    same = clone(one).fit(X, Y)
    np.testing.assert_array_equal(same.predict_proba(X), one.predict_proba(X))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "gelu"}, "activation must be one of identity, .*got 'gelu'"),
        ({"solver": "lbfgs"}, "solver must be one of adam, sgd; got 'lbfgs'"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must be whole numbers above 0"),
        ({"batch_size": 0}, "batch_size must be 'auto', or from 1 on; got 0"),
        ({"alpha": -1}, "alpha must be from 0 on; got -1"),
        ({"learning_rate_init": 0}, "learning_rate_init must be above 0"),
        ({"beta_1": 1.0}, "beta_1 must be from 0 to below 1"),
        ({"validation_fraction": 1.0}, "validation_fraction must be between 0 and 1"),
        ({"max_iter": 0}, "max_iter must be from 1 on"),
        ({"dtype": "float16"}, "dtype must be None"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        FastNNClassifier(**arguments).fit(X, Y)


def test_an_end_without_convergence_is_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning, match="max_iter=2 epochs are over"):
            FastNNClassifier((4,), max_iter=2).fit(X, Y)
    with pytest.warns(ConvergenceWarning) as warned:
        FastNNClassifier((4,), max_iter=2).fit(X, Y)
    assert warned[0].filename == __file__
