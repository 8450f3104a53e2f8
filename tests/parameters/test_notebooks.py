"""Every notebook over a grid of its parameters: each page says what it shows, or refuses in a sentence.

Of each notebook the first choice is tried; with `--long` all of them."""

import pytest

from bbatch.errors import BadInput
from bbatch.publishing import notebooks

from .page import odd, shown

ONE, TWO = ["synthetic-1k"], ["synthetic-1k", "mnist"]
SMOKE = {"profile": "smoke", "compute": True}
GRID = {
    "01": [{"dataset": "synthetic-10k", "batch_size": 512}, {"batch_size": 800, "seed": 0}],
    "02": [
        {**SMOKE, "live_seeds": 0},
        {"profile": "quick", "live_seeds": 0},
        {"seeds": 1, "live_seeds": 0},
        {"seeds": 2, "live_seeds": 1},
    ],
    "03": [{"seeds": 1}, {"profile": "smoke"}, {"profile": "quick"}],
    "04": [{"precision": "bf16"}, {"profile": "smoke"}, {"precision": "fp32", "seeds": 1}],
    "05": [
        {**SMOKE, "datasets": ONE},
        {"datasets": ["mnist"]},
        {"datasets": TWO, "seeds": 1},
        {"datasets": ["cifar10"], "profile": "quick"},
    ],
    "06": [
        {**SMOKE, "datasets": ONE},
        {"datasets": ["mnist"], "accuracy": 99.99},
        {"datasets": TWO, "seeds": 1, "accuracy": 50.0},
        {"datasets": ["cifar10"], "profile": "quick"},
    ],
    "07": [
        {**SMOKE, "dataset": "synthetic-1k"},
        {"dataset": "mnist"},
        {"dataset": "synthetic-10k", "seeds": 1},
    ],
    "08": [{"datasets": ["synthetic-50k"], "seeds": 1}, {"datasets": ONE}, {"datasets": ["cifar10"]}],
    "09": [{"datasets": ["mnist"], "seeds": 1}, {"datasets": ONE}, {"datasets": ["cifar10"], "seeds": 2}],
    "10": [
        {**SMOKE, "datasets": ONE},
        {"datasets": ["mnist"]},
        {"datasets": TWO, "seeds": 1},
        {"datasets": ["cifar10"], "profile": "quick"},
    ],
    "12": [{"section": "IV-D", "seeds": 2}, {"precision": "bf16", "section": "IV-A"}, {"section": "Table V"}],
    "13": [{"batch_size": 512}],
    "14": [{"seconds": 0.5}, {"seconds": 1e6}],
    "15": [
        {"datasets": ["synthetic-10k"], "by": "held_out_loss"},
        {"datasets": ONE},
        {"datasets": ["mnist"]},
    ],
    "16": [{"datasets": ["synthetic-50k"]}, {"datasets": ["mnist"]}, {"datasets": ["cifar10"]}],
    "17": [{"drop": 0.5}, {"drop": 50.0}],
}
# What is refused, and the word of the sentence that says so.
REFUSED = {
    "01": [{"dataset": "mnist"}, {"batch_size": 0}, {"batch_size": 801}, {"seed": -1}],
    "02": [{"profile": "large"}, {"seeds": -1}, {"executor": "nothing"}, {"live_seeds": -1}],
    "03": [{"profile": "large"}, {"seeds": -1}],
    "04": [{"precision": "fp8"}],
    "05": [{"datasets": ["svhn"]}, {"datasets": []}],
    "06": [{"datasets": ["svhn"]}, {"datasets": []}, {"accuracy": 101.0}, {"accuracy": -1.0}],
    "07": [{"dataset": "svhn"}],
    "08": [{"datasets": ["svhn"]}, {"datasets": []}, {"seeds": -1}],
    "09": [{"datasets": ["svhn"]}, {"datasets": []}, {"seeds": -1}],
    "10": [{"datasets": ["svhn"]}, {"datasets": []}],
    "12": [{"section": "IX"}, {"precision": "fp8"}, {"seeds": -1}],
    "13": [{"batch_size": 0, "compute": True}],
    "14": [{"seconds": 0.0}, {"seconds": -1.0}],
    "15": [{"datasets": ["digits"]}, {"datasets": []}, {"by": "luck"}],
    "16": [{"datasets": ["cifar10-full"]}, {"datasets": []}, {"datasets": ["svhn"]}],
    "17": [{"drop": 0.0}],
}


def choices(grid, long: bool):
    for number, several in grid.items():
        for given in several if long else several[:1]:
            name = " ".join(f"{key}={value}" for key, value in given.items()).replace("'", "")
            yield pytest.param(number, given, id=f"{number} {name}", marks=pytest.mark.slow)


def pytest_generate_tests(metafunc):
    for name, grid in (("accepted", GRID), ("refused", REFUSED)):
        if name in metafunc.fixturenames:
            long = metafunc.config.getoption("--long", default=False)
            metafunc.parametrize(("number", name), list(choices(grid, long)))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One for all: what one notebook has trained, the next finds, as in a store of a user's."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(autouse=True)
def live(store, monkeypatch):
    monkeypatch.setenv("BBATCH_STORE", str(store))


def test_a_page_says_what_it_shows(number, accepted):
    page = "\n".join(shown(notebooks.find(number), accepted))
    assert odd(page) == []
    for said in expected(accepted):
        assert said in page, said


def expected(given: dict) -> list[str]:
    """What a page must say where its parameters are not the committed ones."""
    found = []
    if given.get("profile", "paper") != "paper":
        found.append(f"{given['profile']} profile")
    if given.get("seeds"):
        found.append(f"{given['seeds']} seed{'s' if given['seeds'] > 1 else ''} at most")
    if "precision" in given:
        found.append(f"{given['precision']} alone")
    return found


def test_what_cannot_be_shown_is_refused_in_a_sentence(number, refused):
    with pytest.raises(BadInput) as refusal:
        shown(notebooks.find(number), refused)
    said = str(refusal.value)
    assert said.endswith(".") and "\n" not in said and len(said) < 400
    words = [
        str(one) for value in refused.values() for one in (value if isinstance(value, list) else [value])
    ]
    assert any(word in said for word in words or ["[]"])


def test_a_name_that_no_notebook_has_is_refused_by_the_notebook_itself():
    """papermill, called without `bbatch notebook`, only warns."""
    with pytest.raises(BadInput, match="parameter 'sede' is unknown; allowed are profile, seeds, compute"):
        shown(notebooks.find("03"), {"sede": 3})


def test_every_notebook_is_tried():
    rows = notebooks.listing()
    numbers = {row["notebook"].split("_")[0] for row in rows}
    assert numbers - {"11"} == set(GRID) == set(REFUSED)
    for grid in (GRID, REFUSED):
        for number, several in grid.items():
            for given in several:
                notebooks.check_parameters(notebooks.find(number), given)


@pytest.mark.parametrize(
    "text",
    [
        "accuracy nan",
        "Findings: . .",
        "slope −4,340,000 ± 18,500,000",
        "33.34 ± 101.30",
        "95.1 ± nan",
        "the optimum is None",
        "lowest at ()",
    ],
)
def test_what_no_page_may_say_is_found(text):
    assert odd(text)


def test_what_a_page_may_say_is_left_alone():
    assert odd("95.43 ± 0.21 (n = 20 seeds; …), none of them, ×1.75 (1.20 to 2.55), 120 ± 30 steps.") == []
