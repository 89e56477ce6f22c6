"""Widths as things to learn: three ways to make the width of a group a number with a gradient, behind one interface.

    window       π = softmax(α/τ) over three neighbouring widths {b, b+1, b+2}; the window slides (P2: "dynamic
                 searching technique"; logits α, sliding and annealed τ are a reconstruction)
    fractional   a real width β between ⌊β⌋ and ⌊β⌋ + 1, with the shares 1 − (β − ⌊β⌋) and β − ⌊β⌋ (FracBits,
                 arXiv 2007.02017)
    inferred     step Δ and range are learned, the width follows: u = log₂(range/Δ + 1), levels 0…2^u − 1 with a real
                 top (differentiable quantization, arXiv 1905.11452; there with one tensor a width, here a group)

All of them go down to 0 bits, a dropped group, and up to 8.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import override

from actcodec.params import MAX_WIDTH

WidthModel = Literal["window", "fractional", "inferred"]

_CANDIDATES = 3
_FIRST_LOGIT = 2.0
"""Of the width that a window starts at; its neighbours have 0."""
_REACH = 1.0
"""Bits that a width may move where windows do not slide."""
_LEAST_TOP = 1e-3
"""A range of less is no range to keep."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """What the groups are quantized with, all (G, candidates)."""

    width: Tensor
    """The width whose quantizer it is, int64."""
    share: Tensor
    top: Tensor
    """The largest code."""
    stretch: Tensor
    """Factor of the step."""


class GroupWidths(nn.Module, ABC):
    """The learnable widths of the G groups of a site."""

    def __init__(self, start: NDArray[np.int64], dynamic: bool) -> None:
        super().__init__()
        self.dynamic = dynamic
        self.start: Tensor
        self.register_buffer("start", torch.from_numpy(start.astype(np.int64)), persistent=False)

    @abstractmethod
    def candidates(self) -> Candidates:
        """Return the quantizers of every group as things stand."""

    @abstractmethod
    def bits(self, lowered: float = 0.0) -> Tensor:
        """Return the expected width of every group (G,), or what it were if all were ``lowered`` by about that much."""

    @abstractmethod
    def lower(self, bits: float) -> None:
        """Lower all widths by about so much, so that ``bits()`` is what ``bits(lowered)`` was."""

    @abstractmethod
    def kept(self) -> Tensor:
        """Return the expected share (G,) of a group that is stored at all."""

    def move(self) -> None:
        """Let windows slide to where their widths want to go; nothing where widths move by themselves."""

    def state(self) -> dict[str, Tensor]:
        """Return what beside the parameters is needed to go on."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up what ``state`` gave."""
        for name, value in state.items():
            getattr(self, name).copy_(value)


class WindowWidths(GroupWidths):
    """Logits over a sliding window of three widths."""

    lowest: Tensor

    def __init__(self, start: NDArray[np.int64], dynamic: bool) -> None:
        super().__init__(start, dynamic)
        self.temperature = 1.0
        lowest = np.clip(start - 1, 0, MAX_WIDTH + 1 - _CANDIDATES)
        logits = np.zeros((len(start), _CANDIDATES), np.float32)
        logits[np.arange(len(start)), start - lowest] = _FIRST_LOGIT
        self.register_buffer("lowest", torch.from_numpy(lowest.astype(np.int64)), persistent=False)
        self.logits = nn.Parameter(torch.from_numpy(logits))

    def _shares(self, lowered: float = 0.0) -> Tensor:
        # Lowering tilts the logits in proportion to the width: what a higher price of a bit does to a softmax.
        tilt = lowered * self._places().to(self.logits.dtype)
        return torch.softmax((self.logits - tilt) / self.temperature, 1)

    def _widths(self) -> Tensor:
        return self.lowest[:, None] + self._places()

    def _places(self) -> Tensor:
        return torch.arange(_CANDIDATES, device=self.logits.device)

    @override
    def candidates(self) -> Candidates:
        width = self._widths()
        return Candidates(width, self._shares(), (1 << width).to(torch.float32) - 1, torch.ones_like(self.logits))

    @override
    def bits(self, lowered: float = 0.0) -> Tensor:
        return (self._shares(lowered) * self._widths()).sum(1)

    @override
    @torch.no_grad()
    def lower(self, bits: float) -> None:
        self.logits.sub_(bits * self._places().to(self.logits.dtype))

    @override
    def kept(self) -> Tensor:
        return 1 - (self._shares() * (self._widths() == 0)).sum(1)

    @torch.no_grad()
    def move(self) -> None:
        """Slide every window whose likeliest width is its lowest or highest by one.

        The candidate that comes takes over the logit of the one that goes, which was the least likely end.
        """
        if not self.dynamic:
            return
        best = self.logits.argmax(1)
        down = (best == 0) & (self.lowest > 0)
        up = (best == _CANDIDATES - 1) & (self.lowest < MAX_WIDTH + 1 - _CANDIDATES)
        self.logits.copy_(torch.where(down[:, None], self.logits.roll(1, 1), self.logits))
        self.logits.copy_(torch.where(up[:, None], self.logits.roll(-1, 1), self.logits))
        self.lowest += up.long() - down.long()

    @override
    def state(self) -> dict[str, Tensor]:
        return {"lowest": self.lowest}


class _RealWidths(GroupWidths):
    """A real number a group that is its expected width."""

    def __init__(self, start: NDArray[np.int64], dynamic: bool) -> None:
        super().__init__(start, dynamic)
        self.real = nn.Parameter(self.start.to(torch.float32))

    @override
    def bits(self, lowered: float = 0.0) -> Tensor:
        reach = MAX_WIDTH if self.dynamic else _REACH
        low, high = (self.start - reach).clamp_min(0), (self.start + reach).clamp_max(MAX_WIDTH)
        width = self.real - lowered
        # The gradient passes where a width has run into a bound, or it could never leave it.
        return width + (torch.minimum(torch.maximum(width, low), high) - width).detach()

    @override
    @torch.no_grad()
    def lower(self, bits: float) -> None:
        self.real.copy_(self.bits(bits))

    @override
    def kept(self) -> Tensor:
        return self.bits().clamp_max(1)


class FractionalWidths(_RealWidths):
    """A real width, quantized by the two whole ones beside it."""

    @override
    def candidates(self) -> Candidates:
        width = self.bits()
        whole = width.detach().floor().clamp_max(MAX_WIDTH - 1)
        part = width - whole
        both = torch.stack([whole, whole + 1], 1).long()
        share = torch.stack([1 - part, part], 1)
        return Candidates(both, share, (1 << both).to(torch.float32) - 1, torch.ones_like(share))


class InferredWidths(_RealWidths):
    """The logarithm of the number of levels; steps are the layer's."""

    stretch: Tensor

    def __init__(self, start: NDArray[np.int64], dynamic: bool) -> None:
        super().__init__(start, dynamic)
        self.register_buffer("stretch", torch.ones(len(start)), persistent=False)

    @override
    def candidates(self) -> Candidates:
        top = torch.exp2(self.bits())[:, None] - 1
        # The quantizer that the group started with is the one that is learned, stretched as widths are lowered.
        return Candidates(self.start[:, None], torch.ones_like(top), top, self.stretch[:, None])

    @override
    @torch.no_grad()
    def lower(self, bits: float) -> None:
        before = self.bits()
        super().lower(bits)
        # The range stays: fewer levels are further apart.
        self.stretch *= _top(before) / _top(self.bits())

    @override
    def state(self) -> dict[str, Tensor]:
        return {"stretch": self.stretch}


def _top(bits: Tensor) -> Tensor:
    return (torch.exp2(bits) - 1).clamp_min(_LEAST_TOP)


MODELS: dict[WidthModel, type[GroupWidths]] = {
    "window": WindowWidths,
    "fractional": FractionalWidths,
    "inferred": InferredWidths,
}
