"""The training images in two parts: those that choices are made on, and those that are calibrated and trained on.

The test set is touched once per reported figure only. Training images are seen by the pretrained networks, so what is
measured on the selection part is measured on images changed by a fixed random augmentation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actcodec.data.augment import augmentation
from actcodec.data.dataset import Dataset

SELECTION_IMAGES = 5_000
_SEED = 0x5E1EC7
_LARGEST_SHARE = 4
"""The selection part is at most a quarter of the images."""


@dataclass(frozen=True)
class TrainingSplit:
    """``selection``: augmented once and for all; ``pool``: as stored. No image is in both.

    Every prefix of either is class-balanced as far as its length allows, and otherwise a random draw.
    """

    selection: Dataset
    pool: Dataset


def split_training(train: Dataset, count: int = SELECTION_IMAGES) -> TrainingSplit:
    """Return the fixed split of ``train`` with ``count`` selection images (a quarter of all where that is less).

    It depends on the images alone, on no seed: every method and every run chooses by the same images.
    """
    rng = np.random.default_rng(_SEED)
    order = _balanced_order(train.labels, rng)
    size = min(count, len(train) // _LARGEST_SHARE)
    chosen, rest = order[:size], order[size:]
    images = augmentation(train.name).apply(train.images[chosen], rng)
    return TrainingSplit(
        Dataset(train.name, images, train.labels[chosen], train.classes),
        Dataset(train.name, train.images[rest], train.labels[rest], train.classes),
    )


def _balanced_order(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return an order that goes round the classes and takes a random image of each."""
    shuffled = rng.permutation(len(labels))
    rank = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        rank[members] = np.arange(len(members))
    return np.lexsort((labels, rank))
