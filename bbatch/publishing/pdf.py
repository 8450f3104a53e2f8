"""The book as one PDF: the articles of the built pages one after the other, printed by a headless Chromium.

Needs the built book (`make book`) and Chromium or Chrome on the path; nothing of LaTeX. Links between pages
become links within the document.
"""

import posixpath
import re
import shutil
import subprocess
import tempfile
from html import escape
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import yaml
from bs4 import BeautifulSoup, SoupStrainer

from ..errors import BadInput
from .book import BUILD
from .rendering import HTML

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
PRINTED = ("--no-pdf-header-footer", "--virtual-time-budget=60000", "--generate-pdf-document-outline")
SECONDS = 300  # for Chromium to typeset and print everything
STYLE = """
@page { size: A4; margin: 18mm 16mm; @bottom-center { content: counter(page); font: 8pt sans-serif; } }
body { font-size: 10pt; }
article.bd-article { max-width: none; padding: 0; }
article.bd-article + article { break-before: page; }
h1, h2, h3, h4 { break-after: avoid; break-inside: avoid; }
.bd-article .bbatch-table-box, .bd-article .output.text_html { overflow: visible !important; }
.bd-article table { display: table !important; font-size: 7.5pt !important; }
.bd-article table :is(th, td) { padding: 0.1rem 0.25rem; overflow-wrap: anywhere; }
.bd-article tr { break-inside: avoid; }
.bd-article .bbatch-many { width: 100% !important; }
.bd-article .bbatch-figure:not(.bbatch-many) .bbatch-whole { width: 12cm; }
.bd-article details.hide, a.headerlink, .bbatch-controls { display: none; }
pre { white-space: pre-wrap; }
* { print-color-adjust: exact; }
"""


class NotPrinted(RuntimeError):
    """The browser could not print the book."""


def find_browser() -> str | None:
    """The first Chromium on the path, under any of its names."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def make() -> Path:
    """Print the built book to _build/book.pdf and return its path.

    Raises `BadInput` where there is no built book or no Chromium, `NotPrinted` where it fails.
    """
    if not (HTML / "book" / "index.html").is_file():
        raise BadInput("the book is not built yet; `make book` builds it.")
    if not (chromium := find_browser()):
        raise BadInput(f"no Chromium was found on the path; it is looked for as {', '.join(BROWSERS)}.")
    page, pdf = HTML / "book" / "whole.html", BUILD / "book.pdf"
    page.write_text(joined())
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            flags = [*FLAGS, *PRINTED, f"--user-data-dir={profile}", f"--print-to-pdf={pdf}"]
            silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.run([chromium, *flags, page.as_uri()], check=True, timeout=SECONDS, **silent)
    except (subprocess.SubprocessError, OSError) as error:
        raise NotPrinted(f"Chromium could not print the book ({type(error).__name__}).") from error
    finally:
        page.unlink()
    return pdf


def joined(html: Path = HTML) -> str:
    """All pages as one, to stand in `html`/book: ids and links carry the name of their page."""
    source = html.parent / "source"
    toc, book = (yaml.safe_load((source / name).read_text()) for name in ("_toc.yml", "_config.yml"))
    names = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    texts = {name: (html / f"{name}.html").read_text() for name in names}
    head = f"<title>{escape(book['title'])}</title>{_head(texts)}"
    articles = "".join(_article(name, text, set(names)) for name, text in texts.items())
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light"><head>{head}<style>{STYLE}</style></head>'
        f"<body>{articles}</body></html>"
    )


def _head(texts: dict[str, str]) -> str:
    """The style sheets and scripts of all pages, each once, without what only serves a reader at a screen."""
    kept = {}
    for text in texts.values():
        page = BeautifulSoup(text.split("<article", 1)[0], "html.parser")
        for tag in page.find_all(["link", "script"]):
            address = tag.get("href") or tag.get("src") or ""
            used = re.search("mathjax|plotly", address) or "MathJax" in (tag.string or "")
            if used or tag.get("rel") == ["stylesheet"]:
                kept.setdefault(address or tag.string, str(tag))
    return '<meta charset="utf-8">' + "".join(kept.values())


def _article(name: str, text: str, names: set[str]) -> str:
    """The article of one page; ids and links to them carry its name. Drawings stay whole."""
    prefix, drawings = name.replace("/", "-"), []

    def aside(found) -> str:
        drawings.append(re.sub(r"\bfig-(?=[0-9a-f]{8})", f"{prefix}--fig-", found[0]))
        return f"<svg data-drawing={len(drawings) - 1}></svg>"

    text = re.sub(r'<svg class="bbatch-.*?</svg>', aside, text, flags=re.DOTALL)
    soup = BeautifulSoup(text, "html.parser", parse_only=SoupStrainer("article"))
    article = soup.find("article", class_="bd-article")
    for tag in article.find_all(id=True):
        if tag.name != "svg" and "plotly-graph-div" not in tag.get("class", []):
            tag["id"] = f"{prefix}--{tag['id']}"
    article["id"] = prefix
    for link in article.find_all("a", href=True):
        address = urlsplit(link["href"])
        if address.scheme or address.netloc:
            continue
        beside = PurePosixPath(name).parent / address.path
        target = posixpath.normpath(beside.with_suffix("")) if address.path else name
        if target in names:
            place = f"--{address.fragment}" if address.fragment else ""
            link["href"] = f"#{target.replace('/', '-')}{place}"
    return re.sub(r'<svg data-drawing="(\d+)"></svg>', lambda found: drawings[int(found[1])], str(article))
