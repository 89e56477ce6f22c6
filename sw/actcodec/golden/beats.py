"""Activations as they cross the codec's ports: beats of ``lanes`` bytes, in the order of the stream."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.tables.geometry import Plane
from actcodec.tables.model import SiteTable


def to_beats(site: SiteTable, x: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Beats (N, lanes) of one image x (H, W, C), and which of their bytes are channels (the rest is filling).

    Block by block, a block's last beat filled up with zeros. Position-major: all blocks of a position, then the
    next position; block-major: block 0 of all positions, then block 1.
    """
    whole = [_beats_of(site, plane, x) for plane in site.planes]
    return np.concatenate([beats for beats, _ in whole]), np.concatenate([valid for _, valid in whole])


def window_beats(site: SiteTable, plane: int, x: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The same for a window x (rows, count, channels of the plane) as `SiteCodec.decode_window` returns it."""
    part = site.planes[plane]
    first = site.info.blocks[part.first_block].channels[0]
    return _beats_of(site, part, np.pad(x, ((0, 0), (0, 0), (first, 0))))


def _beats_of(site: SiteTable, plane: Plane, x: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Beats of the plane's channels, of all that x (rows, columns, C) holds."""
    lanes = site.params.lanes
    cuts = [site.info.blocks[j].channels for j in range(plane.first_block, plane.last_block)]
    found: list[NDArray[Any]] = []
    for source in (x, np.ones(x.shape, dtype=np.bool_)):
        parts = [np.pad(source[:, :, c0:c1], ((0, 0), (0, 0), (0, -(c1 - c0) % lanes))) for c0, c1 in cuts]
        found.append(np.concatenate(parts, axis=2).reshape(-1, lanes))
    return found[0], found[1]


def last_lanes(valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of the last lane that holds a channel, for every beat of ``valid`` (N, lanes)."""
    lanes: NDArray[np.int64] = valid.sum(axis=1, dtype=np.int64)
    return lanes - 1
