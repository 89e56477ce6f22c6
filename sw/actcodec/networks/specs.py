"""What is known of a network before its weights: the networks known by name, and any network of one's own.

mnist-resnet12, cifar10-resnet20 … resnet56                  weights at hand
imagenet-mobilenetv2                                         weights at hand, 224×224
cifar10-resnet18, -mobilenetv2, -vgg16, -vgg19 [-w<width>]   no weights shipped
cifar10-vgg19-fc1 [-w<width>]                                with one linear layer; no weights shipped
cifar100-…                                                   these five with 100 classes; no weights shipped
torchvision:, timm:, onnx:, tflite:, package.module:factory  networks from outside (`outside`)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from torch import nn

from actcodec.data import dataset_info
from actcodec.errors import ActcodecError
from actcodec.networks.dequantize import without_background
from actcodec.networks.mobilenetv2 import ImageNetMobileNetV2, MobileNetV2
from actcodec.networks.outside import IMAGENET_MEAN, IMAGENET_STD, INPUT_ATTRIBUTE, outside_network
from actcodec.networks.resnet18 import ResNet18
from actcodec.networks.resnet_cifar import ResNet
from actcodec.networks.spec import NetworkSpec
from actcodec.networks.vgg import VGG

__all__ = ["INPUT_ATTRIBUTE", "NETWORKS", "NetworkSpec", "network_spec"]

_WIDEST = 4.0


def _cifar_resnet(depth: int) -> NetworkSpec:
    blocks = [(depth - 2) // 6] * 3
    return NetworkSpec(
        name=f"cifar10-resnet{depth}",
        dataset="cifar10",
        input_shape=dataset_info("cifar10").shape,
        # The checkpoints at hand were trained with ImageNet's normalisation.
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        build=lambda: ResNet(3, blocks, (16, 32, 64), classes=10),
        checkpoint=f"cifar10_resnet{depth}.safetensors",
    )


_MNIST_RESNET12 = NetworkSpec(
    name="mnist-resnet12",
    dataset="mnist",
    input_shape=dataset_info("mnist").shape,
    mean=(0.1307,),
    std=(0.3081,),
    build=lambda: ResNet(1, (1, 2, 2), (16, 32, 64), classes=10),
    checkpoint="mnist-resnet12.safetensors",
    embedded=True,
)

_IMAGENET_MOBILENETV2 = NetworkSpec(
    name="imagenet-mobilenetv2",
    dataset="imagenet-sample",
    input_shape=dataset_info("imagenet-sample").shape,
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


_NORMALISATIONS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}
"""Mean and std of the data sets that the zoo is built for."""
_ZOO = {f"{dataset}-{name}": (dataset, name) for dataset in _NORMALISATIONS for name in _FACTORIES}
NETWORKS = (*_SPECS, *_ZOO)


def network_spec(name: str, dataset: str | None = None) -> NetworkSpec:
    """Return the specification of ``name``.

    ``name`` is one of NETWORKS, those without shipped weights with an optional width suffix (``cifar10-vgg16-w0.5``),
    ``torchvision:NAME`` and ``timm:NAME`` for what those libraries know, with a head for the classes of ``dataset``,
    ``onnx:PATH`` and ``tflite:PATH`` for a network file, or ``package.module:factory``: what the factory returns,
    called without arguments, is the network, ``dataset`` its data set, and its attribute ``actcodec_input`` its
    normalisation.
    Raises ActcodecError for an unknown name, a width that is no number in 0…4, a factory that cannot be called or a
    data set that is missing or has other images or classes than the network.
    """
    if ":" in name:
        return outside_network(name, dataset)
    spec = _SPECS.get(name) or _from_zoo(name)
    if spec is None:
        outside = "torchvision:NAME, timm:NAME, onnx:PATH, tflite:PATH, package.module:factory"
        raise ActcodecError("network", f"{name!r} is unknown; known: {', '.join(NETWORKS)}, {outside}")
    return spec if dataset is None or dataset == spec.dataset else _on(spec, dataset)


def _on(spec: NetworkSpec, dataset: str) -> NetworkSpec:
    """Return ``spec`` for images of another origin, such as a folder with the whole of ImageNet."""
    info, own = dataset_info(dataset), dataset_info(spec.dataset)
    if (info.shape, info.classes) != (own.shape, own.classes):
        problem = f"{dataset!r} is not {spec.name}'s, {spec.dataset!r}, and has other shapes or classes"
        raise ActcodecError("dataset", problem)
    return replace(spec, dataset=dataset)


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
    (mean, std), build, classes = _NORMALISATIONS[dataset], _FACTORIES[network], dataset_info(dataset).classes
    return NetworkSpec(
        name=name,
        dataset=dataset,
        input_shape=dataset_info(dataset).shape,
        mean=mean,
        std=std,
        build=lambda: build(width, classes),
    )
