"""What the paper's numbers say of each other, in `Estimate`s that carry the arithmetic.

Every function takes the frame of the printed tables (`published.printed_frame`) first, as the other questions
do, and speaks of the paper alone."""

import math
from collections.abc import Iterable

from .. import published
from ..config import DATASETS, PUBLISHED
from .accuracy import level
from .estimate import PRINTED, Estimate, minus, number, printed_ratio


def counts_itself(runs, what: str) -> Estimate:
    """What the paper counts of itself: "data sets", "networks", "batch sizes" or "orders" of magnitude."""
    found, names = sorted(set(runs["batch_size"])), list(dict.fromkeys(runs["dataset"]))
    networks = len({DATASETS[d].network for d in names})
    orders = math.log10(max(found) / min(found))
    value, shown = {
        "data sets": (
            len(names),
            f"the tables hold {len(names)}: {', '.join(DATASETS[d].title for d in names)}",
        ),
        "networks": (networks, f"Section III-B describes {networks}"),
        "batch sizes": (len(found), f"the tables hold {len(found)}: {', '.join(map(str, found))}"),
        "orders": (orders, f"log10({max(found)} / {min(found)}) = {number(orders)}"),
    }[what]
    return _exact(what, value, shown)


def stands_in(runs, id: str, claimed: str) -> Estimate:
    """1 where the statement `id` stands in the section that is claimed, else 0."""
    section = published.statement(id)["section"]
    wrong = "" if section == claimed else f", not {claimed}"
    return _exact(id, float(section == claimed), f"the measurement stands in Section {section}{wrong}")


def fitting_base_rate(runs) -> Estimate:
    """The least base rate from which line 9 of Algorithm 2 keeps to the rates that each branch prints, at
    both of its batch sizes; without a value where none does."""
    base, limits = published.value("vi-base-batch"), []
    for branch in ("small", "medium", "large"):
        rates, pair = (published.statement(f"vi-{branch}-{what}") for what in ("lr", "batch"))
        limits.append((rates["value"] * base / pair["value"], rates["upper"] * base / pair["upper"]))
    least, most = max(low for low, _ in limits), min(high for _, high in limits)
    shown = "; ".join(f"{low:g} to {high:g}" for low, high in limits)
    return _exact("base rate", least if least <= most + 1e-12 else math.nan, shown)


def branch_rates(runs, branch: str, fitting: bool = False) -> list[Estimate]:
    """Line 9 of Algorithm 2 from the default rate, or from the `fitting_base_rate`, at both batch sizes of
    "small", "medium" or "large"."""
    base = published.value("vi-base-batch")
    rate = fitting_base_rate(runs).value if fitting else published.value("vi-default-lr")
    pair = published.statement(f"vi-{branch}-batch")[["value", "upper"]]
    return [
        _exact(f"B = {b:g}", rate * b / base, f"{rate:g} × {b:g} / {base:g} = {rate * b / base:g}")
        for b in pair
    ]


def budget(runs, datasets: Iterable[str], per: float, unit: str) -> Estimate:
    """Epoch times of the tables times the epochs, summed, in units of `per` seconds."""
    totals = {d: float(runs.loc[runs["dataset"] == d, "epoch_time_s"].sum()) for d in datasets}
    epochs = {d: DATASETS[d].protocol.epochs for d in totals}
    value = sum(total * epochs[d] for d, total in totals.items()) / per
    terms = " + ".join(f"{number(total)} s × {epochs[d]}" for d, total in totals.items())
    return _exact(unit, value, f"{terms} = {number(value)} {unit}")


def off_a_count(runs, dataset: str, batch_size: int, metric: str) -> list[Estimate]:
    """How far a printed accuracy is from the nearest count of whole samples, beyond its rounding (points).

    Nothing where the samples are so many that every printed number is such a count.
    """
    e, spec = level(runs, dataset, batch_size, metric), DATASETS[dataset]
    n, half = spec.n_train if metric.startswith("train") else spec.n_test, e.half_width
    if not e.n or 100 / n <= 2 * half + 1e-9:
        return []
    nearest = 100 * round(e.value * n / 100) / n
    beyond = max(0.0, abs(nearest - e.value) - half - 1e-9)
    return [
        _exact(e.about, beyond, f"{round(e.value * n / 100)} of {n:,} samples are {number(nearest, 3)} %")
    ]


def difference_of_accuracies(runs, dataset: str, batch_size: int) -> list[Estimate]:
    """Printed training accuracy minus printed test accuracy; nothing where the former is not printed."""
    train, test = (level(runs, dataset, batch_size, m) for m in ("train_acc", "test_acc"))
    return [minus(train, test, train.about)] if train.n else []


def warmed_up(runs) -> list[Estimate]:
    """1 for each data set that Table II warms up from the batch size of Section II-C on, else 0."""
    start, found = published.value("ii-c-warmup-from"), []
    for d, spec in ((d, DATASETS[d]) for d in PUBLISHED):
        cells = runs[(runs["dataset"] == d) & (runs["batch_size"] >= start)].sort_values("batch_size")
        at = f"B = {', '.join(map(str, cells['batch_size']))}"
        if warm := spec.protocol.warmup_epochs:
            shown = f"{warm} epochs of warm-up at {at}"
        else:
            shown = f"none at {at}, where accuracy is {', '.join(map(number, cells['test_acc']))} %"
        found.append(_exact(spec.title, float(bool(warm)), shown))
    return found


def stated(runs, id: str) -> Estimate:
    """A number of the text with its rounding, half of the last digit that is printed."""
    text, half = published.printed(id)
    value = float(text)
    about = f"Section {published.statement(id)['section']}"
    bounds, shown = (value - half, value + half), text.replace("-", "−")
    return Estimate(value, 1, how=PRINTED, about=about, bounds=bounds, shown=shown)


def stated_ratio(runs) -> Estimate:
    """S at B = 512 over S at B = 32, from the two numbers of Section IV-E."""
    small, large = (stated(runs, f"iv-e-sharpness-b{b}") for b in (32, 512))
    return printed_ratio(large, small, small.about)


def _exact(about: str, value: float, shown: str) -> Estimate:
    return Estimate(float(value), 1, about=about, bounds=(float(value), float(value)), shown=shown)
