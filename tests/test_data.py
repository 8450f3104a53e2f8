"""Table I's data sets: sizes, scaling, fingerprints, augmentation, and files that are missing or damaged."""

import hashlib
import io
import pickle
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from sklearn.datasets import make_classification

import reference
from bbatch import data, image_files, repository
from bbatch.config import DATASETS, SYNTHETIC
from bbatch.errors import BadInput, DataMissing
from factories import FILES, tiny


def digest(d):
    return data.fingerprint(*(t.numpy() for t in (d.train_x, d.train_y, d.test_x, d.test_y)))


@pytest.mark.parametrize("name", DATASETS)
def test_sizes_types_and_classes(name, real):
    spec, d = DATASETS[name], real(name)
    assert (len(d.train_x), len(d.test_x)) == (len(d.train_y), len(d.test_y)) == (spec.n_train, spec.n_test)
    assert d.train_x[0].numel() == d.test_x[0].numel() == spec.features
    assert d.train_y.dtype == d.test_y.dtype == torch.int64
    assert d.train_x.dtype == d.test_x.dtype == (torch.float32 if name in SYNTHETIC else torch.uint8)
    counts = torch.bincount(d.train_y, minlength=spec.classes)
    assert len(counts) == spec.classes and counts.min() > 0.8 * spec.n_train / spec.classes
    assert d.augment == (name == "cifar10") and (d.stats is None) == (name in SYNTHETIC)
    assert d.fingerprint == digest(d) and re.fullmatch("[0-9a-f]{64}", d.fingerprint) and d.source


def test_mnist_statistics_and_labels(real):
    d = real("mnist")
    assert torch.bincount(d.train_y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert torch.bincount(d.test_y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    scaled = d.train_x.double() / 255
    assert (round(scaled.mean().item(), 4), round(scaled.std().item(), 4)) == (0.1307, 0.3081)


def test_cifar10_statistics_and_labels(real):
    d = real("cifar10")
    assert (
        torch.bincount(d.train_y).tolist() == [5000] * 10 and torch.bincount(d.test_y).tolist() == [1000] * 10
    )
    inputs = d.inputs(d.train_x[::10]).double()
    assert inputs.mean((0, 2, 3)).abs().max() < 0.02 and (inputs.std((0, 2, 3)) - 1).abs().max() < 0.02


def test_cifar10_at_hand_has_the_official_pixels(real):
    """The fingerprint was taken from the official release; channel means and deviations are those published
    for it."""
    d = real("cifar10")
    assert d.fingerprint == "97f32195dab0d164aaab005fc1ebb69556a1a5493916f4de37b54bff17371658"
    assert d.source == "CIFAR-10, exact pixels"
    pixels = d.train_x.double().reshape(-1, 3)
    assert pixels.mean(0).tolist() == pytest.approx([125.30691805, 122.95039414, 113.86538318], abs=1e-8)
    assert pixels.std(0, correction=0).tolist() == pytest.approx(
        [62.99321928, 62.08870764, 66.70489964], abs=1e-8
    )


def test_every_packing_of_the_same_pixels_gives_the_same_data(elsewhere, monkeypatch):
    """Small batches as the official release pickles them, and the same images packed in another order as
    Parquet."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    images[1::2] = images[::2]  # pairs that differ in one byte, the last or the first
    images[1::4, -1, -1, -1] ^= 1
    images[3::4, 0, 0, 0] ^= 128
    labels = rng.integers(0, 10, 24)
    official_batches(elsewhere / "cifar-10-batches-py", images, labels, monkeypatch)
    official = load_afresh("cifar10")
    shutil.rmtree(elsewhere / "cifar-10-batches-py")
    packed_files(elsewhere, images[::-1], labels[::-1], monkeypatch)
    packed = load_afresh("cifar10")
    assert official.fingerprint == packed.fingerprint and official.source == packed.source
    rows = [bytes(image) for image in official.train_x.numpy()]
    assert rows == sorted(rows) == sorted(bytes(image) for image in images[:20])
    of_image = {bytes(image): label for image, label in zip(images, labels, strict=True)}
    assert [of_image[row] for row in rows] == official.train_y.tolist()


def official_batches(folder, images, labels, monkeypatch):
    """Twenty images in five training batches, the rest as the test batch, in the layout of
    `cifar-10-batches-py`."""
    from torchvision.datasets import CIFAR10

    folder.mkdir()
    parts = dict(zip([name for name, _ in CIFAR10.train_list], np.split(np.arange(20), 5), strict=True))
    parts[CIFAR10.test_list[0][0]] = np.arange(20, len(images))
    content = {
        name: {
            "data": images[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1),
            "labels": labels[rows].tolist(),
        }
        for name, rows in parts.items()
    }
    content[CIFAR10.meta["filename"]] = {CIFAR10.meta["key"]: list("abcdefghij")}
    sums = {}
    for name, value in content.items():
        (folder / name).write_bytes(pickle.dumps(value))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name, _ in CIFAR10.train_list])
    monkeypatch.setattr(CIFAR10, "test_list", [[name, sums[name]] for name, _ in CIFAR10.test_list])
    monkeypatch.setitem(CIFAR10.meta, "md5", sums[CIFAR10.meta["filename"]])


def packed_files(folder, images, labels, monkeypatch):
    """The same split as Parquet files of lossless WebP; `images` and `labels` begin with the test set."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    (folder / "cifar10").mkdir()
    test = len(images) - 20
    for name, part in zip(image_files.CIFAR10_PACKED, (slice(test, None), slice(test)), strict=True):
        encoded = []
        for image in images[part]:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "WEBP", lossless=True, exact=True)
            encoded.append(buffer.getvalue())
        pq.write_table(pa.table({"img": encoded, "label": pa.array(labels[part], pa.uint8())}), folder / name)
        monkeypatch.setitem(
            image_files.CIFAR10_PACKED, name, hashlib.sha256((folder / name).read_bytes()).hexdigest()
        )


@pytest.mark.parametrize("name", SYNTHETIC)
def test_synthetic_sets_are_scaled_by_their_training_part_alone(name):
    d, spec = data.load(name), DATASETS[name]
    train, test = d.train_x.double().numpy(), d.test_x.double().numpy()
    assert np.abs(train.mean(0)).max() < 1e-6 and np.abs(train.std(0) - 1).max() < 1e-6
    assert np.abs(test.mean(0)).max() > 1e-4  # the test part has other means: nothing of it was used
    raw, labels = make_classification(
        n_samples=spec.n_train + spec.n_test,
        n_features=20,
        n_informative=15,
        n_redundant=5,
        n_classes=2,
        random_state=42,
    )
    order = np.random.RandomState(42).permutation(len(raw))  # how scikit-learn's seeded split draws
    held_out, kept = order[: spec.n_test], order[spec.n_test :]
    mean, std = raw[kept].mean(0), raw[kept].std(0)
    assert np.allclose(train, (raw[kept] - mean) / std, atol=1e-5)
    assert np.allclose(test, (raw[held_out] - mean) / std, atol=1e-5)
    assert np.array_equal(d.train_y, labels[kept]) and np.array_equal(d.test_y, labels[held_out])


def test_synthetic_features_are_fifteen_and_five_combinations_of_them():
    d = data.load("synthetic-10k")
    assert np.linalg.matrix_rank(d.train_x.double().numpy(), tol=1e-2) == 15


def test_data_are_the_same_every_time():
    once, again = data._synthetic("synthetic-1k"), data._synthetic("synthetic-1k")
    assert once.fingerprint == again.fingerprint and torch.equal(once.train_x, again.train_x)
    assert len({data.load(name).fingerprint for name in SYNTHETIC}) == 3


def test_fingerprint_sees_one_bit_a_shape_and_a_type():
    a = np.arange(24, dtype=np.uint8).reshape(4, 6)
    seen = {data.fingerprint(a)}
    b = a.copy()
    b[3, 5] ^= 1
    for other in (b, a.reshape(6, 4), a.view(np.int8), a.T, a[:3]):
        seen.add(data.fingerprint(other))
    assert len(seen) == 6
    assert data.fingerprint(a) == data.fingerprint(np.asfortranarray(a))  # contents, not their layout
    assert data.fingerprint(a, b) != data.fingerprint(b, a)


def test_fingerprint_of_a_data_set_sees_one_bit_in_any_part():
    d = tiny("mnist", 20, 10)
    prints = {digest(d)}
    for part in ("train_x", "train_y", "test_x", "test_y"):
        changed = getattr(d, part).clone()
        changed.view(-1)[-1] ^= 1
        prints.add(digest(replace(d, **{part: changed})))
    assert len(prints) == 5 and d.fingerprint in prints


def test_crop_and_flip_against_slices_of_single_images():
    """All 81 shifts, each plain and mirrored, against one image at a time; no shift and no flip is the
    identity."""
    images = tiny("cifar10", 162, 1).train_x
    dx, dy, flip = (
        torch.tensor(v)
        for v in zip(*[(x, y, f) for x in range(9) for y in range(9) for f in (0, 1)], strict=True)
    )
    got = data.random_crop_flip(images, dx, dy, flip.bool())
    for image, result, *how in zip(images, got, dx.tolist(), dy.tolist(), flip.tolist(), strict=True):
        assert torch.equal(reference.crop_and_flip(image.permute(2, 0, 1), *how).permute(1, 2, 0), result)
    still = torch.full((162,), data.CROP_PADDING)
    assert torch.equal(
        data.random_crop_flip(images, still, still, torch.zeros(162, dtype=torch.bool)), images
    )


def test_crop_and_flip_against_torchvision():
    images = tiny("cifar10", 30, 1).train_x
    v2 = torchvision.transforms.functional
    rng = np.random.default_rng(0)
    dx, dy, flip = rng.integers(0, 9, 30), rng.integers(0, 9, 30), rng.integers(0, 2, 30)
    got = data.random_crop_flip(images, *(torch.from_numpy(v) for v in (dx, dy, flip.astype(bool))))
    for i, image in enumerate(images):
        window = v2.crop(v2.pad(image.permute(2, 0, 1), 4), int(dy[i]), int(dx[i]), 32, 32)
        expected = v2.hflip(window) if flip[i] else window
        assert torch.equal(got[i].permute(2, 0, 1), expected)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """BBATCH_DATA and the cache in empty folders, no network; returns the first. Data read before stays
    unread."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("BBATCH_DATA", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def refuse(self, *words):
        raise OSError("no network here")

    for kind in (torchvision.datasets.MNIST, torchvision.datasets.CIFAR10):
        monkeypatch.setattr(kind, "download", refuse)
    return folder


def load_afresh(name):
    return data._read.__wrapped__(name, True)


def copied(files, to):
    """Copies of real files under another folder; skips the test where they are not at hand."""
    source = image_files._find(*files)
    if source is None or not all((source / f).is_file() for f in files):
        pytest.skip("the real files are in neither BBATCH_DATA nor the cache folder")
    for f in files:
        (to / f).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / f, to / f)


@pytest.fixture
def mnist_copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    copied(FILES["mnist"], folder)
    return folder


def one_sentence(error):
    message = str(error.value)
    assert message.endswith(".") and "\n" not in message and "; " in message
    return message


@pytest.mark.parametrize("damage", ["altered", "truncated", "missing", "empty"])
def test_damaged_mnist_files_are_named_with_both_checksums(damage, mnist_copy, elsewhere):
    name = "t10k-labels-idx1-ubyte"
    path = elsewhere / "MNIST/raw" / name
    shutil.copytree(mnist_copy, elsewhere, dirs_exist_ok=True)
    content = bytearray(path.read_bytes())
    if damage == "altered":
        content[-1] ^= 1
    content = {"truncated": content[:-1], "empty": b""}.get(damage, content)
    path.write_bytes(content)
    if damage == "missing":
        path.unlink()
    with pytest.raises(DataMissing) as error:
        load_afresh("mnist")
    message = one_sentence(error)
    assert str(path) in message and image_files.MNIST_FILES[name] in message and "restore it" in message
    if damage == "missing":
        assert "is missing" in message
    else:
        assert hashlib.md5(content).hexdigest() in message


def test_damage_in_bbatch_data_is_not_papered_over_by_a_whole_cache(mnist_copy, elsewhere, monkeypatch):
    """No silent fallback: what BBATCH_DATA holds in part is refused, though the cache holds it whole."""
    shutil.copytree(mnist_copy, repository.cache_folder())
    assert load_afresh("mnist").source.startswith("MNIST")  # from the cache
    (elsewhere / "MNIST/raw").mkdir(parents=True)
    (elsewhere / "MNIST/raw/train-images-idx3-ubyte").write_bytes(b"half a file")
    with pytest.raises(DataMissing, match="train-images-idx3-ubyte is altered or truncated"):
        load_afresh("mnist")


@pytest.mark.parametrize("damage", ["altered", "truncated", "missing"])
def test_damaged_packed_files_are_named_with_both_checksums(damage, elsewhere, tmp_path, monkeypatch):
    """Any content does for the check: it comes before decoding."""
    train, test = image_files.CIFAR10_PACKED
    whole = b"what the file holds" * 100
    monkeypatch.setitem(image_files.CIFAR10_PACKED, train, hashlib.sha256(whole).hexdigest())
    content = {"altered": b"W" + whole[1:], "truncated": whole[:50]}.get(damage)
    (elsewhere / "cifar10").mkdir()
    (elsewhere / test).write_bytes(b"there")
    if content:
        (elsewhere / train).write_bytes(content)
    with pytest.raises(DataMissing) as error:
        load_afresh("cifar10")
    message = one_sentence(error)
    assert str(elsewhere / train) in message and image_files.CIFAR10_PACKED[train] in message
    assert damage == "missing" or hashlib.sha256(content).hexdigest() in message


def test_a_damaged_official_batch_is_not_replaced_by_packed_files(elsewhere):
    for name in image_files.CIFAR10_PACKED:
        (elsewhere / name).parent.mkdir(exist_ok=True)
        (elsewhere / name).write_bytes(b"never looked at")
    (elsewhere / "cifar-10-batches-py").mkdir()
    (elsewhere / "cifar-10-batches-py/data_batch_1").write_bytes(b"not the batch")
    with pytest.raises(DataMissing) as error:
        load_afresh("cifar10")
    message = one_sentence(error)
    assert str(elsewhere / "cifar-10-batches-py" / "data_batch_1") in message
    assert "c99cafc152244af753f735de768cd75f" in message  # the official md5 of that file
    assert hashlib.md5(b"not the batch").hexdigest() in message


@pytest.mark.parametrize("name, title", [("mnist", "MNIST"), ("cifar10", "CIFAR-10")])
def test_absent_data_without_network(name, title, elsewhere):
    with pytest.raises(DataMissing) as error:
        load_afresh(name)
    words = f"{title} is not in BBATCH_DATA nor in the cache and could not be downloaded (OSError)"
    assert words in one_sentence(error)


def test_data_at_hand_need_no_network(mnist_copy, elsewhere):
    shutil.copytree(mnist_copy, elsewhere, dirs_exist_ok=True)
    assert len(load_afresh("mnist").train_x) == 60_000


def test_synthetic_sets_need_no_files(elsewhere):
    assert len(load_afresh("synthetic-1k").train_x) == 800


def test_bbatch_data_must_be_a_folder(elsewhere, monkeypatch):
    monkeypatch.setenv("BBATCH_DATA", str(elsewhere / "nowhere"))
    with pytest.raises(
        DataMissing, match="nowhere', which is not a folder; name an existing one or unset it"
    ):
        load_afresh("mnist")


def test_an_unknown_data_set_is_refused():
    with pytest.raises(
        BadInput, match="data set 'svhn' is unknown; allowed are synthetic-1k, .*, mnist, cifar10."
    ):
        data.load("svhn")


def test_a_readers_own_data_set_that_cannot_be_read_is_named(monkeypatch):
    def gone(download):
        raise FileNotFoundError("iris.csv is gone")

    monkeypatch.setitem(DATASETS, "iris", replace(DATASETS["synthetic-1k"], read=gone))
    with pytest.raises(BadInput, match="data set 'iris' cannot be read .*iris.csv is gone"):
        data.load("iris")


def test_a_readers_own_data_set_must_be_what_it_is_announced_as(monkeypatch):
    """Runs are planned by the sizes of its `DataSpec`, and would fail in a worker."""
    whole = data.load("synthetic-1k")
    short = replace(whole, test_y=whole.test_y[:-1], test_x=whole.test_x[:-1])
    for given, said in (
        (short, "800 samples to train and 199 to test; .* 800 and 200"),
        (3, "is of type int; it must"),
    ):
        data._read.cache_clear()
        spec = replace(DATASETS["synthetic-1k"], read=lambda download, given=given: given)
        monkeypatch.setitem(DATASETS, "iris", spec)
        with pytest.raises(BadInput, match=said):
            data.load("iris")
