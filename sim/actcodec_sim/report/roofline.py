"""A roofline: what layers reach, under what the machine allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from actcodec.errors import ActcodecError


@dataclass(frozen=True)
class RooflinePoint:
    """One layer: its multiplications, the bytes it moves, the cycles it takes, and what holds it up (``bound``).

    ``bound`` is a word for the legend, such as ``compute``, ``memory`` or ``codec``. Raises ActcodecError where a
    figure is not positive.
    """

    name: str
    macs: int
    bytes: float
    cycles: float
    bound: str

    def __post_init__(self) -> None:
        for field in ("macs", "bytes", "cycles"):
            if not 0 < getattr(self, field) < math.inf:
                raise ActcodecError(f"roofline point {self.name}", f"{field}: {getattr(self, field)} is not positive")

    @property
    def intensity(self) -> float:
        """MACs a byte."""
        return self.macs / self.bytes

    @property
    def rate(self) -> float:
        """MACs a cycle."""
        return self.macs / self.cycles


@dataclass(frozen=True)
class Roofline:
    """Points by codec under a machine's two roofs, all in cycles of one clock.

    ``peak_macs``   MACs a cycle with every multiplier busy
    ``peak_bytes``  bytes a cycle at the memory's peak

    Raises ActcodecError where a roof is not positive or there is no point.
    """

    machine: str
    peak_macs: float
    peak_bytes: float
    points: Mapping[str, tuple[RooflinePoint, ...]]

    def __post_init__(self) -> None:
        for field in ("peak_macs", "peak_bytes"):
            if not 0 < getattr(self, field) < math.inf:
                raise ActcodecError(f"roofline of {self.machine}", f"{field}: {getattr(self, field)} is not positive")
        if not any(self.points.values()):
            raise ActcodecError(f"roofline of {self.machine}", "points: there is none")

    @property
    def ridge(self) -> float:
        """MACs a byte at which both roofs meet."""
        return self.peak_macs / self.peak_bytes
