"""fastnn. A fit is that of a fresh, compiled model, so recording its step is part of the time."""

import fastnn
from bench.cases import Fit, Network, OpCall, Predict, Record, Update
from fastnn import layers

IMPORT = "import fastnn"
PROGRAM = "import runpy; runpy.run_module('fastnn.article')"  # as printed


def model_of(case: Network) -> fastnn.Sequential:
    last = "sigmoid" if case.widths[-1] == 1 else "softmax"
    activations = ["relu"] * (len(case.pairs) - 1) + [last]
    dense = [layers.Dense(n, activation=a) for n, a in zip(case.widths[1:], activations, strict=True)]
    model = fastnn.Sequential([fastnn.Input((case.widths[0],)), *dense])
    model.set_weights(case.weights())
    return model


def fit(case: Fit):
    x, y = case.data()
    kinds = {"sgd": fastnn.optimizers.SGD, "adam": fastnn.optimizers.Adam}
    loss, metrics = ("binary_crossentropy", ["accuracy"]) if case.widths[-1] == 1 else ("sparse_categorical_crossentropy", [])

    def fresh():
        model = model_of(case)
        model.compile(kinds[case.optimizer](case.rate), loss, metrics)
        return lambda: model.fit(x, y, batch_size=case.batch, epochs=case.epochs, verbose=0).history["loss"][-1]

    return fresh


def record(case: Record):
    """The run returns how many instructions it wrote down."""
    rows = fastnn.random.normal((case.batch, case.widths[0]), seed=0)
    labels = fastnn.tensor([n % case.widths[-1] for n in range(case.batch)])
    loss_function = fastnn.losses.SparseCategoricalCrossentropy()

    def fresh():
        model, optimizer = model_of(case), fastnn.optimizers.Adam(1e-3)
        optimizer.build(model.trainable_variables)

        @fastnn.record
        def step(x, y):
            loss = loss_function(y, model(x, training=True))
            loss.backward()
            optimizer.step()
            return loss

        return lambda: len(step.recording(rows, labels).tape.instructions)

    return fresh


def predict(case: Predict):
    model, row = model_of(case), case.row()
    return lambda: model.predict(row)


def op(case: OpCall):
    function, inputs = fastnn.ops.registry[case.op], [fastnn.tensor(a) for a in case.arrays()]
    return lambda: function(*inputs, **case.attributes)


def update(case: Update):
    values, gradients = case.arrays()
    variables, gradients = [fastnn.Variable(values)], [fastnn.tensor(gradients)]
    optimizer = fastnn.optimizers.Adam(1e-3)
    optimizer.build(variables)
    return lambda: optimizer.apply(gradients)
