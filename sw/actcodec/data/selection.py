"""The selection images: what every choice (widths, greedy steps, early stop) is made on.

The test set is touched once per reported figure only. Training images are seen by the pretrained networks,
so the selection images are training images changed by a fixed random augmentation.
"""

from __future__ import annotations

import numpy as np

from actcodec.data.augment import augmentation
from actcodec.data.dataset import Dataset

SELECTION_IMAGES = 5_000


def selection_images(train: Dataset, seed: int = 0, count: int = SELECTION_IMAGES) -> Dataset:
    """Return the first ``count`` images (all where there are fewer) of ``train``, augmented from ``seed``.

    They are class-balanced; the same seed gives the same bytes.
    """
    chosen = train.head(count)
    rng = np.random.default_rng([seed, 0x5E1EC7])
    return Dataset(train.name, augmentation(train.name).apply(chosen.images, rng), chosen.labels, train.classes)
