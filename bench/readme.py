"""README.md's rows and chart, written from bench/results/results.json, which holds the last whole
run: `python -m bench.readme`, or at the end of `python -m bench --readme`."""

import json
import re
from collections.abc import Mapping
from html import escape
from math import log10
from pathlib import Path
from textwrap import fill
from typing import Any

from .peers import PEERS
from .text import time_text, times_text

ROOT = Path(__file__).resolve().parent.parent
RESULTS, CHART = ROOT / "bench" / "results" / "results.json", ROOT / "docs" / "benchmarks.svg"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
ROWS = {
    "article": "an article's Keras program: 10,000 steps of batch 10",
    "mlp-64-64-64-10": "MLP 64-64-64-10, batch 32: an epoch of 1,792 rows",
    "mlp-784-512-512-10": "MLP 784-512-512-10, batch 128: an epoch of 6,400 rows",
    "predict": "`predict` of one row, 64-64-64-10",
    "process": "a whole process: from its start to the end of the article's `fit`",
    "memory": "peak memory of training 784-512-512-10",
}
# The chart: pixels, and a colour for each peer
WIDTH, LEFT, BAR, GAP, TOP = 860, 300, 9, 12, 52
COLOURS = {"numpy": "#4d77cf", "torch": "#ee4c2c", "jax": "#7a3db8", "keras": "#ff9f1c"}


def write() -> None:
    found = json.loads(RESULTS.read_text())
    missing = [name for name in ROWS if name not in found["cases"]]
    if missing:
        raise SystemExit(f"{RESULTS} has no {', '.join(missing)}: run python -m bench first")
    seconds = {
        name: {key: r["median"] for key, r in found["cases"][name]["seconds"].items()}
        for name in ROWS
    }
    path = ROOT / "README.md"
    before, rest = path.read_text().split(BEGIN)
    text = f"{table(seconds)}\n\n{note(found)}"
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")
    CHART.write_text(chart(seconds))


def table(seconds: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown: a row a case, how many times fastnn's time the peers take."""
    others = [key for key in PEERS if key != "ours" and any(key in row for row in seconds.values())]
    lines = [
        ["", "fastnn", *(PEERS[key].name for key in others)],
        ["---", *["--:"] * (1 + len(others))],
    ]
    for name, row in seconds.items():
        ours = f"{row['ours']:.3g} MB" if name == "memory" else time_text(row["ours"])
        times = [f"{times_text(row[k] / row['ours'])} x" if k in row else "" for k in others]
        lines.append([ROWS[name], ours, *times])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def note(found: Mapping[str, Any]) -> str:
    versions = [f"{PEERS[k].name} {v}" for k, v in found["versions"].items() if k != "ours"]
    words = (
        "n x: a peer takes n times as long as fastnn, or as much memory. One thread of "
        f"{found['processor']}, vectors of {found['vector bits']} bits; {', '.join(versions)}."
    )
    return fill(words, 100)


def chart(seconds: Mapping[str, Mapping[str, float]]) -> str:
    """An SVG of bars, longer where a peer takes longer, on a logarithmic scale from 1."""
    most = max(v / row["ours"] for row in seconds.values() for v in row.values())
    decades = next(n for n in range(1, 20) if 10**n >= most)
    scale = (WIDTH - LEFT - 60) / decades
    parts, y = legend(), TOP
    for name, row in seconds.items():
        keys = [key for key in COLOURS if key in row]
        height = len(keys) * (BAR + 2)
        title = escape(re.sub("`", "", ROWS[name]).split(":")[0])
        parts.append(text(LEFT - 8, y + height / 2 + 4, title, "end"))
        for key in keys:
            ratio = row[key] / row["ours"]
            length = max(1.0, scale * log10(ratio))
            parts.append(rectangle(LEFT, y, length, COLOURS[key]))
            parts.append(text(LEFT + length + 4, y + BAR - 1, f"{times_text(ratio)} x", size=10))
            y += BAR + 2
        y += GAP
    axis = [
        f'<line x1="{LEFT + scale * n:.0f}" x2="{LEFT + scale * n:.0f}" y1="{TOP - 8}" y2="{y}" '
        f'stroke="#8884"/>{text(LEFT + scale * n, TOP - 12, f"{10**n:,} x", "middle", 10)}'
        for n in range(decades + 1)
    ]
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">'
    background = f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>'
    return "\n".join([head, background, *axis, *parts, "</svg>"]) + "\n"


def legend() -> list[str]:
    found = [text(8, 16, "time or memory, in multiples of fastnn's")]
    for number, (key, colour) in enumerate(COLOURS.items()):
        x = LEFT + 120 * number
        found += [rectangle(x, 8, BAR, colour), text(x + BAR + 5, 16, PEERS[key].name)]
    return found


def rectangle(x: float, y: float, length: float, colour: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>'


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 12) -> str:
    place = f'x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} fill="#333">{words}</text>'


if __name__ == "__main__":
    write()
