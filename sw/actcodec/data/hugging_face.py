"""``hf:NAME``: a data set of Hugging Face's library ``datasets``, by its name on the hub or by the folder it lies in.

The columns are the first one of images and the first one of class labels. ``train`` is the split of that name, ``test``
the first there is of ``test``, ``validation`` and ``val``.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from actcodec.data.dataset import Dataset
from actcodec.data.resize import fitted
from actcodec.data.source import chosen, parse, shape_of
from actcodec.errors import ActcodecError

SCHEME = "hf"
_SPLITS = {"train": ("train",), "test": ("test", "validation", "val")}


def hugging_face_info(name: str) -> tuple[tuple[int, int, int], int]:
    """Return C, H, W and the number of classes."""
    data = _opened(name, "test")
    return shape_of(parse(name)), int(data.features[_column(name, data, "ClassLabel")].num_classes)


def load_hugging_face(name: str, split: str) -> Dataset:
    """Return ``split`` of the data set ``name``.

    Raises ActcodecError where the library or the data set is not there, or has no column of images or of classes.
    """
    data, source = _opened(name, split), parse(name)
    image, label = _column(name, data, "Image"), _column(name, data, "ClassLabel")
    labels = np.asarray(data[label], np.int64)
    order = chosen(source, split, labels)
    images = np.stack([fitted(data[int(place)][image], shape_of(source)) for place in order])
    return Dataset(name, images, labels[order], int(data.features[label].num_classes))


def _opened(name: str, split: str) -> Any:
    """The data set's split, as the library has it."""
    source = parse(name)
    try:
        library = importlib.import_module("datasets")
    except Exception as error:  # A library that does not fit its own needs fails in many ways.
        raise ActcodecError(name, f"needs the package datasets, which cannot be imported: {error}") from error
    try:
        found = library.load_dataset(source.target)
    except Exception as error:  # Whatever the library says of the name.
        raise ActcodecError(name, f"cannot be loaded: {error}") from error
    for wanted in _SPLITS[split]:
        if wanted in found:
            return found[wanted]
    raise ActcodecError(name, f"has no split {' or '.join(_SPLITS[split])}; it has: {', '.join(found)}")


def _column(name: str, data: Any, kind: str) -> str:
    """The first column whose feature is of this type of the library's."""
    for column, feature in data.features.items():
        if type(feature).__name__ == kind:
            return str(column)
    raise ActcodecError(name, f"has no column of type {kind}")
