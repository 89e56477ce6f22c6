"""Cycles of a site in the RTL: the formula that co-simulation checks and the traffic model uses.

    cycles = Σ_planes H·(W·ops + pads) + (planes − 1)·PLANE_GAP + LATENCY

from the cycle in which the start command is accepted to the one in which the last word (beat) leaves, both
included, with inputs always valid and outputs always ready. ``ops`` are the operations of one position
(`actcodec.tables.program`; for a dense block ⌈K_j/rows⌉·⌈C_j/lanes⌉), ``pads`` the padding operations of a row.
"""

from __future__ import annotations

from collections.abc import Callable

from actcodec.tables.geometry import Plane
from actcodec.tables.model import SiteTable
from actcodec.tables.program import Step, decoder_steps, encoder_steps, padding_operations

PLANE_GAP = 3
"""Cycles between the last operation of a plane and the first of the next one."""
ENCODER_LATENCY = 12
"""Cycles of start-up and of draining the pipeline, encoder."""
DECODER_LATENCY = 11
"""Cycles of start-up and of draining the pipeline, decoder."""


def _cycles(site: SiteTable, steps: Callable[[SiteTable, Plane], list[Step]], latency: int) -> int:
    total = (len(site.planes) - 1) * PLANE_GAP + latency
    for plane in site.planes:
        operations = sum(step.operations for step in steps(site, plane))
        bits, words = padding_operations(site, plane)
        total += site.info.height * (site.info.width * operations + (bits > 0) + words)
    return total


def encode_cycles(site: SiteTable) -> int:
    """Cycles to encode one image of the site."""
    return _cycles(site, encoder_steps, ENCODER_LATENCY)


def decode_cycles(site: SiteTable) -> int:
    """Cycles to decode one image of the site once."""
    return _cycles(site, decoder_steps, DECODER_LATENCY)
