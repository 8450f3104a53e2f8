"""The ways to choose a batch size beside each other, as the page shows them: sentences and a table.

Every number comes from `regret`; nothing here is decided by hand.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from ..analysis.regret import by_problem, grid, mean_difference, summary
from ..choosing import algorithm_2
from ..choosing.evaluation import FOLDER, SEEDS, recorded, table
from ..choosing.evaluation import runs as all_runs
from ..choosing.problems import HELD_OUT, IMAGES, PARTS, PROBLEMS, base_rate
from ..choosing.ways import CHOICES, METHODS
from ..config import DATASETS
from ..statistics import mean_interval, paired_difference

CAPTION = (
    "What each way chose (most often, and the range over seeds), and what it gave: means ± half of the 95 % "
    "interval; regret in points of test accuracy, paired by seed; how many runs reached the best cell's mean "
    "less a point, after how many epochs, in how many processor seconds as they were trained here (images: "
    "PyTorch in bf16; else our compiled loop), and in how many seconds at the time of a step in plain "
    "PyTorch (means over the runs that got there); processor seconds of choosing"
)
NAMES = {
    "recommended": "`recommend`",
    "grid of 25": "the grid of 25",
    "range test": "the rate range test at the largest batch",
}


def sentence(rows: pd.DataFrame, method: str = "recommended", other: str = "always 32") -> str:
    """Who wins, where, by how much, and in how many comparisons."""
    found = by_problem(rows, method, other)
    if found.empty:
        return f"**{_title(method)} against {_name(other)}**: not measured yet."

    def listed(some):
        return (
            ", ".join(
                f"{PROBLEMS[r.problem]} ({r.difference.text(sign='+')}{', the same choice' * r.same})"
                for r in some.itertuples()
            )
            or "none"
        )

    whole = mean_difference(rows, method, other)
    verdict = "beats" if whole.low > 0 else "loses to" if whole.high < 0 else "cannot be told apart from"
    neither = ~found["won"] & ~found["lost"]
    return (
        f"**{_title(method)} {verdict} {_name(other)}** in test accuracy: {whole.text(sign='+')} points in "
        f"the mean over {len(found)} problems ({whole.n} pairs of equal seeds; ± half of the 95 % interval). "
        f"Of the single problems, judged at 95 % for all {len(found)} at once, it is better on "
        f"{listed(found[found['won']])}; worse on {listed(found[found['lost']])}; not told apart on "
        f"{listed(found[neither])}."
    )


def time_sentence(rows: pd.DataFrame, method: str, other: str = "always 32") -> str:
    """How many times sooner `method` came within a point of the best than `other`, in plain PyTorch:
    geometric means of the ratios paired by seed, with 95 % intervals, over the seeds with which both got
    there."""
    parts = []
    for name in dict.fromkeys(rows["problem"]):
        wide = rows[rows["problem"] == name].pivot(index="seed", columns="method", values="to_target_torch_s")
        both = wide[[method, other]].dropna() if {method, other} <= set(wide.columns) else wide.iloc[:0]
        if len(both) > 1:
            i = mean_interval(np.log(both[other] / both[method]))
            mean, low, high = np.exp([i.mean, i.low, i.high])
            parts.append(f"{PROBLEMS[name]} {mean:.2g} ({low:.2g} to {high:.2g}, n = {i.n})")
    return (
        f"**{_title(method)} against {_name(other)} in time**: how many times sooner it comes within a point "
        "of the best cell, at the time of a step in plain PyTorch (below 1: later; 95 % intervals): "
        f"{'; '.join(parts) or 'not measured yet'}."
    )


def mean_sentence(rows: pd.DataFrame) -> str:
    """Mean regret of each method over the problems that all methods have, each problem counted once."""
    s = summary(rows)
    means = s.assign(value=[i.mean for i in s["regret"]])
    wide = means.pivot(index="problem", columns="method", values="value").dropna()
    ways = sorted((m for m in METHODS if m in wide.columns), key=lambda m: wide[m].mean())
    return (
        f"Mean regret over the {len(wide)} problems on which all ways were tried, and the largest on one of "
        "them, in points: "
        "" + "; ".join(f"{_name(m)} {wide[m].mean():+.2f}, {wide[m].max():+.2f}" for m in ways) + "."
    ).replace(" -", " −")


def _name(method: str) -> str:
    return NAMES.get(method, method)


def _title(method: str) -> str:
    return _name(method)[0].upper() + _name(method)[1:]


def formatted(rows: pd.DataFrame) -> pd.DataFrame:
    """The summary as the page shows it, with names short enough for a table of ten columns."""
    s = summary(rows)
    s["problem"] = s["problem"].str.removesuffix(" images")
    shown = pd.DataFrame(
        {
            "problem": s["problem"].where(~s["problem"].duplicated(), ""),
            "method": s["method"],
            "B": s["batch_sizes"].str.replace(" to ", "–"),
            "test accuracy, %": [i.text() for i in s["test_acc"]],
            "regret, points": [i.text(sign="+") for i in s["regret"]],
            "reached": [f"{k} of {n}" for k, n in zip(s["reached"], s["n"], strict=True)],
        }
    )
    for title, column in (
        ("epochs", "to_target_epochs"),
        ("here, s", "to_target_cpu_s"),
        ("PyTorch, s", "to_target_torch_s"),
        ("choice, s", "choice_cpu_s"),
    ):
        shown[title] = [
            (f"{v:.2g}" if v < 99.5 else f"{v:.0f}") if np.isfinite(v) else "–"
            for v in s[column].astype(float)
        ]
    return shown


def holes(rows: pd.DataFrame) -> str:
    """What the table lacks, and the command that computes it."""
    have, seeds = (
        set(zip(rows["problem"], rows["method"], strict=True)),
        rows.groupby("problem")["seed"].nunique(),
    )
    few = [f"{PROBLEMS[name]} ({n})" for name, n in seeds.items() if n < SEEDS]
    few = f" Fewer than {SEEDS} seeds: {', '.join(few)}." if few else ""
    missing = {name: [m for m in METHODS if (name, m) not in have] for name in PROBLEMS}
    lacking = {name: methods for name, methods in missing.items() if methods}
    if not lacking:
        return f"Every way was tried on every problem.{few}"
    grids = [name for name in lacking if name in DATASETS and grid(all_runs(), name).empty]
    parts = [
        f"{PROBLEMS[name]} ({'all ways' if len(m) == len(METHODS) else ', '.join(m)})"
        for name, m in lacking.items()
    ]
    first = f"`bbatch sweep {' '.join(grids)}`, then " if grids else ""
    return (
        f"**Not yet computed**: {'; '.join(parts)}. {first}`python -m {table.__module__} "
        f"{' '.join(lacking)}` fills these "
        "holes" + (" (days on a CPU)." if set(lacking) & set(PARTS.values()) else ".") + few
    )


def parts_sentence(runs: pd.DataFrame | None = None) -> str:
    """What the parts of the image sets do not say of the whole ones: where Algorithm 2 would begin there, and
    what the records of the full protocol hold of that first step."""
    runs = recorded() if runs is None else runs
    kept, first, known = 1 - HELD_OUT, [], []
    for name in PARTS.values():
        spec, b = DATASETS[name], algorithm_2.start(round(kept * DATASETS[name].n_train))
        first.append(f"{b} on {spec.title}")
        here = runs[
            (runs["problem"] == name)
            & np.isclose(
                runs["lr"].astype(float),
                algorithm_2.rate(base_rate(name), runs["batch_size"].astype(float)),
                rtol=1e-9,
            )
        ]
        wide = here.pivot(index="seed", columns="batch_size", values="test_acc")
        wide = wide.loc[wide[b].notna()].dropna(axis=1) if b in wide else wide.iloc[:0]
        if wide.empty or wide.shape[1] < 2:
            known.append(f"{spec.title} none")
            continue
        best = wide.mean().idxmax()
        known.append(
            f"{spec.title} {mean_interval(wide[b]).text()} % at B = {b}, with a regret of "
            f"{paired_difference(wide[best], wide[b]).text(sign='+')} points against B = {best}, the best of "
            f"{wide.shape[1]} sizes (n = {len(wide)})"
        )
    part = round(kept * IMAGES)
    return (
        f"**{IMAGES} images are not the whole set.** Algorithm 2 looks at N, which is {part} on the parts of "
        "MNIST and CIFAR-10 (a fifth is held out): it takes its branch for small data sets and starts at B = "
        f"{algorithm_2.start(part)}. On the whole sets it would take the branch for large ones and start at "
        f"{', at '.join(first)}. Of that first step alone, the records of the full protocol hold: "
        f"{'; '.join(known)}."
    )


def provenance() -> str:
    """Where the choices and the runs made for them come from."""
    path = FOLDER / "provenance.json"
    if not path.is_file():
        return "No choices recorded."
    p = json.loads(path.read_text())
    versions = ", ".join(f"{k} {v}" for k, v in p["versions"].items())
    made = table("choices", CHOICES).query("method == 'recommended'")
    busy = made["seconds"].sum() / made["cpu_seconds"].sum() if len(made) else np.nan
    took = (
        f" `recommend` took {busy:.1f} elapsed seconds for each of processor time: 1 would be a machine with "
        "nothing else to do. On a busier one it has time for fewer trainings."
        if len(made)
        else ""
    )
    return (
        f"**Where this table comes from.** `python -m {table.__module__}`, {p['date']}, {p['device_name']}, "
        f"{p['threads']} thread, code {p['commit']}, Python {p['python']}, {versions} (its latest call); the "
        f"grids of the synthetic data sets from the committed records.{took}"
    )
