"""The difference between two pairs of batch size and rate, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..statistics import LEVEL, Interval
from .judging import Judged


@dataclass(frozen=True)
class Lead(Interval):
    """A difference. `error`: its standard error; 0 where it is not known."""

    error: float = 0.0


def lead_of(mine: list[Judged | None], theirs: list[Judged | None]) -> Lead:
    """What decides, mine less theirs, in the mean over pairs of equal seeds, with its interval: the scatter
    over pieces of the validation rows (which all share) and that over seeds add up, with the degrees of
    freedom of Welch and Satterthwaite. Infinite where one side diverged; NaN bounds where nothing tells the
    scatter."""
    if any(j is None for j in (*mine, *theirs)):
        sign = sum(j is None for j in theirs) - sum(j is None for j in mine)
        value = math.copysign(math.inf, sign) if sign else 0.0
        return Lead(value, math.nan, math.nan, len(mine))
    seeds = np.array([a.value - b.value for a, b in zip(mine, theirs, strict=True)])
    variances, freedoms = [], []
    if mine[0].values is not None and len(mine[0].values) > 1:
        pieces = np.mean([a.values - b.values for a, b in zip(mine, theirs, strict=True)], axis=0)
        shares, k = mine[0].shares, len(pieces)
        centre = float(pieces @ shares)
        variances.append(float((shares**2 * (pieces - centre) ** 2).sum() * k / (k - 1)))
        freedoms.append(k - 1)
    if len(seeds) > 1:
        variances.append(float(seeds.var(ddof=1) / len(seeds)))
        freedoms.append(len(seeds) - 1)
    mean, total = float(seeds.mean()), sum(variances)
    if not variances:
        return Lead(mean, math.nan, math.nan, len(seeds))
    if total == 0:
        return Lead(mean, mean, mean, len(seeds))
    freedom = total**2 / sum(v * v / f for v, f in zip(variances, freedoms, strict=True))
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(total)
    return Lead(mean, mean - half, mean + half, len(seeds), math.sqrt(total))
