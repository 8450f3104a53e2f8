"""What the table of `geometry` says of minima: does sharpness grow with B, and does it go with the gap?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from .. import published
from ..config import DATASETS
from ..geometry.measurements import converged
from ..geometry.one_network import LITERAL, MEASURES
from ..statistics import LEVEL, Interval, power_laws, spearman
from .estimate import Estimate, lacking, mean, pooled_variance, ratio

MEASURE = "bbatch geometry"  # what computes what is missing
SHARP = [name for name in MEASURES if name.startswith(("sharpness", "keskar", "hessian"))]


def final(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The measures of sharpness of a data set's networks at the end of training, without those that
    `collapsed`. Where the rules of the learning rate coincide, at the base batch size, the one run stands
    under each."""
    spec, rows = DATASETS[dataset].protocol, _ends(table, dataset)
    both = rows[(rows["batch_size"] == spec.base_batch) & (rows["lr_rule"] == "linear")]
    others = [rule for rule in rows["lr_rule"].unique() if rule != "linear"]
    return pd.concat([rows, *(both.assign(lr_rule=rule) for rule in others)], ignore_index=True)


def _ends(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    t = converged(table)
    return t[
        (t["dataset"] == dataset)
        & (t["epoch"] == DATASETS[dataset].protocol.epochs)
        & t["measure"].isin(SHARP)
    ]


def measured(
    table: pd.DataFrame, dataset: str, measure: str, split: str, lr_rule: str = "linear"
) -> pd.DataFrame:
    """Values of one measure at the end of training: a row a seed, a column a batch size."""
    t = final(table[(table["dataset"] == dataset) & table["measure"].isin([measure, "accuracy"])], dataset)
    t = t[(t["measure"] == measure) & (t["split"] == split) & (t["lr_rule"] == lr_rule)]
    return t.pivot_table(index="seed", columns="batch_size", values="value")


def sharpness(table: pd.DataFrame, dataset: str, batch_size: int, measure: str, split: str) -> Estimate:
    """Sharpness at one batch size; its scatter is that of logarithms, as sharpness differs by factors."""
    wide, about = measured(table, dataset, measure, split), f"{DATASETS[dataset].title}, B = {batch_size}"
    values = wide[batch_size].dropna() if batch_size in wide else pd.Series(dtype=float)
    if values.empty:
        return lacking(about, f"{MEASURE} {dataset}", unit="loss")
    logs = np.log(wide.where(wide > 0))
    ids = _ids(table, dataset, [batch_size], values.index)
    if (values <= 0).any():  # along random directions the loss need not rise
        return mean(values, "loss", about, ids)
    found = ratio(
        values, about, ids, prior=pooled_variance(logs), span=float(wide.max().max() - wide.min().min())
    )
    return replace(found, unit="loss", how="geometric mean over seeds")


def sharpness_ratio(
    table: pd.DataFrame,
    dataset: str,
    small: int,
    large: int,
    measure: str,
    split: str,
    lr_rule: str = "linear",
) -> Estimate:
    """Sharpness at the large batch size over that at the small one: geometric mean of the seeds' ratios."""
    wide = measured(table, dataset, measure, split, lr_rule)
    about = f"{DATASETS[dataset].title}, B = {large} over {small}"
    pairs = wide[[small, large]].dropna() if {small, large} <= set(wide) else wide.iloc[:0]
    pairs = pairs[(pairs > 0).all(axis=1)]
    if not len(pairs):
        return lacking(about, f"{MEASURE} {dataset}", unit="ratio")
    variance, freedom = pooled_variance(np.log(wide.where(wide > 0)))
    ids = _ids(table, dataset, (small, large), pairs.index)
    return ratio(pairs[large] / pairs[small], about, ids, prior=(2 * variance, freedom))


def sharpness_ratios(table: pd.DataFrame, datasets, measure: str, split: str) -> list[Estimate]:
    """`sharpness_ratio` of B = 512 over 32 on each data set; on MNIST of 256, the large one of Fig. 10."""
    return [sharpness_ratio(table, d, 32, 256 if d == "mnist" else 512, measure, split) for d in datasets]


def _ids(table: pd.DataFrame, dataset: str, batch_sizes, seeds) -> tuple[str, ...]:
    """The runs whose networks were measured."""
    t = table[(table["dataset"] == dataset) & (table["lr_rule"] == "linear")]
    return tuple(t[t["batch_size"].isin(batch_sizes) & t["seed"].isin(seeds)]["id"].unique())


def ratios(
    table: pd.DataFrame, dataset: str, small: int = 32, large: int = 512, lr_rule: str = "linear"
) -> pd.DataFrame:
    """Sharpness at B = `large` over that at `small`, by every measure: the geometric mean over seeds, paired.

    Columns: measure, split, small, large (means), ratio, low, high (95 % over seeds; missing for one), n.
    """
    rows, t = [], final(table, dataset)
    for (measure, split), _ in _each(t[t["lr_rule"] == lr_rule]):
        i = sharpness_ratio(table, dataset, small, large, measure, split, lr_rule)
        if i.n:
            wide = measured(table, dataset, measure, split, lr_rule)[[small, large]].dropna()
            means = wide[(wide > 0).all(axis=1)].mean()
            rows.append((measure, split, means[small], means[large], i.value, *i.interval(), i.n))
    return pd.DataFrame(rows, columns=["measure", "split", "small", "large", "ratio", "low", "high", "n"])


def ratio_table(table: pd.DataFrame, dataset: str, small: int = 32, large: int = 512) -> pd.DataFrame:
    """`ratios` in words, under each rule that was measured, with the paper's beside them."""
    rows = (
        [
            {
                "measure": "the paper, reading unknown",
                "loss on": "–",
                f"B = {small}": _g(published.value("iv-e-sharpness-b32")),
                f"B = {large}": _g(published.value("iv-e-sharpness-b512")),
                "ratio, linear": _g(published.value("iv-e-sharpness-ratio")),
            }
        ]
        if (small, large) == (32, 512)
        else []
    )
    found = {
        rule: ratios(table, dataset, small, large, rule) for rule in final(table, dataset)["lr_rule"].unique()
    }
    other = found.get("constant", pd.DataFrame(columns=["measure", "split"])).set_index(["measure", "split"])
    for row in found.get("linear", pd.DataFrame()).to_dict("records"):
        rows.append(
            {
                "measure": MEASURES[row["measure"]],
                "loss on": row["split"],
                f"B = {small}": _g(row["small"]),
                f"B = {large}": _g(row["large"]),
                "ratio, linear": _span(row),
            }
        )
        if (key := (row["measure"], row["split"])) in other.index:
            rows[-1]["ratio, constant"] = _span(other.loc[key])
    return pd.DataFrame(rows).fillna("–")


def ratio_sentence(table: pd.DataFrame, dataset: str, small: int = 32, large: int = 512) -> str:
    """By how many readings is the network of the large batch the sharper one, under the linear rule?"""
    found, title = ratios(table, dataset, small, large), DATASETS[dataset].title
    if found.empty:
        return f"**{title}**: no pair of networks at B = {small} and B = {large} measured yet."
    seeds, samples = found["n"].max(), final(table, dataset)["n_samples"].max()
    above, below = (found["low"] > 1).sum(), (found["high"] < 1).sum()
    if seeds > 1:
        said = (
            f"of {len(found)} readings {above} {_are(above)} above 1 with {_their(above)} whole interval, "
            f"{below} below, and {len(found) - above - below} cannot be told apart from 1 (n = {seeds} seeds"
        )
    else:
        above = (found["ratio"] > 1).sum()
        said = f"of {len(found)} readings {above} {_are(above)} above 1 and {len(found) - above} below, "
        said += "without intervals (n = 1 seed"
    text = f"**{title}**, B = {large} over B = {small}: {said}; at most {samples:,} samples of a split)."
    letter = found[(found["measure"] == LITERAL[0]) & (found["split"] == LITERAL[1])]
    if len(letter):
        text += (
            " To the letter, the Euclidean ball and the training loss, the ratio is "
            f"{_span(letter.iloc[0])}; the paper prints {_g(published.value('iv-e-sharpness-ratio'))}."
        )
    return text


def growth(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """How sharpness follows B: the exponent a of S ∝ B^a, fitted seed by seed, with the interval of its mean
    over seeds.

    Columns: lr_rule, measure, split, exponent (an `Interval`), sizes (the most batch sizes of a seed), seeds.
    A seed needs three batch sizes."""
    rows, t = [], final(table, dataset)
    for rule, part in t.groupby("lr_rule", sort=False):
        for (measure, split), cell in _each(part):
            fits, exponent = power_laws(cell, "seed", "batch_size", "value")
            if fits:
                rows.append(
                    {
                        "lr_rule": rule,
                        "measure": measure,
                        "split": split,
                        "exponent": exponent,
                        "sizes": max(f.exponent.n for f in fits),
                        "seeds": len(fits),
                    }
                )
    return pd.DataFrame(rows, columns=["lr_rule", "measure", "split", "exponent", "sizes", "seeds"])


def growth_table(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """`growth` in words: the exponent under each rule, and whether it is told apart from zero."""
    found = growth(table, dataset)
    found["text"] = [f"{i.text(2, '+')}, {_sense(i)}" for i in found["exponent"]]
    wide = found.pivot_table(
        index=["measure", "split"], columns="lr_rule", values="text", aggfunc="first", sort=False
    )
    wide = wide.rename(columns=lambda rule: f"{rule} rule").reset_index().rename(columns={"split": "loss on"})
    return wide.assign(measure=wide["measure"].map(MEASURES)) if len(wide) else wide


def growth_sentence(table: pd.DataFrame, dataset: str) -> str:
    """Does sharpness, Eq. (3) to the letter, grow with B under each rule? And how many of the other readings
    agree?"""
    found, parts = growth(table, dataset), []
    for rule, rows in found.groupby("lr_rule", sort=False):
        first = rows[(rows["measure"] == LITERAL[0]) & (rows["split"] == LITERAL[1])]["exponent"]
        senses = [_sense(i) for i in rows["exponent"]]
        counts = ", ".join(
            f"{senses.count(sense)} {_plural(sense)}" for sense in sorted(set(senses), key=SENSES.index)
        )
        exponents = "".join(
            f"Eq. (3) to the letter follows B to the power {i.text(2, '+')} ({_sense(i)}; "
            f"{f'n = {n} seeds' if n > 1 else 'one seed, ± of the fit'}); "
            for i, n in zip(first, rows["seeds"], strict=False)
        )
        parts.append(f"Under the {rule} rule, {exponents}of all {len(rows)} readings, {counts}.")
    if not parts:
        return f"**{DATASETS[dataset].title}**: fewer than three batch sizes measured with any seed."
    return f"**{DATASETS[dataset].title}.** {' '.join(parts)}"


def against_gap(table: pd.DataFrame, runs: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Does a measure of sharpness rank the runs as their generalization gap does? Spearman's rho over single
    runs.

    `runs` as from `metrics.frame`; the gap is that of clean training accuracy, in points. Columns: measure,
    split, over ("all runs", or "runs of equal B and rule": only what differs inside each such cell), rho,
    low, high, p, n (net of cells), clear (whether the interval at the level divided by the number of
    measures, Bonferroni, leaves zero out). Four runs or more are needed."""
    rows = []
    t = _ends(table, dataset).merge(runs.drop_duplicates("id")[["id", "gap"]], on="id").dropna(subset=["gap"])
    groups = list(_each(t))
    for (measure, split), cell in groups:
        labels = cell["lr_rule"].astype(str) + cell["batch_size"].astype(str)
        for over, cells in (("all runs", None), ("runs of equal B and rule", labels)):
            n = len(cell) - (labels.nunique() - 1 if cells is not None else 0)
            if n >= 5 and cell["value"].nunique() > 1 and cell["gap"].nunique() > 1:
                c = spearman(cell["value"], cell["gap"], cells=cells)
                strict = spearman(cell["value"], cell["gap"], 1 - (1 - LEVEL) / len(groups), cells)
                rows.append(
                    {
                        "measure": measure,
                        "split": split,
                        "over": over,
                        "rho": c.r,
                        "low": c.low,
                        "high": c.high,
                        "p": c.p,
                        "n": c.n,
                        "clear": strict.low > 0 or strict.high < 0,
                    }
                )
    return pd.DataFrame(rows, columns=["measure", "split", "over", "rho", "low", "high", "p", "n", "clear"])


def gap_table(table: pd.DataFrame, runs: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """`against_gap` in words, a row a measure."""
    found = against_gap(table, runs, dataset)
    found["text"] = [
        f"{r.rho:.2f} ({r.low:.2f} to {r.high:.2f}){'*' if r.clear else ''}".replace("-", "−")
        for r in found.itertuples()
    ]
    found["over"] = found["over"] + [f" (n = {n})" for n in found["n"]]
    wide = found.pivot_table(
        index=["measure", "split"], columns="over", values="text", aggfunc="first", sort=False
    )
    wide = wide.reset_index().rename(columns={"split": "loss on"})
    return wide.assign(measure=wide["measure"].map(MEASURES)) if len(wide) else wide


def gap_sentence(table: pd.DataFrame, runs: pd.DataFrame, dataset: str) -> str:
    """Which measure goes best with the gap, over all runs and inside the cells of equal B and rule."""
    found, parts = against_gap(table, runs, dataset), []
    for over, rows in found.groupby("over", sort=False):
        best = rows.loc[rows["rho"].abs().idxmax()]
        count = int(rows["clear"].sum())
        parts.append(
            f"Over {over}, “{MEASURES[best['measure']]}” on the {best['split']} loss is tied to the gap "
            f"most closely, ρ = {best['rho']:.2f} (95 % interval {best['low']:.2f} to {best['high']:.2f}, n "
            f"= {best['n']}); after Bonferroni's correction, {count or 'none'} of the {len(rows)} readings "
            f"{'is' if count < 2 else 'are'} clear of zero."
        )
    if not parts:
        return f"**{DATASETS[dataset].title}**: too few runs measured for a rank correlation."
    return f"**{DATASETS[dataset].title}.** {' '.join(parts)}".replace("-0.", "−0.")


def _each(table: pd.DataFrame):
    """(measure, split) groups in the order of `MEASURES`."""
    for measure in SHARP:
        for split in ("train", "test"):
            cell = table[(table["measure"] == measure) & (table["split"] == split)]
            if len(cell):
                yield (measure, split), cell


SENSES = ("grows", "falls", "not told apart from zero", "one fit")


def _sense(i: Interval) -> str:
    return (
        "grows"
        if i.low > 0
        else "falls"
        if i.high < 0
        else "not told apart from zero"
        if not math.isnan(i.low)
        else "one fit"
    )


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _their(count: int) -> str:
    return "its" if count == 1 else "their"


def _plural(sense: str) -> str:
    return {"grows": "grow", "falls": "fall", "one fit": "have one fit"}.get(sense, "are " + sense)


def _span(row) -> str:
    span = "" if math.isnan(row["low"]) else f" ({row['low']:.3g} to {row['high']:.3g})"
    return f"{row['ratio']:.3g}{span}"


def _g(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
