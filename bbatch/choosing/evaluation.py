"""How good are the ways to choose a batch size? `python -m bbatch.choosing.evaluation [PROBLEM ...]` measures
it and writes `results/selection/`; without names, on the problems whose networks train in seconds.

Each way decides anew for each seed, on the training samples alone, a fifth of them held out. What it decided
is then trained on all training samples under the problem's protocol and judged once, on the test set; runs
that the committed records hold already are not trained again. Beside them stands the full grid of the
protocol's batch sizes under the linear rule. MNIST and CIFAR-10 in full are out of a CPU's reach; `mnist-512
cifar10-512 --seeds 5` (see `problems`) took about an hour of one core.

    choices.parquet    problem, method, seed, batch_size, lr, warmup_epochs, trainings, seconds, cpu_seconds,
    reason runs.parquet       problem, seed, batch_size, lr, warmup_epochs, test_acc (percent), curve (test
                       accuracy after each epoch), seconds and cpu_seconds of training, diverged
    steps.parquet      problem, batch_size, n_train, step_s: the least elapsed seconds of a step in plain
                       PyTorch, one thread; our compiled loop makes small batches cheap, which readers' own
                       loops do not
    provenance.json    machine, versions, commit and date of the latest call

The tables only grow: a call adds what they lack. The ways: `recommended`, the answer of `recommend`;
Algorithm 2; `always 32` at the protocol's rate; a grid of 25 pairs in the time that `recommended` has; and a
rate range test at the largest batch that fits, as PyTorch Lightning's finders do it.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import sys
import time
from datetime import UTC, datetime

import pandas as pd
import torch
from tqdm import tqdm

from .. import metrics
from ..config import DATASETS, SYNTHETIC, Run
from ..errors import BadInput
from ..files import write_whole
from ..records.store import FROZEN, Store
from ..sweeping.worker import environment
from . import algorithm_2, rivals
from .problems import BORROWED, PARTS, PLAIN, PROBLEMS, Problem, problem, protocol
from .recommend import recommend
from .training import epoch_seconds

FOLDER = FROZEN / "selection"
METHODS = ("recommended", "Algorithm 2", "always 32", "grid of 25", "range test")
CHEAP = [*SYNTHETIC, *BORROWED, *PLAIN]
SEEDS = 10
# Elapsed seconds for `recommended`, and for the grid: the default of `recommend`, four times that where one
# training of the protocol takes tens of seconds. The paper's T is without limit: accuracy is what is asked
# for.
BUDGET, BUDGET_LARGE = 60.0, 240.0
LARGE = {"synthetic-10k", "synthetic-50k", *PARTS}
CHOICES = [
    "problem",
    "method",
    "seed",
    "batch_size",
    "lr",
    "warmup_epochs",
    "trainings",
    "seconds",
    "cpu_seconds",
    "reason",
]
RUNS = [
    "problem",
    "seed",
    "batch_size",
    "lr",
    "warmup_epochs",
    "test_acc",
    "curve",
    "seconds",
    "cpu_seconds",
    "diverged",
]
STEPS = ["problem", "batch_size", "n_train", "step_s"]
CELL = ["problem", "seed", "batch_size", "lr", "warmup_epochs"]


def table(name: str, columns: list[str]) -> pd.DataFrame:
    """A committed table of this page, empty where there is none yet."""
    path = FOLDER / f"{name}.parquet"
    return pd.read_parquet(path) if path.is_file() else pd.DataFrame(columns=columns)


def recorded(records: dict[str, dict] | None = None) -> pd.DataFrame:
    """The runs of the paper's full protocol that the store holds, under every rule, in the columns `RUNS`."""
    records = Store().records() if records is None else records
    rows = []
    for key in metrics.full_protocol(metrics.frame(records.values()))["id"]:
        r, run = records[key], Run.from_dict(records[key]["run"])
        curve = [100 * c / r["data"]["n_test"] for c in r["history"]["test_correct"]]
        cpu = r["observed"].get("cpu_seconds")
        rows.append(
            (
                run.dataset,
                run.seed,
                run.batch_size,
                run.lr,
                run.warmup_epochs,
                curve[-1],
                curve,
                sum(r["observed"]["seconds"]),
                sum(cpu) if cpu else math.nan,
                r["final"]["diverged_epoch"] is not None,
            )
        )
    return pd.DataFrame(rows, columns=RUNS)


def runs() -> pd.DataFrame:
    """All runs that serve this page: those of the store, then those made for it; one row for each `CELL`."""
    parts = [part for part in (recorded(), table("runs", RUNS)) if len(part)]
    if not parts:
        return pd.DataFrame(columns=RUNS)
    both = pd.concat(parts, ignore_index=True)
    return both[~keys(both).duplicated()].reset_index(
        drop=True
    )  # the constant and linear rules meet at B = 32


def keys(frame: pd.DataFrame) -> pd.Series:
    """Addresses of cells; rates to nine digits, which separate any two that are tried."""
    cells = frame[CELL].itertuples(index=False)
    return pd.Series(
        [f"{p}|{s}|{b}|{lr:.9g}|{w}" for p, s, b, lr, w in cells], dtype=object, index=frame.index
    )


def fixed(name: str, method: str, seed: int, base_lr: float) -> dict:
    """A row of `CHOICES`: what `always 32` chooses, which measures nothing; of another way, its frame."""
    return {
        "problem": name,
        "method": method,
        "seed": seed,
        "batch_size": 32,
        "lr": base_lr,
        "warmup_epochs": 0,
        "trainings": 0,
        "seconds": 0.0,
        "cpu_seconds": 0.0,
        "reason": "fixed",
    }


def decide(on: Problem, method: str, seed: int) -> dict:
    """What a method chooses on a problem, from its training samples alone: a row of `CHOICES`."""
    row, budget = fixed(on.name, method, seed, on.base_lr), BUDGET_LARGE if on.name in LARGE else BUDGET
    begun, worked = time.perf_counter(), time.process_time()
    if method == "Algorithm 2":

        def at(b):
            lr, warm = algorithm_2.rate(on.base_lr, b), algorithm_2.warmup(b, on.epochs)
            return on.train(b, lr, on.epochs, seed, on=on.split, warmup_epochs=warm)

        chosen, trials = algorithm_2.follow(at, len(on.split.train_y))
        found = (chosen.batch_size, chosen.lr, len(trials), "; ".join(why for _, why in trials))
        row["warmup_epochs"] = chosen.warmup_epochs
    elif method == "recommended":
        task = on.task()
        answer = recommend(
            on.network,
            (task.train.source, task.validation.source),
            on.loss,
            epochs=on.epochs,
            budget=budget,
            optimizer=on.optimizer,
            base_lr=on.base_lr,
            seed=seed,
            progress=False,
        )
        size, lr = (
            answer.batch_size or row["batch_size"],
            answer.lr or row["lr"],
        )  # without an answer, the default
        found, row["warmup_epochs"] = (
            (size, lr, len(answer.trials), " ".join(answer.reasons)),
            answer.warmup_epochs,
        )
    elif method == "grid of 25":
        size, lr, trainings = rivals.grid(on.task(), on.epochs, budget, on.base_lr, seed)
        found = (size, lr, trainings, "the best on validation data")
    elif method == "range test":
        found = (*rivals.range_test(on.task(), seed), 1, "steepest descent")
    else:
        return row
    chosen = dict(zip(("batch_size", "lr", "trainings", "reason"), found, strict=True))
    took = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - worked}
    return row | chosen | took


def cells(on: Problem, seed: int) -> list[dict]:
    """The problem's grid under the linear rule, for one seed: keys `CELL`; empty where the store holds the
    grid."""
    if on.name in DATASETS:
        return []
    p = protocol(on.name)
    return [
        {
            "problem": on.name,
            "seed": seed,
            "batch_size": b,
            "lr": algorithm_2.rate(on.base_lr, b),
            "warmup_epochs": p.warmup_epochs if b >= p.warmup_from_batch else 0,
        }
        for b in on.batch_sizes
    ]


def evaluate(names: list[str], seeds: int = SEEDS, progress: bool = True) -> None:
    """Make what the committed tables lack for these problems, seed by seed, the fixed choices included.

    What is finished of a seed and a problem is on disk before the next begins.
    """
    chosen, made, have = table("choices", CHOICES), table("runs", RUNS), set(keys(runs()))
    for seed, name in tqdm([(42 + k, name) for k in range(seeds) for name in names], disable=not progress):
        on, known = problem(name), chosen[(chosen["problem"] == name) & (chosen["seed"] == seed)]
        decided = [decide(on, method, seed) for method in METHODS if method not in set(known["method"])]
        wanted = pd.DataFrame([*known.to_dict("records"), *decided, *cells(on, seed)])[CELL]
        todo = wanted[~keys(wanted).isin(have) & ~keys(wanted).duplicated()]
        made = _with(made, [_trained(on, cell) for cell in todo.to_dict("records")])
        chosen = _with(chosen, decided)
        if len(todo) or decided:
            _write("runs", made)  # before the choices: none of them is without its run
            _write("choices", chosen)
            note = {
                "command": f"python -m {__spec__.name}",
                "date": datetime.now(UTC).date().isoformat(),
                **environment("cpu"),
            }
            write_whole(
                FOLDER / "provenance.json", (json.dumps(note, indent=1, sort_keys=True) + "\n").encode()
            )
    for name in names:
        some = chosen[chosen["problem"] == name]
        _time_steps(
            problem(name), sorted({*some["batch_size"], *(c["batch_size"] for c in cells(problem(name), 42))})
        )


def _trained(on: Problem, cell: dict) -> dict:
    """A cell, trained on all training samples and judged on the test set: a row of `RUNS`."""
    # the compiled loop of the borrowed sets has no warm-up
    train = on.train_plainly if cell["warmup_epochs"] and on.name in BORROWED else on.train
    f = train(
        cell["batch_size"],
        cell["lr"],
        on.epochs,
        cell["seed"],
        on=on.whole,
        warmup_epochs=cell["warmup_epochs"],
    )
    return cell | {
        "test_acc": f.validation_score,
        "curve": list(f.curve),
        "seconds": f.seconds,
        "cpu_seconds": f.cpu_seconds,
        "diverged": f.diverged,
    }


def _time_steps(on: Problem, sizes: list[int]) -> None:
    """Add to the table of steps what it lacks of these batch sizes: rounds over all of them, the least of
    each."""
    old = table("steps", STEPS)
    task = on.task()
    todo = [b for b in sizes if not ((old["problem"] == on.name) & (old["batch_size"] == b)).any()]
    for b in todo[:1]:
        epoch_seconds(task, b)  # the first step of a process loads half of PyTorch

    def step(b: int) -> float:
        b = min(b, len(task.train))
        return epoch_seconds(task, b) / math.ceil(len(task.train) / b)

    rounds = [[step(b) for b in todo] for _ in range(3)]
    n = len(on.whole.train_y)
    _write(
        "steps",
        _with(
            old,
            [
                {"problem": on.name, "batch_size": b, "n_train": n, "step_s": min(times)}
                for b, times in zip(todo, zip(*rounds, strict=True), strict=False)
            ],
        ),
    )


def _with(old: pd.DataFrame, rows: list[dict]) -> pd.DataFrame:
    new = pd.DataFrame(rows, columns=old.columns)
    return new if old.empty else old if new.empty else pd.concat([old, new], ignore_index=True)


def _write(name: str, frame: pd.DataFrame) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    sink = io.BytesIO()
    frame.to_parquet(sink, compression="zstd", index=False)
    write_whole(FOLDER / f"{name}.parquet", sink.getvalue())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bbatch.choosing.evaluation", description="Evaluate the ways to choose a batch size."
    )
    parser.add_argument(
        "problems",
        nargs="*",
        metavar="PROBLEM",
        help=f"of {', '.join(PROBLEMS)} (default: {', '.join(CHEAP)})",
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"default: {SEEDS}")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        evaluate(options.problems or CHEAP, options.seeds)
    except BadInput as error:
        print(f"bbatch: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
