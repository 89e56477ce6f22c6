"""CIFAR-10 from a data folder, in either of two layouts.

``cifar10/{train_0…train_4,test}.npz`` hold 10,000 images each, difference-coded without loss;
``cifar-10-batches-bin/`` is the original binary distribution: records of one label byte and 3×32×32 pixels.
Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actcodec.data.dataset import Dataset, interleave_classes
from actcodec.data.roots import VARIABLE, data_root
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes

_CLASSES = 10
_SIDE = 32
_PART = 10_000
_RECORD = 1 + 3 * _SIDE * _SIDE
_NPZ = {"train": [f"train_{part}.npz" for part in range(5)], "test": ["test.npz"]}
_BINARY = {"train": [f"data_batch_{part}.bin" for part in range(1, 6)], "test": ["test_batch.bin"]}

_Part = tuple[NDArray[np.uint8], NDArray[np.int64]]


def load_cifar10(split: str, root: Path | None = None) -> Dataset:
    """Return ``split`` as 32×32×3 images: 50,000 ``train``, 10,000 ``test``.

    Raises ActcodecError where neither layout lies under the data folder or a file has
    the wrong size or labels.
    """
    folder = data_root(root)
    if (folder / "cifar10").is_dir():
        parts = [_read_npz(folder / "cifar10" / name) for name in _NPZ[split]]
    elif (folder / "cifar-10-batches-bin").is_dir():
        parts = [_read_binary(folder / "cifar-10-batches-bin" / name) for name in _BINARY[split]]
    else:
        problem = f"holds neither cifar10/ nor cifar-10-batches-bin/; set ${VARIABLE} to a folder that does"
        raise ActcodecError(folder, problem)
    images = np.concatenate([part[0] for part in parts])
    labels = np.concatenate([part[1] for part in parts])
    order = interleave_classes(labels)
    return Dataset("cifar10", images[order], labels[order], _CLASSES)


def _read_npz(path: Path) -> _Part:
    """Decode one part: planes R−G, G, B−G, each the running difference along rows and columns, modulo 256."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            planes, labels = archive["d"], archive["y"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ActcodecError(path, f"cannot be read: {error}") from error
    if planes.dtype != np.uint8 or planes.shape != (3, _PART, _SIDE, _SIDE):
        problem = f"d is {planes.dtype} {planes.shape}, expected uint8 {(3, _PART, _SIDE, _SIDE)}"
        raise ActcodecError(path, problem)
    if labels.shape != (_PART,):
        raise ActcodecError(path, f"y has shape {labels.shape}, expected {(_PART,)}")
    rows = np.add.accumulate(planes, axis=2, dtype=np.uint8)
    pixels = np.add.accumulate(rows, axis=3, dtype=np.uint8)
    pixels[0] += pixels[1]
    pixels[2] += pixels[1]
    return np.ascontiguousarray(pixels.transpose(1, 2, 3, 0)), _checked_labels(path, labels)


def _read_binary(path: Path) -> _Part:
    content = read_bytes(path)
    if len(content) != _PART * _RECORD:
        raise ActcodecError(path, f"has {len(content)} bytes, expected {_PART * _RECORD}")
    records = np.frombuffer(content, np.uint8).reshape(_PART, _RECORD)
    pixels = records[:, 1:].reshape(_PART, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels), _checked_labels(path, records[:, 0])


def _checked_labels(path: Path, labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    if labels.max() >= _CLASSES:
        record = int(np.argmax(labels >= _CLASSES))
        raise ActcodecError(path, f"label {labels[record]} of record {record} is outside 0…{_CLASSES - 1}")
    return labels.astype(np.int64)
