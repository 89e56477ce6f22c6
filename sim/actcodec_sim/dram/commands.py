"""Commands on the device's command bus, and a log of them."""

from __future__ import annotations

from dataclasses import dataclass

from actcodec_sim.arrays import Int64Array

ACTIVATE, PRECHARGE, READ, WRITE, READ_PRECHARGE, WRITE_PRECHARGE, REFRESH = range(7)
NAMES = ("ACT", "PRE", "RD", "WR", "RDA", "WRA", "REF")
"""JEDEC names, by command number; RDA and WRA close their row by themselves (auto-precharge)."""


@dataclass(frozen=True, eq=False)
class CommandLog:
    """Issued commands in order of their cycles.

    ``target`` is a flat bank index (``address.Location``), for REF a flat rank index; ``row`` is the row that
    ACT opens or that a column command expects open, −1 for the others.
    """

    cycle: Int64Array
    kind: Int64Array
    target: Int64Array
    row: Int64Array

    def __len__(self) -> int:
        return len(self.cycle)

    def __str__(self) -> str:
        """One command a line: ``cycle name target row``."""
        return "\n".join(
            f"{cycle} {NAMES[kind]} {target} {row}"
            for cycle, kind, target, row in zip(self.cycle, self.kind, self.target, self.row, strict=True)
        )
