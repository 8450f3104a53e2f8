"""Optimal and critical batch size by the paper's definition (Section IV-G), with the uncertainty over seeds.

"We define B* as the smallest B at which test accuracy falls more than 1% below its peak." Read to the letter, the
smallest such B may lie below the optimum (small batches can be the worse ones); as a bound on how far the batch may
grow it must lie above. We look above the optimum, and name the cases in which nothing is found there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import published
from ..config import DATASETS, SYNTHETIC
from ..errors import BadInput
from ..statistics import Interval, power_law

DROP = 1.0  # percentage points below the peak
FOUND, NEVER, BELOW = "found", "none: never so low", "none: only smaller B"


@dataclass(frozen=True)
class Critical:
    """`optimal`: the batch size of the peak; `critical`: B*, or None; `literal`: the smallest B of any that falls
    below, or None; `case`: one of `FOUND`, `NEVER`, `BELOW`."""

    optimal: int
    critical: int | None
    literal: int | None
    case: str


def critical_batch_size(accuracy: Mapping[int, float], drop: float = DROP) -> Critical:
    """B* from test accuracies in percent by batch size. Ties for the peak go to the smallest batch size.

    Raises `BadInput` for fewer than two batch sizes or a `drop` that is not above 0.
    """
    if len(accuracy) < 2 or not drop > 0:
        raise BadInput(
            f"B* needs two batch sizes or more and a drop above 0, not {len(accuracy)} and {drop!r}."
        )
    sizes = sorted(accuracy)
    optimal = max(sizes, key=lambda b: (accuracy[b], -b))
    low = [b for b in sizes if accuracy[b] < accuracy[optimal] - drop]
    above = [b for b in low if b > optimal]
    case = FOUND if above else BELOW if low else NEVER
    return Critical(optimal, above[0] if above else None, low[0] if low else None, case)


def from_paper(dataset: str) -> Critical:
    """The definition applied to the accuracies that the paper prints for a data set (Tables III, IV, VII)."""
    return critical_batch_size(published.results(dataset).set_index("batch_size")["test_acc"].to_dict())


def from_runs(frame: pd.DataFrame, dataset: str) -> Critical:
    """The definition applied to our mean accuracies over seeds."""
    return critical_batch_size(
        frame[frame["dataset"] == dataset].groupby("batch_size")["test_acc"].mean().to_dict()
    )


def bootstrap(frame: pd.DataFrame, dataset: str, draws: int = 2_000, seed: int = 0) -> pd.DataFrame:
    """How the optimum and B* scatter when seeds are drawn again: a row for each draw, columns optimal, critical, case.

    Seeds that every batch size has are drawn together (paired), with replacement; `critical` is missing where the
    case is not `FOUND`. Raises `BadInput` for fewer than two such seeds.
    """
    wide = (
        frame[frame["dataset"] == dataset]
        .pivot(index="seed", columns="batch_size", values="test_acc")
        .dropna()
    )
    if len(wide) < 2:
        raise BadInput(
            f"a bootstrap over seeds needs two or more; {dataset} has {len(wide)} in every batch size."
        )
    rng, values = np.random.default_rng(seed), wide.to_numpy()
    rows = []
    for _ in range(draws):
        means = values[rng.integers(len(values), size=len(values))].mean(0)
        c = critical_batch_size(dict(zip(wide.columns, means)))
        rows.append((c.optimal, c.critical, c.case))
    return pd.DataFrame(rows, columns=["optimal", "critical", "case"]).astype({"critical": "Int64"})


def bootstraps(frame: pd.DataFrame, datasets) -> dict[str, pd.DataFrame]:
    """`bootstrap` for each of the data sets that have two seeds or more in every batch size."""
    counts = frame.groupby(["dataset", "seed"])["batch_size"].nunique()
    sizes = frame.groupby("dataset")["batch_size"].nunique()
    return {
        name: bootstrap(frame, name)
        for name in datasets
        if name in sizes and (counts[name] == sizes[name]).sum() > 1 and sizes[name] > 1
    }


def printed_n(dataset: str) -> int:
    """N as Table VI prints it: of a synthetic set all samples, of MNIST and CIFAR-10 those for training."""
    spec = DATASETS[dataset]
    return spec.n_train + (spec.n_test if dataset in SYNTHETIC else 0)


def optimum_exponent(draws: Mapping[str, pd.DataFrame]) -> Interval:
    """The power of N that the best batch size follows over data sets: one fit for each bootstrap draw, in the order drawn.

    Mean and the middle 95 % of the fits; `n` is the number of data sets. For N see `printed_n`. Raises `BadInput` for fewer than three data sets.
    """
    if len(draws) < 3:
        raise BadInput(f"an exponent needs three data sets with a bootstrap or more, not {len(draws)}.")
    n = np.log([printed_n(name) for name in draws])
    best = np.log(np.column_stack([table["optimal"].to_numpy(float) for table in draws.values()]))
    slopes = (best - best.mean(1, keepdims=True)) @ (n - n.mean()) / ((n - n.mean()) ** 2).sum()
    return Interval(float(slopes.mean()), *map(float, np.quantile(slopes, (0.025, 0.975))), len(draws))


def exponent_sentences(frame: pd.DataFrame) -> list[str]:
    """The exponent of N in the paper's own critical batch sizes (Table VI), over all data sets and over the synthetic;
    then what our runs give of it."""
    table = published.critical().set_index("dataset")["critical_batch_size"]
    sentences = []
    for what, names in (
        ("all five data sets", list(DATASETS)),
        ("the three synthetic sets", list(SYNTHETIC)),
    ):
        fit = power_law([printed_n(n) for n in names], table[names])
        a = fit.exponent
        sentences.append(
            f"Table VI over {what}: B* grows as N to the power {a.mean:.2f} (95 % interval {a.low:.2f} to "
            f"{a.high:.2f}, {a.n} points).".replace("-", "−")
        )
    return sentences + _our_exponent(frame)


def _our_exponent(frame: pd.DataFrame) -> list[str]:
    sizes = frame.groupby("dataset")["batch_size"].nunique()
    found = {
        n: from_runs(frame, n) for n in DATASETS if sizes.get(n, 0) >= len(DATASETS[n].protocol.batch_sizes)
    }
    have = [f"{DATASETS[n].title} (B* = {c.critical})" for n, c in found.items() if c.critical]
    text = (
        f"By the definition, our means give a B* on {len(have)} of the {len(found)} data sets with runs at "
        f"every batch size{': ' + ', '.join(have) if have else ''}"
    )
    sentences = [text + ("." if len(have) > 2 else ", too few for an exponent.")]
    if len(have) > 2:
        names = [n for n, c in found.items() if c.critical]
        a = power_law([printed_n(n) for n in names], [found[n].critical for n in names]).exponent
        sentences.append(
            f"B* over them grows as N to the power {a.mean:.2f} (95 % interval {a.low:.2f} to {a.high:.2f})."
        )
    draws = bootstraps(frame, SYNTHETIC)
    if len(draws) == len(SYNTHETIC):
        a = optimum_exponent(draws)
        sentences.append(
            f"The best batch size itself, over the three synthetic sets, follows N to the power {a.mean:.2f} "
            f"(middle 95 % of the bootstrap over seeds: {a.low:.2f} to {a.high:.2f})."
        )
    return [s.replace(" -", " −") for s in sentences]
