"""Nested lists, tuples and dictionaries by `keras.tree`'s names. Everything else is a leaf, None
and numbers too. Dictionaries are walked by sorted keys where these can be sorted, an OrderedDict in
its own order."""

from collections import OrderedDict
from collections.abc import Callable
from copy import copy
from typing import Any


class MAP_TO_NONE:
    """What a function returns to `traverse` to have None in the place, which by itself means to go
    on within."""


def _children(structure: Any) -> list[tuple[Any, Any]] | None:
    """(key, value) of what a container holds; None of a leaf."""
    if isinstance(structure, dict):
        keys = list(structure)
        if not isinstance(structure, OrderedDict):
            try:
                keys.sort()
            except TypeError:  # of several types
                keys.sort(key=lambda key: (type(key).__qualname__, str(key)))
        return [(key, structure[key]) for key in keys]
    return list(enumerate(structure)) if isinstance(structure, list | tuple) else None


def _again(structure: Any, keys: list[Any], values: list[Any]) -> Any:
    """A container like this one with other values."""
    if isinstance(structure, dict):
        made = copy(structure)
        made.update(zip(keys, values, strict=True))
        return made
    if isinstance(structure, tuple):
        return tuple.__new__(type(structure), values)
    return values


def _map(function, structures, path, is_leaf=lambda structure: False):
    first = structures[0]
    inner = None if is_leaf(first) else _children(first)
    if inner is None:
        return function(path, *structures)
    keys = [key for key, _ in inner]
    for other in structures[1:]:
        found = _children(other)
        if found is None or not _alike(first, other) or {key for key, _ in found} != {*keys}:
            raise ValueError(
                f"keras.tree: structures differ at {_written(path)}: expected "
                f"{_described(first)}; got {_described(other)}"
            )
    values = [_map(function, [s[key] for s in structures], (*path, key), is_leaf) for key in keys]
    return _again(first, keys, values)


def _alike(a, b):
    """Whether two containers are of a kind: both dictionaries, or of the same type."""
    return (isinstance(a, dict) and isinstance(b, dict)) or type(a) is type(b)


def _written(path):
    return "".join(f"[{key!r}]" for key in path) or "the top"


def _described(structure):
    inner = _children(structure)
    if inner is None:
        return f"a leaf of type {type(structure).__name__}"
    if isinstance(structure, dict):
        return f"a {type(structure).__name__} of {list(structure)}"
    return f"a {type(structure).__name__} of {len(inner)} entries"


def _expect_leaves(path, *structures):
    for structure in structures:
        if is_nested(structure):
            raise ValueError(
                f"keras.tree: structures differ at {_written(path)}: expected a leaf; got "
                f"{_described(structure)}"
            )


def is_nested(structure: Any) -> bool:
    """Whether it is a list, tuple or dictionary.

    >>> import fastnn.keras as keras
    >>> keras.tree.is_nested([1]), keras.tree.is_nested(1)
    (True, False)
    """
    return _children(structure) is not None


def flatten_with_path(structure: Any) -> list[tuple[tuple, Any]]:
    """(path, leaf) of each leaf, the path being its keys from the top.

    >>> import fastnn.keras as keras
    >>> keras.tree.flatten_with_path({"a": [1, 2]})
    [(('a', 0), 1), (('a', 1), 2)]
    """
    found: list[tuple[tuple, Any]] = []
    _map(lambda path, leaf: found.append((path, leaf)), [structure], ())
    return found


def flatten(structure: Any) -> list[Any]:
    """The leaves.

    >>> import fastnn.keras as keras
    >>> keras.tree.flatten({"b": [2, None], "a": 1})
    [1, 2, None]
    """
    return [leaf for _, leaf in flatten_with_path(structure)]


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """The same structure with func(leaf, ...) for each leaf, given those of all structures at its
    place. none_is_leaf: False leaves None as it is. Raises ValueError where structures differ.

    >>> import fastnn.keras as keras
    >>> keras.tree.map_structure(lambda a, b: a + b, {"x": [1, 2]}, {"x": [10, 20]})
    {'x': [11, 22]}
    """
    if not structures:
        raise ValueError("keras.tree.map_structure: expected one structure or more; got none")

    def call(path, *leaves):
        _expect_leaves(path, *leaves)
        return None if leaves[0] is None and not none_is_leaf else func(*leaves)

    return _map(call, structures, ())


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """The shallow structure with func(part, ...) for each leaf of it, given what the others hold at
    its place, which may be nested.

    >>> import fastnn.keras as keras
    >>> keras.tree.map_structure_up_to([None, None], len, [[1, 2], [3]])
    [2, 1]
    """
    if not structures:
        raise ValueError("keras.tree.map_structure_up_to: expected one structure or more; got none")
    return _map(lambda path, shallow, *parts: func(*parts), (shallow_structure, *structures), ())


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """`map_structure` to which lists and tuples of whole numbers and None, shapes, are leaves.

    >>> import fastnn.keras as keras
    >>> keras.tree.map_shape_structure(len, [(None, 3), (2,)])
    [2, 1]
    """

    def is_shape(value):
        return isinstance(value, list | tuple) and all(
            [isinstance(extent, int | None) for extent in value]
        )

    return _map(lambda path, leaf: func(leaf), [structure], (), is_shape)


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """The same structure with these leaves, in the order of `flatten`.

    >>> import fastnn.keras as keras
    >>> keras.tree.pack_sequence_as({"a": 0, "b": [0, 0]}, [1, 2, 3])
    {'a': 1, 'b': [2, 3]}
    """
    leaves, wanted = list(flat_sequence), len(flatten(structure))
    if len(leaves) != wanted:
        raise ValueError(
            f"keras.tree.pack_sequence_as: expected {wanted} leaves; got {len(leaves)}"
        )
    given = iter(leaves)
    return _map(lambda path, leaf: next(given), [structure], ())


def assert_same_structure(a: Any, b: Any) -> None:
    """Raise ValueError, which says where, unless two structures differ in leaves alone.

    >>> import fastnn.keras as keras
    >>> keras.tree.assert_same_structure([1, (2,)], ["x", ("y",)])
    """
    _map(_expect_leaves, (a, b), ())


def assert_same_paths(a: Any, b: Any) -> None:
    """Raise ValueError unless two structures have leaves at the same paths, of whatever kinds the
    containers are.

    >>> import fastnn.keras as keras
    >>> keras.tree.assert_same_paths([1, 2], (3, 4))
    """
    ours, theirs = ({path for path, _ in flatten_with_path(s)} for s in (a, b))
    if ours != theirs:
        alone = [
            sorted(map(_written, one - other)) for one, other in ((ours, theirs), (theirs, ours))
        ]
        raise ValueError(
            "keras.tree.assert_same_paths: paths differ: "
            f"{', '.join(alone[0]) or 'none'} in the first alone, "
            f"{', '.join(alone[1]) or 'none'} in the second alone"
        )


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """What func gives for each container and leaf, from the top down or from the leaves up; where
    it gives None, what was there, traversed; `MAP_TO_NONE` puts None there.

    >>> import fastnn.keras as keras
    >>> keras.tree.traverse(lambda s: tuple(s) if isinstance(s, list) else None, [[1], 2], False)
    ((1,), 2)
    """

    def within(value):
        inner = _children(value)
        if inner is None:
            return value
        values = [traverse(func, v, top_down) for _, v in inner]
        return _again(value, [key for key, _ in inner], values)

    value = structure if top_down else within(structure)
    found = func(value)
    if found is None:
        return within(value) if top_down else value
    return None if found is MAP_TO_NONE else found


def lists_to_tuples(structure: Any) -> Any:
    """The same structure with tuples in the place of lists.

    >>> import fastnn.keras as keras
    >>> keras.tree.lists_to_tuples([[1, 2], {"a": [3]}])
    ((1, 2), {'a': (3,)})
    """
    return traverse(lambda s: tuple(s) if isinstance(s, list) else None, structure, False)
