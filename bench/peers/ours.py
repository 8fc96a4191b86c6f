"""fastnn. A fit is that of a fresh, compiled model, so recording its step is part of the time."""

import numpy as np

import fastnn
from bench.kinds import (
    FLOAT,
    STREAMS_OF_UPDATE,
    Both,
    Chain,
    Decay,
    Fit,
    FitBatches,
    Loop,
    Network,
    OpCall,
    Predict,
    Product,
    Record,
    Table,
    Update,
)
from fastnn import layers
from fastnn.devices.cpu.program import Program

from .families_ours import train, write  # noqa: F401

IMPORT = "import fastnn"
OPTIMIZERS = {"sgd": fastnn.optimizers.SGD, "adam": fastnn.optimizers.Adam}
UPDATES = STREAMS_OF_UPDATE
PROGRAM = "import runpy; runpy.run_module('fastnn.article')"  # as printed


def model_of(case: Network) -> fastnn.Sequential:
    last = "sigmoid" if case.widths[-1] == 1 else "softmax"
    activations = ["relu"] * (len(case.pairs) - 1) + [last]
    stack = []
    for n, activation in zip(case.widths[1:], activations, strict=True):
        if case.norm and activation == "relu":
            stack += [layers.Dense(n), layers.BatchNormalization(), layers.ReLU()]
        else:
            stack.append(layers.Dense(n, activation=activation))
    model = fastnn.Sequential([fastnn.Input((case.widths[0],)), *stack])
    for variable, value in zip(model.trainable_variables, case.weights(), strict=True):
        variable.assign(value)
    return model


def compiled(case: Fit) -> fastnn.Sequential:
    loss, metrics = (
        ("binary_crossentropy", ["accuracy"])
        if case.widths[-1] == 1
        else ("sparse_categorical_crossentropy", [])
    )
    model = model_of(case)
    model.compile(OPTIMIZERS[case.optimizer](case.rate), loss, metrics)
    return model


def fit(case: Fit):
    x, y = case.data()

    def fresh():
        model = compiled(case)
        return lambda: model.fit(
            x, y, batch_size=case.batch, epochs=case.epochs, verbose=0
        ).history["loss"][-1]

    return fresh


def fit_batches(case: FitBatches):
    batches = case.batches()

    def fresh():
        model = compiled(case)
        return lambda: model.fit(
            (batch for _ in range(case.epochs) for batch in batches),
            epochs=case.epochs,
            steps_per_epoch=case.steps,
            verbose=0,
        ).history["loss"][-1]

    return fresh


def epoch_of(case: Fit):
    """The program of an epoch of it: of its tapes the second is a step's."""
    model, (x, y) = compiled(case), case.data()
    return model._training("fit", model._rows(x, y, None), None, (case.batch, case.batch), True)


def product(case: Product):
    program = program_of_product(case)
    return lambda: run_steps(program, case.units, program.n_threads)


def program_of_product(case: Product) -> Program:
    a, b = (fastnn.tensor(x) for x in case.arrays())
    return repeated(fastnn.record(lambda: fastnn.ops.matmul(a, b)))


def repeated(step) -> Program:
    """A recorded step without arguments as a program that goes on and on."""
    return Program([(step.recording().tape, 1 << 60)])


def run_steps(program, steps, n_threads):
    program.position = (0, 0, 0)
    program.run(1, steps, n_threads)
    return program.seconds_each(0.0) or None


def speedup(case: Product, rounds: int = 30) -> float:
    """By all threads, inside a run: the fastest of some rounds of each, alternating."""
    program = program_of_product(case)
    times: dict[int, list[float]] = {n_threads: [] for n_threads in (1, program.n_threads)}
    for _ in range(rounds):
        for n_threads, found in times.items():
            found.append(run_steps(program, max(4, case.units), n_threads))
    return min(times[1]) / min(times[program.n_threads])


def decay(case: Decay):
    """Seconds of a step at first, and a function that takes so many steps and then times one. The
    rows are zeros, and L2 decay of the weights, in the loss, is all that moves them: they, their
    gradients and velocities go on through the denormal numbers."""
    x = fastnn.tensor(np.zeros((case.batch, case.widths[0]), FLOAT))
    model = fastnn.Sequential(
        [
            fastnn.Input((case.widths[0],)),
            *[layers.Dense(n, activation="relu") for n in case.widths[1:]],
        ]
    )
    optimizer = fastnn.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(model.trainable_variables)

    @fastnn.record
    def step():
        loss = fastnn.ops.mean(model(x, training=True))
        for variable in model.trainable_variables:
            loss = loss + fastnn.ops.sum(variable * variable)
        loss.backward()
        optimizer.step()

    program = repeated(step)

    def timed(steps):
        run_steps(program, steps, 1)
        return min(run_steps(program, 2000, 1) for _ in range(20))

    return timed(2), timed


def record(case: Record):
    """The run returns how many instructions it recorded."""
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


def loop(case: Loop):
    """A tape of one instruction, replayed as often."""
    function = fastnn.ops.registry[case.op]
    step = fastnn.record(lambda *inputs: function(*inputs, **case.attributes))
    return replayed(step.recording(*case.arrays()).tape, case.units)


def both(case: Both):
    """A tape of the op and its gradient. The variables' gradients are overwritten by every step;
    the result is returned, or what no gradient needs would be dead code."""
    function = fastnn.ops.registry[case.op]
    inputs = [fastnn.Variable(a) if a.dtype == FLOAT else fastnn.tensor(a) for a in case.arrays()]

    def step(upstream):
        y = function(*inputs, **case.attributes)
        y = y[0] if isinstance(y, tuple) else y
        y.backward(upstream)
        for variable in inputs:
            variable.gradient = None
        return y

    return replayed(fastnn.record(step).recording(case.upstream()).tape, case.units)


def chain(case: Chain):
    step = fastnn.record(case.formula(fastnn.ops.tanh, fastnn.ops.relu))
    return replayed(step.recording(case.array()).tape, case.units)


def replayed(tape, times):
    """A run that replays a tape so often."""
    program = Program([(tape, times)])

    def run():
        program.position = (0, 0, 0)
        program.run(1, n_threads=program.n_threads)

    return run


def update(case: Update):
    values, gradient = case.arrays()
    variables, gradients = [fastnn.Variable(values)], [fastnn.tensor(gradient)]
    optimizer = fastnn.optimizers.get(case.optimizer)
    optimizer.build(variables)
    return replayed(fastnn.record(lambda: optimizer.apply(gradients)).recording().tape, case.units)


def table(case: Table):
    index, upstream = case.data()
    rows = layers.Embedding(case.rows, case.columns, sparse_gradient=True)
    optimizer = fastnn.optimizers.Adam()
    rows.build((None,))
    optimizer.build(rows.trainable_variables)

    @fastnn.record
    def step(index, upstream):
        rows(index).backward(upstream)
        optimizer.step()

    tape = step.recording(fastnn.tensor(index, "int64"), fastnn.tensor(upstream)).tape
    return replayed(tape, case.units)


tested = loop
