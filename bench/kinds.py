"""The kinds of cases. `kind` is the name of a peer's function (`peers/*.py`) that makes a case.
Data and initial weights are the same for every peer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

L2_BYTES, STRIP_BYTES = 1 << 20, 256  # a thread's range of columns is so wide
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


class FitBatches(Fit):
    """The same from a generator, which goes on from epoch to epoch: batches of the rows in order,
    which are there already."""

    kind = "fit_batches"

    def batches(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Those of an epoch."""
        starts, (x, y) = range(0, self.rows, self.batch), self.data()
        return [(x[i : i + self.batch], y[i : i + self.batch]) for i in starts]


class Record(Network):
    """Recording and planning a training step of a fresh model."""

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
    """The same, replayed `units` times from a tape: throughput, without the cost of a call from
    Python."""

    kind = "loop"


@dataclass(frozen=True, kw_only=True)
class Tested(Loop):
    """The same at the largest shapes that the op is tested with: small ones, so mostly what a
    kernel call costs."""

    kind = "tested"


@dataclass(frozen=True, kw_only=True)
class Both(Loop):
    """An op and the gradients of its floating-point inputs. result: its shape. streams_back: of the
    gradient. of_columns: that it needs statistics of whole columns first. flops: of products, of
    both together."""

    kind = "both"
    result: tuple[int, ...]
    streams_back: tuple[int, int, int]
    of_columns: bool
    flops: int = 0

    def passes(self) -> list[list[tuple[int, int, int]]]:
        """Streams of the op's passes and of the gradient's. Statistics of columns take a pass of
        their own where a strip of columns, all rows high, does not stay in L2."""
        twice = self.of_columns and self.elements // self.result[-1] * STRIP_BYTES > L2_BYTES
        return [[*([(s[0], 0, 0)] if twice else []), s] for s in (self.streams, self.streams_back)]

    def upstream(self) -> np.ndarray:
        """The upstream gradient."""
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
    """An optimizer's update of so many parameters, gradients given, `units` times a run. Ours
    checks first that they are finite."""

    kind = "update"
    optimizer: str
    parameters: int

    def arrays(self) -> list[np.ndarray]:
        """Parameters and gradients."""
        return list(np.random.default_rng(0).normal(size=(2, self.parameters)).astype(FLOAT))


@dataclass(frozen=True, kw_only=True)
class Table(Case):
    """Rows of a table taken, their gradient as rows, and Adam of these alone. Ours checks first
    that they are finite."""

    kind = "table"
    rows: int
    columns: int
    taken: int

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Which rows are taken, and the upstream gradient."""
        rng = np.random.default_rng(0)
        upstream = rng.normal(size=(self.taken, self.columns)).astype(FLOAT)
        return rng.integers(0, self.rows, self.taken), upstream


@dataclass(frozen=True, kw_only=True)
class Product(Case):
    """A product of two square matrices, again and again, called natively where a peer can: `units`
    times a run."""

    kind = "product"
    size: int
    SPEEDUP = 1.85  # to reach by two threads, inside one run

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
class Train(Case):
    """Training steps with Adam of a fresh model of one of the families of `fastnn.applications`, on
    one batch; `units` a run. Each peer has them in a file `families_*.py` of its own. depth: how
    many layers or blocks; masked: how many tokens of a row are to be told, 0 for all. Initial
    weights are each peer's own."""

    kind = "train"
    family: str
    depth: int
    batch: int
    shape: tuple[int, ...]  # of an image, or (T,) of a sequence; of pixels in a row without targets
    classes: int  # or tokens; 0 if there are no targets
    masked: int = 0

    def data(self) -> tuple[list[np.ndarray], np.ndarray]:
        """A batch, images or tokens and which of these are to be told, and its targets."""
        rng = np.random.default_rng(0)
        if not self.classes:
            return [rng.random((self.batch, *self.shape), FLOAT)], np.empty(0)
        if self.masked:
            tokens = rng.integers(1, self.classes, (self.batch, *self.shape))  # 0 would be padding
            places = rng.random(tokens.shape).argsort(axis=1)[:, : self.masked]
            return [tokens, places], np.take_along_axis(tokens, places, 1)
        if len(self.shape) == 1:
            tokens = rng.integers(0, self.classes, (self.batch, self.shape[0] + 1))
            return [tokens[:, :-1]], tokens[:, 1:]
        x = rng.normal(size=(self.batch, *self.shape)).astype(FLOAT)
        return [x], rng.integers(0, self.classes, self.batch)


class TrainMemory(Train):
    """Peak resident memory of a process that makes such steps, less that before the model was
    built."""

    kind = "train_memory"
    unit = "MB"


class FirstStep(Train):
    """A fresh process, for which nothing is compiled yet, to the end of its first such step: its
    processor time and that of the processes which it has compile."""

    kind = "first_step"


class Write(Train):
    """Tokens that such a model of sequences draws one after another, keeping keys and values;
    `units` a run."""

    kind = "write"


@dataclass(frozen=True, kw_only=True)
class Process(Case):
    """A fresh interpreter that imports a peer, or runs the article's program to its end."""

    kind = "process"
    statement: str


# What an update reads, writes and updates in place.
STREAMS_OF_UPDATE = {
    "sgd": (1, 0, 1),
    "adam": (1, 0, 3),
    "adamw": (1, 0, 3),
    "nadam": (1, 0, 3),
}
