"""Shared fixtures: tiny data sets that are made on the spot, and the real ones where their files are at hand."""

from functools import cache

import numpy as np
import pytest
import torch

from bbatch import data
from bbatch.config import DATASETS

torch.set_num_threads(1)  # as the sweep's workers do

IMAGES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
FILES = {
    "mnist": [f"MNIST/raw/{f}" for f in data.MNIST_FILES],
    "cifar10": ["cifar-10-batches-py/data_batch_1", *data.CIFAR10_PACKED],
}


def tiny(name: str, n_train: int = 600, n_test: int = 100) -> data.Data:
    """Random samples in the form of the named data set: 20 features or uint8 images, labels that depend on them."""
    rng = np.random.default_rng(7)
    n, classes = n_train + n_test, DATASETS[name].classes
    y = rng.integers(0, classes, n)
    if name in IMAGES:
        x = rng.integers(0, 200, (n, *IMAGES[name]), dtype=np.uint8)
        x += (5 * y).astype(np.uint8)[:, None, None, None]
        more = {
            "stats": {"mnist": data.MNIST_STATS, "cifar10": data.CIFAR10_STATS}[name],
            "augment": name == "cifar10",
        }
    else:
        x, more = rng.standard_normal((n, 20)).astype(np.float32), {}
        x[:, :5] += y[:, None]
    return data._make(name, "random numbers", x[:n_train], y[:n_train], x[n_train:], y[n_train:], **more)


@pytest.fixture(scope="session")
def real():
    """real(name): the named data set of Table I. Skips the test where its files are not at hand; never downloads."""

    @cache  # `load` keeps two: here each is read once
    def get(name):
        if name in FILES and data._find(*FILES[name]) is None:
            pytest.skip(f"the files of {name} are in neither BBATCH_DATA nor the cache folder")
        return data.load(name)

    return get
