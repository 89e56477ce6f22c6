"""The 8-bit reference: how a site's real activations become the bytes x that everything else works on.

x = clamp(round(a/scale) + zero, low, high),  a ≈ scale·(x − zero)

A network that came quantized brings the steps of its sites; those of other sites are chosen here.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actcodec.networks import SitedNetwork, SiteSpec
from actcodec.networks.ranges import ActivationRange

__all__ = ["ActivationRange", "choose_ranges"]

_SAMPLE_PER_BATCH = 8_192
# Shares of the observed range to try as the clipping point: losing rare peaks may sharpen everything else.
_CLIPS = np.linspace(0.4, 1.0, 25)
_TOP = 255


@torch.no_grad()
def choose_ranges(sited: SitedNetwork, inputs: Iterable[Tensor], seed: int) -> tuple[ActivationRange, ...]:
    """Return the range of every site: the network's own, else that of least mean squared error over ``inputs``.

    The extremes are exact over ``inputs``; the error is measured on a seeded sample of the values.
    """
    lowest = np.full(len(sited.sites), np.inf)
    highest = np.full(len(sited.sites), -np.inf)
    samples: list[list[NDArray[np.float32]]] = [[] for _ in sited.sites]
    generator = torch.Generator().manual_seed(seed)

    def look(index: int, tensor: Tensor) -> Tensor:
        lowest[index] = min(lowest[index], float(tensor.min()))
        highest[index] = max(highest[index], float(tensor.max()))
        flat = tensor.permute(0, 2, 3, 1).reshape(-1)
        places = torch.randint(len(flat), (_SAMPLE_PER_BATCH,), generator=generator)
        samples[index].append(flat[places].numpy())
        return tensor

    for x in inputs:
        sited(x, look)
    return tuple(
        site.range or _best_range(site, lowest[site.index], highest[site.index], np.concatenate(samples[site.index]))
        for site in sited.sites
    )


def _best_range(site: SiteSpec, lowest: float, highest: float, sample: NDArray[np.float32]) -> ActivationRange:
    candidates = [_clipped(site, clip * min(lowest, 0.0), clip * max(highest, 0.0)) for clip in _CLIPS]
    values = torch.from_numpy(sample)
    errors = [float(((r.dequantize(r.quantize(values)) - values) ** 2).mean()) for r in candidates]
    return candidates[int(np.argmin(errors))]


def _clipped(site: SiteSpec, lowest: float, highest: float) -> ActivationRange:
    """Return the range lowest…highest, which holds 0; rectified sites have zero = 0."""
    if site.activation != "none":
        lowest = 0.0
    # A site that was 0 throughout still needs a step.
    scale = max(highest - lowest, 1e-6) / _TOP
    return ActivationRange(scale=scale, zero=round(-lowest / scale))
