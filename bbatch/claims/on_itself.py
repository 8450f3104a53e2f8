"""What the paper says of itself and of others: counts, sections, computing time, code, reports."""

from ..analysis import printed
from ..config import SYNTHETIC
from .claim import Put, one
from .rules import Says


def _counted(what: str) -> Put:
    return Put((), one(printed.counts_itself, what=what))


def _section(id: str, claimed: str) -> Put:
    return Put((), one(printed.stands_in, id=id, claimed=claimed), Says("=", 1, "places"))


def _budget(datasets, per: float, unit: str, value: float) -> Put:
    words = (
        "The epoch times of the tables, times the epochs, must fit into what is stated; evaluation and "
        "other work may take the rest. How much of it they make up is shown."
    )
    return Put((), one(printed.budget, datasets=datasets, per=per, unit=unit), Says("<=", value, unit), words)


ITSELF = {
    "vii-orders": _counted("orders"),
    "abstract-datasets": _counted("data sets"),
    "abstract-networks": _counted("networks"),
    "i-b-datasets": _counted("data sets"),
    "i-b-batch-sizes": _counted("batch sizes"),
    "i-b-networks": _counted("networks"),
    "vii-datasets": _counted("data sets"),
    "vii-networks": _counted("networks"),
    "vii-batch-sizes": _counted("batch sizes"),
    "v-a-section": _section("iv-e-sharpness-ratio", "IV-F"),
    "v-b-section": _section("iv-f-variance-r2", "IV-G"),
    "v-d-section": _section("iv-d-prerequisite", "IV-D"),
    "c-synthetic-hours": _budget(SYNTHETIC, 3600.0, "CPU hours", 3),
    "c-mnist-minutes": _budget(["mnist"], 60.0, "GPU minutes", 40),
    "c-cifar10-hours": _budget(["cifar10"], 3600.0, "GPU hours", 2),
    "d-code": Put(
        words="What stands at an address changes, and no record of this reproduction comes from there: it "
        "rests on the paper's text alone."
    ),
}
_REPORT = Put(words="Reports work of others; nothing of it was run, by the paper or here.")


def _studied(page: str) -> Put:
    return Put(words=f"Reports work of others, which was not repeated. The page {page} has a study of ours.")


OTHERS = {
    "ii-a-sharp-large": _REPORT,
    "ii-a-flat-better": _studied("on sharpness"),
    "i-historical-batch": _REPORT,
    "i-foundation-batch": _REPORT,
    "ii-b-noise-flat": _REPORT,
    "ii-d-equal-updates": _studied("on what closes the gap"),
    "ii-e-lr-batch-equivalence": _studied("on what closes the gap"),
    "ii-e-lamb-batch": _REPORT,
    "ii-e-lamb-minutes": _REPORT,
    "v-a-prior": _REPORT,
    "iv-e-prior": _REPORT,
}
