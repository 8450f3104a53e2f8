"""Committed records: Parquet files, a pair for each data set, whose checksums stand in SHA256SUMS.

`NAME.parquet` holds what the runs decide, `observed/NAME.parquet` what the machine and the day did; the same
records give the same bytes, in whatever order and however often they are merged.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from filelock import FileLock

from ..config import DATASETS
from ..errors import StoreError
from ..files import write_whole

# In the folder, for a moment: files that are complete and about to replace the old ones.
NEXT = ".next"


def read(folder: Path) -> dict[str, dict]:
    """Records by id, if there is a folder. Raises `StoreError` naming a file that is damaged or missing."""
    found, sums = {}, _sums(folder)
    names = {path.name for path in folder.glob("*.parquet")} | {name for name in sums if "/" not in name}
    for name in sorted(names):
        observed = {row["id"]: row["observed"] for row in _rows(folder, f"observed/{name}", sums)}
        found |= {row["id"]: row | {"observed": observed[row["id"]]} for row in _rows(folder, name, sums)}
    return found


def merge(folder: Path, records: dict[str, dict]) -> dict[str, int]:
    """Add the records that the folder lacks; returns how many for each data set that got any.

    A failed run (out of memory) says something of a machine, not of the configuration: it is left out.

    Raises `StoreError`, changing nothing, where a record contradicts a committed one of the same id or the
    folder cannot be written. Cut short at any moment, it leaves the old files, or the next call completes it.
    """
    try:
        (folder / "observed").mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            _replace(folder)  # what an earlier call had ready when it was cut short
            return _merge(folder, {k: r for k, r in records.items() if not r["observed"].get("failure")})
    except OSError as error:
        raise StoreError(
            f"{error.filename or folder} cannot be written ({error.strerror}); free some space "
            "or give permission, then freeze again."
        ) from error


def decided(record: dict) -> dict:
    """What the record's id decides: all but what was observed."""
    return {k: v for k, v in record.items() if k != "observed"}


def _merge(folder: Path, records: dict[str, dict]) -> dict[str, int]:
    committed = read(folder)
    for key in records.keys() & committed.keys():
        if decided(records[key]) != decided(committed[key]):
            run = records[key]["run"]
            raise StoreError(
                f"record {key} ({run['dataset']}, B = {run['batch_size']}, seed {run['seed']}) "
                "differs from the committed one; remove one of the two."
            )
    added, sums, ready = {}, _sums(folder), folder / f"{NEXT}.part"
    shutil.rmtree(ready, ignore_errors=True)
    for name in DATASETS:
        new = {k: r for k, r in records.items() if r["run"]["dataset"] == name and k not in committed}
        if not new:
            continue
        rows = sorted(
            (new | {k: r for k, r in committed.items() if r["run"]["dataset"] == name}).values(), key=_order
        )
        (ready / "observed").mkdir(parents=True, exist_ok=True)
        for file, part in (
            (f"{name}.parquet", [decided(r) for r in rows]),
            (f"observed/{name}.parquet", [{"id": r["id"], "observed": r["observed"]} for r in rows]),
        ):
            content = _parquet(part)
            write_whole(ready / file, content)
            sums[file] = hashlib.sha256(content).hexdigest()
        added[name] = len(new)
    if added:
        write_whole(ready / "SHA256SUMS", "".join(f"{sums[n]}  {n}\n" for n in sorted(sums)).encode())
        os.replace(ready, folder / NEXT)  # from here on the new files count
        _replace(folder)
    return added


def _replace(folder: Path) -> None:
    """Move the files that are ready, if any, over the old ones; may be cut short and called again."""
    ready = folder / NEXT
    if ready.is_dir():
        for path in [p for p in ready.rglob("*") if p.is_file()]:
            os.replace(path, folder / path.relative_to(ready))
        shutil.rmtree(ready)


def _rows(folder: Path, name: str, sums: dict[str, str]) -> list[dict]:
    """The rows of one file, whose checksum must be as listed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = _content(folder, name)
    found = "no file" if content is None else hashlib.sha256(content).hexdigest()
    expected = sums.get(name, "none listed in SHA256SUMS")
    if found != expected:
        raise StoreError(
            f"{folder.name}/{name} is damaged: sha256 {expected} expected, {found} found; "
            "restore it and SHA256SUMS from the repository."
        )
    return pq.read_table(pa.BufferReader(content)).to_pylist()


def _parquet(rows: list[dict]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _content(folder: Path, name: str) -> bytes | None:
    """A file: the new one where a merge had it ready and was cut short; None where there is none."""
    for path in (folder / NEXT / name, folder / name):
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise StoreError(
                f"{path} cannot be read ({error.strerror}); give permission or restore it."
            ) from error
    return None


def _sums(folder: Path) -> dict[str, str]:
    """sha256 by file, from SHA256SUMS (which `sha256sum -c` reads too)."""
    content = _content(folder, "SHA256SUMS") or b""
    lines = (line.split("  ", 1) for line in content.decode(errors="replace").splitlines() if "  " in line)
    return {name: digest for digest, name in lines}


def _order(record: dict) -> tuple:
    run = record["run"]
    return (
        *(run[k] for k in ("batch_size", "lr_rule", "precision", "epochs", "n_train", "seed")),
        record["id"],
    )
