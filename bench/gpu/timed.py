"""What is timed on the GPU: ops on arrays that are beyond its caches, and products."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastnn.devices.launchers import launcher
from fastnn.kernels.cuda import gemm_microkernel
from fastnn.ops.record import Op, in_place, registry

from .calls import forced
from .launches import Forms, Launches
from .store import Writer

F4, F8, I8 = np.dtype("f4"), np.dtype("f8"), np.dtype("i8")
FORMS = ("nn", "tn", "nt")  # which of A and B are transposed
POINTWISE = ("relu", "tanh", "gelu", "sigmoid", "log", "add")
SHARE_OF_COPY, SHARE_OF_CUBLAS = 0.9, 0.85  # to reach
# (M, K, N)
PRODUCTS = (
    *((4096, 4096, 4096), (1024, 1024, 1024)),
    *((8192, 784, 512), (128, 784, 512), (128, 512, 512)),
)


# What is timed as `run` reads it, and the kernels of it
Entry = tuple[dict[str, Any], Forms]


class Sizes(NamedTuple):
    """What is small enough for the double, or large enough for a GPU."""

    rows: int
    columns: int
    products: Sequence[tuple[int, int, int]]


LARGE, SMALL = Sizes(1 << 16, 1 << 10, PRODUCTS), Sizes(33, 20, ((33, 17, 65),))


class Array(NamedTuple):
    """An array that an op is given: of these values, or else of random floats, or of random whole
    numbers below `below`."""

    shape: tuple[int, ...]
    dtype: np.dtype = F4
    values: np.ndarray | None = None
    below: int = 0


def of(*values: float, dtype: np.dtype = F8) -> Array:
    """A small array of these values."""
    return Array((len(values),), dtype, np.array(values, dtype))


def entries(sizes: Sizes, writer: Writer, is_wanted: Callable[[str], bool]) -> Iterator[Entry]:
    """Each, of ops whose names are wanted."""
    rows, columns = sizes.rows, sizes.columns
    flat, x = Array((rows * columns,)), Array((rows, columns))
    row, column = Array((columns,)), Array((rows,))
    labels = Array((rows,), I8, below=columns)
    state = of(123456789, 5, dtype=I8)
    known = {op.name: op for op in Op.known} | registry | in_place
    calls: list[tuple[str, Sequence[Array], dict[str, Any], Sequence[Array]]] = [
        *[(name, [flat] * registry[name].arity, {}, ()) for name in POINTWISE],
        ("adam", [flat, of(1e-3), of(41, dtype=I8)], {}, [flat] * 3),
        ("dropout", [flat, state], {"rate": 0.5}, ()),
        ("softmax", [x], {}, ()),
        ("gradient of softmax", [x, x], {}, ()),
        ("batch_norm", [x, row, row], {}, ()),
        ("gradient of batch_norm", [x, row, row, row, row, x], {}, ()),
        ("layer_norm", [x, row, row], {}, ()),
        ("gradient of layer_norm", [x, row, column, column, column, x], {}, ()),
        ("softmax_cross_entropy", [x, labels], {}, ()),
        ("gradient of softmax_cross_entropy", [x, labels, column], {}, ()),
        ("sum", [x], {"axis": 0}, ()),
        ("sum", [x], {"axis": 1}, ()),
    ]
    for name, inputs, attributes, places in calls:
        if is_wanted(name):
            yield _entry(name, known[name], inputs, writer, attributes, places)
    for shape, form in itertools.product(sizes.products, FORMS) if is_wanted("matmul") else ():
        yield from _product(*shape, form, writer)


def _product(m: int, k: int, n: int, form: str, writer: Writer) -> Iterator[Entry]:
    """One product, by every tile."""
    transpose_a, transpose_b = (letter == "t" for letter in form)
    a = Array((k, m) if transpose_a else (m, k))
    b = Array((n, k) if transpose_b else (k, n))
    attributes = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    tiles: dict[str, list[dict[str, Any]]] = {}
    forms: Forms = {}
    for tile in gemm_microkernel.TILES:
        if F4.str[1:] in tile.dtypes:
            with forced(tile):
                entry, own = _entry("", registry["matmul"], [a, b], writer, attributes)
            tiles[_name(tile)] = entry["launches"]
            forms |= own
    chosen = _name(gemm_microkernel.tile_for(m, n, F4.itemsize))
    about = {
        "title": f"matmul {form} {m} {k} {n}",
        "product": [m, k, n, transpose_a, transpose_b],
        "tiles": tiles,
        "chosen": chosen,
        "to_reach": SHARE_OF_CUBLAS,
    }
    yield entry | about, forms


def _name(tile):
    return "{}x{}".format(*tile.extents)


def _entry(
    title: str,
    op: Op,
    inputs: Sequence[Array],
    writer: Writer,
    attributes: Mapping[str, Any] = {},
    places: Sequence[Array] = (),
) -> Entry:
    """A call of an op: of what it writes over, where it does."""
    noted = Launches()
    given = [noted.place(a.shape, a.dtype) for a in inputs]
    outputs = places or [Array(*spec) for spec in op.infer(*given, **attributes)]
    made = [noted.place(a.shape, a.dtype) for a in outputs]
    launcher(op, "cuda")(noted, *given, *[None] * (op.arity - len(given)), *made, **attributes)
    arrays = [*inputs, *outputs]
    memories = []
    for number, (shape, dtype, constant) in enumerate(noted.memories):
        array = arrays[number] if number < len(arrays) else Array(shape, dtype, constant)
        memories.append(
            {
                "shape": shape,
                "dtype": dtype.str,
                "values": None if array.values is None else writer.add(array.values),
                "below": array.below,
            }
        )
    moved = [*arrays, *places]  # what is written over is read too
    entry = {
        "title": title,
        "launches": noted.made,
        "memories": memories,
        "bytes": sum([prod(a.shape) * a.dtype.itemsize for a in moved]),
        "to_reach": SHARE_OF_COPY,
    }
    return entry, noted.forms
