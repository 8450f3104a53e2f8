"""What the table of `geometry` says of noise: does its variance fall as 1/B, and does its scale foretell a
batch size?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import published
from ..config import DATASETS
from ..geometry.measurements import converged
from ..geometry.one_network import MEASURES
from ..statistics import mean_interval, power_laws
from . import critical_batch_size
from .estimate import Estimate, lacking, mean


def variance_fits(table: pd.DataFrame) -> pd.DataFrame:
    """log σ² on log B, Eq. (5): one fit a seed, and the interval of their mean (of the one fit, for one
    seed).

    Columns: dataset, at ("initialisation" or "convergence"), measure, exponent and r_squared (each an
    `Interval`; R² of one seed has none), seeds, sizes (the most of a seed), n_samples. Each seed is fitted
    over the batch sizes that it has, three or more; networks that `collapsed` are left out, and of a seed
    with fewer sizes the fit counts like any other."""
    rows, t = [], _variances(table)
    for (dataset, epoch, measure), cell in t.groupby(["dataset", "epoch", "measure"], sort=False):
        if measure == "gradient_variance" and epoch == 0:
            continue
        fits, exponent = power_laws(cell, "seed", "batch_size", "value")
        if fits:
            rows.append(
                {
                    "dataset": dataset,
                    "at": "convergence" if epoch else "initialisation",
                    "measure": measure,
                    "exponent": exponent,
                    "r_squared": mean_interval([f.r_squared for f in fits]),
                    "seeds": len(fits),
                    "sizes": max(f.exponent.n for f in fits),
                    "n_samples": int(cell["n_samples"].max()),
                }
            )
    return pd.DataFrame(
        rows, columns=["dataset", "at", "measure", "exponent", "r_squared", "seeds", "sizes", "n_samples"]
    )


def _variances(table: pd.DataFrame) -> pd.DataFrame:
    t = converged(table)
    return t[t["measure"].str.startswith("gradient_variance") & (t["lr_rule"] == "linear")]


def variance_fit(table: pd.DataFrame, dataset: str, measure: str, at: str, of: str) -> Estimate:
    """The "exponent" or "r_squared" of `variance_fits` on one data set: its mean over seeds, and how single
    fits scatter."""
    title, asked = DATASETS[dataset].title, f"bbatch geometry {dataset}"
    unit = {"exponent": "exponent", "r_squared": "R^2"}[of]
    t = _variances(table)
    t = t[(t["dataset"] == dataset) & (t["measure"] == measure) & ((t["epoch"] > 0) == (at == "convergence"))]
    fits, _ = power_laws(t, "seed", "batch_size", "value")
    if not fits:
        return lacking(title, asked, unit=unit)
    values = [f.exponent.mean if of == "exponent" else f.r_squared for f in fits]
    trained = t[t["batch_size"] == 32] if "one_network" in measure else t
    return mean(values, unit, title, tuple(trained["id"].unique()), how="a fit a seed")


def variance_table(table: pd.DataFrame) -> pd.DataFrame:
    """`variance_fits` in words, the paper's Eq. (5) first."""
    rows = [
        {
            "data set": "the paper",
            "at": "–",
            "drawn": "–",
            "slope": _number(published.value("iv-f-variance-slope")),
            "R²": _number(published.value("iv-f-variance-r2")),
            "seeds": "1",
            "sizes of B": "–",
        }
    ]
    for f in variance_fits(table).itertuples():
        rows.append(
            {
                "data set": DATASETS[f.dataset].title,
                "at": f.at,
                "drawn": MEASURES[f.measure].split(", ", 1)[1],
                "slope": f.exponent.text(3, "+"),
                "R²": f.r_squared.text(3),
                "seeds": str(f.seeds),
                "sizes of B": str(f.sizes),
            }
        )
    return pd.DataFrame(rows)


def noise_table(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The noise scale at the start and at the end of training beside the batch sizes that accuracy itself
    points to.

    `runs` as from `metrics.frame`: the optimum and B* are `critical_batch_size.from_runs` under the linear
    rule, where two batch sizes or more are recorded."""
    rows = []
    for dataset, part in noise_scales(table).groupby("dataset", sort=False):
        mine = runs[(runs["dataset"] == dataset) & (runs["lr_rule"] == "linear")]
        found = critical_batch_size.from_runs(mine, dataset) if mine["batch_size"].nunique() > 1 else None
        row = {"data set": DATASETS[dataset].title}
        for what, epoch in (("first step", 0), ("last epoch", DATASETS[dataset].protocol.epochs)):
            for b in (32, 512):
                at = part[(part["epoch"] == epoch) & (part["batch_size"] == b)]["value"]
                if epoch or b == 32:
                    row[f"noise scale, {what}" + (f", B = {b}" if epoch else "")] = (
                        _samples(at) if len(at) else "–"
                    )
        rows.append(
            row
            | {
                "best B, measured": f"{found.optimal}{_among(mine, dataset)}" if found else "–",
                "critical B*, measured": str(found.critical or found.case) if found else "–",
            }
        )
    return pd.DataFrame(rows)


def variance_sentences(table: pd.DataFrame) -> list[str]:
    """What the fits say beside Eq. (5), and what the finite population does to the slope."""
    fits = variance_fits(table)
    if fits.empty:
        return ["No gradient variance is recorded yet."]
    slopes, fit = ([i.mean for i in fits[column]] for column in ("exponent", "r_squared"))
    text = (
        f"Over all {len(fits)} fits the slope lies between {_number(min(slopes))} and "
        f"{_number(max(slopes))}, R² between {min(fit):.3f} and {max(fit):.3f}; the paper prints "
        f"{_number(published.value('iv-f-variance-slope'))} and "
        f"{_number(published.value('iv-f-variance-r2'))}."
    )
    parts = [text]
    wide = fits.set_index(["dataset", "at", "measure"])
    for dataset in fits["dataset"].unique():
        for at in ("initialisation", "convergence"):
            keys = [(dataset, at, f"gradient_variance_one_network{s}") for s in ("", "_replaced")]
            if all(key in wide.index for key in keys):
                without, with_ = (wide.loc[key, "exponent"] for key in keys)
                n = wide.loc[keys[0], "seeds"]
                parts.append(
                    f"{DATASETS[dataset].title}, {at}: {without.text(2, '+')} without replacement, "
                    f"{with_.text(2, '+')} with it "
                    f"({f'n = {n} seeds' if n > 1 else 'one seed; ± of the fit'})."
                )
    return [parts[0], " ".join(parts[1:])] if len(parts) > 1 else parts


def share_sentence(table: pd.DataFrame) -> str:
    """How unevenly samples carry the gradient, before and after training: what makes twenty mini-batches too
    few."""
    t, parts = table[table["measure"] == "gradient_top_share"], []
    for dataset, part in t.groupby("dataset", sort=False):
        shares = []
        for when, rows in (
            ("at initialisation", part[part["epoch"] == 0]),
            ("after training", part[part["epoch"] > 0]),
        ):
            if len(rows):
                low, high, mean, n = rows["value"].agg(["min", "max", "mean", "count"])
                span, word = (f"{low:.0f} to {high:.0f}; ", "networks") if n > 1 else ("", "network")
                shares.append(f"{mean:.0f} % {when} ({span}n = {n:.0f} {word})")
        parts.append(
            f"{DATASETS[dataset].title} {' and '.join(shares)}, among {part['n_samples'].max():,} training "
            "samples"
        )
    return (
        "The 1 % of samples with the largest gradients carry, of the sum of all squared gradients "
        f"(first-layer weights), on {'; on '.join(parts)}. Were all alike, it would be 1 %."
        if parts
        else "No share of the gradient is recorded yet."
    )


def noise_sentences(table: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """How far the noise scale moves through training, and whether the measured batch sizes lie near it."""
    sentences = []
    for dataset, part in noise_scales(table).groupby("dataset", sort=False):
        mine = runs[(runs["dataset"] == dataset) & (runs["lr_rule"] == "linear")]
        first, last = (
            part[part["epoch"] == at]["value"] for at in (part["epoch"].min(), part["epoch"].max())
        )
        text = f"**{DATASETS[dataset].title}**: the noise scale is {_mean(first)} at initialisation"
        if part["epoch"].nunique() > 1:
            text += f" and {_mean(last)} after epoch {part['epoch'].max()} "
            text += "(over all networks measured there, whatever their B)"
        if mine["batch_size"].nunique() > 1:
            found = critical_batch_size.from_runs(mine, dataset)
            text += f"; test accuracy is best at B = {found.optimal}{_among(mine, dataset)}, and "
            text += (
                f"its critical batch size is {found.critical}"
                if found.critical
                else f"no larger one up to B = {mine['batch_size'].max()} lies a point below that"
            )
        sentences.append(text + ".")
    return sentences or ["No noise scale is recorded yet."]


def noise_scales(table: pd.DataFrame) -> pd.DataFrame:
    """The gradient noise scale tr(Σ)/|G|² of each network under the linear rule that did not collapse, in
    samples.

    Columns: dataset, batch_size, seed, epoch, n_samples, id, whole, value. Over mini-batches that make up the
    whole training set (`whole`), the mean gradient is the true one, |G|² is exact, and so nothing is
    subtracted; the recorded `gradient_norm2` is what is left of it after tr(Σ)/n was. Elsewhere that is an
    unbiased estimate, and a scale above the number of samples is no number: the gradient is not told apart
    from zero, and `value` is NaN."""
    t = converged(table)
    t = t[t["measure"].isin(["gradient_trace", "gradient_norm2"]) & (t["lr_rule"] == "linear")]
    keys = ["dataset", "batch_size", "seed", "epoch", "n_samples", "id"]
    wide = t.pivot_table(index=keys, columns="measure", values="value").reset_index()
    if wide.empty:
        return pd.DataFrame(columns=[*keys, "whole", "value"])
    n = wide["n_samples"]
    whole = n == wide["dataset"].map(lambda name: DATASETS[name].n_train)
    norm2 = wide["gradient_norm2"] + np.where(whole, wide["gradient_trace"] / n, 0.0)
    scale = (wide["gradient_trace"] / norm2).where(
        whole | ((norm2 > 0) & (wide["gradient_trace"] < n * norm2))
    )
    return wide[keys].assign(whole=whole, value=scale)


def _mean(values: pd.Series) -> str:
    """A mean of noise scales in words; none is taken where one of them is no number."""
    if values.isna().any():
        return f"not told apart from infinite in {values.isna().sum()} of {len(values)} networks"
    return f"{_rounded(values.mean())} samples"


def _among(runs: pd.DataFrame, dataset: str) -> str:
    """How many batch sizes have runs, where some of the protocol have none."""
    have, planned = runs["batch_size"].nunique(), len(DATASETS[dataset].protocol.batch_sizes)
    return "" if have == planned else f" (of {have} batch sizes recorded)"


def _samples(values: pd.Series) -> str:
    """The mean of noise scales with half of its interval, three digits each; where one is no number, how many
    are."""
    if values.isna().any():
        return f"not told apart from infinite in {values.isna().sum()} of {len(values)}"
    i = mean_interval(values)
    return _rounded(i.mean) + ("" if np.isnan(i.low) else f"\u00a0±\u00a0{_rounded(i.half_width)}")


def _rounded(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.0f}".replace("-", "−")


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
