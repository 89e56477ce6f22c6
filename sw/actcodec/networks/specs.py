"""What is known of a network before its weights: the networks known by name, and any network of one's own.

mnist-resnet12, cifar10-resnet20 … resnet56                  weights at hand
imagenet-mobilenetv2                                         weights at hand, 224×224
cifar10-resnet18, -mobilenetv2, -vgg16, -vgg19 [-w<width>]   no weights shipped
cifar10-vgg19-fc1 [-w<width>]                                with one linear layer; no weights shipped
cifar100-…                                                   these five with 100 classes; no weights shipped
torchvision:NAME                                             torchvision.models, where torchvision is installed
package.module:factory                                       a network of one's own
"""

from __future__ import annotations

import importlib
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from actcodec.data import DATASETS
from actcodec.errors import ActcodecError
from actcodec.networks.dequantize import without_background
from actcodec.networks.mobilenetv2 import ImageNetMobileNetV2, MobileNetV2
from actcodec.networks.resnet18 import ResNet18
from actcodec.networks.resnet_cifar import ResNet
from actcodec.networks.tracing import reason
from actcodec.networks.vgg import VGG

# The CIFAR checkpoints at hand were trained with ImageNet's normalisation.
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_INPUT_SHAPES = {
    "mnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
    "cifar100": (3, 32, 32),
    "imagenet-sample": (3, 224, 224),
}
_WIDEST = 4.0
_CLASSES = 10
"""Of the data sets that have no zoo of their own and that torchvision's networks can be put on."""
_TORCHVISION = "torchvision:"

INPUT_ATTRIBUTE = "actcodec_input"
"""Attribute of a module of one's own: ``{"mean": (…), "std": (…)}`` of x/255, a value a channel."""


@dataclass(frozen=True)
class NetworkSpec:
    """What is known of a network before its weights: ``input_shape`` is C, H, W; mean and std are of x/255.

    ``embedded`` checkpoints ship with the package; the others lie in ``pretrained/`` of the data folder; a network
    whose ``checkpoint`` is None has none. ``state_of`` makes the network's state of what a checkpoint file holds.
    """

    name: str
    dataset: str
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    build: Callable[[], nn.Module]
    checkpoint: str | None = None
    embedded: bool = False
    state_of: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict


def _cifar_resnet(depth: int) -> NetworkSpec:
    blocks = [(depth - 2) // 6] * 3
    return NetworkSpec(
        name=f"cifar10-resnet{depth}",
        dataset="cifar10",
        input_shape=_INPUT_SHAPES["cifar10"],
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        build=lambda: ResNet(3, blocks, (16, 32, 64), classes=10),
        checkpoint=f"cifar10_resnet{depth}.safetensors",
    )


_MNIST_RESNET12 = NetworkSpec(
    name="mnist-resnet12",
    dataset="mnist",
    input_shape=_INPUT_SHAPES["mnist"],
    mean=(0.1307,),
    std=(0.3081,),
    build=lambda: ResNet(1, (1, 2, 2), (16, 32, 64), classes=10),
    checkpoint="mnist-resnet12.safetensors",
    embedded=True,
)

_IMAGENET_MOBILENETV2 = NetworkSpec(
    name="imagenet-mobilenetv2",
    dataset="imagenet-sample",
    input_shape=_INPUT_SHAPES["imagenet-sample"],
    # (x − 128)/128 of the bytes.
    mean=(128 / 255,) * 3,
    std=(128 / 255,) * 3,
    build=ImageNetMobileNetV2,
    checkpoint="imagenet_mobilenet_v2_u8.safetensors",
    state_of=without_background,
)

_SPECS = {
    spec.name: spec
    for spec in (_MNIST_RESNET12, *(_cifar_resnet(depth) for depth in (20, 32, 44, 56)), _IMAGENET_MOBILENETV2)
}
_FACTORIES: dict[str, Callable[[float, int], nn.Module]] = {
    "resnet18": ResNet18,
    "mobilenetv2": MobileNetV2,
    "vgg16": lambda width, classes: VGG(16, width, classes),
    "vgg19": lambda width, classes: VGG(19, width, classes),
    "vgg19-fc1": lambda width, classes: VGG(19, width, classes, hidden=False),
}


@dataclass(frozen=True)
class _ZooData:
    """A data set that the zoo is built for."""

    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


_ZOO_DATA = {
    "cifar10": _ZooData(10, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": _ZooData(100, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}
_ZOO = {f"{dataset}-{name}": (dataset, name) for dataset in _ZOO_DATA for name in _FACTORIES}
NETWORKS = (*_SPECS, *_ZOO)


def network_spec(name: str, dataset: str | None = None) -> NetworkSpec:
    """Return the specification of ``name``.

    ``name`` is one of NETWORKS, those without shipped weights with an optional width suffix (``cifar10-vgg16-w0.5``),
    ``torchvision:NAME`` for what ``torchvision.models.get_model`` knows, with a head for the classes of ``dataset``,
    or ``package.module:factory``: what the factory returns, called without arguments, is the network, ``dataset``
    its data set, and its attribute ``actcodec_input`` its normalisation.
    Raises ActcodecError for an unknown name, a width that is no number in 0…4, a factory that cannot be called or a
    data set that is missing or not the network's.
    """
    if name.startswith(_TORCHVISION):
        return _torchvision(name, dataset)
    if ":" in name:
        return _own(name, dataset)
    spec = _SPECS.get(name) or _from_zoo(name)
    if spec is None:
        raise ActcodecError(
            "network", f"{name!r} is unknown; known: {', '.join(NETWORKS)}, torchvision:NAME, package.module:factory"
        )
    if dataset not in (None, spec.dataset):
        raise ActcodecError("dataset", f"{dataset!r} is not {name}'s, {spec.dataset!r}")
    return spec


def _from_zoo(name: str) -> NetworkSpec | None:
    base, marked, suffix = name.partition("-w")
    if base not in _ZOO:
        return None
    if marked and not re.fullmatch(r"\d+(\.\d+)?", suffix):
        raise ActcodecError("network", f"{name!r}: the width {suffix!r} is no number")
    width = float(suffix) if marked else 1.0
    if not 0 < width <= _WIDEST:
        raise ActcodecError("network", f"{name!r}: the width {suffix} is outside 0…{_WIDEST:g}")
    dataset, network = _ZOO[base]
    data, build = _ZOO_DATA[dataset], _FACTORIES[network]
    return NetworkSpec(
        name=name,
        dataset=dataset,
        input_shape=_INPUT_SHAPES[dataset],
        mean=data.mean,
        std=data.std,
        build=lambda: build(width, data.classes),
    )


def _torchvision(name: str, dataset: str | None) -> NetworkSpec:
    given = _given(name, dataset)
    try:
        models = importlib.import_module("torchvision.models")
    except Exception as error:  # A torchvision that does not fit torch fails in many ways.
        problem = f"needs torchvision, which cannot be imported: {reason(error)}"
        raise ActcodecError(f"network {name}", problem) from error
    wanted = name.removeprefix(_TORCHVISION)
    classes = _ZOO_DATA[given].classes if given in _ZOO_DATA else _CLASSES
    return NetworkSpec(
        name=name,
        dataset=given,
        input_shape=_INPUT_SHAPES[given],
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        build=_builder(name, lambda: models.get_model(wanted, weights=None, num_classes=classes)),
    )


def _given(name: str, dataset: str | None) -> str:
    """Return ``dataset`` where it is known; a network that is not of the project's has none of its own."""
    if dataset in _INPUT_SHAPES:
        return dataset
    given = "no data set" if dataset is None else f"the unknown data set {dataset!r}"
    raise ActcodecError(f"network {name}", f"has {given}; give --dataset, one of: {', '.join(DATASETS)}")


def _builder(name: str, factory: Callable[[], Any]) -> Callable[[], nn.Module]:
    """Return ``factory`` with its failures named."""

    def build() -> nn.Module:
        try:
            model = factory()
        except Exception as error:  # Code of the user's.
            raise ActcodecError(f"network {name}", f"cannot be built: {reason(error)}") from error
        if not isinstance(model, nn.Module):
            raise ActcodecError(f"network {name}", f"the factory returned a {type(model).__name__}, not a Module")
        return model

    return build


def _own(name: str, dataset: str | None) -> NetworkSpec:
    given = _given(name, dataset)
    build = _builder(name, _factory(name))
    shape = _INPUT_SHAPES[given]
    mean, std = _normalisation(name, build(), shape[0])
    return NetworkSpec(name=name, dataset=given, input_shape=shape, mean=mean, std=std, build=build)


def _factory(name: str) -> Callable[[], Any]:
    """Import what ``package.module:factory`` names; the current folder is looked in as well."""
    module_name, _, attribute = name.partition(":")
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # Whatever the module raises when it is imported.
        raise ActcodecError(f"network {name}", f"{module_name} cannot be imported: {reason(error)}") from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise ActcodecError(f"network {name}", f"{module_name} has no function or class {attribute!r}")
    return factory  # type: ignore[no-any-return]


def _normalisation(name: str, model: nn.Module, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    convention = getattr(model, INPUT_ATTRIBUTE, None)
    try:
        mean = tuple(float(value) for value in convention["mean"])  # type: ignore[index]
        std = tuple(float(value) for value in convention["std"])  # type: ignore[index]
    except (TypeError, KeyError, ValueError):
        problem = f"its module needs the attribute {INPUT_ATTRIBUTE} = {{'mean': (…), 'std': (…)}} of images/255"
        raise ActcodecError(f"network {name}", problem) from None
    if len(mean) != channels or len(std) != channels or not all(map(math.isfinite, mean)) or not min(std) > 0:
        problem = f"needs {channels} means and {channels} positive stds, got mean {mean}, std {std}"
        raise ActcodecError(f"network {name}", f"{INPUT_ATTRIBUTE} {problem}")
    return mean, std
