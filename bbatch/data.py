"""The five data sets of Table I as tensors, each with a fingerprint and a human name for its source.

A file is looked for in the folder named by BBATCH_DATA, then in the cache folder, then downloaded through
torchvision. A file that is altered or truncated is refused by name, never replaced in silence.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from .config import DATASETS, SYNTHETIC
from .errors import BadInput, DataMissing, one_of
from .repository import folder_named

MNIST_FILES = {  # md5 of the four canonical IDX files, unpacked
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
# sha256 of CIFAR-10 packed without loss: columns `img` (WebP, lossless) and `label`. Not the official files,
# but the official pixels, which the fingerprint shows.
CIFAR10_PACKED = {
    "cifar10/train.parquet": "76522599dde7113367db9eb81c6927c21f2a73be7a98e623e27bf1ca08817e55",
    "cifar10/test.parquet": "e5c8674c4444ea82643b7ceda5aff3f55e891d9e8d1f775099de538501185ee6",
}
CIFAR10_FINGERPRINT = "97f32195dab0d164aaab005fc1ebb69556a1a5493916f4de37b54bff17371658"
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
        """Network inputs from stored ones: features as they are, images normalised to float32 [n, C, H,
        W]."""
        if self.stats is None:
            return x
        mean, std = (torch.tensor(s, dtype=torch.float32, device=x.device) for s in self.stats)
        return ((x.float() - 255 * mean) / (255 * std)).permute(0, 3, 1, 2)  # channels-last in memory

    def to(self, device) -> Data:
        moved = {k: getattr(self, k).to(device) for k in ("train_x", "train_y", "test_x", "test_y")}
        return replace(self, **moved)


def load(name: str, device: str = "cpu", *, download: bool = True) -> Data:
    """The named data set (Table I) on `device`; its files are read and checked once a process.

    With `download`, files found nowhere are fetched through torchvision. Raises `BadInput` for an unknown
    name or a device that is not there, `DataMissing` for a file that is absent, truncated or altered.
    """
    one_of("data set", name, DATASETS)
    return _read(name, download).to(usable(device))


def usable(device: str) -> str:
    """`device`, where tensors can be put there: "cpu", "cuda" or "cuda:0" and so on. Raises `BadInput`
    otherwise."""
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = ["cpu"] + ["cuda"] * bool(there) + [f"cuda:{k}" for k in range(there)]
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
    read = DATASETS[name].read or {"mnist": _mnist, "cifar10": _cifar10}[name]
    return read(download)


def random_crop_flip(images: torch.Tensor, dx, dy, flip) -> torch.Tensor:
    """Each image [n, H, W, C] shifted by (dy, dx) within a border of zeros, then mirrored where `flip` is
    True.

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


def cache_folder() -> Path:
    """Where downloads are kept: XDG_CACHE_HOME/bbatch, else ~/.cache/bbatch."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bbatch"


def made(name: str, source: str, train_x, train_y, test_x, test_y, stats=None, augment: bool = False) -> Data:
    """A data set from NumPy arrays: features float32 [N, D] or images uint8 [N, H, W, C], and labels [N].

    The fingerprint covers the arrays, and how images are prepared where that is not as for the first records.
    """
    arrays = (train_x, train_y.astype(np.int64), test_x, test_y.astype(np.int64))
    digest = fingerprint(*arrays)
    prepared = (stats, CROP_PADDING if augment else None)
    if prepared != _FIRST_PREPARED.get(name, (None, None)):
        digest = hashlib.sha256(f"{digest} {prepared}".encode()).hexdigest()
    return Data(name, source, digest, *(torch.from_numpy(a) for a in arrays), stats, augment)


# Channel statistics and border of the crops of the first records, whose fingerprints cover the arrays alone.
_FIRST_PREPARED = {
    "mnist": (((0.1307,), (0.3081,)), None),
    "cifar10": (((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)), 4),
}


# What Section III-A gives to `make_classification`, beside the number of samples and the seed.
GENERATOR = {"n_features": 20, "n_informative": 15, "n_redundant": 5, "n_classes": 2}


def standardised(train_x: np.ndarray, test_x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both parts [N, D] as float32, scaled by the training part alone: nothing of the test set leaks."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train_x)
    return tuple(np.ascontiguousarray(scaler.transform(part), np.float32) for part in (train_x, test_x))


def _synthetic(name: str) -> Data:
    from sklearn.datasets import make_classification
    from sklearn.model_selection import train_test_split

    spec = DATASETS[name]
    x, y = make_classification(n_samples=spec.n_train + spec.n_test, random_state=42, **GENERATOR)
    # The paper gives sizes (Table I) but not how the split is drawn: a seeded 80/20 split, not stratified.
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.2, random_state=42)
    parts = standardised(train_x, test_x)
    return made(name, "scikit-learn make_classification", parts[0], train_y, parts[1], test_y)


def _folders() -> list[Path]:
    named = folder_named("BBATCH_DATA")
    if named and not named.is_dir():
        raise DataMissing(
            f"BBATCH_DATA names {str(named)!r}, which is not a folder; name an existing one or unset it."
        )
    return ([named] if named else []) + [cache_folder()]


def _find(*needed: str) -> Path | None:
    """The first folder that holds any of the needed files; they are then all taken from there."""
    return next((f for f in _folders() if any((f / n).exists() for n in needed)), None)


def _checked(path: Path, kind: str, expected: str) -> Path:
    """`path`, once its checksum has been found as expected."""
    remedy = "restore it, or remove it to have it downloaded again"
    if not path.is_file():
        raise DataMissing(f"{path} is missing ({kind} {expected} expected); {remedy}.")
    found = hashlib.new(kind, path.read_bytes()).hexdigest()
    if found != expected:
        raise DataMissing(
            f"{path} is altered or truncated: {kind} {expected} expected, {found} found; {remedy}."
        )
    return path


def _download(what: str, fetch, allowed: bool) -> None:
    if not allowed:
        raise DataMissing(f"{what} is not here yet; the first run that needs it downloads it.")
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataMissing(
            f"{what} is not here and its folder {str(cache_folder())!r} cannot be made ({error.strerror}); "
            "name a writable one in XDG_CACHE_HOME, or put the files into one named by BBATCH_DATA."
        ) from error
    try:
        fetch()
    except Exception as error:  # torchvision raises many kinds here; all mean the same to the user
        raise DataMissing(
            f"{what} is not in BBATCH_DATA nor in the cache and could not be downloaded "
            f"({type(error).__name__}); put its files there or connect to a network."
        ) from error


def _mnist(download: bool) -> Data:
    from torchvision.datasets import MNIST

    names = [f"MNIST/raw/{f}" for f in MNIST_FILES]
    root = _find(*names)
    if root is None:
        root = cache_folder()
        _download("MNIST", lambda: MNIST(root, download=True), download)
    arrays = [_idx(_checked(root / "MNIST/raw" / f, "md5", md5)) for f, md5 in MNIST_FILES.items()]
    return made(
        "mnist",
        "MNIST, canonical files",
        arrays[0][..., None],
        arrays[1],
        arrays[2][..., None],
        arrays[3],
        stats=MNIST_STATS,
    )


def _idx(path: Path) -> np.ndarray:
    """A file in IDX format: two zero bytes, type 8 (bytes), number of dimensions, each as a big-endian int32,
    contents.

    Read here and not through torchvision, which would take an older processed copy beside it, unchecked.
    """
    content = path.read_bytes()
    shape = np.frombuffer(content, ">i4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape).copy()


def _cifar10(download: bool) -> Data:
    """CIFAR-10, exact pixels: from the official batches, or packed without loss, in one order
    (`in_byte_order`)."""
    from torchvision.datasets import CIFAR10

    official = {
        f"{CIFAR10.base_folder}/{f}": md5
        for f, md5 in (
            *CIFAR10.train_list,
            *CIFAR10.test_list,
            (CIFAR10.meta["filename"], CIFAR10.meta["md5"]),
        )
    }
    root = _find(*official)
    packed = _find(*CIFAR10_PACKED)
    if root is None and packed is not None:
        parts = [_unpacked(_checked(packed / f, "sha256", sha)) for f, sha in CIFAR10_PACKED.items()]
    else:
        if root is None:
            root = cache_folder()
            _download("CIFAR-10", lambda: CIFAR10(root, download=True), download)
        for f, md5 in official.items():
            _checked(root / f, "md5", md5)
        parts = [(p.data, np.array(p.targets)) for p in (CIFAR10(root, train=t) for t in (True, False))]
    arrays = [a for images, labels in parts for a in in_byte_order(images, labels)]
    return made("cifar10", "CIFAR-10, exact pixels", *arrays, stats=CIFAR10_STATS, augment=True)


def in_byte_order(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, H, W, C] and labels [N], sorted by the images' bytes, row by row.

    The order in which a copy of CIFAR-10 lists its images is a matter of packing. Sorted, every copy with the
    same pixels gives the same arrays, so the same fingerprint and, from one seed, the same training. No two
    images of a split of CIFAR-10 are equal.
    """
    rows = np.ascontiguousarray(images).reshape(len(images), -1)
    order = np.argsort(rows.view(f"S{rows.shape[1]}").ravel(), kind="stable")
    return images[order], labels[order]


def _unpacked(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 32, 32, 3] and labels of a Parquet file of encoded images (columns `img`, `label`)."""
    import pyarrow.parquet as pq
    from PIL import Image

    table = pq.read_table(path, columns=["img", "label"])
    images = [np.asarray(Image.open(io.BytesIO(b)).convert("RGB")) for b in table["img"].to_pylist()]
    return np.stack(images), table["label"].to_numpy().astype(np.int64)
