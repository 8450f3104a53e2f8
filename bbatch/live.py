"""What is trained while a page is made: small enough for a page, real enough to check the records by."""

from __future__ import annotations

import tempfile

import pandas as pd

from . import data
from .config import grid, plan
from .store import Store
from .sweep import sweep
from .trainer import Outcome, train


def sweep_again(dataset: str, profile: str, seeds: int) -> pd.DataFrame:
    """Train a data set's grid from nothing and hold it against the committed records, a row for each batch size.

    Columns: batch_size, runs, identical (bit for bit), different (another machine rounds differently; another engine
    too), not_committed. Empty for `seeds` = 0. Raises `BadInput` as `config.grid` does.
    """
    columns = ["batch_size", "runs", "identical", "different", "not_committed"]
    if seeds == 0:
        return pd.DataFrame(columns=columns)
    runs, committed = grid([dataset], profile, seeds), Store().frozen_records()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder, frozen=None)
        sweep(runs, store)
        for size in dict.fromkeys(run.batch_size for run in runs):
            keys = {key for key, r in store.live().items() if r["run"]["batch_size"] == size}
            rows.append({"batch_size": size, "runs": len(keys)} | store.agreement(committed, keys))
    return pd.DataFrame(rows, columns=columns)


def train_one(dataset: str, batch_size: int, seed: int) -> Outcome:
    """Train one run under the paper's protocol, here and now. Raises `BadInput` as `config.plan` does."""
    return train(plan(dataset, batch_size, seed), data.load(dataset))
