"""A frame of made-up runs, and estimates of it worked out cell by cell without the package."""

import math
from statistics import fmean, variance

import numpy as np
import pandas as pd
from scipy import stats

from bbatch.config import DATASETS, PUBLISHED

METRICS = ("test_acc", "gap", "gap_running", "epoch_time_s")


def runs(seeds=4, datasets=PUBLISHED, **more) -> pd.DataFrame:
    """Random metrics of every cell of the protocol, in no order; cells of B = 32 lack a seed, and runs under
    another rule stand among them."""
    rng = np.random.default_rng(3)
    rows = [
        (d, b, s, rule, f"{d} {b} {s} {rule}")
        for d in datasets
        for b in DATASETS[d].protocol.batch_sizes
        for rule in ("linear", "constant")
        for s in range(40, 40 + seeds - (b == 32))
    ]
    frame = pd.DataFrame(rows, columns=["dataset", "batch_size", "seed", "lr_rule", "id"])
    for metric in METRICS:
        shift = rng.normal(0, 3, len(frame)) * (frame["lr_rule"] == "constant")
        frame[metric] = 80 + rng.normal(0, 1, len(frame)) + shift
    same = dict(n_test=200, device_name="one machine", started=pd.Timestamp("2026-01-01 08:00Z"))
    return frame.assign(**same, **more).sample(frac=1, random_state=1, ignore_index=True)


def cells(frame, dataset, metric="test_acc", rules=("linear",)) -> dict:
    """{batch size: {seed: value}} of one rule; of several rules {(batch size, rule): ...}."""
    found = {}
    for row in frame.to_dict("records"):
        if row["dataset"] == dataset and row["lr_rule"] in rules:
            key = row["batch_size"] if len(rules) == 1 else (row["batch_size"], row["lr_rule"])
            found.setdefault(key, {})[row["seed"]] = row[metric]
    return found


def lent(freedoms: list[int], own: int) -> float:
    """What the pooled variance counts for, from the text of `scatter`: one over the sum of three doubts.
    Cells of these degrees of freedom, of which `own` are the values' own."""
    cells = sum(freedoms) ** 2 / sum(f * f for f in freedoms)
    return 1 / (1 / 10 + 1 / (10 * cells) + 1 / (sum(freedoms) - own))


def summed(cells: dict, weights: dict) -> dict:
    """The weighted sum of cells with the interval that `estimate` describes, from its text alone."""
    seeds = sorted(set.intersection(*(set(cells[b]) for b in weights)))
    sums = [sum(w * cells[b][s] for b, w in weights.items()) for s in seeds]
    within = sum((x - fmean(c.values())) ** 2 for c in cells.values() for x in c.values())
    freedom = sum(len(c) - 1 for c in cells.values())
    own = len(sums) - 1
    prior = lent([len(c) - 1 for c in cells.values()], own)
    borrowed = within / freedom * sum(w * w for w in weights.values())
    squared = (own * (variance(sums) if own else 0) + prior * borrowed) / (own + prior)
    t = stats.t.ppf(0.975, own + prior)
    everything = [x for c in cells.values() for x in c.values()]
    size = sum(abs(w) for w in weights.values()) / (1 if abs(sum(weights.values())) > 1e-6 else 2)
    return {
        "value": fmean(sums),
        "n": len(sums),
        "half": t * math.sqrt(squared / len(sums)),
        "run": t * math.sqrt(squared * (1 + 1 / len(sums))),
        "error": math.sqrt(squared / len(sums)),
        "freedom": own + prior,
        "span": size * (max(everything) - min(everything)),
    }


def same(found, by_hand: dict) -> bool:
    """Whether an `Estimate` is what `summed` says, in each of its parts."""
    low, high = found.interval()
    parts = {
        "value": found.value,
        "n": found.n,
        "half": (high - low) / 2,
        "run": found.interval(one_run=True)[1] - found.value,
        "error": found.error,
        "freedom": found.freedom,
        "span": found.span,
    }
    middle = math.isclose(low + high, 2 * found.value, rel_tol=1e-9)
    return middle and all(math.isclose(parts[k], v, rel_tol=1e-9) for k, v in by_hand.items())
