"""ResNet-18 for 32×32 images: projection shortcuts, a 3×3 stem without pooling.

Source: He et al., "Deep Residual Learning for Image Recognition", 2016, shortcut option B.
State-dict names (``conv1``, ``layer1.0.conv1``, ``layer2.0.downsample.0``, …, ``fc``) are torchvision's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from actcodec.networks.scaling import scaled


class ProjectionBlock(nn.Module):
    """relu(bn2(conv2(relu(bn1(conv1(x))))) + downsample(x)), 3×3 convolutions, the first with ``stride``.

    ``downsample`` is a 1×1 convolution with BatchNorm where the shapes differ, nothing elsewhere.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map N×inputs×H×W to N×outputs×⌈H/stride⌉×⌈W/stride⌉."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(out + shortcut)  # type: ignore[no-any-return]


class ResNet18(nn.Module):
    """Four stages of two blocks with 64, 128, 256, 512 channels times ``width``; ``classes`` logits."""

    def __init__(self, width: float = 1.0, classes: int = 10) -> None:
        super().__init__()
        widths = [scaled(channels, width) for channels in (64, 128, 256, 512)]
        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        self.layer1 = _stage(widths[0], widths[0], 1)
        self.layer2 = _stage(widths[0], widths[1], 2)
        self.layer3 = _stage(widths[1], widths[2], 2)
        self.layer4 = _stage(widths[2], widths[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[3], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images N×3×H×W to logits N×classes."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))  # type: ignore[no-any-return]


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(ProjectionBlock(inputs, outputs, stride), ProjectionBlock(outputs, outputs, 1))
