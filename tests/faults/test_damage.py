"""Files cut short at every sixteenth of their length, or with a flipped bit: found, never used, told."""

import random
import shutil

import pytest

from bbatch import data, image_files
from bbatch.errors import DataMissing, StoreError
from bbatch.files import unseal
from bbatch.trainer import Checkpoint
from faults import harness
from faults.harness import store_in


def damages(content, seed=0):
    """What may be left of a file: a cut at each sixteenth of its length, 16 single bits at random places."""
    rng = random.Random(seed)
    for sixteenth in range(16):
        yield f"cut to {sixteenth}/16", content[: len(content) * sixteenth // 16]
    for bit in rng.sample(range(8 * len(content)), 16):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit} flipped", bytes(flipped)


def sentence(message):
    text = str(message)
    return text.endswith(".") and "\n" not in text


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with live records, weights, frozen files, and the checkpoint of a run that was killed."""
    folder = tmp_path_factory.mktemp("made")
    runs = harness.grid()
    child = harness.start(harness.work, folder, runs[3:])
    child.join()
    child = harness.start(harness.work, folder, runs[:1])
    harness.until(lambda: list(store_in(folder).checkpoints.glob("*.0000[3-9].pt")), alive=child.is_alive)
    child.kill()
    child.join()
    for older in sorted(store_in(folder).checkpoints.glob("*.pt"))[:-1]:
        older.unlink()  # the kill came before it was dropped
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


def test_record(folder):
    store = store_in(folder)
    key, record = next(iter(store.live().items()))
    path = store.folder / "records" / f"{key}.json"
    for what, content in damages(path.read_bytes()):
        path.write_bytes(content)
        with pytest.warns(UserWarning, match=f"{key}.json is set aside"):
            assert store.get(key) is None, what
        assert not path.exists() and path.with_name(path.name + ".damaged").read_bytes() == content, what
        store.put(record)
        assert store.get(key) == record


def test_a_damaged_record_is_computed_again(folder, made):
    store = store_in(folder)
    path = next(iter((store.folder / "records").glob("*.json")))
    path.write_bytes(path.read_bytes()[:-7])
    (folder / "epochs.log").unlink()
    shutil.rmtree(folder / "results")
    harness.run(harness.work, folder, harness.grid()[3:])
    assert len({run for run, _, _ in harness.noted(folder)}) == 1
    assert harness.decided_files(folder) == harness.decided_files(made)


def test_checkpoint(folder):
    store = store_in(folder)
    path = next(store.checkpoints.glob("*.pt"))
    checkpoint, whole = Checkpoint(store.checkpoints, path.name.split(".")[0]), path.read_bytes()
    assert checkpoint.read() is not None
    for what, content in damages(whole):
        path.write_bytes(content)
        with pytest.warns(UserWarning, match=f"{path.name} is set aside"):
            assert checkpoint.read() is None, what
        assert not path.exists() and path.with_name(path.name + ".damaged").read_bytes() == content, what


def test_a_run_with_a_damaged_checkpoint_starts_again(folder, tmp_path):
    path = next(store_in(folder).checkpoints.glob("*.pt"))
    path.write_bytes(path.read_bytes()[:-1])
    for where in (folder, tmp_path / "undisturbed"):
        harness.run(harness.work, where, harness.grid()[:1])
    decided = [
        {
            k: v
            for k, v in next(
                r for r in store_in(where).live().values() if r["run"]["batch_size"] == 1
            ).items()
            if k != "observed"
        }
        for where in (folder, tmp_path / "undisturbed")
    ]
    assert decided[0] == decided[1]


def test_weights(folder):
    for path in store_in(folder).weights.glob("*.pt"):
        for what, content in damages(path.read_bytes()):
            assert unseal(content) is None, what


@pytest.mark.parametrize("name", ["synthetic-1k.parquet", "observed/synthetic-1k.parquet", "SHA256SUMS"])
def test_frozen_file(name, folder):
    store = store_in(folder)
    path = store.frozen / name
    whole, records = path.read_bytes(), store.frozen_records()
    for what, content in damages(whole):
        path.write_bytes(content)
        for read in (store.frozen_records, store.freeze):
            with pytest.raises(StoreError, match="restore it") as refusal:
                read()
            assert sentence(refusal.value), what
        assert path.read_bytes() == content
    path.unlink()
    with pytest.raises(StoreError, match="restore it"):
        store.frozen_records()
    path.write_bytes(whole)
    assert store.frozen_records() == records


def test_data_file(tmp_path, monkeypatch, real):
    real("mnist")  # skips where its files are not at hand
    root = tmp_path / "data"
    at = image_files._find("MNIST/raw/t10k-labels-idx1-ubyte") / "MNIST" / "raw"
    (root / "MNIST" / "raw").mkdir(parents=True)
    for path in at.iterdir():
        if path.name in image_files.MNIST_FILES:
            (root / "MNIST" / "raw" / path.name).symlink_to(path)
    monkeypatch.setenv("BBATCH_DATA", str(root))
    path = root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    whole = path.read_bytes()
    path.unlink()
    for what, content in damages(whole):
        path.write_bytes(content)
        with pytest.raises(
            DataMissing, match="altered or truncated: md5 .* expected, .* found; restore it"
        ) as refusal:
            data._read.__wrapped__("mnist", False)
        assert sentence(refusal.value) and path.name in str(refusal.value), what
        assert path.read_bytes() == content
