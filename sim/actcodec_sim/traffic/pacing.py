"""How fast data is produced and consumed on the chip's side of the memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from actcodec.errors import ActcodecError


@dataclass(frozen=True)
class Pacing:
    """Rate of codec and accelerator.

    ``clock_mhz``         clock of both; codec cycles are counted in it
    ``values_per_cycle``  activations the accelerator makes or takes a cycle; None: no limit of its own

    Raises ActcodecError where a rate is not a positive number.
    """

    clock_mhz: float = 1000.0
    values_per_cycle: float | None = None

    def __post_init__(self) -> None:
        for field in ("clock_mhz", "values_per_cycle"):
            value = getattr(self, field)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ActcodecError("pacing", f"{field}: {value} is not a positive number")

    def memory_cycles(self, values: int, codec_cycles: int, tCK: float) -> int:
        """Cycles of the memory clock (``tCK`` in ns) in which a stream passes the chip's side.

        The slower of codec and accelerator decides: ⌈max(codec_cycles, values / values_per_cycle) · period / tCK⌉.
        """
        cycles: float = codec_cycles
        if self.values_per_cycle is not None:
            cycles = max(cycles, values / self.values_per_cycle)
        return math.ceil(cycles * 1000 / self.clock_mhz / tCK)
