"""The ways to code one site, with what each coefficient loses at each width."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from actcodec.learn.calibrate import SiteStatistics
from actcodec.learn.distortion import measure_quantizers
from actcodec.learn.pca import Basis, BlockTransform, block_transforms
from actcodec.params import MAX_WIDTH, Transform

FloatArray = NDArray[np.float64]

LARGEST_GAIN = 64.0
"""Of a code by a step of x: what int8 holds, with room for training to move."""


@dataclass(frozen=True, eq=False)
class SiteOption:
    """One transform for one site of C channels, C coefficients before any is dropped.

    ``P`` and ``R`` (C, C) block-diagonal; ``offset``, ``step`` and ``distortion`` D_k(b) (9, C) of the quantizer at
    every width; ``loss`` (9, C) is s_k·D_k(b), the share of coefficient k at b bits in ½ eᵀGe of a position (times 2).
    """

    name: str
    """What the basis is called: `pca.Basis`, ``bypass``, or ``learned``."""
    transform: Transform
    statistics: SiteStatistics
    P: FloatArray
    R: FloatArray
    offset: FloatArray
    step: FloatArray
    distortion: FloatArray
    loss: FloatArray


def plain_options(statistics: SiteStatistics) -> tuple[SiteOption, ...]:
    """Return the options of a site that mix no channels: identity and bypass; of a folded one the first of them."""
    if statistics.pre_activation:
        return (_transformed(statistics, "folded", "identity"),)
    return _transformed(statistics, "identity", "identity"), raw(statistics)


def projection(statistics: SiteStatistics, basis: Basis) -> SiteOption:
    """Return the projection of a site in ``basis``; ``identity`` mixes no channels and is coded as such.

    Before the activation it is folded, whatever the basis.
    """
    if statistics.pre_activation:
        return _transformed(statistics, "folded", basis)
    return _transformed(statistics, "identity" if basis == "identity" else "project", basis)


def _transformed(statistics: SiteStatistics, transform: Transform, basis: Basis) -> SiteOption:
    return option_of(basis, transform, statistics, block_transforms(statistics, basis))


def option_of(
    name: str, transform: Transform, statistics: SiteStatistics, blocks: tuple[BlockTransform, ...]
) -> SiteOption:
    """Return the option of given block transforms, its quantizers measured on the sample of the site."""
    P, R = _diagonal(statistics, blocks) if name != "identity" else (_unit(statistics.site.channels),) * 2
    # Block by block: the coefficients of a whole site's sample would be as large as all that is kept of a site.
    fitted = [
        measure_quantizers((statistics.sample[:, part] - statistics.mean[part]) @ block.P.T)
        for part, block in zip(statistics.blocks, blocks, strict=True)
    ]
    distortion = np.concatenate([quantizers.distortion for quantizers in fitted], 1)
    # A row of P over its step has to fit int8; only coefficients that hardly vary have a finer one.
    step = np.concatenate([quantizers.step for quantizers in fitted], 1)
    step = np.maximum(step, np.abs(P).max(1) / LARGEST_GAIN)
    sensitivity = np.concatenate([block.sensitivity for block in blocks])
    return SiteOption(
        name=name,
        transform=transform,
        statistics=statistics,
        P=P,
        R=R,
        offset=np.concatenate([quantizers.offset for quantizers in fitted], 1),
        step=step,
        distortion=distortion,
        loss=distortion * sensitivity,
    )


def raw(statistics: SiteStatistics) -> SiteOption:
    """Return the raw bytes as an option: no loss at 8 bits, and no other width."""
    channels = statistics.site.channels
    loss = np.full((MAX_WIDTH + 1, channels), np.inf)
    loss[MAX_WIDTH] = 0
    unit = np.ones((MAX_WIDTH + 1, channels))
    eye = _unit(channels)
    return SiteOption("bypass", "bypass", statistics, eye, eye, 0 * unit, unit, loss, loss)


@lru_cache(maxsize=16)
def _unit(channels: int) -> FloatArray:
    """The unit matrix, one for all sites of ``channels``: each would be a large part of what is kept of a site."""
    eye = np.eye(channels)
    eye.setflags(write=False)
    return eye


def _diagonal(statistics: SiteStatistics, blocks: tuple[BlockTransform, ...]) -> tuple[FloatArray, FloatArray]:
    C = statistics.site.channels
    P, R = np.zeros((C, C)), np.zeros((C, C))
    for part, block in zip(statistics.blocks, blocks, strict=True):
        P[part, part], R[part, part] = block.P, block.R
    return P, R
