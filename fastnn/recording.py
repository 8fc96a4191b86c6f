"""`fastnn.record`: a step of one's own, written down on its first call and replayed natively from then on."""

import sys
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import numpy as np

from fastnn.config import floatx
from fastnn.device.buffers import allocate
from fastnn.device.locks import making
from fastnn.errors import NotFiniteError, RecordingError
from fastnn.generators import Generators
from fastnn.tape.pace import Pace
from fastnn.tape.record import Recorder, Search, context
from fastnn.tape.run import Program, StepFailed, Tape, lanes_to_plan_for
from fastnn.tape.watch import Kept, Watch, Watched
from fastnn.tensor import Tensor, Variable, as_array

WAKING = 5e-5  # seconds that lanes take to wake up and to leave, in each call: shorter steps have one
MOST_TAPES = 16  # of one function: full batch, last batch, evaluation and the like; the one longest unused goes


def record(function: Callable[..., Any]) -> "Recorded":
    """Make a function of arrays a step that is recorded once and replayed without Python.

    Arrays, tensors and floats among the arguments are inputs: for each new set of shapes and element types the function is
    called once, and what it asked to compute is written down; every call, the first included, then runs that tape. Integers,
    strings, booleans and None are constants: for others it is recorded anew. It returns a tensor, a list, tuple or dictionary of
    tensors, or nothing.

    It is also recorded anew when something has changed that it read: attributes of layers, models, optimizers, losses and metrics,
    also private ones; entries of lists and dictionaries that are such attributes, also nested; whether variables are trainable;
    which of these objects the function's own global and enclosing names mean. Eight states are kept, so one that comes back costs
    nothing. What the function itself assigns is no change. A number that differs in every step should be an argument, or
    `optimizer.learning_rate`, which is read from memory.

    Nothing else can be watched and stays as it was: other global and enclosing variables, attributes of objects of other classes,
    what functions that it calls look up, arrays that are changed in place, methods that are replaced in a class. After such a
    change record the function again: `step = fastnn.record(function)`.

    While it is recorded, reading a tensor (`float`, `bool`, `numpy()`) raises RecordingError, as do random numbers drawn
    elsewhere than from fastnn. Tensors it does not return are dead afterwards.

    It is copied and pickled as its function is: one of a module stands for itself and is pickled by its name, a method goes with
    its object; what a function closes over stays the original's. The copy records anew.

    >>> import fastnn
    >>> @fastnn.record
    ... def double(x):
    ...     return x + x
    >>> double([1.0, 2.0]).numpy()
    array([2., 4.], dtype=float32)
    """
    return Recorded(function)


class Recorded:
    """A function with its tapes. `tapes` maps what a call looked like to what was recorded for it."""

    def __init__(self, function: Callable[..., Any], name: str | None = None):
        update_wrapper(self, function)
        self.function, self.name = function, name or function.__name__
        self.tapes = Kept(MOST_TAPES)

    def __reduce_ex__(self, protocol: Any) -> Any:
        name: str = getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(self.__module__)
        for part in name.split("."):
            found = getattr(found, part, None)
        return name if found is self else super().__reduce_ex__(protocol)

    def __getstate__(self) -> tuple:
        return self.function, self.name

    def __setstate__(self, state: tuple) -> None:
        Recorded.__init__(self, *state)

    def __call__(self, *arguments, **named):
        return self.recording(*arguments, **named).run(arguments, named)

    def recording(self, *arguments, **named) -> "Recording":
        """The recording for such a call, made if need be."""
        key = tuple([_key(a) for a in arguments]), *[(n, _key(a)) for n, a in named.items()]
        found = self.tapes.good(key)
        if found is None:
            found = Recording(self.function, self.name, arguments, named)
            self.tapes.add(key, found)
        return found

    def summary(self) -> str:
        """`tape.summary()` of every recording."""
        return "\n\n".join(r.tape.summary() for recordings in self.tapes.values() for r in recordings)


def _key(argument):
    if isinstance(argument, Tensor | np.ndarray):
        return argument.shape, argument.dtype
    if argument is None or isinstance(argument, int | str):
        return type(argument), argument
    if isinstance(argument, float):
        return float
    array = np.asarray(argument)
    return array.shape, array.dtype


def _is_input(argument):
    return not (argument is None or isinstance(argument, int | str))


class Recording:
    """One tape of a function: for arguments of one look, and for variables with or without gradients as it met them."""

    def __init__(self, function, name, arguments, named):
        self.function, self.name = function, name
        self.inputs, self.named = self._given(arguments, named)
        recorder, self.watch = Recorder(name), Watch()
        generators = Generators(function)
        with making:
            with self.watch, recorder:
                self.outputs = function(*self.inputs, **self.named)
                flat = list(_tensors(self.outputs, name))
            generators.expect_unchanged(lambda: function(*self.inputs, **self.named), name)
            self.watch.follow(function, (Watched, Variable))
            self.variables, self.had = list(recorder.had_gradient), [g is not None for g in recorder.had_gradient.values()]
            self.has = [(v, v._gradient) for v in self.variables if isinstance(v, Variable)]
            recorder.restore_gradients()
        self.tape = Tape(recorder, [t.buffer for t in flat], lanes_to_plan_for())
        self.program = Program([(self.tape, 1)])
        self.pace = Pace(self.program) if self.tape.work > WAKING else None

    def _given(self, arguments, named):
        """What the function is called with for these."""
        inputs = [self._staged(a) if _is_input(a) else a for a in arguments]
        return inputs, {n: self._staged(a) if _is_input(a) else a for n, a in named.items()}

    def _staged(self, argument):
        """Memory of the tape's own for an input; calls copy into it."""
        dtype = argument.dtype if isinstance(argument, Tensor) else None
        array = as_array(argument, dtype, self.name)
        if not isinstance(argument, Tensor) and array.dtype.kind == "f":
            array = array.astype(floatx())
        staged = Tensor(allocate(array.nbytes), array.shape, array.dtype)
        staged.buffer.array(array.shape, array.dtype)[...] = array
        return staged

    def fits(self) -> bool:
        """Whether the variables have gradients, or none, as the recorded step met them, and all else is as it was."""
        return [v._gradient is not None for v in self.variables] == self.had and self.watch.holds()

    def run(self, arguments: tuple, named: dict) -> Any:
        try:
            return self.program.turn.run(self._run, arguments, named)
        except StepFailed as failed:  # other threads may have put in other arguments since
            inputs, by_name = self._given(arguments, named)
            before = [(v, v._gradient) for v in self.variables]
            try:
                raise explained(failed.error(), lambda: self.function(*inputs, **by_name)) from None
            finally:
                for variable, gradient in before:
                    variable._gradient = gradient

    def _run(self, arguments, named):
        pairs = [*zip(self.inputs, arguments, strict=True), *((self.named[n], a) for n, a in named.items())]
        for staged, argument in pairs:
            if isinstance(staged, Tensor):
                given = argument.buffer.array(argument.shape, argument.dtype) if isinstance(argument, Tensor) else argument
                staged.buffer.array(staged.shape, staged.dtype)[...] = given
        self.program.rewind()
        if self.pace is None:
            self.program.run(1)
        else:
            self.pace.run(1, 1)
        for variable, gradient in self.has:
            variable._gradient = gradient
        return _mapped(self.outputs, self._copied)

    def _copied(self, output):
        if output.buffer.address is not None:  # a variable or a constant, returned as it is
            return output
        array = self.tape.array(output)
        copy = Tensor(allocate(array.nbytes), output.shape, output.dtype)
        copy.buffer.array(output.shape, output.dtype)[...] = array
        return copy


def _tensors(outputs, name):
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, list | tuple | dict):
        for o in outputs.values() if isinstance(outputs, dict) else outputs:
            yield from _tensors(o, name)
    elif outputs is not None:
        raise RecordingError(
            f"{name} returned {outputs!r}: a recorded step returns tensors, in lists, tuples and dictionaries, or nothing. "
            "Other values would stay those of its first call."
        )


def _mapped(outputs, function):
    if isinstance(outputs, Tensor):
        return function(outputs)
    if isinstance(outputs, dict):
        return {k: _mapped(o, function) for k, o in outputs.items()}
    if isinstance(outputs, list | tuple):
        return type(outputs)(_mapped(o, function) for o in outputs)
    return outputs


class _Found(Exception):
    pass


def explained(error: Exception, step: Callable[[], Any]) -> Exception:
    """The error to raise for a step that failed with `error`. Where something was not finite the step is run again eagerly,
    committing nothing, until an op makes the first value that is not."""

    def watch(name, outputs):
        for o in outputs:
            values = o.buffer.array(o.shape, o.dtype)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                layers = f" in layer {context.layers[-1]!r}" if context.layers else ""
                raise _Found(f"the first value that is not finite was made by {name}{layers}")

    if not isinstance(error, NotFiniteError):
        return error
    context.watch = watch
    try:
        with Search("search"):
            step()
    except _Found as found:
        return NotFiniteError(f"loss or gradients are not finite: {found}. Weights are those before this step.")
    except FloatingPointError as other:
        return other
    finally:
        context.watch = None
    return error
