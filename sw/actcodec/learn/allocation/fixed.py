"""Allocations that look at no loss: the same everywhere, or the same explained variance everywhere.

uniform          the K = ⌊C_j·target/8⌋ first coefficients of every block of C_j channels, 8 bits each
equal-variance   the fewest coefficients of every site that explain a share v of its variance, 8 bits each; v as large
                 as the target lets it be
fixed-width      identity, every channel at ⌊target⌋ bits: what LSQ trains
raw              the bytes as they are
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.learn.allocation.choice import Choice, make_choice
from actcodec.learn.draft import StreamSettings, Widths
from actcodec.learn.option import SiteOption
from actcodec.params import MAX_WIDTH

_BISECTIONS = 40


def uniform(options: Sequence[SiteOption], target_bits: float, settings: StreamSettings) -> tuple[Choice, ...]:
    """Return the same share of coefficients of every block, the first ones of each (those of largest variance).

    Raises ActcodecError where the target leaves a block none.
    """
    choices = []
    for option in options:
        widths = np.zeros(option.statistics.site.channels, np.uint8)
        for part in option.statistics.blocks:
            kept = int((part.stop - part.start) * target_bits / MAX_WIDTH + 1e-9)
            if kept == 0:
                problem = f"{target_bits} leave a block of site {option.statistics.site.name} no coefficient of 8 bits"
                raise ActcodecError("target_bits", problem)
            widths[part.start : part.start + kept] = MAX_WIDTH
        choices.append(make_choice(option, widths, settings))
    return _fitting(choices, target_bits)


def equal_variance(options: Sequence[SiteOption], target_bits: float, settings: StreamSettings) -> tuple[Choice, ...]:
    """Return the coefficients of every site that explain an equal share of variance, the largest that fits.

    Raises ActcodecError where one coefficient a site is too much already.
    """
    values = sum(option.statistics.site.values for option in options)

    def at(share: float) -> list[Choice]:
        return [make_choice(option, _explaining(option, share), settings) for option in options]

    low, high, best = 0.0, 1.0, at(0.0)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        choices = at(middle)
        if 8 * sum(choice.stream_bytes for choice in choices) <= target_bits * values:
            low, best = middle, choices
        else:
            high = middle
    return _fitting(best, target_bits)


def fixed_width(options: Sequence[SiteOption], target_bits: float, settings: StreamSettings) -> tuple[Choice, ...]:
    """Return every coefficient of every option at ⌊target⌋ bits; row padding may exceed the target and is let be.

    Raises ActcodecError for a target below 1.
    """
    if target_bits < 1:
        raise ActcodecError("target_bits", f"{target_bits} is below 1, the least fixed width")
    width = int(target_bits)
    return tuple(
        make_choice(option, np.full(option.statistics.site.channels, width, np.uint8), settings) for option in options
    )


def _explaining(option: SiteOption, share: float) -> Widths:
    """Return 8 bits for the fewest coefficients that explain ``share`` of the variance, at least one."""
    variance: NDArray[np.float64] = np.einsum("ck,ck->k", option.R, option.R) * option.distortion[0]
    order = np.argsort(-variance, kind="stable")
    explained = np.cumsum(variance[order])
    kept = 1 + int(np.searchsorted(explained, share * explained[-1], side="left"))
    widths = np.zeros(len(variance), np.uint8)
    widths[order[: min(kept, len(order))]] = MAX_WIDTH
    return widths


def _fitting(choices: Sequence[Choice], target_bits: float) -> tuple[Choice, ...]:
    values = sum(choice.option.statistics.site.values for choice in choices)
    bits = 8 * sum(choice.stream_bytes for choice in choices) / values
    if bits > target_bits:
        raise ActcodecError("target_bits", f"{target_bits} bits a value cannot be reached; the least is {bits:.3f}")
    return tuple(choices)
