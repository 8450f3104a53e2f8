"""How often the rules are wrong: papers and reproductions simulated with the scatter of our records.

A simulated paper prints what its protocol gave in one run, or a number that is off by one or two tolerances,
or an effect of the other sign or none at all. A simulated reproduction has n runs of the cells in question,
and, as on CIFAR-10, five of one other cell, whose scatter it borrows. Runs are drawn from the records: the
mean of a cell of the synthetic sets plus the distance of one of its 20 runs from it. What counts as wrong is
`WRONG`: a firm verdict that the truth contradicts. Off by one tolerance lies on the line, and contradicts
nothing but a verdict on the sign.

`python -m bbatch.claims.calibration` writes the long form, which the page of verdicts shows.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

from .. import metrics
from ..analysis.critical_batch_size import likely_optima
from ..analysis.estimate import Estimate, by_seed, weighted
from ..config import SYNTHETIC
from ..files import write_whole
from ..records.store import FROZEN, Store
from . import rules
from .rules import DIRECTION, NOT, REPRODUCED, VERDICTS, Says

FILE = FROZEN / "calibration.csv"
SEEDS = (1, 2, 3, 5, 20)
LENDER = 5  # runs of the one cell that has more
TRUE, ONE_OFF, TWO_OFF = "as printed", "off by one tolerance", "off by two tolerances"
NOTHING, OTHER = "no effect", "the other sign"
# Firm verdicts that a truth contradicts, by kind of claim.
WRONG = {
    "a number": {TRUE: (NOT,), ONE_OFF: (), TWO_OFF: (REPRODUCED,)},
    "an effect": {
        TRUE: (NOT, DIRECTION),
        ONE_OFF: (NOT,),
        TWO_OFF: (NOT, REPRODUCED),
        NOTHING: (REPRODUCED, DIRECTION),
        OTHER: (REPRODUCED, DIRECTION),
    },
    "a ratio": {
        TRUE: (NOT, DIRECTION),
        ONE_OFF: (NOT,),
        TWO_OFF: (NOT, REPRODUCED),
        NOTHING: (REPRODUCED, DIRECTION),
        OTHER: (REPRODUCED, DIRECTION),
    },
    "a range": {
        TRUE: (NOT, DIRECTION),
        ONE_OFF: (),
        TWO_OFF: (NOT, REPRODUCED),
        OTHER: (REPRODUCED, DIRECTION),
    },
    "it falls": {TRUE: (NOT,), NOTHING: (REPRODUCED,), OTHER: (REPRODUCED,)},
    "it does not rise": {TRUE: (NOT,), NOTHING: (NOT,), TWO_OFF: (REPRODUCED,)},
    "it falls on each of three": {TRUE: (NOT,), NOTHING: (REPRODUCED,), OTHER: (REPRODUCED,)},
    "a number, best of six readings": {TRUE: (NOT,), TWO_OFF: (REPRODUCED,)},
    "a best batch size": {TRUE: (NOT,), ONE_OFF: (), TWO_OFF: (REPRODUCED,)},
}


class Scatter:
    """Runs of a data set to draw from: the test accuracies of its cells, a column a batch size."""

    def __init__(self, runs: pd.DataFrame, dataset: str, rng: np.random.Generator):
        table = by_seed(runs, dataset, "test_acc").droplevel("lr_rule", axis=1).dropna()
        self.means = table.mean()
        spread = table - self.means
        self.residuals = spread * math.sqrt(len(table) / (len(table) - 1))  # of the runs, not of their mean
        self.draw_from = {b: self.residuals[b].to_numpy() for b in table}
        self.tolerance = min(rules.ABSOLUTE["points"], rules.OF_SPAN * float(np.ptp(table.to_numpy())))
        self.rng = rng

    def runs(self, batch_size: int, mean: float, n: int) -> np.ndarray:
        """n runs of a cell whose mean is set, with the scatter of that batch size."""
        return mean + self.rng.choice(self.draw_from[batch_size], n)

    def table(self, means: dict[int, float], n: int) -> pd.DataFrame:
        """n runs of each cell, those given with these means; one of the others has `LENDER`, if more."""
        others = [b for b in self.means.index if b not in means]
        lender = self.rng.choice(others or list(means))
        columns = {b: self.runs(b, means.get(b, self.means[b]), n) for b in self.means.index}
        columns[lender] = self.runs(lender, means.get(lender, self.means[lender]), max(n, LENDER))
        filled = np.full((max(n, LENDER), len(columns)), np.nan)
        for k, x in enumerate(columns.values()):
            filled[: len(x), k] = x
        return pd.DataFrame(filled, columns=list(columns))

    def pair(self) -> tuple[int, int]:
        """Two batch sizes."""
        return tuple(self.rng.choice(self.means.index, 2, replace=False))


def _shift(truth: str, tolerance: float, rng) -> float:
    """How far the printed number lies from the truth, apart from its scatter."""
    return {ONE_OFF: 1.0, TWO_OFF: 2.0}.get(truth, 0.0) * tolerance * rng.choice([-1, 1])


def _number(s: Scatter, truth: str, n: int, readings: int = 1) -> str:
    b = s.rng.choice(s.means.index)
    printed = s.runs(b, s.means[b] + _shift(truth, s.tolerance, s.rng), 1)[0]
    says = Says("=", printed, unit="percent")
    verdicts = [rules.verdict_of(says, [weighted(s.table({b: s.means[b]}, n), {b: 1}, "percent")], readings)]
    off = 1 if truth == TRUE else -1  # the other readings ask for something else, and all are wrong
    for _ in range(readings - 1):
        wrong = {b: s.means[b] + off * 2 * s.tolerance * s.rng.choice([-1, 1])}
        verdicts.append(rules.verdict_of(says, [weighted(s.table(wrong, n), {b: 1}, "percent")], readings))
    return min(verdicts, key=rules.FAVOUR.index)


def _difference(s: Scatter, effect: float, n: int) -> tuple[Estimate, float]:
    """An estimate of a difference of two cells whose truth is `effect`, and the scatter of one more pair of
    runs."""
    a, b = s.pair()
    table = s.table({a: s.means[b] + effect, b: s.means[b]}, n)
    noise = s.runs(a, 0.0, 1)[0] - s.runs(b, 0.0, 1)[0]
    return weighted(table, {a: 1, b: -1}, "points"), noise


def _effect(s: Scatter, truth: str, n: int) -> str:
    effect = (
        20 * s.tolerance
    )  # far beyond the scatter of a pair of runs, so that the printed sign is that of the effect
    found, noise = _difference(s, {NOTHING: 0.0, OTHER: -effect}.get(truth, effect), n)
    tolerance = Says("=", effect, unit="points").tolerance(effect, found.span)  # the effect widens the span
    printed = effect + _shift(truth, tolerance, s.rng) + noise
    return rules.verdict_of(Says("=", printed, unit="points", nothing=0.0), [found])


def _ratio(s: Scatter, truth: str, n: int) -> str:
    """On the scale of logarithms: accuracies stand in for logarithms, scaled to the scatter of sharpness, 15
    %."""
    scale = 0.15 / float(s.residuals.to_numpy().std())
    effect = math.log(6.9) * {NOTHING: 0.0, OTHER: -1.0}.get(truth, 1.0)
    found, noise = _difference(s, effect / scale, n)
    logs = Estimate(
        math.exp(found.value * scale),
        found.n,
        "ratio",
        error=found.error * scale,
        one_run=found.one_run * scale,
        freedom=found.freedom,
        scale="log",
    )
    printed = math.exp(math.log(6.9) + _shift(truth, math.log(1.1), s.rng) + noise * scale)
    return rules.verdict_of(Says("=", printed, unit="ratio", nothing=1.0), [logs])


def _range(s: Scatter, truth: str, n: int) -> str:
    effect, width = 20 * s.tolerance, 10 * s.tolerance
    found, _ = _difference(s, -effect if truth == OTHER else effect, n)
    tolerance = Says("=", effect, unit="points").tolerance(effect, found.span)
    off = {TRUE: 0.0, ONE_OFF: 1.0, TWO_OFF: 2.0}.get(truth, 0.0) * tolerance
    first = (
        effect + off if s.rng.random() < 0.5 else effect - off - width
    )  # the effect lies at an end, or outside
    return rules.verdict_of(Says("range", first, first + width, "points", nothing=0.0), [found])


def _falls(s: Scatter, truth: str, n: int, parts: int = 1, relation: str = ">") -> str:
    """Strict: a fall of two tolerances, none, a rise of two. Not strict: it must not rise by two."""
    effect = {TRUE: 2.0 if relation == ">" else -2.0, NOTHING: 0.0, OTHER: -2.0, TWO_OFF: 2.0}[
        truth
    ] * s.tolerance
    found = [
        _difference(s, effect if k == 0 or truth == TRUE else 2 * s.tolerance, n)[0] for k in range(parts)
    ]
    return rules.verdict_of(Says(relation, 0.0, unit="points", nothing=0.0), found)


def _batch_size(s: Scatter, truth: str, n: int) -> str:
    grid = list(s.means.index)
    table = s.table(dict(s.means), n)
    cells = {b: weighted(table, {b: 1}, "percent") for b in grid}
    among = likely_optima(cells, draws=400, seed=int(s.rng.integers(1 << 30)))
    at = grid.index(s.means.idxmax()) + {TRUE: 0, ONE_OFF: 1, TWO_OFF: 2}[truth] * int(s.rng.choice([-1, 1]))
    says = Says("=", float(grid[at % len(grid)]), unit="samples")
    return rules.verdict_of(says, [Estimate(says.value, n, "samples", among=among, span=len(grid))])


KINDS = {
    "a number": _number,
    "an effect": _effect,
    "a ratio": _ratio,
    "a range": _range,
    "it falls": _falls,
    "it does not rise": lambda s, truth, n: _falls(s, truth, n, relation="<="),
    "it falls on each of three": lambda s, truth, n: _falls(s, truth, n, parts=3),
    "a number, best of six readings": lambda s, truth, n: _number(s, truth, n, readings=6),
    "a best batch size": _batch_size,
}


def simulate(draws: int, seeds=SEEDS, kinds=tuple(KINDS), seed: int = 0) -> pd.DataFrame:
    """Shares of each verdict, in percent: a row for each kind of claim, truth and number of seeds.

    Columns: kind, truth, n, the verdicts, wrong (the firm ones that the truth contradicts), draws. The
    synthetic data sets are drawn from in turn, for they alone have 20 runs a cell."""
    runs = metrics.full_protocol(metrics.frame(Store().records().values()))
    rng, rows = np.random.default_rng(seed), []
    scatters = [Scatter(runs, d, rng) for d in SYNTHETIC]
    for kind in kinds:
        for truth, wrong in WRONG[kind].items():
            for n in seeds:
                found = pd.Series([KINDS[kind](scatters[k % 3], truth, n) for k in range(draws)])
                shares = 100 * found.value_counts(normalize=True).reindex(VERDICTS, fill_value=0.0)
                rows.append((kind, truth, n, *shares, shares[list(wrong)].sum(), draws))
    return pd.DataFrame(rows, columns=["kind", "truth", "n", *VERDICTS, "wrong", "draws"])


def recorded(path: Path = FILE) -> pd.DataFrame:
    """The long form as it was last computed."""
    return pd.read_csv(path)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """For the page: for each kind and n, the largest share of wrong verdicts over truths, and the mean share
    without any firm verdict, in percent."""
    table = table.assign(open=100 - table[list(rules.FIRM)].sum(axis=1))
    found = (
        table.groupby(["kind", "n"], sort=False)
        .agg(wrong=("wrong", "max"), open=("open", "mean"))
        .reset_index()
    )
    text = found.assign(
        text=[f"{w:.1f} / {o:.0f}" for w, o in zip(found["wrong"], found["open"], strict=False)]
    )
    wide = text.pivot(index="kind", columns="n", values="text").loc[list(dict.fromkeys(found["kind"]))]
    return wide.rename(columns=lambda n: f"n = {n}").rename_axis(columns=None).reset_index()


if __name__ == "__main__":
    write_whole(FILE, simulate(500).round(2).to_csv(index=False).encode())
    print(summary(recorded()).to_string(index=False))
