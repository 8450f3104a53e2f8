"""`python -m bbatch.evaluation [PROBLEM ...]`: make what the tables of the ways lack."""

import argparse
import sys

import torch

from ..errors import BadInput
from . import tables
from .problems import PROBLEMS


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bbatch.evaluation", description="Evaluate the ways to choose a batch size."
    )
    parser.add_argument(
        "problems",
        nargs="*",
        metavar="PROBLEM",
        help=f"of {', '.join(PROBLEMS)} (default: {', '.join(tables.USUAL)})",
    )
    parser.add_argument("--seeds", type=int, default=tables.SEEDS, help=f"default: {tables.SEEDS}")
    steps = "time the steps of what was chosen, instead: last, when all is chosen"
    parser.add_argument("--steps", action="store_true", help=steps)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        names = options.problems or tables.USUAL
        tables.time_steps(names) if options.steps else tables.evaluate(names, options.seeds)
    except BadInput as error:
        print(f"bbatch: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
