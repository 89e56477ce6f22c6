"""Data sets of the user's own: folders of images, and the library of Hugging Face."""

import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from actcodec import api
from actcodec.data import Dataset, data_root, dataset_info, load_dataset
from actcodec.data.augment import augmentation
from actcodec.data.resize import fitted
from actcodec.data.source import chosen, parse
from actcodec.errors import ActcodecError
from actcodec.learn import LearnRecipe
from support.data import needs

MNIST = {split: load_dataset("mnist", split) for split in ("train", "test")}


def digits(root: Path, split: str, count: int, classes: int = 4) -> Dataset:
    """Write ``count`` digits of every class as PNG files; returns MNIST's split they are from."""
    data = MNIST[split]
    for label in range(classes):
        folder = root / f"class{label}"
        folder.mkdir(parents=True)
        for number, image in enumerate(data.images[data.labels == label][:count]):
            Image.fromarray(image[:, :, 0]).save(folder / f"{number:03}.png")
    return data


def test_two_splits_of_images_that_have_the_size(tmp_path: Path) -> None:
    digits(tmp_path / "train", "train", 6)
    data = digits(tmp_path / "val", "test", 3)
    name = f"imagefolder:{tmp_path},size=1x28x28,train=10"
    info = dataset_info(name)
    assert (info.name, info.shape, info.classes) == (name, (1, 28, 28), 4)
    test = load_dataset(name, "test")
    assert (test.name, len(test), test.classes) == (name, 12, 4)
    # Round the classes, and as they were stored.
    assert test.labels.tolist() == [0, 1, 2, 3] * 3
    np.testing.assert_array_equal(test.images[5], data.images[data.labels == 1][1])
    assert load_dataset(name, "train").labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_one_folder_is_divided(tmp_path: Path) -> None:
    digits(tmp_path, "train", 10)
    name = f"imagefolder:{tmp_path},size=1x28x28"
    train, test = (load_dataset(name, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (8, 32)
    together = {image.tobytes() for part in (train, test) for image in part.images}
    assert len(together) == 40


@needs("imagenet_sample")
def test_the_sample_of_imagenet_as_a_folder(tmp_path: Path) -> None:
    """JPEGs of real sizes and grey ones: the middle of the image scaled as ImageNet is evaluated, by hand here."""
    with np.load(data_root() / "imagenet_sample" / "jpeg_250.npz") as z:
        streams = [z["jpeg"][z["offset"][i] : z["offset"][i + 1]].tobytes() for i in range(8)]
    for number, stream in enumerate(streams):
        folder = tmp_path / f"n{number % 2:08}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.JPEG").write_bytes(stream)
    test = load_dataset(f"imagefolder:{tmp_path}", "test")
    assert test.images.shape == (8, 224, 224, 3)
    image = Image.open(io.BytesIO(streams[2])).convert("RGB")
    scale = 256 / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    scaled = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    top, left = (height - 224) // 2, (width - 224) // 2
    np.testing.assert_array_equal(test.images[2], scaled[top : top + 224, left : left + 224])


def test_small_images_are_enlarged_and_odd_shapes_cut() -> None:
    image = Image.fromarray(np.arange(12 * 40, dtype=np.uint8).reshape(12, 40))
    assert fitted(image, (3, 32, 32)).shape == (32, 32, 3)
    assert fitted(image, (1, 16, 32)).shape == (16, 32, 1)


def test_augmentation_is_that_of_the_size(tmp_path: Path) -> None:
    recipe = augmentation("imagefolder:photos")
    assert (recipe.pad, recipe.flip) == (16, True)
    recipe = augmentation("imagefolder:digits,size=1x28x28,mirror=no")
    assert (recipe.pad, recipe.flip) == (2, False)
    with pytest.raises(ActcodecError, match="mirror = 'maybe' is neither yes nor no"):
        augmentation("imagefolder:digits,mirror=maybe")


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    digits(tmp_path / "train", "train", 2)
    digits(tmp_path / "odd" / "train", "train", 1)
    digits(tmp_path / "odd" / "val", "train", 1, classes=3)
    (tmp_path / "text" / "a").mkdir(parents=True)
    (tmp_path / "text" / "b").mkdir()
    for number in range(5):
        (tmp_path / "text" / "a" / f"{number}.jpg").write_text("no image")
    for name, problem in [
        (f"imagefolder:{tmp_path}/gone", "gone is not a folder"),
        (f"imagefolder:{tmp_path}", "has train/ but none of: val, validation, test"),
        (f"imagefolder:{tmp_path}/odd", "has the class 'class3' in one of its splits only"),
        (f"imagefolder:{tmp_path}/train/class0", "has 0 folders"),
        (f"imagefolder:{tmp_path}/text", "is no image"),
        (f"imagefolder:{tmp_path}/text,size=2x8x8", "neither 1 channel nor 3"),
        (f"imagefolder:{tmp_path}/text,size=8x8", "'8x8' is not CxHxW"),
        (f"imagefolder:{tmp_path}/text,train=many", "train = 'many' is no number"),
        (f"imagefolder:{tmp_path}/text,train=0", "has no train images"),
        (f"imagefolder:{tmp_path}/text,crop=1", "has no option 'crop'; known: size, train, test, mirror"),
        ("imagefolder:", "names nothing behind imagefolder:"),
        (
            "folder:x",
            "'folder:x' is unknown; known: mnist, .*imagenet-sample-fold4, imagefolder:…, hf:…",
        ),
    ]:
        with pytest.raises(ActcodecError, match=problem):
            load_dataset(name, "train")
    with pytest.raises(ActcodecError, match="200000 test images take 28 GiB; limit them by test=N"):
        chosen(parse("imagefolder:photos"), "test", np.zeros(200_000, np.int64))


class Feature:
    def __init__(self, classes: int = 0) -> None:
        self.num_classes = classes


class ClassLabel(Feature):
    pass


class Rows:
    """What this project asks of a split of the library's."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self._images, self._labels = images, labels
        self.features = {"id": Feature(), "img": type("Image", (Feature,), {})(), "label": ClassLabel(10)}

    def __getitem__(self, key: Any) -> Any:
        return self._labels.tolist() if key == "label" else {"img": Image.fromarray(self._images[key])}


def test_hugging_face(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core works without the library: a stand-in shows what is asked of it, and its absence is named."""
    data = MNIST["test"].head(20)
    library = ModuleType("datasets")
    splits = {"validation": Rows(data.images[:, :, :, 0], data.labels)}
    library.load_dataset = {"digits": splits}.__getitem__  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "datasets", library)
        name = "hf:digits,size=1x28x28,test=12"
        assert (dataset_info(name).shape, dataset_info(name).classes) == ((1, 28, 28), 10)
        found = load_dataset(name, "test")
        np.testing.assert_array_equal(found.images, data.images[:12])
        np.testing.assert_array_equal(found.labels, data.labels[:12])
        with pytest.raises(ActcodecError, match="has no split train; it has: validation"):
            load_dataset(name, "train")
        with pytest.raises(ActcodecError, match="hf:gone: cannot be loaded"):
            load_dataset("hf:gone", "test")
        splits["validation"].features.pop("label")
        with pytest.raises(ActcodecError, match="has no column of type ClassLabel"):
            load_dataset(name, "test")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ActcodecError, match="needs the package datasets, which cannot be imported"):
        load_dataset("hf:digits", "test")


def test_a_network_on_a_folder_from_learning_to_the_golden_codec(tmp_path: Path) -> None:
    digits(tmp_path / "train", "train", 12)
    digits(tmp_path / "val", "test", 5)
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4))
    name = f"imagefolder:{tmp_path},size=1x28x28,mirror=no"
    network = api.network(nn.Sequential(*layers), name, mean=[0.13], std=[0.31])
    recipe = LearnRecipe(method="test", transform="pca", calibration_images=16, selection_images=8, positions=256)
    tables = api.export(api.learn(network, 5, recipe=recipe), max_mac_share=10)
    assert tables.provenance.dataset == name
    assert api.evaluate(tables, network).images == 20
