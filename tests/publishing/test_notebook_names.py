"""What the notebooks and benchmarks import from the package is there, and so is each name that they take from
one of its modules."""

import ast
import json
from importlib import import_module
from types import ModuleType

import pytest

from bbatch.records.store import ROOT

PLACES = ("notebooks/*.ipynb", "book/*.ipynb", "benchmarks/*.py")
FILES = [path for place in PLACES for path in sorted(ROOT.glob(place))]


def missing(code: str) -> list[str]:
    """The names of the package that the code asks for in vain."""
    bound, lacking = {}, []
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "bbatch":
            for alias in node.names:
                try:
                    bound[alias.asname or alias.name] = import_module(f"{node.module}.{alias.name}")
                except ModuleNotFoundError:
                    if not hasattr(import_module(node.module), alias.name):
                        lacking.append(f"{node.module}.{alias.name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = bound.get(node.value.id)
            if isinstance(module, ModuleType) and not hasattr(module, node.attr):
                lacking.append(f"{module.__name__}.{node.attr}")
    return lacking


def code_of(path) -> str:
    if path.suffix == ".py":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_name_is_there(path):
    assert missing(code_of(path)) == []


def test_a_name_that_is_gone_is_found():
    code = "from bbatch import metrics, nothing\nmetrics.frame([]); metrics.gone()"
    assert missing(code) == ["bbatch.nothing", "bbatch.metrics.gone"]
