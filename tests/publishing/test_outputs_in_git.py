"""What git sees of a notebook that JupyterLab has saved, through the filter of `.gitattributes`."""

import json

import nbformat
import pytest

from bbatch.publishing import outputs


@pytest.fixture
def committed():
    """Two cells, of which the second keeps its text; indented otherwise than nbformat does."""
    cells = [nbformat.v4.new_code_cell("a = 1", id="one"), nbformat.v4.new_code_cell("a", id="two")]
    cells[1].metadata.tags, cells[1].execution_count = [outputs.TAG], 1
    cells[1].outputs = [nbformat.v4.new_output("display_data", {"text/plain": "1"})]
    return json.dumps(nbformat.v4.new_notebook(cells=cells), indent=2)


def saved(committed: str, text: str = "1", source: str = "a = 1") -> str:
    """The same after a run in JupyterLab."""
    notebook = nbformat.reads(committed, as_version=4)
    notebook.metadata["language_info"] = {"name": "python", "version": "3.13.1"}
    first, second = notebook.cells
    first.source, first.execution_count = source, 7
    first.outputs = [nbformat.v4.new_output("stream", text="noise")]
    second.execution_count = 8
    second.outputs = [nbformat.v4.new_output("execute_result", {"text/html": "<b>1</b>", "text/plain": text})]
    return nbformat.writes(notebook)


def test_to_have_run_a_notebook_is_no_change(committed):
    assert outputs.cleaned(saved(committed), committed) == committed


@pytest.mark.parametrize("change", [{"text": "2"}, {"source": "a = 2"}])
def test_another_text_or_another_cell_is_a_change(committed, change):
    found = outputs.cleaned(saved(committed, **change), committed)
    assert found != committed and "noise" not in found and "text/html" not in found
    assert outputs.cleaned(found, found) == found


def test_what_is_no_notebook_stays_as_it_is():
    assert outputs.cleaned("<<<<<<< ours", "") == "<<<<<<< ours"
