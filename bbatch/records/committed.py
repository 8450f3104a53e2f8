"""Committed files: what results/ holds, with the checksum of every file in SHA256SUMS.

`NAME.parquet` holds what the runs of a data set decide, `observed/NAME.parquet` what the machine and the day
did; the same records give the same bytes, in whatever order and however often they are merged. The rest,
measurements of other kinds, is written by whoever measures and gets its checksum with the next merge.

A merge lays the new files beside the old ones, in `.next`; they count from the moment that SHA256SUMS names
them. So it may be cut short at any moment: a reader takes each file, here or there, whose checksum is the one
listed, and what an undone or outdated merge has left is named by no SHA256SUMS and removed by the next.
"""

import hashlib
import os
import shutil
from pathlib import Path

from filelock import FileLock

from ..config import DATASETS
from ..errors import StoreError, printable
from ..files import leftovers, sync_names, write_whole
from .record import decided, flaw, stranger

SUMS = "SHA256SUMS"  # `sha256sum -c` reads it too
NEXT = ".next"


def read(folder: Path) -> dict[str, dict]:
    """Records by id, if there is a folder. Raises `StoreError` naming a file that is damaged or missing."""
    while True:
        sums = _sums(folder)
        try:
            return _records(folder, sums)
        except StoreError:
            if _sums(folder) == sums:  # else a merge came in between: its state is whole, too
                raise


def merge(folder: Path, records: dict[str, dict]) -> dict[str, int]:
    """Add the records that the folder lacks; returns how many by data set. Renews SHA256SUMS.

    A failed run (out of memory) says something of a machine, not of the configuration: it is left out.

    Raises `StoreError`, changing nothing, where a record cannot be one or contradicts a committed one of the
    same id, or where the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            return _merge(folder, {k: r for k, r in records.items() if not r["observed"].get("failure")})
    except OSError as error:
        raise StoreError(
            f"{error.filename or folder} cannot be written ({error.strerror}); free some space "
            "or give permission, then freeze again."
        ) from error


def files_in(folder: Path) -> list[str]:
    """The files that SHA256SUMS should list: all in the folder but itself and what begins with a dot."""
    there = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(p) for p in there if str(p) != SUMS and not any(part[0] == "." for part in p.parts))


def unlisted(folder: Path) -> list[str]:
    """Files that are not as SHA256SUMS says: a sentence each, empty where all are listed and none differs."""
    sums, found = _sums(folder), []
    for name in sorted({*sums, *files_in(folder)}):
        content = content_of(folder, name, sums.get(name))
        here = "no file" if content is None else hashlib.sha256(content).hexdigest()
        if here != sums.get(name):
            found.append(f"{name}: sha256 {here} found, {sums.get(name, 'none')} listed in {SUMS}")
    return found


def is_records(name: str) -> bool:
    """Whether this file of the folder holds records, and not a measurement of another kind."""
    return name.endswith(".parquet") and "/" not in name.removeprefix("observed/")


def rows_of(content: bytes, name: str) -> dict[str, dict]:
    """The rows of a Parquet file with this content, by id. Raises `StoreError` where they cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return {row["id"]: _own(row) for row in pq.read_table(pa.BufferReader(content)).to_pylist()}
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(
            f"{name} holds no records that can be read ({type(error).__name__}); restore it and {SUMS} from "
            "the repository."
        ) from error


def _own(row: dict) -> dict:
    """A row as it was written: Parquet gives None for a field of the run that only other rows have."""
    run = {name: value for name, value in row.get("run", {}).items() if value is not None}
    return row | ({"run": run} if run else {})


def content_of(folder: Path, name: str, digest: str | None) -> bytes | None:
    """What the file holds, with this sha256 if anywhere; None where there is no file.

    A merge moves files from `.next` to their place: one that is not here was there, and is here by now.
    """
    found = None
    for path in (folder / name, folder / NEXT / name, folder / name):
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise StoreError(
                f"{path} cannot be read ({error.strerror}); give permission or restore it."
            ) from error
        if hashlib.sha256(content).hexdigest() == digest:
            return content
        found = content if found is None else found
    return found


def _records(folder: Path, sums: dict[str, str]) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for name in sorted({path.name for path in folder.glob("*.parquet")} | set(sums)):
        if is_records(name) and "/" not in name:
            parts = (_sound(folder, part, sums) for part in (name, f"observed/{name}"))
            found |= _joined(*(rows_of(content, part) for content, part in parts))
    return found


def _joined(rows: dict[str, dict], observed: dict[str, dict]) -> dict[str, dict]:
    """Records from the rows of the two files."""
    try:
        return {key: row | {"observed": observed[key]["observed"]} for key, row in rows.items()}
    except KeyError as error:
        raise StoreError(
            f"of a record ({printable(str(error))}) the observed half is missing; restore {SUMS} and the "
            "files of records from the repository."
        ) from error


def _sound(folder: Path, name: str, sums: dict[str, str]) -> tuple[bytes, str]:
    """Content and name of one file, whose checksum must be as listed."""
    content = content_of(folder, name, sums.get(name))
    found = "no file" if content is None else hashlib.sha256(content).hexdigest()
    expected = sums.get(name, f"none listed in {SUMS}")
    if content is None or found != expected:
        raise StoreError(
            f"{folder.name}/{name} is damaged: sha256 {expected} expected, {found} found; "
            f"restore it and {SUMS} from the repository."
        )
    return content, name


def _merge(folder: Path, records: dict[str, dict]) -> dict[str, int]:
    committed = read(folder)
    for key, record in records.items():
        if why := flaw(record) or stranger(record):
            raise StoreError(f"record {key} {why}; remove it from the store, then freeze again.")
        if key in committed and decided(record) != decided(committed[key]):
            run = record["run"]
            raise StoreError(
                f"record {key} ({run['dataset']}, B = {run['batch_size']}, seed {run['seed']}) "
                "differs from the committed one; remove one of the two."
            )
    sums = _sums(folder)
    _settle(folder, sums)  # what an earlier merge left when it was cut short
    added: dict[str, int] = {}
    contents: dict[str, bytes] = {}
    merged = records | committed
    for name in DATASETS:
        rows = sorted((r for r in merged.values() if r["run"]["dataset"] == name), key=_order)
        if new := sum(r["id"] not in committed for r in rows):
            added[name] = new
            halves = [decided(r) for r in rows], [{"id": r["id"], "observed": r["observed"]} for r in rows]
            files = dict(
                zip((f"{name}.parquet", f"observed/{name}.parquet"), map(_parquet, halves), strict=True)
            )
            back = _joined(*(rows_of(content, file) for file, content in files.items()))
            if odd := next((r["id"] for r in rows if _bare(back[r["id"]]) != _bare(r)), None):
                raise StoreError(f"record {odd} does not come back from a file as it is; remove it.")
            contents |= files
    for name in [name for name in files_in(folder) if not is_records(name)]:
        sums[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    _replace(
        folder, contents, {name: sums[name] for name in sums if is_records(name) or name in files_in(folder)}
    )
    return added


def _replace(folder: Path, contents: dict[str, bytes], sums: dict[str, str]) -> None:
    """Write these files and the checksums of all, in the order that lets it be cut short at any moment."""
    if contents:
        for home in (folder, folder / NEXT):
            (home / "observed").mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_whole(folder / NEXT / name, content)
        sums[name] = hashlib.sha256(content).hexdigest()
    if sums != _sums(folder):
        write_whole(folder / SUMS, "".join(f"{sums[n]}  {n}\n" for n in sorted(sums)).encode())
    _settle(folder, sums)


def _settle(folder: Path, sums: dict[str, str]) -> None:
    """Move what lies ready and is listed to its place, and remove the rest; may be cut short and repeated."""
    ready = folder / NEXT
    for path in [p for p in ready.rglob("*") if p.is_file()]:
        name = path.relative_to(ready).as_posix()
        if hashlib.sha256(path.read_bytes()).hexdigest() == sums.get(name):
            os.replace(path, folder / name)
    for home in (folder, folder / "observed"):
        sync_names(home)
    shutil.rmtree(ready, ignore_errors=True)
    for part in leftovers(folder, SUMS):
        part.unlink(missing_ok=True)


def _bare(value):
    """A record without its empty fields: a column that some rows lack comes back empty in them."""
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if item is not None}
    return value


def _parquet(rows: list[dict]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _sums(folder: Path) -> dict[str, str]:
    """sha256 by file, from SHA256SUMS."""
    try:
        content = (folder / SUMS).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise StoreError(f"{folder / SUMS} cannot be read ({error.strerror}); give permission.") from error
    lines = (line.split("  ", 1) for line in content.decode(errors="replace").splitlines() if "  " in line)
    return {name: digest for digest, name in lines}


def _order(record: dict) -> tuple:
    run = record["run"]
    return (
        *(run[k] for k in ("batch_size", "lr_rule", "precision", "epochs", "n_train", "seed")),
        record["id"],
    )
