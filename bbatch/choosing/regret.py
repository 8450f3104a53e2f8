"""What a way to choose a batch size costs against the best cell of the full grid: tables, sentences and a figure.

Regret: the test accuracy of the grid's best batch size under the linear rule (highest mean over seeds) less that of the
choice, in points, paired by seed. The best cell is picked with the same test set, which flatters it: regrets lie on the
high side by up to about the scatter of a cell's mean. A choice at another rate than the linear rule's may have a regret
below 0.
"""

from __future__ import annotations

import json

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..config import DATASETS, SYNTHETIC
from ..critical import DROP
from ..figures import COLORS, INK, STYLE
from ..picture import describe, series, tip
from ..statistics import LEVEL, Interval, mean_interval, paired_difference
from .evaluation import CELL, CHOICES, FOLDER, METHODS, STEPS, fixed, keys, table
from .evaluation import runs as all_runs
from .problems import BORROWED, PROBLEMS, base_rate
from .selection import rate

MARKS = dict(zip(METHODS, ("o", "D", "s", "^", "v")))
SHADES = dict(zip(METHODS, (COLORS["cifar10"], COLORS["synthetic-50k"], INK, COLORS["mnist"], COLORS["synthetic-1k"])))
TARGET = ["to_target_epochs", "to_target_cpu_s", "to_target_torch_s"]
COLUMNS = ["problem", "method", "batch_sizes", "n", "test_acc", "regret", "reached", *TARGET, "choice_cpu_s"]
CAPTION = ("What each way chose, and what it gave: means over seeds ± half of the 95 % interval; regret in points of "
           "test accuracy, paired by seed; how many runs came within a point of the best cell's mean, after how many "
           "epochs, in how many processor seconds with our compiled loop, and in how many seconds at the time of a "
           "step in plain PyTorch (means over the runs that got there); processor seconds of choosing")
NAMES = {"measured": "the measured way", "scikit-learn": "scikit-learn's default", "Lightning": "Lightning's finder"}


def grid(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """The problem's runs under the linear rule where every batch size of its protocol has them, for the seeds that all
    have; empty where the grid has holes. A problem from scikit-learn has the sizes that its rows allow."""
    sizes = DATASETS[name if name in DATASETS else SYNTHETIC[0]].protocol.batch_sizes
    here = runs[runs["problem"] == name]
    by_rule = rate(base_rate(name), here["batch_size"].astype(float))
    linear = here[np.isclose(here["lr"].astype(float), by_rule, rtol=1e-9)]
    wide = linear.drop_duplicates(["batch_size", "seed"])
    full = len(set(sizes) & set(wide["batch_size"])) if name in BORROWED else len(sizes)
    whole = wide[wide["batch_size"].isin(sizes)]
    have = whole.groupby("seed")["batch_size"].nunique()
    return whole[whole["seed"].isin(have[have == full].index)]


def best_cell(cells: pd.DataFrame) -> int:
    """The batch size with the highest mean test accuracy of a full grid."""
    return int(cells.groupby("batch_size")["test_acc"].mean().idxmax())


def results(runs: pd.DataFrame | None = None, choices: pd.DataFrame | None = None,
            steps: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row for each problem, method and seed whose choice has been trained, where the grid is full.

    Columns of `evaluation.CHOICES`, then test_acc, best_acc (of the best cell, same seed), and what training took until
    test accuracy first came within a point of the best cell's mean, missing where it never did: to_target_epochs;
    to_target_cpu_s, processor seconds as it was trained; to_target_torch_s, those epochs at the time of a step in
    PyTorch.
    """
    runs = all_runs() if runs is None else runs
    choices = table("choices", CHOICES) if choices is None else choices
    steps = table("steps", STEPS).set_index(["problem", "batch_size"]) if steps is None else steps
    by_key, parts = runs.set_index(keys(runs)), []
    for name in PROBLEMS:
        cells = grid(runs, name)
        if cells["seed"].nunique() < 2:
            continue
        best = cells[cells["batch_size"] == best_cell(cells)].set_index("seed")["test_acc"]
        for _, c in _with_fixed(choices[choices["problem"] == name], name, best.index).iterrows():
            key = keys(pd.DataFrame([c[CELL]])).iloc[0]
            if key in by_key.index and c["seed"] in best.index:
                r = by_key.loc[key]
                near = np.flatnonzero(np.asarray(r["curve"]) >= best.mean() - DROP)
                epochs, at = near[0] + 1 if len(near) else np.nan, (name, c["batch_size"])
                torch_s = (epochs * np.ceil(steps.loc[at, "n_train"] / at[1]) * steps.loc[at, "step_s"]
                           if at in steps.index else np.nan)
                parts.append(c.to_dict() | {
                    "test_acc": r["test_acc"], "best_acc": best[c["seed"]], "to_target_epochs": epochs,
                    "to_target_cpu_s": epochs / len(r["curve"]) * r["cpu_seconds"], "to_target_torch_s": torch_s})
    return pd.DataFrame(parts, columns=[*CHOICES, "test_acc", "best_acc", *TARGET])


def _with_fixed(choices: pd.DataFrame, name: str, seeds) -> pd.DataFrame:
    """The choices, with those that need no measurement added where the problem has none yet."""
    if len(choices) or name not in DATASETS:
        return choices
    n, lr = DATASETS[name].n_train, base_rate(name)
    return pd.DataFrame([fixed(name, m, s, n, lr) for m in METHODS[2:] for s in seeds])


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each problem and method, `COLUMNS`: accuracies and regrets as `Interval`; `reached`: how many of n runs
    came within a point of the best; the columns `TARGET`: means over those; choice_cpu_s: mean processor seconds of
    choosing."""
    out = []
    for name in dict.fromkeys(rows["problem"]):
        for method in METHODS:
            r = rows[(rows["problem"] == name) & (rows["method"] == method)]
            if len(r):
                sizes = r["batch_size"].value_counts().sort_index()
                listed = [f"{b} (×{k})" if len(sizes) > 1 else f"{b}" for b, k in sizes.items()]
                out.append({"problem": PROBLEMS[name], "method": method, "n": len(r), "batch_sizes": ", ".join(listed),
                            "test_acc": mean_interval(r["test_acc"]),
                            "regret": paired_difference(r["best_acc"], r["test_acc"]),
                            "reached": int(r["to_target_epochs"].notna().sum()),
                            "choice_cpu_s": r["cpu_seconds"].mean(), **r[TARGET].mean()})
    return pd.DataFrame(out, columns=COLUMNS)


def formatted(rows: pd.DataFrame) -> pd.DataFrame:
    """The summary as the page shows it."""
    s = summary(rows)
    shown = pd.DataFrame({
        "problem": s["problem"].where(~s["problem"].duplicated(), ""), "method": s["method"], "B": s["batch_sizes"],
        "test accuracy, %": [i.text() for i in s["test_acc"]],
        "regret, points": [i.text(sign="+") for i in s["regret"]],
        "within a point": [f"{k} of {n}" for k, n in zip(s["reached"], s["n"])]})
    for title, column in (("after epochs", "to_target_epochs"), ("compiled, s", "to_target_cpu_s"),
                          ("PyTorch, s", "to_target_torch_s"), ("choosing, s", "choice_cpu_s")):
        shown[title] = [f"{v:.2g}" if np.isfinite(v) else "–" for v in s[column].astype(float)]
    return shown


def against(rows: pd.DataFrame, method: str = "Algorithm 2", other: str = "always 32") -> pd.DataFrame:
    """`method` less `other` in test accuracy, paired by seed, a row a problem that has both.

    Columns: problem, difference (`Interval` at 95 %), won and lost (told apart from zero when all problems are compared
    at once, Bonferroni), same (batch size and rate are equal for every seed).
    """
    pairs, out = _pairs(rows, method, other), []
    for name, both in pairs.groupby("problem", sort=False):
        a, b = both["test_acc"], both["test_acc_other"]
        strict = paired_difference(a, b, 1 - (1 - LEVEL) / pairs["problem"].nunique())
        same = (both["batch_size"] == both["batch_size_other"]) & (both["lr"] == both["lr_other"])
        out.append({"problem": name, "difference": paired_difference(a, b), "won": strict.low > 0,
                    "lost": strict.high < 0, "same": bool(same.all())})
    return pd.DataFrame(out, columns=["problem", "difference", "won", "lost", "same"])


def _pairs(rows: pd.DataFrame, method: str, other: str) -> pd.DataFrame:
    """The rows of `method`, each with the columns of `other` for the same problem and seed beside it."""
    own, others = rows[rows["method"] == method], rows[rows["method"] == other]
    return own.merge(others, on=["problem", "seed"], suffixes=("", "_other"))


def pooled(rows: pd.DataFrame, method: str = "Algorithm 2", other: str = "always 32") -> Interval:
    """`method` less `other` in test accuracy: the mean over the problems, its interval over the seeds that all have."""
    pairs = _pairs(rows, method, other)
    difference = pairs["test_acc"] - pairs["test_acc_other"]
    wide = pairs.assign(difference=difference).pivot(index="seed", columns="problem", values="difference")
    return mean_interval(wide.dropna().mean(axis=1))


def sentence(rows: pd.DataFrame, method: str = "Algorithm 2", other: str = "always 32") -> str:
    """Who wins, where, by how much, and in how many comparisons."""
    found = against(rows, method, other)
    if found.empty:
        return f"**{_title(method)} against {_name(other)}**: not measured yet."

    def listed(some):
        return ", ".join(f"{PROBLEMS[r.problem]} ({r.difference.text(sign='+')}{', the same choice' * r.same})"
                         for r in some.itertuples()) or "none"

    whole = pooled(rows, method, other)
    verdict = "beats" if whole.low > 0 else "loses to" if whole.high < 0 else "cannot be told apart from"
    neither = ~found["won"] & ~found["lost"]
    return (f"**{_title(method)} {verdict} {_name(other)}** in test accuracy: {whole.text(sign='+')} points in the mean "
            f"over {len(found)} problems (n = {whole.n} seeds, paired; ± half of the 95 % interval). Of the single "
            f"problems, judged at 95 % for all {len(found)} at once, it is better on {listed(found[found['won']])}; worse "
            f"on {listed(found[found['lost']])}; not told apart on {listed(found[neither])}.")


def time_sentence(rows: pd.DataFrame, method: str, other: str = "always 32") -> str:
    """How many times sooner `method` came within a point of the best than `other`, in plain PyTorch: geometric means of
    the ratios paired by seed, with 95 % intervals, over the seeds with which both got there."""
    parts = []
    for name in dict.fromkeys(rows["problem"]):
        wide = rows[rows["problem"] == name].pivot(index="seed", columns="method", values="to_target_torch_s")
        both = wide[[method, other]].dropna() if {method, other} <= set(wide.columns) else wide.iloc[:0]
        if len(both) > 1:
            i = mean_interval(np.log(both[other] / both[method]))
            mean, low, high = np.exp([i.mean, i.low, i.high])
            parts.append(f"{PROBLEMS[name]} {mean:.2g} ({low:.2g} to {high:.2g}, n = {i.n})")
    return (f"**{_title(method)} against {_name(other)} in time**: how many times sooner it comes within a point of the "
            "best cell, at the time of a step in plain PyTorch (below 1: later; 95 % intervals): "
            f"{'; '.join(parts) or 'not measured yet'}.")


def _name(method: str) -> str:
    return NAMES.get(method, method)


def _title(method: str) -> str:
    return _name(method)[0].upper() + _name(method)[1:]


def mean_sentence(rows: pd.DataFrame) -> str:
    """Mean regret of each method over the problems that all methods have, each problem counted once."""
    s = summary(rows)
    means = s.assign(value=[i.mean for i in s["regret"]])
    wide = means.pivot(index="problem", columns="method", values="value").dropna()
    ways = sorted((m for m in METHODS if m in wide.columns), key=lambda m: wide[m].mean())
    return (f"Mean regret over the {len(wide)} problems on which all ways were tried, and the largest on one of them, in "
            "points: " + "; ".join(f"{_name(m)} {wide[m].mean():+.2f}, {wide[m].max():+.2f}" for m in ways)
            + ".").replace(" -", " −")


def holes(rows: pd.DataFrame) -> str:
    """What the table lacks, and the command that computes it."""
    have = set(zip(rows["problem"], rows["method"]))
    missing = {name: [m for m in METHODS if (name, m) not in have] for name in PROBLEMS}
    lacking = {name: methods for name, methods in missing.items() if methods}
    if not lacking:
        return "Every way was tried on every problem."
    grids = [name for name in lacking if name in DATASETS and grid(all_runs(), name).empty]
    parts = [f"{PROBLEMS[name]} "
             f"({'all ways' if len(m) == len(METHODS) else ', '.join(m)})" for name, m in lacking.items()]
    first = f"`bbatch sweep {' '.join(grids)}`, then " if grids else ""
    return (f"**Not yet computed**: {'; '.join(parts)}. {first}`python -m bbatch.choosing.evaluation {' '.join(lacking)}` fills "
            "these holes"
            + (" (hours on a CPU)." if set(lacking) & {"mnist", "cifar10"} else "."))


def provenance() -> str:
    """Where the choices and the runs made for them come from."""
    path = FOLDER / "provenance.json"
    if not path.is_file():
        return "No choices recorded."
    p = json.loads(path.read_text())
    versions = ", ".join(f"{k} {v}" for k, v in p["versions"].items())
    made = table("choices", CHOICES).query("method == 'measured'")
    busy = made["seconds"].sum() / made["cpu_seconds"].sum() if len(made) else np.nan
    return (f"**Where this table comes from.** `python -m {table.__module__}`, {p['date']}, {p['device_name']}, "
            f"{p['threads']} thread, code {p['commit']}, Python {p['python']}, {versions}; the grids of the paper's data "
            f"sets from the committed records. The measured way took {busy:.1f} elapsed seconds for each of processor "
            "time: 1 would be a machine with nothing else to do. On a busier one its trial trainings are shorter.")


def figure(rows: pd.DataFrame) -> Figure:
    """Regret of each way on each problem, with its 95 % interval; 0 is the best cell of the grid."""
    s = summary(rows)
    names = list(dict.fromkeys(s["problem"]))
    with mpl.rc_context(STYLE):
        fig, axis = plt.subplots(figsize=(8.6, 1.6 + 0.75 * max(len(names), 1)))
        for k, method in enumerate(METHODS):
            some = s[s["method"] == method]
            at = [names.index(p) + 0.15 * (k - 2) for p in some["problem"]]
            mean = np.array([i.mean for i in some["regret"]])
            bars = np.array([[i.mean - i.low, i.high - i.mean] for i in some["regret"]]).reshape(-1, 2).T
            drawn = axis.errorbar(mean, at, xerr=np.nan_to_num(bars), fmt=MARKS[method], color=SHADES[method],
                                  capsize=3, markersize=6, linestyle="none", label=method)
            series(axis, method, *drawn.get_children())
            tip(axis, mean, at, [f"{p}, {method}, B = {b}: regret {i.text(sign='+')} points (n = {i.n})" for p, b, i in
                                 zip(some["problem"], some["batch_sizes"], some["regret"])])
        axis.axvline(0, color=INK, linewidth=1)
        axis.set_xscale("symlog", linthresh=1, linscale=1.2)
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda v, _: f"{v:g}".replace("-", "−")))
        axis.set(xlabel="Regret in test accuracy, points (linear up to 1, then logarithmic)",
                 title="What each choice costs against the best batch size")
        axis.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
    plt.close(fig)
    n = sorted(set(s["n"]))
    return describe(fig, f"Regret in test accuracy of each way to choose a batch size on {len(names)} problems: the "
                         "best batch size of "
                    f"the full grid less the choice, in percentage points, paired by seed; mean and 95 % interval, n = "
                    f"{' or '.join(map(str, n))} seeds; {len(s)} intervals, of which about {0.05 * len(s):.0f} may be "
                    f"expected to miss. {mean_sentence(rows)}")

