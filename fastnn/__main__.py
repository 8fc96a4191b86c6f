"""`python -m fastnn demo | doctor | warmup`."""

import argparse
import importlib.metadata
import os
import platform
import re


def doctor() -> None:
    """Print what fastnn runs on."""
    from fastnn.compile.object_code import current_cache
    from fastnn.compile.target import VECTOR_BITS_VARIABLE, asked_bits, processor
    from fastnn.devices.cpu import INTERPRETED, threads

    cpu, _, target, _ = processor()
    cache, n_threads = current_cache(), threads.allowed()
    narrowed = f", as {VECTOR_BITS_VARIABLE} has it" if asked_bits() else ""
    kept = cache.keeps()
    count, size = cache.contents()
    place = f"{cache.folder}, until this process ends" if cache.is_temporary else cache.folder
    versions = [
        f"{name} {_version(name) or 'not installed'}"
        for name in ("fastnn-numba", "numpy", "numba", "llvmlite")
    ]
    lines = {
        "versions": ", ".join([f"Python {platform.python_version()}", *versions]),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": f"{cpu}, vectors of {8 * target.vector_bytes} bits{narrowed}",
        "threads": f"at most {n_threads.number}, as {n_threads.reason} has it; {os.cpu_count()} "
        "processors",
        "kernels": "interpreted, as FASTNN_INTERPRET says" if INTERPRETED else "compiled",
        "cache": f"{place}, {count} kernels, {size / 1e6:.1f} MB"
        if kept
        else "none: it cannot be written",
        "cuda": _gpu(),
    }
    for extra, needed in extras().items():
        missing = [name for name in needed if _version(name) is None]
        way_out = f"pip install 'fastnn-numba[{extra}]'"
        lines[f"extra {extra}"] = (
            f"{', '.join(missing)} missing: {way_out}" if missing else "installed"
        )
    for name, text in lines.items():
        print(f"{name:12} {text}")


def _gpu():
    """The GPU, or why there is none that can be used."""
    from fastnn.devices.cuda.device import device
    from fastnn.errors import CudaError

    try:
        gpu = device()
        free, total = gpu.memory()
    except CudaError as error:
        return " ".join(str(error).removeprefix("device 'cuda': ").split())
    return "{}, compute capability {}.{}, {:.1f} of {:.1f} GB free, driver for CUDA {}.{}".format(
        gpu.name, *gpu.capability, free / 1e9, total / 1e9, *gpu.version
    )


def extras() -> dict[str, list[str]]:
    """The distributions that each extra needs, as the installed metadata says; of a checkout that
    is not installed, none."""
    found: dict[str, list[str]] = {}
    try:
        requirements = importlib.metadata.requires("fastnn-numba") or []
    except importlib.metadata.PackageNotFoundError:
        return found
    for requirement in requirements:
        if match := re.match(r"([\w.-]+).*;.*\bextra == [\"']([\w-]+)", requirement):
            found.setdefault(match[2], []).append(match[1])
    return found


def _version(distribution):
    """Of a distribution that is installed, else None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def warmup() -> None:
    """Compile every kernel now, on all cores, so that no later run waits for it."""
    from fastnn.compile.warmup import warmup
    from fastnn.devices.cpu import catalogue, threads

    warmup(sorted(catalogue.forms()), catalogue.compile_named, threads.allowed().number)


def demo() -> None:
    """Run the article's program and the digits."""
    from fastnn.demo import demo

    demo()


COMMANDS = {f.__name__: f for f in (demo, doctor, warmup)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m fastnn", description="neural networks on the CPU, from readable Python"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in COMMANDS.items():
        commands.add_parser(name, help=(function.__doc__ or "").splitlines()[0])
    COMMANDS[parser.parse_args(arguments).command]()


if __name__ == "__main__":
    main()
