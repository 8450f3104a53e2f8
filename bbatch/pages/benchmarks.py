"""The page "How fast, and why": tables, sentences and figures from the measurements that `make bench` writes.

`results/benchmarks/*.csv` are tidy (see `benchmarks/measure.py`), each with a JSON file that names the machine.
"""

from __future__ import annotations

import json

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..config import DATASETS, plan
from ..errors import BadInput
from ..records.store import FROZEN
from .figures import COLORS, INK, STYLE
from .picture import describe, series, tip

FOLDER = FROZEN / "benchmarks"
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


def measured(name: str) -> pd.DataFrame:
    """A table of measurements: synthetic, images, scaling, landscape, cuda. Raises `BadInput` for what was not measured."""
    path = FOLDER / f"{name}.csv"
    if not path.is_file():
        raise BadInput(
            f"{name!r} has not been measured here; `make bench` measures synthetic, images, scaling "
            "and landscape, `make bench DEVICE=cuda` measures cuda."
        )
    return pd.read_csv(path)


def ratios(table: pd.DataFrame, with_memory: bool = False) -> pd.DataFrame:
    """A row for each contestant and batch size: cost, and how many times faster than the first, with quartiles.

    The data set stands in a column of its own where there is more than one.
    """
    out = pd.DataFrame(
        {
            "data set": table["dataset"].map(lambda name: DATASETS[name].title),
            "B": table["batch_size"],
            "who": table["contestant"],
            table["unit"].iloc[0].replace("us", "µs"): table["median"].map(_number),
            "times faster": [
                f"{_number(m)} ({_number(a)} to {_number(b)})"
                for m, a, b in zip(table["ratio"], table["ratio_low"], table["ratio_high"])
            ],
        }
    )
    first = table["contestant"].iloc[0]
    out.loc[table["contestant"] == first, "times faster"] = "base"
    if with_memory:
        out["peak memory so far, GB"] = table["memory_gb"].map("{:.2f}".format)
    return out.drop(columns="data set") if table["dataset"].nunique() == 1 else out


def _number(value: float) -> str:
    """Three digits or more: "2.91", "582", "267,900"."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def over(table: pd.DataFrame, who: str, rival: str) -> pd.Series:
    """How many times faster `who` is than `rival`, by (dataset, batch_size): from their ratios to the first."""
    ratio = table.pivot(index=["dataset", "batch_size"], columns="contestant", values="ratio")
    return ratio[who] / ratio[rival] if rival in ratio else pd.Series(dtype=float)


def synthetic_sentence(table: pd.DataFrame) -> str:
    """What a step of the synthetic network gained, and over whom."""

    def listed(rival):
        return ", ".join(f"{v:.3g}× at B = {b}" for (_, b), v in over(table, "bbatch", rival).items())

    parts = [
        f"A step of the synthetic network runs faster than in the DataLoader loop by {listed('DataLoader loop')}."
    ]
    names = {
        "JAX, 10 seeds": "JAX with ten seeds side by side",
        "JAX, 1 seed": "JAX with one seed",
        "C++": "the loop written by hand in C++",
    }
    parts += [f"Against {name}: {listed(rival)}." for rival, name in names.items() if listed(rival)]
    return " ".join(parts)


def epoch_ratio_sentence(table: pd.DataFrame) -> str:
    """How many times longer an epoch takes at the smallest measured batch size than at the largest, by loop."""
    steps = table[table["figure"] == "step"].pivot(index="batch_size", columns="contestant", values="median")
    a_sample = steps.div(steps.index, axis=0)  # an epoch has N / B steps
    small, large = a_sample.index.min(), a_sample.index.max()
    parts = []
    for base in (small, 32):
        ratio = a_sample.loc[base] / a_sample.loc[large]
        parts.append(
            f"at B = {base} than at B = {large}: ×{ratio['DataLoader loop']:.3g} in the DataLoader loop, "
            f"×{ratio['bbatch']:.3g} in ours"
        )
    return f"An epoch takes longer {'; '.join(parts)} (processor time, {DATASETS['synthetic-50k'].title})."


def images_sentences(table: pd.DataFrame) -> list[str]:
    """What the convolutional networks gained over the whole machine, a paragraph for each data set, and the most memory
    that a process took."""
    lines = []
    for name in table["dataset"].unique():
        rows, parts = table[table["dataset"] == name], []
        for who, rival in (
            ("bbatch", "plain loop, one process"),
            ("bbatch", "plain loop, a process for each core"),
            ("bbatch, bf16", "plain loop, one process"),
        ):
            gain = ", ".join(f"{v:.2g}× at B = {b}" for (_, b), v in over(rows, who, rival).items())
            parts.append(f"in {who.partition(', ')[2] or 'fp32'} over the {rival}: {gain}")
        lines.append(f"**{DATASETS[name].title}**, how many times faster: {'; '.join(parts)}.")
    most = table[table["contestant"].str.startswith("bbatch")]["memory_gb"].max()
    return [*lines, f"A process of ours took {most:.2f} GB at its peak."]


def cost_of_a_step(table: pd.DataFrame) -> tuple[float, float]:
    """(a, b) of the model a + b·B for our microseconds a step: through the smallest and the largest B."""
    ours = table[table["contestant"] == "bbatch"].sort_values("batch_size")
    (b0, t0), (b1, t1) = ours[["batch_size", "median"]].to_numpy()[[0, -1]]
    slope = (t1 - t0) / (b1 - b0)
    return float(t0 - slope * b0), float(slope)


def step_sentence(table: pd.DataFrame) -> str:
    """Where the time of a step goes: a part for each step (Adam, mostly) and a part for each sample."""
    fixed, each = cost_of_a_step(table)
    slow = table[(table["contestant"] == "DataLoader loop")].sort_values("batch_size").iloc[0]
    return (
        f"Our step costs about {fixed:.2g} µs whatever the batch, largely Adam's pass over all parameters, and "
        f"{each:.2g} µs for each sample, for the arithmetic of the layers and the drawing of masks; the two "
        f"are equal near B = {fixed / each:.0f}. The DataLoader loop needs {slow['median']:.0f} µs at "
        f"B = {slow['batch_size']}."
    )


def scaling_sentence(table: pd.DataFrame) -> str:
    """How the cost of whole runs grows: by what factor, over the range of each quantity."""
    names = {
        "B": "the batch size",
        "N": "the number of samples",
        "epochs": "the number of epochs",
        "seeds": "the number of seeds",
    }
    parts = []
    for what, name in names.items():
        rows = table[table["varied"] == what].sort_values("value")
        ends, seconds = rows["value"].to_numpy()[[0, -1]], rows["seconds"].to_numpy()[[0, -1]]
        parts.append(f"{name} from {ends[0]} to {ends[1]} multiplies it by {seconds[1] / seconds[0]:.2g}")
    return f"Processor time of whole runs: raising {'; raising '.join(parts)}."


def surface_sentence(table: pd.DataFrame) -> str:
    """What a surface of the synthetic network takes, and what it would take with a DataLoader at every point."""
    ours, rival = (table.set_index("contestant").loc[who] for who in ("bbatch", "DataLoader at every point"))
    side = round(ours["points"] ** 0.5)
    return (
        f"**How long a surface takes.** {side} × {side} points of the synthetic network on "
        f"{DATASETS[ours['dataset']].n_test:,} samples: "
        f"{ours['seconds']:.2g} s, at {ours['unit'].replace('ms', format(ours['median'], '.2g') + ' ms')}. With the "
        f"weights loaded into the network and a DataLoader run anew at every point: {rival['seconds']:.2g} s, or "
        f"{ours['ratio']:.3g} times as long ({ours['ratio_low']:.3g} to {ours['ratio_high']:.3g}; medians and quartiles "
        f"over {ours['rounds']} rounds in turn). {machine_sentence('landscape')}"
    )


def grid_sentence(table: pd.DataFrame) -> str:
    """What the paper's synthetic grid takes, from our cost of a step: a computation, not a measurement."""
    fixed, each = cost_of_a_step(table)
    total = 0.0
    for name in (n for n in DATASETS if DATASETS[n].network == "mlp"):
        for b in DATASETS[name].protocol.batch_sizes:
            run = plan(name, b)
            total += run.epochs * (run.steps(0) * fixed + run.n_train * each) / 1e6
    return (
        f"At these costs the synthetic half of the paper, three sets and all batch sizes at the full protocol, "
        f"trains in {total:.0f} s a seed on one core."
    )


def checks(table: pd.DataFrame) -> pd.DataFrame:
    """What each check took, as text: the table of `benchmarks/checks.py` for the page "How to check this book"."""

    def took(seconds):
        return (
            "under 1 s" if seconds < 1 else f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
        )

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
    m = json.loads((FOLDER / f"{name}.json").read_text())
    versions = ", ".join(f"{package} {v}" for package, v in m["versions"].items())
    code = m["commit"].removesuffix("+") + " with changes not yet committed" * m["commit"].endswith("+")
    return (
        f"Measured on {m['device_name']} ({m['cores']} cores seen), {m['date']}, code {code}, "
        f"Python {m['python']}, {versions}."
    )


def cuda_sentence() -> str:
    """What is known of the CUDA engine's speed."""
    try:
        table = measured("cuda")
    except BadInput:
        return (
            "**The CUDA engine has not been measured.** Its arithmetic is tested on a CPU, its capture in a graph "
            "is not, and nothing on this page says how fast it is. On a machine with a GPU, "
            "`make bench DEVICE=cuda` measures it and this paragraph gives way to the result."
        )
    gain = over(table, "bbatch", "DataLoader loop")
    return (
        "The CUDA engine, over the DataLoader loop on the same GPU: "
        + ", ".join(f"{DATASETS[d].title} {v:.3g}× at B = {b}" for (d, b), v in gain.items())
        + ". "
        + machine_sentence("cuda")
    )


def figure_steps(table: pd.DataFrame) -> Figure:
    """Microseconds a step and seed against batch size, a line for each contestant, quartiles as bars."""
    with mpl.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(6.2, 5.4))
        for who, rows in table.groupby("contestant", sort=False):
            bars = np.abs(rows[["low", "high"]].to_numpy().T - rows["median"].to_numpy())
            drawn = axis.errorbar(
                rows["batch_size"],
                rows["median"],
                bars,
                color=CONTESTANTS[who],
                marker="o",
                markersize=5,
                capsize=3,
                linewidth=2.4 if who == "bbatch" else 1.4,
                label=who,
            )
            series(axis, who, *drawn.get_children())
            tip(
                axis,
                rows["batch_size"],
                rows["median"],
                [
                    f"{who}, B = {b}\n{_number(m)} µs ({_number(a)} to {_number(c)})"
                    for b, m, a, c in zip(rows["batch_size"], rows["median"], rows["low"], rows["high"])
                ],
            )
        sizes = sorted(table["batch_size"].unique())
        axis.set(
            xscale="log",
            yscale="log",
            xlabel="Batch size B (log scale)",
            ylabel="µs of processor time a step and seed",
            title=f"Synthetic network, one thread (n = {table['rounds'].iloc[0]} rounds)",
        )
        axis.set_xticks(sizes, [str(b) for b in sizes])
        axis.minorticks_off()
        figure.legend(*axis.get_legend_handles_labels(), fontsize=9, loc="outside lower center", ncols=2)
    plt.close(figure)
    best = {b: rows.loc[rows["median"].idxmin(), "contestant"] for b, rows in table.groupby("batch_size")}
    fastest = "; ".join(
        f"{who} at B = {', '.join(str(b) for b in best if best[b] == who)}"
        for who in dict.fromkeys(best.values())
    )
    return describe(
        figure,
        f"Processor time of a step and seed, medians over {table['rounds'].iloc[0]} rounds with "
        f"quartiles. Least: {fastest}.",
    )


def figure_scaling(table: pd.DataFrame) -> Figure:
    """Processor seconds of whole runs against batch size, samples, epochs and seeds, one panel each."""
    labels = {
        "B": "Batch size B\n(5 epochs, 50K)",
        "N": "Training samples N\n(5 epochs, B = 32)",
        "epochs": "Epochs\n(10K, B = 32)",
        "seeds": "Seeds\n(10K, B = 32, 50 epochs)",
    }
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, 4, figsize=(12.5, 3.5))
        for axis, (what, label) in zip(axes, labels.items()):
            rows = table[table["varied"] == what].sort_values("value")
            bars = np.abs(rows[["low", "high"]].to_numpy().T - rows["seconds"].to_numpy())
            axis.errorbar(
                rows["value"],
                rows["seconds"],
                bars,
                color=COLORS["synthetic-50k"],
                marker="o",
                markersize=5,
                capsize=3,
            )
            axis.set(xscale="log", yscale="log", xlabel=label)
            values = (
                rows["value"].tolist()[:: 3 if what == "B" else 2] if what in "BN" else rows["value"].tolist()
            )
            axis.set_xticks(values, [str(v) for v in values])
            axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())
            axis.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:g}"))
            axis.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes[0].set_ylabel("Processor seconds (log scale)")
    plt.close(figure)
    return describe(
        figure,
        f"{scaling_sentence(table)} The synthetic network, evaluation included, one quantity varied at a "
        "time; bars: quartiles over the rounds.",
    )
