"""The ledger, kept twice: what each statement prints, and what it is put as, also stand in `ledger.csv`.

So does, in `asked.txt`, what is asked of our runs and of the paper's tables for it. Whoever changes a
relation, a number or a question reads the paper again, and changes both."""

import csv
import math
import re
from pathlib import Path

import pandas as pd
import pytest

from bbatch import config, published
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


def test_a_statement_is_judged_as_an_effect_of_its_unit_and_rounded_as_it_is_printed():
    """Three are levels: the two gaps of Table V, and a sharpness that is only to be less."""
    none = {"points": 0.0, "exponent": 0.0, "r": 0.0, "ratio": 1.0}
    exact = ("samples", "learning rate", "data sets", "networks", "batch sizes", "places")
    for c in (c for c in statements.claims() if not c.cell):
        level = c.id in ("iv-d-gap-scaled", "iv-d-gap-fixed", "v-c-large")
        nothing = math.nan if level else none.get(c.says.unit, math.nan)
        assert c.says.nothing == nothing or math.isnan(c.says.nothing) and math.isnan(nothing), c.id
        number = re.search(r"\d+\.?(\d*)", c.printed)
        assert bool(c.printed) == (published.printed(c.id)[0] != ""), c.id
        if number and c.says.relation in ("=", "range"):
            half = 0.0 if c.says.unit in exact else 0.5 * 10.0 ** -len(number[1])
            assert c.says.rounding == pytest.approx(half), c.id


def test_what_is_not_judged_as_it_is_printed_is_explained():
    """What is put otherwise, what no run of ours is asked for, and what has more than two readings."""
    kept = entries()
    for c in (c for c in statements.claims() if not c.cell):
        printed, put = kept[c.id]
        assert c.words.endswith(".") or (printed == put and 1 <= len(c.ours) <= 2 and not c.words), c.id


def test_what_claims_nothing_of_runs_says_so():
    itself = {c.id for c in statements.claims() if c.words == statements.ITSELF}
    sections = {f"v-{part}-section" for part in "abd"}
    counts = {f"{where}-{what}" for where in ("abstract", "i-b", "vii") for what in ("datasets", "networks")}
    assert itself == sections | counts | {"i-b-batch-sizes", "vii-batch-sizes", "vii-orders"}
    assert list(statements.without_a_claim()) == ["id", "section", "text"]


def in_words(reading) -> str:
    """As in "accuracy.fall(small=32) of runs [its label] <its key>", "*" for a key that is the label; the
    data sets of the paper as "all five", its synthetic ones as "synthetic"."""
    asks = reading.asks
    function, given = getattr(asks, "func", asks), getattr(asks, "keywords", {})

    def told(value):
        named = {config.PUBLISHED: "all five", config.SYNTHETIC: "synthetic"}
        if callable(value):
            return value.__name__
        return named.get(value, repr(value)) if isinstance(value, tuple) else repr(value)

    arguments = ", ".join(f"{name}={told(given[name])}" for name in sorted(given))
    more = f" [{reading.label}]" if reading.label else ""
    own = f" <{reading.key}>" if reading.key else ""
    key = " *" if own and reading.key == reading.label else own
    return f"{function.__module__.split('.')[-1]}.{function.__name__}({arguments}) of {reading.of}{more}{key}"


def asked() -> str:
    """What is asked for each statement of the prose, by the number of its list of readings; then these."""
    lists, lines = {(): 0}, []
    for c in statements.claims():
        if not c.cell:
            ours, paper = (tuple(map(in_words, readings)) for readings in (c.ours, c.paper))
            numbers = [lists.setdefault(readings, len(lists)) for readings in (ours, paper)]
            lines.append(f"{c.id} ({c.question}; {c.shares or '-'}): ours {numbers[0]}, paper {numbers[1]}")
    for readings, number in lists.items():
        lines += [f"\n{number}", *(f"  {reading}" for reading in readings)]
    return "\n".join(lines) + "\n"


def test_every_statement_asks_what_the_second_ledger_says():
    assert asked() == LEDGER.with_name("asked.txt").read_text()


def test_every_cell_asks_for_its_own_place():
    """Of our runs the cell's own value; of the paper whether it is a count, or the difference of two."""
    names = {"test-acc": "test_acc", "train-acc": "train_acc_running", "gap": "gap_running", "epoch": ""}
    whole = {(r.dataset, r.batch_size): r for r in published.printed_frame().itertuples()}
    for c in (c for c in statements.claims() if c.cell and c.section not in ("Table V", "Table VI")):
        table, dataset, batch, column = re.fullmatch(
            r"table-(\w+)-([a-z0-9]+(?:-\d+k)?)-b(\d+)-(test-acc|train-acc|gap|epoch)(?:-time-s)?", c.id
        ).groups()
        at = f"batch_size={batch}, dataset={dataset!r}"
        assert c.section == f"Table {whole[dataset, int(batch)].table}" == f"Table {table.upper()}"
        assert c.page == "IV-A" and c.question == ("epoch-time" if column == "epoch" else "values")
        assert c.shares == ("training accuracy" if column == "gap" else "")
        assert math.isnan(c.says.nothing)
        ours, paper = ([in_words(r) for r in readings] for readings in (c.ours, c.paper))
        level = f"accuracy.level({at}, lr_rule='linear', metric="
        if column == "epoch":
            assert ours == paper == [] and c.words.startswith("Seconds on another machine")
        elif column == "gap":
            assert ours == [
                f"{level}'{metric}') of runs [{label}] *"
                for label, metric in (
                    ("running training accuracy", "gap_running"),
                    ("clean training accuracy", "gap"),
                )
            ]
            assert paper == [f"printed.difference_of_accuracies({at}) of runs"]
            assert c.says.unit == "points" and c.paper_says is None
        else:
            assert ours == [f"{level}'{names[column]}') of runs"]
            assert paper == [f"printed.off_a_count({at}, metric='{names[column]}') of runs"]
            assert (c.paper_says.relation, c.paper_says.value, c.paper_says.unit) == ("<=", 0, "points")
            assert c.says.unit == "percent" and math.isnan(c.paper_says.nothing)
        value = getattr(whole[dataset, int(batch)], names[column] or "epoch_time_s")
        said = {"test-acc": "test accuracy", "train-acc": "training accuracy", "epoch": "time of an epoch"}
        title = config.DATASETS[dataset].title
        assert c.text == f"{said.get(column, column)} on {title} at B = {batch}"
        assert c.says.value == value and float(re.match(r"[-\d.]+", c.printed.replace("−", "-"))[0]) == value


def test_cells_of_the_ablation_and_of_the_optima():
    five = {(r.batch_size, r.lr_rule): r for r in published.ablation_frame().itertuples()}
    six = published.critical().set_index("dataset")
    for c in statements.claims():
        if c.section == "Table V":
            batch, rate, column = re.fullmatch(
                r"table-v-synthetic-50k-b(\d+)-(scaled|fixed)-(test-acc|gap)", c.id
            ).groups()
            rule = {"scaled": "linear", "fixed": "constant"}[rate]
            row = five[int(batch), rule]
            metrics = ["gap_running", "gap"] if column == "gap" else ["test_acc"]
            assert [r.asks.keywords["metric"] for r in c.ours] == metrics and c.page == "IV-D"
            for r in c.ours:
                assert r.of == "ablation" and r.asks.keywords["lr_rule"] == rule
                assert r.asks.keywords["batch_size"] == int(batch)
            same = math.isclose(row.lr, 0.001 * int(batch) / 32)
            assert len(c.paper) == same and f"{rate} rate" in c.text and c.question == "scaling"
            assert c.says.value == getattr(row, metrics[0])
        elif c.section == "Table VI":
            dataset, what = re.fullmatch(r"table-vi-(.+)-(optimum|critical)", c.id).groups()
            kind = {"optimum": "optimal", "critical": "critical"}[what]
            assert c.says.value == six.loc[dataset, f"{kind}_batch_size"] and c.says.unit == "samples"
            for readings in (c.ours, c.paper):
                [r] = readings
                assert r.asks.keywords == {"dataset": dataset, "what": kind} and r.of == "runs"
            assert c.page == "IV-G" and c.printed == str(six.loc[dataset, f"{kind}_batch_size"])
