"""The disk fills up, or a permission goes, amid a write: one sentence, the old file whole, no part left."""

import ctypes
import os
import re
import resource

import pytest

from bbatch.errors import StoreError
from bbatch.files import write_whole
from bbatch.trainer import Checkpoint
from faults import harness
from faults.harness import store_in


def limited(limit, folder, runs):
    """Sweep and freeze where no file may grow over `limit` bytes: a write that crosses it fails."""
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


@pytest.mark.parametrize(
    "code, words",
    [
        (28, "No space left on device"),
        (13, "Permission denied"),
        (30, "Read-only file system"),
        (5, "Input/output error"),
    ],
)
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


def test_a_file_is_on_disk_before_its_name_and_the_name_before_the_next_step(tmp_path, monkeypatch):
    """Else a power cut could leave a name without its content, or take a record whose checkpoint is gone."""
    done, fsync, replace = [], os.fsync, os.replace
    kind = {True: "folder", False: "file"}
    monkeypatch.setattr(
        os, "fsync", lambda f: (done.append(kind[os.path.isdir(f"/proc/self/fd/{f}")]), fsync(f))
    )
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("name"), replace(*names)))
    write_whole(tmp_path / "file", b"content")
    assert done == ["file", "name", "folder"]
    # as some systems do
    monkeypatch.setattr(os, "fsync", lambda f: fsync(f) if done[-1] != "name" else failing(22)())
    write_whole(tmp_path / "other", b"content")
    assert (tmp_path / "other").read_bytes() == b"content"


def losing(what, folder, runs):
    """Sweep, and lose the right to write into a folder of the store once a record is there."""
    libc, version, sets = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(version, sets)
    sets[0] &= ~0b110  # root without its right to pass over permissions; nothing changes for anybody else
    assert libc.capset(version, sets) == 0
    write = Checkpoint.write

    def write_and_lose(self, *state):
        write(self, *state)
        if harness.record_files(folder):
            (folder / "live" / what).chmod(0o500)

    Checkpoint.write = write_and_lose
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")  # where a worker goes on that cannot use the store
    try:
        harness.work(folder, runs)
    except StoreError as refusal:
        assert re.fullmatch(r"[^\n]*\(Permission denied\)[^\n]*\.", str(refusal)), refusal
        (folder / "refused").touch()


@pytest.mark.parametrize("what", ["records", "checkpoints", "weights", "locks"])
def test_permission_lost_in_a_sweep(what, undisturbed, tmp_path, long):
    """Without locks the runs left are computed in the cache folder, and their records reach the store."""
    runs = harness.grid(long)
    harness.run(losing, what, tmp_path, runs)
    (tmp_path / "live" / what).chmod(0o700)
    finished = harness.record_files(tmp_path)
    assert (tmp_path / "refused").exists() == (len(finished) < len(runs)) == (what != "locks")
    assert finished and not harness.parts(tmp_path)
    harness.run(harness.work, tmp_path, runs)
    assert finished.items() <= harness.record_files(tmp_path).items()
    assert harness.decided_files(tmp_path) == undisturbed


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
    # records, observed, SHA256SUMS, and after each but the last the names of its folder
    for good in range(5):
        calls = iter(range(100))
        with monkeypatch.context() as patch:
            patch.setattr(
                os,
                "fsync",
                lambda *w, calls=calls, good=good: fsync(*w) if next(calls) < good else failing(code)(),
            )
            with pytest.raises(StoreError) as refusal:
                store_in(tmp_path).freeze()
        assert str(refusal.value).endswith(".") and harness.decided_files(tmp_path) == old
        assert len(store_in(tmp_path).frozen_records()) == 2
    store_in(tmp_path).freeze()
    assert harness.decided_files(tmp_path) == undisturbed


def full(folder, runs):
    """A file system of 200 kB of our own over the store, in a name space of our own."""
    libc = ctypes.CDLL(None, use_errno=True)
    os.unshare(os.CLONE_NEWNS) if hasattr(os, "unshare") else libc.unshare(0x20000)
    assert libc.mount(b"none", b"/", None, (1 << 18) | (1 << 14), None) == 0  # private from here on
    (folder / "live").mkdir()
    assert libc.mount(b"tmpfs", str(folder / "live").encode(), b"tmpfs", 0, b"size=200k") == 0
    with pytest.raises(StoreError, match="No space left on device") as refusal:
        harness.work(folder, runs)
    assert str(refusal.value).endswith(".")
    store = store_in(folder)
    assert not harness.parts(folder) and all(
        store.get(path.stem) for path in (store.folder / "records").iterdir()
    )
    for path in store.checkpoints.glob("*.pt"):
        assert Checkpoint(store.checkpoints, path.name.split(".")[0]).read() is not None


def test_a_full_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    runs = [harness.replace(run, seed=seed) for run in harness.grid() for seed in (1, 2)]
    harness.run(full, tmp_path, runs)
