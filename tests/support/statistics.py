"""Statistics of a site made by hand."""

from __future__ import annotations

import numpy as np

from actcodec.learn.calibrate import SiteStatistics, block_slices
from actcodec.learn.quantize8 import ActivationRange
from actcodec.networks import SiteSpec


def rectified_site(
    channels: int = 20, side: int = 16, factors: int = 3, seed: int = 0, constant: bool = False
) -> SiteStatistics:
    """A rectified site whose channels are mixtures of a few factors, or one that never changes."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(factors, channels))
    x = rng.normal(size=(3000, factors)) @ mixing * 20 + rng.normal(size=(3000, channels)) * 2 + 128
    sample = np.clip(np.rint(x), 0, 255).astype(np.uint8)
    if constant:
        sample[:] = 17
    blocks = block_slices(channels, 16)
    covariance = np.cov(sample.T, bias=True)
    fisher = []
    for part in blocks:
        g = rng.normal(size=(200, part.stop - part.start)) * np.linspace(1, 3, part.stop - part.start)
        fisher.append(g.T @ g / 200)
    site = SiteSpec(f"s{seed}", 0, channels, side, side, "none", readers=1, macs=1000)
    return SiteStatistics(
        site=site,
        range=ActivationRange(0.1, zero=3),
        blocks=blocks,
        mean=sample.mean(0),
        covariance=tuple(covariance[part, part] for part in blocks),
        fisher=tuple(fisher),
        sample=sample,
    )
