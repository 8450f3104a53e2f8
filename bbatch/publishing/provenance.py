"""Where the book comes from, for readers and machines: the foot of each page, and an RO-Crate.

The crate follows RO-Crate 1.2 (https://w3id.org/ro/crate/1.2): `ro-crate-metadata.json` in the folder of the
pages describes them, the committed records, which are copied beside them, the code, the paper and the
hardware.
"""

import hashlib
import json
import re
import shutil
from html import escape, unescape
from pathlib import Path

import yaml

from ..records.store import FROZEN, Store
from ..repository import ROOT, commit

CONTEXT = "https://w3id.org/ro/crate/1.2/context"
PROFILE = "https://w3id.org/ro/crate/1.2"
KINDS = {
    ".html": "text/html",
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".json": "application/json",
}
TITLE = "Large Batch vs. Small Batch Training: Generalization Tradeoffs in Deep Neural Networks"


def facts() -> dict:
    """What every page rests on: commit, committed runs and their hash, data, hardware, dates (UTC)."""
    records = list(Store().frozen_records().values())
    seen = [record["observed"] for record in records]

    def distinct(values):
        return sorted(set(values))

    return {
        "commit": commit(),
        "runs": len(records),
        "records": hashlib.sha256((FROZEN / "SHA256SUMS").read_bytes()).hexdigest(),
        "data": distinct(record["data"]["source"] for record in records),
        "hardware": distinct(o["device_name"] for o in seen),
        "first": min((o["started"] for o in seen), default="")[:10],
        "last": max((o["finished"] for o in seen), default="")[:10],
    }


def footer(about: dict) -> str:
    """The line at the foot of each page, as HTML."""
    data, days = "; ".join(about["data"]), " to ".join(dict.fromkeys((about["first"], about["last"])))
    return (
        '<p class="bbatch-provenance">'
        f"Made from {about['runs']} committed runs of {days} (records "
        f"<code>{about['records'][:12]}</code>) at commit <code>{escape(about['commit'])}</code>. "
        f"Data: {escape(data)}. Hardware: {escape(', '.join(about['hardware']))}. "
        '<a href="../book/check.html">How to check this book</a></p>'
    )


def write(html: Path, about: dict) -> Path:
    """Copy the committed records to `html`/records and describe all in `html`/ro-crate-metadata.json."""
    shutil.copytree(FROZEN, html / "records", dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    pages = [path for folder in ("book", "notebooks") for path in sorted((html / folder).glob("*.html"))]
    records = sorted(path for path in (html / "records").rglob("*") if path.is_file())
    files = [_file(path, html) for path in (*pages, *records)]
    path = html / "ro-crate-metadata.json"
    document = {"@context": CONTEXT, "@graph": _graph(files, about)}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return path


def _graph(files: list[dict], about: dict) -> list[dict]:
    machines = [_entity(f"#machine-{k}", "Thing", name) for k, name in enumerate(about["hardware"])]
    license = _entity("https://spdx.org/licenses/MIT", "CreativeWork", "MIT License")
    code = _entity("#code", "SoftwareSourceCode", "bbatch", version=about["commit"])
    code |= {"programmingLanguage": "Python"}
    paper = _entity("#paper", "ScholarlyArticle", TITLE)
    authors = _entity("#authors", "Organization", "the bbatch authors")
    action = _entity("#training", "CreateAction", "Training of the recorded runs")
    action |= {"startTime": about["first"], "endTime": about["last"], "description": "; ".join(about["data"])}
    action |= {"instrument": [_ref(code), *map(_ref, machines)]}
    action |= {"result": [_ref(one) for one in files if one["@id"].startswith("records/")]}
    root = _entity("./", "Dataset", yaml.safe_load((ROOT / "_config.yml").read_text())["title"]) | {
        "description": f"A reproduction, with many seeds and confidence intervals, of the paper {TITLE!r}: "
        f"pages, and the records of the {about['runs']} runs behind their numbers.",
        "datePublished": about["last"],
        "license": _ref(license),
        "author": _ref(authors),
        "about": _ref(paper),
        "identifier": f"sha256:{about['records']}",
        "hasPart": [_ref(one) for one in files],
        "mentions": [_ref(action)],
    }
    me = {"@id": "ro-crate-metadata.json", "@type": "CreativeWork"}
    me |= {"conformsTo": {"@id": PROFILE}, "about": _ref(root)}
    return [me, root, license, code, paper, authors, action, *machines, *files]


def _file(path: Path, html: Path) -> dict:
    content = path.read_bytes()
    title = re.search(rb"<title>(.*?)</title>", content, re.DOTALL) if path.suffix == ".html" else None
    name = unescape(title[1].decode()).split(" — ")[0].strip() if title else path.name
    about = {"contentSize": str(len(content)), "encodingFormat": KINDS.get(path.suffix, "text/plain")}
    about |= {"sha256": hashlib.sha256(content).hexdigest()}
    return _entity(path.relative_to(html).as_posix(), "File", name, **about)


def _entity(id: str, kind: str, name: str, **about) -> dict:
    return {"@id": id, "@type": kind, "name": name} | about


def _ref(entity: dict) -> dict:
    return {"@id": entity["@id"]}
