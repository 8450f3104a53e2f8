"""Training efficiency (Section IV-C): cost of an epoch, epochs to an accuracy, and their product.

Large batches make an epoch shorter and make more epochs necessary; what counts is the time to a fixed
accuracy. All of it is given as ratios between batch sizes of one data set, paired by seed, because seconds
belong to a machine. The cost of an epoch is its processor time where that was recorded, which other work on
the machine does not lengthen, else its elapsed time; a run uses one thread, so that on a machine of its own
the two agree. Costs are compared where both were taken by the same clock: in one sitting, on one kind of
processor, in one arithmetic, both as processor or both as elapsed time. A sitting, because rented machines
give several processors one name: the same epochs of CIFAR-10 took twice the processor time on one day as on
the next.

Which accuracy "the same test accuracy" is, the paper does not say. We take one point below the best mean
final accuracy of the data set (the margin of Section IV-G), and beside it the 80 % of Section III-D."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from .. import published
from ..config import BASE, DATASETS, PUBLISHED, SYNTHETIC
from ..metrics import near_chance
from .accuracy import level
from .cells import command, is_printed, linear
from .costs import by_run, reached
from .critical_batch_size import DROP
from .estimate import Estimate, number, printed_ratio, ratio
from .scatter import pooled_variance


def target(frame: pd.DataFrame, dataset: str) -> float:
    """One point below the highest mean final test accuracy over batch sizes under the linear rule, in
    percent; NaN without runs."""
    means = linear(frame, dataset).groupby("batch_size")["test_acc"].mean()
    return float(means.max() - DROP) if len(means) else float("nan")


def against_base(
    runs: pd.DataFrame, dataset: str, base: int, large: int, accuracy: float | str
) -> dict[str, Estimate]:
    """A large batch size against `base`, paired by seed: `Estimate`s of three ratios, from `by_run`.

    epoch: how many times shorter an epoch is; epochs: how many times more epochs it takes to more than
    `accuracy` percent; effective: how many times less time. `accuracy` may be "own": one point below the
    lower of the two final accuracies of a pair, which a pair with a run at chance does not have. The last two
    count the seeds at which `base` gets there. Where the large one does not in some of them, the ratio is
    that of the others, as `how` says; where it does not in more than half, there is no such number. Where
    both do within their first epoch, whole epochs cannot tell which was first: such pairs are left out, and
    where they are half or more, the ratio is unresolved. The first and the last count costs of one clock:
    where the seed's own run at `base` has another, an epoch there costs what it does in the other seeds' runs
    on this clock, for a seed decides how many epochs a run takes and not how long one is."""
    asked = dataset, base, large, accuracy
    return _ratios(_pairs(runs, *asked), runs, *asked)


def _ratios(both: pd.DataFrame, runs: pd.DataFrame, dataset, base, large, accuracy) -> dict[str, Estimate]:
    """What `against_base` gives, from the pairs that `_pairs` gives."""
    about = f"{DATASETS[dataset].title}, B = {large} over {base}"
    done = both.dropna(subset="epochs_base")
    never, tied = done["epochs"].isna(), (done["epochs"] == 1) & (done["epochs_base"] == 1)
    more = {"ids": [*both["id"], *both["id_base"]], "about": about}
    timed = both.dropna(subset="epoch_cost_base")
    costs = timed["epoch_cost_base"] / timed["epoch_cost"]
    found = {"epoch": _ratio(costs, runs, "epoch_cost", **more)}
    if len(done) and 2 * never.sum() > len(done):
        shown = f"never reached by B = {large} in {never.sum()} of {len(done)} seeds"
        nothing = Estimate(n=len(done), unit="ratio", shown=shown, about=about, ids=tuple(more["ids"]))
        return found | {"epochs": nothing, "effective": nothing}
    if never.any():
        more["how"] = f"ratios paired by seed, without {never.sum()} of {len(done)} that never got there"
    timed = done[~never].dropna(subset="cost_base")
    got = reached(runs, runs["last"] - DROP if accuracy == "own" else accuracy)
    found["effective"] = _ratio(timed["cost_base"] / timed["cost"], got, "cost", **more)
    if len(done) and 2 * tied.sum() >= len(done):
        shown = f"both within the first epoch in {tied.sum()} of {len(done)} seeds: unresolved"
        return found | {"epochs": Estimate(unit="ratio", shown=shown, about=about)}
    counted = done[~never & ~tied]
    ratios = counted["epochs"] / counted["epochs_base"]
    return found | {"epochs": _ratio(ratios, got, "epochs", **more)}


def _pairs(runs: pd.DataFrame, dataset: str, base: int, large: int, accuracy: float | str) -> pd.DataFrame:
    """The runs of two batch sizes, a row a seed, the costs of `base` on the clock of the large one."""
    mine, aims = runs[runs["batch_size"].isin([base, large])], accuracy
    if accuracy == "own":
        ends = mine.pivot_table(index="seed", columns="batch_size", values="last").min(axis=1, skipna=False)
        learnt = ends > near_chance(dataset)
        mine = mine[mine["seed"].map(learnt).fillna(False).astype(bool)]
        aims = mine["seed"].map(ends) - DROP
    got = reached(mine, aims).set_index("seed").drop(columns="accuracy")
    big, small = (got[got["batch_size"] == b] for b in (large, base))
    both = big.merge(small, left_index=True, right_index=True, suffixes=("", "_base"))
    an_epoch = runs[runs["batch_size"] == base].groupby("clock")["epoch_cost"].mean()
    same = both["clock"] == both["clock_base"]
    both["epoch_cost_base"] = both["epoch_cost_base"].where(same, both["clock"].map(an_epoch))
    both["cost_base"] = both["cost_base"].where(same, both["epochs_base"] * both["epoch_cost_base"])
    return both


def _ratio(ratios, runs: pd.DataFrame, column: str, **more) -> Estimate:
    """The mean of ratios of two runs, whose scatter is that of the column within batch sizes and clocks."""
    cells = (np.log(x.to_numpy(float)) for _, x in runs.groupby(["batch_size", "clock"])[column])
    variance, freedom = pooled_variance(cells, own=len(ratios) - 1)
    return ratio(ratios, prior=(2 * variance, freedom), **more)


def speedups(curves: pd.DataFrame, dataset: str, accuracy: float) -> pd.DataFrame:
    """`against_base` for each batch size: batch_size, n (seeds that both have), reached (runs of this batch
    size that had the accuracy, of all its runs), epoch, epochs, effective."""
    runs, rows = by_run(curves, dataset), []
    for b, cell in reached(runs, accuracy).groupby("batch_size"):
        n = len(set(cell["seed"]) & set(runs[runs["batch_size"] == BASE]["seed"]))
        told = f"{cell['epochs'].notna().sum()} of {len(cell)}"
        rows.append(
            {"batch_size": int(b), "n": n, "reached": told}
            | against_base(runs, dataset, BASE, int(b), accuracy)
        )
    return pd.DataFrame(rows, columns=["batch_size", "n", "reached", "epoch", "epochs", "effective"])


def all_speedups(frame: pd.DataFrame, curves: pd.DataFrame, accuracy: float | None = None) -> pd.DataFrame:
    """`speedups` of every data set with runs at the base; the accuracy is `target` unless given."""
    parts = []
    for name in DATASETS:
        wanted = target(frame, name) if accuracy is None else accuracy
        table = speedups(curves, name, wanted)
        if table["n"].sum():
            parts.append(table.assign(dataset=name, accuracy=wanted))
    columns = ["dataset", "accuracy", "batch_size", "n", "reached", "epoch", "epochs", "effective"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def on_the_papers_hardware(runs: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The runs on the paper's kind of machine: a CPU for the synthetic sets, a GPU for the others."""
    return runs[runs["device"] == ("cpu" if dataset in SYNTHETIC else "cuda")]


def printed_speedup(paper: pd.DataFrame, dataset: str, base: int, large: int | None = None) -> Estimate:
    """How many times shorter an epoch is at `large`, or the largest size, than at `base`, by the printed
    times; without a value where the paper has no such cell."""
    large = large or DATASETS[dataset].protocol.batch_sizes[-1]
    a, b = (level(paper, dataset, size, "epoch_time_s") for size in (base, large))
    about = f"{DATASETS[dataset].title}, B = {large} over {base}"
    if not (a.n and b.n):
        return Estimate(about=about, unit="ratio", shown="no cell of the paper's tables")
    return printed_ratio(a, b, about, decimals=1)


def epoch_speedups(evidence, base: int, datasets: Iterable[str] = PUBLISHED) -> list[Estimate]:
    """How many times shorter an epoch is at the largest batch size than at `base`, on each data set, on the
    hardware that the paper used for it. `evidence` as in `claims`: runs, and trained (`by_run` by data
    set)."""
    if is_printed(evidence.runs):
        return [printed_speedup(evidence.runs, d, base) for d in datasets]
    return _to_the_largest(evidence, 0, base, "epoch", True, datasets)


def more_epochs(evidence, accuracy: float | str, base: int) -> list[Estimate]:
    """Epochs to an accuracy at the largest batch size over those at `base`, on each data set; a set where
    `base` never gets there says nothing of it, and is left out. `accuracy` as in `against_base`, or "near":
    that of `target`."""
    return _to_the_largest(evidence, accuracy, base, "epochs")


def wall_clock(evidence, accuracy: float | str, base: int) -> list[Estimate]:
    """How many times less time the largest batch size takes to an accuracy than `base`, on each data set, on
    the hardware that the paper used. Of the paper: its printed epoch times over how many times more epochs it
    says are needed."""
    if is_printed(evidence.runs):
        few, many = published.statement("iv-c-more-epochs")[["value", "upper"]]
        return [_over_epochs(e, few, many) for e in epoch_speedups(evidence, base) if e.n]
    return _to_the_largest(evidence, accuracy, base, "effective", True)


def _to_the_largest(evidence, accuracy, base: int, column: str, as_paper=False, datasets=PUBLISHED):
    """A ratio of `against_base` at the largest size on each data set where `base` reaches the accuracy."""
    found = []
    for d in datasets:
        runs = on_the_papers_hardware(evidence.trained[d], d) if as_paper else evidence.trained[d]
        wanted = target(evidence.runs, d) if accuracy == "near" else accuracy
        asked = d, base, DATASETS[d].protocol.batch_sizes[-1], wanted
        pairs = _pairs(runs, *asked)
        if len(pairs) and pairs["epochs_base"].isna().all():
            continue
        e = _ratios(pairs, runs, *asked)[column]
        if not (e.n or e.shown):
            e = replace(e, missing=command(d, more="" if d in SYNTHETIC else " --device cuda"))
        found.append(e)
    return found


def _over_epochs(e: Estimate, few: float, many: float) -> Estimate:
    span = f"{number(e.value / many)} to {number(e.value / few)}"
    shown = f"({e.shown}) / ({few:g} to {many:g}) = {span}"
    return replace(e, value=2 * e.value / (few + many), bounds=(e.low / many, e.high / few), shown=shown)
