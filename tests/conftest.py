"""What all tests share: one thread, and the real data sets where their files are at hand."""

from functools import cache

import pytest
import torch

from bbatch import data
from factories import FILES

torch.set_num_threads(1)  # as the sweep's workers do


@pytest.fixture(scope="session")
def real():
    """real(name): the named data set of Table I; the test is skipped where its files are not at hand."""

    @cache  # `load` keeps two: here each is read once
    def get(name):
        if name in FILES and data._find(*FILES[name]) is None:
            pytest.skip(f"the files of {name} are in neither BBATCH_DATA nor the cache folder")
        return data.load(name)

    return get
