"""Tests in a process of their own, with a fault in one file of the package: forked from one that has imported
all but the package, which takes seconds off each."""

import importlib
import multiprocessing
import os
import shutil
import sys
import tempfile
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType

from .hunt import PACKAGE, ROOT, in_child, module_name

OTHERS = (
    "numba numpy pandas pyarrow.parquet scipy.stats torch torchvision sklearn.datasets matplotlib.pyplot"
    " plotly.graph_objects nbformat nbclient papermill distributed pytest"
).split()


def prepare() -> None:
    """Import what the package imports."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT / "tests"))
    for name in OTHERS:
        importlib.import_module(name)


class Faulty(SourceFileLoader):
    """Finds and loads one module of the package, from other code than its file holds."""

    def __init__(self, file: str, code: CodeType):
        super().__init__(module_name(file), str(PACKAGE / file))
        self.code = code

    def find_spec(self, name, path=None, target=None):
        return spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname):
        return self.code


class First:
    """A plugin for pytest: the first test that fails."""

    failed = "the import of a conftest"  # until there is a session

    def pytest_sessionstart(self):
        self.failed = ""

    def pytest_runtest_logreport(self, report):
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report):
        if report.failed and not self.failed:
            self.failed = f"the import of {report.nodeid}"


def run_tests(arguments: list[str], *plugins) -> None:
    import pytest

    pytest.main([*arguments, "-p", "no:cacheprovider", "-p", "no:terminal"], plugins=list(plugins))


def killer(file: str, fault: CodeType | str, tests: list[str]) -> str:
    """The first of the tests that fails where `file` of the package is `fault`: code of a module, or the text
    of a table of the paper. "time" where they compute for more than ten minutes; empty where none fails."""

    def work():
        if isinstance(fault, str):
            from bbatch import published

            published.FOLDER = Path(shutil.copytree(published.FOLDER, Path(folder) / "paper"))
            (published.FOLDER / Path(file).name).write_text(fault)
        else:
            sys.meta_path.insert(0, Faulty(file, fault))
        first = First()
        run_tests(["-x", *tests], first)
        return first.failed or "none"

    with tempfile.TemporaryDirectory() as folder:
        found = in_child(work, 600)
    return "" if found == "none" else found


def in_room(work, answer):
    """What `work(ask)` returns, in a forked process; what it asks there is answered here."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()

    def run():
        def ask(*question):
            there.send(("asked", question))
            return there.recv()

        there.send(("done", work(ask)))

    child = fork.Process(target=run)
    child.start()
    there.close()
    while (said := here.recv())[0] == "asked":
        here.send(answer(*said[1]))
    child.join()
    return said[1]
