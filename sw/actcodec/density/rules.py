"""The rules of activation-density training, apart from any network.

    AD_l = non-zero activations of layer l / all of them, over an epoch
    k_l ← round(k_l·AD_l)      C_l ← round(C_l·AD_l)      once every AD_l has saturated

**Published** (arXiv 2101.04354): both updates, that they wait for saturation, the widths of the PIM array.
**Reconstructed**: when a density counts as saturated, the least width, that halves round up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from actcodec.density.energy import pim_width


def saturated(densities: Sequence[Mapping[str, float]], window: int, tolerance: float) -> bool:
    """Return whether every layer's density moved by at most ``tolerance`` over the last ``window`` epochs.

    ``densities`` has an entry an epoch of the present widths, by layer; fewer than ``window`` are too few to say.
    """
    if len(densities) < window:
        return False
    recent = densities[-window:]
    spread = (max(d[layer] for d in recent) - min(d[layer] for d in recent) for layer in recent[0])
    return all(value <= tolerance for value in spread)


def next_width(bits: int, density: float, least: int, pim: bool = False) -> int:
    """Return round(bits·density), at least ``least``, at most ``bits``; with ``pim`` rounded up to PIM widths."""
    wanted = max(least, math.floor(bits * density + 0.5))
    return min(bits, pim_width(wanted) if pim else wanted)


def next_channels(channels: int, density: float, least: int = 1) -> int:
    """Return round(channels·density), at least ``least`` and never more than ``channels``."""
    return min(channels, max(least, math.floor(channels * density + 0.5)))


def training_complexity(reductions: Sequence[float]) -> float:
    """Return TC = Σ_i (MAC reduction_i)⁻¹·epochs_i; ``reductions`` has an entry an epoch.

    In epochs of the 16-bit network: divided by the epochs that the baseline takes it is the published ratio.
    """
    return sum(1 / reduction for reduction in reductions)
