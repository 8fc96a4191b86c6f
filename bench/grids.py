"""Tables of what `--grids` measures: `python -m bench.grids RESULTS.json`, which pytest-benchmark
wrote; `--all` for every product and not the worst of each group only."""

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .text import percent_text, time_text

# Groups of more products than this are shown by their worst.
GROUP_MAX_PRODUCTS, WORST_PRODUCTS = 40, 8
# To reach: the geometric mean of the ratios to the fastest BLAS, and the worst of them.
TO_REACH = {
    "square to 512": (1.15, 0.95),
    "layers": (1.15, 0.95),
    "layers, batch 1": (1.15, 0.95),
    "large": (1.0, 0.92),
}
CHOICE = 1.1  # to reach: the chosen number of threads over the better one
Measured = Mapping[str, Any]  # what `bench_matmul.test_against_blas` notes of a product


def tables(path: Path, everything: bool = False, summary: bool = False) -> str:
    """All that the file has; summary: a line a group only."""
    if not path.exists():
        return ""
    infos = [b["extra_info"] for b in json.loads(path.read_text())["benchmarks"]]
    found = []
    for dtype in ("float32", "float64"):
        gemms = [i["gemm"] for i in infos if i.get("gemm", {}).get("dtype") == dtype]
        found += ["\n".join(products(gemms, dtype))] if gemms else []
        found += ["\n".join(details(gemms, everything))] if gemms and not summary else []
    fits = [i["threads"] for i in infos if "threads" in i]
    return "\n\n".join([*found, *(["\n".join(choices(fits))] if fits else [])])


def products(found: Sequence[Measured], dtype: str) -> Iterator[str]:
    """A line a group of products, as a table in Markdown."""
    names = " or ".join(name for name in found[0]["seconds"] if name != "ours")
    yield (
        f"| products in {dtype}, one thread, against the faster of {names} "
        "| ratio, mean | worst | of the peak | of reading |"
    )
    yield "|---|---|---|---|---|"
    for group, members in grouped(found).items():
        ratios = [r for r in map(ratio, members) if r is not None]
        achieved = (geometric_mean(ratios), min(ratios)) if ratios else ()
        texts = [
            f"{x:.2f} ({goal}: {'reached' if x >= goal else '**missed**'})"
            for x, goal in zip(achieved, TO_REACH.get(group, (1.0, 1.0)), strict=False)
        ] or ["", ""]
        read = [m["reading"] for m in members if m["reading"] is not None]
        reading = f"from {percent_text(min(read))}" if read else ""
        peak = f"from {percent_text(min(m['peak'] for m in members))}"
        yield f"| {group}, {len(members)} | {' | '.join(texts)} | {peak} | {reading} |"


def details(found: Sequence[Measured], everything: bool) -> Iterator[str]:
    """A line a product: all of a group, or the worst."""
    names = [name for name in found[0]["seconds"] if name != "ours"]
    yield f"| product | ours | {' | '.join(names)} | ratio | peak | reading |"
    yield "|---|---|" + "---|" * len(names) + "---|---|---|"
    for members in grouped(found).values():
        worst = sorted(members, key=lambda m: ratio(m) or 0)[:WORST_PRODUCTS]
        for m in members if everything or len(members) <= GROUP_MAX_PRODUCTS else worst:
            times = [time_text(m["seconds"][name]) for name in ("ours", *names)]
            compared = "" if ratio(m) is None else f"{ratio(m):.2f}"
            reading = "" if m["reading"] is None else percent_text(m["reading"])
            cells = [*times, compared, percent_text(m["peak"]), reading]
            yield f"| {m['form']} {m['m']} x {m['k']} x {m['n']} | {' | '.join(cells)} |"


def choices(found: Sequence[Measured]) -> Iterator[str]:
    """A line a fit: on one thread, on all, on as many as were chosen."""
    yield "| fit | one thread | all | chosen | chosen over the better |"
    yield "|---|---|---|---|---|"
    ratios = [f["automatic"] / min(f["one"], f["all"]) for f in found]
    for fit, over in zip(found, ratios, strict=True):
        times = " | ".join(time_text(fit[name]) for name in ("one", "all", "automatic"))
        yield f"| {fit['shape']} | {times} | {over:.2f}{'  **missed**' * (over > CHOICE)} |"
    missed = sum(r > CHOICE for r in ratios)
    yield (
        f"\n{len(found)} fits: worst {max(ratios):.2f}, geometric mean "
        f"{geometric_mean(ratios):.3f}, {missed} over {CHOICE}."
    )


def grouped(found: Sequence[Measured]) -> Mapping[str, list[Measured]]:
    groups = defaultdict(list)
    for m in found:
        groups[m["group"]].append(m)
    return groups


def ratio(measured: Measured) -> float | None:
    """How much longer the fastest library takes."""
    others = [s for name, s in measured["seconds"].items() if name != "ours"]
    return min(others) / measured["seconds"]["ours"] if others else None


def geometric_mean(numbers: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, numbers)) / len(numbers))


def main() -> None:
    parser = argparse.ArgumentParser("python -m bench.grids", description="prints tables of grids")
    parser.add_argument("results", type=Path)
    parser.add_argument("--all", action="store_true", help="every product")
    options = parser.parse_args()
    print(tables(options.results, options.all))


if __name__ == "__main__":
    main()
