"""Faults of the kinds that once passed every test die, and the seeder itself can tell."""

import ast
import json
import signal
import subprocess
import sys
import time

import pytest

from . import cold, hunt
from .__main__ import survivors_in
from .hunt import PACKAGE, ROOT
from .mutate import changed, sites
from .seeded import FAULTS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_listed_fault_can_be_seeded(fault):
    assert (PACKAGE / fault.file).read_text().count(fault.old) == 1 and fault.new != fault.old


@pytest.mark.slow
def test_every_listed_fault_dies():
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--seeded"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.count("<- tests/") == len(FAULTS), done.stdout + done.stderr


def test_a_seeded_place_is_changed_and_no_other():
    text = "def f(a, b=2):\n    '''Words.'''\n    return a - b if a < b and b > 1.5 else max(a, b)\n"
    found = sites(ast.parse(text))
    assert [site.text for site in found] == [
        "2 to 3",
        "if a < b and b > 1.5: negated",
        "a < b and b > 1.5: And to Or",
        "a < b: Lt to LtE",
        "a < b: Lt to Gt",
        "b > 1.5: Gt to GtE",
        "b > 1.5: Gt to Lt",
        "1.5 to 3.0",
        "a - b: Sub to Add",
        "max to min",
    ]
    given = ((1, 2), (2, 2), (1, 1.5), (1,), (1, 1.2))

    def values(code):
        names = {}
        exec(code, names)
        return [names["f"](*some) for some in given]

    assert all(values(changed(text, "made", k)) != values(text) for k in range(len(found)))


def test_what_takes_too_long_is_given_up_and_the_clocks_stand_still_afterwards():
    before = signal.getsignal(signal.SIGPROF), signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeoutError), hunt.at_most(0.02):
        while True:
            pass
    with pytest.raises(TimeoutError), hunt.at_most(0.01):
        time.sleep(60)  # eight times as long at most
    assert (signal.getsignal(signal.SIGPROF), signal.getsignal(signal.SIGALRM)) == before
    assert signal.getitimer(signal.ITIMER_PROF) == signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_an_earlier_output_names_its_survivors(tmp_path):
    lines = (
        "a/b.py:7 f: 1 to 2  <- SURVIVES",
        "a/b.py:9 g: x < 1: Lt to LtE  <- SURVIVES (an edge)",
        "a/b.py:9 g: 1 to 2  <- tests/x.py::test_y",
        "| a | 9 | 3 | 1 (33 %) | 1 | 1 |",
    )
    (tmp_path / "out").write_text("\n".join(lines))
    assert survivors_in([tmp_path / "out"]) == {("a/b.py", "f: 1 to 2"), ("a/b.py", "g: x < 1: Lt to LtE")}


MADE = """
from functools import cache

def _built():
    return 2

BUILT = _built()

@cache
def kept():
    return 3

def untested():
    return 4
"""
TESTS = """
import made
def test_built(): assert made.BUILT == 2
def test_kept(): assert made.kept() == 3
def test_kept_by_then(): assert made.kept() == 3
"""


def test_a_fault_is_seen_behind_an_import_and_a_cache(tmp_path, monkeypatch):
    (tmp_path / "made.py").write_text(MADE)
    (tmp_path / "test_made.py").write_text(TESTS)
    monkeypatch.setattr(hunt, "PACKAGE", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def work():
        said = []
        cold.run_tests(
            [str(tmp_path / "test_made.py")],
            hunt.Hunt(
                hunt.places_in(tmp_path, "made"),
                5.0,
                lambda place, by: said.append((place[2].text, by.split("::")[-1].removesuffix("_by_then"))),
                lambda place, tests: f"new process, {len(tests)} tests",
            ),
        )
        return json.dumps(said)

    died = dict(json.loads(hunt.in_child(work, 60)))
    assert died == {"2 to 3": "new process, 3 tests", "3 to 4": "test_kept", "4 to 5": ""}


def test_an_import_that_fails_is_a_death(tmp_path):
    """Also where it is that of a conftest, which ends pytest before there is a session."""

    def work():
        first = cold.First()
        cold.run_tests([str(tmp_path)], first)
        return first.failed or "none"

    (tmp_path / "test_made.py").write_text("def test(): pass")
    assert hunt.in_child(work, 60) == "none"
    (tmp_path / "test_made.py").write_text("1 / 0")
    assert "import of" in hunt.in_child(work, 60)
    (tmp_path / "conftest.py").write_text("1 / 0")
    assert "conftest" in hunt.in_child(work, 60)
