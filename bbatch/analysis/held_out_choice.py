"""Choosing the batch size on held-out training data, beside the paper's way, on the test set (IV-G).

The best of eight accuracies on one test set is the best partly by luck on that test set, and is then reported
on it. Here a fifth of the training samples is held out: each network learns from the rest, the batch size is
chosen by held-out accuracy, and the test set only judges. Both ways choose among the same networks, so that
the difference between the accuracy that the paper's way prints and the one that an honest choice attains is
paired by seed. It holds the optimism of the first way and the luck of the second, and so bounds the optimism
from above."""

import io
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ..config import DATASETS, SYNTHETIC, plan
from ..files import write_whole
from ..records.store import FROZEN
from ..statistics import Interval, paired_difference
from ..studies.batch_and_rate import SHARE
from ..studies.trial import Trial, train_trial

FILE = FROZEN / "heldout.csv"
COLUMNS = [
    "dataset",
    "batch_size",
    "seed",
    "n_train",
    "n_heldout",
    "heldout_correct",
    "n_test",
    "test_correct",
]
OF_TRIAL = {"n_heldout": "n_held_out", "heldout_correct": "held_out_correct"}  # as `studies` calls them
SEEDS = 10


def held_out_rows(path: Path = FILE) -> pd.DataFrame:
    """A row a run: right answers on held-out and on test samples; empty where none was measured."""
    return pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=COLUMNS)


def measure(datasets=SYNTHETIC, seeds: int = SEEDS, path: Path = FILE, progress: bool = True) -> list[dict]:
    """Train what the table lacks, by the paper's protocol but with a fifth held out, and add it.

    Returns the new rows, of seeds 42, 43, ... at every batch size. What is finished stays when it is
    interrupted."""
    have, found = held_out_rows(path), []
    done = set(have[["dataset", "batch_size", "seed"]].itertuples(index=False, name=None))
    todo = [
        (d, 42 + k, b)
        for d in datasets
        for k in range(seeds)
        for b in DATASETS[d].protocol.batch_sizes
        if (d, b, 42 + k) not in done
    ]
    for name, seed, b in tqdm(todo, unit="run", desc="held-out choice", disable=not progress):
        found.append(_one(name, b, seed))
        if b == DATASETS[name].protocol.batch_sizes[-1]:
            _write(pd.concat([have, pd.DataFrame(found)]) if len(have) else pd.DataFrame(found), path)
    return found


def _one(name: str, batch_size: int, seed: int) -> dict:
    n = DATASETS[name].n_train
    held_out = round(SHARE * n)
    row = train_trial(Trial(plan(name, batch_size, seed, n_train=n - held_out), held_out))
    return {column: row[OF_TRIAL.get(column, column)] for column in COLUMNS}


def _write(table: pd.DataFrame, path: Path) -> None:
    text = io.StringIO()
    table.sort_values(["dataset", "batch_size", "seed"])[COLUMNS].to_csv(text, index=False)
    write_whole(path, text.getvalue().encode())


def choices(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each data set and seed: what each way chooses, and what the test set says of it.

    Columns: dataset, seed, by_test and by_heldout (batch sizes; ties to the smallest), printed (test accuracy
    of the former, percent, chosen and reported on one test set) and attained (test accuracy of the latter).
    """
    rows = []
    for (name, seed), runs in table.sort_values("batch_size").groupby(["dataset", "seed"]):
        test = (100 * runs["test_correct"] / runs["n_test"]).to_numpy()
        by_test, by_heldout = int(test.argmax()), int(runs["heldout_correct"].to_numpy().argmax())
        sizes = runs["batch_size"].to_numpy()
        rows.append(
            {
                "dataset": name,
                "seed": seed,
                "by_test": sizes[by_test],
                "by_heldout": sizes[by_heldout],
                "printed": test[by_test],
                "attained": test[by_heldout],
            }
        )
    return pd.DataFrame(rows, columns=["dataset", "seed", "by_test", "by_heldout", "printed", "attained"])


def optimism(table: pd.DataFrame, dataset: str) -> Interval:
    """Printed minus attained in points, paired by seed."""
    chosen = choices(table[table["dataset"] == dataset])
    return paired_difference(chosen["printed"], chosen["attained"])
