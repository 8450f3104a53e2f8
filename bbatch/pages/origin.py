"""Where a page's numbers come from: a paragraph for recorded runs, and one for tables of studies."""

from collections.abc import Iterable
from html import escape

import pandas as pd
from IPython.display import Markdown

from ..records.store import Store
from ..studies.table import read_table

FEW = 4  # fingerprints or commits that are named one by one


def provenance(records: list[dict], studies: Iterable[str] = ()) -> Markdown:
    """Where a page's numbers come from: records, or studies by their names, or both; for each the data,
    hardware, versions and commits. A record that is named twice counts once. Raises `BadInput` for a study
    without a table."""
    names = list(dict.fromkeys(studies))
    once = list({record["id"]: record for record in records}.values())
    told = ([_of_records(once)] if once else []) + ([_of_studies(names)] if names else [])
    if not told:
        return Markdown("No records: this page shows the paper's values alone.")
    return Markdown("**Where this page's numbers come from.** " + "\n\n".join(told))


def records_of(*tables: pd.DataFrame) -> list[dict]:
    """The committed records of the runs in these tables, by their column `id`."""
    kept = Store().frozen_records()
    return [kept[key] for table in tables for key in table["id"]]


def _of_records(records: list[dict]) -> str:
    observed = [r["observed"] for r in records]
    rows = pd.DataFrame(observed)[["device_name", "engine", "commit", "started"]]
    rows = rows.assign(**{c: [r["data"][c] for r in records] for c in ("source", "fingerprint")})
    rows["precision"] = [r["run"]["precision"] for r in records]
    named = "PyTorch {torch}, NumPy {numpy}, Python {python}"
    rows["versions"] = [named.format(**o["versions"] | {"python": o["python"]}) for o in observed]
    threads = f", {_distinct(o['threads'] for o in observed)} thread a run"
    commits = list(dict.fromkeys(rows.sort_values("started", kind="stable")["commit"]))
    code = escape(commits[0])
    if len(commits) > 1:
        code = f"{len(commits)} commits from {code} to {escape(commits[-1])}"
    ends = min(o["started"] for o in observed)[:10], max(o["finished"] for o in observed)[:10]
    days = " to ".join(dict.fromkeys(ends))
    return (
        f"{len(records)} recorded runs · {_facts(rows, threads)} · code: {code} · trained {days} (UTC). "
        "Every run is a row of `bbatch results`."
    )


def _of_studies(names: list[str]) -> str:
    rows = pd.concat([read_table(name) for name in names]).drop_duplicates("id")
    rows = rows.assign(versions=rows["versions"] + ", Python " + rows["python"])
    commits = list(dict.fromkeys(rows["commit"]))
    code = ", ".join(map(escape, commits)) if len(commits) <= FEW else f"{len(commits)} commits"
    return (
        f"{len(rows)} runs of {'the study' if len(names) == 1 else 'the studies'} "
        f"`{'`, `'.join(names)}` · {_facts(rows)} · code: {code}. "
        "Every run is a row of a table under `results/studies/`."
    )


def _facts(rows: pd.DataFrame, threads: str = "") -> str:
    """Data, precision, hardware, engine and versions of runs, a row each."""
    data = []
    for source, of in rows.groupby("source")["fingerprint"].unique().items():
        named = _distinct(f"`{p[:12]}`" for p in of) if len(of) <= FEW else f"{len(of)} sets"
        data.append(f"{escape(source)} ({named})")
    return (
        f"data: {'; '.join(data)} · precision: {_distinct(rows['precision'])} · "
        f"hardware: {_distinct(rows['device_name'])}{threads} · engine: {_distinct(rows['engine'])} · "
        f"{_distinct(rows['versions'], '; ')}"
    )


def _distinct(values: Iterable, between: str = ", ") -> str:
    """What records say is text, whatever they hold."""
    return between.join(sorted(dict.fromkeys(escape(str(value)) for value in values)))
