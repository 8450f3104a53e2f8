"""What the paper says of itself and of others: counts, sections, computing time, code, reports."""

from __future__ import annotations

from functools import partial

from ..analysis import printed
from ..config import SYNTHETIC
from .claim import Put, one, says


def _counted(what: str) -> Put:
    return Put((), one(partial(printed.counts_itself, what=what)))


def _section(id: str, claimed: str) -> Put:
    asked = one(partial(printed.stands_in, id=id, claimed=claimed))
    return Put((), asked, says("=", 1, "places"))


def _budget(datasets, per: float, unit: str, value: float) -> Put:
    words = (
        "The epoch times of the tables, times the epochs, must fit into what is stated; evaluation and "
        "other work may take the rest. How much of it they make up is shown."
    )
    return Put(
        (),
        one(partial(printed.budget, datasets=datasets, per=per, unit=unit)),
        says("<=", value, unit),
        words,
    )


ITSELF = {
    "abstract-datasets": _counted("data sets"),
    "abstract-networks": _counted("networks"),
    "i-b-datasets": _counted("data sets"),
    "i-b-batch-sizes": _counted("batch sizes"),
    "i-b-networks": _counted("networks"),
    "vii-datasets": _counted("data sets"),
    "vii-networks": _counted("networks"),
    "vii-batch-sizes": _counted("batch sizes"),
    "vii-orders": _counted("orders"),
    "v-a-section": _section("iv-e-sharpness-ratio", "IV-F"),
    "v-b-section": _section("iv-f-variance-r2", "IV-G"),
    "v-d-section": _section("iv-d-prerequisite", "IV-D"),
    "c-synthetic-hours": _budget(SYNTHETIC, 3600.0, "CPU hours", 3),
    "c-mnist-minutes": _budget(["mnist"], 60.0, "GPU minutes", 40),
    "c-cifar10-hours": _budget(["cifar10"], 3600.0, "GPU hours", 2),
    "d-code": Put(
        words=(
            "What stands at an address changes, and no record of this reproduction comes from there: it "
            "rests on the paper's text alone."
        )
    ),
}
REPORTS = "Reports work of others; nothing of it was run, by the paper or here."
OTHERS = {
    id: Put(words=REPORTS)
    for id in (
        "i-historical-batch",
        "i-foundation-batch",
        "ii-a-flat-better",
        "ii-a-sharp-large",
        "ii-b-noise-flat",
        "ii-d-equal-updates",
        "ii-e-lr-batch-equivalence",
        "ii-e-lamb-batch",
        "ii-e-lamb-minutes",
        "v-a-prior",
    )
}
