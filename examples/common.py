"""What the examples share: their arguments, where data lies, and the line they end with.

    python examples/NAME.py [--data FOLDER] [--seed N] [--device cpu|cuda] [--quick]

Without --data they take a small set that travels with them, in examples/data/.
"""

import argparse
import json
from pathlib import Path

import fastnn
from fastnn.errors import CudaError

TRAVELLING = Path(__file__).parent / "data"


def start(about: str, data: str, *files: str) -> argparse.Namespace:
    """The arguments of the command line, with seed and device set.

    about: the example's docstring; data: the folder of its set in examples/data/; files: what the
    folder that is given instead must hold.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, default=TRAVELLING / data, help=f"a folder with {', '.join(files)}")
    add("--seed", type=int, default=0)
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--quick", action="store_true", help="a few steps, to see that it runs")
    given = parser.parse_args()
    missing = [name for name in files if not (given.data / name).is_file()]
    if missing:
        parser.error(f"--data: {given.data} has no {missing[0]}")
    try:
        fastnn.set_device(given.device)
    except CudaError as error:
        parser.error(f"--device: {error}")
    fastnn.utils.set_random_seed(given.seed)
    return given


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
