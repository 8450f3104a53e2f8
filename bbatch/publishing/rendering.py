"""The pages: executed notebooks and texts laid out as Jupyter Book reads them, and Jupyter Book over all."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from tqdm import tqdm

from ..pages.still import without_still
from ..repository import ROOT
from . import notebooks, provenance

BUILD = ROOT / "_build"
SOURCE = BUILD / "source"
HTML = BUILD / "html"
LOG = BUILD / "jupyter-book.log"


class BookFailed(RuntimeError):
    """The book could not be built; the message is one sentence for each thing that went wrong."""


def stage(made: dict[Path, Path], about: dict) -> None:
    """Lay out afresh what Jupyter Book reads, so that nothing of an earlier build is left.

    `made`: the executed copy of each committed notebook, whose place it takes. `about`: `provenance.facts`.
    """
    import nbformat

    for folder in (SOURCE, HTML, BUILD / ".doctrees", BUILD / "jupyter_execute"):
        shutil.rmtree(folder, ignore_errors=True)
    left_out = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "*.ipynb")
    shutil.copytree(ROOT / "book", SOURCE / "book", ignore=left_out)
    shutil.copy(ROOT / "_toc.yml", SOURCE)
    settings = yaml.safe_load((ROOT / "_config.yml").read_text())
    settings = yaml.safe_dump(configuration(settings, about), sort_keys=False, allow_unicode=True)
    (SOURCE / "_config.yml").write_text(settings)
    (SOURCE / "notebooks").mkdir()
    for path, executed in made.items():
        notebook = nbformat.read(executed, as_version=4)
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                _for_the_page(output)
        if path.parent == notebooks.FOLDER:
            said = (
                f"*This page is the notebook `notebooks/{path.name}`: `make lab` opens it in JupyterLab "
                "([how to run it](../book/how_to)).*"
            )
            notebook.cells.append(nbformat.v4.new_markdown_cell(said, id="opens"))
        nbformat.write(notebook, SOURCE / path.relative_to(ROOT))


def configuration(settings: dict, about: dict) -> dict:
    """_config.yml as Jupyter Book is to read it: with the line at the foot of the pages and, once the address
    of the repository is set, with the buttons that lead there, to Binder and to Colab."""
    html = settings["html"] | {"extra_footer": provenance.footer(about)}
    if not settings["repository"]["url"]:
        return {key: value for key, value in settings.items() if key != "launch_buttons"} | {"html": html}
    buttons = {f"use_{what}_button": True for what in ("repository", "issues", "edit_page")}
    return settings | {"html": html | buttons}


def _for_the_page(output) -> None:
    """Leave out what is for JupyterLab alone: MyST-NB warns of plotly's JSON even where HTML stands beside
    it."""
    if "text/html" in output.get("data", {}):
        output.data.pop("application/vnd.plotly.v1+json", None)
        output.data["text/html"] = without_still(output.data["text/html"])


def render() -> None:
    """Run Jupyter Book with warnings as errors; its full log is kept in _build/jupyter-book.log."""
    print("Pages: Jupyter Book, every warning an error.", flush=True)
    command = [sys.executable, "-m", "bbatch.publishing.jupyter_book_child", "build", str(SOURCE)]
    command += ["--path-output", str(ROOT), "-W", "-n", "--keep-going"]
    lines, form = [], "{desc:<8} {bar} {percentage:3.0f} %"
    # Its input is closed when this process ends, however it does; the child ends then.
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with (
        tqdm(total=200, bar_format=form, disable=not sys.stderr.isatty()) as bar,
        subprocess.Popen(command, cwd=ROOT, text=True, errors="replace", **pipes) as child,
    ):
        for line in child.stdout:
            lines.append(_plain(line))
            if found := re.match(r"(reading|writing) (?:sources|output)\.\.\. \[ *(\d+)%\]", lines[-1]):
                bar.set_description_str(found[1], refresh=False)
                done = int(found[2]) if found[1] == "reading" else 100 + int(found[2])
                bar.update(done - bar.n)
    LOG.write_text("".join(lines))
    if child.returncode != 0:
        said = [line.rstrip() for line in lines if line.strip(" =\n")]
        why = dict.fromkeys(line for line in said if re.search(r"\b(WARNING|ERROR|CRITICAL):", line))
        end = f"Jupyter Book stopped or warned; its whole log is {LOG}."
        raise BookFailed("\n".join([*(why or said[-4:]), end]))


def _plain(line: str) -> str:
    """A line without terminal colours, and with paths as the author of the page knows them."""
    return re.sub(r"\x1b\[[\d;]*m", "", line).replace(f"{SOURCE}{os.sep}", "")
