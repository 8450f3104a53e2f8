"""What closes the gap of a large batch? Read from the tables of studies `remedies-NAME`, `optimizers-NAME`.

The gap at a batch size is the test accuracy of B = 32 at its best rate, minus that of the larger batch at
the same rate: nothing but the batch is changed. A remedy's share of it is the accuracy that the remedy gains,
over the gap: 1 where it is closed, above 1 where the large batch comes out ahead.

Each remedy is taken at its own best rate, as `rate_map` chooses it (on held-out samples, over all
seeds), and so are its intervals: seeds are drawn again, the same for all of a comparison, and each draw
chooses all rates anew. The rules start from the best rate at 32 and are read from the plain arm, whose rates
are an octave apart; between two of them accuracy is interpolated.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..config import BASE, BATCH_SCHEDULES, LR_RULES
from ..errors import BadInput, one_of
from ..studies.remedies import LARGE, PLAIN, SETTINGS, arm_trials, optimizers_of, remedies_of
from . import rate_map
from .estimate import Estimate
from .rate_map import Grid

# What tells the trials of a data set's studies apart.
KEYS = """
    batch_size base_lr seed epochs patience optimizer weight_decay network
    batch_schedule lr_schedule warmup_epochs averages
""".split()
AT_BASE = f"{PLAIN} at {BASE}"
TUNED = "tuned rate"
RULES = {"square-root rule": "sqrt", "linear rule": "linear"}


def by_arm(dataset: str, runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The runs of each arm of which all are there, by the arm's name; several tables may be joined in `runs`.

    Raises `BadInput` for an unknown study, or where the plain arms, which all are compared with, are not
    complete.
    """
    one_of("study of remedies", dataset, SETTINGS)
    found = {}
    for name, arm in (remedies_of(dataset) | optimizers_of(dataset)).items():
        wanted = pd.DataFrame(
            [
                vars(t.run) | {"network": t.run.network_name, "patience": t.patience, "averages": t.averages}
                for t in arm_trials(dataset, arm)
            ]
        )
        wanted = wanted[KEYS].astype({"patience": "Int64"})
        here = runs.merge(wanted, on=KEYS).drop_duplicates(KEYS)
        if len(here) == len(wanted):
            found[name] = here
        elif name in (PLAIN, AT_BASE):
            lacking = len(wanted) - len(here)
            raise BadInput(
                f"the study remedies-{dataset} lacks {lacking} runs of its arm {name!r}; train them."
            )
    return found


def arm_grid(runs: pd.DataFrame, batch_size: int, seeds: int) -> Grid:
    """An arm's runs at one batch size, on its first `seeds` seeds."""
    first = sorted(runs["seed"].unique())[:seeds]
    here = runs[(runs["batch_size"] == batch_size) & runs["seed"].isin(first)]
    return rate_map.map_by_batch_size(here)[batch_size]


def coverage(seeds: int, cases: int = 2_000) -> float:
    """How often, of 1, such an interval for a mean of `seeds` values holds the true mean, where values are
    normal: few seeds drawn again do not reach as far as new ones would. Simulated."""
    values = np.random.default_rng(0).normal(size=(cases, seeds))
    low, high = np.quantile(values @ rate_map.weights_of(seeds)[1:].T, rate_map.tails(), axis=1)
    return float(((low < 0) & (high > 0)).mean())


@dataclass(frozen=True)
class Untreated:
    """What the remedies at one batch size are compared with: the plain arm's grids at B = 32 and at the batch
    size."""

    batch_size: int
    base: Grid
    plain: Grid

    def by_rule(self, rule: str) -> np.ndarray:
        """Test accuracy of the larger batch at the best rate of B = 32 times the rule's factor, in percent,
        [1 + draws]; `constant`: untreated."""
        rates = self.base.rates[self.base.chosen] * LR_RULES[rule](self.batch_size / BASE)
        found = np.empty(len(rates))
        for rate in np.unique(rates):
            found[rates == rate] = self.base.weights[rates == rate] @ self.plain.at(rate)
        return found


def untreated(arms: dict[str, pd.DataFrame], batch_size: int, seeds: int) -> Untreated:
    """The plain arms on their first `seeds` seeds."""
    base, plain = arm_grid(arms[AT_BASE], BASE, seeds), arm_grid(arms[PLAIN], batch_size, seeds)
    return Untreated(batch_size, base, plain)


def gaps_to_close(dataset: str, runs: pd.DataFrame) -> pd.DataFrame:
    """The gap that there is to close. Columns: batch_size; rate (the best at 32); at_base and kept (test
    accuracy in percent of B = 32 and of the larger batch at that rate) and gap (points), all `Interval`."""
    arms, rows = by_arm(dataset, runs), []
    seeds = arms[PLAIN]["seed"].nunique()
    for b in LARGE:
        u = untreated(arms, b, seeds)
        at_base, kept = u.base.accuracy, u.by_rule("constant")
        intervals = (rate_map.interval_of(v, seeds) for v in (at_base, kept, at_base - kept))
        rows.append([b, u.base.rate, *intervals])
    return pd.DataFrame(rows, columns=["batch_size", "rate", "at_base", "kept", "gap"])


def gap_closed(dataset: str, runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each large batch size and remedy, in the order of the studies, the rules first.

    Columns: remedy, batch_size; accuracy (percent), left (of the gap, points), share (of the gap that is
    closed; missing where the gap's interval does not lie above 0) and over_tuned (points: what the remedy has
    over the plain training at its best rate, of the same seeds), all `Interval`; rate (the chosen one;
    missing for the rules), at_edge (it is the lowest or highest tried); at that rate, means over the seeds of
    epochs, steps and cpu_seconds (missing where a GPU trained), the engine and the precision.
    """
    arms, rows = by_arm(dataset, runs), []
    plain, counts = arms[PLAIN], {name: found["seed"].nunique() for name, found in arms.items()}
    for b in LARGE:
        compared_with = {n: untreated(arms, b, n) for n in set(counts.values())}
        u = compared_with[counts[PLAIN]]
        cost = cost_of_run(plain, b, u.plain.rates[0])
        for title, rule in RULES.items():
            rows.append(_compared(u, title, u.by_rule(rule)) | {"rate": math.nan, "at_edge": False} | cost)
        for name, found in arms.items():
            if b in found["batch_size"].unique() and not name.startswith("SGD, "):
                rows.append(_treated(compared_with[counts[name]], name, found))
    return pd.DataFrame(rows)


def _treated(u: Untreated, name: str, runs: pd.DataFrame) -> dict:
    """The row of an arm."""
    grid = arm_grid(runs, u.batch_size, u.plain.seeds)
    row = _compared(u, TUNED if name == PLAIN else name, grid.accuracy)
    row |= {"rate": grid.rate, "at_edge": grid.at_edge}
    return row | cost_of_run(runs, u.batch_size, grid.rate)


def _compared(u: Untreated, name: str, accuracy: np.ndarray) -> dict:
    seeds, at_base, kept = u.plain.seeds, u.base.accuracy, u.by_rule("constant")
    gap = rate_map.interval_of(at_base - kept, seeds)
    with np.errstate(divide="ignore", invalid="ignore"):  # a draw without a gap has no share
        share = (accuracy - kept) / (at_base - kept) if gap.low > 0 else np.full(len(kept), math.nan)
    gain = accuracy - u.plain.accuracy
    found = {"accuracy": accuracy, "left": at_base - accuracy, "share": share, "over_tuned": gain}
    intervals = {k: rate_map.interval_of(values, seeds) for k, values in found.items()}
    return {"remedy": name, "batch_size": u.batch_size} | intervals


def cost_of_run(runs: pd.DataFrame, batch_size: int, rate: float) -> dict:
    """Means over the runs at one rate, and the engine that trained them.

    cpu_seconds is NaN where a GPU trained: processor time of its host is no cost of a run."""
    cell = runs[(runs["batch_size"] == batch_size) & (runs["lr"] == rate)]
    return {
        "epochs": float(cell["epochs_run"].mean()),
        "steps": float(np.mean([_steps(row) for row in cell.itertuples()])),
        "cpu_seconds": float(cell["cpu_seconds"].where(cell["device"] == "cpu").mean()),
        "engine": ", ".join(sorted(cell["engine"].unique())),
        "precision": ", ".join(sorted(cell["precision"].unique())),
    }


def _steps(row) -> int:
    """Steps of a run, the last, partial batches among them."""
    size = BATCH_SCHEDULES[row.batch_schedule]
    sizes = (size(row.batch_size, epoch, row.epochs) for epoch in range(row.epochs_run))
    return sum(math.ceil(row.n_train / b) for b in sizes)


def first_remedy(dataset: str, runs: pd.DataFrame) -> Estimate:
    """Which remedy to try first: of those that change nothing but the rate, and so cost nothing, the one that
    closes most of the gap at the largest batch size. `about` is its name, the value the share closed."""
    closed = gap_closed(dataset, runs)
    free = closed[(closed["batch_size"] == max(LARGE)) & closed["remedy"].isin([*RULES, TUNED, "warm-up"])]
    best = free.loc[free["share"].map(lambda share: share.mean).idxmax()]
    share, how = best["share"], f"of the gap at B = {max(LARGE)}, seeds drawn again"
    return Estimate(share.mean, share.n, how=how, about=best["remedy"], bounds=(share.low, share.high))
