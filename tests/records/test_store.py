"""Records: live, damaged, frozen, merged, in conflict."""

import json
import os
import random
import re
from copy import deepcopy

import pyarrow.parquet as pq
import pytest

from bbatch import files
from bbatch.config import Run, plan
from bbatch.errors import StoreError
from bbatch.records.store import FROZEN, ROOT, Store, _document
from factories import record_of_four_epochs as record

OBSERVED = "observed/synthetic-1k.parquet"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "live", tmp_path / "results").prepare()


def several():
    """Records of two batch sizes, three seeds and two rules; one diverged, its loss no number."""
    records = [
        record(b, s, lr_rule=rule) for b in (8, 64) for s in (42, 43, 44) for rule in ("linear", "sqrt")
    ]
    records[3]["final"] |= {"diverged_epoch": 2, "train_loss": None, "test_loss": None}
    records[3]["history"] = {
        k: v[:1] + [None] if "loss" in k else v[:2] for k, v in records[3]["history"].items()
    }
    return records


def frozen_bytes(store):
    return {str(p.relative_to(store.frozen)): p.read_bytes() for p in store.frozen.rglob("*") if p.is_file()}


def one_sentence(error):
    message = str(error.value)
    assert message.endswith(".") and "\n" not in message
    return message


def test_what_is_put_is_there(store):
    r = record()
    store.put(r)
    assert store.live() == store.records() == {r["id"]: r} and store.get(r["id"]) == r
    assert store.get("unknown") is None
    # no part left behind
    assert [p.name for p in (store.folder / "records").iterdir()] == [f"{r['id']}.json"]


def test_an_empty_store_is_empty(tmp_path):
    store = Store(tmp_path / "nowhere", tmp_path / "no results")
    assert store.live() == store.frozen_records() == store.records() == {}
    assert not (tmp_path / "nowhere").exists()


def test_where_the_store_is(monkeypatch, tmp_path):
    monkeypatch.setenv("BBATCH_STORE", str(tmp_path / "mine"))
    assert Store().folder == tmp_path / "mine" and Store().frozen == FROZEN == ROOT / "results"
    monkeypatch.delenv("BBATCH_STORE")
    assert Store().folder == ROOT / "store"
    monkeypatch.setenv("BBATCH_STORE", "s3://user:secret@host/records")
    assert Store(tmp_path).folder == tmp_path
    with pytest.raises(StoreError, match="^the store is named by an address; name a folder") as error:
        Store()
    assert "secret" not in str(error.value)


def test_a_record_has_one_content_whatever_the_order_of_its_fields():
    r = record(8, 42)
    turned = {k: dict(reversed(v.items())) if isinstance(v, dict) else v for k, v in reversed(r.items())}
    assert list(turned) != list(r) and _document(turned) == _document(r)
    assert list(json.loads(_document(r))) == ["record", "sha256"]


def test_live_records_are_held_against_the_committed_ones(store):
    committed = {r["id"]: r for r in (record(8, 42), record(8, 43), record(8, 45))}
    altered = record(8, 43)
    altered["final"]["test_correct"] -= 1
    for r in (record(8, 42), altered, record(8, 45), *(record(64, seed) for seed in range(42, 45))):
        store.put(r)
    failed = record(8, 46)
    failed |= {"history": {}, "final": {}, "observed": failed["observed"] | {"failure": "out of memory"}}
    store.put(failed)
    committed[failed["id"]] = record(8, 46)
    assert store.agreement(committed) == {"identical": 2, "different": 1, "not_committed": 3}


@pytest.mark.parametrize(
    "damage", ["a bit", "cut short", "empty", "not JSON", "a list", "no checksum", "renamed"]
)
def test_a_damaged_record_is_set_aside_and_counts_as_missing(damage, store):
    r, whole = record(), record(64)
    store.put(r)
    store.put(whole)
    path = store.folder / "records" / f"{r['id']}.json"
    content = path.read_bytes()
    digit = content.index(b'"test_correct": 170') + len(b'"test_correct": 17')
    path.write_bytes(
        {
            "a bit": content[:digit] + b"1" + content[digit + 1 :],
            "cut short": content[:-20],
            "empty": b"",
            "not JSON": b"\xff\xfe" + content,
            "a list": b"[1, 2]",
            "no checksum": json.dumps({"record": r}).encode(),
            "renamed": (store.folder / "records" / f"{whole['id']}.json").read_bytes(),
        }[damage]
    )
    with pytest.warns(UserWarning, match=f"{r['id']}.json is set aside .* its run counts as missing"):
        assert store.live() == {whole["id"]: whole}
    aside = [p.name for p in (store.folder / "records").iterdir() if p.name != f"{whole['id']}.json"]
    assert len(aside) == 1 and aside[0].startswith(r["id"]) and aside[0].endswith(".damaged")
    store.put(r)
    assert store.live() == {r["id"]: r, whole["id"]: whole}


def test_missing_runs(store):
    runs = [plan("synthetic-1k", b, s, epochs=4) for b in (8, 64) for s in (42, 43)]
    prints = {"synthetic-1k": "f" * 64}
    store.put(record(64, 43))
    store.freeze()
    (store.folder / "records" / f"{runs[3].key(prints['synthetic-1k'])}.json").unlink()
    store.put(record(8, 42))
    assert store.missing(runs, prints) == runs[1:3]
    assert store.missing(runs, {"synthetic-1k": "0" * 64}) == runs  # other data: nothing is known of them


def test_frozen_records_are_the_live_ones(store):
    records = {r["id"]: r for r in several()}
    for r in records.values():
        store.put(r)
    assert store.freeze() == {"synthetic-1k": len(records)}
    assert store.frozen_records() == store.live() == records
    assert all(Run.from_dict(r["run"]).key("f") for r in store.frozen_records().values())
    before = frozen_bytes(store)
    # again: nothing new, no conflict with itself
    assert store.freeze() == {} and frozen_bytes(store) == before


def test_frozen_bytes_do_not_depend_on_order_or_on_the_number_of_freezes(tmp_path):
    seen = []
    for trial in range(3):
        store = Store(tmp_path / f"live{trial}", tmp_path / f"results{trial}").prepare()
        records = several()
        random.Random(trial).shuffle(records)
        for i, r in enumerate(records):
            store.put(r)
            if trial and i % (4 * trial) == 2:
                store.freeze()
        store.freeze()
        seen.append(frozen_bytes(store))
    assert seen[0] == seen[1] == seen[2]
    assert {"synthetic-1k.parquet", OBSERVED} <= set(seen[0])


def test_freezing_merges_what_several_stores_hold(store, tmp_path):
    records = several()
    for r in records[:5]:
        store.put(r)
    store.freeze()
    other = Store(tmp_path / "another machine", store.frozen).prepare()
    for r in records[3:]:  # two of them are known already, observed elsewhere on another day
        r = deepcopy(r)
        r["observed"] |= {"device_name": "another processor", "seconds": [9.0, 9.0]}
        other.put(r)
    assert other.freeze() == {"synthetic-1k": len(records) - 5}
    frozen = other.frozen_records()
    assert set(frozen) == {r["id"] for r in records}
    assert frozen[records[3]["id"]]["observed"]["device_name"] == "a processor"  # what was committed stays
    assert frozen[records[5]["id"]]["observed"]["device_name"] == "another processor"


def test_a_conflict_is_refused_and_nothing_changes(store):
    records = several()
    for r in records[:4]:
        store.put(r)
    store.freeze()
    before = frozen_bytes(store)
    contrary = deepcopy(records[1])
    contrary["final"]["test_correct"] += 1
    store.put(contrary)
    store.put(records[7])
    with pytest.raises(StoreError) as error:
        store.freeze()
    message = one_sentence(error)
    assert (
        contrary["id"] in message
        and "synthetic-1k" in message
        and "B = 8" in message
        and "seed 42" in message
    )
    assert frozen_bytes(store) == before
    assert store.records()[contrary["id"]] == records[1]  # the committed one goes before


def test_a_failed_run_stays_live(store):
    failed = record() | {"history": {}, "final": {}}
    failed["observed"] |= {"failure": "out of memory"}
    store.put(failed)
    assert store.freeze() == {} and store.live()[failed["id"]] == failed


def test_only_numbers_and_text_are_committed(store):
    for r in several():
        store.put(r)
    store.freeze()
    table = pq.read_table(store.frozen / "synthetic-1k.parquet")
    assert "observed" not in table.column_names and table.num_rows == 12
    assert "pickle" not in str(table.schema) and "extension" not in str(table.schema)


@pytest.mark.parametrize(
    "damage, name",
    [
        *((damage, name) for damage in ("a bit", "cut short") for name in ("synthetic-1k.parquet", OBSERVED)),
        ("missing", OBSERVED),
    ],
)
def test_a_damaged_frozen_file_is_named(damage, name, store):
    for r in several():
        store.put(r)
    store.freeze()
    path = store.frozen / name
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if damage == "a bit" else content[:-10])
    with pytest.raises(StoreError, match=r"synthetic-1k.parquet .*restore it") as error:
        store.frozen_records()
    one_sentence(error)


def test_an_unwritable_folder_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError) as error:
        Store(tmp_path / "file" / "store").prepare()
    message = one_sentence(error)
    assert str(tmp_path / "file" / "store") in message and "BBATCH_STORE" in message


def test_a_write_that_fails_leaves_the_old_file_and_no_part(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_whole(path, b"old")

    def full(*words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(
        StoreError, match="file could not be written to .* \\(No space left on device\\); free"
    ):
        files.write_whole(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_a_seal_finds_every_flipped_bit_and_every_cut():
    payload = b"weights and moments"
    sealed = files.seal(payload)
    assert files.unseal(sealed) == payload
    for i in range(8 * len(sealed)):
        damaged = bytearray(sealed)
        damaged[i // 8] ^= 1 << i % 8
        assert files.unseal(bytes(damaged)) is None
    assert all(files.unseal(sealed[:n]) is None for n in range(len(sealed)))


def test_ids_are_keys(store):
    """Names in the store come from keys alone, so no record can be written outside it."""
    assert re.fullmatch("[0-9a-f]{16}", plan("mnist", 1).key("../../etc"))


def test_folders_are_made_however_deep_and_however_often(tmp_path):
    store = Store(tmp_path / "a" / "b", None)
    for _ in range(2):
        store.prepare()
    assert sorted(p.name for p in store.folder.iterdir()) == ["checkpoints", "locks", "records", "weights"]
    assert not [p for p in store.folder.rglob("*") if p.is_file()]
