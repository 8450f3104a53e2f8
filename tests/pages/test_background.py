"""The page of background: its walks on a toy loss against the formula, its picture, its ten lines."""

import contextlib
import io
import json
import math
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import browser
from bbatch.records.store import ROOT

PAGE = ROOT / "book" / "background.md"
TOY = ROOT / "book" / "_js" / "toy.js"
SIGMA, HEIGHT = (
    4.0,
    1.0,
)  # noise of a sample's gradient, and curvature of the wide valley: `SIGMA`, `VALLEYS` of toy.js
NODE = shutil.which("node")
runs_scripts = pytest.mark.skipif(not (NODE or browser.find()), reason="neither Node.js nor Chromium here")


def evaluate(expression: str):
    """What an expression of `toy`, the page's script, evaluates to: under Node.js, else in a browser."""
    if NODE:
        code = f"const toy = require({json.dumps(str(TOY))}); console.log(JSON.stringify({expression}))"
        return json.loads(
            subprocess.run([NODE, "-e", code], check=True, capture_output=True, text=True).stdout
        )
    with browser.Browser() as chromium, tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(f"<!doctype html><script>{TOY.read_text()}</script>")
        return chromium.visit(page.as_uri(), 1280, f"(toy => {expression})(window.bbatchToy)")[0]


def found(settings: list[dict], effort: str = "{walkers: 400}") -> list[dict]:
    """Spread, share of time in the wide valley and the script's own formula, for each of the settings."""
    return evaluate(
        f"{json.dumps(settings)}.map((given) => {{ const s = {{...toy.DEFAULT, ...given}}; "
        f"const r = toy.summary(s, {effort}); "
        "return {spread: r.spread, inWide: r.inWide, formula: toy.formula(s)}; })"
    )


def stationary_variance(rate: float, batch_size: int) -> float:
    """The variance that a step of SGD leaves as it is, by taking steps until it does."""
    variance = 0.0
    for _ in range(10_000):
        variance = (1 - rate * HEIGHT) ** 2 * variance + rate**2 * SIGMA**2 / batch_size
    return variance


@runs_scripts
def test_walks_of_sgd_have_the_stationary_variance():
    settings = [
        {"valleys": "one", "batch": batch, "rate": rate} for batch in (0, 3, 5, 10) for rate in (-10, -6, -2)
    ]
    for given, seen in zip(settings, found(settings), strict=True):
        expected = math.sqrt(stationary_variance(2 ** (given["rate"] / 2), 2 ** given["batch"]))
        assert seen["formula"] == pytest.approx(expected, rel=1e-9), given
        assert seen["spread"] == pytest.approx(expected, rel=0.02), given


@runs_scripts
def test_linear_doubling_keeps_the_spread_of_sgd_and_the_square_root_that_of_adam():
    """The first two things to try on the page: from B = 1, the rate and B doubled together."""
    doublings = range(5)
    sgd = [{"valleys": "one", "batch": k, "rate": -12 + 2 * k} for k in doublings]
    adam = [{"valleys": "one", "optimizer": "adam", "batch": k, "rate": -12 + k} for k in doublings]
    alone = [{"valleys": "one", "optimizer": "adam", "batch": k, "rate": -12 + 2 * k} for k in doublings]
    spreads = [[seen["spread"] for seen in found(settings)] for settings in (sgd, adam, alone)]
    assert max(spreads[0]) / min(spreads[0]) < 1.1
    assert max(spreads[1]) / min(spreads[1]) < 1.1
    assert (
        spreads[2][-1] / spreads[2][0] > 1.8
    )  # the linear rule makes Adam noisier: by 2 over four doublings
    assert [seen["spread"] for seen in found(adam)] == pytest.approx(
        [seen["formula"] for seen in found(adam)], rel=0.05
    )


@runs_scripts
def test_the_third_thing_to_try_is_as_the_page_says():
    quiet, fast = {"batch": 8, "rate": -8}, {"batch": 8, "rate": -5}
    adam = {"batch": 8, "rate": -2, "optimizer": "adam"}
    share = [seen["inWide"] for seen in found([quiet, fast, adam, adam | {"warmUp": True}], "{}")]
    assert share[0] == 0 and share[1] > 0.99 and 0.4 < share[2] < 0.6 and share[3] == 0
    one = {"valleys": "one", "batch": 3}
    cold, warm = found([one, one | {"warmUp": True}])
    assert warm["spread"] == pytest.approx(cold["spread"], rel=0.01)


@runs_scripts
def test_the_still_picture_is_what_the_script_draws():
    assert (ROOT / "book" / "toy.html").read_text() == evaluate("toy.still()"), "run `node book/_js/toy.js`"


def test_the_ten_lines_print_what_the_page_says():
    code, said = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE.read_text(), re.S).groups()
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, str(PAGE), "exec"), {})
    assert printed.getvalue() == said
