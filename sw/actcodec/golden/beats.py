"""Activations as they cross the codec's ports: beats of ``lanes`` bytes, in the order of the stream."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.tables.model import SiteTable


def to_beats(site: SiteTable, x: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Beats (N, lanes) of one image x (H, W, C), and which of their bytes are channels (the rest is filling).

    Block by block, a block's last beat filled up with zeros. Position-major: all blocks of a position, then the
    next position; block-major: block 0 of all positions, then block 1.
    """
    lanes = site.params.lanes
    beats: list[NDArray[Any]] = []
    valid: list[NDArray[Any]] = []
    for plane in site.planes:
        cuts = [site.info.blocks[j].channels for j in range(plane.first_block, plane.last_block)]
        for target, source in ((beats, x), (valid, np.ones(x.shape, dtype=np.bool_))):
            parts = [np.pad(source[:, :, c0:c1], ((0, 0), (0, 0), (0, -(c1 - c0) % lanes))) for c0, c1 in cuts]
            target.append(np.concatenate(parts, axis=2).reshape(-1, lanes))
    return np.concatenate(beats), np.concatenate(valid)
