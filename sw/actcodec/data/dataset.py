"""The one form that every data set takes in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Dataset:
    """Labelled images of one size.

    ``images`` is uint8 N×H×W×C as stored on disk (normalisation belongs to the network),
    ``labels`` int64 N with values 0…``classes``−1.
    Raises ActcodecError where shapes, types or labels contradict this.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: int

    def __post_init__(self) -> None:
        where = f"dataset {self.name}"
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            problem = f"images are {self.images.dtype} {self.images.shape}, expected uint8 N×H×W×C"
            raise ActcodecError(where, problem)
        if self.labels.shape != (len(self.images),):
            raise ActcodecError(where, f"{len(self.images)} images but labels of shape {self.labels.shape}")
        if self.labels.size and not (self.labels.min() >= 0 and self.labels.max() < self.classes):
            bad = int(self.labels[(self.labels < 0) | (self.labels >= self.classes)][0])
            raise ActcodecError(where, f"label {bad} is outside 0…{self.classes - 1}")

    def __len__(self) -> int:
        return len(self.images)

    def head(self, count: int) -> Dataset:
        """Return the first ``count`` images (all of them where there are fewer)."""
        return Dataset(self.name, self.images[:count], self.labels[:count], self.classes)


def check_split(split: str) -> None:
    """Raise ActcodecError unless ``split`` is one of SPLITS."""
    if split not in SPLITS:
        raise ActcodecError("dataset split", f"{split!r} is unknown; known: {', '.join(SPLITS)}")


def interleave_classes(labels: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the order that goes round the classes, so that every prefix is class-balanced.

    Sorting by (rank of the image inside its class, class) does it; ``labels`` is int64 N, and so the order.
    """
    rank = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        members = labels == label
        rank[members] = np.arange(np.count_nonzero(members))
    return np.lexsort((labels, rank))
