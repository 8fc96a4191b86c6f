"""`python -m bench`: every peer in a process of its own, one after another, and one table of
all."""

import argparse
import importlib.util
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

from . import grids, page, readme, report
from .limits import limits
from .peers import PEERS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m bench", description="times fastnn and its peers, and prints one table"
    )
    parser.add_argument(
        "--case", help="only cases whose names match, as pytest's -k has it: 'article or mlp'"
    )
    parser.add_argument("--quick", action="store_true", help="few rounds: for trying out")
    parser.add_argument("--readme", action="store_true", help="write README.md's chart and rows")
    parser.add_argument(
        "--docs",
        action="store_true",
        help="write the table into docs/benchmarks.md, under this processor's name; with --case "
        "the rows of these cases",
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=1,
        help="how often, peers in turns; of each case the quickest run counts: for a busy machine",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="of every peer; with more than one, cases that say what to reach",
    )
    parser.add_argument(
        "--vector-bits",
        type=int,
        choices=(128, 256, 512),
        help="hold every peer to vectors so wide",
    )
    parser.add_argument(
        "--peers-python",
        default=sys.executable,
        help="the interpreter that has PyTorch, JAX and TensorFlow",
    )
    parser.add_argument(
        "--blas",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a library to compare products with too",
    )
    options = parser.parse_args()
    if options.docs and options.quick:
        parser.error("--docs takes no quick runs")
    if options.readme and (
        options.case or options.quick or options.threads > 1 or options.vector_bits
    ):
        parser.error(
            "--readme takes every case on one thread with the machine's own vectors, and not "
            "quickly"
        )
    RESULTS.mkdir(exist_ok=True)
    results: dict[str, dict[str, report.Result]] = {}
    versions: dict[str, str] = {}
    machine: dict[str, Any] = {}
    for key, peer in list(PEERS.items()) * options.repeat:
        python = sys.executable if key in ("ours", "numpy") else options.peers_python
        version = version_of(peer.distribution, python)
        if version is None:
            print(f"{peer.name} is left out: {peer.distribution} is not installed", flush=True)
            continue
        start = time.perf_counter()
        found, about = report.read(run(key, python, options))
        results[key] = report.quickest(results.get(key, {}), found)
        machine |= about if key == "ours" else {}
        versions[key] = version
        print(
            f"{peer.name} {version}: {len(found)} cases, {time.perf_counter() - start:.0f} s",
            flush=True,
        )
    if not any(results.values()):
        sys.exit(
            f"no case's name matches {options.case!r}; `python -m pytest bench --peer=ours "
            "--collect-only -q` lists them"
        )
    table = report.table(results, options.threads)
    about_it = report.notes(results, machine, versions, options.threads, options.case, commit())
    if not options.case and (others := report.other_ops(results)):
        about_it += f"\n\n{others}"
    if not options.case and not options.quick:
        about_it += f"\n\n{grid(options)}"
    print(f"\n{table}\n\n{about_it}")
    name = "some-results" if options.case or options.quick else "results"
    name += f"-{options.threads}-threads" * (options.threads > 1)
    name += f"-{options.vector_bits}-bits" if options.vector_bits else ""
    report.write_json(results, machine, versions, RESULTS / f"{name}.json", options.threads)
    if importlib.util.find_spec("matplotlib"):
        report.plot(results, RESULTS / f"{name}.png")
        if machine:
            report.roofline(results, machine, RESULTS / f"{name}-roofline.png")
    if options.readme:
        readme.write()
    if options.docs:
        path, is_part = ROOT / "docs" / "benchmarks.md", options.case is not None
        page.write_section(table, about_it, machine, path, options.threads, is_part)


def version_of(distribution: str | None, python: str) -> str | None:
    if distribution is None:
        return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    found = subprocess.run(
        [python, "-c", f"from importlib.metadata import version; print(version({distribution!r}))"],
        capture_output=True,
        text=True,
    )
    return found.stdout.strip() if found.returncode == 0 else None


def commit() -> str:
    """What is timed, as Git names it; "" outside of a checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(command, capture_output=True, text=True)
    return found.stdout.strip()


def run(key: str, python: str, options: argparse.Namespace, *arguments: str) -> Path:
    """Time a peer; where its results are."""
    path = RESULTS / f"{'-'.join([key, *arguments[:1]]).replace('--', '')}.json"
    path.unlink(missing_ok=True)
    command = [python, "-m", "pytest", "bench", f"--peer={key}", f"--benchmark-json={path}"]
    command += ["--quiet", "-W", "ignore", "--benchmark-disable-gc", "--benchmark-warmup=on"]
    command += [f"--benchmark-max-time={0.1 if options.quick else 1}", *arguments]
    if options.threads == 1:  # what others want of the processor does not count
        command.append("--benchmark-timer=time.process_time")
    command += ["--quick"] * options.quick + (["-k", options.case] if options.case else [])
    environment = {
        **os.environ,
        "BENCH_THREADS": str(options.threads),
        **limits(options.threads, options.vector_bits),
    }
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if finished.returncode not in (0, 5):  # 5: no case of that name
        print(finished.stdout[-4000:] + finished.stderr[-2000:], file=sys.stderr)
    return path


def grid(options: argparse.Namespace) -> str:
    """Products against BLAS, a line a group; on several threads, how many of them `fit` chooses."""
    blas = [f"--blas={b}" for b in options.blas]
    path = run(
        "ours", sys.executable, options, "--grids", *blas, "-k", "against_blas or choice_of_threads"
    )
    return grids.tables(path, summary=True)


if __name__ == "__main__":
    main()
