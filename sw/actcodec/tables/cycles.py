"""Cycles of a site in the RTL: the formula that co-simulation checks and the traffic model uses.

    encode = Σ_planes H·(W·ops + pads) + (planes − 1)·PLANE_GAP + ENCODER_LATENCY
    decode = the same with DECODER_LATENCY, less the pads of the last row: they follow the last beat

less, in the encoder, the operations after the last that stores a bit (trailing blocks without coefficients),

from the cycle in which the start command is accepted to the one in which the last word (beat) leaves, both
included, with inputs always valid and outputs always ready. ``ops`` are the operations of one position
(`actcodec.tables.program`; for a dense block ⌈K_j/rows⌉·⌈C_j/lanes⌉), ``pads`` the padding operations of a row.
"""

from __future__ import annotations

from actcodec.tables.geometry import Plane
from actcodec.tables.model import SiteTable
from actcodec.tables.program import Step, decoder_steps, encoder_end, encoder_steps, padding_operations

PLANE_GAP = 1
"""Cycles without an operation between two planes."""
ENCODER_LATENCY = 11
"""Cycles of start-up and of draining the pipeline, encoder."""
DECODER_LATENCY = 10
"""Cycles of start-up and of draining the pipeline, decoder."""


def _operations(steps: list[Step]) -> int:
    return sum(step.operations for step in steps)


def _pads(site: SiteTable, plane: Plane) -> int:
    bits, words = padding_operations(site, plane)
    return (bits > 0) + words


def _plane_cycles(site: SiteTable, plane: Plane, steps: list[Step]) -> int:
    return site.info.height * (site.info.width * _operations(steps) + _pads(site, plane))


def encode_cycles(site: SiteTable) -> int:
    """Cycles to encode one image of the site; 0 where it stores nothing, as no word ever leaves."""
    end = encoder_end(site)
    if end is None:
        return 0
    steps = [encoder_steps(site, plane) for plane in site.planes[: end.plane + 1]]
    work = sum(_plane_cycles(site, plane, part) for plane, part in zip(site.planes, steps, strict=False))
    after = 0 if end.padded else _operations(steps[-1][end.step + 1 :])
    return work - after + end.plane * PLANE_GAP + ENCODER_LATENCY


def decode_cycles(site: SiteTable) -> int:
    """Cycles to decode one image of the site once."""
    work = sum(_plane_cycles(site, plane, decoder_steps(site, plane)) for plane in site.planes)
    return work + (len(site.planes) - 1) * PLANE_GAP - _pads(site, site.planes[-1]) + DECODER_LATENCY
