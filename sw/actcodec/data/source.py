"""What data sets of the user's own have in common: the options of their names, and how much of them is read.

size=CxHxW    what images are cut to (3x224x224)         train=N, test=N    at most so many images of a split
mirror=no     augmentation does not mirror images
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actcodec.data.dataset import interleave_classes
from actcodec.errors import ActcodecError
from actcodec.sources import Source, parse_source

OPTIONS = ("size", "train", "test", "mirror")
SHAPE = (3, 224, 224)
_TRAINING_IMAGES = 5_000
"""Of a training set: what calibration and training of the codec need, not a training of the network."""
_MOST_BYTES = 16 << 30


def parse(name: str) -> Source:
    """Take the name of a data set apart, and check its options."""
    source = parse_source(name, OPTIONS)
    if shape_of(source)[0] not in (1, 3):
        raise ActcodecError(name, f"size = {source.options['size']!r} has neither 1 channel nor 3")
    return source


def shape_of(source: Source) -> tuple[int, int, int]:
    """C, H, W of the images."""
    return source.shape("size", SHAPE)


def chosen(source: Source, split: str, labels: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the places of the images that are read, round the classes; the training set's first 5,000 by default.

    Raises ActcodecError where they do not fit into memory: a data set is held there as bytes.
    """
    order = interleave_classes(labels)
    limit = source.number(split, _TRAINING_IMAGES if split == "train" else None)
    order = order if limit is None else order[:limit]
    channels, height, width = shape_of(source)
    size = len(order) * channels * height * width
    if not len(order):
        raise ActcodecError(source.text, f"has no {split} images")
    if size > _MOST_BYTES:
        raise ActcodecError(source.text, f"{len(order)} {split} images take {size >> 30} GiB; limit them by {split}=N")
    return order
