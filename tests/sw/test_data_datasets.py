import hashlib
from pathlib import Path

import numpy as np
import pytest

from actcodec.data import Dataset, data_root, load_dataset, split_training
from actcodec.data.augment import Augmentation
from actcodec.errors import ActcodecError
from support.data import needs

# SHA-256 of the decoded test images, as their data set's description states it.
CIFAR10_TEST = "1f9e71c337f27c38452dc063bbdf05164772d7358edf779cd7c015dac77aeead"


def small(count: int = 20) -> Dataset:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 8, 8, 1), np.uint8)
    return Dataset("mnist", images, np.arange(count) % 10, classes=10)


def test_mnist_splits_are_disjoint_and_every_prefix_is_balanced() -> None:
    train, test = load_dataset("mnist", "train"), load_dataset("mnist", "test")
    assert train.images.shape == (4000, 28, 28, 1)
    assert test.images.shape == (1000, 28, 28, 1)
    assert train.images.max() == 255
    for split in (train, test):
        np.testing.assert_array_equal(split.labels, np.arange(len(split)) % 10)
    seen = {image.tobytes() for image in train.images}
    assert not any(image.tobytes() in seen for image in test.images)


@needs("cifar10")
def test_cifar10_test_split_has_the_documented_bytes() -> None:
    test = load_dataset("cifar10", "test")
    assert hashlib.sha256(test.images.tobytes()).hexdigest() == CIFAR10_TEST
    np.testing.assert_array_equal(test.labels, np.arange(10_000) % 10)


def write_binary(root: Path, label_of_first: int = 3) -> None:
    records = np.zeros((10_000, 3073), np.uint8)
    records[:, 0] = np.arange(10_000) // 1000
    records[0, 0] = label_of_first
    records[0, 1] = 200  # the red value of the top left pixel
    (root / "cifar-10-batches-bin").mkdir()
    (root / "cifar-10-batches-bin" / "test_batch.bin").write_bytes(records.tobytes())


def test_binary_cifar10_is_read_and_interleaved(tmp_path: Path) -> None:
    write_binary(tmp_path, label_of_first=0)
    test = load_dataset("cifar10", "test", tmp_path)
    np.testing.assert_array_equal(test.labels, np.arange(10_000) % 10)
    assert test.images[0, 0, 0].tolist() == [200, 0, 0]


def test_bad_binary_files_are_named(tmp_path: Path) -> None:
    write_binary(tmp_path, label_of_first=77)
    with pytest.raises(ActcodecError, match=r"test_batch\.bin: label 77 of record 0"):
        load_dataset("cifar10", "test", tmp_path)
    path = tmp_path / "cifar-10-batches-bin" / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ActcodecError, match="has 30729999 bytes, expected 30730000"):
        load_dataset("cifar10", "test", tmp_path)


def write_cifar100(root: Path, label_of_first: int = 0) -> Path:
    records = np.zeros((10_000, 3074), np.uint8)
    records[:, 0], records[:, 1] = 7, np.arange(10_000) // 100
    records[0, 1:3] = label_of_first, 200
    path = root / "cifar-100-binary" / "test.bin"
    path.parent.mkdir()
    path.write_bytes(records.tobytes())
    return path


def test_cifar100_has_its_fine_classes(tmp_path: Path) -> None:
    path = write_cifar100(tmp_path)
    test = load_dataset("cifar100", "test", tmp_path)
    assert test.classes == 100 and test.images.shape == (10_000, 32, 32, 3)
    np.testing.assert_array_equal(test.labels, np.arange(10_000) % 100)
    assert test.images[0, 0, 0].tolist() == [200, 0, 0]
    path.write_bytes(path.read_bytes()[1:])
    with pytest.raises(ActcodecError, match=r"test\.bin: has 30739999 bytes, expected 30740000"):
        load_dataset("cifar100", "test", tmp_path)
    with pytest.raises(ActcodecError, match=r"train\.bin: cannot be read"):
        load_dataset("cifar100", "train", tmp_path)


def test_bad_cifar100_is_named(tmp_path: Path) -> None:
    write_cifar100(tmp_path, label_of_first=100)
    with pytest.raises(ActcodecError, match=r"test\.bin: class 100 of record 0"):
        load_dataset("cifar100", "test", tmp_path)
    with pytest.raises(ActcodecError, match="does not hold cifar-100-binary/"):
        load_dataset("cifar100", "test", tmp_path / "cifar-100-binary")


def test_bad_npz_is_named(tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    path = tmp_path / "cifar10" / "test.npz"
    np.savez(path, d=np.zeros((3, 5, 32, 32), np.uint8), y=np.zeros(5, np.uint8))
    with pytest.raises(ActcodecError, match=r"test\.npz: d is uint8 \(3, 5, 32, 32\)"):
        load_dataset("cifar10", "test", tmp_path)
    path.write_bytes(b"no archive")
    with pytest.raises(ActcodecError, match=r"test\.npz: cannot be read"):
        load_dataset("cifar10", "test", tmp_path)


def test_absent_data_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ActcodecError, match=r"\$ACTCODEC_DATA"):
        load_dataset("cifar10", "test", tmp_path)
    monkeypatch.setenv("ACTCODEC_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(ActcodecError, match=r"\$ACTCODEC_DATA: .*nowhere is not a folder"):
        data_root()


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ActcodecError, match="'svhn' is unknown"):
        load_dataset("svhn", "test")
    with pytest.raises(ActcodecError, match="'valid' is unknown"):
        load_dataset("mnist", "valid")


def test_dataset_checks_its_arrays() -> None:
    images = np.zeros((2, 4, 4, 1), np.uint8)
    with pytest.raises(ActcodecError, match="label 10 is outside"):
        Dataset("x", images, np.array([0, 10]), classes=10)
    with pytest.raises(ActcodecError, match="labels of shape"):
        Dataset("x", images, np.array([0]), classes=10)
    with pytest.raises(ActcodecError, match="images are float64"):
        Dataset("x", images.astype(float), np.array([0, 1]), classes=10)  # type: ignore[arg-type]


def test_the_training_images_are_split_once_and_for_all() -> None:
    train = load_dataset("mnist", "train")
    split, again = split_training(train), split_training(train)
    np.testing.assert_array_equal(split.selection.images, again.selection.images)
    np.testing.assert_array_equal(split.pool.images, again.pool.images)
    # A quarter where there are fewer images than the selection wants four times.
    assert (len(split.selection), len(split.pool)) == (len(train) // 4, len(train) - len(train) // 4)
    assert len(split_training(train, count=7).selection) == 7
    # Together they are the training images, and any prefix has every class alike.
    labels = np.concatenate([split.selection.labels, split.pool.labels])
    np.testing.assert_array_equal(np.sort(labels), np.sort(train.labels))
    for part in (split.selection, split.pool):
        assert np.ptp(np.bincount(part.labels[:200], minlength=10)) <= 1
    pool = {image.tobytes() for image in split.pool.images}
    assert len(pool & {image.tobytes() for image in train.images}) == len(pool)
    # The order is a random draw, not that of the files.
    assert not np.array_equal(split.pool.images[:100], train.images[len(split.selection) :][:100])


def test_selection_images_are_augmented() -> None:
    train = load_dataset("mnist", "train")
    stored = {image.tobytes() for image in train.images}
    changed = [image.tobytes() not in stored for image in split_training(train).selection.images]
    assert np.mean(changed) > 0.8


def test_augmentation_shifts_by_at_most_its_pad() -> None:
    images = np.zeros((200, 9, 9, 1), np.uint8)
    images[:, 4, 4] = 255
    out = Augmentation(pad=2, flip=False).apply(images, np.random.default_rng(0))
    _, rows, columns, _ = np.nonzero(out)
    assert len(rows) == 200
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 6, 2, 6)
