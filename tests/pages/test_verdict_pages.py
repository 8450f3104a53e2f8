"""The pages of verdicts, of a few made-up claims: every number and word where it belongs."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from scipy import stats

import artists
from bbatch.analysis.estimate import Estimate
from bbatch.claims import rules
from bbatch.claims.claim import Claim, Evidence, Reading
from bbatch.claims.judging import Judgement, Read
from bbatch.claims.questions import QUESTIONS
from bbatch.claims.rules import Says
from bbatch.config import DATASETS
from bbatch.pages import parameters, picture, statement_table, verdict_in_words, verdicts

NB = "\u00a0"
READING = Reading(lambda e: [])


def estimate(value, low=math.nan, high=math.nan, n=3, about="MNIST, B = 512", **more):
    return Estimate(value, n, "points", bounds=(low, high), about=about, **more)


def judgement(id, section, verdict, check, parts, question="how-far", says_=None, reads=(), **more):
    says_ = says_ or Says("=", 1.5, "points", rounding=0.05)
    first = Read("first", verdict, tuple(parts))
    ours = (first, *(Read(f"other {k}", v) for k, v in enumerate(reads)))
    told = (id, section, "the text <of it>", "1.5 points", question, says_)
    claim = Claim(*told, (READING,) * len(ours), words=more.pop("words", ""))
    return Judgement(claim, ours, (Read("paper", check),), **more)


LEADS = {question.id: question.leads for question in QUESTIONS}


@pytest.fixture
def some():
    low = estimate(2.25, 1.5, 3.0, ids=("a", "b"), shown="a <note>")
    high = estimate(-1.125, -2, 4, n=5, about="CIFAR-10, B = 32", missing="bbatch x")
    return [
        judgement(
            LEADS["how-far"],
            "IV-A",
            rules.NOT,
            rules.CONSISTENT,
            [low, high],
            reads=(rules.NOT, rules.DATA),
            command="bbatch sweep",
            words="in <words>",
        ),  # fmt: skip
        judgement("cell-mnist-1", "Table III", rules.REPRODUCED, rules.CONSISTENT, [low]),
        judgement("cell-mnist-2", "Table III", rules.NOT, rules.INCONSISTENT, [low]),
        judgement(
            LEADS["chance"],
            "abstract",
            rules.REPRODUCED,
            rules.UNCHECKABLE,
            [],
            "chance",
            notes=("a `code` note",),
        ),  # fmt: skip
    ]


@pytest.fixture
def ours():
    rows = [("mnist", "linear", b, s, f"{b}{s}") for b in (512, 64) for s in (44, 42)]
    rows.append(("cifar10", "sqrt", 8, 50, "c"))
    runs = pd.DataFrame(rows, columns=["dataset", "lr_rule", "batch_size", "seed", "id"])
    return Evidence(runs, runs)


def soup(html):
    return BeautifulSoup(getattr(html, "data", html), "html.parser")


def test_a_measured_cell_is_the_deciding_part_with_its_interval(some):
    def cell(part, unit="points"):
        j = judgement(
            "x", "IV-A", rules.DATA, rules.CONSISTENT, [part] if part else [], says_=Says("=", 1.0, unit)
        )
        return soup(verdicts.measured_cell(j)).get_text()

    assert cell(estimate(2.25, 1.5, 3.0)) == "2.25 points 1.50 to 3.00"
    assert cell(estimate(2.25, 2.249, 2.251)) == "2.25 points"  # printed, its interval has no width
    assert cell(estimate(2.25)) == "2.25 points" and cell(estimate(2.25, n=0)) == "–" == cell(None)
    assert cell(estimate(math.nan)) == "no such number"
    assert cell(estimate(64.0, among=(32.0, 64.0)), "samples") == "B = 64"
    assert verdicts.size_text(math.inf) == "none" and verdicts.size_text(31.6) == "B = 32"
    assert cell(estimate(0.03125, 0.5, 0.75), "p") == "0.0312 0.5000 to 0.7500"
    assert cell(estimate(2.0, 1, 3), "loss") == "2.0000 loss 1.0000 to 3.0000"
    assert cell(estimate(2.0, 1, 3), "seconds") == "2.000 s 1.000 to 3.000"
    assert verdicts.number_cell("") == "in words" and verdicts.number_cell("a<b").count("a&lt;b") == 1
    assert verdicts.capital("some text") == "Some text"
    assert verdicts.brief("Short one. And another. A third.") == "Short one. And another."
    assert verdicts.brief(f"{'Long ' * 7}one. Another.") == f"{'Long ' * 7}one."
    assert verdicts.brief("Short one. (And an aside.) A third.") == "Short one. (And an aside.)"
    assert verdicts.brief(f"{'Long ' * 7}one, by Eq. (3). (An aside. Of two.) More.")[-8:] == "Eq. (3)."
    assert (
        verdicts.brief(f"{'a' * 29}. B.") == f"{'a' * 29}." and verdicts.brief(f"{'a' * 28}. B.")[-2:] == "B."
    )
    for verdict, mark in verdicts.MARKS.items():
        badge = soup(verdicts.badge(verdict)).find(class_="bbatch-badge")
        assert badge["data-is"] == verdict and badge.get_text() == f"{mark}{NB}{verdict}"


def test_a_box_says_under_each_number_what_it_is_of():
    def small(parts, reads=()):
        j = judgement("x", "IV-A", rules.NOT, rules.CONSISTENT, parts, reads=reads)
        return [one.get_text() for one in soup(verdicts._of_what(j)).find_all("small")]

    of = f"MNIST, B{NB}={NB}512"
    assert small([estimate(2.25)]) == [of]
    assert small([estimate(2.25)], reads=(rules.NOT,)) == [f"{of}; read as first"]
    assert small([estimate(2.25, n=0)]) == small([]) == small([estimate(2.25, about="")]) == []
    assert small([estimate(1.0, about="a <b>")]) == ["a <b>"]


def test_the_matrix_shows_the_leading_statement_and_a_strip_of_all(some):
    page = soup(verdicts.matrix(some))
    first, second = page.tbody.find_all("tr")
    asked = {q.id: q.asks for q in QUESTIONS}
    assert (first.th.text, second.th.text) == (asked["how-far"], asked["chance"])
    paper, mine = first.find_all(class_="bbatch-tile")
    assert (paper["data-is"], mine["data-is"]) == (rules.CONSISTENT, rules.NOT)
    assert mine.small.text == "in 2 of 3 readings" and paper.small is None
    heads = [th.text for th in page.thead.find_all("th")]
    assert [td["data-label"] for td in first.find_all("td")] == heads[1:]
    strip = first.find(class_="bbatch-strip")
    assert strip["aria-label"] == f"1 {rules.REPRODUCED}, 2 {rules.NOT}" and strip.span.text == "3"
    shares = [s["style"] for s in strip.find_all("span")[1:]]
    assert shares == [
        f"flex: {n}; background: {verdicts.SHADES[v]}" for n, v in ((1, rules.REPRODUCED), (2, rules.NOT))
    ]
    assert [li.text for li in page.find_all("li")] == list(verdicts.SHADES)
    assert [th.text for th in page.thead.find_all("th")] == [
        "Claim",
        "The paper's own tables",
        "Our runs",
        "Its statements",
    ]


def test_the_box_of_a_section_lists_statements_and_counts_cells(some, ours, monkeypatch):
    monkeypatch.setattr(verdicts, "judged", lambda evidence, section: some if section == "IV-A" else [])
    page = soup(verdicts.box("IV-A", ours=ours))
    first, second = page.tbody.find_all("tr")
    cells = [td.get_text() for td in first.find_all("td")]
    assert cells[:2] == ["The text <of it>", "1.5 points"]
    assert cells[2].endswith(rules.CONSISTENT) and cells[4].endswith(rules.NOT)
    assert (
        cells[3] == f"−1.12 points −2.00 to 4.00 CIFAR-10, B{NB}={NB}32; read as first"  # the further
        and second.find_all("td")[3].text == "–"
    )
    assert first.a["href"].endswith(f".html#claim-{LEADS['how-far']}")
    said = f"Of the 2 cells of Table III: 1 {rules.REPRODUCED}, 1 {rules.NOT}."
    assert page.find("p").text == said
    assert len(soup(verdicts.box("IV-A", "cifar", ours)).tbody.find_all("tr")) == 1  # a part is on CIFAR-10
    assert not soup(verdicts.box("IV-A", "synthetic", ours)).tbody.find_all("tr")
    assert soup(verdicts.box("IV-A", "synthetic", ours)).find("p") is None
    monkeypatch.setattr(verdicts, "evidence", lambda: ours)
    monkeypatch.setattr(parameters, "note", lambda: " (quick profile)")
    assert "of all recorded runs" in soup(verdicts.box("IV-A")).figcaption.text
    assert "of all recorded runs" not in page.figcaption.text
    assert "of all recorded runs" not in soup(verdicts.box("IV-A", ours=ours)).figcaption.text
    monkeypatch.setattr(parameters, "note", lambda: "")
    assert "of all recorded runs" not in soup(verdicts.box("IV-A")).figcaption.text


def test_a_row_of_the_table_opens_to_its_reasoning(some, ours):
    ours.runs.loc[0, "id"], ours.runs.loc[4, "id"] = "a", "b"
    page = soup(statement_table.statement_table(some, ours))
    rows, whys = page.find_all(class_="bbatch-claim"), page.find_all(class_="bbatch-why")
    assert (
        len(rows) == len(whys) == 4
        and "All 4 statements" in page.summary.text
        and page.caption.text[0] == "4"
    )
    first = rows[0]
    assert (first["data-verdict"], first["data-check"], first["data-kind"]) == (
        rules.NOT,
        rules.CONSISTENT,
        "text",
    )
    assert [row["data-kind"] for row in rows] == ["text", "table", "table", "text"]
    cells = first.find_all("td")
    assert [td["data-label"] for td in cells] == [th.text for th in page.thead.find_all("th")]
    assert cells[5]["data-key"] == str(rules.VERDICTS.index(rules.NOT)) and cells[1].text == "Section IV-A"
    assert [row.find_all("td")[1].text for row in rows[1:]] == ["Table III", "Table III", "Abstract"]
    why = whys[0]
    assert why.p.text == "in <words>" and [h.text for h in why.find_all("h4")] == [
        f"Against the paper: {rules.CONSISTENT}", f"Against our runs: {rules.NOT}"
    ]  # fmt: skip
    lines = [li.text for li in why.find_all("li")]
    level = 1 - 0.05 / 2 / 3
    asked = [rules.judge_part(some[0].claim.says, p, level) for p in some[0].ours[0].parts]
    assert lines == [
        f"MNIST, B = 512: 2.25 points (1.50 to 3.00), n = 3 seeds · {asked[0]} · a <note>",
        f"CIFAR-10, B = 32: −1.12 points (−2.00 to 4.00), n = 5 seeds · {asked[1]} · needs bbatch x",
    ]
    said = [p.get_text().replace("\u00a0", " ") for p in why.find_all("p")]
    assert f"Read as first: {rules.NOT}." in said and f"Read as other 1: {rules.DATA}." in said
    assert f"Read as paper: {rules.CONSISTENT}." not in said
    assert "Rule: an effect; tolerance 0.5 points; 2 parts and 3 readings, intervals at 99.17 %" in said
    assert "What is missing: bbatch sweep gives it." in said
    asks = next(q.asks for q in QUESTIONS if q.id == "how-far")
    assert f"Evidence of the claim: {asks}" in said
    records = [text for text in said if text.startswith("Records")]
    assert records[0].startswith(
        "Records: 2 runs: MNIST, linear rule, B = 512, seeds 44 (bbatch results mnist); "
        "CIFAR-10, sqrt rule, B = 8, seeds 50 (bbatch results cifar10). "
    )
    assert records[0].endswith(LEADS["how-far"]) and why.find_all("a")[-1]["href"].startswith("02_")
    assert "a code note" in [p.text for p in whys[3].find_all("p")] and not whys[3].find_all("li")
    assert whys[1].find_all("a")[-1]["href"].startswith("03_")
    paper_part = replace(
        some[0], paper=(Read("paper", rules.CONSISTENT, (estimate(7.0, 6, 8, shown="sum"),)),)
    )
    why = soup(statement_table._why(paper_part, ours))
    assert why.find("li").text == "MNIST, B = 512: sum"  # of the paper the arithmetic alone


def test_which_records_stand_behind_a_judgement(some, ours):
    all_of_them = replace(some[0].ours[0], parts=(estimate(1, 0, 2, ids=tuple(ours.runs["id"])),))
    text = soup(statement_table._records(replace(some[0], ours=(all_of_them,)), ours)).text
    text = text.replace("\u00a0", " ")
    assert "Records: 5 runs: MNIST, linear rule, B = 64, 512, seeds 42 to 44" in text
    assert statement_table._records(some[3], ours) == ""
    three = ours.runs.assign(seed=[44, 42, 43, 42, 50], batch_size=8)
    text = statement_table._records(replace(some[0], ours=(all_of_them,)), Evidence(three, three))
    text = text.replace("\u00a0", " ")
    assert "MNIST, linear rule, B = 8, seeds 42 to 44 (<code>bbatch results mnist</code>);" in text


def test_readings_have_names_and_parts_verdicts_where_there_are_two(some, ours):
    """A single one would say again what the head of its row says."""
    says = some[0].claim.says
    parts = [estimate(2.25, 1.5, 3.0), estimate(0.5, 0.25, 0.75, about="CIFAR-10, B = 8")]
    one = judgement("x", "IV-A", rules.NOT, rules.CONSISTENT, parts[:1], says_=says)
    why = soup(statement_table._why(one, ours))
    assert [li.text for li in why.find_all("li")] == [
        "MNIST, B = 512: 2.25 points (1.50 to 3.00), n = 3 seeds"
    ]
    assert not why.find("em") and "Rule: an effect; tolerance 0.5 points" in [
        p.text for p in why.find_all("p")
    ]
    two = judgement("x", "IV-A", rules.NOT, rules.CONSISTENT, parts, says_=says, reads=(rules.DATA,))
    why = soup(statement_table._why(two, ours))
    assert [em.text for em in why.find_all("em")] == [
        f"Read as first: {rules.NOT}.", f"Read as other 0: {rules.DATA}."
    ]  # fmt: skip
    assert all(f" · {rules.judge_part(says, p, two.level)}" in why.text for p in parts)
    both = judgement("x", "IV-A", rules.NOT, rules.CONSISTENT, parts, says_=says)
    assert "; 2 parts and 1 readings, intervals at 97.5 %" in statement_table._rule(both)


def test_the_rule_says_what_kind_of_claim_it_is(some):
    def rule(put, span=math.nan):
        parts = [estimate(1, 0, 2, span=span)]
        return statement_table._rule(judgement("x", "IV", rules.DATA, rules.CONSISTENT, parts, says_=put))

    assert rule(Says("<=", 3.0, "points", rounding=0.05)).startswith("bound")
    assert rule(Says("=", 64.0, "samples")).startswith("batch size")
    assert rule(Says("range", 2.0, "points")).startswith("range")
    assert rule(Says("=", 80.0, "percent", rounding=0.05)) == "a number; tolerance 0.5 %"
    assert rule(Says("=", 80.0, "percent", rounding=0.05), span=2.0) == "a number; tolerance 0.2 %"
    assert rule(Says("=", 2.0, "ratio", rounding=0.05)) == "an effect; tolerance 0.2×"
    assert "parts" not in rule(Says("=", 2.0, "ratio"))
    for question, digits in statement_table.PAGES.items():
        page = soup(statement_table._link(judgement("x", "IV", rules.DATA, rules.CONSISTENT, [], question)))
        assert page.a["href"].startswith(f"{digits}_") and page.a["href"].endswith(".html")
    assert "04_" in statement_table._link(judgement("a-cifar10-b", "IV", rules.DATA, rules.CONSISTENT, []))


def test_answers_in_a_sentence_and_at_length(some, monkeypatch):
    answers = {
        "how-far": "No. At B = 8 it rises. More of it.",
        "chance": "Ours do not, says this first one. Why.",
    }
    rows = [(id, f"{id}?", f"{answer}", "IV-A, VII") for id, answer in answers.items()]
    table = pd.DataFrame(rows, columns=["id", "claim", "answer", "where"])
    monkeypatch.setattr(verdicts, "distinct", lambda judgements, ours: table)
    page = soup(verdicts.answers(some, "ours"))
    assert [dt.text for dt in page.find_all("dt")] == ["how-far?", "chance?"]
    assert [dd.text for dd in page.find_all("dd")] == [
        "No. At B = 8 it rises. IV-A, VII",
        "Ours do not, says this first one. IV-A, VII",
    ]
    page = soup(verdicts.answers_at_length(some, "ours"))
    first, second = ([li.text for li in dd.find_all("li")] for dd in page.find_all("dd"))
    assert [dd.p.text.replace(NB, " ") for dd in page.find_all("dd")] == list(answers.values())
    assert first == [
        "The paper: the text <of it>: 1.5 points",
        f"Our runs: {verdicts.MARKS[rules.NOT]}{NB}{rules.NOT} in 2 of 3 readings",
        f"Its own tables: {verdicts.MARKS[rules.CONSISTENT]}{NB}{rules.CONSISTENT}",
        "What would tell: bbatch sweep",
    ]
    assert second[0].startswith("The paper: ") and len(second) == 3
    assert page.a["href"] == f"../notebooks/12_verdicts.html#claim-{LEADS['how-far']}"


def test_what_is_said_first(monkeypatch):
    def question(id):
        return SimpleNamespace(
            id=id, asks=f"{id}?", answered=lambda ours: f"{id} of {ours}, a longer sentence. And."
        )

    monkeypatch.setattr(
        verdict_in_words, "QUESTIONS", [question("other"), question("values"), question("last")]
    )
    assert verdict_in_words.strongest("ours") == "**values?** values of ours, a longer sentence."


def test_the_figure_of_wrong_verdicts_draws_the_truth_that_misleads_most():
    rows = [
        ("it falls", "one", 3, 0.0, 200),
        ("it falls", "one", 1, 4.0, 200),
        ("it falls", "other", 1, 2.0, 200),
        ("a number", "one", 1, 2.5, 200),
        ("a number", "one", 3, 1.5, 200),
    ]
    figure = verdict_in_words.figure_calibration(
        pd.DataFrame(rows, columns=["kind", "truth", "n", "wrong", "draws"])
    )
    falls, number, *others = figure.axes
    assert falls.get_title(loc="left") == "it falls" and number.get_title(loc="left") == "a number"
    [bars] = falls.containers
    assert artists.points(bars.lines[0]) == [(0, 4), (1, 0)] and artists.ticks(falls) == {0: "1", 1: "3"}
    wilson = [stats.binomtest(k, 200).proportion_ci(method="wilson") for k in (8, 0)]
    ends = [(100 * w.low, 100 * w.high) for w in wilson]
    assert artists.ends(bars) == [pytest.approx(end, abs=1e-9) for end in ends]
    assert [list(line.get_ydata()) for line in falls.lines if line.get_linestyle() == "--"] == [
        [pytest.approx(5)] * 2
    ]
    assert artists.tips(figure) == [
        (0, 4, "it falls, n = 1: 4.0 %", ""),
        (1, 0, "it falls, n = 3: 0.0 %", ""),
    ]
    assert falls.get_ylim()[0] == others[-1].get_ylim()[0] == 0 and figure.get_supylabel()
    labels = [axis.get_xlabel() for axis in figure.axes]
    assert labels == [""] * 9 + ["Runs of each cell"] * 3
    notes = picture.notes(figure)
    assert notes.title == "A firm verdict is wrong in at most 4.0 % of the draws"
    assert notes.caption.endswith("allow, 5 %; bars are 95 % intervals of 200 draws.")
    one = verdict_in_words.figure_calibration(
        pd.DataFrame(rows[:1], columns=["kind", "truth", "n", "wrong", "draws"])
    )
    assert picture.notes(one).title == "A firm verdict is wrong in at most 0.0 % of the draws"


def test_totals_count_claims_and_cells_by_witness_and_verdict(some):
    table = verdict_in_words.totals_table(some).set_index(["witness", "verdict"])
    assert list(table.index) == [
        *(("our runs", v) for v in rules.VERDICTS),
        *(("the paper's own tables", v) for v in rules.CHECKS),
    ]
    found = {key: tuple(row) for key, row in table.iterrows() if row.any()}
    assert found == {
        ("our runs", rules.REPRODUCED): (1, 1),
        ("our runs", rules.NOT): (1, 1),
        ("the paper's own tables", rules.CONSISTENT): (1, 1),
        ("the paper's own tables", rules.INCONSISTENT): (0, 1),
        ("the paper's own tables", rules.UNCHECKABLE): (1, 0),
    }


def test_claims_stand_by_the_verdict_on_the_statement_that_leads(some):
    """The cells that count for the same claim follow it, whatever their own verdict."""
    assert verdict_in_words.by_answer(some) == [[some[3]], some[:3], []]
    other = replace(some[0], ours=(replace(some[0].ours[0], verdict=rules.DATA),))
    assert verdict_in_words.by_answer([other, some[1]]) == [[], [], [other, some[1]]]


def test_the_rules_are_a_row_a_unit():
    table = verdict_in_words.rules_table().set_index("unit")["tolerance"]
    fits = ", and no more than 10 % of what single runs of the data set differ by"
    assert table["percent (accuracies)"] == table["points (gaps, differences)"] == f"0.5{fits}"
    assert (table["correlation"], table["R²"], table["exponent"]) == ("0.05", "0.01", "0.05")
    assert table["ratio"] == table["loss"] == "10 % of the printed number" and len(table) == 7
    assert rules.COMPATIBLE in verdict_in_words.GROUPS[0] and rules.DIRECTION in verdict_in_words.GROUPS[1]
    assert {v for group in verdict_in_words.GROUPS for v in group} == set(rules.VERDICTS)
    assert set(DATASETS) >= set(statement_table.IMAGES)
