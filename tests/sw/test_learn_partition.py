"""Automatic group partition: exact against all cuts by hand, prices that count, budgets that hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.learn.allocation.choice import Choice
from actcodec.learn.allocation.partition import GroupPrices, best_cuts, partition, partitions
from actcodec.learn.allocation.waterfill import allocate
from actcodec.learn.build import build_site
from actcodec.learn.draft import StreamSettings
from actcodec.learn.option import plain_options, projection, raw
from actcodec.params import CodecParams
from support.statistics import rectified_site

SETTINGS = StreamSettings(CodecParams())


def by_hand(cost: NDArray[np.float64], group_cost: float) -> float:
    """The least cost over every way to cut and every width of every group."""
    channels = cost.shape[1]
    best = np.inf
    for number in range(channels):
        for inner in itertools.combinations(range(1, channels), number):
            edges = [0, *inner, channels]
            total = sum(cost[:, a:b].sum(1).min() + group_cost for a, b in itertools.pairwise(edges))
            best = min(best, total)
    return best


@pytest.mark.parametrize("group_cost", [0.0, 0.4, 3.0, 100.0])
@pytest.mark.parametrize("seed", range(5))
def test_cuts_are_the_best_there_are(group_cost: float, seed: int) -> None:
    cost = np.random.default_rng(seed).normal(size=(9, 7)).cumsum(1)
    cuts, widths = best_cuts(cost, group_cost)
    assert cuts == sorted(set(cuts)) and cuts[-1] == 7
    starts = [0, *cuts[:-1]]
    total = sum(cost[w, a:b].sum() + group_cost for w, a, b in zip(widths, starts, cuts, strict=True))
    assert total == pytest.approx(by_hand(cost, group_cost))


def groups_of(choice: Choice) -> int:
    return len(np.unique(choice.group))


def test_every_coefficient_of_a_group_has_its_width_and_groups_follow_importance() -> None:
    option = projection(rectified_site(), "fisher")
    for choice in partitions(option, 16, GroupPrices(group_bits=200.0), SETTINGS):
        for group in np.unique(choice.group):
            assert len(np.unique(choice.widths[choice.group == group])) == 1
        order = np.argsort(-option.loss[0], kind="stable")
        assert (np.diff(choice.group[order].astype(int)) >= 0).all()


def test_a_price_for_groups_makes_fewer_of_them() -> None:
    site = (projection(rectified_site(), "fisher"),)
    numbers = []
    for price in (0.0, 300.0, 3000.0, 1e9):
        (choice,) = partition([site], 2.0, 16, GroupPrices(group_bits=price), SETTINGS)
        numbers.append(groups_of(choice))
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] > 3 and numbers[-1] == 1


def test_a_price_for_cycles_keeps_fewer_coefficients() -> None:
    site = (projection(rectified_site(), "fisher"),)
    kept = []
    for price in (0.0, 1000.0):
        (choice,) = partition([site], 3.0, 16, GroupPrices(cycle_bits=price), SETTINGS)
        kept.append(np.count_nonzero(choice.widths))
    assert kept[1] < kept[0]


@pytest.mark.parametrize("grouping", ["equal-size", "equal-energy", "one", "coefficient"])
def test_given_groups(grouping: str) -> None:
    option = projection(rectified_site(), "pca")
    prices = GroupPrices(grouping=grouping, groups=4)  # type: ignore[arg-type]
    order = np.argsort(-option.loss[0], kind="stable")
    for choice in partitions(option, 16, prices, SETTINGS):
        sizes = np.bincount(choice.group[order])
        if grouping == "one":
            assert sizes.tolist() == [20]
        elif grouping == "coefficient":
            assert sizes.tolist() == [1] * 20
        elif grouping == "equal-size":
            assert sizes.tolist() == [5, 5, 5, 5]
        else:
            energy = [option.loss[0][choice.group == g].sum() for g in range(len(sizes))]
            assert len(sizes) <= 4 and energy[0] >= 0.25 * option.loss[0].sum()


def test_without_prices_for_groups_it_is_as_good_as_a_width_a_coefficient() -> None:
    sites = [(projection(rectified_site(seed=s), "fisher"), *plain_options(rectified_site(seed=s))) for s in range(3)]
    for target in (1.0, 2.0, 3.0):
        ours = partition(sites, target, 16, GroupPrices(), SETTINGS)
        best = allocate(sites, target, 16, SETTINGS)
        values = sum(c.option.statistics.site.values for c in ours)
        bits = 8 * sum(c.stream_bytes for c in ours) / values
        assert target - 0.12 < bits <= target
        # Not every step of the hull is on the way of prices.
        assert sum(c.loss for c in ours) < 1.1 * sum(c.loss for c in best)


def test_raw_sites_and_constant_ones_have_a_choice() -> None:
    assert [c.widths.min() for c in partitions(raw(rectified_site()), 16, GroupPrices(), SETTINGS)] == [8]
    still = rectified_site(constant=True)
    (choice,) = partitions(projection(still, "identity"), 16, GroupPrices(), SETTINGS)
    assert choice.widths.sum() == 1


def test_groups_are_recorded_and_targets_that_cannot_be_met_are_named() -> None:
    site = (projection(rectified_site(), "fisher"),)
    (choice,) = partition([site], 2.0, 16, GroupPrices(), SETTINGS)
    plan = build_site(choice, SETTINGS)
    assert plan.arrays.group.tolist() == choice.group[choice.widths > 0].tolist()
    with pytest.raises(ActcodecError, match="cannot be reached"):
        partition([site], 0.001, 16, GroupPrices(), SETTINGS)
