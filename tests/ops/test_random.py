"""Philox against its authors' known answers, and what is drawn from it."""

from math import sqrt

import numpy as np
import pytest

import fastnn
from fastnn.kernels.reference.random import philox
from fastnn.ops.random import permutation
from fastnn.ops.record import Case
from tests.oracle import updated

ONES = 0xFFFFFFFF
COUNT = 100_000
# Random123's kat_vectors: counter, key, result of philox4x32 with 10 rounds.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_has_its_authors_answers(counter, key, expected):
    assert philox(counter, key) == expected


@pytest.mark.parametrize("seed", [0, 7, -1, 2**40 + 3])
def test_kernels_draw_the_references_words(seed):
    generator = fastnn.random.Generator(seed)
    low, high = seed % 2**64 & ONES, seed % 2**64 >> 32
    for draw in range(2):
        got = generator.uniform((10,)).numpy()
        words = [w for block in range(5) for w in philox((block, 0, draw, 0), (low, high))]
        np.testing.assert_array_equal(
            got, np.array([w >> 8 for w in words[::2]]).astype("f4") * np.float32(2**-24)
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_numbers_are_uniform(dtype):
    x = fastnn.random.uniform((COUNT,), -1.0, 3.0, dtype, seed=1).numpy().astype(float)
    assert x.min() >= -1
    assert x.max() < 3
    # Kolmogorov and Smirnov's distance exceeds 1.95 / sqrt(n) in one sample of a thousand; this one
    # is always the same.
    distance = np.abs((np.sort(x) + 1) / 4 - (np.arange(COUNT) + 0.5) / COUNT).max()
    assert distance < 1.95 / sqrt(COUNT)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_numbers_have_normal_moments(dtype):
    x = (fastnn.random.normal((COUNT,), 5.0, 2.0, dtype, seed=1).numpy().astype(float) - 5) / 2
    # Means of powers lie within four of their own deviations.
    for power, mean, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs((x**power).mean() - mean) < 4 * sqrt(variance / COUNT)
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 4 / sqrt(COUNT)


def test_a_seed_gives_the_same_and_draws_and_seeds_differ():
    a, b = fastnn.random.Generator(3), fastnn.random.Generator(3)
    first, second = a.uniform((100,)).numpy(), a.uniform((100,)).numpy()
    np.testing.assert_array_equal(b.uniform((100,)).numpy(), first)
    assert (first != second).all()
    assert (fastnn.random.Generator(4).uniform((100,)).numpy() != first).all()
    assert (a.spawn().uniform((100,)).numpy() != b.uniform((100,)).numpy()).any()


def orders(rows, count):
    """So many orders that epochs would take."""
    state = fastnn.random.Generator(0).state.numpy()
    words, order, cursor = np.zeros(rows + -rows % 4, "u4"), np.zeros(rows, int), np.zeros(1, int)
    for draw in range(count):
        case = Case((), {"draw_offset": draw})
        yield updated(permutation, case, [state, words, order, cursor])[1].numpy()


def test_every_order_of_four_rows_is_as_likely():
    count, found = 24_000, {}
    for order in orders(4, count):
        found[tuple(order)] = found.get(tuple(order), 0) + 1
    assert len(found) == 24
    expected = count / 24
    # Chi-square with 23 degrees of freedom exceeds 49.7 once in a thousand; this sample is always
    # the same.
    assert sum((n - expected) ** 2 / expected for n in found.values()) < 49.7


@pytest.mark.parametrize("rows", [1, 2, 5, 1000])
def test_an_order_names_every_row_once(rows):
    for order in orders(rows, 3):
        np.testing.assert_array_equal(np.sort(order), np.arange(rows))


@pytest.mark.parametrize(("call", "message"), [
    (lambda: fastnn.random.normal((-1,)), "integers from 0 on"),
    (lambda: fastnn.random.normal((2.5,)), "integers from 0 on"),
    (lambda: fastnn.random.uniform((2,), dtype="int64"), "float32 or float64"),
    (lambda: fastnn.random.Generator("a"), "expected an integer"),
])  # fmt: skip
def test_bad_arguments_are_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
