"""MNIST and CIFAR-10 as arrays, from their files: looked for, checked, and downloaded where they are nowhere.

A file is looked for in the folder named by BBATCH_DATA, then in the cache folder, then downloaded through
torchvision. A file that is altered or truncated is refused by name, never replaced in silence.
"""

import hashlib
import io
from pathlib import Path

import numpy as np

from .errors import DataMissing
from .repository import cache_folder, folder_named

Arrays = list[np.ndarray]  # images uint8 [N, H, W, C] and labels [N] of training, then of testing

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


def mnist(download: bool) -> Arrays:
    """MNIST from its four canonical files. Raises `DataMissing`."""
    from torchvision.datasets import MNIST

    root = _find(*(f"MNIST/raw/{f}" for f in MNIST_FILES))
    if root is None:
        root = cache_folder()
        _download("MNIST", lambda: MNIST(root, download=True), download)
    files = [_checked(root / "MNIST/raw" / f, "md5", md5) for f, md5 in MNIST_FILES.items()]
    train_x, train_y, test_x, test_y = map(_idx, files)
    return [train_x[..., None], train_y, test_x[..., None], test_y]


def cifar10(download: bool) -> Arrays:
    """CIFAR-10, exact pixels: official batches or lossless packing, `in_byte_order`. Or `DataMissing`."""
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
    return [array for images, labels in parts for array in in_byte_order(images, labels)]


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


def _idx(path: Path) -> np.ndarray:
    """A file in IDX format: two zeros, type 8 (bytes), dimensions, each a big-endian int32, contents.

    Read here and not through torchvision, which would take an older processed copy beside it, unchecked.
    """
    content = path.read_bytes()
    shape = np.frombuffer(content, ">i4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape).copy()


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
    """Images uint8 [N, 32, 32, 3] and labels of a Parquet file of WebP images (columns `img`, `label`)."""
    import pyarrow.parquet as pq
    from PIL import Image

    table = pq.read_table(path, columns=["img", "label"])
    files = map(io.BytesIO, table["img"].to_pylist())
    images = [np.asarray(Image.open(file, formats=["WEBP"])) for file in files]  # named: half the time
    return np.stack(images), table["label"].to_numpy().astype(np.int64)
