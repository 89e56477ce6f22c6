"""MobileNetV2 for 32×32 images: stem and first stage keep the resolution.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018.
State-dict names (``features.0.0``, ``features.1.conv.0.0``, …, ``classifier.1``) are torchvision's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from actcodec.networks.scaling import scaled

# Expansion, channels, blocks, stride of the first; the second and the stem had stride 2 for large images.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class InvertedResidual(nn.Module):
    """project(depthwise(expand(x))) [+ x]: 1×1 to ``expansion`` times the channels, 3×3 depthwise, linear 1×1.

    ReLU6 after the first two; no expansion where ``expansion`` is 1; the sum where the shapes are the same.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_convolution(inputs, hidden, 1)]
        layers.append(_convolution(hidden, hidden, 3, stride, groups=hidden))
        layers += [nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*layers)
        self._adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map N×inputs×H×W to N×outputs×⌈H/stride⌉×⌈W/stride⌉."""
        return x + self.conv(x) if self._adds else self.conv(x)  # type: ignore[no-any-return]


class MobileNetV2(nn.Module):
    """Stem, seventeen inverted residuals, a 1×1 convolution; channels times ``width``, ``classes`` logits.

    As in the source the last convolution keeps its 1280 channels for widths below 1.
    """

    def __init__(self, width: float = 1.0, classes: int = 10) -> None:
        super().__init__()
        channels = scaled(32, width)
        layers: list[nn.Module] = [_convolution(3, channels, 3)]
        for expansion, base, blocks, first in _STAGES:
            for number in range(blocks):
                outputs = scaled(base, width)
                layers.append(InvertedResidual(channels, outputs, 1 if number else first, expansion))
                channels = outputs
        last = scaled(1280, max(1.0, width))
        layers.append(_convolution(channels, last, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images N×3×H×W to logits N×classes."""
        x = functional.adaptive_avg_pool2d(self.features(x), 1)
        return self.classifier(torch.flatten(x, 1))  # type: ignore[no-any-return]


def _convolution(inputs: int, outputs: int, side: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, side, stride=stride, padding=side // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6())
