"""Sums of products by the names of dimensions, against NumPy."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.ops.einsum import pairs

EQUATIONS = [
    ("ij->ji", (3, 4)), ("ij->", (3, 4)), ("ij->j", (3, 4)), ("ii->", (4, 4)), ("ii->i", (4, 4)),
    ("iji->j", (4, 3, 4)), ("ba", (3, 4)), ("i,i", (5,), (5,)), ("i,j->ij", (3,), (4,)),
    ("ij,jk->ik", (3, 4), (4, 5)), ("ij,kj->ki", (3, 4), (5, 4)), ("ji,jk->ik", (4, 3), (4, 5)),
    ("ij,ij->i", (3, 4), (3, 4)), ("ij,ij->ij", (3, 4), (3, 4)), ("bij,jk->bik", (2, 3, 4), (4, 5)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("bij,bkj->bik", (2, 3, 4), (2, 5, 4)),
    ("bqhd,bkhd->bhqk", (2, 3, 2, 4), (2, 5, 2, 4)), ("...ij,...jk->...ik", (2, 3, 4), (2, 4, 5)),
    ("...ij,jk", (2, 3, 4), (4, 5)), ("...a,...a->...", (1, 5, 3), (4, 1, 3)),
    ("i...,i...->...", (3, 2, 4), (3, 4)), ("ab,bc,cd->ad", (2, 3), (3, 4), (4, 5)),
    ("ab,b,c->ac", (2, 3), (3,), (4,)), ("ij,jk,kl,lm->im", (2, 3), (3, 2), (2, 5), (5, 2)),
    ("ij,k->i", (3, 4), (5,)), ("ij,jk->ik", (0, 4), (4, 5)), ("ij,jk->ik", (3, 0), (0, 5)),
    (" i j , j k -> i k ", (3, 4), (4, 5)), (",ij->ij", (), (3, 4)),
    ("abc,cab->b", (2, 3, 4), (4, 2, 3)),
    ("ij,jk", (1, 4), (4, 5)), ("bij,b->ij", (3, 2, 2), (3,)),
]  # fmt: skip


@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda e: e[0])
def test_it_is_numpys_with_its_gradient(equation):
    subscripts, *shapes = equation
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(-1, 1, s) for s in shapes]
    got = ops.einsum(subscripts, *map(fastnn.tensor, arrays))
    np.testing.assert_allclose(got.numpy(), np.einsum(subscripts, *arrays), rtol=1e-12, atol=1e-12)
    whole = [np.round(4 * a).astype(np.int32) for a in arrays]
    exact = ops.einsum(subscripts, *map(fastnn.tensor, whole))
    assert exact.dtype == "int32"
    np.testing.assert_array_equal(exact.numpy(), np.einsum(subscripts, *whole))
    if got.size:
        fastnn.gradcheck(lambda *x: ops.einsum(subscripts, *x), arrays)


def test_recorded_is_eager_and_types_meet_as_in_other_ops():
    a, b = np.ones((3, 4, 5), "float32"), np.arange(60.0).reshape(3, 5, 4)

    def f(x):
        return ops.einsum("bij,bjk->bik", x, b)

    x = fastnn.tensor(a)
    assert f(x).dtype == "float32"
    assert fastnn.record(f)(x).numpy().tobytes() == f(x).numpy().tobytes()
    assert ops.einsum("i,i->", fastnn.tensor([1, 2]), x[0, 0, :2]).dtype == "float32"


def test_each_of_a_stack_of_products_has_the_bits_of_one():
    """In each way in which products are made; and by any number of threads."""
    rng = np.random.default_rng(0)
    for rows, depth, columns in [(5, 33, 17), (1, 33, 17), (5, 33, 1), (5, 1, 9), (40, 200, 40)]:
        for transpose_a in (False, True):
            for transpose_b in (False, True):
                a, b = rng.normal(size=(3, rows, depth)), rng.normal(size=(3, depth, columns))
                a, b = (x.astype("float32") for x in (a, b))
                a = a.transpose(0, 2, 1) if transpose_a else a
                b = b.transpose(0, 2, 1) if transpose_b else b
                options = {"transpose_a": transpose_a, "transpose_b": transpose_b}
                for threads in (1, 2):
                    fastnn.set_threads(threads)
                    found = ops.matmul(a, b, **options).numpy()
                    ones = [ops.matmul(*x, **options).numpy() for x in zip(a, b, strict=True)]
                    assert found.tobytes() == np.array(ones).tobytes()


def test_the_cheapest_pair_comes_first():
    sizes = (("a", 100), ("b", 100), ("c", 100))
    assert pairs((("a", "b"), ("b", "c"), ("c",)), ("a",), sizes) == ((1, 2), (0, 1))


@pytest.mark.parametrize(
    ("subscripts", "shapes", "message"),
    [
        ("ij,jk->ik", [(3, 4)], "names 2 operands; got 1"),
        ("ij,jk->ik", [(3, 4), (5, 6)], r"dimension 'j' is 4 and 5 long, of operands \(3, 4\), "),
        ("ijk->i", [(3, 4)], "'ijk' of 'ijk->i' names 3 dimensions; the operand has 2"),
        ("ij->il", [(3, 4)], "the result has 'l', which no operand has"),
        ("ij->ii", [(3, 4)], "the result has a dimension twice"),
        ("i1->i", [(3, 4)], "cannot read 'i1' of 'i1->i' for an operand of 2 dimensions"),
        ("...i->i", [(3, 4)], "the operands have '...', and the result has not"),
        (3, [(3, 4)], "subscripts must be a text; got int"),
        ("i", [], "takes at least one operand"),
    ],
)
def test_what_is_refused(subscripts, shapes, message):
    with pytest.raises((ValueError, TypeError), match=f"einsum: .*{message}"):
        ops.einsum(subscripts, *[np.ones(s) for s in shapes])
