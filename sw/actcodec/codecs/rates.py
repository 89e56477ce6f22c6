"""Cycles of the coders that are not this project's: published rates, and assumptions that say so.

A rate of None does not limit the pace: unpacking of equal widths is wiring.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """``values_per_cycle`` of an encoder and of a decoder, where the figure is from."""

    values_per_cycle: float | None
    source: str

    def cycles(self, values: int) -> int:
        """Cycles for ``values`` values; 0 where the pace is not limited."""
        return 0 if self.values_per_cycle is None else math.ceil(values / self.values_per_cycle)


RATES: dict[str, Rate] = {
    "wiring": Rate(None, "values of equal width: no coder"),
    "zvc": Rate(8, "Rhu et al., HPCA 2018, arXiv 1705.01626: eight values a cycle (recalled, not checked)"),
    "rle": Rate(1, "zero run length coder of EBPC's hardware (stream-ebpc): a value a cycle"),
    "ebpc": Rate(1, "Cavigelli et al., JETCAS 2019, arXiv 1908.11645: a word a cycle; 0.8 without any zero"),
    "huffman": Rate(1, "assumed: one table look-up, one symbol a cycle; the papers give no rate"),
}
