"""What a tape depends on: it is used only as long as everything that its step read while it was
recorded is unchanged.

Reads of attributes of layers, optimizers, losses and metrics are noted while a thread records, and
only then: for that time their common class has a `__getattribute__`. An assignment notifies the
tapes that read that attribute of that object, and no others. What changes without an assignment,
such as the contents of a list, is compared at every call.
"""

import itertools
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from operator import is_
from types import CellType, CodeType, MemberDescriptorType
from typing import Any
from weakref import ref

import numpy as np

from fastnn.devices.cpu import threads
from fastnn.locks import lock

from .tape.record import context

MAX_STATES = 8  # for which tapes of one signature are kept, the least recently used one goes
READERS = "_readers"  # the attribute that says which tapes read an object
LAYERS = "(names of attributes with layers)"
ABSENT = object()  # the value of an attribute that an object has not itself, but may get
CONTAINERS = (list, tuple, dict, set, frozenset, deque)
# compared by value; all others by identity
PLAIN = (bool, int, float, complex, str, bytes, np.generic)

settings: dict[str, object] = {}  # of the process, that tapes depend on
own: Callable[[object, str], Any] = object.__getattribute__
_moves = itertools.count(1)


def moved() -> None:
    """Variables lie elsewhere now: every tape is recorded anew."""
    settings["moves"] = next(_moves)


class Watched:
    """An object whose attributes tapes depend on: a layer, an optimizer, a loss, a metric."""

    not_recorded: tuple[str, ...] = ()  # attributes that no step depends on

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        _notify(self, name)

    def __delattr__(self, name):
        super().__delattr__(name)
        _notify(self, name)


def _notify(obj, name):
    readers = own(obj, "__dict__").get(READERS)
    if readers is not None:
        readers.notify(obj, name)


def _noting(self, name):
    """`Watched.__getattribute__` while a thread records."""
    watch = context.reads
    if watch is not None:
        watch.note(self, name)
    return super(Watched, self).__getattribute__(name)


class Readers:
    """The watches that read an object, and the names that each of them read. A copy of the object
    has no readers."""

    __slots__ = ("found",)

    def __init__(self):
        self.found: dict[int, tuple[ref[Watch], dict[str, Any]]] = {}

    def add(self, watch: "Watch", names: dict[str, Any]) -> None:
        # keys alone: pairs would be new objects, and making them lets other threads run
        for key in list(self.found):
            found = self.found.get(key)
            if found is not None and found[0]() is None:
                self.found.pop(key, None)
        self.found[id(watch)] = ref(watch), names

    def notify(self, obj: Watched, name: str) -> None:
        """An attribute was assigned or deleted."""
        for reference, names in list(self.found.values()):
            watch = reference()
            if watch is not None:
                watch.notify(obj, [n for n in (name, LAYERS, "__dict__") if n in names])

    def __deepcopy__(self, memo):
        return Readers()

    def __reduce__(self):
        return Readers, ()


class Watch:
    """What was read while something was recorded: `with Watch() as watch`, and then `watch.holds()`
    says whether it is still so.

    What the step itself assigned is taken as it left it: `call` may keep notes.
    """

    def __init__(self):
        if "n_threads" not in settings:
            settings["n_threads"] = threads.allowed().number
        self.settings, self.device = dict(settings), context.device
        self.thread: int | None = None  # that records
        # names, and in the end what they stood for
        self.read: dict[int, tuple[Watched, dict[str, Any]]] = {}
        self.met_variables: dict[int, Any] = {}  # variables whose `requires_gradient` counts
        self.trainable_read: dict[int, Any] = {}  # and whose `trainable` does
        # of what was read: containers, which change without an assignment
        self.containers: list[tuple[dict[str, Any], str, Contents]] = []
        self.class_attributes: list[tuple[type, str, Any]] = []  # attributes of users' classes
        # which objects the function's names mean
        self.globals: list[tuple[dict[str, Any], str, Any]] = []
        self.cells: list[tuple[CellType, Any]] = []
        self.variables: list[Any] = []
        self.required_gradient: list[bool] = []
        self.trainable: list[tuple[Any, bool]] = []
        self.assigned: dict[tuple[int, str], None] = {}  # since the last review
        self.differing: set[tuple[int, str]] = set()  # from what was read
        self.others: list[Watch] = []  # of what was not read anew, but found as it was

    # ---- while recording

    def __enter__(self):
        self.thread, self.before, context.reads = threading.get_ident(), context.reads, self
        _interception.begin()
        return self

    def __exit__(self, kind, error, trace):
        _interception.end()
        context.reads = self.before
        if kind is None:
            self._close()
        self.thread = None

    def note(self, obj: Watched, name: str) -> None:
        """An attribute is read."""
        found = self.read.get(id(obj))
        if found is None:
            found = self.read[id(obj)] = obj, {"__class__": None}
            own(obj, "__dict__").setdefault(READERS, Readers()).add(self, found[1])
        found[1][name] = None

    def meet(self, variables: Iterable[Any]) -> None:
        """The step depends on whether these variables require a gradient."""
        self.met_variables.update([(id(v), v) for v in variables])

    def follow(self, function: Any, kinds: tuple[type, ...]) -> None:
        """Watch which objects of these kinds a function's names mean: global ones, and those of
        functions around it."""
        while isinstance(function, partial):
            function = function.func
        if not hasattr(function, "__code__"):
            function = type(function).__call__
        code, scope = getattr(function, "__code__", None), getattr(function, "__globals__", {})
        if code is None:
            return
        self.globals = [
            (scope, n, scope[n])
            for n in dict.fromkeys(_names(code))
            if isinstance(scope.get(n), kinds)
        ]
        self.cells = [
            (c, value)
            for c in function.__closure__ or ()
            if isinstance(value := _contents(c), kinds)
        ]

    def _close(self):
        for obj, names in self.read.values():
            mine, kind = own(obj, "__dict__"), type(obj)
            if "__dict__" in names:
                names.update(mine)
            for name in (READERS, *kind.not_recorded):
                names.pop(name, None)
            for name in names:
                value = mine.get(name, ABSENT)
                if value is ABSENT and not callable(shared := getattr(kind, name, None)):
                    value = _value(obj, name)
                    if value is ABSENT and _is_users(kind, name):
                        self.class_attributes.append((kind, name, _noted(shared)))
                noted = names[name] = _noted(value)
                if isinstance(noted, Contents) and noted.mutable:
                    self.containers.append((mine, name, noted))
            names["__class__"] = kind
        self.variables = list(self.met_variables.values())
        self.required_gradient = [v.requires_gradient for v in self.variables]
        self.trainable = [(v, v._trainable) for v in self.trainable_read.values()]

    # ---- afterwards

    def notify(self, obj: Watched, names: list[str]) -> None:
        """Something was assigned."""
        if self.thread is None:
            self.assigned.update(dict.fromkeys([(id(obj), n) for n in names]))
        elif names and self.thread != threading.get_ident():
            # by another thread, while this was recorded: before or after it was read
            self.differing.add((0, ""))

    def holds(self) -> bool:
        """Whether everything that was read is as it was. What is assigned notifies; the rest is
        compared."""
        if self.assigned:
            self._review()
        if self.differing or self.settings != settings or self.device != context.device:
            return False
        is_compared = (  # the loops over nothing took 0.2 us of the 4 of a prediction
            self.variables
            or self.containers
            or self.globals
            or self.cells
            or self.class_attributes
            or self.trainable
        )
        if is_compared and not self._compare():
            return False
        return not self.others or all([other.holds() for other in self.others])

    def _compare(self):
        """Whether what does not notify is as it was."""
        if [v.requires_gradient for v in self.variables] != self.required_gradient:
            return False
        for variable, was in self.trainable:
            if variable._trainable != was:
                return False
        for scope, name, value in self.globals:
            if scope.get(name) is not value:
                return False
        for cell, value in self.cells:
            if _contents(cell) is not value:
                return False
        for attributes, name, contents in self.containers:
            if not contents.same(attributes.get(name)):
                return False
        for kind, name, noted in self.class_attributes:
            if not _same(getattr(kind, name, ABSENT), noted):
                return False
        return True

    def _review(self):
        with _interception.lock:
            for change in list(self.assigned):
                key, name = change
                if key not in self.read:  # a copy's
                    self.assigned.pop(change, None)
                    continue
                # until it is compared: other threads must not take it for unchanged
                self.differing.add(change)
                self.assigned.pop(change, None)
                obj, names = self.read[key]
                if _same(type(obj) if name == "__class__" else _value(obj, name), names[name]):
                    self.differing.discard(change)


def with_layers(obj: Watched) -> list[Any]:
    """The values of attributes that layers may be in."""
    attributes = own(obj, "__dict__")  # a copy of: other threads may note that they read it
    if context.reads is None:
        return [v for v in list(attributes.values()) if isinstance(v, HOLDERS)]
    found = {n: v for n, v in attributes.copy().items() if isinstance(v, HOLDERS)}
    for name in (LAYERS, *found):
        context.reads.note(obj, name)
    return list(found.values())


HOLDERS = (Watched, list, tuple, dict)


def _value(obj, name):
    """The value of an object's own attribute, without asking properties."""
    mine = own(obj, "__dict__")
    if name == LAYERS:
        return tuple([n for n, v in mine.copy().items() if isinstance(v, HOLDERS)])
    if name == "__dict__":
        return tuple([n for n in mine.copy() if n != READERS and n not in obj.not_recorded])
    value = mine.get(name, ABSENT)
    if value is ABSENT:
        slot = getattr(type(obj), name, None)
        if isinstance(slot, MemberDescriptorType):
            with suppress(AttributeError):
                return slot.__get__(obj)
    return value


def _is_users(kind, name):
    """Whether an attribute of a class is a value, no property, and one of a user's class: no
    assignment to it is told."""
    owner = next((k for k in kind.__mro__ if name in vars(k)), None)
    return not (
        owner is None
        or owner.__module__.startswith("fastnn.")
        or hasattr(type(vars(owner)[name]), "__get__")
    )


def _contents(cell):
    return getattr(cell, "cell_contents", None)  # None if its function has not come there


def _names(code: CodeType) -> Iterator[str]:
    """The names that a function's code, and that of functions within, looks up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _noted(value):
    return Contents(value) if isinstance(value, CONTAINERS) else value


def _same(value, noted):
    if value is noted:
        return True
    if type(noted) is Contents:
        return noted.same(value)
    if type(value) is not type(noted) or not isinstance(value, PLAIN):
        return False
    if isinstance(value, float | complex | np.generic):
        return repr(value) == repr(noted)  # which tells 0.0 from -0.0, and finds nan the same
    return value == noted


class Contents:
    """What was in a list, tuple, dictionary or set, also in those within it. Of other objects in it
    counts which they are."""

    __slots__ = ("changing", "items", "keys", "kind", "mutable", "nested")

    def __init__(self, value: Any, around: tuple[int, ...] = ()):
        self.kind = type(value)
        self.keys = list(value) if isinstance(value, dict) else None
        self.items = list(value if self.keys is None else value.values())
        self.nested: dict[int, Contents] = {}
        self.mutable = not isinstance(value, tuple | frozenset)
        if any([issubclass(kind, CONTAINERS) for kind in set(map(type, self.items))]):
            around = (*around, id(value))
            for place, item in enumerate(self.items):
                # what contains itself is there only that object
                if isinstance(item, CONTAINERS) and id(item) not in around:
                    contents = self.nested[place] = Contents(item, around)
                    self.mutable |= contents.mutable
        self.changing = [(self.items[p], c) for p, c in self.nested.items() if c.mutable]

    def same(self, value: Any) -> bool:
        """Whether another value, or the same one later, has these contents."""
        if type(value) is not self.kind or len(value) != len(self.items):
            return False
        if self.keys is not None:
            if not (all(map(is_, value, self.keys)) or all(map(_same, list(value), self.keys))):
                return False
            value = value.values()
        if all(map(is_, value, self.items)):
            return all([contents.same(item) for item, contents in self.changing])
        noted = [self.nested.get(place, item) for place, item in enumerate(self.items)]
        return all(map(_same, list(value), noted))


class Cache(OrderedDict[tuple, tuple[Any, ...]]):
    """What was recorded, by the signature of a call: for each, several for different states of what
    they read (`fits`). The least recently used go."""

    def __init__(self, max_keys: int = 64):
        super().__init__()
        self.max_keys = max_keys

    def find(self, key: tuple, take: Callable[[Any], bool] | None = None) -> Any:
        """One that fits the state of things now, and that `take` accepts; or None."""
        found = self.get(key, ())
        for item in found:
            if item.fits() and (take is None or take(item)):
                if item is not found[0]:
                    self[key] = (item, *[other for other in found if other is not item])
                try:
                    self.move_to_end(key)
                except KeyError:  # another thread has just let it go
                    self[key] = found
                return item
        return None

    def add(self, key: tuple, item: Any) -> None:
        self[key] = (item, *self.pop(key, ()))[:MAX_STATES]
        while len(self) > self.max_keys:
            self.popitem(last=False)


class _Interception:
    """`_noting` stands in `Watched` for as long as some thread records."""

    def __init__(self):
        self.lock, self.number = lock(), 0
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.after_fork)

    def begin(self):
        self._add(1)

    def end(self):
        self._add(-1)

    def _add(self, number):
        with self.lock:
            self.number += number
            is_there = "__getattribute__" in vars(Watched)
            if self.number and not is_there:
                type.__setattr__(Watched, "__getattribute__", _noting)
            elif is_there and not self.number:
                type.__delattr__(Watched, "__getattribute__")

    def after_fork(self):
        """Of the parent's threads the child has this one."""
        self.number = int(context.reads is not None)
        self._add(0)


_interception = _Interception()
