"""Training efficiency (Section IV-C): what an epoch costs, how many epochs a fixed accuracy takes, and what is left.

Large batches make an epoch shorter and make more epochs necessary; what counts is the time to a fixed accuracy. All of
it is given as ratios between batch sizes of one data set, paired by seed, because seconds belong to a machine. The cost
of an epoch is its processor time where that was recorded, which other work on the machine does not lengthen, else its
elapsed time; a run uses one thread, so that on a machine of its own the two agree. Costs are compared where both were
taken by the same clock: in one sitting, on one kind of processor, in one arithmetic, both as processor or both as
elapsed time. A sitting, because rented machines give several processors one name: the same epochs of CIFAR-10 took
twice the processor time on one day as on the next.

Which accuracy "the same test accuracy" is, the paper does not say. We take one point below the best mean final accuracy
of the data set (the margin of Section IV-G), and beside it the 80 % of Section III-D.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import published
from ..config import DATASETS
from ..statistics import Interval, mean_interval, paired_ratio
from .critical_batch_size import DROP

GAP = pd.Timedelta(
    hours=6
)  # between two runs' starts, several times our longest run; a longer pause ends a sitting
BASE = 32  # the paper's base batch size (Table II, Algorithm 2), against which the ratios are taken


def target(frame: pd.DataFrame, dataset: str) -> float:
    """One point below the highest mean final test accuracy over batch sizes, in percent; NaN without runs."""
    means = frame[frame["dataset"] == dataset].groupby("batch_size")["test_acc"].mean()
    return float(means.max() - DROP) if len(means) else float("nan")


def cost(curves: pd.DataFrame) -> pd.Series:
    """Seconds since the start for each row of `metrics.curves`: processor time where recorded, else elapsed."""
    return curves["cpu_seconds"].fillna(curves["seconds"])


def clock(curves: pd.DataFrame) -> pd.Series:
    """What the cost of each row of `metrics.curves` is measured with, as a name."""
    starts = curves["started"].drop_duplicates().sort_values()
    sitting = dict(zip(starts, (starts.diff() > GAP).cumsum()))
    kind = pd.Series(np.where(curves["cpu_seconds"].notna(), "processor", "elapsed"), curves.index)
    return (
        curves["device_name"]
        + " "
        + curves["precision"]
        + " "
        + kind
        + " "
        + curves["started"].map(sitting).astype(str)
    )


def reached(curves: pd.DataFrame, dataset: str, accuracy: float) -> pd.DataFrame:
    """When each run first had at least `accuracy` percent of test accuracy after an epoch.

    A row for each run: batch_size, seed, epochs and cost (seconds) until then, missing where it never had, and
    epoch_cost, the mean cost of one of its epochs; `clock`, which made both.
    """
    runs = curves.assign(cost=cost(curves), clock=clock(curves))[curves["dataset"] == dataset]
    keys = ["batch_size", "seed"]
    whole = runs.groupby(keys).agg(last=("epoch", "max"), spent=("cost", "max"), clock=("clock", "first"))
    first = runs[runs["test_acc"] >= accuracy].sort_values("epoch").groupby(keys)[["epoch", "cost"]].first()
    table = whole.join(first).reset_index().rename(columns={"epoch": "epochs"})
    return table.assign(epoch_cost=table["spent"] / table["last"])[
        [*keys, "epochs", "cost", "epoch_cost", "clock"]
    ]


def speedups(curves: pd.DataFrame, dataset: str, accuracy: float, base: int = BASE) -> pd.DataFrame:
    """Each batch size against `base`, paired by seed.

    Columns: batch_size, n (seeds that both have), reached (runs of this batch size that had the accuracy, of all its
    runs), and as `Interval`s of a ratio epoch (how many times shorter an epoch is), epochs (how many times more epochs
    to the accuracy) and effective (how many times less time to it). The last two count the seeds at which both reached
    it: where some never did, they flatter that batch size. The first and the last count costs of one `clock`: where
    the seed's own run at `base` has another, an epoch there costs what it does in the other seeds' runs on this clock,
    for a seed decides how many epochs a run takes and not how long one is.
    """
    return _against(base, reached(curves, dataset, accuracy))


def _against(base: int, runs: pd.DataFrame) -> pd.DataFrame:
    """`speedups` of the runs of `reached`."""
    at_base = runs[runs["batch_size"] == base]
    an_epoch, rows = at_base.groupby("clock")["epoch_cost"].mean(), []
    for b, cell in runs.groupby("batch_size"):
        both = cell.set_index("seed").join(at_base.set_index("seed"), how="inner", suffixes=("", "_base"))
        same = both["clock"] == both["clock_base"]
        both["epoch_cost_base"] = both["epoch_cost_base"].where(same, both["clock"].map(an_epoch))
        both["cost_base"] = both["cost_base"].where(same, both["epochs_base"] * both["epoch_cost_base"])
        timed, done = both.dropna(subset="epoch_cost_base"), both.dropna(subset=["epochs", "epochs_base"])
        timed_done = done.dropna(subset="cost_base")
        rows.append(
            {
                "batch_size": int(b),
                "n": len(both),
                "reached": f"{cell['epochs'].notna().sum()} of {len(cell)}",
                "epoch": paired_ratio(timed["epoch_cost_base"], timed["epoch_cost"]),
                "epochs": paired_ratio(done["epochs"], done["epochs_base"]),
                "effective": paired_ratio(timed_done["cost_base"], timed_done["cost"]),
            }
        )
    return pd.DataFrame(rows, columns=["batch_size", "n", "reached", "epoch", "epochs", "effective"])


def all_speedups(frame: pd.DataFrame, curves: pd.DataFrame, accuracy: float | None = None) -> pd.DataFrame:
    """`speedups` of every data set that has runs at the base, with the accuracy asked for: `target`, unless given."""
    parts = []
    for name in DATASETS:
        wanted = target(frame, name) if accuracy is None else accuracy
        table = speedups(curves, name, wanted)
        if table["n"].sum():
            parts.append(table.assign(dataset=name, accuracy=wanted))
    columns = ["dataset", "accuracy", "batch_size", "n", "reached", "epoch", "epochs", "effective"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def per_epoch(curves: pd.DataFrame) -> pd.DataFrame:
    """How many times shorter an epoch is at the largest batch size than at B = 1, 8 and 32: the paper's and ours.

    Columns: dataset, largest, base, paper (from the printed epoch times), ours (`Interval` over seeds).
    """
    rows = []
    for name, spec in DATASETS.items():
        largest, printed = (
            spec.protocol.batch_sizes[-1],
            published.results(name).set_index("batch_size")["epoch_time_s"],
        )
        runs = reached(curves, name, 0)  # whatever they reached: epochs alone are compared
        for base in (1, 8, BASE):
            found = _against(base, runs).set_index("batch_size")["epoch"]
            rows.append(
                {
                    "dataset": name,
                    "largest": largest,
                    "base": base,
                    "paper": printed.get(base, np.nan) / printed[largest],
                    "ours": found.get(largest, paired_ratio([], [])),
                }
            )
    return pd.DataFrame(rows)


def epochs_needed(curves: pd.DataFrame, dataset: str, accuracy: float) -> dict[int, Interval]:
    """Mean number of epochs to the accuracy by batch size, over the runs that had it, with its interval over seeds."""
    runs = reached(curves, dataset, accuracy).dropna(subset=["epochs"])
    return {int(b): mean_interval(cell["epochs"]) for b, cell in runs.groupby("batch_size")}


def sentences(frame: pd.DataFrame, curves: pd.DataFrame) -> list[str]:
    """What the paper says of Section IV-C and V-E, its own epoch times, and ours, a paragraph each."""
    said = {
        id: tuple(row)
        for id, *row in published.statements()[["id", "value", "upper"]].itertuples(index=False)
    }
    low, high = said["iv-c-epoch-speedup"]
    table = per_epoch(curves)
    texts = []
    for base, some in table.groupby("base"):
        printed, ours = some["paper"].dropna(), [i.mean for i in some["ours"] if i.n]
        texts.append(
            f"against B = {base} by {_span(printed)} in the paper's tables"
            + (f" and by {_span(ours)} in our runs of {len(ours)} of them" if ours else "")
        )
    epoch = (
        f"**An epoch**: the paper says that large batches shorten it by a factor of {low:g} to {high:g}. Over the data "
        f"sets, the largest batch size shortens it {'; '.join(texts)}."
    )
    largest, lines = at_the_largest(all_speedups(frame, curves)), [epoch]
    for column, id, below, what in (
        (
            "epochs",
            "iv-c-more-epochs",
            "fewer",
            "**Epochs**: the paper says that large batches take {} to {} times as many "
            "epochs to the same accuracy",
        ),
        (
            "effective",
            "v-e-wall-clock",
            "slower",
            "**Time**: the paper puts the speed-up in time to an accuracy at {} to {}",
        ),
    ):
        ours = "; ".join(
            f"{DATASETS[name].title} {ratio_text(i)}, n = {i.n}"
            for name, i in zip(largest["dataset"], largest[column])
            if i.n
        )
        lines.append(
            f"{what.format(*(f'{v:g}' for v in said[id]))}. At the largest batch size against B = {BASE}, to one "
            f"point below the best mean accuracy, we find (below ×1: {below}): {ours or 'no runs yet'}."
        )
    never = [
        f"{DATASETS[r.dataset].title} (B = {r.batch_size})"
        for r in largest.itertuples()
        if r.reached.startswith("0 ")
    ]
    if never:
        lines.append(f"That accuracy is never reached within the epochs of the protocol: {', '.join(never)}.")
    return lines


def at_the_largest(table: pd.DataFrame) -> pd.DataFrame:
    """Of `all_speedups`, the largest batch size of each data set's protocol, where it has runs."""
    return table[table["batch_size"] == table["dataset"].map(lambda d: DATASETS[d].protocol.batch_sizes[-1])]


def finding(table: pd.DataFrame) -> str:
    """What `all_speedups` says at the largest batch sizes, in one sentence for a caption; "" without runs there."""
    largest, parts = at_the_largest(table), []
    for column, what in (
        ("epoch", "an epoch is {} as fast"),
        ("epochs", "it takes {} as many epochs to the accuracy"),
        ("effective", "it is there {} as fast"),
    ):
        have = {DATASETS[name].title: i.mean for name, i in zip(largest["dataset"], largest[column]) if i.n}
        if have:
            parts.append(f"{what.format(_span(have.values()))} ({', '.join(have)})")
    return f"The largest batch size against B = {BASE}: {'; '.join(parts)}." if parts else ""


def ratio_text(i: Interval) -> str:
    """ "×2.31 (2.20 to 2.42)", or the bare ratio where n gives no interval."""
    if not i.n:
        return "–"
    return f"×{_three(i.mean)}" + ("" if np.isnan(i.low) else f" ({_three(i.low)} to {_three(i.high)})")


def formatted(table: pd.DataFrame) -> pd.DataFrame:
    """`all_speedups` as text; n where a ratio rests on fewer seeds than its row has."""

    def text(column):
        return [
            "base"
            if b == BASE
            else ratio_text(i) + f", n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{i.n}" * (0 < i.n < n)
            for i, b, n in zip(table[column], table["batch_size"], table["n"])
        ]

    return pd.DataFrame(
        {
            "data set, accuracy": [
                f"{DATASETS[d].title}, {a:.4g} %" for d, a in zip(table["dataset"], table["accuracy"])
            ],
            "B": table["batch_size"],
            "seeds": table["n"],
            "reached it": table["reached"],
            "an epoch: speed-up": text("epoch"),
            "epochs to it: ratio": text("epochs"),
            "time to it: speed-up": text("effective"),
        }
    )


def _span(values) -> str:
    low, high = _three(min(values)), _three(max(values))
    return f"×{low}" if low == high else f"×{low} to ×{high}"


def _three(value: float) -> str:
    """Three digits, zeros at the end included: "0.500", "1.20", "110"."""
    return f"{value:#.3g}".rstrip(".")
