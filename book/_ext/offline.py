"""Pages that need no network: MathJax and plotly.js ship with the book, and what would ask a CDN is dropped.

Both are copied to `_vendor/`, and our own scripts to `_js/`, outside `_static/`, since Jupyter Book links
every script under `_static/` on every page. MathJax is linked by Sphinx where there is mathematics
(`mathjax_path` in _config.yml), the rest here, on the pages that use it.
"""

import re
import shutil
from pathlib import Path

from docutils import nodes

KEPT = re.compile(r"\b[BNnr] = (?=[\d−])|(?<=\d) %|(?<=\d) ± (?=\d)")
BOOK = Path(__file__).resolve().parent.parent
SCRIPTS = {
    "page.js": ("",),
    "figures.js": ("bbatch-figure", 'id="explorer"'),
    "explorer.js": ('id="explorer"',),
    "toy.js": ('id="toy"',),
}  # script -> what needs it


def drop_thebe(app, config):
    """sphinx-thebe comes with Jupyter Book and puts the address of a CDN on every page, used or not."""
    for event, listeners in app.events.listeners.items():
        app.events.listeners[event] = [one for one in listeners if one.handler.__module__ != "sphinx_thebe"]
    app.registry.css_files = [one for one in app.registry.css_files if "thebe" not in one[0]]


def keep_one_footer(app, config):
    """The line of bbatch/publishing/provenance.py takes the place of author, copyright and date."""
    config.html_theme_options["footer_content_items"] = ["extra-footer.html"]


def link_what_is_used(app, pagename, templatename, context, doctree):
    """Link plotly.js on the pages that draw with it, and MathJax (2 MB) not on a page without mathematics.

    plotly.js goes in the head, since the graphs' own scripts come after. Sphinx links MathJax on a page
    without mathematics too where a page below it in the table of contents has some: on the landing page,
    always.
    """
    body = context.get("body", "")
    context["theme_extra_footer"] = context.get("theme_extra_footer", "").replace(
        "../", context.get("content_root", "../")
    )
    if 'class="plotly-graph-div"' in body:
        app.add_js_file("../_vendor/plotly.min.js")
    for script, signs in SCRIPTS.items():
        if any(sign in body for sign in signs):
            app.add_js_file(f"../_js/{script}", loading_method="defer")
    if 'class="math' not in body:
        context["script_files"] = [one for one in context["script_files"] if "mathjax" not in str(one)]


def keep_together(app, doctree, docname):
    """A number and its unit, or "B = 32", do not part at the end of a line."""
    for text in list(doctree.findall(nodes.Text)):
        if not isinstance(text.parent, (nodes.literal, nodes.literal_block, nodes.math, nodes.raw)):
            kept = KEPT.sub(lambda found: found[0].replace(" ", "\u00a0"), text)
            text.parent.replace(text, nodes.Text(kept))


def copy_vendored(app, error):
    """Put the scripts beside the pages."""
    if error is None and app.builder.format == "html":
        import plotly

        for folder in ("_vendor", "_js"):
            shutil.copytree(BOOK / folder, Path(app.outdir) / folder, dirs_exist_ok=True)
        shutil.copy(
            Path(plotly.__file__).parent / "package_data" / "plotly.min.js", Path(app.outdir) / "_vendor"
        )


def setup(app):
    app.connect("config-inited", drop_thebe)
    app.connect("config-inited", keep_one_footer)
    app.connect("html-page-context", link_what_is_used, priority=900)
    app.connect("doctree-resolved", keep_together)
    app.connect("build-finished", copy_vendored)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
