"""The two witnesses of every claim: the paper's tables and our runs, asked for the same quantities in the same words.

Both give `rules.Part`s. Those of the paper carry the rounding of the printed cells as their bounds and the arithmetic
as text; ours carry an interval at the witness's `level`, the number of seeds and the ids of the records.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
import pandas as pd

from .. import published
from ..analysis import critical_batch_size
from ..config import DATASETS
from ..statistics import LEVEL, mean_interval, prediction_interval, proportion_interval
from .rules import FEW, Part

Cell = tuple[
    int, str | None
]  # batch size and learning-rate rule; None: the linear one (in the paper: Table VII's)
PAIRED, ONE_RUN = "our mean, paired by seed", "one more run of ours"
SAMPLING = "the test set's sampling error, one seed"


@dataclass(frozen=True)
class Paper:
    """Tables III, IV and VII; Table V where a learning-rate rule is named."""

    level: float = LEVEL

    @cached_property
    def _rows(self) -> dict:
        """Rows of the tables by data set, batch size and, for Table V, rule."""
        rows = {
            (row["dataset"], row["batch_size"], None): row for row in published.results().to_dict("records")
        }
        return rows | {
            ("synthetic-50k", row["batch_size"], row["lr_rule"]): row
            for row in published.learning_rate_ablation().to_dict("records")
        }

    def sizes(self, dataset: str) -> list[int]:
        return sorted(b for name, b, rule in self._rows if name == dataset and rule is None)

    def cell(self, dataset: str, b: int, metric: str = "test_acc", rule: str | None = None) -> Part:
        """A printed cell; metric is test_acc, train_acc, epoch_time_s or a gap, of which the paper has one."""
        column, row = "gap" if metric.startswith("gap") else metric, self._rows.get((dataset, b, rule), {})
        if math.isnan(value := float(row.get(column, math.nan))):
            return Part(_at(dataset, b), shown="no cell of the paper's tables")
        digits = places(row["table"], column)
        half = 0.5 * 10.0**-digits
        return Part(
            _at(dataset, b), value, value - half, value + half, 1, number(value, digits), of="rounding"
        )

    def combination(self, dataset: str, metric: str, weights: Mapping[Cell, float]) -> Part:
        """The weighted sum of cells, with the rounding of each."""
        cells = {cell: self.cell(dataset, cell[0], metric, cell[1]) for cell in weights}
        if not all(part.n for part in cells.values()):
            return Part(DATASETS[dataset].title, shown="a cell is not printed")
        value = sum(w * cells[c].value for c, w in weights.items())
        give = sum(abs(w) * (cells[c].high - cells[c].value) for c, w in weights.items())
        if len(weights) > 2 and len(set(weights.values())) == 1:
            text = f"mean of {', '.join(part.shown for part in cells.values())}"
        else:
            text = " ".join(
                f"{'−' if w < 0 else '+'} {'' if abs(w) == 1 else f'{abs(w):.3g}·'}"
                f"{_bracketed(cells[c].shown)}"
                for c, w in weights.items()
            ).removeprefix("+ ")
        shown = (
            next(iter(cells.values())).shown if list(weights.values()) == [1] else f"{text} = {number(value)}"
        )
        return Part(_along(dataset, weights), value, value - give, value + give, 1, shown, of="rounding")

    def minus(self, a: Part, b: Part, label: str) -> Part:
        return Part(
            label,
            a.value - b.value,
            a.low - b.high,
            a.high - b.low,
            min(a.n, b.n),
            f"({a.shown}) − ({b.shown}) = {number(a.value - b.value)}",
            of="rounding",
        )

    def accuracies(self, dataset: str) -> dict[int, float]:
        return {b: self._rows[dataset, b, None]["test_acc"] for b in self.sizes(dataset)}

    def outcomes(self, dataset: str, what: str) -> Part:
        """The optimum or B* by the definition, from the printed accuracies."""
        found = critical_batch_size.from_paper(dataset)
        value = getattr(found, what) or math.inf
        peak = self.cell(dataset, found.optimal)
        shown = f"highest accuracy {peak.shown} at B = {found.optimal}"
        if what == "critical":
            worst = min(
                ((v, b) for b, v in self.accuracies(dataset).items() if b > found.optimal), default=None
            )
            shown += f"; above it, the lowest is {number(worst[0])} at B = {worst[1]}" if worst else ""
            shown += f"; B* = {found.critical}" if found.critical else "; no B*"
        ties = [b for b, v in self.accuracies(dataset).items() if v == peak.value]
        among = tuple(map(float, ties)) if what == "optimal" else (float(value),)
        return Part(
            DATASETS[dataset].title,
            float(value),
            min(among),
            max(among),
            1,
            shown,
            of="definition",
            among=among,
        )


@dataclass(frozen=True)
class Runs:
    """Our records: `frame` holds those of the full protocol under any rule, `records` the same by id, `measures` the
    table of `geometry.measured`, `selected` gives that of `regret.results`."""

    frame: pd.DataFrame
    records: Mapping[str, dict] = field(default_factory=dict)
    measures: pd.DataFrame = field(default_factory=pd.DataFrame)
    selected: Callable[[], pd.DataFrame] = lambda: pd.DataFrame(
        columns=["problem", "method", "best_acc", "test_acc"]
    )
    level: float = LEVEL

    @cached_property
    def _cells(self) -> dict:
        cells = self.frame.groupby(["dataset", "lr_rule", "batch_size"])
        return {cell: rows.set_index("seed") for cell, rows in cells} | {
            None: self.frame.iloc[:0].set_index("seed")
        }

    @cached_property
    def _draws(self) -> dict[str, pd.DataFrame]:
        """Optima and B* drawn again, by data set: made when asked for, once."""
        return {}

    @cached_property
    def _measured(self) -> dict:
        """What was measured under the linear rule, by measure and data set. A measure's plain name means on training
        samples, after training; "_test" is added for test samples, "_untrained" for the network before training."""
        t = self.measures
        if t.empty:
            return {}
        last = t["dataset"].map({name: spec.protocol.epochs for name, spec in DATASETS.items()})
        t = t[(t["lr_rule"] == "linear") & ((t["epoch"] == 0) | (t["epoch"] == last))]
        t = t.assign(
            measure=t["measure"]
            + np.where(t["split"] == "test", "_test", "")
            + np.where(t["epoch"] == 0, "_untrained", "")
        )
        return {
            cell: rows.pivot_table(index="seed", columns="batch_size", values="value")
            for cell, rows in t.groupby(["measure", "dataset"])
        }

    def measured(self, measure: str, dataset: str) -> pd.DataFrame:
        """Values of a measure of `geometry`: a row a seed, a column a batch size; empty where there are none."""
        return self._measured.get((measure, dataset), pd.DataFrame())

    def at(self, level: float) -> Runs:
        """The same witness with intervals of another level, and what it has read so far."""
        other = copy(self)
        object.__setattr__(other, "level", level)
        return other

    def sizes(self, dataset: str) -> list[int]:
        return list(DATASETS[dataset].protocol.batch_sizes)

    def runs(self, dataset: str, b: int, rule: str | None = None) -> pd.DataFrame:
        """The rows of one cell of the grid, by seed."""
        return self._cells.get((dataset, rule or "linear", b), self._cells[None])

    def cell(self, dataset: str, b: int, metric: str = "test_acc", rule: str | None = None) -> Part:
        """The interval that one more run falls into; with one seed, the test set's sampling error."""
        rows = self.runs(dataset, b, rule)
        if rows.empty:
            return Part(_at(dataset, b), missing=command(dataset, rule))
        if len(rows) == 1:
            return self._alone(dataset, rows, metric, _at(dataset, b))
        i = prediction_interval(rows[metric], self.level)
        return Part(_at(dataset, b), i.mean, i.low, i.high, i.n, of=ONE_RUN, ids=tuple(rows["id"]))

    def _alone(self, dataset: str, rows: pd.DataFrame, metric: str, label: str) -> Part:
        """A single run: Wilson's interval of an accuracy; of a gap, those of both accuracies put together."""
        row, spec = rows.iloc[0], DATASETS[dataset]

        def share(column, n):
            i = proportion_interval(round(row[column] * n / 100), n, self.level)
            return Part(label, i.mean, i.low, i.high, 1, of=SAMPLING, ids=(row["id"],))

        if metric == "test_acc":
            return share("test_acc", spec.n_test)
        if metric in ("gap", "gap_running"):
            train = share("train_acc_running" if metric == "gap_running" else "train_acc", spec.n_train)
            return self.minus(train, share("test_acc", spec.n_test), label)
        if metric.startswith("train_acc"):
            return share(metric, spec.n_train)
        return Part(label, float(row[metric]), n=1, of="one run", ids=(row["id"],))

    def combination(self, dataset: str, metric: str, weights: Mapping[Cell, float]) -> Part:
        """The weighted sum of cells, seed by seed; with a single common seed, from the sampling errors of the cells."""
        label, rows = _along(dataset, weights), {c: self.runs(dataset, *c) for c in weights}
        lacking = [c for c, some in rows.items() if some.empty]
        if lacking:
            return Part(label, missing=command(dataset, next((c[1] for c in lacking if c[1]), None)))
        wide = pd.DataFrame({c: w * rows[c][metric] for c, w in weights.items()}).dropna()
        ids = tuple(id for some in rows.values() for id in some["id"][some.index.isin(wide.index)])
        if len(wide) > 1:
            i = mean_interval(wide.sum(axis=1), self.level)
            return Part(label, i.mean, i.low, i.high, i.n, of=PAIRED, ids=ids)
        if wide.empty:
            return Part(label, missing=command(dataset))
        alone = {c: self._alone(dataset, rows[c].loc[wide.index], metric, label) for c in weights}
        value = sum(w * alone[c].value for c, w in weights.items())
        down, up = (
            math.sqrt(sum((w * (end(alone[c]) - alone[c].value)) ** 2 for c, w in weights.items()))
            for end in (lambda a: a.low, lambda a: a.high)
        )
        return Part(label, value, value - max(down, up), value + max(down, up), 1, of=SAMPLING, ids=ids)

    def minus(self, a: Part, b: Part, label: str) -> Part:
        """The difference of two independent estimates, by the method of Zou and Donner (2008): their half widths add in
        squares, each on its side. For two proportions, from Wilson's intervals, it is Newcombe's (1998)."""
        (al, ah), (bl, bh), value = a.bounds, b.bounds, a.value - b.value
        down, up = math.hypot(a.value - al, bh - b.value), math.hypot(ah - a.value, b.value - bl)
        return Part(
            label,
            value,
            value - down,
            value + up,
            min(a.n, b.n),
            missing=a.missing or b.missing,
            of=a.of if a.of == b.of else PAIRED,
            ids=a.ids + b.ids,
        )

    def accuracies(self, dataset: str) -> dict[int, float]:
        """Mean test accuracy by batch size of the protocol, those that are recorded."""
        cells = {b: self.runs(dataset, b) for b in self.sizes(dataset)}
        return {b: float(rows["test_acc"].mean()) for b, rows in cells.items() if len(rows)}

    def outcomes(self, dataset: str, what: str) -> Part:
        """The optimum or B*, with the outcomes of `level` of the draws; inf stands for no B*."""
        title, means = DATASETS[dataset].title, self.accuracies(dataset)
        lacking = [b for b in self.sizes(dataset) if b not in means]
        if lacking:
            return Part(title, missing=command(dataset))
        rows = self.frame[
            (self.frame["dataset"] == dataset)
            & (self.frame["lr_rule"] == "linear")
            & self.frame["batch_size"].isin(means)
        ]
        seeds = rows.pivot(index="seed", columns="batch_size", values="test_acc").dropna()
        found = critical_batch_size.critical_batch_size(means)
        if dataset not in self._draws:
            enough = len(seeds) >= FEW
            self._draws[dataset] = (
                critical_batch_size.bootstrap(rows, dataset) if enough else self._sampled(dataset, means)
            )
        shares = self._draws[dataset][what].astype(float).fillna(math.inf).value_counts(normalize=True)
        kept = shares[shares.cumsum().shift(fill_value=0.0) < self.level].index
        everything = what == "optimal" and set(kept) == set(means)
        shown = (
            ", ".join(f"{_size(b)} in {number(100 * shares[b], 0)} %" for b in sorted(kept)) + " of the draws"
        )
        return Part(
            title,
            float(getattr(found, what) or math.inf),
            min(kept),
            max(kept),
            max(len(seeds), 1),
            shown,
            missing=command(dataset, seeds=2 * DATASETS[dataset].seeds) if everything else "",
            of=f"{100 * self.level:.3g} % of the draws",
            among=tuple(kept),
            ids=tuple(rows["id"]),
        )

    def _sampled(self, dataset: str, means: dict[int, float], draws: int = 2_000) -> pd.DataFrame:
        n, rng = DATASETS[dataset].n_test, np.random.default_rng(0)
        drawn = {b: 100 * rng.binomial(n, mean / 100, draws) / n for b, mean in means.items()}
        found = [
            critical_batch_size.critical_batch_size({b: drawn[b][k] for b in means}) for k in range(draws)
        ]
        return pd.DataFrame({"optimal": [c.optimal for c in found], "critical": [c.critical for c in found]})


def command(dataset: str, rule: str | None = None, seeds: int | None = None) -> str:
    """What computes the runs that are missing."""
    rule = f" --lr-rule {rule}" if rule and rule != "linear" else ""
    return f"bbatch sweep {dataset}{rule}" + (f" --seeds {seeds}" if seeds else "")


def number(value: float, digits: int = 2) -> str:
    """A number as text, with a true minus sign; "none" for what is not finite."""
    return f"{value:z.{digits}f}".replace("-", "−") if math.isfinite(value) else "none"


def _size(b: float) -> str:
    return f"B = {b:.0f}" if math.isfinite(b) else "no such B"


def _bracketed(text: str) -> str:
    return f"({text})" if text.startswith("−") else text


def _at(dataset: str, b: int) -> str:
    return f"{DATASETS[dataset].title}, B = {b}"


def _along(dataset: str, weights: Mapping[Cell, float]) -> str:
    sizes = list(dict.fromkeys(b for b, _ in weights))
    listed = " and ".join(map(str, sizes)) if len(sizes) < 3 else f"{sizes[0]} to {sizes[-1]}"
    return f"{DATASETS[dataset].title}, B = {listed}"


@cache
def places(table: str, column: str) -> int:
    """Digits after the point in a column of a table, taken from the cell that shows most."""
    frame = published.learning_rate_ablation() if table == "V" else published.results()
    values = frame.loc[frame["table"] == table, column].dropna()
    return max(len(repr(float(v)).partition(".")[2]) for v in values)
