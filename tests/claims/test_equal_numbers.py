"""Equal questions, equal numbers: every claim and every table of the pages that ask the same must say the
same, the explorer and the landing page included."""

import math
import re
from collections import Counter, defaultdict

import pytest
from bs4 import BeautifulSoup

from bbatch.analysis import (
    batch_and_rate,
    efficiency,
    generalization_gap,
    landscapes,
    learning_rate_rules,
    regret,
    warm_up,
)
from bbatch.analysis import noise_and_batch_size as noise
from bbatch.analysis import sharpness_and_batch_size as sharp
from bbatch.config import DATASETS
from bbatch.pages import explorer, landing, tables


@pytest.fixture(scope="module")
def linear(committed):
    return committed.runs[committed.runs["lr_rule"] == "linear"]


class Page:
    """Numbers that pages show, by the question that they answer: name of the analysis function, arguments.

    Each showing: value, low, high, n (None where it is not shown), and how far its rounding may lie off."""

    def __init__(self):
        self.shown = defaultdict(list)

    def add(self, asks: str, value, low, high, n, give=1e-9, **arguments):
        self.shown[key(asks, arguments)].append((value, low, high, n, give))

    def estimate(self, asks: str, e, **arguments):
        self.add(asks, e.value, *e.interval(), e.n, **arguments)


def key(asks: str, arguments: dict) -> tuple:
    """`level` without a metric is of test accuracy, without a rule of the linear one."""
    known = {"metric": "test_acc", "lr_rule": "linear"} if asks == "level" else {}
    return asks, repr(sorted((known | arguments).items()))


def same(a, b, give=1e-9) -> bool:
    return a == pytest.approx(b, rel=1e-9, abs=give) or (math.isnan(a) and math.isnan(b))


def add_explorer(page: Page, runs):
    """The explorer's cells, as its script gets them: rounded."""
    for cell in explorer.data(runs)["cells"]:
        at = {"dataset": cell["data"], "batch_size": cell["B"], "lr_rule": cell["rule"]}
        for metric in ("test_acc", "gap_running", "gap", "train_acc", "train_acc_running"):
            numbers = [math.nan if v is None else v for v in cell["values"][metric]]
            page.add("level", *numbers, give=1e-4, metric=metric, **at)


def drawn(container):
    """(batch size, value, low, high) of the points that an error bar was drawn at."""
    for (b, y), bar in zip(
        container.lines[0].get_xydata(), container.lines[2][0].get_segments(), strict=True
    ):
        if len(bar) and bar[0][1] != bar[1][1]:  # no bar where a training is lost
            yield int(b), y, *sorted((bar[0][1], bar[1][1]))


def plain(cell) -> str:
    """The text of a cell of a table, without what keeps it from breaking or lets it break."""
    return " ".join(re.sub("[\u00ad\u200b\u2060]", "", cell.get_text()).replace("\xa0", " ").split())


def add_landing(page: Page, runs):
    """The landing page: the points of its figure, and the text of its table."""
    left, right = landing.overview(runs).axes
    for name, container in zip((d for d in DATASETS if d != landing.APART), left.containers, strict=True):
        for b, y, low, high in drawn(container):
            page.add("fall", -y, -high, -low, None, dataset=name, small=landing.BASE, large=b)
    for b, y, low, high in drawn(right.containers[0]):
        page.add("level", y, low, high, None, dataset=landing.APART, batch_size=b)
    names = {spec.title: name for name, spec in DATASETS.items()}
    table = BeautifulSoup(landing.answer_table(runs).data, "html.parser")
    head = [plain(cell) for cell in table.select("thead th")]
    for row in table.select("tbody tr"):
        cells = dict(zip(head, map(plain, row.find_all(["th", "td"])), strict=True))
        title, best, n = (cells[name] for name in ("data set", "best B", "seeds"))
        cost = cells["cost of B = 512 (points)"]
        at = {"dataset": names[title]}
        page.add("outcomes", int(best), math.nan, math.nan, None, what="optimal", **at)
        mean, half = (float(x) for x in re.findall(r"[\d.]+", cost))
        page.add("fall", mean, mean - half, mean + half, int(n), 0.0101, small=int(best), large=512, **at)


@pytest.fixture(scope="module")
def pages(committed, linear) -> Page:
    """The tables of all pages that show an answer to what a claim asks."""
    page = Page()
    for name in DATASETS:  # pages 02 to 05
        for row in tables.compare(linear, name).to_dict("records"):
            for metric in ("test_acc", "gap_running", "gap"):
                at = {"dataset": name, "batch_size": row["batch_size"], "metric": metric}
                found = (row[metric], row[f"{metric}_low"], row[f"{metric}_high"], row["n"])
                page.add("level", *found, **at)
    for row in tables.ablation(committed.runs).to_dict("records"):  # page 07
        for metric in ("test_acc", "gap_running"):
            at = {"dataset": "synthetic-50k", "batch_size": row["batch_size"], "lr_rule": row["lr_rule"]}
            found = (row[metric], row[f"{metric}_low"], row[f"{metric}_high"], row["n"])
            page.add("level", *found, metric=metric, **at)
    effects = learning_rate_rules.effect(committed.runs)
    for row in effects[effects["rule"] == "constant"].itertuples():
        e = row.test_acc
        page.add("loss_without", -e.value, -e.high, -e.low, e.n, batch_size=row.batch_size)
    for accuracy in (80, "near"):  # page 06
        wanted = None if accuracy == "near" else accuracy
        table = efficiency.all_speedups(committed.runs, committed.curves, wanted)
        for row in table.itertuples():
            for asks, e in (("more_epochs", row.epochs), ("wall_clock", row.effective)):
                page.estimate(asks, e, accuracy=accuracy, base=32, part=e.about)
            page.estimate("epoch_speedups", row.epoch, base=32, part=row.epoch.about)
    for row in generalization_gap.correlations(linear).itertuples():  # page 05
        if row.source == "our runs" and row._2 == "all data sets":
            page.estimate("correlation", row.r, metric="gap_running")
    for name, large in [(d, b) for d in DATASETS for b in (128, 256, 512)]:  # page 08
        for row in sharp.ratios(committed.measures, name, large).itertuples():
            at = {"dataset": name, "small": 32, "large": large, "measure": row.measure, "split": row.split}
            page.add("sharpness_ratio", row.ratio, row.low, row.high, row.n, **at)
    for row in landscapes.all_steeper_walls(committed.circles).itertuples():
        for radius, e in ((0.5, row.half_way), (1.0, row.border)):
            if row.lr_rule == "linear":
                at = {"split": row.split, "radius": radius}
                page.estimate("steeper_walls", e, dataset=row.dataset, **at)
                page.estimate("steeper_walls_on_each", e, part=e.about, **at)
    for row in noise.variance_fits(committed.measures).itertuples():  # page 09
        for of in ("exponent", "r_squared"):
            i = getattr(row, of)
            at = {"dataset": row.dataset, "measure": row.measure, "at": row.at, "of": of}
            low, high = (math.nan, math.nan) if row.seeds == 1 else (i.low, i.high)
            page.add("variance_fit", i.mean, low, high, row.seeds, **at)
    sizes = tables.critical_sizes(linear).set_index("data set")  # page 10
    for name, spec in DATASETS.items():
        for what, column in (("optimal", "optimum, ours"), ("critical", "B*, ours")):
            shown = sizes.loc[spec.title, column]
            value = float(shown) if not isinstance(shown, str) else math.inf
            page.add("outcomes", value, math.nan, math.nan, None, dataset=name, what=what)
    for e in regret.lost_by_algorithm_2(committed.choices):  # page 11
        page.estimate("lost_by_algorithm_2", e, part=e.about)
    for e in warm_up.warm_up_effect(committed.warm_up)["difference"]:  # the discussion
        page.estimate("gains", e, part=e.about)
    for name, largest in [(d, b) for d in DATASETS for b in (128, 1024)]:  # page 15
        found = batch_and_rate.rules_on_map(committed.maps[committed.maps["dataset"] == name])
        rules = found[found["batch_size"] <= largest].set_index(["batch_size", "rule"])["loss"]
        for (b, rule), i in rules.items():
            at = {"part": f"{DATASETS[name].title}, B = {b}", "against": "best", "largest": largest}
            if rule == "linear":
                page.add("lost_in_proportion", i.mean, i.low, i.high, i.n, **at)
    add_explorer(page, committed.runs)
    add_landing(page, committed.runs)
    return page


# Questions that no table of a page answers in the claim's own form: what they are made of is in one.
WITHOUT_A_TABLE = set(
    """
    fall from_end_to_end rises slopes excess floor seeds_that_agree share_at_most peak share_lost
    fall_without largest gap_ratio p_value gaps spread steeper between sharpness_at exponent optima_of
    """.split()
)
# Asked of several data sets at once, in parts that are each a question of its own.
IN_PARTS = ["epoch_speedups", "more_epochs", "wall_clock", "lost_by_algorithm_2", "gains"]
IN_PARTS += ["lost_in_proportion", "steeper_walls_on_each"]
SPREAD = {"sharpness_ratios": "sharpness_ratio", "falls": "fall", "from_end_to_end": "fall"}


def test_every_claim_says_what_the_tables_of_the_pages_say(real, pages):
    """The walk: each reading of each claim, and each number of a page that answers the same question."""
    met, asked = Counter(), set()
    for j in real.values():
        for reading in j.claim.ours:
            read = next(r for r in j.ours if r.label == reading.label)
            asks, arguments = name_of(reading.asks), dict(getattr(reading.asks, "keywords", {}))
            asked.add(asks)
            for part in read.parts:
                for value, low, high, n, give in pages.shown[key(*of_part(asks, arguments, part))]:
                    if not part.n:
                        continue
                    where = (j.claim.id, reading.label, part.about)
                    assert same(part.value, value, give), where
                    assert part.among or n in (None, part.n), where
                    # Of one seed a page shows the sampling error of the test set.
                    if part.n > 1 and not part.among:
                        assert same(part.low, low, give) and same(part.high, high, give), where
                    met[asks] += 1
    assert asked == set(met) | WITHOUT_A_TABLE, asked ^ (set(met) | WITHOUT_A_TABLE)
    assert met["level"] > 120 and met["sharpness_ratio"] > 100 and met["variance_fit"] > 50
    assert met["falls"] >= 4  # from B = 32 to 512, which the landing page draws


def name_of(asks) -> str:
    return getattr(asks, "func", asks).__name__


def of_part(asks: str, arguments: dict, part) -> tuple[str, dict]:
    """The question that one part of an answer is the answer to."""
    if asks in SPREAD:
        titles = {spec.title: name for name, spec in DATASETS.items()}
        title, _, sizes = part.about.partition(", B = ")
        at = sorted(int(b) for b in re.findall(r"\d+", sizes))
        more = {k: v for k, v in arguments.items() if k in ("measure", "split")}
        return SPREAD[asks], more | {"dataset": titles[title], "small": at[0], "large": at[-1]}
    if asks in IN_PARTS:
        return asks, {k: v for k, v in arguments.items() if k != "datasets"} | {"part": part.about}
    return asks, arguments


def test_what_no_table_shows_is_made_of_what_one_shows(real, pages):
    """Falls are differences of the levels that tables show, where all seeds are in both."""
    met = 0
    for id in ("iv-a-1k-drop", "iv-a-10k-drop", "iv-a-50k-drop", "vii-drop"):
        for part in (p for p in real[id].ours[0].parts if p.n):
            title, _, sizes = part.about.partition(", B = ")
            name = next(d for d, spec in DATASETS.items() if spec.title == title)
            small, large = (
                pages.shown[key("level", {"dataset": name, "batch_size": int(b), "metric": "test_acc"})][0]
                for b in sizes.split(" and ")
            )
            if small[3] == large[3]:
                assert part.value == pytest.approx(small[0] - large[0])
                met += 1
    assert met >= 6


def test_claims_that_ask_the_same_say_the_same(real):
    asked = {}
    for j in real.values():
        for reading in j.claim.ours:
            key = (
                (reading.of, reading.asks.func, repr(reading.asks.keywords))
                if hasattr(reading.asks, "func")
                else None
            )
            read = next(r for r in j.ours if r.label == reading.label)
            if key:
                assert asked.setdefault(key, read.parts) == read.parts or read.parts != read.parts, j.claim.id
    verdicts = {}
    for j in real.values():
        key = (j.claim.says, tuple(r.label for r in j.ours), tuple(map(str, j.ours[0].parts)), j.claim.unit)
        assert verdicts.setdefault(key, j.verdict) == j.verdict, j.claim.id
