"""A site's codec as a differentiable layer: the plan's arithmetic with straight-through rounding.

Two implementations of one function: compiled loops on the CPU (`kernels`), plain torch operations anywhere else and as
the reference that the loops are tested with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from actcodec.learn.draft import PROJECTED
from actcodec.learn.plan import SitePlan
from actcodec.learn.quantize8 import ActivationRange
from actcodec.learn.tuning import kernels
from actcodec.tables import SiteInfo

FloatArray = NDArray[np.float64]

_ROW = 256


@dataclass(frozen=True, eq=False)
class Geometry:
    """What of a site's arithmetic is not learned.

    ``blocks`` (J, 4): first and last channel, first and last coefficient; ``top`` (K,) is 2^b − 1; ``low`` and ``high``
    bound x − zero; ``diagonal``: P and R have one entry a channel.
    """

    blocks: NDArray[np.int64]
    top: NDArray[np.float32]
    scale: np.float32
    low: np.float32
    high: np.float32
    diagonal: bool
    rounds: bool = True
    """The encoder gets bytes; of a folded site it gets what the convolution computes."""


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


def reference(activation: Tensor, P: Tensor, bias: Tensor, R: Tensor, bias_out: Tensor, geometry: Geometry) -> Tensor:
    """Return what readers of N×C×H×W ``activation`` get, in plain torch operations: any device, any precision."""

    def constant(value: Any) -> Tensor:
        return torch.as_tensor(value, dtype=activation.dtype, device=activation.device)

    low, high = constant(float(geometry.low)), constant(float(geometry.high))
    rows = activation.permute(0, 2, 3, 1) / float(geometry.scale)
    if geometry.rounds:
        rows = round_clamp(rows, low, high)
    top, parts = constant(geometry.top), []
    for c0, c1, k0, k1 in geometry.blocks.tolist():
        forward, backward = P[k0:k1, : c1 - c0], R[c0:c1, : k1 - k0]
        if geometry.diagonal:
            forward, backward = (torch.diag(torch.diagonal(m)) for m in (forward, backward))
        z = functional.linear(rows[..., c0:c1], forward, bias[k0:k1])
        code = round_clamp(z, constant(0), top[k0:k1])
        parts.append(functional.linear(code, backward, bias_out[c0:c1]))
    y = round_clamp(torch.cat(parts, -1), low, high)
    return (y * float(geometry.scale)).permute(0, 3, 1, 2)


class _Fused(torch.autograd.Function):
    """`reference` for float32 on the CPU, in two passes over the tensor and with nothing kept but the input."""

    @staticmethod
    def forward(
        ctx: Any, activation: Tensor, P: Tensor, bias: Tensor, R: Tensor, bias_out: Tensor, geometry: Geometry
    ) -> Tensor:
        x = activation.contiguous(memory_format=torch.channels_last)
        out = torch.empty_like(x)
        weights: Any = tuple(tensor.detach().contiguous().numpy() for tensor in (P, bias, R, bias_out))
        if geometry.diagonal:
            p, r = _diagonals(geometry, weights[0], weights[2])
            copies = _copies(x)
            numbers = [np.tile(array, copies) for array in (p, weights[1], r, weights[3], geometry.top)]
            arguments: Any = (*numbers, *_constants(geometry)[1:])
            kernels.forward_identity(_rows(x, copies), _rows(out, copies), *arguments)
        else:
            kernels.forward_project(_rows(x), _rows(out), geometry.blocks, *weights, *_constants(geometry))
        ctx.save_for_backward(x)
        ctx.weights, ctx.geometry = weights, geometry
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (x,), geometry = ctx.saved_tensors, ctx.geometry
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        dx = torch.empty_like(x)
        P, bias, R, bias_out = ctx.weights
        top, scale, low, high = _constants(geometry)
        if geometry.diagonal:
            p, r = _diagonals(geometry, P, R)
            copies = _copies(x)
            rows, slopes, out = (_rows(tensor, copies) for tensor in (x, gradient, dx))
            numbers = [np.tile(array, copies) for array in (p, bias, r, bias_out, top)]
            sums = [np.zeros_like(array) for array in numbers[:-1]]
            arguments: Any = (*numbers, scale, low, high, out, *sums)
            kernels.backward_identity(rows, slopes, *arguments)
            dp, dbias, dr, dbias_out = (total.reshape(copies, -1).sum(0) for total in sums)
            dP, dR = _scattered(geometry, P, dp), _scattered(geometry, R, dr)
        else:
            rows, slopes, out = _rows(x), _rows(gradient), _rows(dx)
            dP, dR = np.zeros_like(P), np.zeros_like(R)
            dbias, dbias_out = np.zeros_like(bias), np.zeros_like(bias_out)
            kernels.backward_project(
                rows,
                slopes,
                geometry.blocks,
                P,
                bias,
                R,
                bias_out,
                top,
                scale,
                low,
                high,
                out,
                dP,
                dbias,
                dR,
                dbias_out,
            )
        return dx, *(torch.from_numpy(array) for array in (dP, dbias, dR, dbias_out)), None


def _constants(geometry: Geometry) -> Any:
    return geometry.top, geometry.scale, geometry.low, geometry.high


def _rows(tensor: Tensor, copies: int = 1) -> NDArray[np.float32]:
    """View channels-last memory as rows of ``copies`` positions × channels."""
    array: NDArray[np.float32] = tensor.detach().permute(0, 2, 3, 1).reshape(-1, copies * tensor.shape[1]).numpy()
    return array


def _copies(tensor: Tensor) -> int:
    """Positions that the loops over single channels take as one row.

    The compiler turns a loop over channels into several vectors at a time; what is left of it, which is all of 16
    channels, goes one by one and took six times as long backward.
    """
    count, channels, copies = tensor.numel() // tensor.shape[1], tensor.shape[1], 1
    while copies * channels < _ROW and count % (2 * copies) == 0:
        copies *= 2
    return copies


def _places(geometry: Geometry) -> NDArray[np.int64]:
    """The place of every channel in its block."""
    return np.concatenate([np.arange(c1 - c0) for c0, c1, _, _ in geometry.blocks])


def _diagonals(
    geometry: Geometry, P: NDArray[np.float32], R: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    places = _places(geometry)
    channels = np.arange(len(places))
    return np.ascontiguousarray(P[channels, places]), np.ascontiguousarray(R[channels, places])


def _scattered(geometry: Geometry, like: NDArray[np.float32], diagonal: NDArray[np.float32]) -> NDArray[np.float32]:
    out = np.zeros_like(like)
    places = _places(geometry)
    out[np.arange(len(places)), places] = diagonal
    return out


class CodecLayer(nn.Module):
    """Real activations N×C×H×W → what a reader of the compressed site gets, the same shape.

    The learnable tensors are *relative* to the plan: P = P₀ + rms(row of P₀)·δP, R alike by columns, bias = bias₀ + δ
    in steps of a code, bias_out = bias_out₀ + rms(R₀)·δ. One learning rate then suits all of them. The quantizer's step
    and offset are in P's row and bias (encoder) and in R's column and bias' (decoder), and so are learned with them.
    """

    P0: Tensor
    R0: Tensor
    free_rows: Tensor
    free_columns: Tensor
    bias0: Tensor
    bias_out0: Tensor
    unit: Tensor

    def __init__(self, plan: SitePlan) -> None:
        super().__init__()
        self._plan = plan
        info, arrays = plan.info, plan.arrays
        self._range = ActivationRange(info.scale, info.zero, info.low, info.high)
        self.geometry = Geometry(
            blocks=np.array([(*b.channels, *b.coefficients) for b in info.blocks], np.int64),
            top=((1 << arrays.width.astype(np.int64)) - 1).astype(np.float32),
            scale=np.float32(info.scale),
            low=np.float32(info.low - info.zero),
            high=np.float32(info.high - info.zero),
            diagonal=info.transform not in PROJECTED,
            rounds=info.transform != "folded",
        )
        free_rows, free_columns, column_size = _freedom(plan)
        row_size = np.sqrt((arrays.P**2).sum(1, keepdims=True) / np.maximum(free_rows.sum(1, keepdims=True), 1))
        self._buffer("P0", arrays.P)
        self._buffer("R0", arrays.R)
        self._buffer("free_rows", free_rows * row_size)
        self._buffer("free_columns", free_columns * column_size)
        self._buffer("bias0", arrays.bias)
        self._buffer("bias_out0", arrays.bias_out)
        self._buffer("unit", np.sqrt((arrays.R**2).sum() / max(free_columns.sum(), 1)) or 1.0)
        self.dP = nn.Parameter(torch.zeros(arrays.P.shape))
        self.dR = nn.Parameter(torch.zeros(arrays.R.shape))
        self.dbias = nn.Parameter(torch.zeros(arrays.bias.shape))
        self.dbias_out = nn.Parameter(torch.zeros(arrays.bias_out.shape))
        if info.transform == "bypass":
            self.requires_grad_(False)

    def _buffer(self, name: str, value: Any) -> None:
        self.register_buffer(name, torch.as_tensor(np.asarray(value, np.float32)), persistent=False)

    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return P (K, b), bias (K,), R (C, b) and bias' (C,) as they now are."""
        return (
            self.P0 + self.free_rows * self.dP,
            self.bias0 + self.dbias,
            self.R0 + self.free_columns * self.dR,
            self.bias_out0 + self.unit * self.dbias_out,
        )

    def forward(self, activation: Tensor) -> Tensor:
        """Return scale·clamp(round(R·code + bias_out), low − zero, high − zero) at every position."""
        weights = self.weights()
        if activation.device.type == "cpu" and activation.dtype != torch.float64 and self.geometry.rounds:
            # Codes are exact in float32 only, whatever autocast makes of the convolutions.
            return _Fused.apply(activation.float(), *weights, self.geometry)  # type: ignore[no-any-return, no-untyped-call]
        P, bias, R, bias_out = (w.to(activation.dtype) for w in weights)
        return reference(activation, P, bias, R, bias_out, self.geometry)

    @torch.no_grad()
    def to_plan(self) -> SitePlan:
        """Return the plan with the numbers as they are now learned."""
        if self._plan.info.transform == "bypass":
            return self._plan
        P, bias, R, bias_out = (tensor.double().cpu().numpy() for tensor in self.weights())
        return SitePlan(self._plan.info, replace(self._plan.arrays, P=P, R=R, bias=bias, bias_out=bias_out))


def _freedom(plan: SitePlan) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return 1 where P (K, b) and R (C, b) may be non-zero, and for entries of R the rms of their column (C, b)."""
    info: SiteInfo = plan.info
    P, R = plan.arrays.P, plan.arrays.R
    free_rows, free_columns, sizes = np.zeros_like(P), np.zeros_like(R), np.zeros_like(R)
    # A coefficient of no bits is neither computed nor read.
    live = plan.arrays.width > 0
    for block in info.blocks:
        c, k = slice(*block.channels), slice(*block.coefficients)
        channels, kept = c.stop - c.start, k.stop - k.start
        allowed = np.ones((kept, channels)) if info.transform in PROJECTED else np.eye(channels)
        allowed = allowed * live[k, None]
        free_rows[k, :channels] = allowed
        free_columns[c, :kept] = allowed.T
        sizes[c, :kept] = np.sqrt((R[c, :kept] ** 2).sum(0) / np.maximum(allowed.sum(1), 1))
    return free_rows, free_columns, sizes
