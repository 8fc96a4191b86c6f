"""`python -m bench.compare BASE HEAD`: what got faster or slower.

BASE and HEAD are git revisions, each checked out beside this one and timed with its own `bench`
(fastnn only, alternately, so that both meet the same load of the machine), or `results.json` files
that `python -m bench` has written.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .text import time_text

ROOT = Path(__file__).resolve().parent.parent
NOISE = 0.05  # a change that is smaller may be the machine's


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m bench.compare", description="times two revisions, and prints what changed"
    )
    parser.add_argument("base", help="a git revision, or a results.json")
    parser.add_argument("head", help="likewise")
    parser.add_argument("--case", help="only cases whose names match, as pytest's -k has it")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument(
        "--rounds", type=int, default=3, help="how often each revision is timed; the fastest counts"
    )
    options = parser.parse_args()
    files = [Path(name) for name in (options.base, options.head)]
    if all(f.is_file() for f in files):
        base, head = (of_file(f) for f in files)
    else:
        base, head = of_revisions([options.base, options.head], options)
    print(table(base, head))


def of_file(path: Path) -> dict[str, float]:
    """Seconds, by case, of fastnn in a results.json."""
    cases = json.loads(path.read_text())["cases"]
    return {
        name: case["seconds"]["ours"]["median"]
        for name, case in cases.items()
        if "value" not in case["seconds"]["ours"]["extra"]
    }


def of_revisions(revisions: list[str], options: argparse.Namespace) -> list[dict[str, float]]:
    """The same, of git revisions: the fastest of some rounds."""
    found: list[dict[str, float]] = [{} for _ in revisions]
    with tempfile.TemporaryDirectory() as folder:
        trees = [Path(folder) / str(number) for number in range(len(revisions))]
        try:
            for tree, revision in zip(trees, revisions, strict=True):
                git("worktree", "add", "--detach", "--quiet", str(tree), revision)
            for _ in range(options.rounds):
                for tree, seconds in zip(trees, found, strict=True):
                    for name, value in timed(tree, options).items():
                        seconds[name] = min(value, seconds.get(name, value))
        finally:
            for tree in trees:
                subprocess.run(
                    ["git", "worktree", "remove", "--force", str(tree)],
                    cwd=ROOT,
                    capture_output=True,
                )
    return found


def git(*arguments: str) -> None:
    finished = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if finished.returncode:
        sys.exit(f"git {' '.join(arguments[:2])}: {finished.stderr.strip()}")


def timed(tree: Path, options: argparse.Namespace) -> dict[str, float]:
    """Seconds by case, as the revision in a folder measures them itself; of the rounds the
    fastest."""
    path = tree / "compare.json"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "bench",
        "--peer=ours",
        f"--benchmark-json={path}",
        "--quiet",
        "-W",
        "ignore",
    ]
    command += ["--benchmark-disable-gc", "--benchmark-warmup=on", "--benchmark-max-time=0.2"] + [
        "--quick"
    ] * options.quick
    command += ["-k", options.case] if options.case else []
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    finished = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    if not path.exists():
        sys.exit(f"{tree.name} was not timed:\n{finished.stdout[-2000:]}{finished.stderr[-1000:]}")
    benchmarks = json.loads(path.read_text())["benchmarks"]
    return {b["param"]: b["stats"]["min"] for b in benchmarks if "value" not in b["extra_info"]}


def table(base: dict[str, float], head: dict[str, float]) -> str:
    """Markdown: a line a case that both have, the largest change first; what lies within the noise
    is not called a change."""
    ratios = {name: head[name] / base[name] for name in base if name in head}
    lines = ["| case | base | head | head's time over base's |", "| --- | --: | --: | --- |"]
    for name, ratio in sorted(ratios.items(), key=lambda item: -max(item[1], 1 / item[1])):
        word = "" if abs(ratio - 1) < NOISE else ", **slower**" if ratio > 1 else ", faster"
        lines.append(
            f"| {name} | {time_text(base[name])} | {time_text(head[name])} | {ratio:.2f}{word} |"
        )
    for title, names in (("base", base.keys() - head), ("head", head.keys() - base)):
        if names:
            lines.append(f"\nOnly in {title}: {', '.join(sorted(names))}.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
