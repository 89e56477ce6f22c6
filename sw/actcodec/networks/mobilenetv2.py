"""MobileNetV2 for 32×32 images, whose stem and first stage keep the resolution, and for 224×224 images.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018.
State-dict names (``features.0.0``, ``features.1.conv.0.0``, …, ``classifier.1``) are torchvision's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from actcodec.networks.scaling import scaled

# Expansion, channels, blocks, stride of the first.
_Stage = tuple[int, int, int, int]
_STAGES: tuple[_Stage, ...] = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
# The stage of 24 channels keeps the resolution.
_SMALL_STAGES = tuple((*stage[:3], 1) if stage[1] == 24 else stage for stage in _STAGES)


@dataclass(frozen=True)
class _Layers:
    """How the layers are built: with BatchNorm or a bias, padded as PyTorch or as TensorFlow does it."""

    batchnorm: bool
    tensorflow_padding: bool
    """At stride 2 a row and a column of zeros at the bottom and right only: TensorFlow's "same" of an even side."""

    def convolution(self, inputs: int, outputs: int, side: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
        """Convolution, BatchNorm where there is one, ReLU6; the convolution's name is 0, whatever pads before it."""
        one_sided = self.tensorflow_padding and stride == 2
        padding = 0 if one_sided else side // 2
        block = nn.Sequential()
        if one_sided:
            block.add_module("pad", nn.ZeroPad2d((0, 1, 0, 1)))
        conv = nn.Conv2d(inputs, outputs, side, stride, padding, groups=groups, bias=not self.batchnorm)
        named = [conv, *self._norm(outputs), nn.ReLU6()]
        for number, module in enumerate(named):
            block.add_module(str(number), module)
        return block

    def projection(self, inputs: int, outputs: int) -> list[nn.Module]:
        """A 1×1 convolution, BatchNorm where there is one."""
        return [nn.Conv2d(inputs, outputs, 1, bias=not self.batchnorm), *self._norm(outputs)]

    def _norm(self, channels: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(channels)] if self.batchnorm else []


class InvertedResidual(nn.Module):
    """project(depthwise(expand(x))) [+ x]: 1×1 to ``expansion`` times the channels, 3×3 depthwise, linear 1×1.

    ReLU6 after the first two; no expansion where ``expansion`` is 1; the sum where the shapes are the same.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, build: _Layers) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [build.convolution(inputs, hidden, 1)]
        layers.append(build.convolution(hidden, hidden, 3, stride, groups=hidden))
        self.conv = nn.Sequential(*layers, *build.projection(hidden, outputs))
        self._adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map N×inputs×H×W to N×outputs×⌈H/stride⌉×⌈W/stride⌉."""
        return x + self.conv(x) if self._adds else self.conv(x)  # type: ignore[no-any-return]


class _MobileNetV2(nn.Module):
    """Stem, seventeen inverted residuals, a 1×1 convolution; channels times ``width``, ``classes`` logits.

    As in the source the last convolution keeps its 1280 channels for widths below 1.
    """

    def __init__(self, width: float, classes: int, stem_stride: int, stages: Sequence[_Stage], build: _Layers) -> None:
        super().__init__()
        channels = scaled(32, width)
        layers: list[nn.Module] = [build.convolution(3, channels, 3, stem_stride)]
        for expansion, base, blocks, first in stages:
            for number in range(blocks):
                outputs = scaled(base, width)
                layers.append(InvertedResidual(channels, outputs, 1 if number else first, expansion, build))
                channels = outputs
        last = scaled(1280, max(1.0, width))
        layers.append(build.convolution(channels, last, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images N×3×H×W to logits N×classes."""
        x = functional.adaptive_avg_pool2d(self.features(x), 1)
        return self.classifier(torch.flatten(x, 1))  # type: ignore[no-any-return]


class MobileNetV2(_MobileNetV2):
    """MobileNetV2 for 32×32 images."""

    def __init__(self, width: float = 1.0, classes: int = 10) -> None:
        super().__init__(width, classes, 1, _SMALL_STAGES, _Layers(batchnorm=True, tensorflow_padding=False))


class ImageNetMobileNetV2(_MobileNetV2):
    """MobileNetV2 for 224×224 images, BatchNorm folded, padded as the network was trained (TensorFlow's way)."""

    def __init__(self, width: float = 1.0, classes: int = 1000) -> None:
        super().__init__(width, classes, 2, _STAGES, _Layers(batchnorm=False, tensorflow_padding=True))
