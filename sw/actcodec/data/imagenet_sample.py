"""A sample of ImageNet's training images from a data folder, decoded and cut to 224×224.

``imagenet_sample/jpeg_250.npz`` holds 250 JPEG streams, one of every fourth class: ``jpeg`` uint8, all streams one
after another; ``offset`` int64 (251,), where each begins; ``y`` (250,), the class. Too few images for training: 50 of
them are for calibration, 200 for measuring. ``imagenet-sample-fold0`` … ``-fold4`` are five data sets for
cross-validation: 200 images for calibration, 50 for measuring, each image measured in one of them.
"""

from __future__ import annotations

import io
import itertools
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from actcodec.data.dataset import Dataset
from actcodec.data.roots import data_root
from actcodec.errors import ActcodecError

SIDE = 224
_CROP = 0.875
"""Share of each side that is kept, in the middle."""
_CLASSES = 1000
FOLDS = 5
NAME = "imagenet-sample"


def fold_name(fold: int) -> str:
    """Name of the data set that measures on part ``fold`` of the images and calibrates on the others."""
    return f"{NAME}-fold{fold}"


def load_imagenet_sample(split: str, root: Path | None = None, *, fold: int | None = None) -> Dataset:
    """Return ``split`` as 224×224×3 images: every fifth image is ``train`` (50), the others are ``test`` (200).

    With ``fold`` k the images k, k + 5, k + 10 … are ``test`` (50), the others ``train`` (200).
    Of every image the middle 87.5 % of both sides, scaled bilinearly; grey images become RGB.
    Raises ActcodecError where the file is missing or damaged.
    """
    path = data_root(root) / "imagenet_sample" / "jpeg_250.npz"
    streams, labels = _read(path)
    part = np.arange(len(labels)) % FOLDS
    is_train = part == FOLDS - 1 if fold is None else part != fold
    chosen = np.flatnonzero(is_train if split == "train" else ~is_train)
    images = np.stack([_decode(streams[index], f"{path}, image {index}") for index in chosen])
    return Dataset(NAME if fold is None else fold_name(fold), images, labels[chosen], _CLASSES)


def _read(path: Path) -> tuple[list[bytes], NDArray[np.int64]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            content, offset, labels = archive["jpeg"], archive["offset"], archive["y"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ActcodecError(path, f"cannot be read: {error}") from error
    if offset.shape != (len(labels) + 1,) or len(labels) < FOLDS or offset[-1] > len(content):
        raise ActcodecError(path, f"offset has shape {offset.shape} for {len(labels)} labels, {len(content)} bytes")
    streams = [content[start:end].tobytes() for start, end in itertools.pairwise(offset)]
    return streams, labels.astype(np.int64)


def _decode(stream: bytes, where: str) -> NDArray[np.uint8]:
    try:
        image = Image.open(io.BytesIO(stream)).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ActcodecError(where, f"is no JPEG: {error}") from error
    width, height = image.size
    kept = round(_CROP * width), round(_CROP * height)
    left, top = (width - kept[0]) // 2, (height - kept[1]) // 2
    cropped = image.crop((left, top, left + kept[0], top + kept[1]))
    return np.asarray(cropped.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
