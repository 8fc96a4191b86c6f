"""How many registers a thread of each kernel may use, and how much shared memory a block: a line a
kernel and element type in budgets.txt, which this writes anew, or for some families and what is
missing:

    python -m tests.cuda.budgets [FAMILY ...]

Registers are given out by eights, so budgets are multiples of eight. Look at what has changed
before you keep it: with more registers, fewer blocks run at once.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from fastnn.devices.cpu import threads

from .listings import ARCHITECTURES, FORMS, listing
from .machine_code import MachineCode, assembled, missing

TABLE = Path(__file__).with_name("budgets.txt")
REGISTERS_AT_ONCE = 8
HEADER = "kernel and element type | registers of a thread: sm_80, sm_90 | bytes of shared memory"


class Budget(NamedTuple):
    """What a kernel may use at most."""

    registers: tuple[int, ...]  # by architecture
    shared_bytes: int


@cache
def budgets() -> dict[str, Budget]:
    """The table, by form."""
    rows = [line.split() for line in TABLE.read_text().splitlines()[1:]]
    return {form: Budget(tuple(map(int, each[:-1])), int(each[-1])) for form, *each in rows}


def budget_of(codes: Sequence[MachineCode]) -> Budget:
    """That of a form, by architecture."""
    registers = [-(-c.registers // REGISTERS_AT_ONCE) * REGISTERS_AT_ONCE for c in codes]
    return Budget(tuple(registers), max(c.shared_bytes for c in codes))


def _family(form: str) -> str:
    return form.partition(".")[0]


def code(form: str, architecture: str) -> MachineCode:
    """What a form is assembled to."""
    return assembled(listing(form, architecture).text, architecture)


def main() -> None:
    if missing():
        sys.exit(f"pip install {' '.join(missing())}")
    families, kept = sys.argv[1:], {}
    if families:
        kept = {f: b for f, b in budgets().items() if f in FORMS and _family(f) not in families}
    n = threads.allowed().number
    which = [
        (form, architecture) for form in FORMS if form not in kept for architecture in ARCHITECTURES
    ]
    with ProcessPoolExecutor(n, get_context("spawn")) as processes:
        found = dict(zip(which, processes.map(code, *zip(*which, strict=True)), strict=True))
    lines = [HEADER]
    for form in FORMS:
        budget = kept.get(form) or budget_of([found[form, a] for a in ARCHITECTURES])
        registers = "".join([f" {n:4}" for n in budget.registers])
        lines.append(f"{form:60}{registers} {budget.shared_bytes:6}")
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
