"""CIFAR-100 from a data folder, in its original binary distribution.

``cifar-100-binary/{train,test}.bin``: records of the superclass, the class and 3×32×32 pixels, a byte each.
Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from actcodec.data.dataset import Dataset, interleave_classes
from actcodec.data.roots import VARIABLE, data_root
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes

_CLASSES = 100
_SIDE = 32
_RECORD = 2 + 3 * _SIDE * _SIDE
_IMAGES = {"train": 50_000, "test": 10_000}
_FOLDER = "cifar-100-binary"


def load_cifar100(split: str, root: Path | None = None) -> Dataset:
    """Return ``split`` as 32×32×3 images of 100 classes: 50,000 ``train``, 10,000 ``test``.

    Raises ActcodecError where the folder is missing or a file has the wrong size or labels.
    """
    folder = data_root(root)
    if not (folder / _FOLDER).is_dir():
        raise ActcodecError(folder, f"does not hold {_FOLDER}/; set ${VARIABLE} to a folder that does")
    path = folder / _FOLDER / f"{split}.bin"
    content = read_bytes(path)
    if len(content) != _IMAGES[split] * _RECORD:
        raise ActcodecError(path, f"has {len(content)} bytes, expected {_IMAGES[split] * _RECORD}")
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    labels = records[:, 1].astype(np.int64)
    if labels.max() >= _CLASSES:
        record = int(np.argmax(labels >= _CLASSES))
        raise ActcodecError(path, f"class {labels[record]} of record {record} is outside 0…{_CLASSES - 1}")
    order = interleave_classes(labels)
    pixels = records[order, 2:].reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return Dataset("cifar100", np.ascontiguousarray(pixels), labels[order], _CLASSES)
