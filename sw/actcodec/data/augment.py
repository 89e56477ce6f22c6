"""Random crops and flips of uint8 images, drawn from a given generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actcodec.data.imagenet_sample import FOLDS, NAME, fold_name
from actcodec.data.source import parse, shape_of
from actcodec.errors import ActcodecError


@dataclass(frozen=True, eq=False)
class Draws:
    """What was drawn for N images: first row and column of the crop (N,), and whether it is mirrored (N,)."""

    top: NDArray[np.int64]
    left: NDArray[np.int64]
    mirrored: NDArray[np.bool_]

    def of(self, places: NDArray[np.intp]) -> Draws:
        """Return the draws of the images at ``places``."""
        return Draws(self.top[places], self.left[places], self.mirrored[places])


@dataclass(frozen=True)
class Augmentation:
    """A random crop out of the image padded by ``pad`` zeros on each side; mirrored at random if ``flip``."""

    pad: int
    flip: bool

    def apply(self, images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return uint8 N×H×W×C images, each shifted by −pad…pad and mirrored with probability ½."""
        return self.apply_drawn(images, self.draw(len(images), rng))

    def draw(self, count: int, rng: np.random.Generator) -> Draws:
        """Draw for ``count`` images, so that a part of them can be made elsewhere."""
        top, left = rng.integers(0, 2 * self.pad + 1, (2, count))
        mirrored = rng.integers(0, 2, count).astype(bool) if self.flip else np.zeros(count, bool)
        return Draws(top, left, mirrored)

    def apply_drawn(self, images: NDArray[np.uint8], draws: Draws) -> NDArray[np.uint8]:
        """Return uint8 N×H×W×C images, each cropped and mirrored as it was drawn."""
        count, height, width, _ = images.shape
        margin = (self.pad, self.pad)
        padded = np.pad(images, ((0, 0), margin, margin, (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
        crops = windows[np.arange(count), draws.top, draws.left].transpose(0, 2, 3, 1)
        if self.flip:
            crops[draws.mirrored] = crops[draws.mirrored, :, ::-1]
        return np.ascontiguousarray(crops)


_PAD_SHARE = 14
# Digits are not mirrored, and they nearly fill their frame.
_RECIPES = {
    "cifar10": Augmentation(pad=4, flip=True),
    "cifar100": Augmentation(pad=4, flip=True),
    **dict.fromkeys((NAME, *map(fold_name, range(FOLDS))), Augmentation(pad=16, flip=True)),
    "mnist": Augmentation(pad=2, flip=False),
}


def augmentation(dataset: str) -> Augmentation:
    """Return the usual light augmentation of ``dataset``; ActcodecError where it has none.

    Of a user's own it is that of ImageNet's, for the size it has; its name says where mirroring would be wrong.
    """
    recipe = _RECIPES.get(dataset)
    if recipe is None and ":" in dataset:
        source = parse(dataset)
        return Augmentation(pad=max(1, min(shape_of(source)[1:]) // _PAD_SHARE), flip=source.flag("mirror", True))
    if recipe is None:
        raise ActcodecError("augmentation", f"dataset {dataset!r} has none; known: {', '.join(_RECIPES)}")
    return recipe
