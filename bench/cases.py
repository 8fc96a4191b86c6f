"""What is timed, and what is to be reached. Data and initial weights are the same for every peer.

A case's `kind` is the name of the function of a peer (`peers/*.py`) that makes it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from math import prod
from typing import Any, ClassVar

import numpy as np

LEARNING_RATE = {"sgd": 0.01, "adam": 1e-3}
FLOAT = np.dtype("float32")


@dataclass(frozen=True, kw_only=True)
class Case:
    """name: for `--case`. What is to be reached: limits, the share of a peer's time that is
    allowed; beyond, the seconds that are allowed above a peer's; seconds, the time that is allowed;
    of_floor, the fraction of the floor. limits_of_two: as limits, on two threads, on which only
    cases that have them are timed."""

    kind: ClassVar[str]
    unit: ClassVar[str] = "s"  # of what is measured
    name: str
    title: str
    limits: Mapping[str, float] = field(default_factory=dict)
    beyond: Mapping[str, float] = field(default_factory=dict)
    limits_of_two: Mapping[str, float] | None = None
    of_floor: float | None = None
    seconds: float | None = None
    units: int = 1  # of what the title names in one timed run

    def __str__(self):
        return self.name


@dataclass(frozen=True, kw_only=True)
class Network(Case):
    """Dense layers of `widths`, the first of which is that of the input; ReLU between them, with
    `norm` after batch normalisation, at the end a sigmoid for one column and a softmax for
    several."""

    widths: tuple[int, ...]
    batch: int
    norm: bool = False

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer."""
        return list(pairwise(self.widths))

    @property
    def parameters(self) -> int:
        return sum((k + 1) * n for k, n in self.pairs) + 2 * self.norm * sum(self.widths[1:-1])

    def weights(self) -> list[np.ndarray]:
        """Kernel and bias of each layer, Glorot's uniform and zeros; then of batch normalisation
        scale and offset. Not to be written to: they are made once."""
        return _weights(self.widths, self.norm)


@cache
def _weights(widths, norm):
    rng, found = np.random.default_rng(1), []
    for number, (k, n) in enumerate(pairwise(widths), 2):
        limit = np.sqrt(6 / (k + n))
        found += [rng.uniform(-limit, limit, (k, n)).astype(FLOAT), np.zeros(n, FLOAT)]
        if norm and number < len(widths):
            found += [np.ones(n, FLOAT), np.zeros(n, FLOAT)]
    return found


@dataclass(frozen=True, kw_only=True)
class Fit(Network):
    """A whole `fit` of a fresh model, in which each epoch takes the rows in a new order and records
    its mean loss (one column: and its accuracy)."""

    kind = "fit"
    rows: int
    epochs: int
    optimizer: str = "adam"

    @property
    def steps(self) -> int:
        """In an epoch; the last batch is as large as the others."""
        return self.rows // self.batch

    @property
    def rate(self) -> float:
        return LEARNING_RATE[self.optimizer]

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and targets: labels, or, for one column, numbers outside [0, 1], as in the
        article."""
        rng, columns = np.random.default_rng(0), self.widths[-1]
        x = rng.normal(size=(self.rows, self.widths[0])).astype(FLOAT)
        return x, rng.normal(size=(self.rows, 1)).astype(FLOAT) if columns == 1 else rng.integers(
            0, columns, self.rows
        )


class Record(Network):
    """Writing down and planning a training step of a fresh model."""

    kind = "record"
    SECONDS_OF_INSTRUCTION = 40e-6  # allowed


class Predict(Network):
    """`predict` of one row, array to array, called from Python."""

    kind = "predict"
    CALLS = 1_000_000  # over which memory may not grow

    def row(self) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(1, self.widths[0])).astype(FLOAT)


@dataclass(frozen=True, kw_only=True)
class OpCall(Case):
    """An op, by its name in `fastnn.ops`, called from Python without gradients.

    inputs: shapes, drawn from the normal distribution, or functions that draw the array from a
    NumPy generator. streams: the arrays of `elements` numbers that it must read, write and update
    in place.
    """

    kind = "op"
    op: str
    inputs: tuple[tuple[int, ...] | Callable[[np.random.Generator], np.ndarray], ...]
    streams: tuple[int, int, int]
    elements: int
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def arrays(self) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [i(rng) if callable(i) else rng.normal(size=i).astype(FLOAT) for i in self.inputs]


@dataclass(frozen=True, kw_only=True)
class Loop(OpCall):
    """The same called `units` times in a row, from the tape: what it computes a second, without
    what a call from Python costs."""

    kind = "loop"


@dataclass(frozen=True, kw_only=True)
class Both(Loop):
    """An op and the gradients of its inputs that are numbers. result: its shape. streams_back: of
    the gradient. of_columns: that all rows count before one is finished."""

    kind = "both"
    result: tuple[int, ...]
    streams_back: tuple[int, int, int]
    of_columns: bool

    def passes(self) -> list[list[tuple[int, int, int]]]:
        """Streams of the op's passes and of the gradient's. What counts as a whole is read twice
        where a strip of columns, all rows high, does not stay in the second cache in between."""
        twice = self.of_columns and self.elements // self.result[-1] * STRIP > SECOND_CACHE
        return [[*([(s[0], 0, 0)] if twice else []), s] for s in (self.streams, self.streams_back)]

    def above(self) -> np.ndarray:
        """The gradient from above."""
        return np.random.default_rng(1).normal(size=self.result).astype(FLOAT)


@dataclass(frozen=True, kw_only=True)
class Chain(Case):
    """Pointwise functions one after another, of one array; `units` times a run."""

    kind = "chain"
    elements: int

    def array(self) -> np.ndarray:
        return np.random.default_rng(0).normal(size=self.elements).astype(FLOAT)

    def formula(self, tanh: Callable, relu: Callable) -> Callable:
        return lambda x: relu(tanh(x * 2.0 + 1.0) * x - 0.5)


@dataclass(frozen=True, kw_only=True)
class Update(Case):
    """An update of so many parameters, gradients given; `units` times a run. Ours looks first
    whether they are finite."""

    kind = "update"
    optimizer: str
    parameters: int

    def arrays(self) -> list[np.ndarray]:
        """Parameters and gradients."""
        return list(np.random.default_rng(0).normal(size=(2, self.parameters)).astype(FLOAT))


@dataclass(frozen=True, kw_only=True)
class Product(Case):
    """A product of two square matrices, again and again, called natively where a peer can: `units`
    times a run."""

    kind = "product"
    size: int
    SPEEDUP = 1.85  # to reach by two threads, inside one run, with threads awake

    def arrays(self) -> list[np.ndarray]:
        return list(np.random.default_rng(0).normal(size=(2, self.size, self.size)).astype(FLOAT))


@dataclass(frozen=True, kw_only=True)
class Memory(Fit):
    """Peak resident memory of a process that trains, less that before the model was built."""

    kind = "memory"
    unit = "MB"


@dataclass(frozen=True, kw_only=True)
class Decay(Case):
    """Steps whose weights, gradients and moments decay towards zero, after very many of them:
    compared with the first ones."""

    kind = "decay"
    widths: tuple[int, ...]
    batch: int
    steps: int
    SLOWDOWN = 1.2  # allowed


@dataclass(frozen=True, kw_only=True)
class Process(Case):
    """A fresh interpreter that imports a peer, or runs the article's program to its end."""

    kind = "process"
    statement: str


FASTER = {"torch": 1.0}

# What an update reads, writes and updates in place.
STREAMS_OF_UPDATE = {"sgd": (1, 0, 1), "adam": (1, 0, 3)}


def mlp(*widths: int, rows: int, batch: int, epochs: int, norm: bool = False, **reach: Any) -> Fit:
    name = "-".join(map(str, widths))
    title = (
        f"MLP {name}, batch {batch}, {'batch normalisation, ' * norm}Adam, an epoch of {rows} rows"
    )
    name = f"mlp-{name}{'-norm' * norm}"
    return Fit(
        name=name,
        title=title,
        widths=widths,
        rows=rows,
        batch=batch,
        epochs=epochs,
        norm=norm,
        units=epochs,
        **reach,
    )


def product(size: int) -> Product:
    repeats = max(1, (1 << 30) // size**3)
    title = f"`matmul`, {size} x {size}, natively"
    return Product(name=f"product-{size}", title=title, size=size, units=repeats, limits_of_two={})


def op(
    name: str,
    *inputs: Any,
    streams: tuple[int, int, int] = (1, 1, 0),
    elements: int | None = None,
    attributes: Mapping[str, Any] = {},
    kind: type[OpCall] = OpCall,
    **reach: Any,
) -> OpCall:
    largest = max((i for i in inputs if isinstance(i, tuple)), key=prod)
    return kind(
        name=f"{name}-{'x'.join(map(str, largest))}",
        title=f"`{name}`, {' x '.join(f'{n:,}' for n in largest)}",
        op=name,
        inputs=inputs,
        streams=streams,
        elements=elements or prod(largest),
        attributes=attributes,
        **reach,
    )


def loop(name: str, *shape: int, limits: Mapping[str, float] = {}) -> Loop:
    """An op of one input."""
    positive = name in ("log", "sqrt")

    def draw(rng):
        x = rng.normal(size=shape).astype(FLOAT)
        return np.abs(x) + FLOAT.type(0.01) if positive else x

    return Loop(
        name=f"loop-{name}",
        title=f"`{name}` in cache, {' x '.join(f'{n:,}' for n in shape)}",
        op=name,
        inputs=(draw,),
        streams=(1, 1, 0),
        elements=prod(shape),
        limits=limits,
        units=100,
    )


def both(
    name: str,
    *inputs: Any,
    result: Any = None,
    streams=(1, 1, 0),
    streams_back=(2, 1, 0),
    of_columns: bool = False,
    attributes: Mapping = {},
) -> Both:
    """An op and its gradient, faster than PyTorch's."""
    shape = inputs[0]
    return Both(
        name=f"both-{name}-{'x'.join(map(str, shape))}",
        title=f"`{name}` and its gradient, {' x '.join(f'{n:,}' for n in shape)}",
        op=name,
        inputs=inputs,
        result=shape if result is None else result,
        streams=streams,
        streams_back=streams_back,
        of_columns=of_columns,
        elements=prod(shape),
        attributes=attributes,
        units=often(prod(shape)),
        limits=FASTER,
        limits_of_two=FASTER,
    )


def chain(elements: int) -> Chain:
    title = f"relu(x tanh(2 x + 1) - 1/2), {elements:,}"
    return Chain(
        name=f"chain-{elements}",
        title=title,
        elements=elements,
        units=often(elements),
        limits=FASTER,
        limits_of_two=FASTER,
    )


def often(elements: int) -> int:
    """So many times that a run takes about a millisecond, in which threads are awake."""
    return max(1, (1 << 22) // elements)


def update(optimizer: str, parameters: int) -> Update:
    names = {"adam": "Adam's", "sgd": "SGD's"}
    return Update(
        name=optimizer,
        title=f"{names[optimizer]} update of {parameters:,} parameters",
        optimizer=optimizer,
        parameters=parameters,
        units=often(parameters),
        limits=FASTER,
        limits_of_two=FASTER,
    )


def state(rng: np.random.Generator) -> np.ndarray:
    """A generator's."""
    return np.array([rng.integers(1 << 40), 0])


def labels(rows: int, classes: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.integers(0, classes, rows)


ARTICLE = Fit(
    name="article",
    title="the article's program, whole fit (10,000 steps)",
    widths=(10, 1),
    rows=1000,
    batch=10,
    epochs=100,
    optimizer="sgd",
    limits={"jax": 1 / 6, "torch": 1 / 300, "keras": 1 / 2000},
)
SMALL = {"jax": 1 / 2.4, "torch": 1 / 25}
SMALL_ON_TWO = {"jax": 1 / 3, "torch": 1 / 35}
LARGE, THREE_LAYERS = (784, 512, 512, 10), (64, 64, 64, 10)
SECOND_CACHE, STRIP = 1 << 20, 256  # bytes; so much of a row is a share of columns
MOVED = (128, 512), (8192, 1024)


CASES: list[Case] = [
    ARTICLE,
    mlp(20, 64, 64, 2, rows=3200, batch=32, epochs=20, limits=SMALL, limits_of_two=SMALL_ON_TWO),
    mlp(*THREE_LAYERS, rows=1792, batch=32, epochs=20, limits=SMALL, limits_of_two=SMALL_ON_TWO),
    mlp(
        *LARGE, rows=6400, batch=128, epochs=4, limits={"jax": 0.95, "torch": 0.6}, limits_of_two={}
    ),
    mlp(
        *LARGE,
        rows=6400,
        batch=128,
        epochs=4,
        norm=True,
        limits_of_two={"jax": 1 / 1.6, "torch": 1 / 2.8},
        of_floor=0.8,
    ),
    *[product(size) for size in (256, 512, 1024, 2048)],
    Memory(
        name="memory",
        title="peak memory, training 784-512-512-10, in MB",
        widths=LARGE,
        rows=6400,
        batch=128,
        epochs=2,
        limits={"torch": 0.6},
    ),
    Decay(
        name="decay",
        title="a step of 64-64-64-10 after 1,000,000 with weight decay",
        widths=THREE_LAYERS,
        batch=32,
        steps=1_000_000,
    ),
    Predict(
        name="predict",
        title="`predict` of one row, 64-64-64-10",
        widths=THREE_LAYERS,
        batch=1,
        seconds=8e-6,
    ),
    Record(
        name="record",
        title="recording and planning a step, 64-64-64-10",
        widths=THREE_LAYERS,
        batch=32,
    ),
    Record(
        name="record-deep", title="the same, 32 layers of 64", widths=(64,) * 32 + (10,), batch=32
    ),
    Process(
        name="import", title="a process that imports it", statement="IMPORT", beyond={"numpy": 0.06}
    ),
    Process(
        name="process",
        title="a process, to the end of the article's fit",
        statement="PROGRAM",
        seconds=0.2,
    ),
    op("add", (64,), (64,), streams=(2, 1, 0), seconds=10e-6),
    *[op("matmul", (n, n), (n, n), streams=(2, 1, 0)) for n in (64, 256, 512)],
    op("exp", (1 << 16,)),
    op("tanh", (1 << 16,)),
    *[loop(name, 1 << 16, limits={"torch": 1 / 2}) for name in ("exp", "tanh", "sigmoid", "gelu")],
    *[loop(name, 1 << 16) for name in ("log", "sqrt", "erf", "softplus", "gelu_tanh", "silu")],
    op("batch_norm", (512, 512), (512,), (512,)),
    op("softmax_cross_entropy", (4096, 10), labels(4096, 10), streams=(1, 0, 0)),
    # What moves more than it computes, in the second-level cache and out of every cache.
    *[both("batch_norm", shape, shape[1:], shape[1:], of_columns=True) for shape in MOVED],
    *[both("layer_norm", shape, shape[1:], shape[1:]) for shape in MOVED],
    *[both("softmax", shape) for shape in MOVED],
    *[
        both(
            "softmax_cross_entropy",
            s,
            labels(*s),
            result=s[:1],
            streams=(1, 1, 0),
            streams_back=(1, 1, 0),
        )
        for s in MOVED
    ],
    *[
        both(
            "sum",
            s,
            result=s[1:],
            streams=(1, 0, 0),
            streams_back=(0, 1, 0),
            attributes={"axis": 0},
        )
        for s in MOVED
    ],
    *[
        both("dropout", (prod(s),), state, streams_back=(1, 1, 0), attributes={"rate": 0.5})
        for s in MOVED
    ],
    *[chain(prod(shape)) for shape in MOVED],
    op(
        "gather",
        (6400, 784),
        lambda rng: rng.permutation(6400),
        lambda rng: np.zeros(1, np.int64),
        elements=128 * 784,
        attributes={"rows": 128},
        kind=Loop,
        units=often(128 * 784),
        limits=FASTER,
        limits_of_two=FASTER,
    ),
    *[update(optimizer, 1_000_000) for optimizer in ("adam", "sgd")],
]
