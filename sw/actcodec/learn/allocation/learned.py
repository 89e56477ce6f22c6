"""A learned site as a basis to go on from."""

from __future__ import annotations

import numpy as np

from actcodec.learn.allocation.choice import Choice, make_choice
from actcodec.learn.calibrate import SiteStatistics
from actcodec.learn.draft import StreamSettings
from actcodec.learn.option import option_of, raw
from actcodec.learn.pca import BlockTransform, ridged
from actcodec.learn.plan import SitePlan


def learned(statistics: SiteStatistics, plan: SitePlan, settings: StreamSettings) -> Choice:
    """Return a learned site as a choice of its own basis, at the widths that it has.

    Coefficients that the plan does not store are rows of zeros, and never worth a bit.
    """
    info, arrays = plan.info, plan.arrays
    channels = info.channels
    widths = np.zeros(channels, np.uint8)
    blocks: list[BlockTransform] = []
    for block in info.blocks:
        (c0, c1), (k0, k1) = block.channels, block.coefficients
        P, R = np.zeros((c1 - c0, c1 - c0)), np.zeros((c1 - c0, c1 - c0))
        P[: k1 - k0] = arrays.P[k0:k1, : c1 - c0]
        R[:, : k1 - k0] = arrays.R[c0:c1, : k1 - k0]
        widths[c0 : c0 + k1 - k0] = arrays.width[k0:k1]
        G = ridged(statistics.fisher[len(blocks)])
        blocks.append(BlockTransform(P, R, np.einsum("ck,cd,dk->k", R, G, R)))
    if info.transform == "bypass":
        return make_choice(raw(statistics), widths, settings)
    option = option_of("learned", info.transform, statistics, tuple(blocks))
    return make_choice(option, widths, settings)
