"""compile, fit, evaluate and predict, as Keras names them."""

import math
import sys
from typing import Any

import numpy as np

from fastnn import checks, losses, optimizers, random, tree
from fastnn.callbacks import CallbackList, History
from fastnn.devices.choice import device, where_it_lies
from fastnn.layers import Layer
from fastnn.locks import lock
from fastnn.metrics import for_targets as metric_of
from fastnn.optimizers import Optimizer
from fastnn.tape.record import context
from fastnn.watch import Cache

from . import data, preparing
from .batches import Batches, are_batches
from .checking import Checking
from .data import Rows
from .epoch import Epoch
from .given import Given, checked, expect_whole_batches, size_of_batches
from .on_batch import OnBatch, expect_no_recording
from .outputs import (
    Choice,
    Layout,
)
from .own_steps import owns
from .predict import Predictor
from .progress import CompileNotice, Progress
from .step import epoch_of

MAX_PROGRAMS = 16  # that a model keeps, by the shapes of the data; the one longest unused goes


class Trainer(OnBatch, Checking, aliases=None):
    """The part of a model that trains."""

    not_recorded = (
        *Layer.not_recorded, "history", "stop_training", "run_eagerly", "_programs", "_generator",
        "_lock", "_initial_epoch", "preprocessing", "labels", "_layout", "_metric_names",
    )  # fmt: skip

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        self.optimizer: Optimizer | None = None
        self.loss: Any = None  # one, or a structure of them as of the outputs
        self.loss_weights: Any = None
        self.history: History | None = None
        self.stop_training = False
        self._initial_epoch = 0  # of the `fit` that runs
        self.run_eagerly = False
        self.preprocessing: Any = None  # a step, or a dictionary of the model's inputs' steps
        self.labels: Any = None  # fastnn.preprocessing.Labels
        self._metric_names: tuple[Any, Any] = (), ()  # those without weights, and those with
        self._metrics: tuple[tuple[Choice, ...], ...] | None = None  # of each output
        self._layout = Layout([], [])
        self._generator: tuple[int, random.Generator] | None = None
        self._begin()

    def _begin(self) -> None:
        """Make what is of this very model: no copy has it."""
        self._programs = Cache(4 * MAX_PROGRAMS)
        self._lock = lock()  # of `fit`: one at a time

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self.optimizer is not None

    def __getstate__(self) -> dict[str, Any]:
        state, drawn = super().__getstate__(), self._generator
        del state["_programs"], state["_lock"]
        # Random numbers go on where they are, unless the process's were seeded since, as in the
        # next fit of the original.
        return {
            **state,
            "_generator": drawn[1] if drawn and drawn[0] == random.default.resets else None,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        generator = state["_generator"]
        vars(self).update(state, _generator=generator and (random.default.resets, generator))
        self._begin()

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = (),
        run_eagerly: bool = False,
        loss_weights: Any = None,
        weighted_metrics: Any = (),
        steps_per_execution: int = 1,
        jit_compile: bool | str | None = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Say how to train.

        optimizer: a name ("sgd", "adam", "rmsprop") or an optimizer. loss: a name, a loss or a
        function of (y_true, y_pred); None where layers add one (`add_loss`). metrics: names,
        metrics or functions of (y_true, y_pred); "accuracy" and "crossentropy" are those that fit
        targets and predictions, as in Keras. A function made of ops gives values of which a mean is
        kept; any other, as of scikit-learn, is given all targets and predictions once an epoch, as
        arrays, (N,) of one number a row.
        weighted_metrics: the same, in which sample_weight counts. run_eagerly: whether every step
        runs from Python instead of being recorded: the same bits, slower; for looking into `call`.
        steps_per_execution, jit_compile, auto_scale_loss: taken as Keras takes them; they change
        nothing here, where as many steps as can run at once do, and losses are not scaled.

        Of a model with several outputs, loss, metrics and loss_weights may be a list or dictionary
        like them, with what belongs to each; None leaves an output out. One loss is for all. What
        is trained is the sum of the losses, each times its weight.
        """
        run_eagerly = checks.flag("compile: run_eagerly", run_eagerly)
        checks.whole_number("compile: steps_per_execution", steps_per_execution, 1)
        checks.flag("compile: auto_scale_loss", auto_scale_loss)
        if jit_compile not in ("auto", None):
            checks.flag("compile: jit_compile", jit_compile)
        chosen = optimizers.get(optimizer, "compile: optimizer")
        chosen_loss = tree.map(lambda one: losses.loss_of(one, "compile: loss"), loss)
        for what, names in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            for name in tree.flatten(names):
                metric_of(name, False, 1, f"compile: {what}")  # raises for one that is not known
        self.optimizer, self.loss, self.run_eagerly = chosen, chosen_loss, run_eagerly
        self.loss_weights, self._metrics = loss_weights, None
        self._metric_names = metrics or (), weighted_metrics or ()
        self._generator = None
        self._programs.clear()

    def compiled_with(self) -> dict[str, Any]:
        """The arguments of `compile`."""
        return {
            "optimizer": self.optimizer,
            "loss": self.loss,
            "metrics": self._metric_names[0],
            "weighted_metrics": self._metric_names[1],
            "run_eagerly": self.run_eagerly,
            "loss_weights": self.loss_weights,
        }

    def __setattr__(self, name: str, value: Any) -> None:
        is_step = name in ("preprocessing", "labels")
        super().__setattr__(name, preparing.checked(name, value) if is_step else value)

    # ---- fit

    @where_it_lies
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> History:
        """Train, and return the history: of each epoch the means of loss and metrics.

        x: (N, ...), y: (N, ...), arrays or what numpy.asarray takes; they are never written to.
        For a model whose `call` takes or returns a list, tuple or dictionary, x or y is one of
        arrays. Labels of classes are whole numbers. x may also be what gives batches, (x, y) or (x,
        y, sample_weight): a generator, a sequence such as `utils.PyDataset`, an iterable such as
        PyTorch's DataLoader; validation_data likewise. steps_per_epoch: how many batches are an
        epoch, of arrays too; the next one goes on where it ends; validation_steps: of validation.
        batch_size: 32 unless given; the last batch may be smaller. epochs: how many, or, with
        initial_epoch, the number after the last one. verbose: 0 nothing, 1 or "auto" a line an
        epoch, 2 the same without a live line. validation_split: the last part of the rows, kept out
        of training; validation_data: (x, y) or (x, y, sample_weight), in batches of
        validation_batch_size (batch_size), after every validation_freq-th epoch or those in a list
        (the first is 1). shuffle: whether each epoch takes the rows in a new order, or the batches
        of a sequence. class_weight: by which the loss of a row is multiplied, of each class that it
        names. sample_weight: (N,), (N, 1) or one number, by which each row's loss is multiplied,
        also a structure of such, one for each output; a negative one trains away from its row.
        Defaults are Keras's.

        A loss or gradient that is not finite raises FloatingPointError, which names epoch, step and
        layer; the weights are those before that step. Ctrl-C ends training, sets `stop_training`
        and returns the history so far.

        Other threads may use the model meanwhile. `predict`, `evaluate`, recorded steps,
        `get_weights` and `save_weights` wait for a slice of training at most, a tenth of a second
        or one step, and see the weights as they are between two steps. Called as a function, or
        with run_eagerly=True, the model waits for nobody, and may see half of an update. A second
        `fit` waits for the first.
        """
        expect_no_recording("fit")
        self._expect_compiled("fit", "train")
        size = size_of_batches(self, batch_size)
        sizes = size, size_of_batches(self, validation_batch_size or size)
        epochs = checks.whole_number("epochs", epochs, 0)
        shuffle = checks.flag("shuffle", shuffle)
        is_tested = data.validated_epochs(validation_freq)
        progress = Progress(verbose, epochs)
        with self._lock, CompileNotice(progress.on):
            is_raw = self.preprocessing is not None or self.labels is not None
            if is_raw and not are_batches(x):
                x, y, sample_weight, held = preparing.fitted(
                    self, x, y, sample_weight, validation_split, progress.on
                )
                if are_batches(validation_data):
                    held = validation_data
                elif validation_data is not None:
                    test_x, test_y, *rest = data.pair(validation_data)
                    held = preparing.inputs(self, test_x), preparing.targets(self, test_y), *rest
                validation_data, validation_split = held, 0.0
            given = Given.of(
                self, (x, y, sample_weight), class_weight, validation_data, validation_split,
                sizes, shuffle, steps_per_epoch, validation_steps,
            )  # fmt: skip
            rows, test, sizes = given.rows, given.test, given.sizes
            history = History(
                {"verbose": verbose, "epochs": epochs, "steps": given.steps}, random.default.seed
            )
            called = CallbackList(callbacks, self, history.params)
            self.history, self.stop_training = history, False
            self._initial_epoch = checks.whole_number("initial_epoch", initial_epoch, 0)

            def program(number: int) -> Epoch:
                tested = test if is_tested(number) else None
                permuted = shuffle and given.train_batches is None
                return self._training("fit", rows, tested, sizes, permuted)

            driver = given.driver(self, program(self._initial_epoch), called, progress)
            driver.can_test = test is not None
            driver.finished, driver.noted = history.extend, history.note
            try:
                called.call("on_train_begin", None)
                driver.fit(self._initial_epoch, epochs, program, is_tested)
                optimizer = self.optimizer  # None: a step of the model's own has others
                if optimizer is not None and optimizer.use_ema:
                    optimizer.finalize_variable_values(self.trainable_variables)
            except KeyboardInterrupt:
                self.stop_training = history.interrupted = True
                history.cut()
                print(
                    f"\nfit was interrupted after {len(history.epoch)} of {epochs} epochs",
                    file=sys.stderr,
                )
            except FloatingPointError as error:
                if not called.handle(error):
                    raise
            finally:
                driver.epoch.release()
            called.call("on_train_end", {k: v[-1] for k, v in history.history.items() if v})
        return history

    @where_it_lies
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss over data, followed by the metrics if there are any: a number, a list or, with
        return_dict, a dictionary. steps: of how many batches; None: all. Arguments as in `fit`."""
        expect_no_recording("evaluate")
        return_dict = checks.flag("return_dict", return_dict)
        self._expect_compiled("evaluate", "test")
        progress = Progress(verbose, 0, "Evaluation")
        with CompileNotice(progress.on):
            size = size_of_batches(self, batch_size)
            given = Given.to_evaluate(self, (x, y, sample_weight), size, steps)
            called = CallbackList(callbacks, self, {"verbose": verbose, "steps": given.steps})
            epoch = self._program("evaluate", None, given.rows, given.sizes, False)
            try:
                epoch.begin([given.rows.arrays()])
                results = given.driver(self, epoch, called, progress).evaluate()
            finally:
                epoch.release()
        named = dict(zip(epoch.measures[0].names, results, strict=True))
        progress.epoch(0, named)
        if return_dict:
            return named
        return results if len(results) > 1 else results[0]

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The model's results for rows x: an array, or arrays in the structure that `call`
        returns. x may give batches, as in `fit`; steps: how many are taken. batch_size: 32 unless
        given, or that of the inputs' batch_shape; it changes nothing but speed. verbose is taken
        for Keras's sake: predicting prints nothing. Any number of threads may predict at once, also
        while another one trains: each slice of batches is then computed with the weights between
        two steps (see `fit`)."""
        arena = self._arena
        if arena is not None and arena.device != context.device:
            # as `where_it_lies` has it, which takes a tenth of a prediction of one row
            with device(arena.device):
                return self.predict(x, batch_size, verbose, steps, callbacks)
        expect_no_recording("predict")
        if self.preprocessing is not None and not are_batches(x):
            x = preparing.inputs(self, x)
        if callbacks is None and steps is None:
            found = self._programs.find(
                (
                    "predict",
                    getattr(x, "shape", None),
                    32 if batch_size is None else batch_size,
                    self.run_eagerly,
                )
            )
            if found is not None:  # the quick way, for one row at a time in a loop of one's own
                return found(x)
        if are_batches(x):
            found = [self.predict(part[0]) for part in Batches(x, steps).epoch()]
            return tree.map(lambda *parts: np.concatenate(parts), *found)
        batch_size = size_of_batches(self, batch_size)
        rows = self._inputs(x, "x", check=False)
        if steps is not None:
            count = checks.whole_number("steps", steps, 1) * batch_size
            rows = x = tree.map(lambda array: array[:count], rows)
        with CompileNotice(bool(verbose)):
            output, count = self._predicted(rows), len(tree.flatten(rows)[0])
            expect_whole_batches(self, count, "predict")
            size = count if count <= batch_size else None
            key: tuple = "predict", size, data.signature(rows), batch_size, self.run_eagerly
            if type(x) is np.ndarray and size is not None and x.shape == getattr(rows, "shape", ()):
                key = "predict", x.shape, batch_size, self.run_eagerly
            predictor = self._kept(
                key, lambda: Predictor(self, rows, size, output, batch_size, self.run_eagerly)
            )
        called = CallbackList(callbacks, self, {"steps": math.ceil(count / batch_size)})
        return predictor(rows, called, x)

    @where_it_lies
    def profile(
        self, x: Any, y: Any, batch_size: int | None = None, sample_weight: Any = None
    ) -> None:
        """Print where the time of a training step goes: for each call its time and share, GFLOP/s
        and GB/s, the fraction reached of what this machine can do (multiply-adds in registers,
        streams through memory), and how wide its vectors are in the object code; the whole step's
        time by threads; and a line of advice where something simple is lost. Arguments as in `fit`.
        Nothing is trained: afterwards all is as before.

        >>> import fastnn
        >>> hidden = fastnn.layers.Dense(40, activation="relu")
        >>> model = fastnn.Sequential([fastnn.Input((8,)), hidden, fastnn.layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> x = fastnn.random.normal((64, 8), seed=0).numpy()
        >>> model.profile(x, x[:, :1], batch_size=1)  # doctest: +ELLIPSIS
        A training step of 1 row, each call by itself on one thread:
        ...
        advice: batches of one row read every weight for that row alone; a larger batch_size ...
        """
        from fastnn.profiling import profile_step
        from fastnn.weights import named

        self._compiled("profile")
        batch_size = size_of_batches(self, batch_size)
        if self.run_eagerly:
            raise RuntimeError(
                "profile: the model runs eagerly, from Python; compile(..., run_eagerly=False) to "
                "see its calls"
            )
        with self._lock:
            rows = checked(self, (x, y, sample_weight))
            gradients = [(v, v._gradient) for v in self.trainable_variables]
            epoch = self._training("profile", rows, None, (batch_size, batch_size), True)
            try:
                # others do not see what it trains
                weights = named(self)
                text = epoch.program.turn.run(profile_step, epoch, weights, self.dtype, rows.number)
            finally:
                epoch.release()
                for variable, gradient in gradients:
                    variable._gradient = gradient
        print(text)

    # ---- parts

    def _training(
        self, what: str, rows: Rows, test: Rows | None, sizes: tuple[int, int], shuffle: bool
    ) -> Epoch:
        """The program of an epoch of training, at its beginning. sizes: of batches, those of
        validation last."""
        self._expect_compiled(what, "train")
        self._build_optimizer(what)
        epoch = self._program("fit", rows, test, sizes, shuffle)
        epoch.begin([r.arrays() for r in (rows, test) if r is not None])
        return epoch

    def _build_optimizer(self, what):
        variables = self.trainable_variables
        if not variables:
            raise ValueError(f"{what}: model {self.name!r} has no trainable weights")
        if self.optimizer is not None:
            self.optimizer.build(variables)
        for variable in variables:
            variable._gradient = None
        return variables

    def _expect_compiled(self, what: str, kind: str) -> None:
        """Raise unless the model can take such steps: its own need no loss."""
        if not owns(self, kind):
            self._compiled(what)

    def _drawing(self) -> random.Generator:
        """What shuffles: the model's own generator, spawned from the process's when first needed
        and after it was seeded anew."""
        if self._generator is None or self._generator[0] != random.default.resets:
            self._generator = random.default.resets, random.default.spawn()
            for key in [k for k in list(self._programs) if k[0] == "fit"]:
                self._programs.pop(key, None)
        return self._generator[1]

    def _program(
        self,
        kind: str,
        rows: Rows | None,
        test: Rows | None,
        sizes: tuple[int, int],
        shuffle: bool,
    ) -> Epoch:
        """The program of an epoch over data of these shapes, made if need be."""
        generator = self._drawing() if shuffle else None
        signatures = tuple(None if r is None else data.signature(r) for r in (rows, test))
        key: tuple = kind, signatures, sizes, shuffle, self.run_eagerly
        if self._layout.collects:
            key += tuple([r.number for r in (rows, test) if r is not None])

        def make():
            epoch = epoch_of(self, rows, test, sizes, generator)
            epoch.take()
            return epoch

        found = self._programs.find(key, Epoch.take)
        return self._made(key, make) if found is None else found
