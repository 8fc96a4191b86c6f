"""Nested lists, tuples and dictionaries: what they hold, in one order, and the same structure with
other leaves. Dictionaries are walked by sorted keys where these are strings. None stays None.
Numbers in lists and tuples all the way down are one leaf: an array written out."""

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from itertools import chain
from typing import Any

import numpy as np

NUMBERS = (int, float, np.number, np.bool_)
SEQUENCES = (list, tuple)  # no union, which every call of isinstance would make anew
ENTRIES = (*NUMBERS, *SEQUENCES)  # of an array that is written out
MAX_DIMENSIONS = 64  # NumPy's


def children(tree: Any) -> list[tuple[Any, Any]] | None:
    """(key, value) of what a container holds; None of a leaf."""
    if isinstance(tree, dict):
        keys = sorted(tree) if all([type(key) is str for key in tree]) else tree
        return [(key, tree[key]) for key in keys]
    if isinstance(tree, SEQUENCES) and not are_numbers(tree):
        return list(enumerate(tree))
    return None


def are_numbers(values: Any) -> bool:
    """Whether a list or tuple is an array of numbers. One that holds no number is not."""
    if type(values) not in (list, tuple) or not values or not isinstance(values[0], ENTRIES):
        return False
    for _ in range(MAX_DIMENSIONS):
        kinds = {type(v) for v in values}
        inner = kinds & {list, tuple}
        if not all([issubclass(kind, NUMBERS) for kind in kinds - inner]):
            return False
        if not inner:
            return bool(values)
        # a list that stands in several places is looked into once
        distinct = {id(v): v for v in values if type(v) in inner}
        values = list(chain.from_iterable(distinct.values()))
    raise ValueError(f"a list is nested more than {MAX_DIMENSIONS} deep, or holds itself")


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, leaf) of each leaf. A path goes on as Python indexes: x['a'][0]."""
    inner = children(tree)
    for key, value in inner or ():
        yield from leaves(value, f"{path}[{key!r}]")
    if inner is None and tree is not None:
        yield path, tree


def flatten(tree: Any) -> list[Any]:
    """The leaves.

    >>> flatten({"b": ["y", None], "a": "x"})
    ['x', 'y']
    """
    inner = children(tree)
    if inner is None:
        return [] if tree is None else [tree]
    return [leaf for _, value in inner for leaf in flatten(value)]


def flatten_with_none(tree: Any) -> list[Any]:
    """The leaves, and None where it stands in the place of one.

    >>> flatten_with_none({"b": ["y", None], "a": "x"})
    ['x', 'y', None]
    """
    inner = children(tree)
    if inner is None:
        return [tree]
    return [leaf for _, value in inner for leaf in flatten_with_none(value)]


def map(function: Callable[..., Any], tree: Any, *others: Any, path: str = "") -> Any:
    """The same structure with function(leaf, ...) for each leaf, which is given what `others` hold
    at its place. `path`: what the others are called, for the error where they differ."""
    inner = children(tree)
    if inner is None:
        return None if tree is None else function(tree, *others)
    if others:
        for other in others:
            _expect_alike(tree, other, path)
        values = [
            map(function, value, *[other[key] for other in others], path=f"{path}[{key!r}]")
            for key, value in inner
        ]
    else:
        values = [map(function, value) for _, value in inner]
    kind = type(tree)
    if isinstance(tree, tuple):
        return tuple.__new__(kind, values)
    if kind is list:
        return values
    result = dict.fromkeys(tree) if kind is dict else copy(tree)  # which may hold more than that
    for (key, _), value in zip(inner, values, strict=True):
        result[key] = value
    return result


def pack(tree: Any, values: Iterable[Any]) -> Any:
    """The same structure with these leaves, in the order of `flatten`."""
    given = iter(values)
    return map(lambda leaf: next(given), tree)


def _expect_alike(tree, other, path):
    is_dict = isinstance(tree, dict)
    if not isinstance(other, dict if is_dict else list | tuple):
        got = f"a {type(other).__name__}"
    elif len(other) == len(tree) and (not is_dict or set(other) == set(tree)):
        return
    else:
        got = f"the keys {list(other)}" if is_dict else f"{len(other)} entries"
    wanted = f"a dictionary of {list(tree)}" if is_dict else f"a list of {len(tree)} entries"
    raise ValueError(f"{path or 'structure'}: expected {wanted}; got {got}")
