"""Faults of the kinds that once passed every test die, and the seeder itself can tell."""

import ast
import subprocess
import sys

import pytest

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
