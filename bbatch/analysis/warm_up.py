"""What does a warm-up change? Runs with and without one, alike in all else: of the synthetic sets from the
table of study `warm-up`, of MNIST and CIFAR-10 from the records."""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from ..config import BASE, DATASETS, Run
from ..metrics import frame, one_arithmetic
from .cells import learned
from .estimate import Estimate, lacking, mean
from .learning_rate_rules import IMAGES

EPOCHS = DATASETS["mnist"].protocol.warmup_epochs  # the one warm-up of Table II


def image_pairs(records: Iterable[dict]) -> pd.DataFrame:
    """The runs of MNIST and CIFAR-10 with Table II's warm-up that have a twin without one, and those twins;
    one of the two follows the paper. Of a batch size in both arithmetics one counts (`one_arithmetic`).

    Columns: dataset, batch_size, seed, warmup_epochs, test_acc, train_acc (percent), gap (clean),
    gap_running (points), precision, id."""
    twins: dict[Run, dict[Run, dict]] = {}
    for record in records:
        if record["run"]["dataset"] in IMAGES and not record["observed"].get("failure"):
            run = Run.from_dict(record["run"])
            if run.warmup_epochs in (0, EPOCHS):
                twins.setdefault(replace(run, warmup_epochs=0), {})[run] = record
    pairs = [pair for plain, pair in twins.items() if plain.lr_rule == "linear" and len(pair) == 2]
    kept = (pair for pair in pairs if any(run.follows_the_paper() for run in pair))
    found = one_arithmetic(frame(record for pair in kept for record in pair.values()))
    columns = "dataset batch_size seed warmup_epochs test_acc train_acc gap gap_running precision id"
    return found[columns.split()]


def lost_with_it(records: Iterable[dict]) -> pd.DataFrame:
    """The trainings of MNIST and CIFAR-10 at full length, under the linear rule, that have not `learned` in
    spite of a warm-up; in both arithmetics.

    Columns: dataset, batch_size, seed, precision, test_acc (percent), id."""
    ended = (r for r in records if not r["observed"].get("failure"))
    runs = frame(r for r in ended if r["run"]["dataset"] in IMAGES)
    of = runs["dataset"].map(DATASETS)
    whole = runs["n_train"] == of.map(lambda d: d.n_train)
    whole &= runs["epochs"] == of.map(lambda d: d.protocol.epochs)
    lost = (runs["warmup_epochs"] > 0) & (runs["lr_rule"] == "linear") & ~learned(runs)
    return runs.loc[lost & whole, "dataset batch_size seed precision test_acc id".split()]


def with_and_without(pairs: pd.DataFrame, dataset: str) -> tuple[pd.Series, pd.Series]:
    """Test accuracy, in percent, of a data set's runs with a warm-up and of their twins without, each by
    batch_size and seed, ascending. `pairs` as `image_pairs` gives them."""
    mine = pairs[pairs["dataset"] == dataset].set_index(["batch_size", "seed"]).sort_index()
    warm = mine["warmup_epochs"] > 0
    return mine.loc[warm, "test_acc"], mine.loc[~warm, "test_acc"]


def warm_up_effect(runs: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy with the warm-up minus without, in points, paired by seed.

    Columns: dataset, batch_size, difference (`Estimate`), with_it and without (mean accuracy in percent).
    """
    rows = []
    for (name, b), cell in runs.groupby(["dataset", "batch_size"]):
        warm, by_seed = cell["warmup_epochs"] > 0, cell.set_index("seed")["test_acc"]
        on, off = by_seed[warm.to_numpy()].align(by_seed[~warm.to_numpy()], join="inner")
        about = f"{DATASETS[name].title}, B = {b}"
        difference = mean(on - off, "points", about, cell["id"], how="paired by seed")
        rows.append([name, int(b), difference, on.mean(), off.mean()])
    return pd.DataFrame(rows, columns=["dataset", "batch_size", "difference", "with_it", "without"])


def left_to_base(
    pairs: pd.DataFrame, runs: pd.DataFrame, base: int = BASE, metric: str = "test_acc"
) -> pd.DataFrame:
    """A metric with a warm-up minus that at batch size `base` without one, in points, paired by seed: of test
    accuracy, what the warm-up leaves of a fall. `pairs` as `image_pairs` gives them, `runs` of the paper's
    rule; `metric`: "test_acc", "train_acc", "gap" or "gap_running".

    Columns: dataset, batch_size, difference (`Estimate`). Only runs in equal arithmetic are compared.
    """
    keys = ["dataset", "seed", "precision"]
    at_base = runs[runs["batch_size"] == base].set_index(keys)[metric].rename("at_base")
    warmed = pairs[pairs["warmup_epochs"] > 0].join(at_base, keys)
    rows = []
    for (name, b), cell in warmed.dropna(subset="at_base").groupby(["dataset", "batch_size"]):
        about = f"{DATASETS[name].title}, B = {b} with warm-up and {base} without"
        left = cell[metric] - cell["at_base"]
        rows.append([name, int(b), mean(left, "points", about, cell["id"], how="paired by seed")])
    return pd.DataFrame(rows, columns=["dataset", "batch_size", "difference"])


def gains(runs: pd.DataFrame) -> list[Estimate]:
    """The differences of `warm_up_effect`, at every batch size of every data set that was tried."""
    if runs.empty:
        return [lacking("warm-up", "python -m bbatch.studies warm-up", unit="points")]
    return list(warm_up_effect(runs)["difference"])
