"""docs/benchmarks.md: a section for each processor, width of vectors and number of threads."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .cases import CASES
from .peers import PEERS

FIRST, LAST = ["case", "fastnn"], ["to reach", "of the floor"]


def write_section(
    table: str, notes: str, machine: Mapping[str, Any], path: Path, threads: int, is_part: bool
) -> None:
    """Put both under the section's heading, in place of what stood there. is_part: in place of the
    same cases' rows, and of notes that begin alike."""
    cpu = machine.get("cpu", {})
    number = ", ".join(f"{part} {cpu[part]}" for part in ("family", "model") if part in cpu)
    brand, bits = cpu.get("brand_raw", "An unknown processor"), machine.get("vector_bits")
    heading = f"## {brand} ({number}), vectors of {bits} bits" + f", {threads} threads" * (
        threads > 1
    )
    start, *sections = re.split(r"^(?=## )", path.read_text(), flags=re.MULTILINE)
    found = {s.partition("\n")[0]: s for s in sections}
    if is_part and heading in found:
        table, notes = merged(found[heading].partition("\n")[2].strip(), table, notes)
    found[heading] = f"{heading}\n\n{table}\n\n{notes}\n"
    path.write_text("\n".join(s.rstrip() + "\n" for s in (start, *found.values())))


def merged(section: str, table: str, notes: str) -> tuple[str, str]:
    """A section's table and notes, with rows of another table."""
    old, _, old_notes = section.partition("\n\n")
    rows = rows_of(old) | rows_of(table)
    named = {cell for row in rows.values() for cell in row}
    peers = [peer.name for key, peer in PEERS.items() if key != "ours" and peer.name in named]
    columns = [*FIRST, *peers, *LAST]
    lines = [columns, ["---", *["--:"] * (1 + len(peers)), "---", "--:"]]
    lines += [[rows[c.title].get(n, "") for n in columns] for c in CASES if c.title in rows]
    begin = notes.partition(": ")[0]
    kept = [p for p in old_notes.split("\n\n") if p.partition(": ")[0] != begin]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines), "\n\n".join([*kept, notes])


def rows_of(table: str) -> dict[str, dict[str, str]]:
    """Of a table in Markdown, by the first cell: cells by the names of their columns."""
    head, _, *lines = [line[2:-2].split(" | ") for line in table.splitlines()]
    return {cells[0]: dict(zip(head, cells, strict=True)) for cells in lines}
