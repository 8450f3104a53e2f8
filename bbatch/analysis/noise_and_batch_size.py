"""What `geometry`'s table says of noise: does it fall as 1/B, and does its scale foretell a batch size?"""

import numpy as np
import pandas as pd

from ..config import DATASETS
from ..geometry.measurements import converged
from ..statistics import power_laws
from .estimate import Estimate, lacking, mean


def variance_fits(table: pd.DataFrame) -> pd.DataFrame:
    """log σ² on log B, Eq. (5): one fit a seed, and the interval of their mean (or of the one fit).

    Columns: dataset, at ("initialization" or "convergence"), measure, exponent (`Interval`) and r_squared
    (`Estimate`, from 0 to 1; of one seed without an interval), seeds, sizes (the most of a seed).
    Each seed is fitted over the batch sizes that it has, three or more; networks that `collapsed` are left
    out, and of a seed with fewer sizes the fit counts like any other."""
    rows, t = [], _variances(table)
    for (dataset, epoch, measure), cell in t.groupby(["dataset", "epoch", "measure"], sort=False):
        if measure == "gradient_variance" and epoch == 0:
            continue
        fits, exponent = power_laws(cell, "seed", "batch_size", "value")
        if fits:
            at, sizes = "convergence" if epoch else "initialization", max(f.exponent.n for f in fits)
            r_squared = mean([f.r_squared for f in fits], "R^2", DATASETS[dataset].title)
            rows.append([dataset, at, measure, exponent, r_squared, len(fits), sizes])
    return pd.DataFrame(rows, columns="dataset at measure exponent r_squared seeds sizes".split())


def _variances(table: pd.DataFrame) -> pd.DataFrame:
    t = converged(table)
    return t[t["measure"].str.startswith("gradient_variance") & (t["lr_rule"] == "linear")]


def variance_fit(table: pd.DataFrame, dataset: str, measure: str, at: str, of: str) -> Estimate:
    """The mean over seeds of "exponent" or "r_squared" of `variance_fits`, and how single fits scatter."""
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


def noise_scales(table: pd.DataFrame) -> pd.DataFrame:
    """Gradient noise scale tr(Σ)/|G|², in samples, of each linear-rule network that did not collapse.

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
