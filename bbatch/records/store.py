"""The store: one JSON file a finished run while it is live, Parquet files once it is frozen and committed."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Self

from ..config import DATASETS, Run
from ..errors import StoreError
from ..files import leftovers, set_aside, write_whole
from ..repository import ROOT, folder_named
from . import committed
from .record import decided, flaw, stranger

FROZEN = ROOT / "results"


class Store:
    """Live records in `folder` over frozen ones in `frozen`; either may not exist yet.

    By default `folder` is what BBATCH_STORE names, else `store/` beside the package. It holds live records,
    checkpoints, weights and locks. Raises `StoreError` for a URL.
    """

    def __init__(self, folder: Path | str | None = None, frozen: Path | str | None = FROZEN):
        # It may hold a password: not a word of it is shown.
        if "://" in str(folder or os.environ.get("BBATCH_STORE")):
            raise StoreError(
                "the store is named by an address; name a folder in BBATCH_STORE, and copy the files of its "
                "records/ from machine to machine where none is shared."
            )
        self.folder = Path(folder) if folder else folder_named("BBATCH_STORE") or ROOT / "store"
        self.frozen = Path(frozen) if frozen is not None else None
        self.checkpoints = self.folder / "checkpoints"
        self.weights = self.folder / "weights"
        self.locks = self.folder / "locks"

    def prepare(self) -> Self:
        """Make the folders, or say in one sentence why they cannot be written."""
        try:
            for path in (self.folder / "records", self.checkpoints, self.weights, self.locks):
                path.mkdir(parents=True, exist_ok=True)
                probe = path / f".probe.{os.getpid()}"
                probe.touch()
                probe.unlink(missing_ok=True)  # another thread's may have the same name
        except OSError as error:
            raise StoreError(
                f"the store {str(self.folder)!r} cannot be written ({error.strerror}); "
                "name a writable folder in BBATCH_STORE."
            ) from error
        return self

    def put(self, record: dict) -> None:
        """Write a record whole or not at all."""
        name = f"{record['id']}.json"
        # It may come from another machine: no path leads out of the folder.
        if not re.fullmatch(r"[\w-]+\.json", name):
            raise StoreError(
                f"{record['id']!r} cannot be the id of a record; letters, digits, _ and - are allowed."
            )
        write_whole(self.folder / "records" / name, _document(record))

    def get(self, key: str) -> dict | None:
        """The live record of this id. A damaged file is set aside with a warning, and gives None."""
        path = self.folder / "records" / f"{key}.json"
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(
                f"{path} cannot be read ({error.strerror}); give permission or remove it."
            ) from error
        if (record := _read(content, key)) is None:
            set_aside(path, "it is damaged, or no record of ours, and its run counts as missing")
        return record

    def live(self) -> dict[str, dict]:
        """Live records by id. Damaged ones, and those of runs that are not known here, are left out."""
        if os.path.lexists(self.folder) and not self.folder.is_dir():
            raise StoreError(f"the store {str(self.folder)!r} is not a folder; name one in BBATCH_STORE.")
        keys = (path.stem for path in sorted((self.folder / "records").glob("*.json")))
        found = {key: record for key in keys if (record := self.get(key)) is not None}
        return {key: record for key, record in found.items() if stranger(record) is None}

    def frozen_records(self) -> dict[str, dict]:
        """Committed records by id; those of a data set that is not known here are left out, as live ones are.
        Raises `StoreError` naming the file that is damaged or missing."""
        found = committed.read(self.frozen) if self.frozen else {}
        return {key: record for key, record in found.items() if record["run"]["dataset"] in DATASETS}

    def records(self) -> dict[str, dict]:
        """All records by id; a frozen one goes before a live one of the same id."""
        return self.live() | self.frozen_records()

    def missing(self, runs: list[Run], fingerprints: dict[str, str]) -> list[Run]:
        """The runs that have no record on data with these fingerprints (by data set name)."""
        have = self.records()
        return [run for run in runs if run.key(fingerprints[run.dataset]) not in have]

    def agreement(self, committed: dict[str, dict]) -> dict[str, int]:
        """How many live records agree with the committed ones bit for bit, differ, or are new; failed runs
        (out of memory) are none of these."""
        live = {k: r for k, r in self.live().items() if not r["observed"].get("failure")}
        same = sum(decided(r) == decided(committed[k]) for k, r in live.items() if k in committed)
        both = len(live.keys() & committed.keys())
        return {"identical": same, "different": both - same, "not_committed": len(live) - both}

    def freeze(self) -> dict[str, int]:
        """Merge live records into the committed files (`committed.merge`); returns how many by data set."""
        if self.frozen is None:
            raise StoreError(
                "this store was opened without a folder of committed records; there is none to freeze into."
            )
        return committed.merge(self.frozen, self.live())

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
    """The record in a file of this content; None where `put` writes no such content under this id."""
    try:
        record = json.loads(content)["record"]
        if content == _document(record) and record["id"] == key and flaw(record) is None:
            return record
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return None
