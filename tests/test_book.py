"""The built book: whole, offline, and the same for everyone. The first test to ask for it builds it."""

import getpass
import re
import socket
from pathlib import Path
from urllib.parse import unquote, urlsplit

import browser
import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from bbatch import book, notebooks
from bbatch.store import ROOT

WIDTHS = (1280, 390)  # a desktop's window and a phone's, in CSS pixels


@pytest.fixture(scope="module")
def site() -> Path:
    """The folder of the built pages. Jupyter Book runs with warnings as errors, so a build that ends is clean."""
    return book.build().parent


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, BeautifulSoup]:
    return {path: BeautifulSoup(path.read_text(), "html.parser") for path in sorted(site.rglob("*.html"))
            if "_static" not in path.parts}


def plotly_graphs(path: Path) -> int:
    """How many plotly graphs the executed notebook at `path` shows."""
    cells = nbformat.read(path, as_version=4).cells
    return sum("application/vnd.plotly.v1+json" in output.get("data", {}) for cell in cells
               for output in cell.get("outputs", []))


def test_every_page_of_the_table_of_contents_is_built(site):
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    names = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    assert [name for name in names if not (site / f"{name}.html").is_file()] == []


def test_every_notebook_is_in_the_table_of_contents(site):
    assert [path.stem for path in notebooks.paths() if not (site / "notebooks" / f"{path.stem}.html").is_file()] == []


def test_nothing_is_asked_of_the_network(pages):
    outside = re.compile(r"(https?:)?//")
    found = [(path.name, str(tag)[:120]) for path, page in pages.items()
             for tag in page.find_all(["script", "link", "img", "iframe", "source", "video", "audio", "embed", "object"])
             for address in (tag.get("src"), tag.get("href"), tag.get("data"), tag.get("srcset"))
             if address and outside.match(address)]
    assert found == []


def test_no_style_sheet_asks_the_network(site):
    asks = re.compile(r"(@import\s+|url\()\s*[\"']?(https?:)?//")
    assert [path.name for path in site.rglob("*.css") if asks.search(path.read_text())] == []


def test_every_local_link_and_anchor_leads_somewhere(site, pages):
    anchors = {path: {tag.get("id") or tag.get("name") for tag in page.find_all(id=True) + page.find_all("a", attrs={"name": True})}
               for path, page in pages.items()}
    broken = []
    for path, page in pages.items():
        for tag in page.find_all(lambda tag: tag.get("href") or tag.get("src")):
            address = urlsplit(tag.get("href") or tag.get("src"))
            if address.scheme or address.netloc or tag.get("href") == "#":
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            lost = target in anchors and address.fragment and unquote(address.fragment) not in anchors[target]
            if not target.is_file() or not target.is_relative_to(site.resolve()) or lost:
                broken.append((path.name, tag.get("href") or tag.get("src")))
    assert broken == []


def test_every_image_says_what_it_shows(pages):
    silent = [(path.name, image.get("src", "")[:80]) for path, page in pages.items() for image in page.find_all("img")
              if len(image.get("alt", "").strip()) < 3 or re.search(r"\.(png|svg|jpe?g)$", image["alt"])]
    assert silent == []


def test_mathjax_is_linked_where_there_is_mathematics(pages):
    wrong = [path.name for path, page in pages.items() if bool(page.select(".math")) !=
             bool(page.find("script", src=re.compile("_vendor/mathjax/tex-svg.js")))]
    assert wrong == []
    assert any(page.select(".math") for page in pages.values())


def test_every_plotly_graph_reaches_its_page(site, pages):
    for executed in sorted(notebooks.EXECUTED.glob("*.ipynb")):
        for path in (path for path in pages if path.stem == executed.stem and path.parent != site):
            count = len(pages[path].select("div.plotly-graph-div"))
            assert (path.name, count) == (path.name, plotly_graphs(executed))
    for path, page in pages.items():
        linked = page.find("script", src=re.compile("plotly.min.js")) is not None
        assert (path.name, linked) == (path.name, bool(page.select("div.plotly-graph-div")))


def test_no_page_shows_an_object_instead_of_its_content(pages):
    """`<IPython.core.display.Markdown object>` is what is left of an empty output, `object at 0x...` of no repr."""
    assert [(path.name, found) for path, page in pages.items()
            for found in re.findall(r"<[\w.]+ object[^>]*>", page.get_text())] == []


def test_pages_and_notebooks_name_no_machine(pages):
    host, user, home = socket.gethostname(), getpass.getuser(), str(Path.home())
    names = [re.escape(str(ROOT)) + r"\b", rf"\b{re.escape(user)}@", rf"@{re.escape(host)}\b"]
    names += [rf"(?<![\w/]){re.escape(home)}/"] if len(home) > 1 else []
    names += [rf"\b{re.escape(host)}\b"] if len(host) > 5 and host != "localhost" else []
    said = re.compile("|".join(names))
    texts = [*pages, *notebooks.paths(), *(ROOT / "book").glob("*.ipynb"), *(ROOT / "book").glob("*.md")]
    assert [(path.name, found[0]) for path in texts if (found := said.search(path.read_text()))] == []


LOOK = """(async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  await new Promise(done => setTimeout(done, 300));
  const all = (selector) => [...document.querySelectorAll(selector)];
  return {
    "mathematics not typeset": all(".math").filter(e => !e.querySelector("mjx-container")).length,
    "errors in mathematics": all("mjx-merror, [data-mjx-error]").length,
    "graphs not drawn": all(".plotly-graph-div").filter(e => !e.querySelector(".main-svg")).length,
    "images not shown": all("img").filter(e => e.complete && !e.naturalWidth).length,
    "pixels the page is too wide": Math.max(0, document.documentElement.scrollWidth - window.innerWidth),
  };
})()"""


@pytest.mark.skipif(browser.find() is None, reason="no Chromium on this machine")
def test_every_page_is_whole_in_a_browser_without_a_network(pages):
    """From file://: no request leaves, nothing fails, mathematics and graphs are drawn, and a phone need not scroll."""
    wrong = []
    with browser.Browser() as chromium:
        for path in (path for path, page in pages.items() if page.body):  # the first page of all only leads to another
            for width in WIDTHS:
                seen, troubles = chromium.visit(path.as_uri(), width, LOOK)
                wrong += [(path.name, width, text) for text in troubles]
                wrong += [(path.name, width, what, count) for what, count in seen.items() if count]
    assert wrong == []


def test_what_a_notebook_shows_decides_its_stamp(tmp_path, monkeypatch):
    """A page is built again when its notebook, the package, the records or the versions change, and only then."""
    monkeypatch.setattr(book, "ROOT", tmp_path)
    parts = [tmp_path / name for name in ("notebooks/01.ipynb", "bbatch/a.py", "bbatch/published/t.csv",
                                          "results/mnist.parquet", "results/observed/mnist.parquet", "requirements.txt")]
    for part in parts:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("before")
    stamps = [book.stamp(parts[0])]
    assert book.stamp(parts[0]) == stamps[0]
    for part in parts:
        part.write_text("after")
        stamps.append(book.stamp(parts[0]))
    assert len(set(stamps)) == len(parts) + 1
