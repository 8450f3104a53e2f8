"""How judgements are put together, on claims made up here: which reading decides, how near it is, what is
shared, what the notes say, and which command would give the data that lacks."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from bbatch import claims, published
from bbatch.analysis.estimate import Estimate
from bbatch.claims import calibration, changes, judging, overviews, rules
from bbatch.claims.claim import Claim, Evidence, Put, Question, Reading
from bbatch.claims.judging import Judgement, Read
from bbatch.claims.rules import DATA, NOT, REPRODUCED, UNCHECKABLE, UNTESTABLE, Says
from factories import record

NOWHERE = pd.DataFrame({"id": [], "dataset": [], "seed": [], "precision": [], "device": []})


FIVE = Says("=", 5.0, unit="percent")


def exact(value, n=3, **more):
    return Estimate(value, n, **{"bounds": (value, value), "span": 10.0} | more)


def claim(*asks, says=FIVE, section="IV-A", shares="", paper=(), **more):
    ours = tuple(Reading(lambda runs, found=found: found, label=label, key=label) for label, found in asks)
    theirs = tuple(Reading(lambda runs, found=found: found, label=label) for label, found in paper)
    return Claim("id", section, "text", "5", "q", says, ours, theirs, shares=shares, **more)


def judged(c):
    of = Evidence(NOWHERE, NOWHERE)
    return judging._judge(c, of, of, {})


def test_the_most_favourable_reading_decides_and_of_equal_ones_the_nearest():
    j = judged(claim(("far", exact(9.0)), ("near", exact(5.4)), ("nearer", exact(4.8)), ("none", Estimate())))
    assert [(r.label, r.verdict) for r in j.ours] == [
        ("nearer", REPRODUCED),
        ("near", REPRODUCED),
        ("none", DATA),
        ("far", NOT),
    ]
    assert j.verdict == REPRODUCED and j.check == UNCHECKABLE and j.ours[0].key == "nearer"
    nothing = judged(claim())
    assert (nothing.verdict, nothing.check, nothing.deciding) == (UNTESTABLE, UNCHECKABLE, None)
    assert not nothing.claim.testable and nothing.ours[0].label == nothing.paper[0].label == ""
    both = judged(claim(paper=[("off", exact(9.0)), ("fits", exact(5.0))]))
    assert [r.label for r in both.paper] == ["fits", "off"]


def test_the_distance_is_that_of_the_worst_part_and_nothing_for_bounds_and_cells():
    def far(c, *parts):
        return judging._distance(c, Read("", NOT, parts))

    number, between = claim(), claim(says=Says("range", 2.0, "points", 6.0))
    assert far(number, exact(5.25), exact(4.0), exact(5.5)) == 1.0
    assert far(number, exact(7.5)) == 2.5
    assert far(between, exact(1.5)) == 0.5 and far(between, exact(6.25)) == 0.25
    assert far(between, exact(2.0), exact(4.0), exact(6.0)) == 0.0
    assert far(number) == 1e9 and far(number, exact(math.inf)) == 1e9
    assert far(claim(section="Table V"), exact(9.0)) == 0.0
    assert far(claim(says=Says("<", 5.0)), exact(9.0)) == 0.0


def test_the_level_counts_parts_and_readings_and_the_deciding_part_is_judged_like_the_whole():
    j = judged(claim(("both", [exact(5.1), exact(9.0, about="the wrong one")]), ("other", exact(9.5))))
    assert j.verdict == NOT and j.deciding.about == "the wrong one"
    assert j.level == pytest.approx(1 - 0.05 / 2 / 2)
    assert judged(claim(("one", exact(5.0)))).level == pytest.approx(0.95)
    twice = judged(claim(("a", [exact(5.0, ids=("x", "y")), exact(5.0, ids=("y", "z"))]), ("b", exact(1.0))))
    assert twice.ids == ["x", "y", "z"]


def test_of_several_parts_that_fail_the_furthest_decides():
    def decided(says, *parts):
        return judged(claim(("all", [exact(v, about=str(v)) for v in parts]), says=says)).deciding.about

    assert decided(Says("=", 5.0, "points"), 5.0, 9.0, -9.0, 2.0) == "-9.0"
    assert decided(Says("<", 2.0, "points"), 1.0, 3.5, 9.0, 4.0) == "9.0"
    assert decided(Says(">=", 2.0, "points"), 3.0, 1.0, -4.0, -1.0) == "-4.0"
    assert decided(Says("range", 2.0, "points", 6.0), 3.0, 8.0, -1.5, 0.0) == "-1.5"
    assert (
        decided(Says("<", 2.0, "points"), -1.0, 1.0, 0.0) == "1.0"
    )  # all hold: the one nearest to the bound
    nothing = Estimate(n=3, unit="points", about="no number")
    j = judged(
        claim(("all", [exact(9.0), nothing, Estimate(about="not run")]), says=Says("<", 2.0, "points"))
    )
    assert j.verdict == NOT and j.deciding.about == "no number"


def test_claims_that_share_a_reading_are_decided_by_the_one_with_the_best_ranks_in_sum():
    """Each alone would take another reading; together "b" is first, or, of equal verdicts, the nearer."""
    first = judged(claim(("a", exact(5.0)), ("b", exact(5.4)), shares="s"))
    second = judged(claim(("a", exact(9.0)), ("b", exact(5.5)), shares="s"))
    alone = judged(claim(("a", exact(5.0)), ("b", exact(5.4))))
    assert [j.ours[0].label for j in judging._shared([first, alone, second])] == ["b", "a", "b"]
    assert [[r.label for r in j.ours] for j in judging._shared([first])] == [["a", "b"]]
    near = judged(claim(("a", exact(5.3)), ("b", exact(5.0)), shares="t"))
    third = judged(claim(("a", exact(5.0)), ("b", exact(5.2)), shares="t"))
    assert [j.ours[0].label for j in judging._shared([near, third])] == ["b", "b"]
    bare = judged(claim(shares="u"))
    assert judging._shared([bare]) == [bare]


@pytest.mark.parametrize(
    "verdicts, said",
    [
        ([NOT], ""),
        ([NOT, NOT], "Both readings: not reproduced."),
        ([NOT] * 3, "All 3 readings: not reproduced."),
        ([NOT, REPRODUCED, NOT, DATA], "Of 4 readings: 1 reproduced, 2 not reproduced, 1 not enough data."),
        (["inconsistent", "consistent"], "Of 2 readings: 1 consistent, 1 inconsistent."),
    ],
)
def test_readings_are_counted_in_words(verdicts, said):
    assert judging.counted(tuple(Read("", v) for v in verdicts)) == said


def made(*parts, of="runs", reads=None):
    c = claim(("a", list(parts)))
    c = Claim(**vars(c) | {"ours": (Reading(c.ours[0].asks, of),)})
    return Judgement(c, reads or (Read("a", DATA, parts),), (Read("", UNCHECKABLE),))


def runs(**columns):
    n = max(len(v) for v in columns.values() if isinstance(v, list))
    rows = {"id": [f"r{k}" for k in range(n)], "dataset": "mnist", "seed": list(range(42, 42 + n))}
    return pd.DataFrame(rows | {"precision": "fp32", "device": "cuda"} | columns)


def test_what_would_give_the_data():
    """What a part lacks, else twice the seeds: of the runs there are, or of the data set's own number."""
    wide = Estimate(5.0, 3, error=9.0, one_run=9.0, ids=("r0", "r1", "r2"), span=1.0)
    six = runs(seed=[42, 43, 44, 45, 46, 47], precision="fp32")
    assert judging._command(made(wide), six) == "bbatch sweep mnist --seeds 10"  # the data set plans five
    many = runs(seed=list(range(42, 50)))
    ids = tuple(f"r{k}" for k in range(8))
    more = Estimate(5.0, 8, error=9.0, one_run=9.0, ids=ids, span=1.0)
    assert judging._command(made(more), many) == "bbatch sweep mnist --seeds 16"
    assert judging._command(made(wide, of="measures"), six) == "bbatch geometry mnist --seeds 6"
    lacking = Estimate(missing="bbatch sweep cifar10")
    assert judging._command(made(exact(5.0), wide, lacking), six) == "bbatch sweep cifar10"
    assert judging._command(made(Estimate(5.0, 1, ids=("gone",))), six) == ""
    firm = made(wide, reads=(Read("a", NOT, (wide,)),))
    assert judging._command(firm, six) == ""


def test_notes_say_where_runs_differ_from_the_papers():
    def notes(n, table, c=None, **more):
        part = Estimate(5.0, n, ids=("r0", "r1"), **more)
        return judging._notes(made(part), table)

    plain = runs(precision=["fp32", "fp32", "bf16"])
    assert notes(5, plain) == ()
    assert notes(4, plain) == notes(4, plain, freedom=3.0) == ()  # their own scatter, whatever its form
    assert notes(4, plain, freedom=9.5) == (
        "Fewer than five seeds: the scatter is drawn towards that of the data set's other batch sizes.",
    )
    assert notes(4, plain, counted="cells", freedom=9.5) == () == notes(0, plain, freedom=9.5)
    low = runs(precision=["bf16", "fp32", "bf16"])
    assert notes(5, low) == ("1 of 2 runs trained in mixed precision (bf16); the paper has 32 bits.",)
    for dataset, said in (("mnist", 1), ("cifar10", 1), ("synthetic-1k", 0)):
        cpu = notes(5, runs(device=["cpu", "cuda"], dataset=dataset))
        assert len(cpu) == said and all(n.startswith("Trained on a CPU") for n in cpu)
    few = Estimate(5.0, 3, ids=("r0",), freedom=4.0), Estimate(5.0, 5, ids=("r1",), freedom=4.0)
    assert len(judging._notes(made(*few), plain)) == 1  # one of two parts is enough
    two = judged(claim(("a", exact(5.0)), ("b", exact(9.0))))
    assert judging._notes(two, plain) == ("Of 2 readings: 1 reproduced, 1 not reproduced.",)


def test_the_given_records_are_all_the_evidence_and_a_cell_counts_once():
    two = [record("mnist", 64, 42, 9900, precision=precision) for precision in ("fp32", "bf16")]
    other = record("mnist", 64, 43, 9800, lr_rule="constant")
    found = claims.evidence({r["id"]: r for r in (*two, other)})
    assert len(found.runs) == 2 and set(found.runs["lr_rule"]) == {"linear", "constant"}
    assert found.ablation is found.runs and set(found.records) == {r["id"] for r in (*two, other)}
    assert found.measures.empty and found.choices.empty and found.warm_up.empty
    for precision, run in zip(("fp32", "bf16"), two, strict=True):  # each is there where it is asked for
        only = claims.evidence({r["id"]: r for r in two}, precision=precision).runs
        assert list(only["id"]) == [run["id"]]
    assert set(found.curves["id"]) == set(found.runs["id"]) - {other["id"]}, "of the linear rule alone"
    everything = claims.evidence()
    assert len(everything.measures) and len(everything.choices) and len(everything.warm_up)


def test_a_row_a_statement_tells_the_part_that_decides():
    wrong = exact(9.0, 4, bounds=(8.5, 9.25), about="the wrong one")
    two = judged(claim(("a", [exact(5.0), wrong]), ("b", exact(9.5))))
    two = replace(two, notes=("One.", "Two."), command="do this")
    table = claims.verdict_frame([two, judged(claim(("c", exact(5.0, about="the one")))), judged(claim())])
    assert dict(table.iloc[0]) == {
        "id": "id",
        "section": "IV-A",
        "claim": "text",
        "published": "5",
        "paper_check": UNCHECKABLE,
        "measured": 9.0,
        "low": 8.5,
        "high": 9.25,
        "n": 4,
        "verdict": NOT,
        "unit": "percent",
        "at": "the wrong one",
        "reading": "a",
        "question": "q",
        "command": "do this",
        "note": "One. Two.",
    }
    assert list(table["at"]) == ["the wrong one", "", ""] and list(table["n"]) == [4, 3, 0]
    assert math.isnan(table["measured"][2]) and list(table["reading"]) == ["a", "c", ""]


def test_a_row_a_question_counts_its_statements(monkeypatch):
    asked = [
        Question(q, f"{q}?", {"lead": Put(), "first": Put()}, lambda e: f"Yes, by {e}.")
        for q in ("q", "no one's")
    ]
    monkeypatch.setattr(overviews, "QUESTIONS", asked)

    def j(id, section, verdict, question="q"):
        of = replace(claim(section=section), id=id, question=question)
        return Judgement(of, (Read("", verdict),), (Read("", "consistent"),))

    given = [
        j("first", "IV-A", NOT),
        j("lead", "I-B", REPRODUCED),
        j("third", "Table V", NOT),
        j("fourth", "IV-A", DATA),
        j("other", "VI", NOT, "no one's"),  # whose leading statement was not judged
    ]
    row = ["q", "q?", REPRODUCED, "consistent", 4, 1, 2, "IV-A, I-B, Table V"]
    assert claims.distinct(given).values.tolist() == [row]
    told = claims.distinct(given, "ours")
    assert told.values.tolist() == [[*row, "Yes, by ours."]] and list(told)[-1] == "answer"


def test_claims_are_judged_of_the_evidence_that_is_given_or_else_of_the_records(monkeypatch, empty):
    mnist = record("mnist", 64, 42, 9900)
    monkeypatch.setattr(judging, "evidence", lambda: claims.evidence({mnist["id"]: mnist}))
    ids = ["table-iii-mnist-b64-test-acc", "table-iii-mnist-b128-test-acc"]
    assert [j.claim.id for j in claims.judged(empty, ids=ids)] == ids
    assert [j.ours[0].parts[0].n for j in claims.judged(empty, ids=ids)] == [0, 0]
    assert [j.ours[0].parts[0].n for j in claims.judged(ids=ids)] == [1, 0]
    # Those of Section IV-F share their reading with claims of other sections, which are not asked for.
    assert {j.claim.section for j in claims.judged(empty, "IV-F")} == {"IV-F"}


def test_error_rates_are_the_worst_wrong_share_and_the_mean_open_one():
    rows = [
        ("b", "one", 3, 50.0, 0.0, 10.0, 20.0, 20.0, 0.0, 4.0),
        ("b", "two", 3, 10.0, 30.0, 10.0, 20.0, 30.0, 0.0, 1.0),
        ("b", "three", 3, 100.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5),
        ("a", "one", 3, 100.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        ("b", "one", 5, 0.0, 0.0, 0.0, 60.0, 40.0, 0.0, 2.5),
        ("a", "one", 5, 0.0, 0.0, 0.0, 0.0, 100.0, 0.0, 0.25),
    ]
    table = pd.DataFrame(rows, columns=["kind", "truth", "n", *rules.VERDICTS, "wrong"])
    found = calibration.error_rates(table)
    # firm of "b", 3: 50 + 10 + 20 = 80, 10 + 10 + 20 = 40, and 100; open: 20, 60 and 0
    assert found.values.tolist() == [["b", "4.0 / 27", "2.5 / 40"], ["a", "0.0 / 0", "0.2 / 100"]]
    assert list(found) == ["kind", "n = 3", "n = 5"] and found.columns.name is None  # none is shown


def test_what_the_revision_of_the_rules_changed(tmp_path, monkeypatch):
    first = {"a": REPRODUCED, "b": REPRODUCED, "same": NOT, "v-c-large": NOT, "odd": UNTESTABLE}
    first |= {f"c{k}": REPRODUCED for k in range(7)} | {f"table-{k}": DATA for k in range(2)}
    pd.DataFrame(first.items(), columns=["id", "verdict"]).to_csv(tmp_path / "first-verdicts.csv")
    monkeypatch.setattr(published, "FOLDER", tmp_path)

    def j(id, verdict):
        return Judgement(replace(claim(), id=id), (Read("", verdict),), (Read("", UNCHECKABLE),))

    now = [j("a", DATA), j("new", NOT), j("same", NOT), j("b", NOT), j("v-c-large", DATA), j("odd", NOT)]
    rows = [
        ["a", "text", REPRODUCED, DATA],
        ["b", "text", REPRODUCED, NOT],
        ["v-c-large", "text", NOT, DATA],
        ["odd", "text", UNTESTABLE, NOT],
    ]
    assert changes.changed(now).values.tolist() == rows
    assert list(changes.changed([])) == ["id", "claim", "before", "now"]
    six = [j(f"c{k}", DATA) for k in range(6)]
    cells = [j(f"table-{k}", NOT) for k in range(2)]
    assert changes.summed_up([*six, *cells]).values.tolist() == [
        [REPRODUCED, DATA, 6, "c0, c1, c2, c3, c4, c5"],
        [DATA, NOT, 2, "cells of tables"],
    ]
    [row] = changes.summed_up([*six, j("c6", DATA)]).to_dict("records")
    assert row["claims"] == 7 and row["among them"] == "c0, c1, c2, c3, c4, c5 and 1 more"
    assert list(row) == ["before", "now", "claims", "among them"]
