"""Image data sets: embedded MNIST digits, CIFAR-10 and -100 and a sample of ImageNet from a data folder, selection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from actcodec.data.cifar10 import load_cifar10
from actcodec.data.cifar100 import load_cifar100
from actcodec.data.dataset import Dataset, check_split
from actcodec.data.imagenet_sample import load_imagenet_sample
from actcodec.data.mnist import load_mnist
from actcodec.data.roots import data_root
from actcodec.data.selection import TrainingSplit, split_training
from actcodec.errors import ActcodecError

__all__ = ["DATASETS", "Dataset", "TrainingSplit", "data_root", "load_dataset", "split_training"]

_LOADERS: dict[str, Callable[[str, Path | None], Dataset]] = {
    "mnist": load_mnist,
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "imagenet-sample": load_imagenet_sample,
}
DATASETS = tuple(_LOADERS)


def load_dataset(name: str, split: str, root: Path | None = None) -> Dataset:
    """Load ``split`` (``train`` or ``test``) of the data set ``name``.

    ``root`` is the data folder (``data_root()`` where None); ``mnist`` is embedded and needs none.
    Every prefix of the images is class-balanced as far as its length allows.
    Raises ActcodecError for an unknown name or split, absent data, or data of the wrong size.
    """
    loader = _LOADERS.get(name)
    if loader is None:
        raise ActcodecError("dataset", f"{name!r} is unknown; known: {', '.join(DATASETS)}")
    check_split(split)
    return loader(split, root)
