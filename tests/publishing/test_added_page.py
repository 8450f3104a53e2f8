"""A page of one's own: a notebook beside the others and a line in `_toc.yml`, nothing else.

It is built in another checkout than the one that is installed here, and must take its package from there.
"""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from bbatch.repository import ROOT

PAGE = [
    nbformat.v4.new_markdown_cell("# A page of mine", id="title"),
    nbformat.v4.new_code_cell("seed: int = 42", id="given", metadata={"tags": ["parameters"]}),
    nbformat.v4.new_code_cell(
        "from pathlib import Path\nfrom IPython.display import Markdown\n"
        "from bbatch import config, repository\nfrom bbatch.records.store import Store\n"
        "here, store = Path.cwd().parent, Store().folder\n"
        "Markdown(f'Seed {seed} of {len(config.DATASETS)} data sets. '\n"
        "         f'Own package: {repository.ROOT == here}. Own store: {store == here / \"mine\"}.')",
        id="said",
    ),
]


@pytest.fixture
def checkout(tmp_path):
    """A small checkout: the package, its records, the start page's neighbours, and the page."""
    ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "*.ipynb", "*.md")
    for folder in ("bbatch", "results", "book"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    for name in ("_config.yml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("index", "check", "how_to"):
        (tmp_path / "book" / f"{name}.md").write_text(f"# {name}\n")
    (tmp_path / "notebooks").mkdir()
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=PAGE, metadata=kernel)
    nbformat.write(notebook, tmp_path / "notebooks" / "20_mine.ipynb")
    chapters = [{"file": name} for name in ("book/check", "book/how_to", "notebooks/20_mine")]
    toc = {"format": "jb-book", "root": "book/index", "chapters": chapters}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc))
    return tmp_path


def test_a_page_is_a_notebook_and_a_line(checkout):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "BBATCH_STORE": "mine"}
    command = [sys.executable, "-m", "bbatch.publishing", "book"]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    html = checkout / "_build" / "html"
    page = BeautifulSoup((html / "notebooks" / "20_mine.html").read_text(), "html.parser")
    text = page.get_text()
    assert "Seed 42 of 5 data sets. Own package: True. Own store: True." in text
    assert "This page is the notebook notebooks/20_mine.ipynb" in text
    start = BeautifulSoup((html / "book" / "index.html").read_text(), "html.parser")
    assert start.find("a", href="../notebooks/20_mine.html").get_text(strip=True) == "A page of mine"
