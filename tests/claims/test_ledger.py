"""The ledger, kept twice: what each statement prints, and what it is put as, also stand in `ledger.csv`.

Whoever changes a relation or a number reads the paper again, and changes both."""

import csv
from pathlib import Path

import pandas as pd

from bbatch import published
from bbatch.claims import statements

LEDGER = Path(__file__).with_name("ledger.csv")


def said(relation, value, upper, unit) -> str:
    """As in "range 2 to 6 points"; empty for words alone."""
    numbers = [f"{x:.10g}" for x in (value, upper) if not pd.isna(x)]
    return (
        f"{relation} {' to '.join(numbers)} {unit}".strip() if isinstance(relation, str) and relation else ""
    )


def entries() -> dict[str, tuple[str, str]]:
    """What each statement prints and what it is put as, by its id; empty where nothing is claimed."""
    put = {c.id: c.says for c in statements.claims() if not c.cell}
    found = {}
    for row in published.statements().itertuples():
        says = put.get(row.id)
        as_put = said(says.relation, says.value, says.upper, says.unit) if says else ""
        found[row.id] = (said(row.relation, row.value, row.upper, row.unit), as_put)
    return found


def test_every_statement_says_what_the_ledger_says():
    with LEDGER.open(newline="") as file:
        kept = {row["id"]: (row["printed"], row["put as"]) for row in csv.DictReader(file)}
    assert entries() == kept
