"""What the steps of an epoch measure: the loss, that of each output, and metrics, each with a
column, or several, in the epoch's totals."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from math import nan, prod
from typing import Any, NamedTuple

import numpy as np

from fastnn import ops
from fastnn.apply import apply
from fastnn.autograd import no_grad
from fastnn.buffer import Buffer
from fastnn.devices.arena import reserve_on
from fastnn.devices.cpu.memory import reserve
from fastnn.dtypes import FLOAT64, INT64
from fastnn.errors import RecordingError
from fastnn.locks import making
from fastnn.metrics.base import Metric
from fastnn.metrics.reduction import Mean, MeanMetricWrapper
from fastnn.ops.metrics import accumulate, collect
from fastnn.ops.movement import copy
from fastnn.tape.record import Counter, Recorder, commit, context
from fastnn.tensor import Tensor, operand

TOTAL_BYTES = 16  # a mean's memory: the sum so far and the sum of the weights, in float64


class Column(NamedTuple):
    """A name in the history, and the shape of what stands under it."""

    name: str
    shape: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        return prod(self.shape)


class Measured(NamedTuple):
    """A metric of one output: whether rows' weights count in it, its columns, and how it is
    counted: "mean", a mean that is kept in the totals; "state", in variables of its own;
    "collected", by a function that is given all predictions of the epoch."""

    metric: Metric
    weighted: bool
    columns: list[Column]
    kind: str


def is_mean(metric: Metric) -> bool:
    """Whether a metric is no more than the mean of values that it measures."""
    kind = type(metric)
    shared = ("update_state", "add", "value", "result", "reset_state")
    return isinstance(metric, Mean) and all(
        [getattr(kind, name) is getattr(Mean, name) for name in shared]
    )


def columns_of(metric: Metric, name: str, y: np.ndarray, prediction: Any) -> tuple[list, str]:
    """The columns of a metric in the history, and how it is counted: found by recording it, for
    targets like y and predictions like an `Output`."""
    if is_mean(metric) and type(metric) is not MeanMetricWrapper:
        return [Column(name)], "mean"
    rows = [np.zeros((2, *y.shape[1:]), y.dtype), _zeros(prediction)]
    if type(metric) is MeanMetricWrapper:
        return [Column(name)], _kind_of(metric, name, rows)
    trial = metric.another()
    with making, Recorder(f"metric {name!r}") as recorder, no_grad():
        trial.update_state(*_stand_ins(rows, recorder))
        return _named(name, result_of(trial)), "state"


def _kind_of(metric, name, rows):
    """Whether a function gives values of which a mean is kept, or has to be given numbers."""
    try:
        with making, Recorder(f"metric {name!r}") as recorder, no_grad():
            found = metric.fn(*_stand_ins(rows, recorder), **metric.arguments)
    except Exception as error:
        if not _asked_for_numbers(error) and not _takes_arrays(metric, rows):
            raise
        return "collected"
    return "mean" if isinstance(found, Tensor) else "collected"


def _stand_ins(arrays, recorder):
    """Tensors like these in a step that is recorded."""
    return [Tensor(Buffer(None, a.nbytes, None, 0, recorder), a.shape, a.dtype) for a in arrays]


def _takes_arrays(metric, rows):
    """Whether a function gives a number of arrays: NumPy's, of tensors, call their methods."""
    with suppress(Exception):
        return not isinstance(metric.fn(*rows, **metric.arguments), Tensor)
    return False


def _zeros(output):
    return np.zeros((2, *[e or 1 for e in output.shape[1:]]), output.dtype)


def _asked_for_numbers(error):
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in seen:
        if isinstance(found, RecordingError):
            return True
        seen.append(found)
        found = found.__cause__ or found.__context__
    return False


def result_of(metric: Metric) -> Any:
    """A metric's result, in float64 where it has it so: a tensor, or a dictionary of them."""
    is_plain = type(metric).result is Metric.result
    return metric.value() if is_plain else metric.result()


def _named(name, result):
    if isinstance(result, dict):
        return [Column(str(key), operand(result[key]).shape) for key in result]
    return [Column(name, operand(result).shape)]


def _leaves(result):
    values = result.values() if isinstance(result, dict) else [result]
    return [operand(value) for value in values]


class Measures:
    """The totals of training, or of validation or evaluation, over an epoch.

    start: the first of its columns in `totals`; measured: of each output its metrics, of which this
    has copies, so that others may train or evaluate at the same time; rows: of an epoch.
    """

    def __init__(
        self,
        totals: Tensor,
        start: int,
        losses: list[Column],
        measured: list[list[Measured]],
        rows: int,
    ):
        self.totals, self.losses, self.rows = totals, losses, rows
        self.columns, self.places = list(losses), {}
        self.of_outputs: list[list[Measured]] = []
        self.collected: dict[int, Collected] = {}
        place = start + len(losses)
        for of_it in measured:
            mine = []
            for one in of_it:
                made = one._replace(metric=one.metric.another())
                self.places[id(made.metric)] = place
                self.columns += one.columns
                place += sum([column.size for column in one.columns])
                mine.append(made)
            self.of_outputs.append(mine)
        self.start, self.stop = start, place

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def metrics(self) -> list[Measured]:
        return [one for of_it in self.of_outputs for one in of_it]

    def total(self, place: int, count: int = 1) -> Tensor:
        """`count` rows of the totals."""
        part = self.totals.buffer.part(TOTAL_BYTES * place, TOTAL_BYTES * count)
        return Tensor(part, (count, 2), FLOAT64)

    # ---- in a step

    def measure(self, number: int, y: Any, p: Tensor, weights: Any) -> list[Callable[[], None]]:
        """What an output's metrics add when the step commits: computed now, as far as they say
        how."""
        found: list[Callable[[], None]] = []
        for one in self.of_outputs[number]:
            metric, w = one.metric, weights if one.weighted else None
            if one.kind == "collected":
                found.append(self._collect(one, y, p, w))
            elif type(metric).update_state is not Metric.update_state:
                found.append(_call(metric.update_state, (y, p) if w is None else (y, p, w)))
            elif one.kind == "mean":
                found.append(self.adding(self.places[id(metric)], *metric.measure(y, p, w)))
            else:
                found.append(_call(metric.add, metric.measure(y, p, w)))
        return found

    def adding(
        self, place: int, values: Tensor, weights: Tensor | None = None, scale: float = 1.0
    ) -> Callable[[], None]:
        """Adds values, with their weights, and their number to a mean, both times `scale`."""
        total, count = (
            Tensor(self.totals.buffer.part(TOTAL_BYTES * place + 8 * n, 8), (), FLOAT64)
            for n in range(2)
        )
        given = (values,) if weights is None else (values, weights)
        return lambda: apply(accumulate, given, {"scale": scale}, (total, count))

    def commit(self, adding: list[Callable[[], None]]) -> None:
        """Let this be added when the step commits."""

        def put():
            with no_grad():
                for call in adding:
                    call()

        commit(put)

    def _collect(self, one, y, p, weights):
        key = id(one.metric)
        if key not in self.collected:
            self.collected[key] = Collected(self.rows, [y, p, *([weights] if one.weighted else [])])
        return self.collected[key].adding([y, p, *([weights] if one.weighted else [])])

    # ---- at an epoch's beginning and end

    def begin(self) -> None:
        """Begin an epoch, whatever came before."""
        for one in self.metrics:
            if one.kind == "state":
                one.metric.reset_state()
        for held in self.collected.values():
            held.reset()

    def end(self) -> None:
        """The step at an epoch's end: results go into the totals, and all begins again."""
        with no_grad():
            for one in self.metrics:
                if one.kind != "state":
                    continue
                place = self.places[id(one.metric)]
                for value, column in zip(_leaves(result_of(one.metric)), one.columns, strict=True):
                    self._put(value, column, place)
                    place += column.size
                one.metric.reset_state()

    def _put(self, value, column, place):
        if not column.size:
            return
        value = value if value.dtype == FLOAT64 else value.astype("float64")
        row = ops.where(np.array([True, False]), ops.reshape(value, (-1, 1)), 1.0)
        apply(copy, (row,), {}, (self.total(place, column.size),))

    def collect(self, results: np.ndarray) -> None:
        """Put what functions give of all predictions of an epoch that is over into its row of
        results."""
        for one in self.metrics:
            if one.kind == "collected":
                held = self.collected[id(one.metric)]
                results[self.places[id(one.metric)]] = held.value(one.metric)
                held.reset()

    # ---- what it comes to

    def so_far(self) -> list[Any]:
        """The results so far, by column. Those of functions of all predictions are None until all
        have been made."""
        totals = self.totals.buffer.array(self.totals.shape, self.totals.dtype).tolist()
        found: list[Any] = [
            _mean(*totals[n]) for n in range(self.start, self.start + len(self.losses))
        ]
        for one in self.metrics:
            place, held = self.places[id(one.metric)], self.collected.get(id(one.metric))
            if one.kind == "collected":
                is_whole = held is not None and held.cursor.value >= self.rows
                found.append(held.value(one.metric) if held and is_whole else None)
                continue
            if one.kind == "state" and not totals[place][1]:  # within an epoch
                values = [v.numpy() for v in _leaves(result_of(one.metric))]
                found += [v if v.ndim else float(v) for v in values]
                continue
            for column in one.columns:
                means = [_mean(*totals[place + n]) for n in range(column.size)]
                found.append(np.array(means).reshape(column.shape) if column.shape else means[0])
                place += column.size
        return found


def _mean(total, weight):
    return float(total / weight) if weight else 0.0


def _memory(rows, like):
    """Memory for so many rows of these."""
    device = "cpu" if context.recorder is None else context.recorder.device
    return [
        None
        if t is None
        else Tensor(
            reserve_on(device, rows * prod(t.shape[1:]) * t.dtype.itemsize),
            (rows, *t.shape[1:]),
            t.dtype,
        )
        for t in like
    ]


class Collected:
    """Targets, predictions and weights of an epoch, for a function that is given all of them.

    They are put into `memories`, the first of as many rows as an epoch of arrays has. Where batches
    come one at a time it has the first one's, larger ones get another, and of each what it gave is
    kept as arrays before the next."""

    def __init__(self, rows: int, like: Sequence[Tensor | None]):
        self.memories = [_memory(rows, like)]
        self.place = Tensor(reserve(8), (1,), INT64)
        self.cursor = Counter(self.place.buffer)
        self.kept: list[list[np.ndarray | None]] = []
        self.found: float | None = None  # of all of them

    def reset(self) -> None:
        """Begin again."""
        self.cursor.value, self.found, self.kept = 0, None, []

    def adding(self, batch: Sequence[Tensor | None]) -> Callable[[], None]:
        number = next(x.shape[0] for x in batch if x is not None)
        if self._memory_of(number) is None:
            self.memories.append(_memory(number, batch))

        def put():
            for x, rows in zip(batch, self._memory_of(number), strict=True):
                if x is not None and rows is not None:
                    apply(collect, (x, self.place), {}, (rows,))
            self.cursor.increment(number)

        return put

    def _memory_of(self, number):
        """Where so many rows are put: the first that has room for them."""
        rows = [next(t.shape[0] for t in held if t is not None) for held in self.memories]
        return next((h for h, n in zip(self.memories, rows, strict=True) if n >= number), None)

    def keep(self) -> None:
        """Keep what a batch gave, and let the next one be put in its place."""
        if number := self.cursor.value:
            held = self._memory_of(number)
            self.kept.append([None if t is None else t.numpy()[:number].copy() for t in held])
            self.cursor.value = 0

    def value(self, metric: Any) -> float:
        """What the metric's function gives of them, called once."""
        if self.found is None:
            self.found = self._value(metric)
        return self.found

    def _value(self, metric):
        number = self.cursor.value
        if not number and not self.kept:
            return nan
        if not self.kept:
            parts = [[None if t is None else t.numpy()[:number] for t in self._memory_of(number)]]
        else:
            parts = self.kept
        arrays = [
            None if of_it[0] is None else np.concatenate(of_it) if len(of_it) > 1 else of_it[0]
            for of_it in zip(*parts, strict=True)
        ]
        arrays = [
            a[:, 0] if a is not None and a.ndim == 2 and a.shape[1] == 1 else a for a in arrays
        ]
        named = dict(metric.arguments)
        if len(arrays) > 2 and arrays[2] is not None:
            named["sample_weight"] = arrays[2]
        value = metric.fn(*arrays[:2], **named)
        try:
            return float(value)
        except (TypeError, ValueError):
            raise TypeError(
                f"metric {metric.name!r}: its function must return one number of (y_true, y_pred); "
                f"got {value!r}"
            ) from None


def _call(function, arguments):
    return lambda: function(*arguments)


def unique(
    names: Sequence[str], taken: dict[str, int], weighted: bool = False, prefix: str = ""
) -> list[str]:
    """Names that differ from those taken, as Keras makes them so: name_1, or weighted_name; behind
    a prefix that all have."""
    found = []
    for name in names:
        if name in taken and weighted:
            name = f"{prefix}weighted_{name.removeprefix(prefix)}"
        number = taken.get(name, 0)
        taken[name] = number + 1
        found.append(f"{name}_{number}" if number else name)
    return found


def flattened(columns: Sequence[Column], results: np.ndarray) -> list[list[Any]]:
    """By column, the values of each row of results."""
    found, place = [], 0
    by_place = results.T
    for column in columns:
        part = by_place[place : place + column.size]
        place += column.size
        if column.shape:
            found.append([row.reshape(column.shape) for row in np.ascontiguousarray(part.T)])
        else:
            found.append(part[0].tolist())
    return found
