"""What crosses the codec's ports: beats of ``lanes`` activations, in the order of the stream.

The encoder of a folded site takes accumulators: beats of ``codes`` signed integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.tables.model import SiteTable
from actcodec.tables.program import decoder_beats, encoder_beats

Input = NDArray[np.uint8] | NDArray[np.int32]
"""What an encoder takes: activations, or accumulators of a folded site."""
Beats = tuple[NDArray[Any], NDArray[np.bool_]]
"""Beats (N, lanes), and which of their lanes hold anything (the rest is filling)."""


def to_beats(site: SiteTable, x: NDArray[np.uint8]) -> Beats:
    """Beats (N, lanes) of one image x (H, W, C), and which of their bytes are channels (the rest is filling).

    Block by block, a block's last beat filled up with zeros. Position-major: all blocks of a position, then the
    next position; block-major: block 0 of all positions, then block 1.
    """
    return _joined([_cut(x, decoder_beats(site, plane), site.params.lanes) for plane in site.planes])


def to_encoder_beats(site: SiteTable, x: Input) -> Beats:
    """Beats of one input x (H, W, C) of the encoder: as `to_beats`.

    Of a folded site x is (H, W, K) int32, a beat has ``codes`` lanes, and only a position of a plane begins a beat: its
    accumulators follow one another whichever block they are of, and its last beat is filled up.
    """
    return _joined([_cut(x, encoder_beats(site, plane), site.params.encoder_lanes) for plane in site.planes])


def window_beats(site: SiteTable, plane: int, x: NDArray[np.uint8]) -> Beats:
    """The same for a window x (rows, count, channels of the plane) as `SiteCodec.decode_window` returns it."""
    part = site.planes[plane]
    first = site.info.blocks[part.first_block].channels[0]
    return _cut(np.pad(x, ((0, 0), (0, 0), (first, 0))), decoder_beats(site, part), site.params.lanes)


def beat_integers(beats: NDArray[Any], bits: int) -> list[int]:
    """Beats (N, lanes) as the port has them: every lane ``bits`` wide, the first one least significant."""
    mask = (1 << bits) - 1
    return [sum((int(value) & mask) << lane * bits for lane, value in enumerate(beat)) for beat in beats]


def _joined(planes: Sequence[Beats]) -> Beats:
    return np.concatenate([beats for beats, _ in planes]), np.concatenate([valid for _, valid in planes])


def _cut(x: NDArray[Any], cuts: Sequence[range], lanes: int) -> Beats:
    """Beats of all positions of x (rows, columns, ·); ``cuts``: what each beat of one position holds."""
    beats = np.zeros((*x.shape[:2], len(cuts), lanes), dtype=x.dtype)
    valid = np.zeros(beats.shape, dtype=np.bool_)
    for number, cut in enumerate(cuts):
        beats[:, :, number, : len(cut)] = x[:, :, cut.start : cut.stop]
        valid[:, :, number, : len(cut)] = True
    return beats.reshape(-1, lanes), valid.reshape(-1, lanes)


def last_lanes(valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of the last lane that holds anything, for every beat of ``valid`` (N, lanes)."""
    lanes: NDArray[np.int64] = valid.sum(axis=1, dtype=np.int64)
    return lanes - 1
