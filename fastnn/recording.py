"""`fastnn.record`: a user's step, recorded on its first call and replayed natively from then on."""

import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial, update_wrapper
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from math import prod
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from fastnn import tree
from fastnn.apply import apply, device_of
from fastnn.arguments import Shared, filled, signature, stand_ins
from fastnn.buffer import Buffer
from fastnn.devices.arena import allocate_on
from fastnn.devices.base import StepFailed
from fastnn.devices.cpu.autotune import Autotuner
from fastnn.devices.cpu.memory import allocate
from fastnn.devices.cpu.program import threads_to_plan_for
from fastnn.devices.cuda.address import DeviceAddress
from fastnn.devices.programs import program_of, tape_of
from fastnn.errors import NotFiniteError, RecordingError
from fastnn.foreign_random import Generators
from fastnn.locks import making
from fastnn.ops.arithmetic import cast
from fastnn.tape.record import Recorder, Search, context
from fastnn.tensor import Tensor
from fastnn.variable import Variable
from fastnn.watch import Cache, Watch, Watched, own

# seconds to wake threads and to leave them, in each call: shorter steps run on one
THREADS_OVERHEAD_SECONDS = 5e-5
NOTHING: AbstractContextManager = nullcontext()
ON_DEVICES = {Tensor, Shared}
METHODS = "_tapes_of_methods"  # the attribute of an object that holds those
# of one function: full batch, last batch, evaluation and the like; the least recently used go
MAX_TAPES = 16


def record(function: Callable[..., Any]) -> "Recorded":
    """Make a function of arrays a step that is recorded once and replayed without Python.

    function: a function, a method (also in a class's body, where every object gets tapes of its
    own), a model, a partial or anything else that can be called. It returns a tensor, lists, tuples
    or dictionaries of tensors and None, or nothing; what it returns is fresh memory, but for a
    variable, which is the variable itself, and carries no gradient.

    Arrays, tensors and floats among the arguments are inputs, also those within lists, tuples and
    dictionaries: for each new set of shapes and element types the function is called once, and what
    it asked to compute is written down; every call, the first included, then runs that tape. Within
    the function an input is a tensor of the array's element type; but an array, a list or a number
    takes the type of the tensors and layers that it meets, as in a call of an op. Integers,
    strings, booleans and None are constants: for others it is recorded anew; so is everything else,
    which is known by its value if it has a hash and by its identity if not.

    It is also recorded anew when something has changed that it read: attributes of layers, models,
    optimizers, losses and metrics, also private ones; entries of lists and dictionaries that are
    such attributes, also nested; whether variables are trainable; which of these objects the
    function's own global and enclosing names mean. Eight states are kept, so one that comes back
    costs nothing. What the function itself assigns is no change. A number that differs in every
    step should be an argument, or `optimizer.learning_rate`, which is read from memory.

    Nothing else can be watched and stays as it was: other global and enclosing variables,
    attributes of objects of other classes, what functions that it calls look up, arrays that are
    changed in place, methods that are replaced in a class, and attributes that are assigned past
    the object, as by `vars(layer)` or a descriptor of one's own. After such a change record the
    function again: `step = fastnn.record(function)`.

    While it is recorded, reading a tensor (`float`, `bool`, `numpy()`) raises RecordingError, as do
    random numbers that this thread draws elsewhere than from fastnn. Tensors it does not return are
    dead afterwards. Within another recorded step, or one of `fit`, it is called as it is.

    It is copied and pickled as its function is: one of a module stands for itself and is pickled by
    its name, a method goes with its object; what a function closes over stays the original's. The
    copy records anew.

    >>> import fastnn
    >>> @fastnn.record
    ... def double(x):
    ...     return x + x
    >>> double([1.0, 2.0]).numpy()
    array([2., 4.], dtype=float32)
    """
    return Recorded(function)


class Recorded:
    """A function with its tapes: `tapes` maps a call's signature to what was recorded for it."""

    def __init__(self, function: Callable[..., Any], name: str | None = None):
        inner = function.__func__ if isinstance(function, staticmethod) else function
        # A function's notes are its wrapper's; an object's attributes are not.
        update_wrapper(
            self, inner, updated=("__dict__",) if isinstance(inner, FunctionType) else ()
        )
        self.function, self.name = inner, name or _expect_step(inner)
        self.tapes = Cache(MAX_TAPES)
        self._binds = (
            inner is function
            and hasattr(type(inner), "__get__")
            and not isinstance(inner, MethodType)
        )
        # the tapes of objects without a dictionary that it is a method of, by their ids
        self._bound: dict[int, Cache] = {}

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
        if context.step is not None:
            return self.function(*arguments, **named)
        inputs: list = []
        return self._find(arguments, named, inputs).run(
            inputs, partial(_call, self.function, arguments, named)
        )

    def recording(self, *arguments: Any, **named: Any) -> "Recording":
        """The recording for such a call, made if need be."""
        return self._find(arguments, named, [])

    def _find(self, arguments, named, inputs):
        key: tuple = context.training, *[signature(a, inputs) for a in arguments]
        if named:
            key += tuple([(n, signature(named[n], inputs)) for n in sorted(named)])
        device = context.device
        if DeviceAddress.in_use and any([x.__class__ in ON_DEVICES for x in inputs]):
            device = device_of([x for x in inputs if isinstance(x, Tensor)])
            key += (device,)
        found = self.tapes.find(key)
        if found is None:
            call = partial(_call, self.function, arguments, named)
            reaches = self.function, *arguments, *named.values()
            found = Recording(call, self.name, inputs, reaches, device)
            self.tapes.add(key, found)
        return found

    def summary(self) -> str:
        """`tape.summary()` of every recording."""
        return "\n\n".join(
            r.tape.summary() for recordings in self.tapes.values() for r in recordings
        )

    def __get__(self, instance, owner=None):
        """As a method: bound to an object, whose tapes end with it."""
        bound = self.function.__get__(instance, owner) if self._binds else None
        target = getattr(bound, "__self__", None)
        if target is None:
            return self
        try:
            tapes = self._tapes_of(target)
        except TypeError:
            kind = type(target).__name__
            raise TypeError(
                f"{self.name}: the tapes of a method end with its object, of which {kind} allows "
                "no notice: add '__weakref__' to "
                f"{kind}.__slots__, or record a function that takes the object."
            ) from None
        method = object.__new__(type(self))
        vars(method).update(
            vars(self), function=bound, __wrapped__=bound, tapes=tapes, _binds=False
        )
        return method

    def _tapes_of(self, target):
        try:
            attributes = own(target, "__dict__")
        except AttributeError:
            attributes = None
        # there the garbage collector finds what tapes hold of the object
        if type(attributes) is dict:
            methods = attributes.get(METHODS)
            if methods is None or methods.target() is not target:  # it is a copy
                methods = attributes[METHODS] = Methods(target)
            return methods.tapes.setdefault(self, Cache(MAX_TAPES))
        if id(target) not in self._bound:
            weakref.finalize(target, self._bound.pop, id(target), None).atexit = False
        return self._bound.setdefault(id(target), Cache(MAX_TAPES))


class Methods:
    """The tapes of an object's methods. A copy of the object has none."""

    def __init__(self, target: Any):
        self.target = weakref.ref(target)
        self.tapes: dict[Recorded, Cache] = {}

    def __reduce__(self):
        return _none, ()


def _none():
    """What is written for an object's tapes."""


def _expect_step(function):
    """What a step is called in messages; raises unless it can be one."""
    named = function
    while isinstance(named, partial | classmethod):
        named = named.func if isinstance(named, partial) else named.__func__
    name = getattr(named, "__name__", None) or type(named).__name__
    if not callable(named):
        raise TypeError(
            "record: expected a function, a method, a model or anything else that can be called; "
            f"got {function!r}"
        )
    code = getattr(named, "__code__", None) or getattr(type(named).__call__, "__code__", None)
    for flag, kind in (
        (CO_GENERATOR, "generator"),
        (CO_COROUTINE, "coroutine"),
        (CO_ASYNC_GENERATOR, "asynchronous generator"),
    ):
        if code and code.co_flags & flag:
            raise TypeError(
                f"record: {name} is a {kind}, which a call only begins; expected a function that "
                "returns its results"
            )
    return name


def _call(function, arguments, named, inputs):
    """Call a function with others of its inputs."""
    given: Iterator = iter(inputs)
    positional = [filled(a, given) for a in arguments]
    by_name = {n: filled(named[n], given) for n in sorted(named)}
    return function(*positional, **{n: by_name[n] for n in named})


class Recording:
    """One tape of a function: for arguments of one signature, and for variables with or without
    gradients as it met them.

    call: the function, of what stands for its inputs; reaches: it, and what it is called with;
    device: which runs it, None for the current one.
    """

    def __init__(
        self,
        call: Callable[[list], Any],
        name: str,
        inputs: list,
        reaches: tuple,
        device: str | None = None,
    ):
        self.name, self.watch, self.device = name, Watch(), device
        generators = Generators(*reaches)
        with making:
            recorder, outputs, flat, staged = self._recorded(call, inputs, self.watch)
            self.variables = list(recorder.had_gradient)
            self.had_gradient = [g is not None for g in recorder.had_gradient.values()]
            self.gradients = [(v, v._gradient) for v in self.variables if isinstance(v, Variable)]
            recorder.restore_gradients()
            generators.expect_unchanged(
                lambda: self._recorded(call, inputs)[0].restore_gradients(), name
            )
            self.watch.follow(reaches[0], (Watched, Variable))
        flat = [t for t in flat if not isinstance(t, Variable)]
        for t in flat:
            if t.buffer.address is None and t.buffer.maker is not recorder:
                raise t.buffer.unreadable()
        self.tape = tape_of(recorder, [t.buffer for t in flat], threads_to_plan_for())
        self.program = program_of([(self.tape, 1)])
        self.autotuner = (
            Autotuner(self.program) if self.tape.work > THREADS_OVERHEAD_SECONDS else None
        )
        self.outputs = tree.map(
            lambda t: t if isinstance(t, Variable) else self._memory(t, staged), outputs
        )
        self._take(staged, inputs, {t.buffer for t in flat})

    def _recorded(self, call: Any, inputs: Any, watch: AbstractContextManager = NOTHING) -> tuple:
        """The recorder of a call, what it returned, and what was made for its inputs: buffer:
        (number of the input, array, or tensor on the GPU)."""
        staged: dict[Buffer, tuple[int, Any]] = {}
        recorder = Recorder(self.name, self.device)

        def place(number, shape, dtype):
            if not recorder.active:
                raise Buffer(None, 0, None, 0, recorder).unreadable()
            memory = allocate_on(recorder.device, prod(shape) * dtype.itemsize)
            # without an owner: Python may not read it
            buffer = Buffer(memory.address, memory.nbytes, None, 0, recorder)
            staged[buffer] = number, _held(memory, shape, dtype)
            return Tensor(buffer, shape, dtype)

        with watch, recorder:
            outputs = call(stand_ins(inputs, place, self.name))
            flat = list(_tensors(outputs, self.name))
            for variable in recorder.had_gradient:
                if isinstance(variable, Variable) and variable._gradient is not None:
                    variable.dense_gradient()  # what stays is in memory of its own
        return recorder, outputs, flat, staged

    def _memory(self, output, staged):
        """Where an output lies when the tape has run."""
        if output.buffer in staged:
            held = staged[output.buffer][1]
            on_gpu = isinstance(held, Tensor)
            return held.view(output.shape) if on_gpu else held.reshape(output.shape)
        return _held(self.tape.memory_of(output.buffer), output.shape, output.dtype)

    def _take(self, staged, inputs, kept):
        """Note which of the staged memory the tape reads; to everybody else all of it is dead
        now."""
        for buffer in staged:
            buffer.address = None
        # an array was taken as several types, of which one may only have been its own
        if len(staged) > len(inputs):
            read = {i.arguments[n].buffer for i in self.tape.instructions for n in i.kernel.reads}
            staged = {b: form for b, form in staged.items() if b in read or b in kept}
        self.inputs = [
            (number, array, _largest(inputs[number], array)) for number, array in staged.values()
        ]
        self.tape.held = [array for _, array, _ in self.inputs]
        self._stage(inputs)

    def _stage(self, inputs):
        for number, array, largest in self.inputs:
            given = inputs[number]
            if array.__class__ is Tensor:
                _put(given, array)
                continue
            if isinstance(given, Tensor):
                given = given.buffer.array(given.shape, given.dtype)
            if largest is None or (isinstance(given, float) and -largest <= given <= largest):
                array[...] = given
            else:
                with np.errstate(over="ignore"):  # infinite then, as in an eager call
                    array[...] = given

    def fits(self) -> bool:
        """Whether the variables have gradients, or none, as the recorded step met them, and all
        else is as it was."""
        for variable, gradient in zip(self.variables, self.had_gradient, strict=True):
            if gradient and isinstance(variable, Variable) and variable._gradient is not None:
                variable.dense_gradient()
        has_gradient = [v._gradient is not None for v in self.variables]
        return has_gradient == self.had_gradient and self.watch.holds()

    def run(self, inputs: list, call: Callable[[list], Any]) -> Any:
        """Run the tape with other inputs of the same signature. `call` is the function, should an
        error have to be explained."""
        try:
            return self.program.turn.run(self._run, inputs)
        except StepFailed as failed:
            raise self._explained(failed, inputs, call) from None

    def _run(self, inputs):
        self._stage(inputs)
        self.program.rewind()
        if self.autotuner is None:
            self.program.run(1)
        else:
            self.autotuner.run(1, 1)
        for variable, gradient in self.gradients:
            variable._gradient = gradient
        return tree.map(_fresh, self.outputs)

    def _explained(self, failed, inputs, call):
        before = [(v, v._gradient) for v in self.variables]

        def place(number, shape, dtype):
            with np.errstate(over="ignore"):
                return _fresh(np.asarray(inputs[number]).astype(dtype))

        try:
            return explained(failed.error(), lambda: call(stand_ins(inputs, place, self.name)))
        finally:
            for variable, gradient in before:
                variable._gradient = gradient


def _largest(given, array):
    """The largest number that an input's array holds, where the input may hold larger ones; else
    None."""
    dtype = np.dtype(float) if isinstance(given, float) else given.dtype
    return (
        float(np.finfo(array.dtype).max)
        if dtype.kind == "f" and dtype.itemsize > array.dtype.itemsize
        else None
    )


def _held(memory, shape, dtype):
    """Memory of a tape's, as an array, or as a tensor if it is on the GPU."""
    if isinstance(memory.owner, np.ndarray):
        return memory.array(shape, dtype)
    return Tensor(memory, shape, dtype)


def _put(given, place):
    """Copy an input to where a step on the GPU reads it."""
    if isinstance(given, Tensor) and given.device == "cuda":
        if given.dtype == place.dtype:
            place.buffer.copy_from(given.buffer)
        else:
            apply(cast, (given.view(given.shape),), {"dtype": place.dtype}, (place,))
        return
    if isinstance(given, Tensor):
        given = given.buffer.array(given.shape, given.dtype)
    with np.errstate(over="ignore"):
        place.buffer.write(np.asarray(given, place.dtype))


def _fresh(output):
    """A tensor of its own for an output that lies in the memory of a tape; a variable is itself."""
    if not isinstance(output, np.ndarray):
        return output if isinstance(output, Variable) else output.own()
    buffer = allocate(output.nbytes)
    buffer.array(output.shape, output.dtype)[...] = output
    return Tensor(buffer, output.shape, output.dtype)


def _tensors(outputs, name):
    for path, leaf in tree.leaves(outputs):
        if not isinstance(leaf, Tensor):
            raise RecordingError(
                f"{name} returned {leaf!r}{path and f' at {path}'}: a recorded step returns "
                "tensors, in lists, tuples and dictionaries, or nothing. Other values would stay "
                "those of its first call."
            )
        yield leaf


class _Found(Exception):
    pass


def explained(error: Exception, step: Callable[[], Any]) -> Exception:
    """The error to raise for a step that failed with `error`. Where something was not finite the
    step is run again eagerly, committing nothing, until an op makes the first value that is not. Of
    a step of several updates, those that were made before it stay, and are counted."""

    def watch(name, outputs):
        for o in outputs:
            values = o.buffer.array(o.shape, o.dtype)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                layers = f" in layer {context.layers[-1]!r}" if context.layers else ""
                raise _Found(f"the first value that is not finite was made by {name}{layers}")

    if not isinstance(error, FloatingPointError):
        return error
    if isinstance(error, NotFiniteError):
        context.watch = watch
    search = Search("search")
    try:
        with search:
            step()
    except _Found as found:
        state = _state(search.updates)
        return NotFiniteError(f"loss or gradients are not finite: {found}. {state}")
    except FloatingPointError as other:
        return type(other)(f"{other} {_state(search.updates)}") if search.updates else other
    finally:
        context.watch = None
    return error


def _state(updates):
    """What a step that failed after these updates has left."""
    if not updates:
        return "Weights are those before this step."
    for optimizer, _ in updates:
        optimizer.count_failed_step()
    made = " and ".join([f"the {count} weights of {o.name!r}" for o, count in updates])
    return (
        f"Before that, this step had updated {made}, and moving averages; other weights are those "
        "before it."
    )
