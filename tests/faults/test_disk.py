"""The disk fills up, or a permission goes, in the middle of a write: one sentence, the old file whole, no part left."""

import os
import resource

import pytest

from bbatch.errors import StoreError
from bbatch.files import write_whole
from bbatch.trainer import Checkpoint

from faults import harness
from faults.harness import store_in


def limited(limit, folder, runs):
    """Sweep and freeze where no file may grow over `limit` bytes: the write that crosses it fails with an error."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with pytest.raises(StoreError) as refusal:
        harness.work(folder, runs)
    text = str(refusal.value)
    assert text.endswith(".") and "\n" not in text and ("File too large" in text or "space" in text), text


@pytest.mark.parametrize("limit", [0, 1_000, 9_000, 30_000])
def test_a_limit_on_file_size(limit, undisturbed, tmp_path, long):
    """The limits fall within the first write of all, a checkpoint (45 kB) and the weights (15 kB)."""
    runs = harness.grid(long)
    (tmp_path / "epochs.log").touch()
    harness.run(log_elsewhere, limit, tmp_path, runs)
    assert not harness.parts(tmp_path) and not harness.record_files(tmp_path)
    harness.run(harness.work, tmp_path, runs)
    assert harness.decided_files(tmp_path) == undisturbed


def log_elsewhere(limit, folder, runs):
    """`limited`, its note of epochs left out (it is a file too)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness, "noting_epochs", lambda path: pytest.MonkeyPatch.context())
        limited(limit, folder, runs)


@pytest.mark.parametrize("code, words", [(28, "No space left on device"), (13, "Permission denied"),
                                         (30, "Read-only file system"), (5, "Input/output error")])
def test_each_step_of_a_write_may_fail(code, words, tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")
    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, failing(code))
            with pytest.raises(StoreError, match=f"file could not be written to .* \\({words}\\); free"):
                write_whole(path, b"new")
        assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]
    with pytest.raises(StoreError, match="Not a directory"):
        write_whole(path / "below", b"new")


def failing(code):
    def fail(*words, **more):
        raise OSError(code, os.strerror(code))
    return fail


@pytest.mark.parametrize("code", [28, 13])
def test_a_freeze_that_fails_at_any_write_changes_nothing(code, tmp_path, monkeypatch, undisturbed, long):
    harness.run(harness.work, tmp_path, harness.grid(long)[:2])
    old = harness.decided_files(tmp_path)
    harness.run(harness.work, tmp_path, harness.grid(long), freeze=False)
    fsync = os.fsync
    for good in range(3):  # records, observed, SHA256SUMS
        calls = iter(range(100))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda *w: fsync(*w) if next(calls) < good else failing(code)())
            with pytest.raises(StoreError) as refusal:
                store_in(tmp_path).freeze()
        assert str(refusal.value).endswith(".") and harness.decided_files(tmp_path) == old
        assert len(store_in(tmp_path).frozen_records()) == 2
    store_in(tmp_path).freeze()
    assert harness.decided_files(tmp_path) == undisturbed


def full(folder, runs):
    """A file system of 200 kB of our own over the store, in a name space of our own."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    os.unshare(os.CLONE_NEWNS) if hasattr(os, "unshare") else libc.unshare(0x20000)
    assert libc.mount(b"none", b"/", None, (1 << 18) | (1 << 14), None) == 0  # private from here on
    (folder / "live").mkdir()
    assert libc.mount(b"tmpfs", str(folder / "live").encode(), b"tmpfs", 0, b"size=200k") == 0
    with pytest.raises(StoreError, match="No space left on device") as refusal:
        harness.work(folder, runs)
    assert str(refusal.value).endswith(".")
    store = store_in(folder)
    assert not harness.parts(folder) and all(store.get(path.stem) for path in (store.folder / "records").iterdir())
    for path in store.checkpoints.glob("*.pt"):
        assert Checkpoint(store.checkpoints, path.name.split(".")[0]).read() is not None


def test_a_full_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    runs = [harness.replace(run, seed=seed) for run in harness.grid() for seed in (1, 2)]
    harness.run(full, tmp_path, runs)
