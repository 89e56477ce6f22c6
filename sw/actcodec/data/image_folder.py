"""``imagefolder:PATH``: one folder of images a class, as torchvision's ImageFolder and ImageNet's own tree have it.

    PATH/train/CLASS/*  and  PATH/{val,validation,test}/CLASS/*          two splits
    PATH/CLASS/*                                                         one: every fifth image of a class is ``train``

Classes are numbered in the order of their folders' names, that of ImageNet's WordNet ids included.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from actcodec.data.dataset import Dataset
from actcodec.data.resize import fitted
from actcodec.data.source import chosen, parse, shape_of
from actcodec.errors import ActcodecError

SCHEME = "imagefolder"
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff", ".gif"}
_TEST_FOLDERS = ("val", "validation", "test")
_CALIBRATION_EVERY = 5


def folder_info(name: str) -> tuple[tuple[int, int, int], int]:
    """Return C, H, W and the number of classes; nothing but the folders is looked at."""
    source = parse(name)
    return shape_of(source), len(_classes(_split_folder(name, Path(source.target), "test")[0]))


def load_image_folder(name: str, split: str) -> Dataset:
    """Return ``split`` of the data set ``name``.

    Raises ActcodecError where folders are missing or their classes differ, or a file is no image.
    """
    source = parse(name)
    root = Path(source.target)
    folder, divided = _split_folder(name, root, split)
    classes = _classes(folder)
    if divided and classes != (others := _classes(_split_folder(name, root, "test")[0])):
        odd = sorted(set(classes) ^ set(others))[0]
        raise ActcodecError(name, f"has the class {odd!r} in one of its splits only")
    files, labels = _files(folder, classes, None if divided else split)
    order = chosen(source, split, labels)
    images = np.stack([_read(files[place], shape_of(source)) for place in order])
    return Dataset(name, images, labels[order], len(classes))


def _split_folder(name: str, root: Path, split: str) -> tuple[Path, bool]:
    """The folder of the split's classes, and whether the data set has one a split."""
    if not root.is_dir():
        raise ActcodecError(name, f"{root} is not a folder")
    train = root / "train"
    if not train.is_dir():
        return root, False
    if split == "train":
        return train, True
    for test in _TEST_FOLDERS:
        if (root / test).is_dir():
            return root / test, True
    raise ActcodecError(name, f"{root} has train/ but none of: {', '.join(_TEST_FOLDERS)}")


def _classes(folder: Path) -> list[str]:
    found = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(found) < 2:
        raise ActcodecError(folder, f"has {len(found)} folders; one for each of at least two classes is expected")
    return found


def _files(folder: Path, classes: list[str], split: str | None) -> tuple[list[Path], NDArray[np.int64]]:
    """Files and labels of the whole folder, or of ``split`` of one that is not divided."""
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(path for path in (folder / name).rglob("*") if path.suffix.lower() in _SUFFIXES)
        if split is not None:
            train = [place % _CALIBRATION_EVERY == _CALIBRATION_EVERY - 1 for place in range(len(found))]
            found = [path for path, mine in zip(found, train, strict=True) if mine == (split == "train")]
        files += found
        labels += [label] * len(found)
    return files, np.array(labels, np.int64)


def _read(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return fitted(image, shape)
    except (UnidentifiedImageError, OSError) as error:
        raise ActcodecError(path, f"is no image: {error}") from error
