"""Committed outputs: renewed by one command, and a wrong result in the package fails the notebook."""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest

from bbatch.errors import BadInput
from bbatch.publishing import __main__, outputs
from bbatch.repository import ROOT

NOTEBOOK = "05_generalization_gap.ipynb"


@pytest.fixture
def make(tmp_path):
    """make(source, ...): a notebook of these code cells, the first of them tagged."""

    def write(*sources):
        cells = [nbformat.v4.new_code_cell(source, id=f"cell-{k}") for k, source in enumerate(sources)]
        cells[0].metadata.tags = [outputs.TAG]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "made.ipynb")
        return tmp_path / "made.ipynb"

    return write


def test_a_tagged_cell_keeps_its_text_and_no_other_keeps_anything(make):
    path = make(
        "import pandas as pd\nfrom bbatch.pages import report\n"
        "print('one')\nreport.show(pd.DataFrame({'batch_size': [8], 'gap': ['1.00']}), 'Gaps')",
        "print('two')",
    )
    assert outputs.renew([str(path)]) == [path]
    first, second = nbformat.read(path, as_version=4).cells
    assert first.execution_count and second.execution_count is None and second.outputs == []
    printed, table = first.outputs
    assert printed.text == "one\n" and list(table.data) == ["text/plain"]
    assert table.data["text/plain"].split() == ["Gaps", "batch", "size", "gap", "8", "1.00"]
    assert outputs.renew([str(path)]) == []  # nothing changes the second time
    other = path.with_name("other.ipynb")
    other.write_text(path.read_text().replace("1.00", "1.01"))
    assert outputs.texts_of(path, path) == {first.id: first.outputs} != outputs.texts_of(path, other)


@pytest.mark.parametrize("source", ["object()", "from IPython.display import HTML\nHTML('<b>1</b>')"])
def test_what_has_no_text_is_refused_by_the_name_of_its_cell(make, source):
    with pytest.raises(BadInput, match="'cell-0' of made.ipynb"):
        outputs.renew([str(make(source))])


def nbval(folder, name=NOTEBOOK) -> subprocess.CompletedProcess:
    """nbval over one notebook of a checkout, as `make test` runs it."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"notebooks/{name}"]
    command += ["--nbval-lax", "--nbval-current-env"]
    paths = {"PYTHONPATH": str(folder), "BBATCH_STORE": str(folder / "store")}
    return subprocess.run(command, cwd=folder, env=os.environ | paths, capture_output=True, text=True)


@pytest.fixture
def checkout(tmp_path):
    """A copy of what a notebook stands on."""
    for name in ("bbatch", "notebooks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("conftest.py", "pytest.ini"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "results").symlink_to(ROOT / "results")
    return tmp_path


@pytest.mark.slow
def test_a_turned_sign_in_the_package_fails_the_notebook(checkout):
    """As the package is, the notebook passes: `make test` runs it with the others. Here those cells pass that
    show nothing of the sign."""
    source, right = checkout / "bbatch" / "metrics.py", '"gap_running": running - test,'
    assert source.read_text().count(right) == 1
    source.write_text(source.read_text().replace(right, '"gap_running": test - running,'))
    found = nbval(checkout)
    assert found.returncode == 1 and "Cell outputs differ" in found.stdout, found.stdout[-2000:]
    assert re.search(r"\d+ failed, \d+ passed", found.stdout), found.stdout[-2000:]


@pytest.mark.parametrize("words", [("clean",), ("clean", "a", "b")])
def test_a_filter_without_its_path_is_refused_in_a_sentence(words, capsys):
    assert __main__.main(*words) == 2
    assert capsys.readouterr().err == "clean takes one path, that of the notebook in the repository.\n"


@pytest.mark.parametrize("words", [(), ("books",), ("",)])
def test_what_is_not_made_here_is_refused_in_a_sentence(words, capsys):
    assert __main__.main(*words) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.endswith("allowed are book, pdf, outputs and clean PATH.\n")
