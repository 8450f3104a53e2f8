"""`python -m benchmarks [--full] [--device cuda]`: measure, print, and write tables to results/benchmarks."""

import argparse
import json
import os
import sys
from datetime import date
from importlib.metadata import PackageNotFoundError, version

# One thread for JAX too; read when it is imported.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import pandas as pd
import torch

from bbatch.records.store import ROOT
from bbatch.sweeping.worker import environment

from . import convolutional, landscape, measure

FOLDER = ROOT / "results" / "benchmarks"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more rounds and batch sizes (about 10 minutes)")
    parser.add_argument(
        "--device",
        default=os.environ.get("DEVICE") or "cpu",
        choices=("cpu", "cuda"),
        help="cuda measures the CUDA engine alone (also: make bench DEVICE=cuda)",
    )
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    print("Measuring; another busy program widens the spread and hardly moves the ratios.", flush=True)
    if options.device == "cuda":
        on_cuda(options.full)
    else:
        on_cpu(options.full)
    print(f"Written to {FOLDER}")


def on_cpu(full: bool) -> None:
    sizes, rounds = ((1, 8, 32, 128, 512), 9) if full else ((1, 8, 32, 512), 3)
    rows = [row for b in sizes for row in measure.synthetic_steps(b, rounds, progress(f"synthetic, B = {b}"))]
    write(rows, "synthetic.csv", "cpu")
    write(
        convolutional.convolutional_steps((1, 128, 512), 5 if full else 2, progress("images")),
        "images.csv",
        "cpu",
    )
    write(measure.scaling(5 if full else 1, progress("scaling")), "scaling.csv", "cpu")
    torch.set_num_threads(os.cpu_count())  # a reader draws one surface at a time, with all the machine
    write(landscape.surface(rounds, progress("landscape")), "landscape.csv", "cpu")


def on_cuda(full: bool) -> None:
    if not torch.cuda.is_available():
        sys.exit("benchmarks: no CUDA device is to be seen; nothing was measured.")
    rows = [
        row
        for name in convolutional.IMAGES
        for b in ((1, 8, 32, 128, 1024) if full else (1, 32, 1024))
        for row in convolutional.cuda_steps(name, b, 9 if full else 3, progress(f"{name}, B = {b}"))
    ]
    write(rows, "cuda.csv", "cuda")


def progress(what: str):
    return lambda text: print(f"  {what}: {text}", file=sys.stderr, flush=True)


def write(rows: list[dict], name: str, device: str) -> None:
    """The table as CSV (four significant digits), and beside it as JSON what it was measured on."""
    table = pd.DataFrame(rows)
    table.to_csv(FOLDER / name, index=False, float_format="%.4g")
    print(table.to_string(index=False, float_format=lambda v: f"{v:.4g}", na_rep=""))
    machine = environment(device) | {"cores": os.cpu_count(), "date": date.today().isoformat()}
    for package in ("jax", "numba"):
        try:
            machine["versions"][package] = version(package)
        except PackageNotFoundError:
            pass
    (FOLDER / name).with_suffix(".json").write_text(json.dumps(machine, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
