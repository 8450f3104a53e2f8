"""Tables of Section IV-C: ratios of epochs and times, as text.

The numbers are those of `analysis.efficiency.all_speedups`."""

import numpy as np
import pandas as pd

from .. import published
from ..analysis.efficiency import printed_speedup
from ..analysis.estimate import Estimate
from ..config import BASE, DATASETS
from .shown import three_digits


def ratio_text(i: Estimate) -> str:
    """ "2.31 (2.20 to 2.42)", the bare ratio where n gives no interval, or why there is none."""
    if np.isnan(i.value):
        return "unresolved" if "unresolved" in i.shown else "never" if "never" in i.shown else "–"
    value, low, high = map(three_digits, (i.value, i.low, i.high))
    return value if np.isnan(i.low) else f"{value} ({low} to {high})"


def ratio_table(table: pd.DataFrame) -> pd.DataFrame:
    """`all_speedups` as text; n where a ratio rests on fewer seeds than its row has."""

    def one(i, b, n):
        few = f", n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{i.n}" if 0 < i.n < n else ""
        return "base" if b == BASE else ratio_text(i) + few

    def text(column):
        return list(map(one, table[column], table["batch_size"], table["n"]))

    of = zip(table["dataset"], table["accuracy"], strict=True)
    return pd.DataFrame(
        {
            "data set, accuracy": [f"{DATASETS[d].title}, {a:.4g} %" for d, a in of],
            "B": table["batch_size"],
            "seeds": table["n"],
            "reached it": table["reached"],
            "an epoch: speed-up": text("epoch"),
            "epochs to it: ratio": text("epochs"),
            "time to it: speed-up": text("effective"),
        }
    )


def in_short(table: pd.DataFrame) -> pd.DataFrame:
    """Of `all_speedups` what a reader needs: B = 512 and the largest size against the base, as text, beside
    the ratio of the epoch times that the paper prints."""
    largest = table["dataset"].map(lambda d: DATASETS[d].protocol.batch_sizes[-1])
    some = table[(table["batch_size"] == 512) | (table["batch_size"] == largest)]
    paper = published.printed_frame()
    cells = zip(some["dataset"], some["batch_size"], strict=True)
    printed = [three_digits(printed_speedup(paper, d, BASE, b).value) for d, b in cells]
    text = ratio_table(some).drop(columns=["seeds", "reached it"])
    text.insert(2, "an epoch: the paper", printed)
    return text
