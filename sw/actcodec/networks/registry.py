"""The networks that the stack knows by name, with their input conventions and checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from actcodec.data.roots import data_root
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.networks.resnet_cifar import ResNet

# The CIFAR checkpoints were trained with ImageNet's normalisation.
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class NetworkSpec:
    """What is known of a network before its weights: ``input_shape`` is C, H, W; mean and std are of x/255.

    ``embedded`` checkpoints ship with the package; the others lie in ``pretrained/`` of the data folder.
    """

    name: str
    dataset: str
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    build: Callable[[], nn.Module]
    checkpoint: str
    embedded: bool


@dataclass(frozen=True)
class Network:
    """A trained network in evaluation mode, its input conventions, the SHA-256 of its checkpoint file."""

    name: str
    model: nn.Module
    dataset: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input_shape: tuple[int, int, int]
    checkpoint_sha256: str

    def inputs(self, images: NDArray[np.uint8]) -> Tensor:
        """Return (images/255 − mean)/std as float32 N×C×H×W, channels last in memory.

        ``images`` is uint8 N×H×W×C; ActcodecError where their shape is not the network's.
        """
        channels, height, width = self.input_shape
        if images.shape[1:] != (height, width, channels):
            problem = f"takes images {(height, width, channels)}, got {images.shape[1:]}"
            raise ActcodecError(f"network {self.name}", problem)
        return normalised(images, self.mean, self.std)


def normalised(images: NDArray[np.uint8], mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Return (images/255 − mean)/std, uint8 N×H×W×C to float32 N×C×H×W, channels last in memory."""
    x = torch.from_numpy(np.ascontiguousarray(images)).to(torch.float32).div_(255)
    # A view of N×H×W×C memory as N×C×H×W is the channels-last layout that convolutions run fastest in.
    return x.sub_(torch.tensor(mean)).div_(torch.tensor(std)).permute(0, 3, 1, 2)


def _cifar_resnet(depth: int) -> NetworkSpec:
    blocks = [(depth - 2) // 6] * 3
    return NetworkSpec(
        name=f"cifar10-resnet{depth}",
        dataset="cifar10",
        input_shape=(3, 32, 32),
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        build=lambda: ResNet(3, blocks, (16, 32, 64), classes=10),
        checkpoint=f"cifar10_resnet{depth}.safetensors",
        embedded=False,
    )


_MNIST_RESNET12 = NetworkSpec(
    name="mnist-resnet12",
    dataset="mnist",
    input_shape=(1, 28, 28),
    mean=(0.1307,),
    std=(0.3081,),
    build=lambda: ResNet(1, (1, 2, 2), (16, 32, 64), classes=10),
    checkpoint="mnist-resnet12.safetensors",
    embedded=True,
)

_SPECS = {spec.name: spec for spec in (_MNIST_RESNET12, *(_cifar_resnet(depth) for depth in (20, 32, 44, 56)))}
NETWORKS = tuple(_SPECS)


def network_spec(name: str) -> NetworkSpec:
    """Return the specification of ``name``; ActcodecError lists the known names where it is unknown."""
    spec = _SPECS.get(name)
    if spec is None:
        raise ActcodecError("network", f"{name!r} is unknown; known: {', '.join(NETWORKS)}")
    return spec


def load_network(name: str, root: Path | None = None, checkpoint: Path | None = None) -> Network:
    """Build ``name`` and load its weights from ``checkpoint``, else the package or the data folder ``root``.

    Raises ActcodecError where the name is unknown or the checkpoint is missing or does not fit.
    """
    spec = network_spec(name)
    if checkpoint is not None:
        path, content = checkpoint, read_bytes(checkpoint)
    elif spec.embedded:
        with as_file(files("actcodec") / "checkpoints" / spec.checkpoint) as path:
            content = read_bytes(path)
    else:
        path = data_root(root) / "pretrained" / spec.checkpoint
        content = read_bytes(path)
    model = spec.build()
    try:
        state = load(content)
    except SafetensorError as error:
        raise ActcodecError(path, f"is not a safetensors file: {error}") from error
    load_state(model, state, path)
    model.eval().requires_grad_(False)
    return Network(
        name=name,
        model=model.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        dataset=spec.dataset,
        mean=spec.mean,
        std=spec.std,
        input_shape=spec.input_shape,
        checkpoint_sha256=hashlib.sha256(content).hexdigest(),
    )


def load_state(model: nn.Module, state: dict[str, Tensor], where: Path) -> None:
    """Copy ``state`` into ``model``; ActcodecError names a tensor that is missing, unknown or misshapen.

    BatchNorm's ``num_batches_tracked`` plays no part in inference and may be absent.
    """
    expected = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    given = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    for name in expected:
        if name not in given:
            raise ActcodecError(where, f"tensor {name} is missing")
        if given[name].shape != expected[name].shape:
            problem = f"has shape {tuple(given[name].shape)}, expected {tuple(expected[name].shape)}"
            raise ActcodecError(where, f"tensor {name} {problem}")
    for name in given:
        if name not in expected:
            raise ActcodecError(where, f"tensor {name} is unknown to the network")
    model.load_state_dict(given, strict=False)
