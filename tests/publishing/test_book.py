"""The built book: whole, offline, and the same for everyone. The first test to ask for it builds it."""

import getpass
import hashlib
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

import browser
from bbatch.publishing import book, execution, notebooks, outputs, pdf, rendering
from bbatch.records.store import ROOT

WIDTHS = (1280, 390)  # a desktop's window and a phone's, in CSS pixels
THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def site() -> Path:
    """The folder of the built pages. Jupyter Book runs with warnings as errors, so a build that ends is
    clean."""
    return book.build_book().parent


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, BeautifulSoup]:
    return {
        path: BeautifulSoup(path.read_text(), "html.parser")
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.parts
    }


def plotly_graphs(path: Path) -> int:
    """How many plotly graphs the executed notebook at `path` shows."""
    cells = nbformat.read(path, as_version=4).cells
    return sum(
        "application/vnd.plotly.v1+json" in output.get("data", {})
        for cell in cells
        for output in cell.get("outputs", [])
    )


def test_every_page_of_the_table_of_contents_is_built(site):
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    names = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    assert [name for name in names if not (site / f"{name}.html").is_file()] == []


def test_every_notebook_is_in_the_table_of_contents(site):
    assert [
        path.stem for path in notebooks.paths() if not (site / "notebooks" / f"{path.stem}.html").is_file()
    ] == []


def test_every_page_shows_the_outputs_that_are_committed(site):
    """What nbval asks of the notebooks once more, and of all pages."""
    for path in book.pages():
        kept = {c.id: c.outputs for c in outputs.compared(nbformat.read(path, as_version=4))}
        assert outputs.texts_of(path, book.executed_copy(path)) == kept, path.stem


def test_a_notebook_executed_again_leaves_the_same_bytes(site, tmp_path):
    path = notebooks.paths()[0]
    again = execution.execute(path, {}, tmp_path / path.name, progress=False)
    assert again.read_bytes() == book.executed_copy(path).read_bytes()


def test_nothing_is_asked_of_the_network(pages):
    outside = re.compile(r"(https?:)?//")
    found = [
        (path.name, str(tag)[:120])
        for path, page in pages.items()
        for tag in page.find_all(
            ["script", "link", "img", "iframe", "source", "video", "audio", "embed", "object"]
        )
        for address in (tag.get("src"), tag.get("href"), tag.get("data"), tag.get("srcset"))
        if address and outside.match(address)
    ]
    assert found == []


def test_no_style_sheet_asks_the_network(site):
    asks = re.compile(r"(@import\s+|url\()\s*[\"']?(https?:)?//")
    assert [path.name for path in site.rglob("*.css") if asks.search(path.read_text())] == []


def test_every_local_link_and_anchor_leads_somewhere(site, pages):
    anchors = {
        path: {
            tag.get("id") or tag.get("name")
            for tag in page.find_all(id=True) + page.find_all("a", attrs={"name": True})
        }
        for path, page in pages.items()
    }
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
    silent = [
        (path.name, image.get("src", "")[:80])
        for path, page in pages.items()
        for image in page.find_all("img")
        if len(image.get("alt", "").strip()) < 3 or re.search(r"\.(png|svg|jpe?g)$", image["alt"])
    ]
    assert silent == []


def test_mathjax_is_linked_where_there_is_mathematics(pages):
    wrong = [
        path.name
        for path, page in pages.items()
        if bool(page.select(".math"))
        != bool(page.find("script", src=re.compile("_vendor/mathjax/tex-svg.js")))
    ]
    assert wrong == []
    assert any(page.select(".math") for page in pages.values())


def test_every_plotly_graph_reaches_its_page(site, pages):
    for executed in sorted(book.EXECUTED.glob("*.ipynb")):
        for path in (path for path in pages if path.stem == executed.stem and path.parent != site):
            count = len(pages[path].select("div.plotly-graph-div"))
            assert (path.name, count) == (path.name, plotly_graphs(executed))
    for path, page in pages.items():
        linked = page.find("script", src=re.compile("plotly.min.js")) is not None
        assert (path.name, linked) == (path.name, bool(page.select("div.plotly-graph-div")))


def test_no_page_shows_an_object_instead_of_its_content(pages):
    """`<IPython.core.display.Markdown object>` is what is left of an empty output, `object at 0x...` of no
    repr."""
    assert [
        (path.name, found)
        for path, page in pages.items()
        for found in re.findall(r"<[\w.]+ object[^>]*>", page.get_text())
    ] == []


def test_no_executed_notebook_holds_an_address_in_memory(site):
    """It would differ at each execution."""
    assert [path.name for path in book.EXECUTED.glob("*.ipynb") if " at 0x" in path.read_text()] == []


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
  // Observers of sizes answer in the frame after a resize: what they set must be there before axe looks.
  const frame = () => new Promise(requestAnimationFrame);
  await frame(); await frame();
  const all = (selector) => [...document.querySelectorAll(selector)];
  const undrawn = () => all(".plotly-graph-div").filter(e => !e.querySelector(".main-svg")).length;
  for (let wait = 0; wait < 300 && undrawn(); wait++) await new Promise(done => setTimeout(done, 100));
  return {
    "mathematics not typeset": all(".math").filter(e => !e.querySelector("mjx-container")).length,
    "words cut off by their figure": all(".bbatch-whole g[id*='-text_']").filter(e => {
      const word = e.getBoundingClientRect(), whole = e.closest("svg").getBoundingClientRect();
      return word.width && (word.left < whole.left - 1 || word.right > whole.right + 1 ||
                            word.top < whole.top - 1 || word.bottom > whole.bottom + 1);
    }).length,
    "errors in mathematics": all("mjx-merror, [data-mjx-error]").length,
    "graphs not drawn": undrawn(),
    "graphs cut off by their frame":
      all(".plotly-graph-div").filter(e => e.clientHeight > e.parentElement.clientHeight + 1).length,
    "images not shown": all("img").filter(e => e.complete && !e.naturalWidth).length,
    "figures without our script": all(".bbatch-figure:not([data-ready])").length,
    "explorer without a chart": all("#explorer").filter(e => !e.querySelector(".bbatch-chart circle")).length,
    "controls out of the keyboard's reach":
      all("main :is(a[href], button, input, select, summary)").filter(e => e.tabIndex < 0).length,
    "pixels the page is too wide": Math.max(0, document.documentElement.scrollWidth - window.innerWidth),
  };
})()"""

# Thousands of elements that axe-core need not go through: the insides of drawings, which have their words,
# the further rows of long tables, which are made as the first ones are, and the words of code folded away.
PRUNE = """document.querySelectorAll(
  ".bbatch-whole > g, .bbatch-panel, .plotly-graph-div svg, mjx-container, tbody > tr:nth-child(n+12), " +
  "details:not([open]) .highlight span").forEach(e => e.remove())"""

# axe-core (tests/axe, MPL-2.0) on what is left, two frames after the window was resized, for the same reason.
AXE = """(async () => {
  const root = document.documentElement, frame = () => new Promise(requestAnimationFrame);
  root.dataset.theme = root.dataset.mode = "%s";
  await frame(); await frame();
  const found = await axe.run({resultTypes: ["violations"],
                               runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}});
  return found.violations.filter(one => ["serious", "critical"].includes(one.impact)).flatMap(
    one => one.nodes.map(
      node => `${one.id}: ${node.html.slice(0, 120)} ${node.any.map(c => c.message).join(" ")}`));
})()"""
browsing = pytest.mark.skipif(browser.find() is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def chromium():
    with browser.Browser() as one:
        yield one


def look_at(paths: list[Path]) -> list[tuple]:
    """What is wrong with these pages, in a browser of its own, at each width: one in light and one in dark,
    the other way round on the next page."""
    axe, wrong = (Path(__file__).parents[1] / "axe" / "axe.min.js").read_text(), []
    with browser.Browser() as chromium:
        for number, path in enumerate(paths):
            wide, troubles = chromium.visit(path.as_uri(), WIDTHS[0], LOOK)
            wrong += [(path.name, text) for text in troubles]
            chromium.resize(WIDTHS[1])
            seen = zip(WIDTHS, (wide, chromium.evaluate(LOOK)), strict=True)
            wrong += [(path.name, width, what, n) for width, look in seen for what, n in look.items() if n]
            chromium.evaluate(f"{PRUNE}; {axe}; 0")
            for width, theme in zip(WIDTHS, (THEMES, THEMES[::-1])[number % 2], strict=True):
                chromium.resize(width)
                wrong += [(path.name, width, theme, text) for text in chromium.evaluate(AXE % theme)]
    return wrong


@browsing
def test_every_page_is_whole_and_accessible_in_a_browser_without_a_network(pages):
    """From file://: no request leaves, nothing fails, all is drawn, a phone need not scroll, axe-core is
    content."""
    paths = [path for path, page in pages.items() if page.body]  # the first page of all only leads to another
    with ThreadPoolExecutor(2) as pool:  # two browsers: the work is theirs
        assert [one for wrong in pool.map(look_at, (paths[::2], paths[1::2])) for one in wrong] == []


@browsing
def test_a_page_of_each_kind_is_whole_from_a_server(site, chromium):
    """All were looked at as files."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        wrong = []
        for name in ("book/index", "book/explorer", "book/background", "notebooks/08_loss_landscape"):
            address = f"http://127.0.0.1:{server.server_port}/{name}.html"
            seen, troubles = chromium.visit(address, WIDTHS[0], LOOK)
            wrong += [(name, text) for text in troubles] + [(name, what, n) for what, n in seen.items() if n]
        server.shutdown()
    assert wrong == []


@browsing
def test_figures_and_the_explorer_answer_to_the_keyboard(site, chromium):
    """Tab reaches a figure, arrows read its values, Enter leads to the runs behind one; a choice redraws the
    chart."""
    chromium.visit((site / "notebooks" / "02_accuracy_synthetic.html").as_uri(), WIDTHS[0], LOOK)
    for _ in range(200):
        chromium.press("Tab")
        if chromium.evaluate("document.activeElement.classList.contains('bbatch-whole')"):
            break
    chromium.press("ArrowRight")
    said = chromium.evaluate(
        "(tip => tip.hidden ? '' : tip.textContent)(document.querySelector('.bbatch-tip'))"
    )
    assert re.search(r"B = 1\n.*n = \d+.*95 %.*\nthe paper: ", said, re.S), said
    chromium.press("Enter")
    rows = """(async () => {
      for (let k = 0; k < 300 && !document.querySelector("#explorer-runs tr"); k++)
        await new Promise(done => setTimeout(done, 100));
      return document.querySelectorAll("#explorer-runs tbody tr").length;
    })()"""
    assert chromium.evaluate(rows) == int(re.search(r"n = (\d+)", said)[1])
    assert chromium.evaluate("location.pathname").endswith("/book/explorer.html")
    circles = "document.querySelectorAll('.bbatch-chart circle').length"
    before = chromium.evaluate(circles)
    chromium.evaluate("document.querySelector('input[value=\"synthetic-50k\"]').focus()")
    chromium.press(" ")
    assert chromium.evaluate(circles) != before
    chromium.evaluate("document.querySelector('.bbatch-chart svg').focus()")
    while "ours" not in chromium.evaluate("document.querySelector('.bbatch-tip').textContent"):
        chromium.press("ArrowRight")  # over the paper's points, which have no runs
    chromium.press("Enter")
    assert re.search(r"&B=1&of=synthetic-\w+,linear$", chromium.evaluate("location.hash"))
    assert chromium.evaluate("document.activeElement.tagName") == "svg"  # where the arrows go on from
    assert chromium.evaluate("document.querySelectorAll('.bbatch-chart .mean[r=\"7\"]').length") == 1


@browsing
def test_a_slider_walks_through_the_learning_curves(site, chromium):
    chromium.visit((site / "notebooks" / "02_accuracy_synthetic.html").as_uri(), WIDTHS[0], LOOK)
    shown = """[...document.querySelectorAll('[id*="-series-"]')]
      .filter(e => !e.style.opacity).map(e => e.id.split("-")[3])"""
    drawn = chromium.evaluate(shown)
    chromium.evaluate("document.querySelector('.bbatch-slider input').focus()")
    for position, name in enumerate(("B = 1", "B = 8"), 1):
        chromium.press("ArrowRight")
        assert chromium.evaluate("document.querySelector('.bbatch-slider output').textContent") == name
        assert chromium.evaluate(shown) == [str(position - 1)] * 2  # its line and its band
    assert len(drawn) == 16 and "all" == chromium.evaluate(
        "(range => { range.value = 0; range.dispatchEvent(new Event('input')); "
        "return range.nextSibling.textContent })"
        "(document.querySelector('.bbatch-slider input'))"
    )
    assert chromium.evaluate(shown) == drawn


def test_no_page_is_heavy(pages):
    """3 MB for a page, plotly.js and MathJax apart; surfaces may take more."""
    heavy = {
        path.name: path.stat().st_size for path, page in pages.items() if path.stat().st_size > 3_000_000
    }
    assert [name for name in heavy if "landscape" not in name] == []


def test_every_figure_has_words_and_every_page_its_origin(pages):
    for path, page in pages.items():
        assert all(len(figure.find("svg")["aria-label"]) > 20 for figure in page.select(".bbatch-figure")), (
            path.name
        )
        origin = page.select_one(".bbatch-provenance")
        assert not page.body or re.search("committed runs of .* at commit", origin.get_text()), path.name


def test_the_crate_names_every_page_and_record_as_it_is(site, pages):
    """The rules of RO-Crate 1.2: a descriptor, a root with what it must say, no dangling reference, no file
    missing."""
    document = json.loads((site / "ro-crate-metadata.json").read_text())
    assert document["@context"] == "https://w3id.org/ro/crate/1.2/context"
    graph = {entity["@id"]: entity for entity in document["@graph"]}
    assert len(graph) == len(document["@graph"]) and all("@type" in entity for entity in graph.values())
    about = graph["ro-crate-metadata.json"]
    assert about["conformsTo"]["@id"].startswith("https://w3id.org/ro/crate/") and about["about"] == {
        "@id": "./"
    }
    root = graph["./"]
    assert root["@type"] == "Dataset" and all(root[key] for key in ("name", "description", "license"))
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", root["datePublished"])
    assert set(re.findall(r'"@id": "([^"]+)"', json.dumps(document))) - set(graph) == {
        about["conformsTo"]["@id"]
    }
    files = {name for name, entity in graph.items() if entity["@type"] == "File"}
    assert files == {part["@id"] for part in root["hasPart"]}
    for name in files:
        content = (site / name).read_bytes()
        assert graph[name]["sha256"] == hashlib.sha256(content).hexdigest()
        assert graph[name]["contentSize"] == str(len(content))
    assert {str(path.relative_to(site)) for path in pages if path.parent != site} <= files
    assert {f"records/{path.name}" for path in (ROOT / "results").glob("*.parquet")} <= files


def test_the_whole_book_is_one_document_that_leads_within_itself(site, pages):
    """What `make pdf` prints: each page once, ids that do not clash, and no link to a page beside it."""
    whole = BeautifulSoup(pdf.joined(site), "html.parser")
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    names = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    assert [article["id"] for article in whole.find_all("article")] == [
        name.replace("/", "-") for name in names
    ]
    ids = [tag["id"] for tag in whole.find_all(id=True)]
    assert len(ids) == len(set(ids))
    links = [link["href"] for link in whole.find_all("a", href=True) if not urlsplit(link["href"]).scheme]
    assert [
        link for link in links if link.startswith("#") and len(link) > 1 and unquote(link[1:]) not in ids
    ] == []
    assert [link for link in links if ".html" in link] == []


def test_buttons_wait_for_the_address_of_the_repository():
    settings = yaml.safe_load((ROOT / "_config.yml").read_text())
    about = {
        "commit": "abc",
        "runs": 1,
        "records": "f" * 64,
        "data": [],
        "hardware": [],
        "first": "",
        "last": "",
    }
    without = rendering.configuration(settings | {"repository": {"url": ""}}, about)
    assert "launch_buttons" not in without and not any("button" in key for key in without["html"])
    address = rendering.configuration(
        settings | {"repository": {"url": "https://example.org/a/b", "branch": "main"}}, about
    )
    assert {"binderhub_url", "colab_url"} <= set(address["launch_buttons"]) and address["html"][
        "use_repository_button"
    ]


def test_what_a_notebook_shows_decides_its_stamp(tmp_path, monkeypatch):
    """A page is built again when its notebook, the package, the records or the versions change, and only
    then."""
    monkeypatch.setattr(book, "ROOT", tmp_path)
    parts = [
        tmp_path / name
        for name in (
            "notebooks/01.ipynb",
            "bbatch/a.py",
            "bbatch/paper/t.csv",
            "results/mnist.parquet",
            "results/observed/mnist.parquet",
            "requirements.txt",
        )
    ]
    for part in parts:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("before")
    stamps = [book.stamp(parts[0])]
    assert book.stamp(parts[0]) == stamps[0]
    for part in parts:
        part.write_text("after")
        stamps.append(book.stamp(parts[0]))
    assert len(set(stamps)) == len(parts) + 1
