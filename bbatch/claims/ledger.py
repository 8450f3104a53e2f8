"""The ledger: every claim of the paper, from its prose (`paper/ledger.csv`) and cell by cell from Tables III-VII.

A claim says how it is put: the quantity that each witness is asked for, under each reasonable reading, and the
proposition that this quantity must keep. Nothing is evaluated here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from .. import published
from ..config import DATASETS
from .rules import Proposition
from .witnesses import number, places

UNITS = {
    "percent": " %",
    "points": " points",
    "ratio": "×",
    "exponent": "",
    "r": "",
    "R^2": "",
    "p": "",
    "samples": "",
    "percent of seeds": " % of seeds",
    "seconds": " s",
}
CHOSEN = (
    "samples",
    "learning rate",
    "data sets",
    "networks",
    "batch sizes",
    "places",
)  # exact; all else is rounded
NO_CLAIM, OTHERS, NONE = "protocol", "others", "none"  # words of the ledger in the place of a quantity
WHY_NOT = {
    OTHERS: "Reports work of others; nothing of it was run, by the paper or here.",
    "itself": "A statement of the paper about itself; runs cannot bear on it.",
    "seconds": "Seconds on another machine do not compare; their ratios are judged as claims of Section IV-C.",
}
TABLES = {
    "III": "IV-A",
    "IV": "IV-A",
    "V": "IV-D",
    "VI": "IV-G",
    "VII": "IV-A",
}  # and the section each belongs to
COLUMNS = {
    "test_acc": "test accuracy",
    "train_acc": "training accuracy",
    "gap": "gap",
    "epoch_time_s": "time of an epoch",
}


def _sharpness(balls: dict[str, str]) -> dict[str, str]:
    """Readings of Eq. (3): which ball, whether its maximum was searched for or sampled, and on which of the losses."""
    return {
        f"{ball}, {how}, {loss} loss": f"sharpness_{name}{drawn}{split}"
        for ball, name in balls.items()
        for how, drawn in (("searched", ""), ("random directions", "_random"))
        for loss, split in (("training", ""), ("test", "_test"))
    }


# What the paper leaves open, by the word that stands for it in the ledger: each choice is a reading of its own.
_SETS = {"1K": "synthetic-1k", "10K": "synthetic-10k", "50K": "synthetic-50k"}
_BALLS = {"Euclidean ball": "l2", "largest coordinate": "linf", "by filter": "filter"}
OPEN = {
    "<synthetic>": _SETS,
    "<set>": _SETS | {"MNIST": "mnist", "CIFAR-10": "cifar10"},
    # Eq. (3) gives the radius itself; only a claim that names no measure may be read in a ball that grows with the weights.
    "<eq3>": _sharpness(_BALLS),
    "<sharpness>": _sharpness(_BALLS | {"relative to all weights": "relative"}),
    "<networks>": {
        "each B on the network it trained": "gradient_variance",
        "all B on one network": "gradient_variance_one_network",
        "all B on one network before training": "gradient_variance_one_network_untrained",
    },
}

Readings = tuple[
    tuple[str, str], ...
]  # (label, quantity with its arguments); one of no label where there is no choice


@dataclass(frozen=True)
class Claim:
    """What the paper says and how it is put. `section` is "Table IV" for a cell; `page`, the section it belongs to.

    `printed` is the number as text, empty for a claim in words; `words` say how such a claim is put, or why it cannot
    be tested; `ours` and `paper` are what each witness is asked for, none where it cannot know.
    """

    id: str
    section: str
    page: str
    text: str
    printed: str
    words: str
    ours: Readings
    paper: Readings
    proposition: Proposition
    paper_proposition: Proposition

    @property
    def testable(self) -> bool:
        return self.ours != () and self.proposition.unit != "seconds"

    @property
    def unit(self) -> str:
        """The unit to show: a gap is judged as a level, in percent, but is a number of points."""
        return "points" if self.ours and self.ours[0][1].startswith("gap ") else self.proposition.unit

    @property
    def cell(self) -> bool:
        """Whether it is a cell of a table rather than a statement of the prose."""
        return self.section.startswith("Table")


def claims() -> list[Claim]:
    """Every claim: the prose in the order of the paper, then Tables III-VII. What claims nothing is left out."""
    prose = [_prose(row) for row in published.ledger().itertuples() if row.quantity != NO_CLAIM]
    order = [f"Table {number}" for number in TABLES]
    return prose + sorted([*_results(), *_ablation(), *_critical()], key=lambda c: order.index(c.section))


def protocol() -> pd.DataFrame:
    """The statements that claim nothing, since they say what was done or define: id, section, text."""
    table = published.ledger()
    return table.loc[table["quantity"] == NO_CLAIM, ["id", "section", "text"]].reset_index(drop=True)


def _prose(row) -> Claim:
    relation, value = row.put_relation or row.relation, row.put_value or row.value
    upper, unit = row.put_upper or row.upper, row.put_unit or row.unit
    rounding = 0.0 if row.put_value else 0.5 * 10.0 ** -len(value.partition(".")[2])
    p = Proposition(relation, float(value or math.nan), float(upper or math.nan), unit, rounding)
    p = replace(p, rounding=0.0) if unit in CHOSEN else p
    ours = () if row.quantity in (OTHERS, NONE) else _readings(row.quantity)
    paper = () if row.paper == NONE else _readings(row.paper) if row.paper else ours
    words = row.words.format(value=p.value) or WHY_NOT.get(row.quantity, "")
    return Claim(
        row.id, row.section, row.section, row.text.replace("<=", "≤"), _printed(row), words, ours, paper, p, p
    )


def _printed(row) -> str:
    if not row.value:
        return ""
    unit = UNITS.get(row.unit, f" {row.unit}")
    span = f"{row.value} to {row.upper}" if row.upper else row.value
    sign = {"=": "", "range": "", "~": "about ", "<=": "≤ ", ">=": "≥ "}.get(row.relation, f"{row.relation} ")
    return f"{sign}{span}{unit}".replace("-", "−")


def _readings(text: str) -> Readings:
    """The readings that a cell of the ledger lists, or stands for by words of `OPEN`."""
    parts = [part.strip().rpartition(": ") for part in text.split("|")]
    found = [(label, quantity) for label, _, quantity in parts]
    for word, choices in OPEN.items():
        found = [
            (", ".join(filter(None, (label, choice))), quantity.replace(word, name))
            for label, quantity in found
            for choice, name in (choices.items() if word in quantity else [("", "")])
        ]
    return tuple(found)


def _gaps(dataset: str, b: int, rule: str = "linear") -> Readings:
    """The two readings of a printed gap."""
    return tuple(
        (f"{which} training accuracy", f"gap {dataset} {b} {rule} {which}") for which in ("running", "clean")
    )


def _cell(
    table: str,
    at: tuple[str, int],
    column: str,
    value: float,
    ours: Readings,
    paper: str,
    put: Proposition | None = None,
    rate: str = "",
) -> Claim:
    """The claim of one cell; `put` is what the paper's own tables must keep, where that is not the printed number."""
    dataset, b = at
    digits = places(table, column)
    # A gap is judged as a level, like an accuracy: its cell is not an effect of anything.
    p = Proposition(
        "=", value, math.nan, "seconds" if column == "epoch_time_s" else "percent", 0.5 * 10.0**-digits
    )
    unit = {"gap": "points", "epoch_time_s": "seconds"}.get(column, "percent")
    id = "-".join(filter(None, (f"table-{table.lower()}", dataset, f"b{b}", rate, column.replace("_", "-"))))
    text = f"{COLUMNS[column]} on {DATASETS[dataset].title} at B = {b}" + (f", {rate} rate" if rate else "")
    words = WHY_NOT["seconds"] if column == "epoch_time_s" else ""
    return Claim(
        id,
        f"Table {table}",
        TABLES[table],
        text,
        number(value, digits) + UNITS[unit],
        words,
        ours,
        (("", paper),) if paper else (),
        p,
        put or p,
    )


def _results() -> Iterable[Claim]:
    """Tables III, IV and VII. Accuracies must be counts of whole samples, gaps differences of printed accuracies."""
    whole = Proposition("<=", 0.0, math.nan, "points", 0.0)
    for row in published.results().itertuples():
        d, b = row.dataset, row.batch_size
        for column in COLUMNS:
            if pd.isna(value := getattr(row, column)):
                continue
            ours = {
                "test_acc": (("", f"accuracy {d} {b}"),),
                "train_acc": (("", f"train {d} {b}"),),
                "gap": _gaps(d, b),
                "epoch_time_s": (("", f"time {d} {b}"),),
            }[column]
            paper = {"gap": f"printed-gap {d} {b}", "epoch_time_s": ""}.get(
                column, f"whole-count {d} {column} {b}"
            )
            yield _cell(
                row.table, (d, b), column, value, ours, paper, whole if column.endswith("acc") else None
            )


def _ablation() -> Iterable[Claim]:
    """Table V; where its rate is that of Table VII, the cells of the two must be equal."""
    d, protocol_ = "synthetic-50k", DATASETS["synthetic-50k"].protocol
    for row in published.learning_rate_ablation().itertuples():
        b, rate = row.batch_size, {"linear": "scaled", "constant": "fixed"}[row.lr_rule]
        same = math.isclose(row.lr, protocol_.base_lr * b / protocol_.base_batch)
        yield _cell(
            "V",
            (d, b),
            "test_acc",
            row.test_acc,
            (("", f"accuracy {d} {b} {row.lr_rule}"),),
            f"accuracy {d} {b}" if same else "",
            rate=rate,
        )
        yield _cell(
            "V", (d, b), "gap", row.gap, _gaps(d, b, row.lr_rule), f"gap {d} {b}" if same else "", rate=rate
        )


def _critical() -> Iterable[Claim]:
    """Table VI, which must follow from the other tables by the definition of Section IV-G."""
    for row in published.critical().itertuples():
        for what, name, value in (
            ("optimum", "best", row.optimal_batch_size),
            ("critical", "critical", row.critical_batch_size),
        ):
            p = Proposition("=", value, math.nan, "samples", 0.0)
            asked = (("", f"{what} {row.dataset}"),)
            yield Claim(
                f"table-vi-{row.dataset}-{what}",
                "Table VI",
                TABLES["VI"],
                f"{name} batch size on {DATASETS[row.dataset].title}",
                str(value),
                "",
                asked,
                asked,
                p,
                p,
            )
