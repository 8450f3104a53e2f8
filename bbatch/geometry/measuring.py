"""Measure what is missing of the paper's networks, and record it."""

import pandas as pd
from tqdm import tqdm

from .. import data
from ..config import Run
from ..errors import one_of
from ..records.store import Store
from ..repository import commit
from . import measurements, one_network
from .measurements import COLUMNS
from .networks import EFFORT, epochs_of, networks, planned


def planned_datasets(datasets) -> list[str]:
    """These data sets, or all that have a plan in `EFFORT`. Raises `BadInput` for one that has none."""
    for name in datasets or EFFORT:
        one_of("data set with measurements of geometry", name, EFFORT)
    return list(datasets or EFFORT)


def measure_missing(
    datasets=None, seeds: int | None = None, store: Store | None = None, progress: bool = True
) -> list[dict]:
    """Measure what is missing of these data sets and write it, run by run; returns a row for each data set.

    Synthetic networks are trained again, in seconds; those of images come from the weights that the sweep
    keeps in the live store. Row: dataset, measured (runs, now), without_weights (runs that have none here),
    needs (the command that gives them). Raises `BadInput` for a data set that is not in `EFFORT`.
    """
    store, rows, names = store or Store(), [], planned_datasets(datasets)
    records = store.records()
    for name in names:
        source, done, have = data.load(name), 0, measurements.read_measurements("", COLUMNS, [name])
        runs = planned(name, seeds, store, source.fingerprint)
        for run in tqdm(runs, desc=name, unit="run", disable=not progress):
            if new := _new_rows(run, source, store, records, have):
                have = pd.concat([have, pd.DataFrame(new)[COLUMNS]], ignore_index=True)
                measurements.write_measurements("", name, have)
                done += 1
        ends = have[have["epoch"] == runs[0].epochs]
        # A run counts in whichever precision it is.
        ended = set(zip(ends["batch_size"], ends["lr_rule"], ends["seed"], strict=True))
        missing = [run for run in runs if (run.batch_size, run.lr_rule, run.seed) not in ended]
        row = {"dataset": name, "measured": done, "without_weights": len(missing), "needs": None}
        if missing:
            r = missing[0]
            row["needs"] = f"bbatch run {name} --batch-size {r.batch_size} --seed {r.seed}"
        rows.append(row)
    return rows


def _new_rows(
    run: Run, source: data.Data, store: Store, records: dict[str, dict], have: pd.DataFrame
) -> list[dict]:
    """What a run has to give that `have` lacks, as rows with `COLUMNS`."""
    key = run.key(source.fingerprint)
    epochs = set(have.loc[have["id"] == key, "epoch"])
    todo = [e for e in epochs_of(run) if e not in epochs]
    of_run = measurements.of_run(run) | {"id": key, "commit": commit()}
    return [
        {**of_run, "epoch": epoch, "source": origin, **row}
        for epoch, net, origin in networks(run, key, source, store, todo, records.get(key))
        for row in one_network.rows(run, epoch, net, source)
    ]
