"""The discussion's sentences hold for the committed records, and it says what is not there yet."""

import ast
import re

import nbformat
import pandas as pd
import pytest

from bbatch.analysis import equal_steps
from bbatch.records.store import ROOT
from bbatch.studies import table

PAGE = nbformat.read(ROOT / "book" / "discussion.ipynb", as_version=4)
CELLS = [cell.source for cell in PAGE.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What the cells show, in order."""
    names, shown = {}, []
    for source in CELLS:
        *before, last = ast.parse(source).body
        exec(compile(ast.Module(before, []), "discussion", "exec"), names)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), "discussion", "eval"), names).data)
        else:
            exec(compile(ast.Module([last], []), "discussion", "exec"), names)
    return shown


def test_every_sentence_holds_for_the_committed_records(said):
    *said, origin = said
    assert len(said) == sum("paragraphs([" in source for source in CELLS) > 10 and "recorded runs" in origin
    assert not [text for text in said if re.search(r"\bnan\b|[ (]-\d", text)]


def test_every_cell_that_speaks_checks_its_words():
    assert [source for source in CELLS if "paragraphs([" in source and "assert " not in source] == []


def test_how_thin_cifar10_is_is_said():
    """The sentence among the limitations, against a count of the records by hand."""
    records = pd.read_parquet(ROOT / "results" / "cifar10.parquet")
    seeds = {}
    for run in records["run"]:
        if run["epochs"] == 50 and run["lr_rule"] == "linear" and not run["warmup_epochs"]:
            seeds.setdefault(run["batch_size"], {}).setdefault(run["seed"], set()).add(run["precision"])
    assert sorted(seeds) == [1, 8, 16, 32, 64, 128, 256, 512, 1024] and seeds[1] == {42: {"bf16"}}
    assert len(seeds.pop(8)) == 5 and {len(of) for b, of in seeds.items() if b > 1} == {3}
    text = " ".join(" ".join(cell.source.split()) for cell in PAGE.cells)
    assert "**CIFAR-10 has three seeds**, five at B = 8, but one at B = 1, in bf16." in text


def test_equal_steps_close_the_gap_as_the_page_says():
    """The literature's list says: at B = 512 and the unscaled rate nothing is lost, on any synthetic set."""
    gaps = equal_steps.gaps_closed(table.read_table("equal-steps"))
    at = gaps[(gaps["rule"] == "constant") & (gaps["batch_size"] == 512)]
    assert len(at) == 3 and all(gap.low > 0 for gap in at["at_equal_epochs"])
    assert all(gap.low < 0 for gap in at["at_equal_steps"])
