"""Which processor this is: what LLVM calls it, and what kernels know of it.

FASTNN_VECTOR_BITS makes kernels as they would be on a processor with narrower vectors.
"""

import os
from collections.abc import Callable, Sequence
from functools import cache, wraps
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from fastnn.kernels.declare import Target
from fastnn.locks import compiling

from .object_cache import ObjectCache

VECTOR_BITS_VARIABLE, VECTOR_BITS = "FASTNN_VECTOR_BITS", (128, 256, 512)
CPUINFO = Path("/proc/cpuinfo")
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
# Processors that issue two multiply-adds of 512 bits a cycle, by LLVM's names; an Intel server
# that LLVM does not know has AMX.
TWO_FMA_PORTS_512 = ("skylake-avx512", "cascadelake", "cooperlake", "icelake-server", "znver5")
# those with AVX2 that issue one of 256 bits, since their ports have 128
ONE_FMA_PORT_256 = ("znver1", "gracemont", "sierraforest", "grandridge")


# Compute capabilities (of GPUs) from 8.0 on that LLVM knows. It would take an unknown one for
# the oldest of all, with a line on the process's standard error.
CAPABILITIES = tuple(
    (n // 10, n % 10) for n in (80, 86, 87, 88, 89, 90, 100, 101, 103, 110, 120, 121)
)


class Processor(NamedTuple):
    """A processor that kernels are compiled for."""

    name: str  # by LLVM
    features: str  # by LLVM: "+avx2,+fma,-avx512f"
    target: Target
    triple: str | None = None  # of another machine than this one: its code can be looked at


def one_thread(function: Callable) -> Callable:
    """Called by one thread at a time: the process forks when what is imported for it is whole."""
    return wraps(function)(lambda: compiling.run(function))


@cache
@one_thread
def processor() -> Processor:
    """This machine's. What LLVM says of one is kept on disk: to import LLVM takes 25 ms."""
    import llvmlite

    lines = _cpuinfo()
    known = (
        ObjectCache("\n".join(["a processor, line by line", llvmlite.__version__, *lines]).encode())
        if lines
        else None
    )
    found = known.read("processor") if known else None
    name, triple, *features = found.decode().splitlines() if found else _ask_llvm()
    if known and not found:
        known.write("processor", "\n".join([name, triple, *features]).encode())
    return with_vector_bits(name, triple, features, asked_bits() or widest_bits(features))


def widest_bits(features: Sequence[str]) -> int:
    """How wide the vectors of a processor of these features are."""
    return 512 if "+avx512f" in features else 256 if "+avx2" in features else 128


def asked_bits() -> int | None:
    """What FASTNN_VECTOR_BITS asks for; None if it is not set."""
    text = os.environ.get(VECTOR_BITS_VARIABLE, "").strip()
    if text in ("", *map(str, VECTOR_BITS)):
        return int(text) if text else None
    raise ValueError(
        f"the environment variable {VECTOR_BITS_VARIABLE}: expected "
        f"{', '.join(map(str, VECTOR_BITS))}; got {text!r}"
    )


def with_vector_bits(name: str, triple: str, features: Sequence[str], bits: int) -> Processor:
    """A processor for kernels whose vectors have so many bits, no more than its own. Narrower ones
    use what a processor without wider vectors would have: no AVX-512 and its registers, at 128 bits
    no AVX2; FMA where there is one."""
    features, widest = list(features), widest_bits(features)
    if bits > widest:
        raise ValueError(
            f"the environment variable {VECTOR_BITS_VARIABLE}: this processor's vectors have "
            f"{widest} bits at most; got {bits}"
        )
    # What is switched off takes with it what builds on it: each kind of AVX-512, or of AVX2.
    features += [f for f, width in (("-avx512f", 512), ("-avx2", 256)) if bits < width <= widest]
    if bits == 512:
        # LLVM takes half of a register on Intel's, since the first of them slowed their clock; exp
        # took 1.4 times as long.
        features.append("-prefer-256-bit")
        ports = 2 if name in TWO_FMA_PORTS_512 or "+amx-tile" in features else 1
        target = Target(64, 32, "x86_64", fma_ports=ports, **_cache_bytes())
    elif bits == 256:
        ports = 1 if name in ONE_FMA_PORT_256 else 2
        target = Target(32, 16, "x86_64", fma_ports=ports, **_cache_bytes())
    else:
        if "+avx" in features:  # its vectors of floats have 256 bits, without AVX2 or with it
            features.append("+prefer-128-bit")
        is_arm = triple.startswith(("aarch64", "arm64"))
        target = Target(16, 32 if is_arm else 16, triple.partition("-")[0])
    return Processor(name, ",".join(features), target)


def gpu_architecture(capability: tuple[int, int]) -> str:
    """What LLVM calls a GPU of a compute capability, or the nearest that comes before it: the
    driver makes machine code for later ones of it as well."""
    return "sm_{}{}".format(*max(known for known in CAPABILITIES if known <= capability))


def _cpuinfo():
    """The lines by which the system tells x86-64's processors apart, if it does."""
    try:
        with CPUINFO.open() as lines:
            first = [line.strip() for line in takewhile(str.strip, lines)]
    except OSError:
        return []
    names = ("vendor_id", "cpu family", "model", "stepping", "flags")
    found = [line for line in first if line.startswith(names)]
    # an emulated one has the system's /proc/cpuinfo
    return [*found, os.uname().machine] if len(found) >= 5 else []


def _cache_bytes() -> dict[str, int]:
    """Sizes of L1 (data) and L2, as far as the system tells them in whole kB."""
    found = {}
    for field, folder in (("l1_bytes", "index0"), ("l2_bytes", "index2")):
        try:
            text = (CACHES / folder / "size").read_text()
            found[field] = int(text.strip().removesuffix("K")) << 10
        except (OSError, ValueError):
            continue
    return found


def _ask_llvm():
    from llvmlite import binding

    return [
        binding.get_host_cpu_name(),
        binding.get_process_triple(),
        *binding.get_host_cpu_features().flatten().split(","),
    ]
