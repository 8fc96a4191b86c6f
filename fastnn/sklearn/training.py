"""How an estimator's network is made and trained: scikit-learn's initial weights, rates and ends of
training."""

from typing import Any

from sklearn.exceptions import ConvergenceWarning

import fastnn
from fastnn import layers, optimizers, random, regularizers
from fastnn.callbacks import Callback
from fastnn.errors import warn

ACTIVATIONS = {"identity": None, "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
MIN_ADAPTIVE_RATE = 1e-6  # below which "adaptive" ends training; scikit-learn's
ADAPTIVE_DIVISOR = 5.0


def network(
    estimator: Any, inputs: int, outputs: int, penalty: float, seed: int, dtype: str
) -> Any:
    """A network with weights drawn as scikit-learn draws them: evenly within sqrt(6 / (fan_in +
    fan_out)), of "logistic" sqrt(2 / ...), biases too. penalty: of the squares of kernels."""
    sizes, activation = estimator._hidden_sizes(), ACTIVATIONS[estimator.activation]
    regularizer = regularizers.L2(penalty) if penalty else None
    out = {"identity": None, "logistic": "sigmoid"}.get(
        estimator.out_activation_, estimator.out_activation_
    )
    hidden = [
        layers.Dense(n, activation, kernel_regularizer=regularizer, dtype=dtype) for n in sizes
    ]
    last = layers.Dense(outputs, out, kernel_regularizer=regularizer, dtype=dtype)
    model = fastnn.Sequential([fastnn.Input((inputs,), dtype=dtype), *hidden, last], dtype=dtype)
    draws, weights = random.Generator(seed), []
    for fan_in, fan_out in zip([inputs, *sizes], [*sizes, outputs], strict=True):
        bound = ((2.0 if estimator.activation == "logistic" else 6.0) / (fan_in + fan_out)) ** 0.5
        for shape in ((fan_in, fan_out), (fan_out,)):
            weights.append(draws.uniform(shape, -bound, bound, "float64").numpy().astype(dtype))
    model.set_weights(weights)
    return model


def optimizer(estimator: Any) -> Any:
    """Of the solver's name and the arguments that it has."""
    rate = estimator.learning_rate_init
    if estimator.solver == "adam":
        return optimizers.Adam(rate, estimator.beta_1, estimator.beta_2, estimator.epsilon)
    return optimizers.SGD(
        rate, estimator.momentum, estimator.nesterovs_momentum and estimator.momentum > 0
    )


class Course(Callback, aliases=None):
    """Follows the loss, or the score of validation rows, of every epoch: ends training, and lowers
    the rate, as scikit-learn does."""

    def __init__(self, estimator: Any, rows: int, validation: Any, incremental: bool):
        self.estimator, self.rows, self.validation = estimator, rows, validation
        self.incremental, self.is_converged = incremental, False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        e = self.estimator
        e.n_iter_ += 1
        e.t_ += self.rows
        e.loss_ = float((logs or {})["loss"])
        e.loss_curve_.append(e.loss_)
        if e.verbose:
            print(f"Iteration {e.n_iter_}, loss = {e.loss_:.8f}")
        self._count()
        if e.solver == "sgd" and e.learning_rate == "invscaling":
            self.model.optimizer.learning_rate = e.learning_rate_init / (e.t_ + 1) ** e.power_t
        if e._no_improvement_count > e.n_iter_no_change:
            self._stagnates()

    def _count(self):
        """Count epochs without improvement."""
        e = self.estimator
        if self.validation is None:
            best = e.loss_ < e.best_loss_ - e.tol
            e.best_loss_ = min(e.loss_, e.best_loss_)
        else:
            score = e._score_of(self.model, *self.validation)
            e.validation_scores_.append(score)
            if e.verbose:
                print(f"Validation score: {score:f}")
            best = score >= e.best_validation_score_ + e.tol
            if score > e.best_validation_score_:
                e.best_validation_score_ = score
                e._best_weights = self.model.get_weights()
        e._no_improvement_count = 0 if best else e._no_improvement_count + 1

    def _stagnates(self):
        e, what = self.estimator, "Training loss" if self.validation is None else "Validation score"
        said = (
            f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change} consecutive "
            "epochs."
        )
        rate = self.model.optimizer.learning_rate
        if e.solver == "sgd" and e.learning_rate == "adaptive" and rate > MIN_ADAPTIVE_RATE:
            self.model.optimizer.learning_rate = rate / ADAPTIVE_DIVISOR
            e._no_improvement_count = 0
            if e.verbose:
                print(f"{said} Setting learning rate to {rate / ADAPTIVE_DIVISOR:f}")
            return
        if e.verbose:
            print(f"{said} Stopping.")
        self.is_converged = self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        e = self.estimator
        if self.model.history.interrupted:
            warn("Training interrupted by user.")
        elif not self.is_converged and not self.incremental and e.n_iter_ == e.max_iter:
            warn(
                f"{type(e).__name__}: max_iter={e.max_iter} epochs are over, and training hasn't "
                "converged yet",
                ConvergenceWarning,
            )
        if self.validation is not None and e._best_weights is not None:
            self.model.set_weights(e._best_weights)
