"""The work of one simulation of the shell as files: written by `run`, read by the testbench inside the simulator."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.golden import SiteCodec
from actcodec.tables import SiteTable, Tables, Window
from actcodec.tables.image import decoder_image, encoder_image, framed_image, site_image
from actcodec_sim.cosim.job import make_frame

JOB_FILE = "job.json"
JOB_VARIABLE = "ACTCODEC_AXI_JOB"
"""Environment variable that tells the testbench where its job is."""
REGISTERS_VARIABLE = "ACTCODEC_AXI_REGISTERS"
"""Environment variable with the path of registers.json."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class WindowCase:
    """A window of a site: its job, the words that a DMA fetches for it, and the beats that come out."""

    site: int
    window: Window
    words: Bytes
    beats: Bytes
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class SiteCase:
    """A whole frame of a site, as the ports see it: see `actcodec_sim.cosim.job.Frame`."""

    name: str
    beats: Bytes
    stream: Bytes
    decoded: Bytes
    valid: NDArray[np.bool_]
    payload_bits: int
    packets: dict[str, Bytes]
    """Framed images of this site alone for every bank but 0, encoder's and decoder's in one packet; by bank."""


def _beats_of_window(site: SiteTable, plane: int, x: Bytes) -> tuple[Bytes, NDArray[np.bool_]]:
    """Beats (N, lanes) of decoded positions x (rows, count, channels of the plane), and which bytes are channels."""
    lanes, part = site.params.lanes, site.planes[plane]
    cuts = [site.info.blocks[j].channels for j in range(part.first_block, part.last_block)]
    base = cuts[0][0]
    found = []
    for source in (x, np.ones(x.shape, dtype=np.bool_)):
        padded = [
            np.pad(source[:, :, c0 - base : c1 - base], ((0, 0), (0, 0), (0, -(c1 - c0) % lanes))) for c0, c1 in cuts
        ]
        found.append(np.concatenate(padded, axis=2).reshape(-1, lanes))
    return found[0], found[1]
