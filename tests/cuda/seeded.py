"""Bugs put into kernels on purpose, each of which the interpreter must catch.

Every barrier, every wait for copies, every comparison outside of a loop's condition, every `min`
and `max` and every test of alignment, in a kernel or in a helper of `kernels/cuda/` that it calls,
is left out in turn:

    barrier(), wait_for_copies(), commit_copies()   nothing
    i < n, i <= n, i == n                           True
    i > n, i >= n, i != n                           False
    min(i, n), max(i, n)                            i, and n
    is_aligned(x), is_vectorised(x, columns)        True

The kernel so edited is compiled, and run where the bug should show: with no array, each array and
all of them one element off their alignment, and in several orders of warps.
"""

import ast
import copy
import inspect
import textwrap
from collections import Counter
from functools import cache
from typing import NamedTuple

import numpy as np

import fastnn.apply
from fastnn.dtypes import LETTERS
from fastnn.kernels.declare import FLOATS, Helper, Kernel, by_dtype
from tests.ptx import PTXError

from . import emulator
from .emulator import Emulator, Failed, as_array, compiled, run

LEFT_OUT = ("barrier", "commit_copies", "wait_for_copies")
ALIGNED = ("is_aligned", "is_vectorised")
HOLDS = {ast.Lt: True, ast.LtE: True, ast.Eq: True, ast.Gt: False, ast.GtE: False, ast.NotEq: False}
SCHEDULES = [{}, {"schedule": "fuzz", "seed": 1}, {"schedule": "fuzz", "seed": 2}]
TOLERANCE = 1e-4  # of results, as a share of the largest: what differs by more is wrong


class Launch(NamedTuple):
    """What an op was given on the CPU."""

    op: object
    inputs: list
    outputs: list
    attributes: dict


class Edited(Kernel):
    """A kernel with a bug."""


class Edit(NamedTuple):
    place: str  # function, what was done, and for which of several such places
    kernel: Kernel  # the right one
    edited: Edited


def launches_of(function):
    """All that `function()` launches on the CPU; what fails there too."""
    on_cpu, found = fastnn.apply.launch, []

    def launch(op, inputs, outputs, attributes, device="cpu"):
        if op.kernels is not None:
            arrays = [[as_array(x) for x in tensors] for tensors in (inputs, outputs)]
            found.append(Launch(op, *arrays, attributes))
        on_cpu(op, inputs, outputs, attributes, device)

    fastnn.apply.launch = launch
    try:
        function()
    finally:
        fastnn.apply.launch = on_cpu
    return found


# ---- edits


@cache
def source_of(function):
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    tree.decorator_list = []
    return tree


def names_of(function):
    """What a function's names outside of it mean."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return {**function.__globals__, **dict(zip(function.__code__.co_freevars, cells, strict=True))}


def helpers_of(function):
    """Helpers of kernels/cuda/ that it names: {name: the helper for each element type}."""
    names, used = names_of(function), function.__code__.co_names + function.__code__.co_freevars
    found = {}
    for name in used:
        declared = names.get(name)
        choices = (
            declared.choices if isinstance(declared, by_dtype) else dict.fromkeys(FLOATS, declared)
        )
        if all(isinstance(h, Helper) and is_cuda(h.function) for h in choices.values()):
            found[name] = choices
    return found


def is_cuda(function):
    return ".kernels.cuda." in f".{function.__module__}."


def functions_of(function):
    """It and the helpers of kernels/cuda/ that it calls, and those that they do."""
    found = [function]
    for choices in helpers_of(function).values():
        for helper in choices.values():
            found += [f for f in functions_of(helper.function) if f not in found]
    return found


def rebuilt(function, target, tree):
    """The function, in which `target`, which is itself or a helper, has another source."""

    def other(helper):
        return Helper(rebuilt(helper.function, target, tree), helper.reassociate, helper.inline)

    helpers = {}
    for name, choices in helpers_of(function).items():
        if any(target in functions_of(h.function) for h in choices.values()):
            made = {h: other(h) for h in choices.values()}
            f4, f8 = (made[choices[dtype]] for dtype in FLOATS)
            helpers[name] = f4 if f4 is f8 else by_dtype(f4, f8)
    own = tree if function is target else source_of(function)
    module = ast.fix_missing_locations(ast.Module([own], []))
    scope = {**names_of(function), **helpers}
    exec(compile(module, function.__code__.co_filename, "exec"), scope)
    return scope[own.name]


def edits_of(kernel):
    """Each bug that the kernel, or a helper of its, can be given."""
    for function in functions_of(kernel.function):
        original = source_of(function)
        in_conditions = {
            id(part)
            for loop in ast.walk(original)
            if isinstance(loop, ast.While)
            for part in ast.walk(loop.test)
        }
        places = Counter()
        for n, node in enumerate(ast.walk(original)):
            if id(node) in in_conditions:
                continue
            for other in replacements(node):
                tree = copy.deepcopy(original)
                replaced = next(x for k, x in enumerate(ast.walk(tree)) if k == n)
                tree = Replace(replaced, other).visit(tree)
                what = f"{ast.unparse(node)} -> {ast.unparse(other)}"
                edited = Edited(
                    rebuilt(kernel.function, function, tree),
                    kernel.name,
                    kernel.parameters,
                    kernel.split,
                    kernel.dtypes,
                    kernel.range_names,
                    kernel.threads,
                    kernel.batched,
                    kernel.resident_blocks,
                    kernel.symbol,
                )
                places[what] += 1
                which = f", {places[what]}" if places[what] > 1 else ""
                yield Edit(f"{function.__name__}: {what}{which}", kernel, edited)


def replacements(node):
    """What a part of a function is replaced with."""
    if isinstance(node, ast.Expr) and called(node.value) in LEFT_OUT:
        return [ast.Pass()]
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in HOLDS:
        return [ast.Constant(HOLDS[type(node.ops[0])])]
    if called(node) in ALIGNED:
        return [ast.Constant(True)]
    if called(node) in ("min", "max"):
        return node.args
    return []


def called(node):
    """The name of what is called, if it is a call."""
    return getattr(node.func, "id", None) if isinstance(node, ast.Call) else None


class Replace(ast.NodeTransformer):
    def __init__(self, node, other):
        self.node, self.other = node, other

    def visit(self, node):
        return self.other if node is self.node else self.generic_visit(node)


# ---- runs


class Seeded(Emulator):
    """An emulator in which only one array, of those that a launch is given, is off its alignment
    (-1: all are, None: none), and one kernel takes the place of another."""

    def __init__(self, off=None, edit=None, **options):
        super().__init__(**options)
        self.off, self.edit, self.placed = off, edit, 0
        self.called = {}  # the kernels, and their element types

    def place(self, array, is_known=True):
        self.shift = int(self.off in (-1, self.placed))
        self.placed += 1
        return super().place(array, is_known)

    def __call__(self, kernel, *arguments):
        element = kernel.element
        self.called[kernel] = "f4" if element is None else LETTERS[arguments[element].dtype]
        if self.edit is not None and kernel is self.edit.kernel:
            kernel = self.edit.edited
        super().__call__(kernel, *arguments)


class Use(NamedTuple):
    """A launch, what comes of it, and how many arrays it takes, scratch memory too."""

    launch: Launch
    expected: object
    arrays: int


def uses_of(launches):
    """{(kernel, element type): the launches that make use of it}."""
    found = {}
    for launch in launches:
        emulator = Seeded()
        use = Use(launch, outcome(launch, emulator), emulator.placed)
        for kernel in emulator.called.items():
            found.setdefault(kernel, []).append(use)
    return found


def outcome(launch, emulator):
    """The results, or what the kernel reports."""
    try:
        return run(*launch, emulator=lambda: emulator)[0]
    except Failed as failed:
        return failed.code, failed.place


def survivors(launches):
    """(places where a bug was put, those where nothing showed it). A bug in a helper is put into
    one kernel after another, of those that these launch, until it shows."""
    before, places, caught = dict(emulator.kernels), set(), set()
    try:
        for (kernel, dtype), uses in uses_of(launches).items():
            for edit in edits_of(kernel):
                places.add(edit.place)
                if edit.place not in caught and catch(edit, dtype, uses):
                    caught.add(edit.place)
    finally:
        emulator.kernels.clear()
        emulator.kernels.update(before)
    return places, places - caught


def catch(edit, dtype, uses):
    """What shows the bug, an error of the interpreter or a wrong result; or None."""
    if compiled(edit.edited, dtype).text == compiled(edit.kernel, dtype).text:
        return None  # in this kernel it changes nothing
    for options in SCHEDULES:
        for use in uses:
            for off in (None, -1, *range(use.arrays)):
                if shown := shows(use, Seeded(off, edit, **options)):
                    return shown
    return None


def shows(use, emulator):
    try:
        found = outcome(use.launch, emulator)
    except PTXError as error:
        return f"{type(error).__name__}: {error}"
    except AssertionError as error:
        if "never written" not in str(error):
            raise
        return str(error)
    if type(found) is not type(use.expected):
        return "another outcome"
    close = [is_close(x, y) for x, y in zip(found, use.expected, strict=True)]
    return None if all(close) else "wrong result"


def is_close(x, y):
    if not isinstance(y, np.ndarray) or y.dtype.kind != "f" or not y.size:
        return np.all(x == y)
    largest = np.abs(y[np.isfinite(y)]).max(initial=1e-3)
    return np.allclose(x, y, rtol=TOLERANCE, atol=TOLERANCE * largest, equal_nan=True)
