"""Committed outputs: what nbval, and the test of the built book, hold a notebook's numbers against.

A cell tagged `nbval-check-output` keeps its output in the committed notebook, as text. A wrong sign in the
package then fails the notebook, and not the tests of that module alone. All other cells are committed without
outputs."""

import re
import tempfile
from pathlib import Path

import nbformat

from ..errors import BadInput
from . import book, execution, notebooks
from .forked_kernels import fork_kernels

TAG = "nbval-check-output"
UNTOLD = re.compile(r"<[\w.]+ object|\bat 0x[0-9a-f]+")  # what stands for an object that has no text


def compared(notebook) -> list:
    """The cells of a notebook whose outputs are compared."""
    return [cell for cell in notebook.cells if TAG in cell.metadata.get("tags", [])]


def renew(names: list[str] = ()) -> list[Path]:
    """Execute the notebooks named (all that have such cells, where none is) and write the outputs of their
    tagged cells into them; returns those that changed. Records that are not committed take no part: run
    under an empty store.

    Raises `NotebookFailed` where a cell raises, `BadInput` where a tagged cell shows nothing as text."""
    fork_kernels()
    wanted = [notebooks.find(name) for name in names] or book.pages()
    return [path for path in wanted if compared(nbformat.read(path, as_version=4)) and _renewed(path)]


def _renewed(path: Path) -> bool:
    notebook, before = nbformat.read(path, as_version=4), path.read_text()
    with tempfile.TemporaryDirectory() as folder:
        executed = execution.execute(path, output=Path(folder) / path.name)
        found = texts_of(path, executed)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    for cell in compared(notebook):
        cell.outputs = found[cell.id]
        cell.execution_count = 1  # nbval compares no cell without one
    nbformat.write(notebook, path)
    return path.read_text() != before


def texts_of(path: Path, executed: Path) -> dict[str, list]:
    """What the tagged cells of the executed copy of a notebook show, as text, by their ids."""
    tagged = compared(nbformat.read(executed, as_version=4))
    return {cell.id: [_as_text(output, path, cell) for output in cell.outputs] for cell in tagged}


def cleaned(text: str, before: str) -> str:
    """A notebook that JupyterLab has saved, as it would be committed: no outputs but texts of tagged cells.

    Where cells, tags and texts are those of `before`, its committed form, it is `before` to the last byte: to
    have run a notebook is no change. A text that is no notebook stays as it is."""
    try:
        notebook = nbformat.reads(text, as_version=4)
        kept = compared(notebook)
        for cell in (c for c in notebook.cells if c.cell_type == "code"):
            texts = [
                o for o in cell.outputs if o.output_type == "stream" or "text/plain" in o.get("data", {})
            ]
            cell.outputs = [_plain(output) for output in texts] if cell in kept else []
            cell.execution_count = 1 if cell.outputs else None
        if before and _content(notebook) == _content(nbformat.reads(before, as_version=4)):
            return before
        return nbformat.writes(notebook) + "\n"
    except Exception:  # nbformat raises many kinds
        return text


def _content(notebook) -> list:
    """What a commit is about: type, text, tags and outputs of each cell."""
    return [
        (c.cell_type, c.source, c.metadata.get("tags", []), [dict(_plain(o)) for o in c.get("outputs", [])])
        for c in notebook.cells
    ]


def _plain(output):
    if output.output_type == "stream":
        return output
    return nbformat.v4.new_output("display_data", {"text/plain": output["data"]["text/plain"]})


def _as_text(output, path: Path, cell):
    """An output with its text alone."""
    if output.output_type == "stream":
        return output
    text = output.get("data", {}).get("text/plain", "")
    if not text or UNTOLD.search(text):
        raise BadInput(
            f"cell {cell.id!r} of {path.name} is tagged {TAG} and shows {text or 'nothing'!r}, which is no "
            "text that could be compared; print it, or show a table."
        )
    return _plain(output)
