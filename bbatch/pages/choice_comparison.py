"""The ways to choose a batch size beside each other, as the page shows them, and where the tables come from.

Every number comes from `regret`; what they mean, the page says in words.
"""

from functools import partial

import numpy as np
import pandas as pd

from ..analysis.regret import NEAR, leave_one_out, mean_difference, mean_regrets, summary
from ..evaluation.problems import PROBLEMS
from ..evaluation.tables import COMMAND, FOLDER
from ..evaluation.ways import METHODS
from ..statistics import Interval, decimal_text, span
from .benchmarks import machine
from .style import has_bar

CAPTION = (
    "What each way chose (most often, and the range over seeds), and what it gave: means ± half of the "
    "95 % interval, bare where it would rest on two seeds; regret in points, paired by seed; how many runs "
    f"came to the default's lowest test loss, to within {100 * NEAR - 100:.0f} %, of those whose losses are "
    "recorded, and after how many seconds in plain PyTorch (mean over those that did; –: none); processor "
    "seconds of choosing. Of the regression the score is the share of the variance that is explained"
)
MEANS = (
    "Mean regret of each way over the problems, in points, each problem counted once; the least and the "
    "largest that this mean becomes when one problem is left out; and the worst problem's"
)
ONE_OUT = (
    "`recommend` less each other way in test accuracy, points: the mean over the problems with its 95 % "
    "interval over seeds, then without one problem in turn; bare where the interval would rest on two seeds"
)


def comparison_table(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each problem and way."""
    s = summary(rows)
    s["problem"] = s["problem"].str.removesuffix(" images")
    shown = {
        "problem": s["problem"].where(~s["problem"].duplicated(), ""),
        "way": s["method"],
        "B": s["batch_sizes"].str.replace(" to ", "–"),
        "test accuracy, %": [_told(i, Interval.text) for i in s["test_acc"]],
        "regret, points": [_told(i, Interval.text, sign="+") for i in s["regret"]],
        "reached": [f"{k} of {n}" if n else "–" for k, n in zip(s["reached"], s["followed"], strict=True)],
    }
    columns = {"training, s": "seconds", "choosing, s": "choice_cpu_s"}
    return pd.DataFrame(shown | {title: s[column].map(_short) for title, column in columns.items()})


def _told(interval, write=span, **how) -> str:
    """An interval as text; the bare mean where it would rest on two seeds."""
    return write(interval if has_bar(interval) else Interval(interval.mean, np.nan, np.nan, 0), **how)


def _short(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{value:.2g}" if value < 99.5 else f"{value:.0f}"


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each way: its mean regret, with and without one problem."""
    found = mean_regrets(rows).map(partial(decimal_text, sign="+"))
    without = found["low"] + " to " + found["high"]
    columns = {"way": found.index, "mean regret": found["mean"], "without one problem": without}
    return pd.DataFrame(columns | {"worst problem": found["worst"]}).reset_index(drop=True)


def without_each(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for all problems, then one for each that is left out; a column for each other way."""
    others = [m for m in METHODS[1:] if m in set(rows["method"])]
    names = [name for name in PROBLEMS if name in set(rows["problem"])]
    columns = {"left out": ["none", *(PROBLEMS[name] for name in names)]}
    for other in others:
        each = leave_one_out(rows, other=other)
        whole = _told(mean_difference(rows, other=other), sign="+")
        columns[other] = [whole, *(_told(each[n], sign="+") if n in each else "–" for n in names)]
    return pd.DataFrame(columns)


def tried(rows: pd.DataFrame) -> pd.DataFrame:
    """With how many seeds each way was tried on each problem: a row a problem, a column a way."""
    counts = rows.groupby(["problem", "method"])["seed"].nunique().unstack(fill_value=0)
    counts = counts.reindex(index=list(PROBLEMS), columns=list(METHODS), fill_value=0)
    return counts.rename(index=PROBLEMS).rename_axis(index="problem", columns=None).reset_index()


def origin() -> str:
    """Where the choices and the runs made for them come from."""
    path = FOLDER / "provenance.json"
    if not path.is_file():
        return "No choices recorded."
    return (
        f"**Where this table comes from.** `{COMMAND}`, its latest call on {machine(path)}; the grids of the "
        "synthetic data sets from the committed records."
    )
