"""The page "How fast, and why": tables and figures of what `make bench` measured (`analysis.timings`)."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ..analysis.timings import FOLDER
from ..config import DATASETS
from .picture import describe, series, tip
from .shown import three_digits
from .style import COLORS, INK, drawing, log_numbers

CONTESTANTS = {
    "DataLoader loop": INK,
    "plain loop, one process": INK,
    "plain loop, a process for each core": "#999999",
    "bbatch without numba": COLORS["mnist"],
    "JAX, 1 seed": COLORS["synthetic-1k"],
    "JAX, 10 seeds": COLORS["cifar10"],
    "C++": COLORS["synthetic-10k"],
    "bbatch": COLORS["synthetic-50k"],
    "bbatch, bf16": "#CC79A7",
}
MARKS = dict(marker="o", markersize=5, capsize=3)


def times_faster(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each contestant and batch size: cost, times faster than the first, quartiles.

    The data set stands in a column of its own where there is more than one.
    """
    out = pd.DataFrame(
        {
            "data set": table["dataset"].map(lambda name: DATASETS[name].title),
            "B": table["batch_size"],
            "who": table["contestant"],
            table["unit"].iloc[0].replace("us", "µs"): table["median"].map(three_digits),
            "times faster": list(map(_spread, table["ratio"], table["ratio_low"], table["ratio_high"])),
        }
    )
    first = table["contestant"].iloc[0]
    out.loc[table["contestant"] == first, "times faster"] = "base"
    return out.drop(columns="data set") if table["dataset"].nunique() == 1 else out


def _spread(middle: float, low: float, high: float, unit: str = "") -> str:
    return f"{three_digits(middle)}{unit} ({three_digits(low)} to {three_digits(high)})"


def checks(table: pd.DataFrame) -> pd.DataFrame:
    """What each check took, as text: `benchmarks/checks.py` for the page "How to check this book"."""

    def took(seconds):
        if seconds < 1:
            return "under 1 s"
        return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"

    return pd.DataFrame(
        {
            "command": table["command"],
            "elapsed": table["seconds"].map(took),
            "processor time": table["processor_seconds"].map(took),
            "timed": table["date"],
        }
    )


def machine_sentence(name: str) -> str:
    """What a table was measured on, from the file beside it."""
    path = FOLDER / f"{name}.json"
    return f"Measured on {machine(path)}."


def machine(path: Path) -> str:
    """Processor, date, code and versions of a JSON file that says where a table was made."""
    m = json.loads(path.read_text())
    versions = ", ".join(f"{package} {v}" for package, v in m["versions"].items())
    code = m["commit"].replace("+", " with changes not yet committed")
    cores = f" ({m['cores']} cores seen)" if "cores" in m else ""
    return f"{m['device_name']}{cores}, {m['date']}, code {code}, Python {m['python']}, {versions}"


@drawing
def figure_steps(table: pd.DataFrame) -> Figure:
    """Microseconds a step and seed against batch size, a line for each contestant, quartiles as bars."""
    figure, axis = plt.subplots(figsize=(6.2, 5.4))
    for who, rows in table.groupby("contestant", sort=False):
        size, median, low, high = (rows[name] for name in ("batch_size", "median", "low", "high"))
        look = dict(color=CONTESTANTS[who], linewidth=2.4 if who == "bbatch" else 1.4)
        drawn = axis.errorbar(size, median, [median - low, high - median], label=who, **MARKS, **look)
        series(axis, who, *drawn.get_children())
        told = zip(size, median, low, high, strict=True)
        tip(axis, size, median, [f"{who}, B = {b}\n{_spread(*of, unit=' µs')}" for b, *of in told])
    sizes = sorted(table["batch_size"].unique())
    axis.set(xscale="log", yscale="log", xlabel="Batch size B (log scale)")
    axis.set_ylabel("µs of processor time a step and seed")
    axis.set_xticks(sizes, [str(b) for b in sizes])
    axis.minorticks_off()
    figure.legend(*axis.get_legend_handles_labels(), fontsize=9, loc="outside lower center", ncols=2)
    best = table.loc[table.groupby("batch_size")["median"].idxmin()]
    fastest = "; ".join(
        f"{who} at B = {', '.join(map(str, rows['batch_size']))}"
        for who, rows in best.groupby("contestant", sort=False)
    )
    return describe(
        figure,
        f"Processor time of a step and seed, medians over {table['rounds'].iloc[0]} rounds with "
        f"quartiles. Least: {fastest}.",
    )


@drawing
def figure_scaling(table: pd.DataFrame) -> Figure:
    """Processor seconds of whole runs against batch size, samples, epochs and seeds, one panel each."""
    labels = {
        "B": "Batch size B\n(5 epochs, 50K)",
        "N": "Training samples N\n(5 epochs, B = 32)",
        "epochs": "Epochs\n(10K, B = 32)",
        "seeds": "Seeds\n(10K, B = 32, 50 epochs)",
    }
    figure, axes = plt.subplots(1, 4, figsize=(12.5, 3.7))
    for axis, (what, label) in zip(axes, labels.items(), strict=True):
        rows = table[table["varied"] == what].sort_values("value")
        seconds = rows["seconds"]
        bars = [seconds - rows["low"], rows["high"] - seconds]
        axis.errorbar(rows["value"], seconds, bars, color=COLORS["synthetic-50k"], **MARKS)
        axis.set(xscale="log", yscale="log", xlabel=label, ylabel="Processor seconds (log)")
        values = rows["value"].tolist()[:: {"B": 3, "N": 2}.get(what, 1)]
        axis.set_xticks(values, [str(v) for v in values])
        axis.xaxis.set_minor_locator(NullLocator())
        log_numbers(axis.yaxis)
    return describe(
        figure,
        "Processor time of whole runs of the synthetic network, evaluation included, one "
        "quantity varied at a time; bars: quartiles over the rounds.",
    )
