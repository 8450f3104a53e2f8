"""How often the rules are wrong, counted on simulated papers and reproductions (`claims.simulated`).

What counts as wrong is `WRONG`: a firm verdict that the truth contradicts. Off by one tolerance lies on the
line, and contradicts nothing but a verdict on the sign.

`python -m bbatch.claims.calibration` writes the long form, which the page of verdicts shows.
"""

import numpy as np
import pandas as pd

from .. import metrics
from ..config import SYNTHETIC
from ..files import write_whole
from ..records.store import FROZEN, Store
from . import rules
from .rules import DIRECTION, NOT, REPRODUCED, VERDICTS
from .simulated import KINDS, NOTHING, ONE_OFF, OTHER, TRUE, TWO_OFF, Scatter

FILE = FROZEN / "calibration.csv"
SEEDS = (1, 2, 3, 5, 20)
# Firm verdicts that a truth contradicts, by kind of claim.
A_NUMBER = {TRUE: (NOT,), ONE_OFF: (), TWO_OFF: (REPRODUCED,)}
AN_EFFECT = {TRUE: (NOT, DIRECTION), ONE_OFF: (NOT,), TWO_OFF: (NOT, REPRODUCED)}
AN_EFFECT |= dict.fromkeys((NOTHING, OTHER), (REPRODUCED, DIRECTION))
A_RANGE = {TRUE: (NOT, DIRECTION), ONE_OFF: (), TWO_OFF: (NOT, REPRODUCED), OTHER: (REPRODUCED, DIRECTION)}
FALLS = {TRUE: (NOT,), NOTHING: (REPRODUCED,), OTHER: (REPRODUCED,)}
WRONG = {
    "a number": A_NUMBER,
    "an effect": AN_EFFECT,
    "a ratio": AN_EFFECT,
    "a range": A_RANGE,
    "it falls": FALLS,
    "it does not rise": {TRUE: (NOT,), NOTHING: (NOT,), TWO_OFF: (REPRODUCED,)},
    "it falls on each of three": FALLS,
    "a number, best of six readings": {TRUE: (NOT,), TWO_OFF: (REPRODUCED,)},
    "a best batch size": A_NUMBER,
    "a correlation": AN_EFFECT,
    "its p-value": {TRUE: (NOT,), NOTHING: (REPRODUCED,)},
    "most seeds": {TRUE: (NOT,), OTHER: (REPRODUCED,)},
}


def simulate(draws: int, seeds=SEEDS, kinds=tuple(KINDS)) -> pd.DataFrame:
    """Shares of each verdict, in percent: a row for each kind of claim, truth and number of seeds.

    Columns: kind, truth, n, the verdicts, wrong (the firm ones that the truth contradicts), draws. The
    synthetic data sets are drawn from in turn, for they alone have 20 runs a cell."""
    runs = metrics.full_protocol(metrics.frame(Store().records().values()))
    rng, rows = np.random.default_rng(0), []
    scatters = [Scatter(runs, d, rng) for d in SYNTHETIC]
    for kind in kinds:
        for truth, wrong in WRONG[kind].items():
            for n in seeds:
                found = pd.Series([KINDS[kind](scatters[k % 3], truth, n) for k in range(draws)])
                shares = 100 * found.value_counts(normalize=True).reindex(VERDICTS, fill_value=0.0)
                rows.append((kind, truth, n, *shares, shares[list(wrong)].sum(), draws))
    return pd.DataFrame(rows, columns=["kind", "truth", "n", *VERDICTS, "wrong", "draws"])


def error_counts() -> pd.DataFrame:
    """The long form as it was last computed."""
    return pd.read_csv(FILE)


def error_rates(table: pd.DataFrame) -> pd.DataFrame:
    """For the page: for each kind and n, the largest share of wrong verdicts over truths, and the mean share
    without any firm verdict, in percent."""
    table = table.assign(open=100 - table[list(rules.FIRM)].sum(axis=1))
    found = table.groupby(["kind", "n"], sort=False).agg(wrong=("wrong", "max"), open=("open", "mean"))
    text = [f"{wrong:.1f} / {open_:.0f}" for wrong, open_ in found.itertuples(index=False)]
    wide = pd.Series(text, found.index).unstack()
    return wide.rename(columns=lambda n: f"n = {n}").rename_axis(columns=None).reset_index()


if __name__ == "__main__":
    write_whole(FILE, simulate(500).round(2).to_csv(index=False).encode())
    print(error_rates(error_counts()).to_string(index=False))
