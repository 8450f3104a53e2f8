"""Which networks and landscapes the pages rest on, and where they come from, in words."""

from __future__ import annotations

import pandas as pd

from ..config import DATASETS
from ..geometry.measurements import collapsed
from ..geometry.one_network import LITERAL

ORIGINS = {
    "initial": "untrained",
    "kept": "with the weights that the sweep kept",
    "retrained": "trained again with the record's scores",
    "retrained, differs": "trained again, a little off the record by another processor's rounding",
    "retrained, no record": "trained without a record",
}


def which_networks(table: pd.DataFrame, points: pd.DataFrame, datasets) -> str:
    """Which networks this page rests on, a paragraph each, and the command for those that are missing."""
    parts = []
    for name in datasets:
        spec = DATASETS[name]
        ends = table[(table["dataset"] == name) & (table["epoch"] == spec.protocol.epochs)]
        counts = ends.drop_duplicates("id").groupby(["batch_size", "lr_rule", "precision"]).size()
        listed = ", ".join(
            f"B = {b}{'' if rule == 'linear' else ', ' + rule + ' rule'}{'' if p == 'fp32' else ', ' + p} "
            f"(n = {n})"
            for (b, rule, p), n in counts.items()
        )
        sizes = sorted(points.loc[points["dataset"] == name, "batch_size"].unique())
        drawn = ", ".join(f"B = {b}" for b in sizes)
        parts.append(
            f"**{spec.title}**: trained networks measured: {listed or 'none yet'}; "
            f"landscapes drawn: {drawn or 'none yet'}{_collapse(table, name)}."
        )
    parts.append(
        "Synthetic networks are trained again in seconds; those of images need the weights that a sweep on "
        "this machine has kept: `bbatch sweep mnist cifar10 --seeds 1`, then `bbatch geometry`. Of a seed "
        "measured in both precisions, that with more batch sizes is shown, so that ratios pair networks of "
        "one kind."
    )
    return "\n\n".join(parts)


def _collapse(table: pd.DataFrame, dataset: str) -> str:
    """Which networks are left out as collapsed, with their sharpness to the letter."""
    gone = collapsed(table[table["dataset"] == dataset])
    measure, split = LITERAL
    letter = table[(table["measure"] == measure) & (table["split"] == split) & (table["epoch"] > 0)]
    letter = letter.set_index("id")["value"]
    found = "; ".join(
        f"B = {r.batch_size}, seed {r.seed} (to the letter its sharpness is {letter[r.id]:.3g})"
        for r in gone.itertuples()
    )
    return found and f". Measured, but left out of what follows, since training collapsed to chance: {found}"


def origins(table: pd.DataFrame, points: pd.DataFrame | None = None) -> str:
    """Where the networks that a page measures come from, and with which code they were measured."""
    if table.empty:
        return "Nothing measured yet."
    # Some were trained again twice: each counts once.
    counts = table.drop_duplicates(["id", "epoch", "source"])["source"].value_counts()
    nets = ", ".join(f"{count} {ORIGINS.get(source, source)}" for source, count in counts.items())
    drawn = "" if points is None or points.empty else f" · {len(points):,} points of landscapes"
    return (
        f"**Where its measurements come from.** Networks, each after so many epochs: {nets}{drawn} · "
        f"code: {', '.join(sorted(table['commit'].unique()))}. "
        "`geometry.measured` gives each number's samples and settings."
    )
