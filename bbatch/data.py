"""The five data sets of Table I as tensors, each with a fingerprint and a human name for its source.

The files of MNIST and CIFAR-10 are read in `image_files`.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import numpy as np
import torch

from . import image_files
from .config import DATASETS, SYNTHETIC
from .errors import BadInput, one_of
from .nests import told

# Channel mean and standard deviation. MNIST's are the paper's. The paper names none for CIFAR-10; these are
# the training set's own, to the digits in common use (our choice, recorded in the book).
MNIST_STATS = ((0.1307,), (0.3081,))
CIFAR10_STATS = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
CROP_PADDING = 4  # pixels; the paper says "random 32x32 crops" and no padding: 4 is the convention


@dataclass(frozen=True)
class Data:
    """A data set on one device.

    `train_x`, `test_x`: float32 [N, 20] features, or uint8 [N, H, W, C] images; `train_y`, `test_y`: int64
    [N]. `stats`: channel mean and standard deviation of images scaled to [0, 1], or None for features.
    `augment`: random flips and crops apply to training batches.
    """

    name: str
    source: str
    fingerprint: str
    train_x: torch.Tensor
    train_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor
    stats: tuple | None = None
    augment: bool = False

    def inputs(self, x: torch.Tensor) -> torch.Tensor:
        """Network inputs from stored ones: features as they are, images float32 [n, C, H, W]."""
        if self.stats is None:
            return x
        mean, std = (torch.tensor(s, dtype=torch.float32, device=x.device) for s in self.stats)
        return ((x.float() - 255 * mean) / (255 * std)).permute(0, 3, 1, 2)  # channels-last in memory

    def to(self, device) -> Self:
        moved = {k: getattr(self, k).to(device) for k in ("train_x", "train_y", "test_x", "test_y")}
        return replace(self, **moved)


def load(name: str, device: str = "cpu", *, download: bool = True) -> Data:
    """The named data set (Table I) on `device`; its files are read and checked, and the last two kept.

    With `download`, files found nowhere are fetched through torchvision. Raises `BadInput` for an unknown
    name or a device that is not there, `DataMissing` for a file that is absent, truncated or altered.
    """
    one_of("data set", name, DATASETS)
    return _read(name, download).to(usable(device))


def usable(device: str) -> str:
    """`device`, where tensors can be put there ("cpu", "cuda:0"). Raises `BadInput` otherwise."""
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = ["cpu", *(["cuda"] if there else []), *(f"cuda:{k}" for k in range(there))]
    if str(device) not in names:
        raise BadInput(
            f"device {device!r} cannot be used here; allowed are {', '.join(names)}"
            + ("." if there else " (PyTorch finds no CUDA device).")
        )
    return device


@lru_cache(maxsize=2)
def _read(name: str, download: bool) -> Data:
    if name in SYNTHETIC:
        return _synthetic(name)
    if (read := DATASETS[name].read) is not None:
        with told(f"data set {name!r} cannot be read"):
            return _as_announced(name, read(download))
    if name == "mnist":
        x, y, test_x, test_y = image_files.mnist(download)
        return made(name, "MNIST, canonical files", x, y, test_x, test_y, MNIST_STATS)
    x, y, test_x, test_y = image_files.cifar10(download)
    return made(name, "CIFAR-10, exact pixels", x, y, test_x, test_y, CIFAR10_STATS, augment=True)


def _as_announced(name: str, found: Data) -> Data:
    """A reader's own data set, if it has the sizes that its `DataSpec` says: runs are planned by those."""
    if not isinstance(found, Data):
        raise BadInput(
            f"what the function that reads {name!r} returns is of type {type(found).__name__}; it must be a "
            "data.Data."
        )
    spec, sizes = DATASETS[name], (len(found.train_y), len(found.test_y))
    if sizes != (spec.n_train, spec.n_test):
        raise BadInput(
            f"data set {name!r} has {sizes[0]} samples to train and {sizes[1]} to test; its `DataSpec` says "
            f"{spec.n_train} and {spec.n_test}. Both must agree."
        )
    return found


def random_crop_flip(images: torch.Tensor, dx, dy, flip) -> torch.Tensor:
    """Each image [n, H, W, C] shifted by (dy, dx) within a zero border, then mirrored where `flip`.

    `dx`, `dy`: int64 [n] in 0..2*CROP_PADDING (CROP_PADDING is no shift); `flip`: bool [n]. The same as
    torchvision's RandomCrop(padding=4) and RandomHorizontalFlip, for a whole batch at once.
    """
    n, h, w, c = images.shape
    pad = CROP_PADDING
    padded = images.new_zeros((n, h + 2 * pad, w + 2 * pad, c))
    padded[:, pad : pad + h, pad : pad + w] = images
    along = torch.arange(w, device=images.device)
    columns = torch.where(flip[:, None], along.flip(0), along) + dx[:, None]
    rows = torch.arange(h, device=images.device) + dy[:, None]
    which = torch.arange(n, device=images.device)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]]


def fingerprint(*arrays: np.ndarray) -> str:
    """sha256 over shapes, types and contents of the arrays, 64 hex digits."""
    digest = hashlib.sha256()
    for a in arrays:
        digest.update(f"{a.shape}{a.dtype.str}".encode())
        digest.update(np.ascontiguousarray(a).data)
    return digest.hexdigest()


def made(name: str, source: str, train_x, train_y, test_x, test_y, stats=None, augment: bool = False) -> Data:
    """A data set from NumPy arrays: features float32 [N, D] or images uint8 [N, H, W, C], and labels [N].

    The fingerprint covers the arrays, and how images are prepared where that is not as for the first records.
    """
    arrays = (train_x, train_y.astype(np.int64), test_x, test_y.astype(np.int64))
    digest = fingerprint(*arrays)
    prepared = (stats, CROP_PADDING if augment else None)
    if prepared != _FIRST_PREPARED.get(name, (None, None)):
        digest = hashlib.sha256(f"{digest} {prepared}".encode()).hexdigest()
    x, y, x2, y2 = map(torch.from_numpy, arrays)
    return Data(name, source, digest, x, y, x2, y2, stats, augment)


# Channel statistics and border of the crops of the first records, whose fingerprints cover the arrays alone.
_FIRST_PREPARED = {
    "mnist": (((0.1307,), (0.3081,)), None),
    "cifar10": (((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)), 4),
}


# What Section III-A gives to `make_classification`, beside the number of samples and the seed.
GENERATOR = {"n_features": 20, "n_informative": 15, "n_redundant": 5, "n_classes": 2}


def standardized(train_x: np.ndarray, test_x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both parts [N, D] as float32, scaled by the training part alone: nothing of the test set leaks."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train_x)
    train, test = (np.ascontiguousarray(scaler.transform(part), np.float32) for part in (train_x, test_x))
    return train, test


def _synthetic(name: str) -> Data:
    from sklearn.datasets import make_classification
    from sklearn.model_selection import train_test_split

    spec = DATASETS[name]
    x, y = make_classification(n_samples=spec.n_train + spec.n_test, random_state=42, **GENERATOR)
    # The paper gives sizes (Table I) but not how the split is drawn: a seeded 80/20 split, not stratified.
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.2, random_state=42)
    parts = standardized(train_x, test_x)
    return made(name, "scikit-learn make_classification", parts[0], train_y, parts[1], test_y)
