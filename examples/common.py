"""What the examples share: their arguments, where data lies, and the line they end with.

    python examples/NAME.py [--data FOLDER] [--seed N] [--device cpu|cuda] [--quick]

Without --data they take a small set that travels with them, in examples/data/. What is written lies
in the folder they are started in. Whatever ends them early is told in a line.
"""

import argparse
import json
import signal
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from fastnn.errors import CudaError

TRAVELLING = Path(__file__).parent / "data"
ENDINGS = ".fastnn", ".json", ".png"  # of what is written
INTERRUPTED = "interrupted: nothing is written"


def _tell(kind, error, trace):
    if issubclass(kind, KeyboardInterrupt):
        print(f"\n{INTERRUPTED}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _tell


def start(about: str, data: str = "", *files: str) -> argparse.Namespace:
    """The arguments of the command line, with seed and device set.

    about: the example's docstring; data: the folder of its set in examples/data/; files: what the
    folder that is given instead must hold, names or patterns. Without them there is no --data.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    add = parser.add_argument
    if files:
        held = ", ".join(files)
        add("--data", type=Path, default=TRAVELLING / data, help=f"a folder with {held}")
    add("--seed", type=_seed, default=0, help="of all random numbers, 0 unless given")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="cpu unless given")
    add("--quick", action="store_true", help="a few steps, to see that it runs")
    given = parser.parse_args()
    if files and not given.data.is_dir():
        parser.error(f"--data: expected a folder with {held}; there is no folder {given.data}")
    missing = [name for name in files if not any(given.data.glob(name))]
    if missing:
        parser.error(f"--data: {given.data} has no {missing[0]}")
    try:
        tempfile.TemporaryFile(dir=Path.cwd()).close()
    except OSError as error:
        parser.error(f"the model is written to this folder, but that cannot be: {error}")
    for written in (Path(f"{parser.prog.removesuffix('.py')}{end}") for end in ENDINGS):
        if written.is_dir():
            parser.error(f"{written} is to be written, but there is a folder of that name")
    try:
        fastnn.set_device(given.device)
    except CudaError as error:
        parser.error(f"--device: {error}")
    fastnn.utils.set_random_seed(given.seed)
    return given


def _seed(text):
    if not (text.isdecimal() and int(text) < 1 << 63):
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on; got {text!r}")
    return int(text)


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Within it, what makes data another than was expected ends the program."""
    try:
        yield
    except Exception as error:
        found = " ".join(f"{error or type(error).__name__}".split())
        sys.exit(f"--data: {path} should hold {expected}; {found}")


def expect_whole(history: fastnn.callbacks.History) -> None:
    """End the program if training was interrupted: what it would show and write is of a whole
    one."""
    if history.interrupted:
        sys.exit(INTERRUPTED)


def save(model: fastnn.Model, name: str, about: Any = None) -> None:
    """Write name.fastnn and, if more is to be known of it, name.json: both or none. Ctrl-C no
    longer counts from here on, a moment from the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    aside = Path(f"{name}.json.part")
    try:
        if about is not None:
            aside.write_text(json.dumps(about), encoding="utf-8")
        model.save(f"{name}.fastnn")
        if about is not None:
            aside.replace(f"{name}.json")
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        sys.exit(f"{name}.fastnn is not written: {error}")


def finish(family: str, metric: str, value: float, bar: float, seconds: float, steps: int) -> None:
    """Print the last line: one JSON object. bar: what `value` should reach with the whole set;
    seconds: of training, with what is compiled meanwhile; steps: how many were made in them."""
    line = {
        "family": family,
        "metric": metric,
        "value": round(float(value), 4),
        "bar": bar,
        "seconds": round(seconds, 2),
        "steps_per_second": round(steps / seconds, 1),
        "threads": fastnn.get_threads(),
    }
    print(json.dumps(line), flush=True)


def save_png(path: str, image: np.ndarray) -> None:
    """Write grey pixels (height, width) from 0 to 1 as an image file."""
    pixels = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
    height, width = pixels.shape

    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    lines = np.pad(pixels, ((0, 0), (1, 0)))  # each begins with the number of its filter: 0, none
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes()))
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))
