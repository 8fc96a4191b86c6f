"""From the results of each peer to one table, a JSON file and a plot."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .cases import CASES
from .kinds import Case
from .peers import PEERS
from .text import percent_text, time_text, times_text

# The loss after a few steps that know no order. Ours, NumPy's, JAX's and Keras's agree to 1e-5;
# PyTorch's Adam adds its epsilon elsewhere, which was seen to make 1.7e-3, and with batch
# normalisation 3.7e-3; another learning rate would make far more.
LOSSES_AGREE = 6e-3


class Result(NamedTuple):
    """Seconds of what a case's title names: the median of the rounds, and what lies between their
    quartiles."""

    median: float
    spread: float
    rounds: int
    extra: Mapping[str, Any]


def read(path: Path) -> tuple[dict[str, Result], Mapping[str, Any]]:
    """The results by case that pytest-benchmark wrote, and what it says of the machine."""
    if not path.exists():
        return {}, {}
    report, found = json.loads(path.read_text()), {}
    for b in report["benchmarks"]:
        name, stats, extra = b["param"], b["stats"], b["extra_info"]
        units = extra["units"]
        if "value" in extra:  # what was measured is not time
            found[name] = Result(extra["value"], 0.0, stats["rounds"], extra)
        else:
            seconds = stats["median"] / units, stats["iqr"] / units
            found[name] = Result(*seconds, stats["rounds"], extra)
    return found, report["machine_info"]


def quickest(one: Mapping[str, Result], other: Mapping[str, Result]) -> dict[str, Result]:
    """Of each case the run that was disturbed least."""
    found = {**one, **other}
    for name in one.keys() & other.keys():
        found[name] = min(one[name], other[name], key=lambda r: r.median)
    return found


class Verdict(NamedTuple):
    """Something to be reached, in words, and whether it was."""

    text: str
    reached: bool


def verdicts(case: Case, row: Mapping[str, Result], threads: int = 1) -> list[Verdict]:
    """What was to be reached in a case, as far as it could be told from the peers that are here."""
    ours, found = row["ours"], []
    for key, share in ((case.limits if threads == 1 else case.limits_of_two) or {}).items():
        if key in row:
            text = min(f"1/{1 / share:g}", f"{share:g}", key=len)
            found.append(
                Verdict(f"{text} of {PEERS[key].name}", ours.median <= share * row[key].median)
            )
    for key, beyond in case.beyond.items():
        if key in row:
            found.append(
                Verdict(
                    f"{PEERS[key].name} + {time_text(beyond)}",
                    ours.median <= row[key].median + beyond,
                )
            )
    seconds = ours.extra.get("seconds", case.seconds)
    if seconds is not None:
        found.append(Verdict(time_text(seconds), ours.median <= seconds))
    if case.of_floor is not None and ours.extra.get("floor"):
        found.append(
            Verdict(
                f"{case.of_floor} of the floor",
                ours.extra["floor"] / case.units >= case.of_floor * ours.median,
            )
        )
    found += [Verdict(text, kept) for text, kept in ours.extra.get("promises", {}).items()]
    return found


def table(results: Mapping[str, Mapping[str, Result]], threads: int = 1) -> str:
    """Markdown: a line a case, a column a peer."""
    peers = [key for key in PEERS if results.get(key)]
    others = [key for key in peers if key != "ours"]
    head = ["case", "fastnn", *[PEERS[key].name for key in others], "to reach", "of the floor"]
    lines = [head, ["---", *["--:"] * (1 + len(others)), "---", "--:"]]
    for case, row in rows(results):
        ours, floor = row["ours"], row["ours"].extra.get("floor")
        cells = [amount_text(case, ours.median)]
        if case.unit == "s":
            cells[0] += f" ± {time_text(ours.spread / 2, ours.median)}"
        for key in others:
            cells.append(
                f"{amount_text(case, row[key].median)} "
                f"({times_text(row[key].median / ours.median)} x)"
                if key in row
                else ""
            )
        reached = "; ".join(
            v.text + (": yes" if v.reached else ": **no**") for v in verdicts(case, row, threads)
        )
        fraction = percent_text(floor / case.units / ours.median) if floor else ""
        lines.append([case.title, *cells, reached, fraction])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def rows(results: Mapping[str, Mapping[str, Result]]) -> Iterator[tuple[Case, dict[str, Result]]]:
    """(case, {peer: result}) of every case that we have run."""
    for case in CASES:
        row = {key: results[key][case.name] for key in PEERS if case.name in results.get(key, ())}
        if "ours" in row:
            yield case, row


def amount_text(case: Case, amount: float) -> str:
    """What was measured, with its unit."""
    return time_text(amount) if case.unit == "s" else f"{amount:.3g} {case.unit}"


def other_ops(results: Mapping[str, Mapping[str, Result]]) -> str:
    """Markdown: a line a case that was made of an op's record, which no peer has."""
    named = {case.name for case in CASES}
    lines = [
        "| every other op, from a tape | fastnn | of the floor |",
        "| --- | --: | --: |",
    ]
    for name, result in results.get("ours", {}).items():
        if name not in named:
            title, floor = result.extra["title"], result.extra.get("floor")
            fraction = percent_text(floor / result.extra["units"] / result.median) if floor else ""
            lines.append(f"| {title} | {time_text(result.median)} | {fraction} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def notes(
    results: Mapping[str, Mapping[str, Result]],
    machine: Mapping[str, Any],
    versions: Mapping[str, str],
    threads: int = 1,
    choice: str | None = None,
    commit: str = "",
) -> str:
    """What the numbers are of, and what should make a reader doubt them. choice: of cases, if not
    all were timed."""
    peaks = machine.get("flops_per_second", {})
    where = f"time on {threads} threads and as many cores"
    if threads == 1:
        where = "processor time of one thread on one core"
    lines = [
        (f"`--case '{choice}'`: " if choice else "")
        + f"Medians, ± half the distance between the quartiles, of {where}; (n x) is how much "
        f"longer a peer takes. {machine.get('cpu', {}).get('brand_raw', 'An unknown processor')}, "
        f"vectors of {machine.get('vector_bits')} bits: "
        + ", ".join(f"{1e-9 * peak:.0f} GFLOP/s in {dtype}" for dtype, peak in peaks.items())
        + ". "
        + ", ".join(f"{PEERS[key].name} {version}" for key, version in versions.items())
        + (f"; fastnn at commit {commit}." if commit else ".")
    ]
    for case, row in rows(results):
        losses = {key: r.extra["loss"] for key, r in row.items() if "loss" in r.extra}
        for key, loss in losses.items():
            if abs(loss - losses["ours"]) > LOSSES_AGREE * abs(losses["ours"]):
                lines.append(
                    f"**{PEERS[key].name} computes something else** in {case}: loss {loss:.4g}, "
                    f"fastnn {losses['ours']:.4g}."
                )
    return "\n\n".join(lines)


def plot(results: Mapping[str, Mapping[str, Result]], path: Path) -> None:
    """How many times fastnn's time each peer takes, and the floor, a line a case."""
    from matplotlib.figure import Figure

    shown = [(case, row) for case, row in rows(results) if len(row) > 1]
    figure = Figure(figsize=(9, 1.5 + 0.3 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for key, peer in PEERS.items():
        points = [
            (r[key].median / r["ours"].median, n) for n, (_, r) in enumerate(shown) if key in r
        ]
        if points:
            axes.plot(*zip(*points, strict=True), "o", label=peer.name)
    floors = [
        (r["ours"].extra.get("floor"), c.units * r["ours"].median, n)
        for n, (c, r) in enumerate(shown)
    ]
    points = [(floor / seconds, n) for floor, seconds, n in floors if floor]
    if points:
        axes.plot(
            *zip(*points, strict=True),
            "|",
            color="black",
            markersize=12,
            label="the machine's floor",
        )
    axes.set(xscale="log", xlabel="time, as a multiple of fastnn's")
    axes.set_yticks(range(len(shown)), [case.name for case, _ in shown])
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def roofline(
    results: Mapping[str, Mapping[str, Result]], machine: Mapping[str, Any], path: Path
) -> None:
    """Our cases' GFLOP/s over their flops a byte, under what the machine can do."""
    from matplotlib.figure import Figure

    points = [
        (c, r["ours"].extra["roofline"], r["ours"].median * c.units)
        for c, r in rows(results)
        if "roofline" in r["ours"].extra
    ]
    peak, rates = (
        machine.get("flops_per_second", {}).get("float32"),
        machine.get("bytes_per_second", {}),
    )
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    intensities = [10 ** (e / 20) for e in range(-30, 61)]
    for name, rate in rates.items():
        axes.plot(
            intensities,
            [1e-9 * min(peak, rate * i) for i in intensities],
            label=f"{name}: {1e-9 * rate:.0f} GB/s",
        )
    for case, (flops, moved), seconds in points:
        axes.plot(flops / moved, 1e-9 * flops / seconds, "o", color="black", markersize=4)
        axes.annotate(
            case.name,
            (flops / moved, 1e-9 * flops / seconds),
            fontsize=7,
            xytext=(4, 3),
            textcoords="offset points",
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="flops a byte",
        ylabel=f"GFLOP/s in float32; the peak is {1e-9 * peak:.0f}",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def write_json(
    results: Mapping[str, Mapping[str, Result]],
    machine: Mapping[str, Any],
    versions: Mapping[str, str],
    path: Path,
    threads: int = 1,
) -> None:
    """Everything the table is made of."""
    cases = {
        case.name: {
            "title": case.title,
            "seconds": {key: {**r._asdict(), "extra": dict(r.extra)} for key, r in row.items()},
            "to reach": {v.text: v.reached for v in verdicts(case, row, threads)},
        }
        for case, row in rows(results)
    }
    about = {
        "versions": dict(versions),
        "threads": threads,
        "processor": machine.get("cpu", {}).get("brand_raw", "an unknown processor"),
        "vector bits": machine.get("vector_bits"),
    }
    path.write_text(json.dumps({**about, "cases": cases}, indent=1))
