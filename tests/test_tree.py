"""Nested lists, tuples and dictionaries, walked and built again."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

from fastnn import tree

Point = namedtuple("Point", "x y")

STRUCTURES = [
    "leaf",
    [],
    [[], []],
    {},
    ["a", ["b"], ()],
    {"b": "1", "a": ("2", {"c": "3"})},
    Point("1", ["2"]),
    OrderedDict(b="1", a="2"),
    ["a", None, {"b": None}],
    {3: "a", "x": "b"},
]


@pytest.mark.parametrize("given", STRUCTURES, ids=repr)
def test_a_structure_is_built_again_from_its_leaves(given):
    packed = tree.pack(given, tree.flatten(given))
    assert packed == given
    assert type(packed) is type(given)
    assert list(packed) == list(given)
    assert tree.map(lambda leaf: leaf, given) == given


def test_the_order_does_not_depend_on_how_a_dictionary_was_filled():
    one, other = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    assert tree.flatten(one) == tree.flatten(other) == ["1", "2"]
    assert list(tree.pack(other, "34")) == ["b", "a"]
    assert tree.pack(other, "34") == {"a": "3", "b": "4"}


@pytest.mark.parametrize("numbers", [[1, 2.0], [[1], [np.float32(2)]], ((1, 2), [3, True])])
def test_written_out_arrays_are_leaves(numbers):
    assert tree.flatten({"x": numbers}) == [numbers]
    assert tree.children(numbers) is None


def test_arrays_in_a_list_are_several():
    assert len(tree.flatten([np.ones(2), np.ones(2)])) == 2


def test_paths_say_where_a_leaf_stands():
    given = {"b": "1", "a": ["2", {"c": None, "d": "3"}]}
    assert list(tree.leaves(given, "x")) == [
        ("x['a'][0]", "2"),
        ("x['a'][1]['d']", "3"),
        ("x['b']", "1"),
    ]


def test_others_are_passed_along_by_key():
    found = tree.map(lambda *given: given, {"a": "1", "b": ("2",)}, {"b": [[0.5]], "a": None})
    assert found == {"a": ("1", None), "b": (("2", [0.5]),)}


@pytest.mark.parametrize(
    ("given", "other", "message"),
    [
        (["1", "2"], ["1"], "^y: expected a list of 2 entries; got 1 entries"),
        ({"a": ["1"]}, {"a": "1"}, r"^y\['a'\]: expected a list of 1 entries; got a str"),
        ({"a": "1"}, {"b": "1"}, r"^y: expected a dictionary of \['a'\]; got the keys \['b'\]"),
        ({"a": "1"}, ["1"], r"^y: expected a dictionary of \['a'\]; got a list"),
    ],
)
def test_what_differs_is_told_with_its_path(given, other, message):
    with pytest.raises(ValueError, match=message):
        tree.map(lambda *given: given, given, other, path="y")


def held_by_itself(times):
    numbers = []
    numbers += [numbers] * times
    return numbers


@pytest.mark.parametrize("times", [1, 2])
def test_a_list_that_holds_itself_is_refused(times):
    with pytest.raises(ValueError, match="nested more than 64 deep, or holds itself"):
        tree.flatten(held_by_itself(times))


def test_a_list_that_stands_in_many_places_is_looked_into_once():
    numbers = [1.0]
    for _ in range(50):
        numbers = [numbers, numbers]
    assert tree.are_numbers(numbers)
