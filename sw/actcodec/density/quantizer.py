"""Fake quantization of a layer's operands: both, weights and input, at the layer's width k.

    x_q = round((x − x_min)·(2^k − 1)/(x_max − x_min))        computed with  x_q·(x_max − x_min)/(2^k − 1) + x_min

**Published** (arXiv 2101.04354): this formula, and that a layer's weights and activations share k. **Reconstructed**:
which activations a layer's are. The published energy model charges a layer N²·I + p²·I·O memory accesses and
M²·I·p²·O MACs at one k, and a process-in-memory array multiplies operands of one width, so they are taken to be the
layer's *input*; x_min and x_max are those of the whole tensor, of a batch in training and a running mean of them in
evaluation, and of activations never on one side of 0, so that a dead channel adds nothing; the gradient goes straight
through.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

RANGE_MOMENTUM = 0.1
"""Of the running range, as of BatchNorm's statistics."""


def fake_quantize(x: Tensor, low: float, high: float, bits: int) -> Tensor:
    """Return ``x`` rounded to the 2^bits − 1 even steps between ``low`` and ``high``, clamped to them.

    The gradient inside the range is that of x. A range of no extent returns x.
    """
    if not high > low:
        return x
    levels = (1 << bits) - 1
    shifted = x - low if low else x
    rounded: Tensor = torch.fake_quantize_per_tensor_affine(shifted, (high - low) / levels, 0, 0, levels)
    return rounded + low if low else rounded


class RangedQuantizer(nn.Module):
    """Activations at ``bits``, in the batch's range in training, in the running range in evaluation."""

    low: Tensor
    high: Tensor
    tracked: Tensor

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        for name in ("low", "high", "tracked"):
            self.register_buffer(name, torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` quantized; in training its range is taken into the running one."""
        if self.training:
            low, high = torch.aminmax(x.detach())
            low, high = low.clamp_max(0), high.clamp_min(0)
            # The first batch's range is taken whole.
            share = RANGE_MOMENTUM if self.tracked else 1.0
            self.low.lerp_(low, share)
            self.high.lerp_(high, share)
            self.tracked.fill_(1)
        else:
            low, high = self.low, self.high
        return fake_quantize(x, float(low), float(high), self.bits)


class QuantizedConv2d(nn.Conv2d):
    """A convolution whose input and weights are quantized to ``bits``; the sum is not."""

    input: RangedQuantizer

    @classmethod
    def of(cls, conv: nn.Conv2d, bits: int) -> Self:
        """Return ``conv`` quantized; its parameters are taken over."""
        made = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]
            conv.stride,  # type: ignore[arg-type]
            conv.padding,  # type: ignore[arg-type]
            conv.dilation,  # type: ignore[arg-type]
            conv.groups,
            conv.bias is not None,
            conv.padding_mode,
        )
        made.weight, made.bias, made.input = conv.weight, conv.bias, RangedQuantizer(bits)
        return made

    def forward(self, input: Tensor) -> Tensor:
        """Map N×C×H×W as the convolution does."""
        sums: Tensor = self._conv_forward(self.input(input), quantized_weight(self), self.bias)
        return sums


class QuantizedLinear(nn.Linear):
    """A linear layer whose input and weights are quantized to ``bits``; the sum is not."""

    input: RangedQuantizer

    @classmethod
    def of(cls, linear: nn.Linear, bits: int) -> Self:
        """Return ``linear`` quantized; its parameters are taken over."""
        made = cls(linear.in_features, linear.out_features, linear.bias is not None)
        made.weight, made.bias, made.input = linear.weight, linear.bias, RangedQuantizer(bits)
        return made

    def forward(self, input: Tensor) -> Tensor:
        """Map N×features as the linear layer does."""
        return functional.linear(self.input(input), quantized_weight(self), self.bias)


QuantizedLayer = QuantizedConv2d | QuantizedLinear


def quantized_weight(layer: QuantizedLayer) -> Tensor:
    """Return the weights that ``layer`` computes with, at its width and in their own range."""
    low, high = torch.aminmax(layer.weight.detach())
    return fake_quantize(layer.weight, float(low), float(high), layer.input.bits)
