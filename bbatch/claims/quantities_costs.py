"""Quantities of the ledger, continued: epochs and seconds, and what the paper counts of itself."""

from __future__ import annotations

import math

import numpy as np

from .. import published
from ..config import DATASETS, SYNTHETIC
from .quantities import Witness, names, quantity
from .quantities_scaling import BASE, log_ratio
from .rules import Part
from .witnesses import Paper, Runs, command, number


def _cpu(w: Runs, dataset: str, b: int):
    """Seconds an epoch by seed: processor time on a CPU, which other work does not disturb; elapsed on a GPU.

    Only on the kind of machine that the paper used for the data set, since the claim is about what hardware makes of
    large batches: none for MNIST and CIFAR-10 trained on a CPU.
    """
    rows = w.runs(dataset, b)
    rows = rows[(rows["device"] == "cpu") == (dataset in SYNTHETIC)]
    return rows["epoch_cpu_s"].fillna(rows["epoch_time_s"]) if dataset in SYNTHETIC else rows["epoch_time_s"]


def _gpu(dataset: str) -> str:
    return command(dataset) + ("" if dataset in SYNTHETIC else " --device cuda")


@quantity
def speedup(w: Witness, base: str) -> list[Part]:
    """Time of an epoch at `base` over that at the largest batch size."""
    parts = []
    for d in DATASETS:
        small, large = int(base), max(w.sizes(d))
        label = f"{DATASETS[d].title}, B = {small} to {large}"
        if isinstance(w, Paper):
            a, b = (w.cell(d, size, "epoch_time_s") for size in (small, large))
            parts.append(
                Part(
                    label,
                    a.value / b.value,
                    a.low / b.high,
                    a.high / b.low,
                    1,
                    f"{a.shown} / {b.shown} = {number(a.value / b.value, 1)}",
                    of="rounding",
                )
            )
            continue
        ratios = (_cpu(w, d, small) / _cpu(w, d, large)).dropna()
        ids = tuple(id for size in (small, large) for id in w.runs(d, size)["id"])
        parts.append(log_ratio(label, ratios, w.level, ids) if len(ratios) else Part(label, missing=_gpu(d)))
    return parts


def _epochs_to(curve, target: float) -> float:
    """First epoch (from 1) whose test accuracy is above `target`; inf where none is."""
    above = np.flatnonzero(np.asarray(curve) > target)
    return float(above[0]) + 1 if len(above) else math.inf


def epochs_ratio(
    w: Runs, dataset: str, target: str, base: int = BASE
) -> tuple[dict[int, float], tuple[str, ...]]:
    """By seed: epochs at the largest batch size over those at `base` until test accuracy is above the target: that of
    Section III-D ("converged"), or one point below the lower of the two final accuracies ("own"). And the runs' ids.

    Seeds that do not get there at `base` are left out. The one place where claims read learning curves.
    """
    n_test, large = DATASETS[dataset].n_test, max(w.sizes(dataset))
    curves = [
        {
            seed: 100 * np.asarray(w.records[id]["history"]["test_correct"]) / n_test
            for seed, id in w.runs(dataset, b)["id"].items()
        }
        for b in (base, large)
    ]
    ratios = {}
    for seed in curves[0].keys() & curves[1].keys():
        a, b = (c[seed] for c in curves)
        aim = min(a[-1], b[-1]) - 1 if target == "own" else published.value("iii-d-converged")
        if math.isfinite(_epochs_to(a, aim)):
            ratios[seed] = _epochs_to(b, aim) / _epochs_to(a, aim)
    return ratios, tuple(id for b in (base, large) for id in w.runs(dataset, b)["id"])


def _ratio(label: str, ratios: list[float], level: float, ids, what: str) -> Part:
    """The mean of ratios; no number where, in half of the seeds or more, the large batch size never gets there."""
    never = sum(not math.isfinite(r) or r == 0 for r in ratios)
    if 2 * never >= len(ratios):
        return Part(
            label,
            n=len(ratios),
            ids=ids,
            shown=f"{what}: never reached by the largest batch size in {never} of {len(ratios)} seeds",
        )
    return log_ratio(label, [r for r in ratios if math.isfinite(r) and r > 0], level, ids)


@quantity
def more_epochs(w: Witness, target: str, base: str = str(BASE)) -> list[Part]:
    """Epochs to the same test accuracy, largest batch size over `base`; a data set where `base` never gets there says
    nothing of it, and is left out."""
    if isinstance(w, Paper):
        return []
    parts, small = [], int(base)
    for d in DATASETS:
        large = max(w.sizes(d))
        ratios, ids = epochs_ratio(w, d, target, small)
        label = f"{DATASETS[d].title}, B = {large} over {small}"
        if ratios:
            parts.append(_ratio(label, list(ratios.values()), w.level, ids, "test accuracy"))
        elif not set(w.runs(d, small).index) & set(w.runs(d, large).index):
            parts.append(Part(label, missing=command(d)))
    return parts


@quantity
def wall_clock(w: Witness, target: str, base: str = str(BASE)) -> list[Part]:
    """Gain in epoch time from `base` to the largest batch size, over the loss in epochs to the same accuracy.

    The paper prints the epoch times of each data set, and how many times more epochs are needed once for all.
    """
    gains = speedup(w, base)
    if isinstance(w, Paper):
        few, many = published.statements().set_index("id").loc["iv-c-more-epochs", ["value", "upper"]]
        return [
            Part(
                part.label,
                2 * part.value / (few + many),
                part.low / many,
                part.high / few,
                1,
                of="rounding",
                shown=f"({part.shown}) / ({few:g} to {many:g}) = {number(part.value / many)} to "
                f"{number(part.value / few)}",
            )
            for part in gains
        ]
    parts = []
    for d, gain in zip(DATASETS, gains):
        large = max(w.sizes(d))
        times = (_cpu(w, d, int(base)) / _cpu(w, d, large)).dropna()
        epochs, ids = epochs_ratio(w, d, target, int(base))
        ratios = [t / epochs[seed] for seed, t in times.items() if seed in epochs]
        if gain.missing:
            parts.append(gain)
        elif ratios:
            parts.append(_ratio(gain.label, ratios, w.level, ids, "test accuracy"))
    return parts


@quantity
def count(w: Witness, what: str) -> list[Part]:
    """What the paper counts of itself, counted in its tables and its protocol."""
    if not isinstance(w, Paper):
        return []
    sizes = sorted(set(published.results()["batch_size"]))
    networks = list(dict.fromkeys(spec.network for spec in DATASETS.values()))
    sets = list(dict.fromkeys(published.results()["dataset"]))
    value, shown = {
        "data-sets": (
            len(sets),
            f"the tables hold {len(sets)}: {', '.join(DATASETS[d].title for d in sets)}",
        ),
        "networks": (len(networks), f"Section III-B describes {len(networks)}"),
        "batch-sizes": (len(sizes), f"the tables hold {len(sizes)}: {', '.join(map(str, sizes))}"),
        "orders": (
            math.log10(max(sizes) / min(sizes)),
            f"log10({max(sizes)} / {min(sizes)}) = {number(math.log10(max(sizes) / min(sizes)))}",
        ),
    }[what]
    return [Part(what, value, n=1, shown=shown)]


@quantity
def section_of(w: Witness, id: str, claimed: str) -> list[Part]:
    """1 where the statement `id` stands in the section that is claimed, else 0."""
    if not isinstance(w, Paper):
        return []
    section = published.statements().set_index("id").loc[id, "section"]
    return [
        Part(
            id,
            float(section == claimed),
            n=1,
            shown=f"the measurement stands in Section {section}, not {claimed}"
            if section != claimed
            else f"the measurement stands in Section {section}",
        )
    ]


@quantity
def branch_rates(w: Witness, branch: str) -> list[Part]:
    """Line 9 of Algorithm 2 from the default rate, at both batch sizes of a branch."""
    if not isinstance(w, Paper):
        return []
    rate, base = published.value("vi-default-lr"), published.value("vi-base-batch")
    pair = published.statements().set_index("id").loc[f"vi-{branch}-batch", ["value", "upper"]]
    rates = {b: rate * b / base for b in pair}
    return [
        Part(f"B = {b:g}", lr, n=1, shown=f"{rate:g} × {b:g} / {base:g} = {lr:g}") for b, lr in rates.items()
    ]


@quantity
def budget(w: Witness, datasets: str) -> list[Part]:
    """Epoch times of the tables times the epochs, summed: in hours; for MNIST in minutes, as the paper states it."""
    if not isinstance(w, Paper):
        return []
    unit, seconds = ("minutes", 60) if datasets == "mnist" else ("hours", 3600)
    sums = {
        d: (float(published.results(d)["epoch_time_s"].sum()), DATASETS[d].protocol.epochs)
        for d in names(datasets)
    }
    value = sum(total * epochs for total, epochs in sums.values()) / seconds
    terms = " + ".join(f"{number(total)} s × {epochs}" for total, epochs in sums.values())
    return [Part(datasets, value, n=1, shown=f"{terms} = {number(value)} {unit}")]


@quantity
def whole_count(w: Witness, dataset: str, metric: str, b: str) -> list[Part]:
    """How far a printed accuracy is from the nearest count of whole samples, beyond its rounding (points).

    Nothing where the samples are so many that every printed number is such a count.
    """
    part, spec = w.cell(dataset, int(b), metric), DATASETS[dataset]
    n = spec.n_train if metric == "train_acc" else spec.n_test
    if not isinstance(w, Paper) or 100 / n <= part.high - part.low + 1e-9:
        return []
    nearest = 100 * round(part.value * n / 100) / n
    beyond = max(0.0, abs(nearest - part.value) - (part.high - part.value) - 1e-9)
    shown = f"{round(part.value * n / 100)} of {n:,} samples are {number(nearest, 3)} %"
    return [Part(part.label, beyond, n=1, shown=shown)]


@quantity
def printed_gap(w: Witness, dataset: str, b: str) -> list[Part]:
    """Printed training accuracy minus printed test accuracy."""
    a, c = (w.cell(dataset, int(b), metric) for metric in ("train_acc", "test_acc"))
    return [w.minus(a, c, a.label)] if a.n else []
