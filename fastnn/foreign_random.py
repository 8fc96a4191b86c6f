"""The guard against random numbers that a recorded step draws elsewhere than from fastnn."""

import ctypes
import dis
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from itertools import islice
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from fastnn.buffer import Buffer
from fastnn.devices.arena import Arena
from fastnn.devices.cpu.threads import THREAD_NAME
from fastnn.errors import RecordingError
from fastnn.tensor import Tensor
from fastnn.variable import Variable

# how many references from a function its generators are searched for: model, its layers, one of
# them, a list, a generator
MAX_DEPTH = 6
MAX_DEPTH_OF_PYTHONS = 3  # where NumPy's are not even imported
MAX_OBJECTS, MAX_ITEMS = 2000, 100  # objects looked at, and of one container
READS = ("getstate", "get_state")  # methods that do not draw
LEAF_TYPES = {
    str,
    bytes,
    int,
    float,
    complex,
    bool,
    type(None),
    np.ndarray,
    Tensor,
    Variable,
    Buffer,
    Arena,
    ModuleType,
    type,
}
# Modules whose objects hold nothing of a user's.
INTERNAL_MODULES = (
    "fastnn.devices.cpu",
    "fastnn.initializers",
    "fastnn.optimizers",
    "fastnn.tape",
    "fastnn.ops",
    "numpy.dtypes",
    "_thread",
)


class Generators:
    """Random generators of Python and NumPy that a function may draw from, and their states before
    it was recorded: a tape would repeat what they gave for ever.

    reaches: the function, and what it is called with. Generators are searched for in what it names
    and holds, and in what belongs to that; those behind `random` and `numpy.random` are always
    among them.
    """

    def __init__(self, *reaches: Any):
        types = _generator_types()
        self.found = _reached(reaches, types) if types else []
        self.before = self._states({})

    def _states(self, earlier):
        """The state of each, by its identity; `earlier` are those of before."""
        states: dict = {id(g): _state_of(g) for g in self.found}
        for shared in _shared():
            states[id(shared)] = (
                _state_of(shared)
                if hasattr(shared, "getstate")
                else _legacy_state(earlier.get(id(shared)))
            )
        return states

    def expect_unchanged(self, again: Callable[[], object], name: str) -> None:
        """Raise, naming the line, if this thread has drawn numbers. `again` calls the function once
        more, to find the line: only if a generator moved, which may have been the work of another
        thread."""
        if self._states(self.before) == self.before:
            return
        drawn, likely = self._lines(again)
        if likely and not drawn:
            drawn, once_more = self._lines(again)
            drawn = drawn or [line for line in once_more if line in likely]
        if drawn:
            raise RecordingError(
                f"{name} drew random numbers from Python's or NumPy's generators while it was "
                f"recorded, at {drawn[0]}: every replay would use the same. Draw them from "
                "fastnn.random, or pass them as arguments."
            )

    def _lines(self, again):
        """The lines in which this thread has drawn, and those in which it is likely to have.

        It has drawn where a generator moved in a line that names one of its methods, or while no
        other thread ran. It is likely to have in a line that takes a method of such a name from an
        object of which nothing is known.
        """
        drawn, likely = [], []
        states, frame, number, others = self._states({}), None, 0, None

        def end_of_line():
            now = self._states(states)
            moved = [g for g in (*self.found, *_shared()) if now[id(g)] != states.get(id(g))]
            if moved and frame is not None:
                line = f"{frame.f_code.co_filename}:{number}"
                is_named, may_be = _names(frame, number, moved)
                if is_named or others == _times_of_others():
                    drawn.append(line)
                elif may_be:
                    likely.append(line)

        def trace(inner, event, _):
            nonlocal states, frame, number, others
            following = _user_frame(inner)
            if following is not frame or following.f_lineno != number:
                end_of_line()
                # before states, and at the end after them
                frame, number, others = following, following.f_lineno, _times_of_others()
                states = self._states(states)
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            again()
        finally:
            sys.settrace(before)
        return drawn, likely


def _shared():
    """The generators behind `random` and `numpy.random`."""
    python_random, numpy_random = _imported("random"), _imported("numpy.random")
    found = [python_random.random.__self__] if python_random else []
    return [*found, numpy_random.normal.__self__] if numpy_random else found


def _imported(name):
    """A module, if it is imported: not one that another thread is importing just now."""
    module = sys.modules.get(name)
    return None if getattr(getattr(module, "__spec__", None), "_initializing", False) else module


def _times_of_others():
    """The processor time of each other thread so far, but for those of fastnn, which know no
    generators; equal to nothing else where the system does not tell."""
    others = [
        t.native_id
        for t in threading.enumerate()
        if t is not threading.current_thread() and t.name != THREAD_NAME
    ]
    try:
        return {n: time.clock_gettime_ns(_clock(n)) for n in others}
    # no such clocks, or a thread that has just ended or not yet begun
    except (AttributeError, OSError, OverflowError, TypeError):
        return object()


def _clock(thread):
    """Linux's number of the clock that runs while a thread does."""
    return (~thread << 3) | 6 if sys.platform == "linux" else -1


def _user_frame(frame):
    """The user's frame that runs, whatever it has called here, in NumPy or in Python's library."""
    own = frame
    while own.f_back and _is_known(own.f_globals.get("__name__")):
        own = own.f_back
    return own


def _names(frame, line, generators):
    """Whether a line of a function names a method that draws from one of these, and whether it asks
    what it has called or looked up for a method of that name."""
    unknown, may_be = object(), False
    value: Any = unknown
    for i in dis.get_instructions(frame.f_code):
        name = i.argval
        if i.positions is None or i.positions.lineno != line or i.opname in ("CACHE", "PUSH_NULL"):
            continue
        if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            value = frame.f_globals.get(name)
        elif i.opname.startswith(("LOAD_FAST", "LOAD_DEREF")):
            value = frame.f_locals.get(name)
        elif i.opname == "LOAD_CONST":
            value = name
        elif i.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
            value = unknown
        elif value is unknown:
            may_be |= any(
                [name not in READS and callable(getattr(g, name, None)) for g in generators]
            )
        elif any([value is g for g in generators]):
            value = getattr(value, name, None)
        else:
            value = getattr(value, "__dict__", {}).get(name)
        if (
            any([getattr(value, "__self__", None) is g for g in generators])
            and value.__name__ not in READS
        ):
            return True, True
    return False, may_be


def _reached(roots, types):
    """The generators among objects, in what belongs to them, and so on."""
    seen: set = set()
    found, near = [], list(roots)
    for _ in range(MAX_DEPTH if len(types) > 1 else MAX_DEPTH_OF_PYTHONS):
        following: list = []
        for o in near:
            parts = _parts_of(type(o))
            if parts is None or id(o) in seen or len(seen) > MAX_OBJECTS:
                continue
            seen.add(id(o))
            if isinstance(o, types):
                found.append(o)
            else:
                following += [part for part in parts(o) if type(part) not in LEAF_TYPES]
        near = following
    return found


@cache
def _parts_of(kind):
    """A function that lists what belongs to an object of this type: what a function names and
    holds, what a method and a partial are made of, what a container holds, attributes. None where
    nothing of a user's does."""
    for known, parts in PARTS.items():
        if issubclass(kind, known):
            return parts
    if issubclass(kind, type) or kind.__module__.startswith(INTERNAL_MODULES):
        return None
    if kind.__module__ == "fastnn.recording":
        return lambda o: (getattr(o, "function", None),)
    methods = (
        []
        if _is_known(kind.__module__)
        else [f for f in vars(kind).values() if isinstance(f, FunctionType)]
    )
    return lambda o: [*getattr(o, "__dict__", {}).values(), *methods]


def _of_function(function):
    if _is_known(function.__module__):
        return ()
    named = [function.__globals__.get(n) for n in _globals(function.__code__)]
    return [
        *named,
        *_cells(function),
        *(function.__defaults__ or ()),
        *(function.__kwdefaults__ or {}).values(),
    ]


PARTS: dict[type, Callable] = {
    dict: lambda o: islice(o.values(), MAX_ITEMS),
    list: lambda o: o[:MAX_ITEMS],
    tuple: lambda o: o[:MAX_ITEMS],
    set: lambda o: islice(o, MAX_ITEMS),
    FunctionType: _of_function,
    MethodType: lambda o: (o.__self__, o.__func__),
    partial: lambda o: (o.func, o.args, o.keywords),
}


@cache
def _is_known(module):
    """Whether a module's functions draw no numbers that their callers do not hold."""
    first = (module or "").partition(".")[0]
    return first in ("fastnn", "numpy") or (
        first in sys.stdlib_module_names and first != "__main__"
    )


def _globals(code):
    """The globals that a function and those within it name."""
    inner = [name for c in code.co_consts if isinstance(c, CodeType) for name in _globals(c)]
    return (*code.co_names, *inner)


def _cells(function):
    """What it holds of the functions it was defined in, as far as that is there yet."""
    for cell in function.__closure__ or ():
        with suppress(ValueError):
            yield cell.cell_contents


def _generator_types():
    numpy_random, python_random = _imported("numpy.random"), _imported("random")
    types = (
        [numpy_random.Generator, numpy_random.RandomState, numpy_random.BitGenerator]
        if numpy_random
        else []
    )
    return (*types, python_random.Random) if python_random else tuple(types)


def _legacy_state(earlier):
    """Of the generator behind `numpy.random`: its words, and whether it holds back the second of
    two normal numbers. `get_state` takes 60 us, for it makes each word a number; reading them where
    they lie takes one. If there are no new words since the `earlier` state, no number has come to
    be held back."""
    generator = np.random.get_bit_generator()
    if not isinstance(generator, np.random.MT19937):
        return _comparable(generator.state)
    # 624 of them, and which is the next
    words = ctypes.string_at(generator.ctypes.state_address, 4 * 625)
    return (
        earlier
        if earlier == (words, 0)
        else (words, np.random.get_state(legacy=False)["has_gauss"])
    )


def _state_of(generator):
    """The state of a generator; None of one whose numbers come from the system."""
    if hasattr(generator, "getstate"):  # Python's
        try:
            state = generator.getstate()
        except NotImplementedError:
            return None
        if type(generator).getstate is not sys.modules["random"].Random.getstate:
            return state
        _, words, held_back = state
        # 624 words, which change together, and which is the next
        return words[-1], words[:4], held_back
    if hasattr(generator, "get_state"):  # of an older kind, which may hold a number back
        return _comparable(generator.get_state(legacy=False))
    return _comparable(getattr(generator, "bit_generator", generator).state)


def _comparable(state):
    """A dictionary of numbers and arrays as lists and bytes, which `==` compares."""
    if isinstance(state, dict):
        return [_comparable(value) for value in state.values()]
    return state.tobytes() if isinstance(state, np.ndarray) else state
