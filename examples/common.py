"""What the examples share: their arguments, where data lies, and the line they end with.

    python examples/NAME.py [--data FOLDER] [--seed N] [--device cpu|cuda] [--quick]

Without --data they take a small set that travels with them, in examples/data/.
"""

import argparse
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np

import fastnn
from fastnn.errors import CudaError

TRAVELLING = Path(__file__).parent / "data"


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
    add("--seed", type=_seed, default=0)
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--quick", action="store_true", help="a few steps, to see that it runs")
    given = parser.parse_args()
    missing = [name for name in files if not any(given.data.glob(name))]
    if missing:
        parser.error(f"--data: {given.data} has no {missing[0]}")
    try:
        fastnn.set_device(given.device)
    except CudaError as error:
        parser.error(f"--device: {error}")
    fastnn.utils.set_random_seed(given.seed)
    return given


def _seed(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on; got {text!r}")
    return int(text)


def expect_whole(history: fastnn.callbacks.History) -> None:
    """End the program if training was interrupted: what it would show and write is of a whole
    one."""
    if history.interrupted:
        sys.exit("interrupted: nothing is written")


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
