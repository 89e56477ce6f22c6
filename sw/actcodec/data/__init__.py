"""Image data sets: embedded MNIST digits, CIFAR, a sample of ImageNet, folders of images, Hugging Face's.

mnist, cifar10, cifar100, imagenet-sample  the first is embedded, the others lie in the data folder
imagenet-sample-fold0…4                    the same images, cut in five for cross-validation
imagefolder:PATH[,size=CxHxW]…             one folder of images a class
hf:NAME[,size=CxHxW]…                      the library ``datasets``, where it is installed
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from actcodec.data import hugging_face, image_folder
from actcodec.data.cifar10 import load_cifar10
from actcodec.data.cifar100 import load_cifar100
from actcodec.data.dataset import Dataset, check_split
from actcodec.data.imagenet_sample import FOLDS, fold_name, load_imagenet_sample
from actcodec.data.mnist import load_mnist
from actcodec.data.roots import data_root
from actcodec.data.selection import TrainingSplit, split_training
from actcodec.errors import ActcodecError

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetInfo",
    "TrainingSplit",
    "data_root",
    "dataset_info",
    "load_dataset",
    "split_training",
]

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set before its images: their C, H, W and the number of classes."""

    name: str
    shape: Shape
    classes: int


@dataclass(frozen=True)
class _Known:
    info: DatasetInfo
    load: Callable[[str, Path | None], Dataset]


@dataclass(frozen=True)
class _Scheme:
    info: Callable[[str], tuple[Shape, int]]
    load: Callable[[str, str], Dataset]


_IMAGENET: tuple[Shape, int] = (3, 224, 224), 1000
_KNOWN = {
    "mnist": _Known(DatasetInfo("mnist", (1, 28, 28), 10), load_mnist),
    "cifar10": _Known(DatasetInfo("cifar10", (3, 32, 32), 10), load_cifar10),
    "cifar100": _Known(DatasetInfo("cifar100", (3, 32, 32), 100), load_cifar100),
    "imagenet-sample": _Known(DatasetInfo("imagenet-sample", *_IMAGENET), load_imagenet_sample),
    **{
        fold_name(fold): _Known(DatasetInfo(fold_name(fold), *_IMAGENET), partial(load_imagenet_sample, fold=fold))
        for fold in range(FOLDS)
    },
}
_SCHEMES = {
    image_folder.SCHEME: _Scheme(image_folder.folder_info, image_folder.load_image_folder),
    hugging_face.SCHEME: _Scheme(hugging_face.hugging_face_info, hugging_face.load_hugging_face),
}
DATASETS = (*_KNOWN, *(f"{scheme}:…" for scheme in _SCHEMES))


def dataset_info(name: str) -> DatasetInfo:
    """Return shape and classes of the data set ``name``.

    Raises ActcodecError for an unknown name, or a data set of the user's that is not there.
    """
    if name in _KNOWN:
        return _KNOWN[name].info
    return DatasetInfo(name, *_scheme(name).info(name))


def load_dataset(name: str, split: str, root: Path | None = None) -> Dataset:
    """Load ``split`` (``train`` or ``test``) of the data set ``name``.

    ``root`` is the data folder (``data_root()`` where None); ``mnist`` is embedded and needs none.
    Every prefix of the images is class-balanced as far as its length allows.
    Raises ActcodecError for an unknown name or split, absent data, or data of the wrong size.
    """
    if name in _KNOWN:
        check_split(split)
        return _KNOWN[name].load(split, root)
    scheme = _scheme(name)
    check_split(split)
    return scheme.load(name, split)


def _scheme(name: str) -> _Scheme:
    found = _SCHEMES.get(name.partition(":")[0]) if ":" in name else None
    if found is None:
        raise ActcodecError("dataset", f"{name!r} is unknown; known: {', '.join(DATASETS)}")
    return found
