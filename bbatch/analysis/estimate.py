"""One number, how sure it is, and where it comes from; and the sums of cells that most questions come down
to.

A question is asked of a tidy frame (`metrics.frame`): of our runs, or of the paper's tables as
`published.frame` gives them, one run a cell. Our intervals come from the scatter between seeds, the paper's
from the rounding of what it prints.

**The scatter of few seeds.** A cell with one run or two says little about its own scatter. So the variance of
every cell is drawn towards that of all cells of its data set under the same rules of the learning rate,
pooled: their variance counts as much as `PRIOR` further runs would (a moderated t; Smyth 2004,
doi:10.2202/1544-6115.1027). The model is that the variances of the cells of one data set scatter about a
common one as those estimated from `PRIOR` + 1 runs do. On the synthetic sets, with 20 seeds a cell, they
scatter less than that; a test says so. Pairs by seed agree more than the model has it, so that
intervals are rather too wide. A data set with no cell of two seeds gives no interval at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from ..config import DATASETS
from ..statistics import LEVEL, Interval, decimal_text, span

PRIOR = 10  # runs that the pooled scatter of a data set counts for, at most
# What a quantity can be, by its unit.
LIMITS = {"percent": (0.0, 100.0), "points": (-100.0, 100.0), "R^2": (-math.inf, 1.0), "r": (-1.0, 1.0)}
LIMITS |= {
    "p": (0.0, 1.0),
    "percent of seeds": (0.0, 100.0),
    "ratio": (0.0, math.inf),
    "loss": (0.0, math.inf),
}
TO = {"linear": lambda x: x, "log": math.log, "fisher": math.atanh}  # the scale on which errors are symmetric
BACK = {"linear": lambda x: x, "log": math.exp, "fisher": math.tanh}

Cell = tuple[int, str]  # batch size and rule of the learning rate


@dataclass(frozen=True)
class Estimate:
    """A value with what its interval is made of.

    `error` is its standard error on `scale`, with `freedom` degrees of freedom (t; infinite: normal),
    `one_run` that of the distance of one more run from it, `bounds` what rounding or counting leaves open in
    their place. `n` counts seeds (or what `counted` says), and is 0 where nothing is recorded; `missing` is
    then the command that gives it. `value` is NaN where there is no such number (a ratio to nothing), and
    `shown` says why; of the paper, `shown` is the arithmetic. `span` is how far single runs lie apart on the
    data set, over all batch sizes: what tolerances are fitted to. `among` lists the batch sizes that an
    optimum was found to be one of, of `span` in all."""

    value: float = math.nan
    n: int = 0
    unit: str = ""
    how: str = ""
    about: str = ""
    ids: tuple[str, ...] = ()
    error: float = math.nan
    one_run: float = math.nan
    freedom: float = math.inf
    scale: str = "linear"
    bounds: tuple[float, float] = (math.nan, math.nan)
    span: float = math.nan
    among: tuple[float, ...] = ()
    counted: str = "seeds"
    shown: str = ""
    missing: str = ""

    low = property(lambda self: self.interval()[0])
    high = property(lambda self: self.interval()[1])
    mean = property(lambda self: self.value)  # as `statistics.Interval` has it: either is shown alike
    half_width = property(lambda self: (self.high - self.low) / 2)

    def interval(self, level: float = LEVEL, one_run: bool = False) -> tuple[float, float]:
        """Bounds of the value, or of one more run: what the paper's single one is compared with. NaN without
        any."""
        if not math.isnan(self.bounds[0]):
            return self.bounds
        error = self.one_run if one_run and not math.isnan(self.one_run) else self.error
        if math.isnan(self.value) or math.isnan(error):
            return math.nan, math.nan
        half = stats.t.ppf((1 + level) / 2, self.freedom) * error
        centre, (least, most) = TO[self.scale](self.value), LIMITS.get(self.unit, (-math.inf, math.inf))
        low, high = (BACK[self.scale](centre + side * half) for side in (-1, 1))
        return float(min(max(low, least), most)), float(min(max(high, least), most))

    def text(self, decimals: int = 2, sign: str = "") -> str:
        """ "95.43 ± 0.21", or "1.75 (1.20 to 2.55)" where the interval is not symmetric; bare where there is
        none."""
        low, high = self.interval()
        symmetric = math.isclose(high - self.value, self.value - low, rel_tol=0.02, abs_tol=1e-9)
        if math.isnan(low) or symmetric:
            return Interval(self.value, low, high, self.n).text(decimals, sign)
        return span(self, decimals, sign)

    __str__ = text


def lacking(about: str, missing: str, **more) -> Estimate:
    """Nothing recorded, and the command that gives it."""
    return Estimate(about=about, missing=missing, **more)


def command(dataset: str, rule: str = "linear", seeds: int = 0, more: str = "") -> str:
    """What computes the runs that are missing."""
    rule = f" --lr-rule {rule}" if rule != "linear" else ""
    return f"bbatch sweep {dataset}{rule}{f' --seeds {seeds}' if seeds else ''}{more}"


def sizes(runs: pd.DataFrame, dataset: str) -> list[int]:
    """The batch sizes that a question about a data set is about: of our runs, those of the protocol; of the
    paper's tables, those that are printed."""
    if is_printed(runs):
        mine = runs[(runs["dataset"] == dataset) & (runs["lr_rule"] == "linear")]
        return sorted(int(b) for b in mine["batch_size"])
    return list(DATASETS[dataset].protocol.batch_sizes)


def is_printed(table: pd.DataFrame) -> bool:
    """Whether a frame holds what the paper prints."""
    return "printed" in table


def by_seed(
    runs: pd.DataFrame, dataset: str, metric: str, rules: Iterable[str] = ("linear",)
) -> pd.DataFrame:
    """A row a seed, a column a cell (batch size, rule), of one data set under the given rules."""
    keys = ["seed", "batch_size", "lr_rule"]
    mine = runs[(runs["dataset"] == dataset) & runs["lr_rule"].isin(list(rules))].drop_duplicates(keys)
    return mine.set_index(keys)[metric].unstack([1, 2])


def pooled_variance(cells: pd.DataFrame, own: int = 0) -> tuple[float, float]:
    """Variance within the columns of a table, pooled, and how many further runs it counts for; NaN and 0
    without any.

    `own`: degrees of freedom in the table that the values themselves bring, which must not count twice."""
    x = cells.to_numpy(float)
    counts = (~np.isnan(x)).sum(axis=0)
    x, counts = x[:, counts > 1], counts[counts > 1]
    freedom = int((counts - 1).sum())
    if freedom <= own:
        return math.nan, 0.0
    variance = float(np.nansum((x - np.nanmean(x, axis=0)) ** 2) / freedom)
    return variance, float(min(PRIOR, freedom - own))


def moderated(values: np.ndarray, prior: float, freedom: float) -> tuple[float, float]:
    """Standard deviation of single values, drawn towards the variance `prior` that counts for `freedom` runs;
    and the degrees of freedom of both together."""
    own = len(values) - 1
    if own + freedom == 0:
        return math.nan, math.nan
    squares = (own * values.var(ddof=1) if own else 0.0) + (freedom * prior if freedom else 0.0)
    return math.sqrt(squares / (own + freedom)), own + freedom


def combine(
    runs: pd.DataFrame, dataset: str, weights: Mapping[Cell, float], metric="test_acc", unit=""
) -> Estimate:
    """The weighted sum of cells: one cell, a difference of two, a mean or a slope over many. Paired by seed.

    `unit`: "percent" for one accuracy, else "points". The scatter is that of the module's text; of the paper,
    rounding."""
    unit = unit or ("percent" if list(weights.values()) == [1] and metric.endswith("acc") else "points")
    about = _along(dataset, [b for b, _ in weights])
    if is_printed(runs):
        return _printed(runs, dataset, weights, metric, unit, about)
    table = by_seed(runs, dataset, metric, {rule for _, rule in weights})
    absent = [cell for cell in weights if cell not in table]
    if absent:
        return lacking(about, command(dataset, absent[0][1]), unit=unit)
    found = weighted(table, weights, unit, about)
    if not found.n:
        return lacking(about, command(dataset), unit=unit)
    shared = table[list(weights)].dropna().index
    held = runs[(runs["dataset"] == dataset) & runs["seed"].isin(shared)]
    held = held[[cell in weights for cell in zip(held["batch_size"], held["lr_rule"], strict=False)]]
    return replace(found, ids=tuple(held["id"]))


def weighted(table: pd.DataFrame, weights: Mapping, unit: str, about: str = "") -> Estimate:
    """The weighted sum of columns of a table of single runs (a row a seed), with the scatter of the module's
    text."""
    sums = (table[list(weights)].to_numpy(float) * list(weights.values())).sum(axis=1)
    sums = sums[~np.isnan(sums)]
    if not len(sums):
        return Estimate(about=about, unit=unit)
    variance, freedom = pooled_variance(table, own=len(sums) - 1)
    deviation, freedom = moderated(sums, variance * sum(w * w for w in weights.values()), freedom)
    total = sum(abs(w) for w in weights.values()) / (2 if abs(sum(weights.values())) < 1e-9 else 1)
    return Estimate(
        float(sums.mean()),
        len(sums),
        unit,
        "paired by seed" if len(weights) > 1 else "over seeds",
        about,
        error=deviation / math.sqrt(len(sums)),
        one_run=deviation * math.sqrt(1 + 1 / len(sums)),
        freedom=freedom,
        span=total * float(np.nanmax(table.to_numpy()) - np.nanmin(table.to_numpy())),
    )


def minus(a: Estimate, b: Estimate, about: str) -> Estimate:
    """The difference of two independent estimates; degrees of freedom by Welch and Satterthwaite."""
    if not (a.n and b.n):
        return lacking(about, a.missing or b.missing, unit=a.unit, shown=a.shown if not a.n else b.shown)
    total = a.error**2 + b.error**2
    parts = a.error**4 / a.freedom + b.error**4 / b.freedom
    printed = not math.isnan(a.bounds[0])
    return replace(
        a,
        value=a.value - b.value,
        n=min(a.n, b.n),
        about=about,
        ids=a.ids + b.ids,
        error=math.sqrt(total),
        one_run=math.hypot(a.one_run, b.one_run),
        freedom=total**2 / parts if parts else math.inf,
        bounds=(a.bounds[0] - b.bounds[1], a.bounds[1] - b.bounds[0]),
        span=max(a.span, b.span),
        shown=f"({a.shown}) − ({b.shown}) = {number(a.value - b.value)}" if printed else "",
    )


def ratio(values, about: str, ids=(), prior: tuple[float, float] = (math.nan, 0.0), **more) -> Estimate:
    """The geometric mean of ratios, one a seed; `prior` is the pooled variance of their logarithms, if
    any."""
    logs = np.log(np.asarray(values, float))
    if not len(logs):
        return Estimate(about=about, unit="ratio", **more)
    deviation, freedom = moderated(logs, *prior)
    return Estimate(
        float(np.exp(logs.mean())),
        len(logs),
        "ratio",
        "ratios paired by seed",
        about,
        tuple(ids),
        error=deviation / math.sqrt(len(logs)),
        one_run=deviation * math.sqrt(1 + 1 / len(logs)),
        freedom=freedom,
        scale="log",
        **more,
    )


def mean(values, unit: str, about: str, ids=(), **more) -> Estimate:
    """The mean of independent values, one a seed, by their own scatter alone."""
    x = np.asarray(values, float)
    deviation, freedom = moderated(x, math.nan, 0.0) if len(x) else (math.nan, math.inf)
    return Estimate(
        float(x.mean()) if len(x) else math.nan,
        len(x),
        unit,
        about=about,
        ids=tuple(ids),
        error=deviation / math.sqrt(max(len(x), 1)),
        one_run=deviation * math.sqrt(1 + 1 / max(len(x), 1)),
        freedom=freedom if math.isfinite(freedom) else 1.0,
        **({"how": "over seeds"} | more),
    )


def _printed(runs, dataset: str, weights, metric: str, unit: str, about: str) -> Estimate:
    """`combine` of the paper's tables: each cell may lie half of its last printed digit off."""
    mine = runs[runs["dataset"] == dataset].set_index(["batch_size", "lr_rule"])
    if any(cell not in mine.index or pd.isna(mine.loc[cell, metric]) for cell in weights):
        return Estimate(about=about, unit=unit, shown="no cell of the paper's tables")
    cells = {cell: (mine.loc[cell, metric], mine.loc[cell, f"{metric}_rounding"]) for cell in weights}
    value = float(sum(w * cells[c][0] for c, w in weights.items()))
    give = float(sum(abs(w) * cells[c][1] for c, w in weights.items()))
    told = [
        (w, number(v, digits(half))) for w, (v, half) in zip(weights.values(), cells.values(), strict=False)
    ]
    if [w for w, _ in told] == [1]:
        shown = told[0][1]
    elif [w for w, _ in told] == [1, -1]:
        shown = f"{told[0][1]} − {_bracketed(told[1][1])} = {number(value)}"
    else:
        shown = f"{number(value)} from {', '.join(text for _, text in told)}"
    how = "rounding of what is printed"
    return Estimate(value, 1, unit, how, about, bounds=(value - give, value + give), shown=shown)


def digits(half: float) -> int:
    """Digits after the point of a number that was rounded to within `half`."""
    return max(0, round(-math.log10(2 * half)))


def number(value: float, decimals: int = 2) -> str:
    """A number as text, with a true minus sign; "none" for what is not finite."""
    return decimal_text(value, decimals) if math.isfinite(value) else "none"


def _bracketed(text: str) -> str:
    return f"({text})" if text.startswith("−") else text


def _along(dataset: str, batch_sizes: list[int]) -> str:
    found = list(dict.fromkeys(batch_sizes))
    listed = " and ".join(map(str, found)) if len(found) < 3 else f"{found[0]} to {found[-1]}"
    return f"{DATASETS[dataset].title}, B = {listed}"
