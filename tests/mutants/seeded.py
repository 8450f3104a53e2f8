"""Faults of the kinds that once passed every test: each must die by the tests that it names."""

from dataclasses import dataclass

DRAWN = "tests/pages/test_drawn.py"
BALLS = "tests/geometry/test_sharpness.py::test_each_ball_is_what_its_name_says"
RULES = "tests/claims/test_rules.py"
CELLS = "tests/test_published.py"
LEDGER = "tests/claims/test_ledger.py"
ESTIMATES = "tests/analysis/test_estimate.py"


@dataclass(frozen=True)
class Seeded:
    """In `file` of the package, `old`, which stands there once, becomes `new`; `tests` must notice."""

    what: str
    file: str
    old: str
    new: str
    tests: str


FAULTS = [
    Seeded("one accuracy of Table IV is another's", "paper/table-iv.csv", "79.64", "79.98", CELLS),
    Seeded("two cells of Table VII swapped", "paper/table-vii.csv", "98.79,98.80", "98.80,98.79", CELLS),
    Seeded("relation turned", "paper/text.csv", "iv-b-gap-bound,IV-B,<", "iv-b-gap-bound,IV-B,>", LEDGER),
    Seeded(
        "a claim in words put the other way round",
        "claims/on_accuracy.py",
        'large=large)\n    return both(asked, Says(">"',
        'large=large)\n    return both(asked, Says("<"',
        LEDGER,
    ),
    Seeded("twice the tolerance", "claims/rules.py", '{"percent": 0.5', '{"percent": 1.0', RULES),
    Seeded("twice the share of the span", "claims/rules.py", "OF_CLAIM = 0.1,", "OF_CLAIM = 0.2,", RULES),
    Seeded(
        "the clean gap for the running one", "published.py", '"gap_running": "gap"', '"gap": "gap"', DRAWN
    ),
    Seeded(
        "sign of the gap",
        "metrics.py",
        '"gap_running": running - test',
        '"gap_running": test - running',
        DRAWN,
    ),
    Seeded("the paper's minus ours", "pages/tables.py", ": i.mean - paper}", ": paper - i.mean}", DRAWN),
    Seeded(
        "bars of half the length",
        "pages/figures.py",
        "[mean - low, high - mean]",
        "[(mean - low) / 2, (high - mean) / 2]",
        DRAWN,
    ),
    Seeded("a band from the mean", "pages/figures.py", "fill_between(b, low", "fill_between(b, mean", DRAWN),
    Seeded("half the radius", "geometry/sharpness.py", "full((1,), epsilon", "full((1,), epsilon / 2", BALLS),
    Seeded("half the box", "geometry/sharpness.py", "_like(w, epsilon)", "_like(w, epsilon / 2)", BALLS),
    Seeded(
        "sign of a difference",
        "analysis/estimate.py",
        "value=a.value - b.value",
        "value=b.value - a.value",
        ESTIMATES,
    ),
]
