"""Widths by the density of activations (P4; arXiv 2101.04354): one width a site, every channel coded by itself.

    k_l = clamp(round(8·AD_l^γ), 1, 8)        AD_l: share of the site's calibration bytes that are not zero

**Published**: AD_l, and k_l ← round(k_l·AD_l) as the update of a layer's width *in training*, from 16 bits on.
**Made of it here**, for networks that were not trained so: the update is applied to stored tensors, from their 8 bits
on, γ times. At γ = 1 it is the published one; γ is the least number, not necessarily whole, at which the stream meets
the target. Without training a density does not answer to its width, so γ updates in a row come to AD^γ; the rounding
between them is left out.

Widths that training by density found (`actcodec.density`) are taken as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from actcodec.errors import ActcodecError
from actcodec.learn.allocation.choice import Choice, make_choice
from actcodec.learn.calibrate import SiteStatistics
from actcodec.learn.draft import StreamSettings
from actcodec.learn.option import SiteOption
from actcodec.params import MAX_WIDTH

_MOST_UPDATES = 64.0
"""At a density of 0.96 or less a site has come down to 1 bit by then."""
_BISECTIONS = 40


def site_density(statistics: SiteStatistics) -> float:
    """Return the share of the sample's bytes that do not stand for zero."""
    return float(np.mean(statistics.sample != statistics.range.zero))


def by_density(
    options: Sequence[SiteOption], target_bits: float, settings: StreamSettings, trained: Mapping[str, int]
) -> tuple[Choice, ...]:
    """Return every option at one width: ``trained`` gives it by the site's name; where that is empty the rule does.

    Raises ActcodecError for a target that the widths do not meet and for ``trained`` widths of other sites.
    """
    values = sum(option.statistics.site.values for option in options)

    def at(widths: Sequence[int]) -> tuple[Choice, ...]:
        return tuple(
            make_choice(option, np.full(option.statistics.site.channels, width, np.uint8), settings)
            for option, width in zip(options, widths, strict=True)
        )

    def bits(choices: Sequence[Choice]) -> float:
        return 8 * sum(choice.stream_bytes for choice in choices) / values

    if trained:
        least = at(_named(options, trained))
    else:
        densities = [site_density(option.statistics) for option in options]
        least = at([_width(density, _MOST_UPDATES) for density in densities])
    if bits(least) > target_bits:
        problem = f"{target_bits} bits a value cannot be reached; the least is {bits(least):.3f}"
        raise ActcodecError("target_bits", problem)
    if trained:
        return least
    low, high, best = 0.0, _MOST_UPDATES, least
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        choices = at([_width(density, middle) for density in densities])
        if bits(choices) <= target_bits:
            high, best = middle, choices
        else:
            low = middle
    return best


def _width(density: float, updates: float) -> int:
    return max(1, math.floor(MAX_WIDTH * math.pow(density, updates) + 0.5))


def _named(options: Sequence[SiteOption], trained: Mapping[str, int]) -> list[int]:
    names = [option.statistics.site.name for option in options]
    if set(names) != set(trained):
        strange = sorted(set(names) ^ set(trained))[0]
        problem = "has no width" if strange in names else "is no site of this network"
        raise ActcodecError("density_widths", f"{strange} {problem}")
    return [trained[name] for name in names]
