"""VGG-16 and VGG-19 with BatchNorm for 32×32 images: five poolings leave one position, so the head is small.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015, D and E.
State-dict names (``features.0``, …, ``classifier.6``) are those of torchvision's ``vgg16_bn`` and ``vgg19_bn``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from actcodec.networks.scaling import scaled

_STAGES = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """Five stages of 3×3 convolutions with BatchNorm and ReLU, each ended by 2×2 maximum pooling; three linear layers.

    ``depth`` is 16 or 19; channels, and the hidden units, are 64 … 512 times ``width``; ``classes`` logits. Without
    ``hidden`` layers one linear layer is all of the head, as is common for 32×32 images: ``classifier.0``.
    """

    def __init__(self, depth: int, width: float = 1.0, classes: int = 10, hidden: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        previous = 3
        for count, base in zip(_STAGES[depth], _CHANNELS, strict=True):
            channels = scaled(base, width)
            for _ in range(count):
                layers += [nn.Conv2d(previous, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
                previous = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        head: list[nn.Module] = []
        for _ in range(2 if hidden else 0):
            head += [nn.Linear(previous, previous), nn.ReLU(), nn.Dropout()]
        self.classifier = nn.Sequential(*head, nn.Linear(previous, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images N×3×H×W to logits N×classes."""
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))  # type: ignore[no-any-return]
