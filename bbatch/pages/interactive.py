"""The one way to show a plotly figure: the book's own plotly.js, words, and a picture.

The book links the script once a page (book/_ext/offline.py), JupyterLab brings its own. A reader without
JavaScript gets the picture, one who listens gets the words; no network is asked for anything.
"""

import json
import re
from html import escape

import plotly.graph_objects as go
import plotly.io as pio
from matplotlib.figure import Figure

from . import parameters
from .picture import inline
from .still import png

# A surface takes a second and more to draw: first the page is there to be read, then its figures are drawn,
# one by one. "bbatch-drawn" tells the page (book/_js/page.js).
LATER = """<script>addEventListener("load", () => setTimeout(() => {%s
document.getElementById("%s").dispatchEvent(new Event("bbatch-drawn", {bubbles: true}));
}, 50));</script>"""
CONFIG = {"displaylogo": False, "responsive": True}
CONFIG |= {"modeBarButtonsToRemove": ["sendChartToCloud"]}  # the one button that would ask a server


class Shown:
    """What a cell shows of a plotly figure: JSON for JupyterLab, HTML for the book."""

    def __init__(self, bundle: dict[str, object]):
        self.bundle = bundle

    def __repr__(self) -> str:
        """The same at each execution: it stands in the notebook as text."""
        return "an interactive figure"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, object]:
        return self.bundle


def embedded(figure: go.Figure, name: str, alt: str, static: Figure, finding: str = "") -> Shown:
    """A plotly figure ready to be the last line of a cell.

    name    unique on its page: the graph's id, the same at every build
    alt     what is to be seen, in words: its caption, and what is read to those who cannot see it
    static  a matplotlib figure of the same, shown where there is no JavaScript
    finding its title

    A figure without anything to draw shows nothing: the sentences beside it say what is missing.
    """
    if not figure.data:
        return Shown({"text/html": ""})
    alt = alt.replace("*", "")  # of Markdown
    figure.update_layout(modebar={"bgcolor": "rgba(0,0,0,0)", "color": "#8a8a8a", "activecolor": "#0072b2"})
    how = dict(full_html=False, include_plotlyjs=False, config=CONFIG, div_id=name)
    graph = pio.to_html(figure, default_height=f"{figure.layout.height or 450}px", **how)
    before, script, after = re.split("<script[^>]*>|</script>", graph)
    graph = before + LATER % (script, name) + after
    picture = f'<img src="data:image/png;base64,{png(static)}" alt="{escape(alt)}">'
    finding = parameters.finding(finding)
    title = f'<p class="bbatch-finding">{inline(finding)}</p>' if finding else ""
    kind = "bbatch-turning" + (" bbatch-many full-width" if len(list(figure.select_scenes())) > 2 else "")
    html = (
        f'<figure class="{kind}" aria-label="{escape(alt)}">{title}{graph}<noscript>{picture}</noscript>'
        f"<figcaption>{inline(alt)}</figcaption></figure>"
    )
    plotly = json.loads(figure.to_json()) | {"config": CONFIG}
    return Shown({"application/vnd.plotly.v1+json": plotly, "text/html": html})
