"""A site during search: projection, decoder and the quantizers of every width, mixed by what widths groups may have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from actcodec.learn.allocation.choice import Choice
from actcodec.learn.build import build_site
from actcodec.learn.draft import PROJECTED, StreamSettings, Widths, draft_info, stored_widths
from actcodec.learn.option import LARGEST_GAIN
from actcodec.learn.plan import PlanArrays, SitePlan
from actcodec.learn.search import kernels
from actcodec.learn.search.widths import GroupWidths
from actcodec.learn.tuning.layer import round_clamp

FloatArray = NDArray[np.float64]


class _Mixed(torch.autograd.Function):
    """The loops of `kernels` as a function of torch; nothing is kept but the input and the numbers of the site."""

    @staticmethod
    def forward(ctx: Any, activation: Tensor, site: Any, *numbers: Tensor) -> Tensor:
        x = activation.float().contiguous(memory_format=torch.channels_last)
        out = torch.empty_like(x)
        arrays: Any = tuple(tensor.detach().contiguous().numpy() for tensor in numbers)
        kernels.forward(_rows(x), _rows(out), site.blocks, *arrays, *site.constants)
        ctx.save_for_backward(x)
        ctx.site, ctx.arrays = site, arrays
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        dx = torch.empty_like(x)
        by = tuple(np.zeros_like(array) for array in ctx.arrays)
        inputs = _rows(x), _rows(gradient), ctx.site.blocks, *ctx.arrays, *ctx.site.constants
        arguments: Any = (*inputs, _rows(dx), *by)
        kernels.backward(*arguments)
        return dx, None, *(torch.from_numpy(array) for array in by)


def _rows(tensor: Tensor) -> NDArray[np.float32]:
    """View channels-last memory as positions × channels."""
    array: NDArray[np.float32] = tensor.detach().permute(0, 2, 3, 1).reshape(-1, tensor.shape[1]).numpy()
    return array


def reference(
    activation: Tensor,
    numbers: Sequence[Tensor],
    blocks: NDArray[np.int64],
    constants: tuple[np.float32, np.float32, np.float32],
) -> Tensor:
    """Return what the loops compute, in plain torch operations: any device, any precision.

    ``numbers`` are P, bias, R, bias' and offset, step, top and share of the candidates; ``constants`` scale and bounds.
    """
    P, bias, R, bias_out, offset, step, top, share = numbers
    zero = torch.zeros((), dtype=activation.dtype, device=activation.device)
    scale, low, high = (zero + float(constant) for constant in constants)
    rows = round_clamp(activation.permute(0, 2, 3, 1) / scale, low, high)
    parts = []
    for c0, c1 in blocks.tolist():
        z = functional.linear(rows[..., c0:c1], P[c0:c1, : c1 - c0], bias[c0:c1])
        o, size = offset[c0:c1], step[c0:c1]
        place = (z[..., None] - o) / size
        rounded = place + (torch.floor(place + 0.5) - place).detach()
        # What the top cuts off has its gradient, which is what learns a range.
        code = torch.where(rounded > top[c0:c1], top[c0:c1], rounded.clamp_min(0))
        mixed = (share[c0:c1] * (o + size * code)).sum(-1)
        parts.append(functional.linear(mixed, R[c0:c1, : c1 - c0], bias_out[c0:c1]))
    y = round_clamp(torch.cat(parts, -1), low, high)
    return (y * scale).permute(0, 3, 1, 2)


class SearchLayer(nn.Module):
    """Real activations N×C×H×W → what a reader gets while the widths of the site's groups are open.

    Coefficients stand in units of their own, z = P·(x − zero) + bias; a candidate width quantizes z with its own offset
    and step, measured at the start. Learnable tensors are relative to the start as in `tuning.layer.CodecLayer`, steps
    by their logarithm.
    """

    P0: Tensor
    R0: Tensor
    free: Tensor
    row_size: Tensor
    column_size: Tensor
    spread: Tensor
    bias0: Tensor
    bias_out0: Tensor
    offset0: Tensor
    step0: Tensor
    group: Tensor

    def __init__(self, choice: Choice, settings: StreamSettings, model: type[GroupWidths], dynamic: bool) -> None:
        super().__init__()
        self._choice, self._settings = choice, settings
        option, stats = choice.option, choice.option.statistics
        C, b, r = stats.site.channels, settings.params.block, stats.range
        self.blocks = np.array([(part.start, part.stop) for part in stats.blocks], np.int64)
        self.constants = (np.float32(r.scale), np.float32(r.low - r.zero), np.float32(r.high - r.zero))
        offset, step = option.offset, option.step
        # What z varies by; a coefficient that never does would make every number of it infinitely small.
        spread = np.sqrt(np.maximum(option.distortion[0], 1e-12))
        R, bias_out = _decoder(choice, settings)
        mask = np.zeros((C, b))
        for c0, c1 in self.blocks:
            mask[c0:c1, : c1 - c0] = 1 if option.transform in PROJECTED else np.eye(c1 - c0)
        numbers = {
            "P0": _packed(option.P, self.blocks, b),
            "R0": _packed(R, self.blocks, b),
            "free": mask,
            "spread": spread,
            "bias0": -option.P @ (stats.mean - r.zero),
            "bias_out0": bias_out,
            "offset0": offset.T,
            "step0": step.T,
        }
        numbers["row_size"] = np.sqrt((option.P**2).sum(1) / mask.sum(1))[:, None]
        # By the coefficient that a column of R belongs to, laid out as R is.
        column = np.sqrt((R**2).sum(0) / mask.sum(1))
        numbers["column_size"] = _packed(np.tile(column, (C, 1)), self.blocks, b)
        for name, value in numbers.items():
            self.register_buffer(name, torch.as_tensor(np.asarray(value, np.float32)), persistent=False)
        self.register_buffer("group", torch.from_numpy(choice.group.astype(np.int64)), persistent=False)
        self._unit_out = float(np.sqrt((R**2).sum() / max(mask.sum(), 1)) * np.median(spread)) or 1.0
        self.dP = nn.Parameter(torch.zeros(C, b))
        self.dR = nn.Parameter(torch.zeros(C, b))
        self.dbias = nn.Parameter(torch.zeros(C))
        self.dbias_out = nn.Parameter(torch.zeros(C))
        self.doffset = nn.Parameter(torch.zeros(self.offset0.shape))
        self.dstep = nn.Parameter(torch.zeros(self.step0.shape))
        self.widths = model(_group_starts(choice), dynamic)

    @property
    def positions(self) -> int:
        """Positions of the site in an image."""
        site = self._choice.option.statistics.site
        return site.height * site.width

    @property
    def choice(self) -> Choice:
        """What search started from."""
        return self._choice

    def freeze_transform(self) -> None:
        """Leave P, R and their biases as they are; quantizers and widths stay free."""
        for parameter in (self.dP, self.dR, self.dbias, self.dbias_out):
            parameter.requires_grad_(False)

    def sizes(self) -> Tensor:
        """Return the number of coefficients of every group."""
        return torch.bincount(self.group, minlength=len(self.widths.start)).to(torch.float32)

    def stream_bytes(self, widths: Widths) -> int:
        """Return the stream bytes of an image with ``widths`` (C,)."""
        option, stats = self._choice.option, self._choice.option.statistics
        info = draft_info(stats.site, stats.range, option.transform, widths, self._settings)
        bits = int(stored_widths(option.transform, widths).sum())
        planes = [bits] if info.order == "position-major" else [int(widths[p].sum()) for p in stats.blocks]
        return sum(-(-info.width * plane // info.align_bits) * info.align_bits for plane in planes) * info.height // 8

    def _numbers(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return P, bias, R, bias' and of every width offset and step (C, 9)."""
        return (
            self.P0 + self.free * self.row_size * self.dP,
            self.bias0 + self.spread * self.dbias,
            self.R0 + self.free * self.column_size * self.dR,
            self.bias_out0 + self._unit_out * self.dbias_out,
            self.offset0 + self.spread[:, None] * self.doffset,
            self.step0 * torch.exp(self.dstep),
        )

    def forward(self, activation: Tensor) -> Tensor:
        """Return scale·clamp(round(R·ẑ + bias'), low − zero, high − zero) at every position."""
        *transform, offset, step = self._numbers()
        offered = self.widths.candidates()
        width = offered.width[self.group]
        numbers = (
            *transform,
            offset.gather(1, width),
            step.gather(1, width) * offered.stretch[self.group],
            offered.top[self.group],
            offered.share[self.group],
        )
        if activation.device.type == "cpu" and activation.dtype != torch.float64:
            return _Mixed.apply(activation, self, *numbers)  # type: ignore[no-any-return, no-untyped-call]
        typed = [number.to(activation.dtype) for number in numbers]
        return reference(activation, typed, self.blocks, self.constants)

    @torch.no_grad()
    def to_plan(self, widths: Widths) -> SitePlan:
        """Return the plan of the site with the numbers as they are now learned and ``widths`` (C,)."""
        option, stats = self._choice.option, self._choice.option.statistics
        info = draft_info(stats.site, stats.range, option.transform, widths, self._settings)
        P, bias, R, bias_out, offset, step = (tensor.double().numpy() for tensor in self._numbers())
        C, b = P.shape
        chosen = np.arange(C), widths.astype(np.int64)
        o = offset[chosen]
        # Wherever learning has moved a step: a row of P over it has to fit int8.
        size = np.maximum(step[chosen] * self._stretch(widths), np.abs(P).max(1) / LARGEST_GAIN)
        projected = option.transform in PROJECTED
        kept = np.flatnonzero(widths > 0) if projected else np.arange(C)
        live = widths > 0
        forward = np.where(live[:, None], P / size[:, None], 0)
        unit_bias = np.where(live, (bias - o) / size, 0)
        table_R, table_bias = np.zeros((C, b)), bias_out.copy()
        for (c0, c1), block in zip(self.blocks, info.blocks, strict=True):
            part = R[c0:c1, : c1 - c0]
            table_bias[c0:c1] += part @ o[c0:c1]
            first, last = block.coefficients
            columns = kept[first:last] - c0
            table_R[c0:c1, : last - first] = (part * (size * live)[c0:c1])[:, columns]
        arrays = PlanArrays(
            P=forward[kept],
            R=table_R,
            bias=unit_bias[kept],
            bias_out=table_bias,
            width=widths[kept],
            group=self._choice.group[kept],
            channel_order=np.arange(C, dtype=np.uint16),
        )
        return SitePlan(info, arrays)

    def _stretch(self, widths: Widths) -> FloatArray:
        """Return by how much a step differs from that of its width: a learned range has to be covered by its levels."""
        offered = self.widths.candidates()
        if offered.width.shape[1] > 1:
            return np.ones(len(widths))
        group = self.group.numpy()
        step = self._numbers()[-1].detach().double().numpy()
        rows = np.arange(len(step))
        own = step[rows, offered.width[:, 0].numpy()[group]] * offered.stretch[:, 0].double().numpy()[group]
        span = own * np.maximum(offered.top[:, 0].detach().double().numpy()[group], 1e-3)
        levels = np.maximum((1 << widths.astype(np.int64)) - 1, 1)
        return np.asarray(span / levels / step[rows, widths.astype(np.int64)])


def _group_starts(choice: Choice) -> NDArray[np.int64]:
    starts = np.zeros(int(choice.group.max()) + 1, np.int64)
    starts[choice.group] = choice.widths
    return starts


def _decoder(choice: Choice, settings: StreamSettings) -> tuple[FloatArray, FloatArray]:
    """Return R (C, C) and bias' (C,) that decode z: the fit to the codes of the start, and R of what has no code."""
    option, C = choice.option, choice.option.statistics.site.channels
    fitted, widths = build_site(choice, settings), choice.widths.astype(np.int64)
    offset, step = option.offset[widths, np.arange(C)], option.step[widths, np.arange(C)]
    kept = np.flatnonzero(widths > 0) if option.transform in PROJECTED else np.arange(C)
    R = option.R.copy()
    for block in fitted.info.blocks:
        (c0, c1), (k0, k1) = block.channels, block.coefficients
        columns = kept[k0:k1]
        part = fitted.arrays.R[c0:c1, : k1 - k0] / step[columns]
        R[c0:c1, columns] = np.where(widths[columns] > 0, part, R[c0:c1, columns])
    return R, fitted.arrays.bias_out - R @ offset


def _packed(matrix: FloatArray, blocks: NDArray[np.int64], side: int) -> FloatArray:
    """Return the diagonal blocks of (C, C) as the plan lays them out, (C, b)."""
    packed = np.zeros((len(matrix), side))
    for c0, c1 in blocks:
        packed[c0:c1, : c1 - c0] = matrix[c0:c1, c0:c1]
    return packed
