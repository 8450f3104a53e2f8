"""What all tests share: one thread, the real data sets, an empty place for measurements of geometry."""

import gc
import os
import subprocess
import sys
from functools import cache

import pytest
import torch

from bbatch import config, data, extensions, image_files, metrics, models, optimizers
from bbatch.publishing.execution import use_this_checkout
from bbatch.publishing.forked_kernels import fork_kernels
from bbatch.repository import ROOT
from factories import FILES
from small_geometry import empty_place

REGISTRIES = (
    config.DATASETS,
    config.LR_RULES,
    config.BATCH_SCHEDULES,
    config.LR_SCHEDULES,
    metrics.MORE_METRICS,
    models.NETWORKS,
    optimizers.OPTIMIZERS,
)

torch.set_num_threads(1)  # as the sweep's workers do; processes started here are told by the root's conftest
use_this_checkout()  # the kernels in which nbval runs the notebooks
fork_kernels()


def pytest_addoption(parser):
    parser.addoption(
        "--long",
        action="store_true",
        help="50 kills of each kind; every choice of parameters of each notebook",
    )


def pytest_configure(config):
    """The processes of a whole run find the compiled loop; else the first few would each compile it."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        here = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
        subprocess.Popen([sys.executable, "-c", "import faults.warm"], env=here)


def pytest_collection_modifyitems(items):
    """The book first: nothing else takes as long, and other processes go on meanwhile."""
    items.sort(key=lambda item: item.path.name != "test_book.py")


def pytest_collection_finish():
    """Garbage is collected without going through what is loaded by now, and less often: memory is plenty."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session")
def real():
    """real(name): the named data set of Table I; the test is skipped where its files are not at hand."""

    @cache  # `load` keeps two: here each is read once
    def get(name):
        if name in FILES and image_files._find(*FILES[name]) is None:
            pytest.skip(f"the files of {name} are in neither BBATCH_DATA nor the cache folder")
        return data.load(name)

    return get


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty store beside empty tables of geometry, tiny data, and little effort."""
    return empty_place(tmp_path, monkeypatch)


@pytest.fixture
def added(monkeypatch):
    """The additions, for one test."""
    before = [dict(registry) for registry in REGISTRIES]
    sys.modules.pop("additions", None)
    monkeypatch.setenv("BBATCH_EXTENSIONS", "additions")
    extensions.import_named()
    yield data.load("digits")
    for registry, kept in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(kept)
    data._read.cache_clear()
