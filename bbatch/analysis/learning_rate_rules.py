"""Learning-rate rules side by side (Section IV-D): the cost of leaving the linear rule.

On MNIST and CIFAR-10 the rate never decays, and a warm-up, where there is one, takes its five epochs whatever
follows, so that the first epochs of a run do not depend on how many there are: two rules are compared after
as many epochs as both have run, a short run beside a long one."""

import math
from dataclasses import replace

import pandas as pd
from scipy import stats

from ..config import DATASETS, LR_RULES, PUBLISHED, SYNTHETIC, Run
from ..metrics import interval
from ..statistics import LEVEL, Interval, paired_difference
from .accuracy import fall, level
from .cells import combine, command, is_printed, sizes
from .estimate import Estimate, lacking, number

IMAGES = tuple(name for name in PUBLISHED if name not in SYNTHETIC)
OTHERS = tuple(rule for rule in LR_RULES if rule != "linear")
COLUMNS = ["dataset", "batch_size", "rule", "epoch", "n", "other", "linear", "difference"]
LARGE = 128  # from here on: the four largest of the nine batch sizes on images
UNSCALED = "synthetic-50k"  # the data set of Section IV-D


def loss_without(runs, batch_size: int) -> Estimate:
    """Test accuracy under the linear rule minus the fixed rate, on Section IV-D's data set, in points."""
    return combine(runs, UNSCALED, {(batch_size, "linear"): 1, (batch_size, "constant"): -1})


def share_lost(runs, batch_size: int) -> Estimate:
    """`loss_without` as a share of the accuracy with scaling, in percent of it (unit: points)."""
    lost, whole = loss_without(runs, batch_size), level(runs, UNSCALED, batch_size)
    if not lost.n:
        return lost
    per = 100 / whole.value
    shown = f"({lost.shown}), of {whole.shown} = {number(lost.value * per)} %" if lost.shown else ""
    scaled = {name: getattr(lost, name) * per for name in ("value", "error", "one_run", "span")}
    return replace(lost, **scaled, bounds=tuple(per * end for end in lost.bounds), shown=shown)


def fall_without(runs, batch_size: int) -> Estimate:
    """Fall of test accuracy from B = 32 at the fixed rate: what is lost without scaling."""
    return fall(runs, UNSCALED, 32, batch_size, lr_rule="constant")


def largest(runs, loss) -> Estimate:
    """The largest of a loss over the batch sizes above 32. The largest of several estimates is a choice, and
    its interval allows for that: the bounds reach from the largest lower one to the largest upper one, each
    of them corrected."""
    found = [loss(runs, b) for b in sizes(runs, UNSCALED) if b > 32]
    have = [e for e in found if e.n]
    if not have:
        return found[-1]
    most = max(have, key=lambda e: e.value)
    level_ = 1 - (1 - LEVEL) / len(have)
    ends = [e.interval(level_) for e in have]
    bounds = (max(low for low, _ in ends), max(high for _, high in ends))
    return replace(most, bounds=bounds, how=f"{most.how}, the largest of {len(have)}")


def gap_ratio(runs, batch_size: int, metric: str) -> Estimate:
    """Gap without scaling over gap with it; no number where the gap with scaling is not above 0, and none yet
    where it is not told apart from it. The interval is Fieller's, of independent means."""
    without, with_ = (level(runs, UNSCALED, batch_size, metric, rule) for rule in ("constant", "linear"))
    about, ids = with_.about, without.ids + with_.ids
    for part in (without, with_):
        if not part.n:
            return lacking(about, part.missing, unit="ratio", shown=part.shown)
    (a, b), (low, high) = without.interval(), with_.interval()
    if low <= 0 < high:
        return lacking(about, command(UNSCALED, seeds=2 * with_.n), unit="ratio", ids=ids)
    if high <= 0:
        shown = f"the gap with scaling, {number(with_.value)}, is not above 0: it has no multiples"
        return Estimate(n=with_.n, unit="ratio", about=about, ids=ids, shown=shown)
    value = without.value / with_.value
    shown = f"{number(without.value)} / {number(with_.value)} = {number(value)}"
    if is_printed(runs):
        bounds, how = (a / high, b / low), "rounding of what is printed"
    else:
        bounds, how = _fieller(without, with_), "Fieller's interval"
    return Estimate(value, with_.n, "ratio", how, about, ids, bounds=bounds, shown=shown)


def _fieller(a: Estimate, b: Estimate) -> tuple[float, float]:
    """Fieller (1954): the interval of a / b, where b is told apart from 0."""
    t = stats.t.ppf((1 + LEVEL) / 2, min(a.freedom, b.freedom))
    g = (t * b.error / b.value) ** 2
    r = a.value / b.value
    half = t / b.value * math.sqrt(a.error**2 * (1 - g) + r**2 * b.error**2)
    return (r - half) / (1 - g), (r + half) / (1 - g)


def of_images(records: dict[str, dict]) -> list[dict]:
    """The finished runs of MNIST and CIFAR-10 under the paper's protocol, but for the number of epochs."""
    found = []
    for record in records.values():
        run = Run.from_dict(record["run"])
        if run.dataset in IMAGES and not record["observed"].get("failure"):
            whole = replace(run, epochs=DATASETS[run.dataset].protocol.epochs)
            if whole.follows_the_paper():
                found.append(record)
    return found


def effect(frame: pd.DataFrame, dataset: str = "synthetic-50k") -> pd.DataFrame:
    """Each other rule minus the linear one, by batch size, paired by seed: accuracy and gap, in points.

    Columns: batch_size, rule, then for test_acc and gap_running the difference as an `Estimate`, and n.
    """
    runs, rows = frame[frame["dataset"] == dataset], []
    for b in sorted(int(size) for size in runs["batch_size"].unique()):
        for rule in OTHERS:
            weights = {(b, rule): 1, (b, "linear"): -1}
            found = {m: combine(runs, dataset, weights, m) for m in ("test_acc", "gap_running")}
            rows.append({"batch_size": b, "rule": rule, **found, "n": found["test_acc"].n})
    return pd.DataFrame(rows, columns=["batch_size", "rule", "test_acc", "gap_running", "n"])


def side_by_side(curves: pd.DataFrame, dataset: str, batch_size: int) -> pd.DataFrame:
    """Each other rule beside the linear one at one batch size, on equal epochs and the same seeds.

    Columns: dataset, batch_size, rule, epoch, n (seeds that both have in the same arithmetic), other and
    linear (test accuracy in percent, `Interval`: of a single seed, from the size of the test set), difference
    (other minus linear, paired by seed). A row for each rule; epoch and n are 0 where one of the two has no
    run."""
    runs = curves[(curves["dataset"] == dataset) & (curves["batch_size"] == batch_size)]
    same, rows = ["seed", "precision"], []
    for rule in OTHERS:
        # The longest run of each seed and arithmetic; then the longest stretch that is common to the pairs.
        last = [runs[runs["lr_rule"] == r].groupby(same)["epoch"].max() for r in (rule, "linear")]
        common = pd.concat(last, axis=1, join="inner").min(axis=1)
        epoch = int(common.max()) if len(common) else 0
        at = runs[runs["epoch"] == epoch].drop_duplicates(["lr_rule", *same])
        sides = {"other": rule, "linear": "linear"}
        pairs = pd.concat(
            {side: at[at["lr_rule"] == r].set_index(same)["test_acc"] for side, r in sides.items()},
            axis=1,
            join="inner",
        ).reset_index()
        pairs = pairs.sort_values("precision", ascending=False).drop_duplicates(
            "seed"
        )  # fp32 where both are there
        rows.append(
            [
                dataset,
                batch_size,
                rule,
                epoch,
                len(pairs),
                *(_accuracy(pairs[side], dataset) for side in sides),
                paired_difference(pairs["other"], pairs["linear"]),
            ]
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _accuracy(values: pd.Series, dataset: str) -> Interval:
    return interval(pd.DataFrame({"test_acc": values, "n_test": DATASETS[dataset].n_test}), "test_acc")


def at_large_sizes(curves: pd.DataFrame, datasets: tuple[str, ...] = IMAGES) -> pd.DataFrame:
    """`side_by_side` at every batch size from 128 up, but for the base, where all rules are one."""
    return pd.concat(
        [
            side_by_side(curves, name, b)
            for name in datasets
            for p in [DATASETS[name].protocol]
            for b in p.batch_sizes
            if b >= LARGE and b != p.base_batch
        ],
        ignore_index=True,
    )


def effects_text(effects: pd.DataFrame) -> pd.DataFrame:
    """`effect` as text: rule minus linear, mean ± half of the 95 % interval."""
    return pd.DataFrame(
        {
            "B": effects["batch_size"],
            "rule against linear": effects["rule"],
            "test accuracy (points)": _texts(effects["test_acc"], "+"),
            "gap, running (points)": _texts(effects["gap_running"], "+"),
            "n": effects["n"],
        }
    )


def _texts(intervals, sign: str = "") -> list[str]:
    return [i.text(sign=sign) if i.n else "–" for i in intervals]
