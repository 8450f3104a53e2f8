"""A matplotlib figure on a page: the page's colours, caption, words, values to hover, lines to toggle.

The drawing is inline SVG. Each colour has a twin for dark pages, chosen by CSS; on a phone the book's style
sheet shows the panels one below the other; without JavaScript or style sheet, as in JupyterLab, the figure is
whole. What `book/_js/figures.js` adds to it, it reads from a JSON block.
"""

import hashlib
import io
import json
import re
from dataclasses import dataclass, field
from html import escape
from weakref import WeakKeyDictionary

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from . import parameters
from .still import still
from .style import dark, is_grey

SCALE = 1.9  # CSS pixels a point that a panel is drawn at, at most, where it stands alone
WHOLE = 1.45  # and a whole figure: its labels, of 11 points, are then as large as the words of the page


@dataclass
class Notes:
    """What a page shows of a figure beside its drawing."""

    title: str = ""  # the finding, where one panel's own title does not say it
    caption: str = ""  # what is drawn, n and units
    runs: str = ""  # the part of the explorer's address that picks the runs behind it
    # (axis, x, y, text, part of the explorer's address) of each value to point at, in data coordinates
    tips: list[tuple] = field(default_factory=list)
    series: dict[str, list[str]] = field(default_factory=dict)  # ids of the artists of a line, by its name


_NOTES: WeakKeyDictionary[Figure, Notes] = WeakKeyDictionary()


def notes(figure: Figure) -> Notes:
    """The notes of a figure, to be read and added to; they live as long as it does."""
    return _NOTES.setdefault(figure, Notes())


def describe(figure: Figure, caption: str, runs: str = "") -> Figure:
    """Give a figure its caption and runs (see `Notes`). Returns the figure."""
    about = notes(figure)
    about.caption, about.runs = caption, runs
    return figure


def titled(figure: Figure, finding: str) -> Figure:
    """Give a figure its finding as the title: above the drawing, where it wraps on a phone. Returns the
    figure."""
    notes(figure).title = finding
    return figure


def tip(axis, x, y, texts, runs=None) -> None:
    """Texts to show where a reader points at (x, y) of `axis`, in data coordinates, each with its part of the
    explorer's address in `runs`."""
    links = runs or [""] * len(texts)
    notes(axis.figure).tips += [(axis, *point) for point in zip(x, y, texts, links, strict=True)]


def series(axis, name: str, *artists) -> None:
    """Artists of one line that a reader may switch off together."""
    known = notes(axis.figure).series
    known[name] = [f"series-{len(known)}-{k}" for k in range(len(artists))]
    for artist, gid in zip(artists, known[name], strict=True):
        artist.set_gid(gid)


def json_block(content) -> str:
    """A JSON block for a script of the page to read; no text in it can end the block or begin another."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>'


def html(figure: Figure) -> str:
    """The figure as HTML: the same bytes for the same figure."""
    about = notes(figure)
    figure.set_dpi(72)  # as the drawing: the layout depends on it
    drawing, panels = _svg(figure), _panels(figure)
    label = "fig-" + hashlib.sha256(drawing.encode()).hexdigest()[:8]
    # Where colours are a scale, they stay as they are.
    scale = any(axis.get_label() == "<colorbar>" for axis in figure.axes)
    drawing = _named(_colours(_short(drawing), only_greys=scale), label)
    width, height = (72 * length for length in figure.get_size_inches())
    drawn, finding = words(figure), parameters.finding(about.title)
    alt = escape(f"{finding}. {drawn}" if finding else drawn, quote=True)
    whole = f'<g id="{label}">{drawing}</g>'
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width * 4 / 3:.0f}" height="{height * 4 / 3:.0f}"'
    boxes = "".join(
        f'<svg class="bbatch-panel" style="display: none; max-width: {w * SCALE:.0f}px" '
        f'viewBox="{x:.1f} {y:.1f} {w:.1f} {h:.1f}" aria-hidden="true"><use href="#{label}"/></svg>'
        for x, y, w, h in panels
    )
    ids = {name: [f"{label}-{gid}" for gid in gids] for name, gids in about.series.items()}
    more = {key: value for key, value in (("tips", _tips(figure)), ("series", ids)) if value}
    said = about.caption + parameters.note()
    caption = f"<figcaption>{inline(said)}</figcaption>" if said else ""
    title = f'<p class="bbatch-finding">{inline(finding)}</p>' if finding else ""
    kind = "bbatch-figure bbatch-many full-width" if panels else "bbatch-figure"
    return (
        f'<figure class="{kind}" data-runs="{escape(about.runs)}">{title}<div class="bbatch-drawing">'
        f'<svg class="bbatch-whole" role="img" aria-label="{alt}" {size} '
        f'style="max-width: min(100%, {width * WHOLE:.0f}px)">{whole}</svg>{boxes}</div>'
        f"{caption}{json_block(more)}{still(figure, alt)}</figure>"
    )


def unbroken(text: str) -> str:
    """The text with "B = 32" and its like kept on one line."""
    return re.sub(r"\b([BNnr]) = (?=[\d−])", "\\1\u00a0=\u00a0", text)


def inline(text: str) -> str:
    """A caption as HTML: "B = 32" and "5 %" on one line, what stands in backticks as code."""
    kept = re.sub(r"(?<=\d) %", "\u00a0%", unbroken(text))
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(kept))


def words(figure: Figure) -> str:
    """What a figure draws, panel by panel: its title, axes and the lines of its key."""
    said, key = [], []
    for axis in figure.axes:
        if legend := axis.get_legend():
            key += [text.get_text().replace("\n", " ") for text in legend.get_texts()]
        title = " ".join(filter(None, (axis.get_title(loc=loc) for loc in ("left", "center", "right"))))
        if not axis.axison:
            said += [title] if title else []  # a drawing without axes
        elif axis.get_xlabel() or axis.get_ylabel() or axis.get_title(loc="left"):
            shared = next((a.get_ylabel() for a in figure.axes if a.get_ylabel()), "")
            what = f"{axis.get_ylabel() or shared} against {axis.get_xlabel() or 'position'}"
            said.append(f"{title}: {what}" if title else what)
    return ". ".join(["Chart", *said]) + (f". Key: {'; '.join(dict.fromkeys(key))}." if key else ".")


def _svg(figure: Figure) -> str:
    """What stands inside the <svg> element: white ground left out, ids that do not change."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "bbatch"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    inside = buffer.getvalue().split("<svg", 1)[1].split(">", 1)[1].rsplit("</svg>", 1)[0]
    return re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", inside, flags=re.DOTALL)


def _short(svg: str) -> str:
    """Coordinates to a hundredth of a point; scales, which are small numbers, stay."""

    def rounded(found):
        return found[1] + re.sub(r"-?\d+\.\d{3,}", lambda n: f"{float(n[0]):.2f}", found[2]) + '"'

    return re.sub(r"\n\s*", "\n", re.sub(r'(\s(?:d|x|y)=")([^"]*)"', rounded, svg))


def _named(svg: str, label: str) -> str:
    """Ids that are this figure's own: several drawings share a page."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{label}-\1"', svg)
    return re.sub(r'((?:xlink:)?href="|url\()#([^")]+)', rf"\1#{label}-\2", svg).replace("xlink:href", "href")


def _colours(svg: str, only_greys: bool) -> str:
    """Each fill and stroke with its twin for the dark; a browser that knows no twins takes the first."""

    def both(found):
        twin = dark(found[2].lower())
        if twin == found[2].lower() or (only_greys and not is_grey(found[2])):
            return found[0]
        return f"{found[1]}: {found[2]}; {found[1]}: light-dark({found[2]}, {twin})"

    svg = svg.replace('<g id="figure_1">', '<g id="figure_1" style="fill: #000000">', 1)
    return re.sub(r"\b(fill|stroke): (#[0-9a-fA-F]{6})", both, svg)


def _place(figure: Figure, axis, x, y) -> np.ndarray:
    """Data coordinates as points of the drawing, from its upper left corner: (n, 2)."""
    at = axis.transData.transform(np.column_stack([np.asarray(x, float), np.asarray(y, float)]))
    share = figure.transFigure.inverted().transform(at)
    return np.column_stack([share[:, 0], 1 - share[:, 1]]) * 72 * figure.get_size_inches()


def _tips(figure: Figure) -> list:
    """[x, y, text, address] for each value to point at: the tips, else the marked lines' points."""
    found = []
    for axis in figure.axes:
        points = [tip[1:] for tip in notes(figure).tips if tip[0] is axis]
        points = points or (_marked(axis) if axis.axison else [])
        if points:
            x, y, texts, links = zip(*points, strict=True)
            for (a, b), text, link in zip(_place(figure, axis, x, y), texts, links, strict=True):
                if np.isfinite([a, b]).all():
                    found.append([round(float(a), 1), round(float(b), 1), text, link])
    return found


def _marked(axis) -> list:
    what = [(axis.get_xlabel() or "x").split(" (log")[0], (axis.get_ylabel() or "y").split(" (log")[0]]
    points = []
    for line in axis.lines:
        data = line.get_xydata()
        if line.get_marker() in ("o", "s", "d", "D", "^") and 1 < len(data) <= 64:
            name = "" if line.get_label().startswith("_") else line.get_label().replace("\n", " ") + ": "
            points += [(x, y, f"{name}{what[0]} {x:.4g}, {what[1]} {y:.4g}", "") for x, y in data]
    return points


def _panels(figure: Figure) -> list[tuple[float, float, float, float]]:
    """The boxes (x, y, width, height in points) of a drawn figure's panels, a level colour bar and the key
    below all panels being two of them; none where there is one panel, or an upright colour bar, a third
    dimension or pictures in rows tie them together."""
    shown = [axis for axis in figure.axes if axis.get_visible()]
    bars = [axis.get_window_extent() for axis in shown if axis.get_label() == "<colorbar>"]
    if (
        len(shown) - len(bars) < 2
        or any(bar.height > bar.width for bar in bars)
        or any(axis.name == "3d" for axis in shown)
        or any(axis.images and not len(axis.get_xticks()) for axis in shown)
    ):
        return []
    height = 72 * figure.get_size_inches()[1]
    margin = 1
    boxes = [axis.get_tightbbox() for axis in shown] + [key.get_window_extent() for key in figure.legends]
    around = [box.padded(margin) for box in boxes if box]
    return [(b.x0, height - b.y1, b.width, b.height) for b in around]
