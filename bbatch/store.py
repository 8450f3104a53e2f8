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
from pathlib import Path

from .config import DATASETS, Run
from .errors import StoreError
from .files import set_aside, write_whole

ROOT = Path(__file__).resolve().parent.parent
FROZEN = ROOT / "results"


def live_folder() -> Path:
    """The folder of live records: BBATCH_STORE, else `store/` beside the package."""
    return Path(os.environ.get("BBATCH_STORE") or ROOT / "store")


class Store:
    """Live records in `folder` over frozen ones in `frozen`; either may not exist yet."""

    def __init__(self, folder: Path | str | None = None, frozen: Path | str | None = FROZEN):
        self.folder = Path(folder) if folder is not None else live_folder()
        self.frozen = Path(frozen) if frozen is not None else None

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
                probe.unlink()
        except OSError as error:
            raise StoreError(f"the store {str(self.folder)!r} cannot be written ({error.strerror}); "
                             "name a writable folder in BBATCH_STORE.") from error
        return self

    def put(self, record: dict) -> None:
        """Write a record whole or not at all."""
        body = json.dumps(record, sort_keys=True)
        text = json.dumps({"sha256": hashlib.sha256(body.encode()).hexdigest(), "record": record}, sort_keys=True)
        write_whole(self.folder / "records" / f"{record['id']}.json", text.encode())

    def get(self, key: str) -> dict | None:
        """The live record of this id. A damaged file is set aside under a name that says so, and gives None."""
        path = self.folder / "records" / f"{key}.json"
        if not path.is_file():
            return None
        try:
            document = json.loads(path.read_text())
            body = json.dumps(document["record"], sort_keys=True)
            whole = document["sha256"] == hashlib.sha256(body.encode()).hexdigest() and document["record"]["id"] == key
        except (ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            set_aside(path)
            return None
        return document["record"]

    def has_live(self, key: str) -> bool:
        return (self.folder / "records" / f"{key}.json").is_file()

    def live(self) -> dict[str, dict]:
        """Live records by id, damaged ones left out: their runs count as missing."""
        keys = (path.stem for path in sorted((self.folder / "records").glob("*.json")))
        return {key: record for key in keys if (record := self.get(key)) is not None}

    def frozen_records(self) -> dict[str, dict]:
        """Committed records by id."""
        import pyarrow.parquet as pq

        found, sums = {}, self._sums()
        for path in sorted(self.frozen.glob("*.parquet")) if self.frozen else []:
            observed = self.frozen / "observed" / path.name
            for file in (path, observed):
                found_sum = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "no file"
                expected = sums.get(str(file.relative_to(self.frozen)), "none listed in SHA256SUMS")
                if found_sum != expected:
                    raise StoreError(f"{file.relative_to(self.frozen.parent)} is damaged: sha256 {expected} expected, "
                                     f"{found_sum} found; restore it and SHA256SUMS from the repository.")
            rows = pq.read_table(path).to_pylist()
            notes = {row["id"]: row["observed"] for row in pq.read_table(observed).to_pylist()}
            found |= {row["id"]: row | {"observed": notes[row["id"]]} for row in rows}
        return found

    def _sums(self) -> dict[str, str]:
        """sha256 by file of the frozen folder, from its SHA256SUMS (which `sha256sum -c` reads too)."""
        path = self.frozen / "SHA256SUMS" if self.frozen else None
        if path is None or not path.is_file():
            return {}
        lines = (line.split("  ", 1) for line in path.read_text().splitlines() if "  " in line)
        return {name: digest for digest, name in lines}

    def records(self) -> dict[str, dict]:
        """All records by id; a frozen one goes before a live one of the same id."""
        return self.live() | self.frozen_records()

    def missing(self, runs: list[Run], fingerprints: dict[str, str]) -> list[Run]:
        """The runs that have no record on data with these fingerprints (by data set name)."""
        have = self.records()
        return [run for run in runs if run.key(fingerprints[run.dataset]) not in have]

    def agreement(self, committed: dict[str, dict], keys: set[str] | None = None) -> dict[str, int]:
        """How many live records (of these ids) agree with the committed ones bit for bit, differ, or are new."""
        live = {k: r for k, r in self.live().items() if keys is None or k in keys}
        same = sum(_decided(r) == _decided(committed[k]) for k, r in live.items() if k in committed)
        both = len(live.keys() & committed.keys())
        return {"identical": same, "different": both - same, "not_committed": len(live) - both}

    def freeze(self) -> dict[str, int]:
        """Merge live records into the committed files; returns how many were added for each data set.

        A failed run (out of memory) says something of a machine, not of the configuration: it stays live.

        Raises `StoreError`, changing nothing, where a live record contradicts a frozen one of the same id.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        live, frozen = self.live(), self.frozen_records()
        for key in live.keys() & frozen.keys():
            if not live[key]["observed"].get("failure") and _decided(live[key]) != _decided(frozen[key]):
                run = live[key]["run"]
                raise StoreError(f"record {key} ({run['dataset']}, B = {run['batch_size']}, seed {run['seed']}) differs "
                                 "from the committed one; remove one of the two.")
        added, sums = {}, self._sums()
        (self.frozen / "observed").mkdir(parents=True, exist_ok=True)
        for name in DATASETS:
            new = {k: r for k, r in live.items()
                   if r["run"]["dataset"] == name and k not in frozen and not r["observed"].get("failure")}
            if not new:
                continue
            rows = sorted((new | {k: r for k, r in frozen.items() if r["run"]["dataset"] == name}).values(), key=_order)
            for path, part in ((self.frozen / f"{name}.parquet", [_decided(r) for r in rows]),
                               (self.frozen / "observed" / f"{name}.parquet",
                                [{"id": r["id"], "observed": r["observed"]} for r in rows])):
                sink = pa.BufferOutputStream()
                pq.write_table(pa.Table.from_pylist(part), sink, compression="zstd")
                content = sink.getvalue().to_pybytes()
                write_whole(path, content)
                sums[str(path.relative_to(self.frozen))] = hashlib.sha256(content).hexdigest()
            added[name] = len(new)
        if added:
            write_whole(self.frozen / "SHA256SUMS", "".join(f"{sums[n]}  {n}\n" for n in sorted(sums)).encode())
        return added


def _decided(record: dict) -> dict:
    return {k: v for k, v in record.items() if k != "observed"}


def _order(record: dict) -> tuple:
    run = record["run"]
    return (run["batch_size"], run["lr_rule"], run["precision"], run["epochs"], run["n_train"], run["seed"], record["id"])
