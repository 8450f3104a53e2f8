"""Shared fixtures: tiny data sets that are made on the spot, and the real ones where their files are at
hand."""

from functools import cache

import pytest
import torch

from bbatch import data
from bbatch.publishing.notebooks import use_this_checkout
from factories import FILES

torch.set_num_threads(1)  # as the sweep's workers do
use_this_checkout()  # the kernels in which nbval runs the notebooks


@pytest.fixture(scope="session")
def real():
    """real(name): the named data set of Table I. Skips the test where its files are not at hand; never
    downloads."""

    @cache  # `load` keeps two: here each is read once
    def get(name):
        if name in FILES and data._find(*FILES[name]) is None:
            pytest.skip(f"the files of {name} are in neither BBATCH_DATA nor the cache folder")
        return data.load(name)

    return get
