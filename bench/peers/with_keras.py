"""Keras on TensorFlow, `compile` and `fit` as in the article. So that it is compiled beforehand, a
fresh model is the same model with its weights and its optimizer's state put back: another one would
be traced anew, which takes longer than an epoch."""

import os
from collections.abc import Callable

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import tensorflow

from bench.kinds import Fit, FitBatches, Network, Predict

IMPORT = "import keras"

tensorflow.config.threading.set_intra_op_parallelism_threads(int(os.environ["OMP_NUM_THREADS"]))
tensorflow.config.threading.set_inter_op_parallelism_threads(1)


def model_of(case: Network) -> keras.Sequential:
    last = "sigmoid" if case.widths[-1] == 1 else "softmax"
    activations = ["relu"] * (len(case.pairs) - 1) + [last]
    dense = [
        keras.layers.Dense(n, activation=a)
        for n, a in zip(case.widths[1:], activations, strict=True)
    ]
    hidden = [[d] for d in dense]
    if case.norm:
        for n, layer in enumerate(dense[:-1]):
            layer.activation = keras.activations.linear
            hidden[n] += [keras.layers.BatchNormalization(), keras.layers.ReLU()]
    model = keras.Sequential(
        [keras.Input((case.widths[0],)), *[layer for group in hidden for layer in group]]
    )
    for variable, value in zip(model.trainable_variables, case.weights(), strict=True):
        variable.assign(value)
    return model


def fit(case: Fit):
    x, y = case.data()
    return trained(case, lambda: {"x": x, "y": y, "batch_size": case.batch})


def fit_batches(case: FitBatches):
    batches = case.batches()

    def given():
        again = (batch for _ in range(case.epochs) for batch in batches)
        return {"x": again, "steps_per_epoch": case.steps}

    return trained(case, given)


def trained(case: Fit, given: Callable[[], dict]):
    """A fit with these arguments."""
    kinds = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}
    loss, metrics = (
        ("binary_crossentropy", ["accuracy"])
        if case.widths[-1] == 1
        else ("sparse_categorical_crossentropy", [])
    )
    model = model_of(case)
    model.compile(kinds[case.optimizer](case.rate), loss, metrics=metrics)
    model.optimizer.build(model.trainable_variables)
    initial = [(v, v.numpy()) for v in (*model.variables, *model.optimizer.variables)]

    def fresh():
        for variable, value in initial:
            variable.assign(value)
        return lambda: model.fit(**given(), epochs=case.epochs, verbose=0).history["loss"][-1]

    return fresh


def predict(case: Predict):
    """`predict_on_batch`: `predict` takes far longer for one row, and calling the model as a
    function longer too."""
    model, row = model_of(case), case.row()
    return lambda: model.predict_on_batch(row)
