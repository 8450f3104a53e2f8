"""How good are the ways to choose a batch size? `python -m bbatch.evaluation [PROBLEM ...]` measures it and
writes `results/selection/`; without names, on all problems but MNIST and CIFAR-10 in full, which are out of a
CPU's reach.

Each way (see `ways`) decides anew for each seed, on the training samples alone, a fifth of them held out.
What it decided is then trained on all training samples under the problem's protocol and judged once, on the
test set; runs that the committed records hold already are not trained again. Beside them stands the full grid
of the protocol's batch sizes under the linear rule.

    choices.parquet    problem, method, seed, batch_size, lr, warmup_epochs, trainings, seconds, cpu_seconds,
                       reason
    runs.parquet       problem, seed, batch_size, lr, warmup_epochs, test_acc (percent; of a regression the
                       share of the variance that is explained), curve and losses (of the test set after each
                       epoch; older rows have no losses), seconds and cpu_seconds of training, diverged
    steps.parquet      problem, batch_size, n_train, step_s: the least processor seconds of a step in plain
                       PyTorch, one thread; our compiled loop makes small batches cheap, which readers' own
                       loops do not
    provenance.json    machine, versions, commit and date of the latest call

The tables only grow, seed by seed: a call adds what they lack, and what it finished stays when it is stopped.
"""

import json
import math
import time
from datetime import UTC, datetime

import pandas as pd
from tqdm import tqdm

from .. import metrics
from ..choosing import algorithm_2
from ..choosing.training import fit, step_seconds
from ..config import DATASETS, Run
from ..files import write_whole
from ..records.store import FROZEN, Store
from ..sweeping.worker import environment
from .problems import PARTS, PROBLEMS, Problem, problem
from .ways import CHOICES, METHODS, decide

COMMAND = "python -m bbatch.evaluation"
FOLDER = FROZEN / "selection"
USUAL = [name for name in PROBLEMS if name not in PARTS.values()]
SEEDS = 10
CELL = ["problem", "seed", "batch_size", "lr", "warmup_epochs"]
RUNS = [*CELL, "test_acc", "curve", "losses", "seconds", "cpu_seconds", "diverged"]
STEPS = ["problem", "batch_size", "n_train", "step_s"]


def table(name: str, columns: list[str]) -> pd.DataFrame:
    """A committed table of this page, empty where there is none yet."""
    path = FOLDER / f"{name}.parquet"
    found = pd.read_parquet(path) if path.is_file() else pd.DataFrame()
    return found.reindex(columns=columns)


def recorded(records: dict[str, dict] | None = None) -> pd.DataFrame:
    """The runs of the paper's full protocol that the store holds, under every rule, in the columns `RUNS`."""
    records = Store().records() if records is None else records
    rows = []
    for key in metrics.full_protocol(metrics.frame(records.values()))["id"]:
        r, run = records[key], Run.from_dict(records[key]["run"])
        curve = [100 * c / r["data"]["n_test"] for c in r["history"]["test_correct"]]
        seconds, cpu = sum(r["observed"]["seconds"]), r["observed"].get("cpu_seconds")
        took = seconds, sum(cpu) if cpu else math.nan
        cell = run.dataset, run.seed, run.batch_size, run.lr, run.warmup_epochs
        diverged = r["final"]["diverged_epoch"] is not None
        rows.append((*cell, curve[-1], curve, r["history"]["test_loss"], *took, diverged))
    return pd.DataFrame(rows, columns=RUNS)


def runs() -> pd.DataFrame:
    """All runs that serve this page: those of the store, then those made for it; one row for each `CELL`."""
    parts = [part for part in (recorded(), table("runs", RUNS)) if len(part)]
    if not parts:
        return pd.DataFrame(columns=RUNS)
    both = pd.concat(parts, ignore_index=True)
    # The constant and linear rules meet at B = 32.
    return both[~keys(both).duplicated()].reset_index(drop=True)


def keys(frame: pd.DataFrame) -> pd.Series:
    """Addresses of cells; rates to nine digits, which separate any two that are tried."""
    cells = frame[CELL].itertuples(index=False)
    return pd.Series(
        [f"{p}|{s}|{b}|{lr:.9g}|{w}" for p, s, b, lr, w in cells], dtype=object, index=frame.index
    )


def cells(on: Problem, seed: int) -> list[dict]:
    """The problem's grid under the linear rule for one seed, keys `CELL`; empty unless stored."""
    if on.name in DATASETS:
        return []
    p = on.protocol
    return [
        {
            "problem": on.name,
            "seed": seed,
            "batch_size": b,
            "lr": algorithm_2.rate(on.base_lr, b),
            "warmup_epochs": p.warmup(b),
        }
        for b in on.batch_sizes
    ]


def evaluate(names: list[str], seeds: int = SEEDS, progress: bool = True) -> None:
    """Make what the committed tables lack for these problems, seed by seed, the fixed choices included.

    What is finished of a seed and a problem is on disk before the next begins.
    """
    chosen, made, stored = table("choices", CHOICES), table("runs", RUNS), set(keys(recorded()))
    for seed, name in tqdm([(42 + k, name) for k in range(seeds) for name in names], disable=not progress):
        on, known = problem(name), chosen[(chosen["problem"] == name) & (chosen["seed"] == seed)]
        lacking = [method for method in METHODS if method not in set(known["method"])]
        if lacking:
            fit(on.task(), 32, on.base_lr, 1)  # the first training of a process loads half of PyTorch
        decided = [decide(on, method, seed) for method in lacking]
        wanted = pd.DataFrame([*known.to_dict("records"), *decided, *cells(on, seed)])[CELL]
        have = stored | set(keys(made))
        todo = wanted[~keys(wanted).isin(have) & ~keys(wanted).duplicated()]
        if lacking or len(todo):
            made = _with(made, [_trained(on, cell) for cell in todo.to_dict("records")])
            chosen = _with(chosen, decided)
            _write("runs", made)  # before the choices: none of them is without its run
            _write("choices", chosen)
            _note()


def _note() -> None:
    told = {"command": COMMAND, "date": datetime.now(UTC).date().isoformat()}
    text = json.dumps(told | environment("cpu"), indent=1, sort_keys=True)
    write_whole(FOLDER / "provenance.json", f"{text}\n".encode())


def _trained(on: Problem, cell: dict) -> dict:
    """A cell, trained on all training samples and judged on the test set: a row of `RUNS`."""
    size, lr, warm = cell["batch_size"], cell["lr"], cell["warmup_epochs"]
    f = on.train(size, lr, on.epochs, cell["seed"], on=on.whole, warmup_epochs=warm)
    return cell | {
        "test_acc": f.validation_score,
        "curve": list(f.curve),
        "losses": list(f.losses),
        "seconds": f.seconds,
        "cpu_seconds": f.cpu_seconds,
        "diverged": f.diverged,
    }


def time_steps(names: list[str]) -> None:
    """Time a step of each problem at every batch size that was chosen, in rounds over all of them, so that a
    busy spell meets all alike. The least of each stands, over earlier calls too: other work only adds."""
    chosen, before = table("choices", CHOICES), table("steps", STEPS)
    least = before.set_index(["problem", "batch_size"])["step_s"].to_dict()
    rows = [row for row in before.itertuples(index=False, name=None) if row[0] not in names]
    for on in map(problem, names):
        task, n = on.task(clock=time.process_time), len(on.whole.train_y)
        sizes = sorted({*chosen.loc[chosen["problem"] == on.name, "batch_size"].tolist()})
        step_seconds(task, 32)  # the first step of a process loads half of PyTorch
        for _ in range(3):
            for b in sizes:
                took = step_seconds(task, min(b, len(task.train)))
                least[on.name, b] = min(took, least.get((on.name, b), took))
        rows += [(on.name, b, n, least[on.name, b]) for b in sizes]
    _write("steps", pd.DataFrame(rows, columns=STEPS))


def _with(old: pd.DataFrame, rows: list[dict]) -> pd.DataFrame:
    new = pd.DataFrame(rows, columns=old.columns)
    return pd.concat([part for part in (old, new) if len(part)] or [old], ignore_index=True)


def _write(name: str, frame: pd.DataFrame) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_whole(FOLDER / f"{name}.parquet", frame.to_parquet(compression="zstd", index=False))
