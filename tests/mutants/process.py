"""Tests in a process of their own, with a fault in one file of the package: forked from one that has imported
all but the package, which takes seconds off each."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType

from .calls import PACKAGE

ROOT = PACKAGE.parent
OTHERS = (
    *(
        "numba",
        "numpy",
        "pandas",
        "pyarrow.parquet",
        "scipy.stats",
        "torch",
        "torchvision",
        "sklearn.datasets",
    ),
    *(
        "matplotlib.pyplot",
        "plotly.graph_objects",
        "nbformat",
        "nbclient",
        "papermill",
        "distributed",
        "pytest",
    ),
)


def prepare() -> None:
    """Import what the package imports."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT / "tests"))
    for name in OTHERS:
        importlib.import_module(name)


class Faulty(SourceFileLoader):
    """Finds and loads one module of the package, from other code than its file holds."""

    def __init__(self, file: str, code: CodeType):
        name = f"bbatch.{file.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")
        super().__init__(name, str(PACKAGE / file))
        self.code = code

    def find_spec(self, name, path=None, target=None):
        return spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname):
        return self.code


class First:
    """A plugin for pytest: the first test that fails."""

    failed = ""

    def pytest_runtest_logreport(self, report):
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report):
        if report.failed and not self.failed:
            self.failed = f"the import of {report.nodeid}"


def run_tests(arguments: list[str], *plugins) -> None:
    import pytest

    pytest.main([*arguments, "-q", "-p", "no:cacheprovider"], plugins=list(plugins))


def killer(file: str, fault: CodeType | str, tests: list[str], seconds: float) -> str:
    """The first of the tests that fails where `file` of the package is `fault`: code of a module, or the text
    of a table of the paper. "time" where they take longer than `seconds`; empty where none fails."""

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
        found = in_child(work, seconds)
    return "" if found == "none" else found


def in_child(work: Callable[[], str], seconds: float) -> str:
    """What `work` returns, run in a forked process and in silence; "time" where it takes longer than that,
    "crash" where it returns nothing."""
    read, write = os.pipe()
    if not (child := os.fork()):
        os.setsid()
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(null, stream)
        try:
            os.write(write, work().encode())
        finally:
            os._exit(0)
    os.close(write)
    os.set_blocking(read, False)
    found, part, end = b"", None, time.monotonic() + seconds
    while part != b"":
        if time.monotonic() > end:
            found = b"time"
            break
        try:
            found += (part := os.read(read, 65536))
        except BlockingIOError:
            time.sleep(0.05)
    os.close(read)
    try:
        os.killpg(child, signal.SIGKILL)  # what it started, as well
    except ProcessLookupError:
        pass
    os.waitpid(child, 0)
    return found.decode() or "crash"
