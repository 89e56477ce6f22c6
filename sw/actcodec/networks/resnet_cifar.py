"""Residual networks for small images with parameter-free shortcuts.

Source: He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.2, shortcut option A.
State-dict names (``conv1``, ``bn1``, ``layer1.0.conv1``, …, ``linear``) are those of the public checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class BasicBlock(nn.Module):
    """relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)), 3×3 convolutions, the first with ``stride``.

    The shortcut takes every ``stride``-th position and pads the new channels with zeros, half on each side.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self._stride = stride
        self._new_channels = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """Map N×inputs×H×W to N×outputs×⌈H/stride⌉×⌈W/stride⌉."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)) + self._shortcut(x)
        return functional.relu(out)

    def _shortcut(self, x: Tensor) -> Tensor:
        if self._stride > 1:
            x = x[:, :, :: self._stride, :: self._stride]
        if self._new_channels:
            before = self._new_channels // 2
            x = functional.pad(x, (0, 0, 0, 0, before, self._new_channels - before))
        return x


class ResNet(nn.Module):
    """A 3×3 stem, stages of BasicBlocks (the stages after the first start with stride 2), mean, linear.

    ``inputs`` image channels, ``blocks[i]`` blocks of ``widths[i]`` channels in stage i, ``classes`` logits.
    """

    def __init__(self, inputs: int, blocks: Sequence[int], widths: Sequence[int], classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        previous = widths[0]
        for number, (count, width) in enumerate(zip(blocks, widths, strict=True), start=1):
            strides = [1 if number == 1 else 2] + [1] * (count - 1)
            stage = nn.Sequential()
            for stride in strides:
                stage.append(BasicBlock(previous, width, stride))
                previous = width
            self.add_module(f"layer{number}", stage)
        self._stage_names = [f"layer{number}" for number in range(1, len(blocks) + 1)]
        self.linear = nn.Linear(previous, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images N×inputs×H×W to logits N×classes."""
        x = functional.relu(self.bn1(self.conv1(x)))
        for name in self._stage_names:
            x = getattr(self, name)(x)
        return self.linear(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))  # type: ignore[no-any-return]
