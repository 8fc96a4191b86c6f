"""How many registers a thread of each kernel may use, and how much shared memory a block: a line a
kernel and element type in budgets.txt, which this writes anew, or for some families and what is
missing:

    python -m tests.cuda.budgets [FAMILY ...]

Registers are given out by eights, so budgets are multiples of eight. Look at what has changed
before you keep it: with more registers, fewer blocks run at once.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from fastnn.devices.cpu import threads

from .listings import ARCHITECTURES, FORMS, listings_of
from .machine_code import assembled, missing

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


def _family(form: str) -> str:
    return form.partition(".")[0]


def budget_of(form: str) -> Budget:
    """What it takes now."""
    codes = [assembled(made.text, a) for a, made in listings_of(form, ARCHITECTURES).items()]
    registers = [-(-c.registers // REGISTERS_AT_ONCE) * REGISTERS_AT_ONCE for c in codes]
    return Budget(tuple(registers), max([c.shared_bytes for c in codes]))


def main() -> None:
    if missing():
        sys.exit(f"pip install {' '.join(missing())}")
    families: list[str] = sys.argv[1:]
    kept: dict[str, Budget] = {}
    if families:
        kept = {f: b for f, b in budgets().items() if f in FORMS and _family(f) not in families}
    forms = [form for form in FORMS if form not in kept]
    with ProcessPoolExecutor(threads.allowed().number, get_context("spawn")) as processes:
        kept |= dict(zip(forms, processes.map(budget_of, forms), strict=True))
    lines = [HEADER]
    for form in FORMS:
        registers = "".join([f" {n:4}" for n in kept[form].registers])
        lines.append(f"{form:60}{registers} {kept[form].shared_bytes:6}")
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
