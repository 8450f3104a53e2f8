"""Committed files: a merge that may be cut short or undone at any step, readers meanwhile, what is
refused."""

import hashlib
import math
import os
import shutil
import subprocess
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bbatch import beyond, repository  # noqa: F401 - its networks and schedules are known then
from bbatch.errors import StoreError
from bbatch.records import committed, integrity
from bbatch.records.record import decided, flaw, stranger
from bbatch.records.store import FROZEN, Store, _document
from factories import record_of_four_epochs as record

ONE, OTHER, THIRD = ({r["id"]: r} for r in (record(8, 42), record(64, 42), record(64, 43)))


@pytest.fixture
def folder(tmp_path):
    """Committed files that hold `ONE`."""
    committed.merge(tmp_path / "results", ONE)
    return tmp_path / "results"


class CutError(Exception):
    pass


def cut_before(step, monkeypatch, folder, records, then=lambda: None):
    """Merge, cut short before the `step`th renaming; whether it was."""
    replace, steps = os.replace, iter(range(99))

    def counted(*paths):
        then()
        if next(steps) == step:
            raise CutError
        replace(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counted)
        try:
            committed.merge(folder, records)
        except CutError:
            return True
    return False


def test_a_reader_sees_the_old_state_or_the_new_at_every_step(folder, monkeypatch):
    seen = []
    cut_before(None, monkeypatch, folder, OTHER, then=lambda: seen.append(set(committed.read(folder))))
    seen.append(set(committed.read(folder)))
    old, new = set(ONE), set(ONE | OTHER)
    assert seen == sorted(seen, key=len) and [one for one in seen if one not in (old, new)] == []
    assert old in seen and seen.count(new) > 1


def test_a_merge_between_two_reads_of_one_reader_is_no_damage(folder, monkeypatch):
    """The reader has the old checksums in hand when all files are replaced under it."""
    sums, later = committed._sums, iter([lambda: committed.merge(folder, OTHER)])

    def merged_after(where):
        found = sums(where)
        next(later, lambda: None)()
        return found

    monkeypatch.setattr(committed, "_sums", merged_after)
    assert committed.read(folder) == ONE | OTHER


@pytest.mark.parametrize("step", range(5))
def test_a_merge_cut_short_is_completed_by_the_next(step, folder, monkeypatch):
    assert cut_before(step, monkeypatch, folder, OTHER)
    assert committed.read(folder) in (ONE, ONE | OTHER)
    committed.merge(folder, OTHER)
    assert committed.read(folder) == ONE | OTHER and committed.unlisted(folder) == []
    assert not (folder / ".next").exists() and not list(folder.rglob("*.part"))


@pytest.mark.parametrize("step", range(5))
def test_restoring_the_files_undoes_a_merge_that_was_cut_short(step, folder, monkeypatch, tmp_path):
    shutil.copytree(folder, tmp_path / "kept", ignore=shutil.ignore_patterns(".*"))
    cut_before(step, monkeypatch, folder, OTHER)
    shutil.copytree(tmp_path / "kept", folder, dirs_exist_ok=True)  # as `git checkout -- results`
    assert committed.read(folder) == ONE
    committed.merge(folder, {})
    assert committed.read(folder) == ONE and not (folder / ".next").exists()


@pytest.mark.parametrize("step", range(5))
def test_records_committed_elsewhere_meanwhile_survive(step, folder, monkeypatch, tmp_path):
    shutil.copytree(folder, tmp_path / "elsewhere")
    committed.merge(tmp_path / "elsewhere", THIRD)
    cut_before(step, monkeypatch, folder, OTHER)
    shutil.copytree(tmp_path / "elsewhere", folder, dirs_exist_ok=True)  # as a pull
    assert committed.read(folder) == ONE | THIRD
    committed.merge(folder, OTHER)
    assert committed.read(folder) == ONE | OTHER | THIRD


def test_what_a_cut_merge_leaves_is_ignored_by_git():
    names = ["results/.next/mnist.parquet", "results/.lock", "results/.SHA256SUMS.123.part"]
    names += ["results/geometry/.mnist.parquet.9.part"]
    if repository.git("rev-parse", "HEAD") is None:
        pytest.skip("no git here")
    assert repository.git("check-ignore", *names).decode().splitlines() == names


NEST = []
for _ in range(90):
    NEST = [NEST]
IMPOSSIBLE = {
    "another id": ({"id": "0123456789abcdef"}, "id that is not the hash"),
    "another run": ({"run": {"seed": 7}}, "id that is not the hash"),
    "a run that is none": ({"run": {"batch_size": 0}}, "no run that is known here"),
    "a data set that is not here": ({"run": {"dataset": "svhn"}}, "no run that is known here"),
    "more right than samples": ({"final": {"test_correct": 201}}, "201 right answers of 200"),
    "fewer than none": ({"final": {"train_correct": -1}}, "-1 right answers of 800"),
    "half an answer": ({"final": {"test_correct": 1.5}}, "1.5 right answers"),
    "in an epoch": ({"history": {"test_correct": [150, 160, 161, 999]}}, "999 right answers"),
    "no number": ({"history": {"train_loss": [0.4, 0.3, 0.2, float("nan")]}}, "train_loss of nan"),
    "no loss": ({"history": {"train_loss": [0.4, 0.3, 0.2, None]}}, "did not diverge"),
    "a loss below 0": ({"final": {"test_loss": -0.1}}, "test_loss of -0.1"),
    "an epoch too many": ({"history": {"test_loss": [0.1] * 5}}, "5 values of test_loss for 4 epochs"),
    "diverged after the end": ({"final": {"diverged_epoch": 5}}, "diverged in epoch 5 of 4"),
    "no test set": ({"data": {"n_test": 0}}, "tested on 0 samples"),
    "time runs backwards": ({"observed": {"seconds": [-1.0]}}, "seconds that are no times"),
    "words for a terminal": ({"data": {"source": "\x1b[2J"}}, "line of text"),
    "nested": ({"observed": {"engine": NEST}}, "line of text"),
    "a field too many": ({"verdict": "true"}, "other fields"),
    "failed, with scores": ({"observed": {"failure": "out of memory"}}, "though it failed"),
    "half a record": ({"final": None}, "lacks what a record has"),
}


def altered(changes):
    """A record with these changes; its id fits the data, so that only what is meant is wrong."""
    new = deepcopy(record(64, 42))
    for field, change in changes.items():
        new[field] = new[field] | change if isinstance(change, dict) else change
    return new


@pytest.mark.parametrize("changes, why", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_record_that_cannot_be_is_not_committed_and_not_read(changes, why, folder, tmp_path):
    new, before = altered(changes), {p: p.read_bytes() for p in folder.rglob("*.parquet")}
    assert why in (flaw(new) or stranger(new)) and flaw(record(64, 42)) is stranger(record(64, 42)) is None
    if not new["observed"].get("failure"):
        with pytest.raises(StoreError, match="remove it from the store") as refusal:
            committed.merge(folder, {new["id"]: new})
        assert why in str(refusal.value) and str(refusal.value).isprintable()
    assert {p: p.read_bytes() for p in folder.rglob("*.parquet")} == before
    store = Store(tmp_path / "live", None).prepare()
    (store.folder / "records" / f"{new['id']}.json").write_bytes(_document(new))
    with pytest.warns(UserWarning, match="is set aside") if flaw(new) else nullcontext():
        assert store.live() == {}


def test_a_failed_run_is_a_record():
    assert flaw(altered({"observed": {"failure": "out of memory"}}) | {"history": {}, "final": {}}) is None


def rehash(folder: Path) -> None:
    """What who alters a file can do, too: renew its checksum."""
    names = committed.files_in(folder)
    digests = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]
    lines = [f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True)]
    (folder / "SHA256SUMS").write_text("".join(lines))


@pytest.mark.parametrize("rows", [[{"a": 1}], [{"id": "x"}], []])
def test_a_sound_file_of_something_else_is_refused_in_a_sentence(rows, folder):
    table = pa.Table.from_pylist(rows) if rows else pa.table({"id": pa.array([], pa.string())})
    pq.write_table(table, folder / "observed" / "synthetic-1k.parquet")
    rehash(folder)
    with pytest.raises(StoreError, match="restore"):
        committed.read(folder)


def test_every_file_has_a_checksum_and_a_merge_renews_them(folder):
    assert committed.unlisted(folder) == []
    (folder / "geometry").mkdir()
    (folder / "geometry" / "mnist.parquet").write_bytes(b"measured")
    (folder / "benchmarks.csv").write_text("a,b\n")
    assert [line.split(":")[0] for line in committed.unlisted(folder)] == [
        "benchmarks.csv",
        "geometry/mnist.parquet",
    ]
    assert committed.merge(folder, {}) == {} and committed.unlisted(folder) == []
    (folder / "benchmarks.csv").write_text("a,c\n")
    assert len(committed.unlisted(folder)) == 1
    (folder / "benchmarks.csv").unlink()
    assert len(committed.unlisted(folder)) == 1
    committed.merge(folder, {})
    assert committed.unlisted(folder) == [] and committed.read(folder) == ONE
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_a_merge_does_not_renew_the_checksum_of_a_damaged_record_file(folder):
    path = folder / "synthetic-1k.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="is damaged"):
        committed.merge(folder, OTHER)
    assert len(committed.unlisted(folder)) == 1


# Integrity: what git knows.


@pytest.fixture
def checkout(folder, monkeypatch):
    """`folder` in a repository of its own, committed twice."""
    monkeypatch.setattr(repository, "ROOT", folder.parent)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    git("init", "--quiet", at=folder.parent)
    (folder.parent / ".gitignore").write_text(".lock\n.next/\n")
    commit(folder.parent)
    committed.merge(folder, OTHER)
    commit(folder.parent)
    return folder


def git(*words, at):
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=at, check=True, capture_output=True)


def commit(at):
    git("add", "-A", at=at)
    git("commit", "--quiet", "-m", "records", at=at)


def findings(folder):
    return [(row["check"], row["finding"]) for row in integrity.check_records(folder) if row["ok"] is False]


def rewrite(folder, change):
    """Alter the committed rows of synthetic-1k, and re-hash."""
    path = folder / "synthetic-1k.parquet"
    rows = change(pq.read_table(path).to_pylist())
    pq.write_table(pa.Table.from_pylist(rows), path)
    rehash(folder)


def lowered(rows):
    rows[0]["final"]["test_correct"] -= 6
    return rows


def test_nothing_is_found_where_nothing_is_wrong(checkout):
    rows = integrity.check_records(checkout)
    assert [(row["check"], row["ok"]) for row in rows] == [
        ("checksums", True),
        ("records", True),
        ("history", True),
    ]
    assert rows[-1]["finding"] == "2 records unchanged in 2 commits"


@pytest.mark.parametrize("later", [False, True], ids=["uncommitted", "committed"])
def test_a_record_altered_and_hashed_again_is_found(later, checkout):
    rewrite(checkout, lowered)
    assert committed.unlisted(checkout) == []  # the checksums know nothing of it
    if later:
        commit(checkout.parent)
        committed.merge(checkout, THIRD)
        commit(checkout.parent)
    found = [line for check, line in findings(checkout) if check == "history"]
    key = next(iter(ONE))
    assert len(found) == 2 and all(key in line for line in found)  # once for each commit that had it
    assert all("final.test_correct was 170, is 164" in line for line in found)


def test_a_record_that_is_gone_is_found(checkout):
    rewrite(checkout, lambda rows: rows[1:])
    commit(checkout.parent)
    assert any(next(iter(ONE)) in line and "is gone" in line for _, line in findings(checkout))


def test_records_on_withdrawn_data_may_be_gone(checkout, monkeypatch):
    rewrite(checkout, lambda rows: rows[1:])
    commit(checkout.parent)
    monkeypatch.setattr(integrity, "WITHDRAWN", {"f" * 64})
    assert findings(checkout) == []


def test_an_altered_measurement_is_found_until_it_is_committed(checkout):
    (checkout / "calibration.csv").write_text("a\n")
    assert {check for check, _ in findings(checkout)} == {"checksums", "uncommitted"}
    committed.merge(checkout, {})
    assert {check for check, _ in findings(checkout)} == {"uncommitted"}


def test_without_history_it_is_said(checkout):
    shutil.rmtree(checkout.parent / ".git")
    assert [(r["check"], r["ok"]) for r in integrity.check_records(checkout)][-1] == ("history", None)


def test_a_clone_without_its_past_is_no_history(checkout, tmp_path, monkeypatch):
    git("clone", "--quiet", "--depth", "1", f"file://{checkout.parent}", "shallow", at=tmp_path)
    monkeypatch.setattr(repository, "ROOT", tmp_path / "shallow")
    rows = integrity.check_records(tmp_path / "shallow" / checkout.name)
    assert [(r["check"], r["ok"]) for r in rows][-1] == ("history", None)


@pytest.mark.parametrize(
    "old, new, said",
    [
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, None),  # a field was added
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b was 1, is 2"),
        ({"a": {"b": 1}}, {"a": 3}, "a was {'b': 1}, is 3"),
        ({"a": 3}, {"a": {"b": 1}}, "a was 3, is {'b': 1}"),
        ({"a": 3}, {}, "a was 3, is None"),
    ],
)
def test_the_first_difference_is_told(old, new, said):
    assert integrity._difference(old, new) == said


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"id": "0123456789abcdef"}, "id that is not the hash"),  # sound, and a stranger's
        ({"final": {"test_correct": 201}}, "201 right answers of 200"),  # of a run that is known
    ],
)
def test_a_committed_record_that_cannot_be_is_found(changes, why, folder, monkeypatch):
    odd = altered(changes)
    monkeypatch.setattr(committed, "read", lambda folder: ONE | {odd["id"]: odd})
    for name in ("history", "uncommitted"):
        monkeypatch.setattr(integrity, name, lambda *given: [])
    [(check, said)] = findings(folder)
    assert check == "records" and said.startswith(f"record {odd['id']} ") and why in said


def test_what_a_field_can_hold():
    """Numbers, text, and lists and dicts of these, but no deeper."""
    for value in (1, 0.5, "a", None, True, [1, "a"], {"a": 1, "b": None}):
        assert flaw(altered({"observed": {"engine": value}})) is None, value
    for value in (math.inf, [math.nan], b"a", [[1]], {"a": [1]}, [{"a": 1}], [1, "\x1b"]):
        assert "line of text" in flaw(altered({"observed": {"engine": value}})), value


def test_none_and_all_answers_can_be_right():
    assert flaw(altered({"final": {"test_correct": 0, "train_correct": 0}})) is None
    assert flaw(altered({"final": {"test_correct": 200, "train_correct": 800}})) is None


def test_the_folder_is_made_however_deep(tmp_path):
    assert committed.merge(tmp_path / "a" / "b", ONE) == {"synthetic-1k": 1}


def test_a_flaw_is_told_in_a_line():
    """Python refuses to print so long a number, in 120 characters, of which 80 are shown."""
    said = flaw(altered({"final": {"test_correct": 10**5000}}))
    begins, shown, ends = said.partition("Exceeds the limit (4300 digits) for integer string conversion")
    assert begins == "lacks what a record has (ValueError: " and len(shown + ends) == 80 + len(")")


def test_a_field_that_only_some_runs_have_changes_no_others(folder):
    """Parquet gives None to the runs that lack it. They come back without it, and can be merged again."""
    other = record(8, 42, network="mlp-batch-norm", batch_schedule="growing")
    both = ONE | {other["id"]: other}
    assert committed.merge(folder, both) == {"synthetic-1k": 1}
    back = committed.read(folder)
    assert {key: decided(r) for key, r in back.items()} == {key: decided(r) for key, r in both.items()}
    assert committed.merge(folder, both) == {} and committed.merge(folder, back) == {}
    before = {p.name: p.read_bytes() for p in folder.rglob("*.parquet")}
    committed.merge(folder.parent / "again", dict(reversed(list(back.items()))))
    assert {p.name: p.read_bytes() for p in (folder.parent / "again").rglob("*.parquet")} == before


def test_records_of_a_data_set_that_is_not_known_here_are_left_out(folder, monkeypatch):
    """Such as those of a reader's own one, after `bbatch freeze`, where BBATCH_EXTENSIONS is not set."""
    store = Store(folder.parent / "store", folder)
    assert set(store.frozen_records()) == set(ONE)
    monkeypatch.setattr("bbatch.records.store.DATASETS", {})
    assert store.frozen_records() == {}


def test_empty_fields_do_not_count():
    assert committed._bare({"a": None, "b": {"c": None, "d": 0}, "e": [None]}) == {"b": {"d": 0}, "e": [None]}


@pytest.mark.parametrize("part", ["history", "final"])
def test_a_failed_run_has_no_scores_at_all(part):
    r = record(8, 42)
    failed = r | {"history": {}, "final": {}, "observed": {**r["observed"], "failure": "killed"}}
    assert flaw(failed) is None and flaw(failed | {part: r[part]}) == "has scores, though it failed"


def test_the_records_of_this_book_are_what_was_committed():
    """What is measured and not yet committed is no finding here; its checksum is: `bbatch freeze` renews
    it."""
    assert [line for check, line in findings(FROZEN) if check != "uncommitted"] == []


def test_of_two_files_the_one_with_the_checksum_is_read(tmp_path):
    (tmp_path / committed.NEXT).mkdir()
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / committed.NEXT / "x").write_bytes(b"new")
    for listed, read in ((b"old", b"old"), (b"new", b"new"), (b"neither", b"old")):
        assert committed.content_of(tmp_path, "x", hashlib.sha256(listed).hexdigest()) == read


def test_hidden_files_are_not_listed_and_a_name_may_hold_two_blanks(tmp_path):
    for name in ("a.csv", "b/two  blanks.csv", "b/.hidden", ".c/d.csv", committed.SUMS):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert committed.files_in(tmp_path) == ["a.csv", "b/two  blanks.csv"]
    committed.merge(tmp_path, {})
    assert committed.unlisted(tmp_path) == []
    (tmp_path / "b/two  blanks.csv").write_text("other")
    [said] = committed.unlisted(tmp_path)
    found = hashlib.sha256(b"other").hexdigest()
    assert said.startswith(f"b/two  blanks.csv: sha256 {found} found, ")
    assert committed.content_of(tmp_path, "a.csv", "0") == b"a.csv"
    assert committed.content_of(tmp_path, "e.csv", "0") is None
