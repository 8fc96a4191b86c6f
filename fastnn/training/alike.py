"""Batches like those before them: what these have told is not asked again, but what may be wrong
with a batch by itself is looked for in each."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastnn import tree
from fastnn.losses import Loss
from fastnn.metrics import Metric
from fastnn.watch import Watch

from . import data, preparing
from .data import Rows
from .outputs import judges_of, per_output, targets_given

MAX_FORMS = 8  # of batches that are known at once
NUMPYS_ELEMENTS = 8192  # in fewer NumPy finds a NaN sooner than a kernel is called

Make = Callable[[np.ndarray], np.ndarray | None]


class Part(NamedTuple):
    """An array of a batch: how it is given, and what makes of it what a step takes; that gives
    None of one with values to be named in an error."""

    kind: type
    dtype: np.dtype
    row: tuple[int, ...]  # the shape of a row
    make: Make


class Alike:
    """Batches of one form, with any number of rows: the first one's structure, kinds of arrays,
    element types and shapes of rows. What is known of them holds while it `fits`."""

    ready: Any = None  # what runs a step with one

    def __init__(
        self, form: Any, parts: list[Part], order: list[int], like: Rows, layout: Any, watch: Watch
    ):
        self.form, self.parts, self.layout, self.fits = form, parts, layout, watch.holds
        self.order = None if order == sorted(order) else order
        self.like = data.without_arrays(like)

    def arrays(self, given: tuple) -> list[np.ndarray] | None:
        """What `Rows.arrays` has of a batch; None if it is not alike, or something is wrong."""
        leaves: list[Any] = []
        if not _fill(self.form, given, leaves):
            return None
        array: Any
        found, count = [], 0
        for leaf, (kind, dtype, row, make) in zip(leaves, self.parts, strict=True):
            if leaf.__class__ is not kind:
                return None
            array = leaf if kind is np.ndarray else _as_array(leaf)
            if array is None or array.dtype != dtype or not array.flags.c_contiguous:
                return None
            shape = array.shape
            if not shape or shape[1:] != row or shape[0] != (count or shape[0]):
                return None
            count = shape[0]
            made = make(array) if count else None
            if made is None:
                return None
            found.append(made)
        return found if self.order is None else [found[n] for n in self.order]


def alike(model: Any, given: tuple, rows: Rows, watch: Watch, what: str) -> Alike | None:
    """What is known of batches like one that is checked; None if its arrays do not become those of
    `rows` one by one. watch: of what was read to check it."""
    leaves, arrays = tree.flatten(given), rows.arrays()
    marks = [_Mark() for _ in leaves]
    places = _places(model, tree.pack(given, marks), rows, what)
    numbers = {id(mark): n for n, mark in enumerate(marks)}
    order = [numbers.get(id(mark), -1) for mark, *_ in places]
    if sorted(order) != list(range(len(leaves))) or len(arrays) != len(leaves):
        return None
    parts: list[Any] = [None] * len(leaves)
    for n, array, (_, *judged) in zip(order, arrays, places, strict=True):
        leaf = _as_array(leaves[n])
        if leaf is None or leaf.size != array.size or leaf.shape[:1] != array.shape[:1]:
            return None
        parts[n] = Part(type(leaves[n]), leaf.dtype, leaf.shape[1:], _make(leaf, array, *judged))
    found = Alike(_form(given), parts, order, rows, model._layout, watch)
    again = found.arrays(given)
    if again is None or not all(
        [np.array_equal(*pair) for pair in zip(again, arrays, strict=True)]
    ):
        return None
    return found


class _Mark:
    """Stands for an array, to see where it goes."""


def _places(model, marked, rows, what):
    """For each array of the rows the mark of the one it was made of; of targets also who judges
    them, and the output."""
    x, y, weights = marked
    found = [(mark,) for mark in tree.flatten(model._values_of(x, "x"))]
    outputs, names = None, model.output_names
    if model._judges(y):
        outputs = model._outputs(rows.x)
        judges = judges_of(model._losses_of(outputs), model._metrics)
        given = targets_given(y, outputs, what, names)
        of_each = zip(given, judges, tree.flatten(outputs), strict=True)
        found += [(mark, judge, output) for mark, judge, output in of_each if judge is not None]
    else:
        found += [(mark,) for mark in tree.flatten(y)]
    if outputs is None or tree.children(outputs) is None or tree.children(weights) is None:
        return found + [(mark,) for mark in tree.flatten(weights)]
    by_output = per_output(outputs, weights, "sample_weight", names)
    return found + [(mark,) for mark in by_output if mark is not None]


def _make(leaf, array, judge=None, output=None):
    """What makes of one like `leaf` what `array` is."""
    check = _finite if array.dtype.kind == "f" else _as_it_is
    if judge is not None:
        is_own = type(judge).targets not in (Loss.targets, Metric.targets)
        ignored = getattr(judge, "ignore_class", None)
        if is_own or (judge.takes_labels and (leaf.dtype.kind not in "iu" or ignored is not None)):
            return lambda given: check(judge.targets(given, output.shape, output.dtype))
        if judge.takes_labels:
            check = partial(_labels, output.shape[judge.axis] or 0)
    row = array.shape[1:]
    if (leaf.dtype, leaf.shape[1:]) == (array.dtype, row):
        return check

    def make(given):
        # what is too large becomes infinite, which is found
        with np.errstate(over="ignore"):
            made = np.ascontiguousarray(given, array_type)
        return check(made.reshape(len(made), *row))

    array_type = array.dtype
    return make


def _as_it_is(array):
    return array


def _finite(array):
    if array.size > NUMPYS_ELEMENTS:
        with suppress(ValueError):
            data.expect_finite(array, "")
            return array
        return None
    return array if np.isfinite(array).all() else None


def _labels(classes, array):
    # negative ones are the largest of all
    return array if array.view(np.uint64).max() < classes else None


def _as_array(leaf):
    """What NumPy has of an array, its own, in a file, or PyTorch's; None of anything else."""
    kind = type(leaf)
    if kind is np.ndarray:
        return leaf
    if kind is np.memmap or (kind.__name__, kind.__module__) == ("Tensor", "torch"):
        with suppress(TypeError, RuntimeError):  # on a GPU, or with a gradient
            return np.asarray(leaf)
    return None


LEAF = object()


def _form(value):
    """The structure of a batch, for `_fill`."""
    inner = tree.children(value)
    if inner is None:
        return value if value is None else LEAF
    keys = [key for key, _ in inner] if isinstance(value, dict) else None
    return type(value), keys, [_form(part) for _, part in inner]


def _fill(form, value, leaves):
    """Whether a container is of a form; its leaves are put into `leaves`."""
    kind, keys, parts = form
    if type(value) is not kind or len(value) != len(parts):
        return False
    if keys is not None:
        if not all([key in value for key in keys]):
            return False
        value = [value[key] for key in keys]
    for part, inner in zip(parts, value, strict=True):
        if part is LEAF:
            leaves.append(inner)
        elif not (inner is None if part is None else _fill(part, inner, leaves)):
            return False
    return True


class Checker:
    """Checks batches that come one at a time: makes of each (x, y, weights) the arrays that a step
    takes. first: rows of which they must have the parts; None: each may have others."""

    def __init__(
        self, model: Any, class_weight: Any = None, what: str = "", first: Rows | None = None
    ):
        self.model, self.class_weight, self.what = model, class_weight, what
        self.parts = None if first is None else _parts(first)
        self.known: list[Alike] = []
        self.found: Alike | None = None  # what the last batch was like
        self.last: Any = None  # the signature of the batch before
        self.learns = True

    def __call__(self, batch: tuple[Any, Any, Any]) -> list[np.ndarray]:
        model, given = self.model, preparing.batch(self.model, batch, self.class_weight)
        for one in self.known:
            if one.fits():
                found = one.arrays(given)
                if found is not None:
                    if model._layout is not one.layout:
                        model._layout = one.layout
                    self.found = one
                    return found
        self.found = None
        signature = _signature(given) if self.learns else None
        if signature is None or signature != self.last:
            rows = self._rows(given)
        else:  # the second such batch: others may follow
            with Watch() as watch:
                rows = self._rows(given)
            learnt = alike(model, given, rows, watch, self.what)
            self.learns = learnt is not None
            if learnt is not None:
                self.known = [learnt, *[k for k in self.known if k.fits()]][:MAX_FORMS]
        self.last, self.like = signature, data.without_arrays(rows)
        return rows.arrays()

    def fits(self) -> bool:
        """It looks itself whether what it knows still holds."""
        return True

    def rows(self, arrays: list[np.ndarray]) -> Rows:
        """What the last batch's arrays were made of."""
        like = self.like if self.found is None else self.found.like
        return tree.pack(like, arrays)

    def _rows(self, given):
        rows = self.model._rows(*given, what=self.what)
        parts = _parts(rows)
        if self.parts is not None and parts != self.parts:
            raise ValueError(
                f"{self.what}x: every batch must have the parts of the first one, "
                f"{_named(self.parts)}; got {_named(parts)}"
            )
        return rows


def _signature(given):
    """Where arrays stand, their kinds, types and shapes of rows; None if there are others."""
    found = []
    for path, leaf in tree.leaves(given):
        array = _as_array(leaf)
        if array is None or not array.ndim or array.dtype.kind not in "biuf":
            return None
        found.append((path, type(leaf), array.dtype, array.shape[1:]))
    return found


def _parts(rows):
    return [path for path, _ in tree.leaves(rows)]


def _named(parts):
    names = ("x", "y", "sample_weight")
    return ", ".join([names[int(part[1])] + part[3:] for part in parts])
