"""What is trained while a page is made: small enough for a page, real enough to check the records by."""

from __future__ import annotations

import tempfile

import pandas as pd

from . import data
from .config import grid, plan
from .store import Store
from .sweep import sweep
from .trainer import Outcome, train
from .verify import compare


def sweep_again(dataset: str, profile: str, seeds: int) -> pd.DataFrame:
    """Train a data set's grid from nothing and hold it against the committed records, a row for each batch size.

    Columns: B, runs, how many of them have each agreement of `verify.compare` (another machine rounds differently; another
    engine too) or are not committed. Empty for `seeds` = 0. Raises `BadInput` as `config.grid` does.
    """
    columns = ["B", "runs", "bit-identical", "within tolerance", "differs", "failed", "not committed"]
    if seeds == 0:
        return pd.DataFrame(columns=columns)
    runs, committed = grid([dataset], profile, seeds), Store().frozen_records()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder, frozen=None)
        sweep(runs, store)
        found = pd.DataFrame(
            [
                {"B": r["run"]["batch_size"], "runs": 1, _agreement(r, committed): 1}
                for r in store.live().values()
            ]
        )
    return found.groupby("B").sum().reset_index().reindex(columns=columns, fill_value=0).astype(int)


def _agreement(record: dict, committed: dict[str, dict]) -> str:
    return (
        compare(committed[record["id"]], record)["agreement"]
        if record["id"] in committed
        else "not committed"
    )


def summary(table: pd.DataFrame) -> str:
    """What came of `sweep_again`, in words."""
    total = table.drop(columns="B").sum()
    found = [f"{total[how]} {how}" for how in total.index[1:] if total[how]]
    return f"{total['runs']} runs trained while this page was made, against their committed records: {', '.join(found) or 'none'}"


def train_one(dataset: str, batch_size: int, seed: int) -> Outcome:
    """Train one run under the paper's protocol, here and now. Raises `BadInput` as `config.plan` does."""
    return train(plan(dataset, batch_size, seed), data.load(dataset))
