"""The 8-bit steps of an activation: x = clamp(round(a/scale) + zero, low, high),  a ≈ scale·(x − zero)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

_TOP = 255


@dataclass(frozen=True)
class ActivationRange:
    """The reference quantizer of one site: real ``scale`` of a step; ``zero``, ``low``, ``high`` in 0…255."""

    scale: float
    zero: int
    low: int = 0
    high: int = _TOP

    def quantize(self, activation: Tensor) -> Tensor:
        """Return x as floats of integer value, of the shape of ``activation``."""
        return torch.clamp(torch.round(activation / self.scale) + self.zero, self.low, self.high)

    def dequantize(self, x: Tensor) -> Tensor:
        """Return scale·(x − zero)."""
        return (x - self.zero) * self.scale

    def rectified(self, top: float | None = None) -> ActivationRange:
        """Return the range without its negative values, and without those above ``top`` where it is given."""
        high = self.high if top is None else min(self.high, self.zero + round(top / self.scale))
        return replace(self, low=max(self.low, self.zero), high=high)


def range_of_quantizer(scale: object, zero: object, lowest: object, highest: object) -> ActivationRange | None:
    """Return the range that a quantizer to the integers ``lowest``…``highest`` has as bytes.

    Signed integers are moved up, so that ``lowest`` is byte 0: scale and rounding stay the same. None where the
    quantizer has more than 8 bits, or a step that is not one number known beforehand.
    """
    if not isinstance(scale, float) or not all(isinstance(value, int) for value in (zero, lowest, highest)):
        return None
    assert isinstance(zero, int) and isinstance(lowest, int) and isinstance(highest, int)
    offset = -lowest if lowest < 0 else 0
    found = ActivationRange(scale, zero + offset, lowest + offset, highest + offset)
    return found if found.high <= _TOP and found.low <= found.zero <= found.high and scale > 0 else None
