"""A site's codec as a differentiable layer: the plan's arithmetic with straight-through rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from actcodec.learn.plan import PlanArrays, SitePlan
from actcodec.learn.quantize8 import ActivationRange
from actcodec.tables import SiteInfo


class _RoundClamp(torch.autograd.Function):
    """clamp(⌊v + ½⌋, low, high); the gradient passes where rounding did not leave low…high, and is 0 elsewhere."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, low: Tensor, high: Tensor) -> Tensor:
        rounded = torch.floor(value + 0.5)
        clamped = torch.minimum(torch.maximum(rounded, low), high)
        ctx.save_for_backward(rounded == clamped)
        return clamped

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None


def round_clamp(value: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Round halves up and clamp to low…high (broadcast), straight-through for gradients."""
    return _RoundClamp.apply(value, low, high)  # type: ignore[no-any-return, no-untyped-call]


class CodecLayer(nn.Module):
    """Real activations N×C×H×W → what a reader of the compressed site gets, the same shape.

    The learnable tensors are *relative* to the plan: P = P₀ + rms(row of P₀)·δP, R alike by columns, bias = bias₀ + δ
    in steps of a code, bias_out = bias_out₀ + rms(R₀)·δ. One learning rate then suits all of them.
    Dense matrices hold the blocks; entries outside them stay 0.
    """

    P0: Tensor
    R0: Tensor
    mask: Tensor
    bias0: Tensor
    bias_out0: Tensor
    row_size: Tensor
    column_size: Tensor
    unit: Tensor
    top: Tensor
    bottom: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, plan: SitePlan) -> None:
        super().__init__()
        self._plan = plan
        info, arrays = plan.info, plan.arrays
        P, R, mask = _dense(plan)
        self._range = ActivationRange(info.scale, info.zero, info.low, info.high)
        self._buffer("P0", P)
        self._buffer("R0", R)
        self._buffer("mask", mask)
        self._buffer("bias0", arrays.bias)
        self._buffer("bias_out0", arrays.bias_out)
        share = mask.sum() / mask.size if mask.size else 1.0
        self._buffer("row_size", np.sqrt((P**2).sum(1, keepdims=True) / np.maximum(mask.sum(1, keepdims=True), 1)))
        self._buffer("column_size", np.sqrt((R**2).sum(0, keepdims=True) / np.maximum(mask.sum(1), 1)[None]))
        self._buffer("unit", np.sqrt((R**2).mean() / share if R.size else 1.0))
        self._buffer("top", (1 << arrays.width.astype(np.int64)) - 1)
        self._buffer("bottom", 0)
        self._buffer("low", info.low - info.zero)
        self._buffer("high", info.high - info.zero)
        self.dP = nn.Parameter(torch.zeros(P.shape))
        self.dR = nn.Parameter(torch.zeros(R.shape))
        self.dbias = nn.Parameter(torch.zeros(arrays.bias.shape))
        self.dbias_out = nn.Parameter(torch.zeros(arrays.bias_out.shape))
        if info.transform == "bypass":
            self.requires_grad_(False)

    def _buffer(self, name: str, value: Any) -> None:
        self.register_buffer(name, torch.as_tensor(np.asarray(value, np.float32)), persistent=False)

    def _weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return (
            self.P0 + self.row_size * self.mask * self.dP,
            self.bias0 + self.dbias,
            self.R0 + self.column_size * self.mask.T * self.dR,
            self.bias_out0 + self.unit * self.dbias_out,
        )

    def forward(self, activation: Tensor) -> Tensor:
        """Return scale·clamp(round(R·code + bias_out), low − zero, high − zero) at every position."""
        count, channels, height, width = activation.shape
        # With channels last in memory both reshapes are views.
        rows = activation.permute(0, 2, 3, 1).reshape(-1, channels)
        x = round_clamp(rows / self._range.scale, self.low, self.high)
        if self._plan.info.transform != "bypass":
            P, bias, R, bias_out = self._weights()
            code = round_clamp(functional.linear(x, P, bias), self.bottom, self.top)
            x = round_clamp(functional.linear(code, R, bias_out), self.low, self.high)
        return (x * self._range.scale).reshape(count, height, width, channels).permute(0, 3, 1, 2)

    @torch.no_grad()
    def to_plan(self) -> SitePlan:
        """Return the plan with the numbers as they are now learned."""
        if self._plan.info.transform == "bypass":
            return self._plan
        P, bias, R, bias_out = (tensor.double().numpy() for tensor in self._weights())
        packed_P, packed_R = np.zeros_like(self._plan.arrays.P), np.zeros_like(self._plan.arrays.R)
        for block in self._plan.info.blocks:
            c, k = slice(*block.channels), slice(*block.coefficients)
            packed_P[k, : c.stop - c.start] = P[k, c]
            packed_R[c, : k.stop - k.start] = R[c, k]
        old = self._plan.arrays
        return SitePlan(self._plan.info, PlanArrays(packed_P, packed_R, bias, bias_out, old.width, old.group))


def _dense(plan: SitePlan) -> tuple[Any, Any, Any]:
    """Return P (K, C), R (C, K) and the mask (K, C) of the entries that the transform may use."""
    info: SiteInfo = plan.info
    K, C = len(plan.arrays.width), info.channels
    P, R, mask = np.zeros((K, C)), np.zeros((C, K)), np.zeros((K, C))
    for block in info.blocks:
        c, k = slice(*block.channels), slice(*block.coefficients)
        P[k, c] = plan.arrays.P[k, : c.stop - c.start]
        R[c, k] = plan.arrays.R[c, : k.stop - k.start]
        mask[k, c] = 1.0 if info.transform == "project" else np.eye(c.stop - c.start)
    # A coefficient of no bits is neither computed nor read.
    mask[plan.arrays.width == 0] = 0
    return P, R, mask
