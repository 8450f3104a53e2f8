"""The book as one PDF: the articles of the built pages one after the other, printed by a headless Chromium.

Needs the built book (`make book`) and Chromium or Chrome on the path; nothing of LaTeX. Links between pages become
links within the document.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from bs4 import BeautifulSoup

from .book import BUILD, HTML
from .errors import BadInput

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
         "--host-resolver-rules=MAP * ~NOTFOUND")
SECONDS = 300  # for Chromium to typeset and print everything
STYLE = """
@page { size: A4; margin: 18mm 16mm; }
body { font-size: 10pt; }
article.bd-article { max-width: none; padding: 0; break-before: page; }
.bd-article .bbatch-table-box, .bd-article .output.text_html { overflow: visible !important; }
.bd-article table { display: table !important; font-size: 7.5pt !important; }
.bd-article table :is(th, td) { padding: 0.1rem 0.25rem; overflow-wrap: anywhere; }
.bd-article .bbatch-many { width: 100% !important; }
.bd-article details.hide, a.headerlink, .bbatch-controls { display: none; }
pre { white-space: pre-wrap; }
"""


def find() -> str | None:
    """The first Chromium on the path, under any of its names."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def make() -> Path:
    """Print the built book to _build/book.pdf and return its path.

    Raises `BadInput` where there is no built book or no Chromium.
    """
    if not (HTML / "book" / "index.html").is_file():
        raise BadInput("the book is not built yet; `make book` builds it.")
    if not (chromium := find()):
        raise BadInput(f"no Chromium was found on the path; it is looked for as {', '.join(BROWSERS)}.")
    page, pdf = HTML / "book" / "whole.html", BUILD / "book.pdf"
    page.write_text(joined())
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            subprocess.run([chromium, *FLAGS, f"--user-data-dir={profile}", "--no-pdf-header-footer", "--virtual-time-budget=60000",
                            "--generate-pdf-document-outline", f"--print-to-pdf={pdf}", page.as_uri()],
                           check=True, timeout=SECONDS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finally:
        page.unlink()
    return pdf


def joined(html: Path = HTML) -> str:
    """All pages as one, to stand in `html`/book: ids and links carry the name of their page."""
    toc = yaml.safe_load((html.parent / "source" / "_toc.yml").read_text())
    names = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    pages = {name: BeautifulSoup((html / f"{name}.html").read_text(), "html.parser") for name in names}
    head = _head(pages)
    articles = "".join(str(_article(name, page, pages)) for name, page in pages.items())
    return f'<!DOCTYPE html><html lang="en" data-theme="light"><head>{head}<style>{STYLE}</style></head><body>{articles}</body></html>'


def _head(pages: dict) -> str:
    """The title, style sheets and scripts of all pages, each once, without what only serves a reader at a screen."""
    kept = {"title": str(pages[next(iter(pages))].find("title"))}
    for page in pages.values():
        for tag in page.find_all(["link", "script"]):
            address = tag.get("href") or tag.get("src") or ""
            if tag.get("rel") == ["stylesheet"] or re.search("mathjax|plotly", address) or "MathJax" in (tag.string or ""):
                kept.setdefault(address or tag.string, str(tag))
    return '<meta charset="utf-8">' + "".join(kept.values())


def _article(name: str, page: BeautifulSoup, pages: dict):
    article = page.find("article", class_="bd-article")
    prefix = name.replace("/", "-")
    for tag in article.find_all(id=True):
        if not tag.find_parent("svg") and tag.name != "svg" and "plotly-graph-div" not in tag.get("class", []):
            tag["id"] = f"{prefix}--{tag['id']}"
    article["id"] = prefix
    for link in article.find_all("a", href=True):
        address = urlsplit(link["href"])
        if address.scheme or address.netloc:
            continue
        target = (Path("/") / name).parent / address.path if address.path else Path("/") / name
        known = re.sub(r"\.html$", "", str(Path(*_normal(target.parts[1:]))))
        if known in pages:
            link["href"] = "#" + known.replace("/", "-") + (f"--{address.fragment}" if address.fragment else "")
    return article


def _normal(parts) -> list[str]:
    out: list[str] = []
    for part in parts:
        if part == "..":
            out.pop()
        else:
            out.append(part)
    return out


def main() -> int:
    try:
        print(f"The book as a PDF: {make()}")
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    except (subprocess.SubprocessError, OSError) as error:
        print(f"Chromium could not print the book ({type(error).__name__}).", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
