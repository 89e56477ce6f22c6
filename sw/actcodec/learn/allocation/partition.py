"""Automatic group partition (P3): sorted coefficients are cut into groups of one width each, exactly, for the best sum.

    minimise over cuts 0 = t₀ < … < t_G = C and widths b_g
        Σ_g Σ_{c∈g} (N·s_c·D_c(b_g) + ρ·N·b_g)  +  ρ·Σ_{c: b>0} (table bits / batch + κ·cycles)  +  ρ·β·G

Coefficients are sorted by s_c·λ_c (what losing them costs), over all blocks of a site, so that a group may lie in
several. D is measured on the site's own samples, s is the Fisher sensitivity. ρ, the price of a bit, is one for all
sites and is what the target decides; β and κ are prices in bits of an image. A group costs the present hardware
nothing, since its tables name every coefficient's width: β is there for search, where a group's width is learned from
all its members, and for hardware that keeps one width a group.

The program over cuts is f(i) = min over j < i and b of f(j) + Σ_{j≤c<i} cost_c(b) + ρβ: C²/2 pairs of 9 widths.
Ablations cut beforehand: groups of one size, of one share of Σ s·λ, one group, every coefficient its own.

Source: P3 (10.1109/TCAD.2023.3248503) publishes that there is "a well-designed automatic group partition mechanism";
the program is a reconstruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from actcodec.learn.allocation.choice import Choice, make_choice
from actcodec.learn.allocation.waterfill import pick
from actcodec.learn.draft import PROJECTED, StreamSettings
from actcodec.learn.option import SiteOption
from actcodec.params import MAX_WIDTH

Grouping = Literal["automatic", "equal-size", "equal-energy", "one", "coefficient"]

_PRICES = 120
"""Prices of a bit that a site is cut for, in equal ratios between the least and the largest that decide anything."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class GroupPrices:
    """How groups are made, and what a group and a cycle count as, in stream bits of an image."""

    grouping: Grouping = "automatic"
    group_bits: float = 0.0
    """β"""
    cycle_bits: float = 0.0
    """κ: of a cycle that the MAC array needs for a coefficient, to encode and for every decode."""
    groups: int = 4
    """Groups of a site where their number is given: equal-size, equal-energy."""


def partition(
    sites: Sequence[Sequence[SiteOption]],
    target_bits: float,
    table_batch: int,
    prices: GroupPrices,
    settings: StreamSettings,
) -> tuple[Choice, ...]:
    """Choose option, groups and widths of every site (given with its options) for ``target_bits`` a value.

    Raises ActcodecError for a target that cannot be reached.
    """
    choices = [
        [choice for option in options for choice in partitions(option, table_batch, prices, settings)]
        for options in sites
    ]
    return pick(choices, target_bits, table_batch)


def partitions(option: SiteOption, table_batch: int, prices: GroupPrices, settings: StreamSettings) -> list[Choice]:
    """Return the best cuts of one option at every price of a bit; of those with equal streams the one of less loss."""
    channels = option.statistics.site.channels
    if option.transform == "bypass":
        return [make_choice(option, np.full(channels, MAX_WIDTH, np.uint8), settings)]
    positions = option.statistics.site.height * option.statistics.site.width
    order = np.argsort(-option.loss[0], kind="stable")
    loss = positions * option.loss[:, order]
    bits = positions * np.arange(MAX_WIDTH + 1.0)
    bits[1:] += coefficient_bits(option, table_batch, prices.cycle_bits, settings)
    given = _given_cuts(loss[0], prices)
    best: dict[int, Choice] = {}
    for rho in _prices_of_a_bit(loss, bits):
        cost = loss + rho * bits[:, None]
        cuts, widths = best_cuts(cost, rho * prices.group_bits) if given is None else _best_widths(cost, given)
        if not any(widths):
            continue
        choice = _choice(option, order, cuts, widths, settings)
        known = best.get(choice.stream_bytes)
        if known is None or choice.loss < known.loss:
            best[choice.stream_bytes] = choice
    if not best:
        # A site that never changes: a stream of it still has to be one.
        least = np.zeros(channels, np.uint8)
        least[order[0]] = 1
        return [make_choice(option, least, settings)]
    return list(best.values())


def coefficient_bits(option: SiteOption, table_batch: int, cycle_bits: float, settings: StreamSettings) -> float:
    """Return the bits of an image that a kept coefficient costs beside its codes.

    Table bits shared by ``table_batch`` images, and the cycles of the MAC array, ``cycle_bits`` each.
    """
    site, params = option.statistics.site, settings.params
    part = option.statistics.blocks[0]
    row = part.stop - part.start if option.transform in PROJECTED else 1
    rows = 1 if option.transform == "folded" else 2
    tables = 8 * (rows * row + 5) / table_batch
    products = row * site.height * site.width * (1 + site.readers)
    return tables + cycle_bits * products / (params.lanes * params.rows)


def _given_cuts(energy: FloatArray, prices: GroupPrices) -> list[int] | None:
    """Return the ends of groups that do not depend on the price of a bit; None where they do."""
    channels, wanted = len(energy), prices.groups
    if prices.grouping == "automatic":
        return None
    if prices.grouping == "one":
        return [channels]
    if prices.grouping == "coefficient":
        return list(range(1, channels + 1))
    if prices.grouping == "equal-size":
        ends = [round(channels * (g + 1) / wanted) for g in range(wanted)]
    else:
        share = np.cumsum(energy) / max(float(energy.sum()), np.finfo(float).tiny)
        ends = [int(np.searchsorted(share, (g + 1) / wanted, side="left")) + 1 for g in range(wanted - 1)]
        ends.append(channels)
    return sorted({min(end, channels) for end in ends if end > 0})


def _prices_of_a_bit(loss: FloatArray, bits: FloatArray) -> FloatArray:
    """Return ρ from where a last bit is worth it to where not even the first is, in equal ratios."""
    slopes = (loss[:-1] - loss[1:]) / np.diff(bits)[:, None]
    slopes = slopes[slopes > 0]
    if not len(slopes):
        return np.array([0.0])
    return np.geomspace(slopes.max() * 1.01, slopes.min() * 0.99, _PRICES)


def best_cuts(cost: FloatArray, group_cost: float) -> tuple[list[int], list[int]]:
    """Return ends and widths of the groups of least cost: (9, C) of every coefficient, ``group_cost`` of a group."""
    channels = cost.shape[1]
    sums = np.concatenate([np.zeros((len(cost), 1)), np.cumsum(cost, axis=1)], axis=1)
    least = np.zeros(channels + 1)
    came = np.zeros((channels + 1, 2), np.int64)
    for end in range(1, channels + 1):
        candidates = least[None, :end] + sums[:, end : end + 1] - sums[:, :end]
        width, start = np.unravel_index(int(np.argmin(candidates)), candidates.shape)
        least[end] = candidates[width, start] + group_cost
        came[end] = start, width
    cuts, widths, end = [], [], channels
    while end:
        start, width = came[end]
        cuts.append(int(end))
        widths.append(int(width))
        end = int(start)
    return cuts[::-1], widths[::-1]


def _best_widths(cost: FloatArray, cuts: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the ends that came in and the width of least cost of every group."""
    starts = [0, *cuts[:-1]]
    return list(cuts), [int(np.argmin(cost[:, a:b].sum(1))) for a, b in zip(starts, cuts, strict=True)]


def _choice(
    option: SiteOption, order: NDArray[np.int64], cuts: Sequence[int], widths: Sequence[int], settings: StreamSettings
) -> Choice:
    by_rank = np.zeros(len(order), np.uint8)
    groups = np.zeros(len(order), np.uint16)
    start = 0
    for number, (end, width) in enumerate(zip(cuts, widths, strict=True)):
        by_rank[start:end], groups[start:end] = width, number
        start = end
    coefficients, group = np.zeros_like(by_rank), np.zeros_like(groups)
    coefficients[order], group[order] = by_rank, groups
    return make_choice(option, coefficients, settings, group)
