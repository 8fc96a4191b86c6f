"""What NVIDIA's assembler makes of PTX, without a GPU: by the packages nvidia-cuda-nvcc (ptxas) and
nvidia-cuda-nvdisasm of the extra `test`, or by CUDA's toolkit."""

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

PACKAGES = {"ptxas": "nvidia-cuda-nvcc", "nvdisasm": "nvidia-cuda-nvdisasm"}


class MachineCode(NamedTuple):
    """Of one kernel: the most that a thread and a block of its entry points need, and how often
    each instruction occurs, such as LDG.E.128."""

    registers: int
    shared_bytes: int
    stack_bytes: int
    spilled_bytes: int
    instructions: Counter[str]

    def count(self, pattern: str) -> int:
        """How many of the instructions match."""
        return sum(n for i, n in self.instructions.items() if re.fullmatch(pattern, i))


@cache
def tool(name: str) -> str | None:
    """Where a tool is, if it is installed."""
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files(PACKAGES[name]) or ():
            if file.name == name:
                return str(file.locate())
    return shutil.which(name)


def missing() -> list[str]:
    """The packages that are to be installed first."""
    return [package for name, package in PACKAGES.items() if tool(name) is None]


def assembled(text: str, architecture: str) -> MachineCode:
    """What ptxas makes of PTX for an architecture."""
    with tempfile.TemporaryDirectory() as folder:
        source, code = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        source.write_text(text)
        about = _run("ptxas", "-v", f"-arch={architecture}", source, "-o", code)
        listing = _run("nvdisasm", code)

    def found(pattern):
        return [int(n) for n in re.findall(pattern, about)]

    return MachineCode(
        max(found(r"Used (\d+) registers")),
        max(found(r"(\d+) bytes smem"), default=0),
        max(found(r"(\d+) bytes stack frame")),
        sum(found(r"(\d+) bytes spill (?:stores|loads)")),
        Counter(
            re.findall(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]+)", listing, re.M)
        ),
    )


def _run(name, *arguments):
    done = subprocess.run([tool(name), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
