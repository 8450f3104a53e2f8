"""Whether results/ is what was recorded: its checksums, its records, and git's history of them.

Checksums lie beside the files that they check, so who alters a record can renew them. But a record never
changes once it is committed, and git still holds each file as it was: a record that is no longer what it was
is found there.
"""

import re
from pathlib import Path

from ..errors import StoreError
from ..repository import git
from . import committed
from .record import flaw, stranger

# Before this commit the records of the synthetic sets were made anew when the arithmetic of the compiled
# engine changed, and one of CIFAR-10 was timed again; since then nothing has been replaced.
FIRST = "6a102cd9ad2899a38ea93b9a73ae32be1c3e2848"
# Records that may be gone, by the fingerprint of the data that they were made on.
WITHDRAWN = {
    # CIFAR-10 from a mirror that had compressed its images as JPEG: trained again on the exact pixels.
    "3de406445b9294b97a050f805d65ae4c1fb8c64e7936893dac5e28dad864e593"
}


def check_records(folder: Path) -> list[dict]:
    """A row for each finding, or one for each of the three checks that finds nothing.

    check    checksums, records, history, uncommitted
    ok       False for a finding, None where a check could not be made
    finding  in words
    """
    rows = [_row("checksums", line) for line in committed.unlisted(folder)]
    rows = rows or [_row("checksums", f"{len(committed.files_in(folder))} files as listed", True)]
    try:
        records = committed.read(folder)
    except StoreError as error:
        return [*rows, _row("records", str(error))]
    whys = {key: flaw(record) or stranger(record) for key, record in records.items()}
    odd = [_row("records", f"record {key} {why}") for key, why in whys.items() if why]
    rows += odd or [_row("records", f"{len(records)} records of runs that can be", True)]
    return rows + history(folder, records) + uncommitted(folder)


def history(folder: Path, records: dict[str, dict]) -> list[dict]:
    """These records against every version of their files that git has."""
    found, old = [], _versions(folder)
    if old is None or git("rev-parse", "--is-shallow-repository") != b"false\n":
        return [_row("history", "git's history is not here; a full clone has it", None)]
    withdrawn: set[str] = set()
    for blob, (commit, name) in old.items():  # what a run decides before what was observed: see _versions
        for key, row in committed.rows_of(git("cat-file", "blob", blob) or b"", name).items():
            if row.get("data", {}).get("fingerprint") in WITHDRAWN:
                withdrawn.add(key)
            if key not in records and key not in withdrawn:
                found.append(f"record {key} of {name} is gone; it was there in {commit}")
            elif key in records and (changed := _difference(row, records[key])):
                found.append(f"record {key} of {name} has changed since {commit}: {changed}")
    if found:
        return [_row("history", line) for line in dict.fromkeys(found)]
    commits = len({commit for commit, _ in old.values()})
    return [_row("history", f"{len(records)} records unchanged in {commits} commits", True)]


def uncommitted(folder: Path) -> list[dict]:
    """Files that differ from the last commit: measured since, or altered."""
    lines = (git("status", "--porcelain", "--", str(folder)) or b"").decode(errors="replace").splitlines()
    return [_row("uncommitted", f"{line[3:]} is not as in the last commit") for line in lines]


def _versions(folder: Path) -> dict[str, tuple[str, str]] | None:
    """(commit, file name) of each version of the files of records since `FIRST`, by blob, those of
    `observed/` last; None without history."""
    since = [f"{FIRST}~1..HEAD"] if git("cat-file", "-e", f"{FIRST}~1") is not None else ["HEAD"]
    log = git("log", "-m", "--raw", "--no-abbrev", "--no-renames", "--format=%H", *since, "--", str(folder))
    if log is None:
        return None
    versions: dict[str, tuple[str, str]] = {}
    commit = ""
    for line in log.decode(errors="replace").splitlines():
        if change := re.fullmatch(r":\S+ \S+ \S+ ([0-9a-f]+) [AM]\t(.+)", line):
            name = change[2].partition(f"{folder.name}/")[2]
            if committed.is_records(name):
                versions.setdefault(change[1], (commit, name))
        elif line:
            commit = line[:12]
    return dict(sorted(versions.items(), key=lambda item: item[1][1].startswith("observed/")))


def _difference(old, new, at: str = "") -> str | None:
    """The first field whose value is no longer the old one; fields may have been added."""
    if isinstance(old, dict) and isinstance(new, dict):
        parts = (_difference(value, new.get(key), f"{at}.{key}".strip(".")) for key, value in old.items())
        return next(filter(None, parts), None)
    return None if old == new else f"{at} was {old!r}, is {new!r}"[:200]


def _row(check: str, finding: str, ok: bool | None = False) -> dict:
    return {"check": check, "ok": ok, "finding": finding}
