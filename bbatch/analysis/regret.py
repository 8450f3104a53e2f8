"""What a way to choose a batch size costs, in numbers.

Regret: the test accuracy of the full grid's best batch size under the linear rule (highest mean over seeds)
less that of the choice, in points, paired by seed. The best cell is picked with the same test set, which
flatters it: regrets lie on the high side by up to about the scatter of a cell's mean. A choice at another
rate than the linear rule's may have a regret below 0. A share of the variance that is explained counts as 0
where it is below: the mean as the answer would do as well.

Time: how long training with the choice takes in plain PyTorch until the test loss first comes within
`NEAR` of the lowest that B = 32 at the default rate reaches (mean over seeds).
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from pandas.api.typing import SeriesGroupBy

from ..choosing.algorithm_2 import rate
from ..config import DATASETS, PUBLISHED
from ..evaluation.problems import PROBLEMS, base_rate, protocol
from ..evaluation.tables import COMMAND, STEPS, keys, table
from ..evaluation.tables import runs as all_runs
from ..evaluation.ways import CHOICES, METHODS
from ..statistics import Interval, geometric_mean, mean_interval, paired_difference, satterthwaite
from .estimate import Estimate, lacking, mean

NEAR = 1.05  # times the lowest loss: nearer than the scatter of single runs would ask for luck
DEFAULT, BEST = "always 32", "recommended"
RESULTS = [*CHOICES, "test_acc", "best_acc", "target_epochs", "target_s", "followed"]
COLUMNS = "problem method batch_sizes n test_acc regret reached followed seconds choice_cpu_s".split()


def whole_grid(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """The problem's runs under the linear rule where every batch size of its protocol has them, for the seeds
    that all have; empty where the grid has holes. A problem that the store does not hold has the sizes that
    its rows allow."""
    sizes = protocol(name).batch_sizes
    here = runs[runs["problem"] == name]
    by_rule = rate(base_rate(name), here["batch_size"].astype(float))
    linear = here[np.isclose(here["lr"].astype(float), by_rule, rtol=1e-9)]
    wide = linear.drop_duplicates(["batch_size", "seed"])
    full = len(sizes) if name in DATASETS else len(set(sizes) & set(wide["batch_size"]))
    whole = wide[wide["batch_size"].isin(sizes)]
    have = whole.groupby("seed")["batch_size"].nunique()
    return whole[whole["seed"].isin(have[have == full].index)]


def best_cell(cells: pd.DataFrame) -> int:
    """The batch size with the highest mean test accuracy of a full grid."""
    return int(cells.groupby("batch_size")["test_acc"].mean().idxmax())


def method_results(
    runs: pd.DataFrame | None = None, choices: pd.DataFrame | None = None, steps: pd.DataFrame | None = None
) -> pd.DataFrame:
    """A row for each problem, method and seed whose choice has been trained, where the grid is full.

    Columns `RESULTS`: those of `ways.CHOICES`, then test_acc, best_acc (of the best cell, same seed),
    target_epochs and target_s: epochs, and seconds in plain PyTorch, until the target loss; missing where a
    run never came there, or its losses or steps are not recorded. followed: whether its losses are.
    """
    runs = all_runs() if runs is None else runs
    choices = table("choices", CHOICES) if choices is None else choices
    steps = table("steps", STEPS) if steps is None else steps
    step = {(p, b): s * np.ceil(n / b) for p, b, n, s in steps[STEPS].itertuples(index=False)}
    by_key, parts = dict(zip(keys(runs), runs.to_dict("records"), strict=True)), []
    for name in PROBLEMS:
        cells = whole_grid(runs, name)
        if cells["seed"].nunique() < 2:
            continue
        best = cells[cells["batch_size"] == best_cell(cells)].set_index("seed")["test_acc"]
        rows = []
        chosen = choices[choices["problem"] == name]
        for c, key in zip(chosen.to_dict("records"), keys(chosen), strict=True):
            if (run := by_key.get(key)) and c["seed"] in best.index:
                losses = np.asarray(run["losses"] if np.ndim(run["losses"]) else [], float)
                scores = {"test_acc": max(run["test_acc"], 0.0), "best_acc": best[c["seed"]]}
                rows.append(c | scores | {"losses": losses, "followed": len(losses) > 0})
        lowest = [r["losses"].min() for r in rows if r["method"] == DEFAULT and len(r["losses"])]
        for r in rows:
            near = np.flatnonzero(r.pop("losses") <= NEAR * np.mean(lowest)) if lowest else []
            r["target_epochs"] = near[0] + 1 if len(near) else np.nan
            r["target_s"] = r["target_epochs"] * step.get((name, r["batch_size"]), np.nan)
        parts += rows
    return pd.DataFrame(parts, columns=RESULTS)


def comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of seeds that every way has, of problems with two such seeds or more: means are over these."""
    ways = rows.groupby(["problem", "seed"])["method"].transform("nunique")
    found = rows[ways == rows["method"].nunique()]
    return found[found.groupby("problem")["seed"].transform("nunique") > 1]


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each problem and method, `COLUMNS`.

    batch_sizes: the most frequent and the range, as text; accuracies and regrets: `Interval`; reached: how
    many runs came to the target loss, of those `followed` epoch by epoch; seconds: mean of target_s over
    those that did; choice_cpu_s: mean processor seconds of choosing.
    """
    out = []
    for name in dict.fromkeys(rows["problem"]):
        for method in METHODS:
            r = rows[(rows["problem"] == name) & (rows["method"] == method)]
            if len(r):
                sizes, usual = r["batch_size"], r["batch_size"].mode()[0]
                span = f" ({sizes.min()} to {sizes.max()})" if sizes.nunique() > 1 else ""
                out.append(
                    {
                        "problem": PROBLEMS[name],
                        "method": method,
                        "n": len(r),
                        "batch_sizes": f"{usual}{span}",
                        "test_acc": mean_interval(r["test_acc"]),
                        "regret": paired_difference(r["best_acc"], r["test_acc"]),
                        "reached": int(r["target_epochs"].notna().sum()),
                        "followed": int(r["followed"].sum()),
                        "seconds": r["target_s"].mean(),
                        "choice_cpu_s": r["cpu_seconds"].mean(),
                    }
                )
    return pd.DataFrame(out, columns=COLUMNS)


def by_problem(rows: pd.DataFrame, method: str = BEST, other: str = DEFAULT) -> dict[str, Interval]:
    """`method` less `other` in test accuracy, paired by seed, of each problem that has both."""
    pairs = _pairs(rows, method, other).groupby("problem", sort=False)
    return {name: paired_difference(both["test_acc"], both["test_acc_other"]) for name, both in pairs}


def sooner(rows: pd.DataFrame, method: str = BEST, other: str = DEFAULT) -> pd.DataFrame:
    """How many times sooner `method` comes to the target loss than `other`, a row a problem where `other`
    does with two seeds or more.

    Columns: problem, ratio (`Interval`: geometric mean over the seeds with which both got there, None for
    fewer than two), both and either (numbers of seeds with which both, and `other`, got there).
    """
    out = []
    followed = _pairs(rows[rows["followed"]], method, other)
    for name, pairs in followed.groupby("problem", sort=False):
        there = pairs.dropna(subset="target_s_other")
        both = there.dropna(subset="target_s")
        if len(there) > 1:
            ratio = geometric_mean(both["target_s_other"] / both["target_s"]) if len(both) > 1 else None
            out.append({"problem": name, "ratio": ratio, "both": len(both), "either": len(there)})
    return pd.DataFrame(out, columns=["problem", "ratio", "both", "either"])


def _pairs(rows: pd.DataFrame, method: str, other: str) -> pd.DataFrame:
    """The rows of `method`, each with the columns of `other` for the same problem and seed beside it."""
    own, others = rows[rows["method"] == method], rows[rows["method"] == other]
    return own.merge(others, on=["problem", "seed"], suffixes=("", "_other"))


def mean_difference(rows: pd.DataFrame, method: str = BEST, other: str = DEFAULT) -> Estimate:
    """`method` less `other` in test accuracy, points, each problem counted once in the mean; n counts the
    pairs.

    Problems may have different numbers of seeds: their squared standard errors add up, with the degrees of
    freedom of Welch and Satterthwaite, as for independent samples (a seed draws other data, networks and
    orders in each problem).
    """
    pairs = _pairs(rows, method, other)
    each = (
        (pairs["test_acc"] - pairs["test_acc_other"]).groupby(pairs["problem"]).agg(["mean", "var", "count"])
    )
    found = Estimate(float(each["mean"].mean()), len(pairs), counted="pairs")
    parts = each["var"] / each["count"] / len(each) ** 2
    if not (each["count"] > 1).all() or each.empty:
        return found
    freedom = satterthwaite(parts, each["count"] - 1)
    return replace(found, error=float(np.sqrt(parts.sum())), freedom=freedom)


def by_problem_and_way(rows: pd.DataFrame) -> SeriesGroupBy:
    """The regret of each seed, in points, grouped by problem and method."""
    return (rows["best_acc"] - rows["test_acc"]).groupby([rows["problem"], rows["method"]])


def regrets_by_problem(rows: pd.DataFrame) -> pd.Series:
    """Mean regret over seeds, in points, by problem and method."""
    return by_problem_and_way(rows).mean()


def mean_regrets(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean regret of each method over the problems on which all were tried, each problem counted once; and
    what the mean is with one problem left out.

    Index: method, the least regret first. Columns: mean, low and high (the least and the largest of the means
    without one problem), worst (largest regret on one problem).
    """
    each = regrets_by_problem(rows)
    wide = each.unstack("method").dropna()
    without = (wide.sum() - wide) / (len(wide) - 1)
    found = {"mean": wide.mean(), "low": without.min(), "high": without.max(), "worst": wide.max()}
    return pd.DataFrame(found).sort_values("mean")


def leave_one_out(rows: pd.DataFrame, other: str = DEFAULT) -> dict[str, Estimate]:
    """`mean_difference` of `BEST` with each problem that has both left out in turn, by its name."""
    names = _pairs(rows, BEST, other)["problem"].unique()
    return {name: mean_difference(rows[rows["problem"] != name], other=other) for name in names}


def lost_by_algorithm_2(rows: pd.DataFrame) -> list[Estimate]:
    """What Algorithm 2 costs on each data set of the paper: test accuracy of the best batch size minus that
    of its choice, paired by seed, in points."""
    found = []
    for d in PUBLISHED:
        mine = rows[(rows["problem"] == d) & (rows["method"] == "Algorithm 2")]
        lost, about = (mine["best_acc"] - mine["test_acc"]).dropna(), DATASETS[d].title
        nothing = lacking(about, f"{COMMAND} {d}", unit="points")
        found.append(mean(lost, "points", about, how="paired by seed") if len(lost) else nothing)
    return found
