"""`python -m bench.gpu prepare DIR` on any machine, then `python -m bench.gpu run DIR` where the
GPU is: see README.md."""

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser("python -m bench.gpu", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="write what `run` needs, with the CPU's results")
    prepare.add_argument("folder", type=Path, metavar="DIR")
    prepare.add_argument(
        "--architecture", default="sm_90", help="of the PTX; it runs on this GPU and later ones"
    )
    run = commands.add_parser("run", help="check and time it on the GPU; needs no fastnn")
    run.add_argument("folder", type=Path, metavar="DIR")
    run.add_argument(
        "--double", action="store_true", help="on the tests' double of a GPU: proves the script"
    )
    run.add_argument(
        "--sanitize", action="store_true", help="also run the checks under compute-sanitizer"
    )
    run.add_argument("--checks-only", action="store_true", help="time nothing")
    options = parser.parse_args()
    if options.command == "prepare":
        # GPUs give these bits; it must be said before fastnn is imported
        os.environ["FASTNN_VECTOR_BITS"] = "256"
        from .prepare import prepare as write

        write(options.folder, options.architecture)
    else:
        sys.path.insert(0, str(options.folder))  # its `fastnn` is the driver, and nothing else
        from .run import run as do

        sys.exit(do(options.folder, options.double, options.sanitize, options.checks_only))


if __name__ == "__main__":
    main()
