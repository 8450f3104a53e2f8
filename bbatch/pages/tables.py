"""The paper's tables beside ours: published cells, our means with 95 % intervals, and the difference.

Every function takes the frame of `metrics.frame` and returns a DataFrame of numbers; `formatted` turns one
into the text that a page shows. Nothing here reads a file or trains."""

import math

import pandas as pd

from .. import published
from ..analysis import critical_batch_size
from ..analysis.accuracy import level
from ..analysis.estimate import Estimate
from ..config import DATASETS, SYNTHETIC
from ..errors import BadInput
from ..metrics import interval
from ..models import NETWORKS, parameter_count
from ..statistics import Interval, decimal_text, from_to, span

METRICS = {
    "test_acc": "Test accuracy (%)",
    "gap": "Gap, clean (%)",
    "gap_running": "Gap, running (%)",
    "epoch_time_s": "Epoch time (s)",
}
JUDGED = ("test_acc", "train_acc", "train_acc_running", "gap", "gap_running")  # metrics that claims are about
DECIMALS = {"epoch_time_s": 3}  # 2 elsewhere
KEYS = {"batch_size": "B", "lr_rule": "rule", "lr": "learning rate"}


def compare(frame: pd.DataFrame, dataset: str, metrics=tuple(METRICS)) -> pd.DataFrame:
    """A row for each batch size of the protocol or of the paper, with and without records.

    Columns: batch_size, n, precision, then for each metric: METRIC_paper (where published), METRIC,
    METRIC_low, METRIC_high, METRIC_difference (ours minus the paper's). Cells without records are NaN with
    n = 0."""
    ours = frame[frame["dataset"] == dataset]
    paper = published.results(dataset).set_index("batch_size")
    rows = []
    for b in sorted({*DATASETS[dataset].protocol.batch_sizes, *paper.index, *ours["batch_size"]}):
        cell = ours[ours["batch_size"] == b]
        row = {"batch_size": int(b), "n": len(cell), "precision": " and ".join(cell["precision"].unique())}
        for metric in metrics:
            column = published.COLUMN_OF.get(metric)
            printed = float(paper[column].get(b, math.nan)) if column else None
            row |= _beside(of_cell(ours, dataset, int(b), metric), metric, printed)
        rows.append(row)
    return pd.DataFrame(rows)


def _beside(i: Estimate | Interval, metric: str, paper: float | None) -> dict[str, float]:
    """The columns of one metric of one cell; None: the paper has no such column."""
    ours = {metric: i.mean, f"{metric}_low": i.low, f"{metric}_high": i.high}
    if paper is None:
        return ours
    return {f"{metric}_paper": paper} | ours | {f"{metric}_difference": i.mean - paper}


def of_cell(
    frame: pd.DataFrame, dataset: str, batch_size: int, metric: str, lr_rule: str = ""
) -> Estimate | Interval:
    """What a page shows of a cell: of several seeds the `Estimate` that claims are judged by; of one seed,
    and of other metrics, such as times, the interval of `metrics.interval`. Without `lr_rule`, of the frame's
    only rule."""
    cell = frame[(frame["dataset"] == dataset) & (frame["batch_size"] == batch_size)]
    cell = cell[cell["lr_rule"] == lr_rule] if lr_rule else cell
    if cell["seed"].nunique() < 2 or metric not in JUDGED:
        return interval(cell, metric)
    return level(frame, dataset, batch_size, metric, cell["lr_rule"].iloc[0])


def formatted(table: pd.DataFrame) -> pd.DataFrame:
    """`compare` or `ablation` as text: n, paper, ours with its interval, difference; holes are "–".

    Percentages have two decimals, the paper's no more than it prints; times have three digits, the paper's
    all that it prints. Times of different machines are not subtracted.
    """
    out = table[[c for c in KEYS if c in table]].rename(columns=KEYS)
    low = table.get("precision", pd.Series("", table.index)).str.contains("bf16")
    out["n"] = table["n"].astype(str).mask(low, table["n"].astype(str) + " (bf16)")
    printed = [table[f"{m}_paper"] for m in METRICS if f"{m}_paper" in table and m != "epoch_time_s"]
    percents = min(2, max(map(published.decimals, printed), default=2))
    for metric in (m for m in METRICS if m in table):
        name, time = METRICS[metric], metric == "epoch_time_s"
        if f"{metric}_paper" in table:
            out[name, "paper"] = [_text(v, None if time else percents) for v in table[f"{metric}_paper"]]
        bounds = zip(table[metric], table[f"{metric}_low"], table[f"{metric}_high"], strict=False)
        out[name, "ours"] = [
            "–" if pd.isna(m) else Interval(m, low, high, 0).text(_digits(m) if time else 2)
            for m, low, high in bounds
        ]
        if f"{metric}_difference" in table and not time:
            out[name, "difference"] = [_text(v, 2, "+") for v in table[f"{metric}_difference"]]
    out.columns = pd.MultiIndex.from_tuples([c if isinstance(c, tuple) else (c, "") for c in out.columns])
    return out


def _digits(value: float) -> int:
    """Decimals that leave three digits of a time."""
    return max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0


def _text(value: float, decimals: int | None, sign: str = "") -> str:
    if pd.isna(value):
        return "–"
    return f"{value:g}" if decimals is None else decimal_text(value, decimals, sign)


def data_sets() -> pd.DataFrame:
    """Table I from the configuration, with the network that each data set trains."""
    rows = [
        (name, s.n_train, s.n_test, s.features, s.classes, s.network, parameter_count(NETWORKS[s.network]()))
        for name, s in DATASETS.items()
    ]
    columns = ["dataset", "train", "test", "features", "classes", "network", "parameters"]
    return pd.DataFrame(rows, columns=columns)


def protocols() -> pd.DataFrame:
    """Table II from the configuration: what `config.plan` fills in."""
    table = pd.DataFrame([{"dataset": name} | vars(spec.protocol) for name, spec in DATASETS.items()])
    table["batch_sizes"] = [", ".join(map(str, sizes)) for sizes in table["batch_sizes"]]
    settings = ["optimizer", "momentum", "weight_decay", "epochs", "warmup_epochs"]
    return table[["dataset", "batch_sizes", "base_lr", "base_batch", *settings]]


def ablation(frame: pd.DataFrame) -> pd.DataFrame:
    """Table V: fixed against scaled learning rate on synthetic-50k, the paper's cells beside ours."""
    rows, counts = [], frame.groupby(["dataset", "batch_size", "lr_rule"]).size()
    for cell in published.learning_rate_ablation().itertuples():
        n = int(counts.get(("synthetic-50k", cell.batch_size, cell.lr_rule), 0))
        row = {"batch_size": cell.batch_size, "lr_rule": cell.lr_rule, "lr": cell.lr, "n": n}
        for metric in ("test_acc", "gap_running"):
            i = of_cell(frame, "synthetic-50k", cell.batch_size, metric, cell.lr_rule)
            row |= _beside(i, metric, getattr(cell, published.COLUMN_OF[metric]))
        rows.append(row)
    return pd.DataFrame(rows)


def by_number(number: int, frame: pd.DataFrame) -> pd.DataFrame:
    """Table `number` of the paper beside ours. Raises `BadInput` for a number outside 1-8."""
    linear = frame[frame["lr_rule"] == "linear"]
    if number == 7:
        parts = [compare(linear, name).assign(dataset=name) for name in SYNTHETIC]
        return pd.concat(parts, ignore_index=True).set_index("dataset").reset_index()
    makers = {
        1: data_sets,
        2: protocols,
        3: lambda: compare(linear, "mnist"),
        4: lambda: compare(linear, "cifar10"),
        5: lambda: ablation(frame),
        6: lambda: critical_sizes(linear),
        8: published.settings,
    }
    if number not in makers:
        raise BadInput(f"table {number} is unknown; the paper has tables 1 to 8.")
    return makers[number]()


def text_against_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of the synthetic sets as Section IV-A.1 words them, as Table VII has them, and ours.

    The text names its batch sizes for the 1K set alone; the other two are read likewise.
    """
    rows = []
    for size, name in zip(("1k", "10k", "50k"), SYNTHETIC, strict=True):
        table = compare(frame, name, ("test_acc",)).set_index("batch_size")
        ends = ("b8", "b512") if size == "1k" else ("small", "large")
        for end, b in zip(ends, (8, 512), strict=True):
            text, printed = published.value(f"iv-a-{size}-{end}"), table.loc[b, "test_acc_paper"]
            ours = of_cell(frame, name, b, "test_acc").text()
            rows.append((DATASETS[name].title, b, _text(text, 2), _text(printed, 2), ours, table.loc[b, "n"]))
    return pd.DataFrame(rows, columns=["data set", "B", "text", "Table VII", "ours", "n"])


def critical_sizes(frame: pd.DataFrame) -> pd.DataFrame:
    """Table VI: the optimum and B* as the paper states them, by its own accuracies, and by our means.

    The last columns: at how many batch sizes of the protocol we have runs, and the fewest and most seeds at
    one of them."""
    rows = []
    for cell in published.critical().itertuples():
        spec, own = DATASETS[cell.dataset], critical_batch_size.from_paper(cell.dataset)
        seeds = frame[frame["dataset"] == cell.dataset].groupby("batch_size").size()
        ours = critical_batch_size.from_runs(frame, cell.dataset) if len(seeds) > 1 else None
        row = {
            "data set": spec.title,
            "optimum, Table VI": cell.optimal_batch_size,
            "optimum, the paper's accuracies": own.optimal,
            "optimum, ours": ours.optimal if ours else None,
            "B*, Table VI": cell.critical_batch_size,
            "B*, the paper's accuracies": own.critical or own.case,
            "B*, ours": (ours.critical or ours.case) if ours else "no runs yet",
            "batch sizes": f"{len(seeds)} of {len(spec.protocol.batch_sizes)}",
            "seeds": from_to(seeds) if len(seeds) else "0",
        }
        rows.append(row)
    return pd.DataFrame(rows).astype({"optimum, ours": "Int64"})


def correlation_table(found: pd.DataFrame) -> pd.DataFrame:
    """`generalization_gap.correlations` as text: r with its 95 % interval."""
    p = ["< 0.0001" if p < 1e-4 else f"{p:.2g}" for p in found["p"]]
    return found.assign(r=found["r"].map(span), p=p).rename(columns={"n": "pairs"})
