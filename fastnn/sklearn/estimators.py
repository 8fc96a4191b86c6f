"""FastNNClassifier and FastNNRegressor, which take the place of MLPClassifier and MLPRegressor."""

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from fastnn import losses, ops, random
from fastnn.errors import nearest

from .training import ACTIVATIONS, Course, network, optimizer

RATES, SOLVERS = ("constant", "invscaling", "adaptive"), ("adam", "sgd")
MAX_AUTO_BATCH = 200  # scikit-learn's
SEEDS = 1 << 31
ARGUMENTS = """
    hidden_layer_sizes: units of each hidden layer; activation: "relu", "tanh", "logistic" or
    "identity"; solver: "adam" or "sgd"; alpha: of the squares of all kernels, alpha / 2 over a
    batch's weight; batch_size: "auto" is min(200, rows). learning_rate ("constant", "invscaling",
    "adaptive") and power_t, momentum, nesterovs_momentum are of "sgd"; beta_1, beta_2, epsilon of
    "adam". Training ends after max_iter epochs, or when the loss has not fallen by tol for
    n_iter_no_change epochs; with early_stopping, when the score of validation_fraction of the rows
    has not risen so, and the best weights are put back. warm_start: whether `fit` goes on from the
    last one. random_state: of initial weights, order of rows and validation rows.

    dtype: in which to compute: "float32" or "float64"; None is that of X, as in scikit-learn;
    "float32" takes half the time. Names and defaults are scikit-learn's, which has no class_weight
    and no dtype; its solver "lbfgs" is not here. Sums are made in other orders and rows drawn in
    another, so numbers differ from scikit-learn's as those of two of its random states do.

    Attributes: coefs_, intercepts_, loss_, loss_curve_, best_loss_, validation_scores_,
    best_validation_score_, n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_ and
    model_, the fastnn.Sequential that was trained.
"""


class Perceptron(BaseEstimator):
    """What both share. Their constructors stand in full, for scikit-learn and editors to read."""

    if TYPE_CHECKING:  # the arguments, which are attributes of the same names

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, **arguments: Any):
        for name, value in arguments.items():
            setattr(self, name, value)

    # ---- what was trained

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The kernels, (fan_in, fan_out) each, copied."""
        return self.model_.get_weights()[::2]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases, copied."""
        return self.model_.get_weights()[1::2]

    @property
    def n_layers_(self) -> int:
        """Layers with the input's."""
        return len(self.model_.layers) + 1

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ---- training

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        self._check()
        goes_on = hasattr(self, "model_") and (self.warm_start or incremental)
        X, y = self._checked(X, y, incremental, reset=not goes_on)
        weights = self._weights(X, y, sample_weight)
        targets, outputs = self._targets(y)
        if weights is not None and not weights.all():
            kept = weights > 0  # a row without weight is no row
            X, y, targets, weights = X[kept], y[kept], targets[kept], weights[kept]
            if not len(X):
                raise ValueError("sample_weight: all weights are 0")
        rng = check_random_state(self.random_state)
        seed = int(rng.randint(SEEDS))
        validation = None
        if self.early_stopping:
            X, y, targets, weights, validation = self._split(X, y, targets, weights, rng)
        rows = len(X)
        total = float(rows) if weights is None else float(weights.sum())
        batch = min(MAX_AUTO_BATCH if self.batch_size == "auto" else self.batch_size, rows)
        if not goes_on:
            penalty = self.alpha / 2 / (batch * total / rows)
            self._begin(X, outputs, penalty, seed)
        if weights is not None:
            weights = weights * (rows / total)
        model = self.model_
        if not goes_on:
            loss, factor = self._loss(outputs)
            model.compile(optimizer(self), loss, loss_weights=factor)
            model._generator = random.default.resets, random.Generator(seed).spawn()
        self._no_improvement_count, self._best_weights = 0, None
        self.n_iter_ = 0
        course = Course(self, rows, validation, incremental)
        model.fit(
            X, targets, batch, 1 if incremental else self.max_iter, 0, [course],
            shuffle=self.shuffle, sample_weight=weights,
        )  # fmt: skip
        return self

    def _begin(self, X, outputs, penalty, seed):
        self.out_activation_, self.n_outputs_ = self._output(outputs), outputs
        dtype = str(X.dtype) if self.dtype is None else self.dtype
        self.model_ = network(self, X.shape[1], outputs, penalty, seed, dtype)
        self.loss_curve_, self.t_, self.best_loss_ = [], 0, np.inf
        self.validation_scores_: list[float] = []
        self.best_validation_score_ = -np.inf

    def _split(self, X, y, targets, weights, rng):
        """Rows to train with, and (X, y, weights) to validate with."""
        stratify = y if self._is_stratified() else None
        rows = np.arange(len(X))
        train, test = train_test_split(
            rows, random_state=rng, test_size=self.validation_fraction, stratify=stratify
        )
        if len(test) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        its = None if weights is None else weights[test]
        weights = None if weights is None else weights[train]
        return X[train], y[train], targets[train], weights, (X[test], y[test], its)

    def _weights(self, X, y, sample_weight):
        if sample_weight is None:
            return None
        return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)

    def _predicted(self, X):
        """The network's results for rows X."""
        check_is_fitted(self)
        X = validate_data(
            self, X, accept_sparse=["csr", "csc"], reset=False, dtype=(np.float64, np.float32)
        )
        return self.model_.predict(_dense(X), batch_size=MAX_AUTO_BATCH, verbose=0)

    # ---- arguments

    def _hidden_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        found = [sizes] if isinstance(sizes, Integral) else list(sizes)
        if not all([isinstance(n, Integral) and int(n) > 0 for n in found]):
            raise ValueError(f"hidden_layer_sizes must be whole numbers above 0, got {sizes!r}.")
        return [int(n) for n in found]

    def _check(self):
        self._hidden_sizes()
        for name, known in [
            ("activation", tuple(ACTIVATIONS)), ("solver", SOLVERS), ("learning_rate", RATES),
        ]:  # fmt: skip
            value = getattr(self, name)
            if value not in known:
                raise ValueError(
                    f"{type(self).__name__}: {name} must be one of {', '.join(known)}; got "
                    f"{value!r}; {nearest(str(value), known)}"
                )
        if self.dtype not in (None, "float32", "float64"):
            raise ValueError(f"dtype must be None, 'float32' or 'float64'; got {self.dtype!r}")
        if self.batch_size != "auto":
            self._expect("batch_size", Integral, lambda v: v >= 1, "'auto', or from 1 on")
        for name in ("max_iter", "n_iter_no_change"):
            self._expect(name, Real, lambda v: v >= 1, "from 1 on")
        for name in ("alpha", "tol", "power_t"):
            self._expect(name, Real, lambda v: v >= 0, "from 0 on")
        for name in ("learning_rate_init", "epsilon"):
            self._expect(name, Real, lambda v: v > 0, "above 0")
        self._expect("momentum", Real, lambda v: 0 <= v <= 1, "from 0 to 1")
        for name in ("beta_1", "beta_2"):
            self._expect(name, Real, lambda v: 0 <= v < 1, "from 0 to below 1")
        self._expect("validation_fraction", Real, lambda v: 0 < v < 1, "between 0 and 1")

    def _expect(self, name, kind, holds, words):
        value = getattr(self, name)
        if not isinstance(value, kind) or isinstance(value, bool) or not holds(value):
            raise ValueError(f"{type(self).__name__}: {name} must be {words}; got {value!r}")


def _dense(X: Any) -> np.ndarray:
    return X.toarray() if hasattr(X, "toarray") else X


class FastNNClassifier(ClassifierMixin, Perceptron):
    __doc__ = f"""A multilayer perceptron that classifies, in the place of scikit-learn's
    MLPClassifier: labels of any kind, several labels a row (multilabel), weights of rows.
    {ARGUMENTS}
    class_weight: a dictionary of classes, or "balanced", as of other classifiers.

    >>> from sklearn.datasets import load_iris
    >>> from fastnn.sklearn import FastNNClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = FastNNClassifier((16,), learning_rate_init=0.03, tol=1e-3, random_state=0)
    >>> bool(classifier.fit(X, y).score(X, y) > 0.95)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        class_weight: Any = None,
        dtype: str | None = None,
    ):
        super().__init__(**{k: v for k, v in locals().items() if k not in ("self", "__class__")})

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "FastNNClassifier":
        """Train with rows X (N, K), an array, frame or sparse matrix, and their labels y (N,), or
        (N, C) of 0 and 1."""
        found: FastNNClassifier = self._fit(X, y, sample_weight, incremental=False)
        return found

    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> "FastNNClassifier":
        """Train one epoch more with these rows. classes: all labels there are, at the first call.
        With early_stopping, part of these rows gives a score, and the weights of the best one are
        those that stay."""
        if _check_partial_fit_first_call(self, classes):
            binarizer = LabelBinarizer()
            binarizer.fit(y if type_of_target(y).startswith("multilabel") else classes)
            self._labels, self.classes_ = binarizer, binarizer.classes_
        found: FastNNClassifier = self._fit(X, y, sample_weight, incremental=True)
        return found

    def predict(self, X: Any) -> np.ndarray:
        """The label of each row."""
        found = self._predicted(X)
        return self._labels.inverse_transform(found.ravel() if self.n_outputs_ == 1 else found)

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, (N, C), in the order of classes_."""
        found = self._predicted(X)
        return np.hstack([1 - found, found]) if self.n_outputs_ == 1 else found

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """log of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _checked(self, X, y, incremental, reset):
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True,
            dtype=(np.float64, np.float32), reset=reset,
        )  # fmt: skip
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._labels = LabelBinarizer().fit(y)
            self.classes_ = self._labels.classes_
            return _dense(X), y
        classes = unique_labels(y)
        if not incremental and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {classes}."
            )
        return _dense(X), y

    def _weights(self, X, y, sample_weight):
        weights = super()._weights(X, y, sample_weight)
        if self.class_weight is None:
            return weights
        by_class = compute_sample_weight(self.class_weight, y)
        return by_class if weights is None else weights * by_class

    def _targets(self, y):
        """What the network learns, and how many outputs it has."""
        targets = np.asarray(self._labels.transform(y))
        outputs = targets.shape[1]
        if self._labels.y_type_ == "multiclass":
            return targets.argmax(axis=1), outputs
        return targets.astype(np.float64), outputs

    def _output(self, outputs):
        return "softmax" if self._labels.y_type_ == "multiclass" else "logistic"

    def _loss(self, outputs):
        if self.out_activation_ == "softmax":
            return losses.SparseCategoricalCrossentropy(), None
        return losses.BinaryCrossentropy(), float(outputs) if outputs > 1 else None

    def _is_stratified(self):
        return not self._labels.y_type_.startswith("multilabel")

    def _score_of(self, model, X, y, weights):
        found = model.predict(X, batch_size=MAX_AUTO_BATCH, verbose=0)
        labels = self._labels.inverse_transform(found.ravel() if self.n_outputs_ == 1 else found)
        return float(accuracy_score(y, labels, sample_weight=weights))


class FastNNRegressor(RegressorMixin, Perceptron):
    __doc__ = f"""A multilayer perceptron for numbers, one or several a row, in the place of
    scikit-learn's MLPRegressor: half the mean squared error, or with loss="poisson" half the
    Poisson deviance, of e^x.
    {ARGUMENTS}
    >>> import numpy as np
    >>> from fastnn.sklearn import FastNNRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> regressor = FastNNRegressor((32,), learning_rate_init=0.03, tol=1e-3, random_state=0)
    >>> bool(regressor.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.9)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        loss: str = "squared_error",
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        dtype: str | None = None,
    ):
        super().__init__(**{k: v for k, v in locals().items() if k not in ("self", "__class__")})

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "FastNNRegressor":
        """Train with rows X (N, K) and their numbers y, (N,) or (N, M)."""
        found: FastNNRegressor = self._fit(X, y, sample_weight, incremental=False)
        return found

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "FastNNRegressor":
        """Train one epoch more with these rows. With early_stopping, part of these rows gives a
        score, and the weights of the best one are those that stay."""
        found: FastNNRegressor = self._fit(X, y, sample_weight, incremental=True)
        return found

    def predict(self, X: Any) -> np.ndarray:
        """The numbers of each row, (N,) or (N, M)."""
        found = self._predicted(X)
        return found.ravel() if found.shape[1] == 1 and self._is_column else found

    def _check(self):
        super()._check()
        if self.loss not in ("squared_error", "poisson"):
            raise ValueError(f"loss must be 'squared_error' or 'poisson'; got {self.loss!r}")

    def _checked(self, X, y, incremental, reset):
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=True,
            dtype=(np.float64, np.float32), reset=reset,
        )  # fmt: skip
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and (np.any(y < 0) or np.sum(y) <= 0):
            raise ValueError("Some value(s) of y are out of the valid range of the loss 'poisson'.")
        return _dense(X), y

    def _targets(self, y):
        self._is_column = y.ndim == 1
        y = y.reshape(len(y), -1)
        return y.astype(np.float64), y.shape[1]

    def _output(self, outputs):
        return "exponential" if self.loss == "poisson" else "identity"

    def _loss(self, outputs):
        return (half_poisson_deviance if self.loss == "poisson" else half_squared_error), None

    def _is_stratified(self):
        return False

    def _score_of(self, model, X, y, weights):
        found = model.predict(X, batch_size=MAX_AUTO_BATCH, verbose=0)
        return float(r2_score(y.reshape(found.shape), found, sample_weight=weights))


def half_squared_error(y: Any, p: Any) -> Any:
    """(y - p)^2 / 2, the mean over outputs, of each row."""
    return ops.mean((y - p) * (y - p), axis=-1) * 0.5


def half_poisson_deviance(y: Any, p: Any) -> Any:
    """y log(y / p) - y + p, the mean over outputs, of each row; 0 log 0 is 0."""
    ratio = ops.where(y > 0, y / p, 1.0)
    return ops.mean(y * ops.log(ratio) - y + p, axis=-1)
