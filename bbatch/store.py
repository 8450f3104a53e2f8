"""The store: one JSON file a finished run while it is live, Parquet files once it is frozen and committed.

A record is a plain dict:

    id           address: hash of the run's configuration and the data's fingerprint
    run          the fields of `config.Run`
    seeds        init, order, noise
    data         source, fingerprint, n_test
    history      a list an epoch: train_loss, train_correct, test_loss, test_correct
    final        train_loss, train_correct, test_loss, test_correct, diverged_epoch
    observed     what another machine or day changes: epoch seconds (elapsed and processor time), start, end, device,
                 versions, commit, engine; `failure` ("out of memory") where the run could not be finished here, with
                 an empty history and final

All but `observed` is decided by the id, bit for bit, on one machine and one set of versions.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

from filelock import FileLock

from .config import DATASETS, Run
from .errors import StoreError
from .files import leftovers, set_aside, write_whole
from .remote import Remote, is_url

ROOT = Path(__file__).resolve().parent.parent
FROZEN = ROOT / "results"
FIELDS = {"id", "run", "seeds", "data", "history", "final", "observed"}
NEXT = ".next"  # in the frozen folder, for a moment: files that are complete and about to replace the old ones


class Store:
    """Live records in `folder` over frozen ones in `frozen`; either may not exist yet.

    `folder` may be an fsspec URL (see `remote`); by default it is what BBATCH_STORE names, else `store/` beside the
    package.
    """

    def __init__(self, folder: Path | str | None = None, frozen: Path | str | None = FROZEN):
        named = str(folder or os.environ.get("BBATCH_STORE") or ROOT / "store")
        self.remote = Remote(named) if is_url(named) else None
        self._folder = Path(named)
        self.frozen = Path(frozen) if frozen is not None else None

    @property
    def folder(self) -> Path:
        """Where this machine keeps live records, checkpoints, weights and locks."""
        return self.remote.scratch if self.remote else self._folder

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def weights(self) -> Path:
        return self.folder / "weights"

    @property
    def locks(self) -> Path:
        return self.folder / "locks"

    def prepare(self) -> "Store":
        """Make the folders, or say in one sentence why they cannot be written."""
        try:
            for path in (self.folder / "records", self.checkpoints, self.weights, self.locks):
                path.mkdir(parents=True, exist_ok=True)
                probe = path / f".probe.{os.getpid()}"
                probe.touch()
                probe.unlink(missing_ok=True)  # another thread's may have the same name
        except OSError as error:
            raise StoreError(f"the store {str(self.folder)!r} cannot be written ({error.strerror}); "
                             "name a writable folder in BBATCH_STORE.") from error
        return self

    def put(self, record: dict) -> None:
        """Write a record whole or not at all."""
        name = f"{record['id']}.json"
        if not re.fullmatch(r"[\w-]+\.json", name):  # one may come from another machine: no path leads out of the folder
            raise StoreError(f"{record['id']!r} cannot be the id of a record; letters, digits, _ and - are allowed.")
        write_whole(self.folder / "records" / name, _document(record))
        if self.remote:
            self.remote.exchange(self.folder / "records", _sound, name)

    def get(self, key: str) -> dict | None:
        """The live record of this id. A damaged file is set aside under a name that says so, and gives None."""
        path = self.folder / "records" / f"{key}.json"
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read ({error.strerror}); give permission or remove it.") from error
        if (record := _read(content, key)) is None:
            set_aside(path)
        return record

    def has_live(self, key: str) -> bool:
        return (self.folder / "records" / f"{key}.json").is_file()

    def live(self) -> dict[str, dict]:
        """Live records by id, damaged ones left out: their runs count as missing."""
        if os.path.lexists(self.folder) and not self.folder.is_dir():
            raise StoreError(f"the store {str(self.folder)!r} is not a folder; name one in BBATCH_STORE.")
        if self.remote:
            self.prepare().remote.exchange(self.folder / "records", _sound)
        keys = (path.stem for path in sorted((self.folder / "records").glob("*.json")))
        return {key: record for key in keys if (record := self.get(key)) is not None}

    def frozen_records(self) -> dict[str, dict]:
        """Committed records by id. Raises `StoreError` naming the file that is damaged or missing."""
        found, sums = {}, self._sums()
        names = {path.name for path in self.frozen.glob("*.parquet")} if self.frozen else set()
        for name in sorted(names | {name for name in sums if "/" not in name}):
            rows, notes = self._rows(name, sums), self._rows(f"observed/{name}", sums)
            observed = {row["id"]: row["observed"] for row in notes}
            found |= {row["id"]: row | {"observed": observed[row["id"]]} for row in rows}
        return found

    def _rows(self, name: str, sums: dict[str, str]) -> list[dict]:
        """The rows of one committed file, whose checksum must be as listed."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        content = self._content(name)
        found = "no file" if content is None else hashlib.sha256(content).hexdigest()
        expected = sums.get(name, "none listed in SHA256SUMS")
        if found != expected:
            raise StoreError(f"{self.frozen.name}/{name} is damaged: sha256 {expected} expected, {found} found; "
                             "restore it and SHA256SUMS from the repository.")
        return pq.read_table(pa.BufferReader(content)).to_pylist()

    def _content(self, name: str) -> bytes | None:
        """A committed file: the new one where a freeze had it ready and was cut short; None where there is none."""
        for path in (self.frozen / NEXT / name, self.frozen / name):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise StoreError(f"{path} cannot be read ({error.strerror}); give permission or restore it.") from error
        return None

    def _sums(self) -> dict[str, str]:
        """sha256 by file of the frozen folder, from its SHA256SUMS (which `sha256sum -c` reads too)."""
        content = (self._content("SHA256SUMS") or b"") if self.frozen else b""
        lines = (line.split("  ", 1) for line in content.decode(errors="replace").splitlines() if "  " in line)
        return {name: digest for digest, name in lines}

    def records(self) -> dict[str, dict]:
        """All records by id; a frozen one goes before a live one of the same id."""
        return self.live() | self.frozen_records()

    def missing(self, runs: list[Run], fingerprints: dict[str, str]) -> list[Run]:
        """The runs that have no record on data with these fingerprints (by data set name)."""
        have = self.records()
        return [run for run in runs if run.key(fingerprints[run.dataset]) not in have]

    def agreement(self, committed: dict[str, dict]) -> dict[str, int]:
        """How many live records agree with the committed ones bit for bit, differ, or are new."""
        live = self.live()
        same = sum(_decided(r) == _decided(committed[k]) for k, r in live.items() if k in committed)
        both = len(live.keys() & committed.keys())
        return {"identical": same, "different": both - same, "not_committed": len(live) - both}

    def freeze(self) -> dict[str, int]:
        """Merge live records into the committed files; returns how many were added for each data set.

        A failed run (out of memory) says something of a machine, not of the configuration: it stays live.

        Raises `StoreError`, changing nothing, where a live record contradicts a frozen one of the same id or the
        folder cannot be written. Cut short at any moment, it leaves the old files or is completed by the next call.
        """
        if self.frozen is None:
            raise StoreError("this store was opened without a folder of committed records; there is none to freeze into.")
        try:
            (self.frozen / "observed").mkdir(parents=True, exist_ok=True)
            with FileLock(self.frozen / ".lock"):
                self._replace()  # what an earlier call had ready when it was cut short
                return self._freeze()
        except OSError as error:
            raise StoreError(f"{error.filename or self.frozen} cannot be written ({error.strerror}); free some space "
                             "or give permission, then freeze again.") from error

    def _freeze(self) -> dict[str, int]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        live, frozen = self.live(), self.frozen_records()
        for key in live.keys() & frozen.keys():
            if not live[key]["observed"].get("failure") and _decided(live[key]) != _decided(frozen[key]):
                run = live[key]["run"]
                raise StoreError(f"record {key} ({run['dataset']}, B = {run['batch_size']}, seed {run['seed']}) "
                                 "differs from the committed one; remove one of the two.")
        added, sums, ready = {}, self._sums(), self.frozen / f"{NEXT}.part"
        shutil.rmtree(ready, ignore_errors=True)
        for name in DATASETS:
            new = {k: r for k, r in live.items()
                   if r["run"]["dataset"] == name and k not in frozen and not r["observed"].get("failure")}
            if not new:
                continue
            rows = sorted((new | {k: r for k, r in frozen.items() if r["run"]["dataset"] == name}).values(), key=_order)
            (ready / "observed").mkdir(parents=True, exist_ok=True)
            for file, part in ((f"{name}.parquet", [_decided(r) for r in rows]),
                               (f"observed/{name}.parquet",
                                [{"id": r["id"], "observed": r["observed"]} for r in rows])):
                sink = pa.BufferOutputStream()
                pq.write_table(pa.Table.from_pylist(part), sink, compression="zstd")
                content = sink.getvalue().to_pybytes()
                write_whole(ready / file, content)
                sums[file] = hashlib.sha256(content).hexdigest()
            added[name] = len(new)
        if added:
            write_whole(ready / "SHA256SUMS", "".join(f"{sums[n]}  {n}\n" for n in sorted(sums)).encode())
            os.replace(ready, self.frozen / NEXT)  # from here on the new files count
            self._replace()
        return added

    def _replace(self) -> None:
        """Move the files that are ready, if any, over the frozen ones; may be cut short and called again."""
        ready = self.frozen / NEXT
        if ready.is_dir():
            for path in [p for p in ready.rglob("*") if p.is_file()]:
                os.replace(path, self.frozen / path.relative_to(ready))
            shutil.rmtree(ready)

    def clear(self, key: str) -> None:
        """Remove what killed processes left half-written of this run; the caller holds the run's lock."""
        for folder in (self.folder / "records", self.checkpoints, self.weights):
            for path in leftovers(folder, key):
                path.unlink(missing_ok=True)


def _document(record: dict) -> bytes:
    """The one content that a record's file may have."""
    body = json.dumps(record, sort_keys=True)
    digest = hashlib.sha256(body.encode()).hexdigest()
    return json.dumps({"sha256": digest, "record": record}, sort_keys=True).encode()


def _read(content: bytes, key: str) -> dict | None:
    """The record in a file of this content; None where the content is not one that `put` writes under this id."""
    try:
        record = json.loads(content)["record"]
        if content == _document(record) and record["id"] == key and FIELDS <= record.keys():
            return record
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return None


def _sound(name: str, content: bytes) -> bool:
    return _read(content, name.removesuffix(".json")) is not None


def _decided(record: dict) -> dict:
    return {k: v for k, v in record.items() if k != "observed"}


def _order(record: dict) -> tuple:
    run = record["run"]
    return (*(run[k] for k in ("batch_size", "lr_rule", "precision", "epochs", "n_train", "seed")), record["id"])
