"""The benchmarks run, and their tables are made of what they write."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import grids, page, report
from bench.cases import CASES, registry_cases
from fastnn.ops import registry

ROOT = Path(__file__).parents[2]


def run(*arguments):
    command = [sys.executable, "-m", "pytest", "bench", "-q", "-x", "-W", "ignore", *arguments]
    # it is no part of the workers that run the tests: pytest-benchmark would time nothing
    environment = {n: value for n, value in os.environ.items() if n != "PYTEST_XDIST_WORKER"}
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_a_case_is_timed_and_told(tmp_path):
    path = tmp_path / "ours.json"
    names = "add-64 or tested-take and not along"
    run("-k", names, f"--benchmark-json={path}", "--benchmark-max-time=0.01")
    results, machine = report.read(path)
    assert machine["vector_bits"] >= 64
    assert set(results) == {"add-64", "tested-take"}
    assert report.table({"ours": results}).count("\n") == 2
    assert "`take`" in report.other_ops({"ours": results})


def test_rows_of_some_cases_take_the_place_of_theirs():
    one, two, last = CASES[0].title, CASES[1].title, "| --- | --: | --: | --- | --: |"
    old = f"| case | fastnn | JAX | to reach | of the floor |\n{last}\n"
    old += f"| {one} | 1 | 2 |  | 9 % |\n| {two} | 1 |  |  |  |\n| no case | 1 |  |  |  |"
    new = (
        f"| case | fastnn | NumPy | to reach | of the floor |\n{last}\n| {two} | 3 | 4 | 5: no |  |"
    )
    table, notes = page.merged(f"{old}\n\nall: a\n\nsome: b", new, "some: c")
    assert table.splitlines()[2:] == [
        f"| {one} | 1 |  | 2 |  | 9 % |",
        f"| {two} | 3 | 4 |  | 5: no |  |",
    ]
    assert notes == "all: a\n\nsome: c"


def test_a_product_is_compared_with_blas(tmp_path):
    path = tmp_path / "grid.json"
    run("--grids", "-k", "square-to-512-ABt-24x24x24", f"--benchmark-json={path}")
    (gemm, _) = (b["extra_info"]["gemm"] for b in json.loads(path.read_text())["benchmarks"])
    assert gemm["seconds"]["ours"] > 0
    assert "ABt 24 x 24 x 24" in grids.tables(path)


def test_every_op_has_a_case():
    cases = [*CASES, *registry_cases()]
    assert {c.op for c in cases if hasattr(c, "op")} == set(registry)
    assert len({c.name for c in cases}) == len(cases)


@pytest.mark.slow
def test_every_case_runs_once():
    run("--benchmark-disable")
