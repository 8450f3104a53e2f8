"""Generator problems of any size: one call of `make_classification`, a nested part of it, one large test set.

`make_classification` draws its geometry from the same stream as its samples, so that two calls of different
size are two problems. Here each problem is drawn once, at full size, and smaller training sets are its first
samples: what differs between them is their number alone. The test set is common to all sizes and large, so
that its sampling error (0.05 points at 98.7 %) does not hide a difference of one point, which it would with
the 200 samples that an 80/20 split leaves of 1,000.
"""

from functools import lru_cache

import numpy as np

from ..data import GENERATOR, Data, made, standardized
from ..errors import whole

POOL = 50_000  # the largest N; 80 % of it train, as in the paper's split
TEST = 50_000


@lru_cache(maxsize=1)
def _draw(problem: int) -> tuple[np.ndarray, np.ndarray]:
    """All samples of a problem, shuffled by the generator; Section III-A's features and classes."""
    from sklearn.datasets import make_classification  # takes a second; most who import this draw nothing

    return make_classification(n_samples=POOL + TEST, random_state=problem, **GENERATOR)


@lru_cache(maxsize=2)
def problem_data(problem: int, n_train: int) -> Data:
    """The first `n_train` samples of a problem to train on, standardized by their own mean and deviation as
    in `data`, and its `TEST` last samples to test on. Raises `BadInput` for an `n_train` above 80 % of
    `POOL`."""
    whole("number of training samples", n_train, 1, POOL * 4 // 5)
    x, y = _draw(problem)
    train_x, test_x = standardized(x[:n_train], x[POOL:])
    name = "generator-problem"
    return made(name, "scikit-learn make_classification", train_x, y[:n_train], test_x, y[POOL:])
