"""Channels that belong together are put into one block, and never to the identity's disadvantage."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from actcodec.learn.assignment import assign_blocks, coding_gain

FloatArray = NDArray[np.float64]


def planted(sizes: list[int], seed: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """Covariance of independent groups of channels of mixed factors, shuffled; the group of every channel."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    S = np.zeros((len(group), len(group)))
    for number, size in enumerate(sizes):
        mixing = rng.normal(size=(size, max(2, size // 4)))
        members = np.flatnonzero(group == number)
        S[np.ix_(members, members)] = mixing @ mixing.T + 0.1 * np.eye(size)
    deviation = rng.uniform(0.5, 5, len(group))
    return S * np.outer(deviation, deviation), group


def mixtures(channels: int, seed: int, factors: int = 8) -> FloatArray:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(channels, factors)) ** 3
    return mixing @ mixing.T + np.diag(rng.uniform(0.1, 3, channels))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sizes", [[16, 16], [16] * 8, [16, 8]])
def test_planted_blocks_are_recovered(sizes: list[int], seed: int) -> None:
    S, group = planted(sizes, seed)
    order = assign_blocks(S, 16)
    for start in range(0, len(order), 16):
        assert len(set(group[order[start : start + 16]])) == 1
    assert coding_gain(S, order, 16) > 0.1


@pytest.mark.parametrize("channels", [2, 16, 17, 31, 40, 64])
@pytest.mark.parametrize("seed", range(5))
def test_an_order_is_a_permutation_in_the_canonical_form_and_never_worse(channels: int, seed: int) -> None:
    S = mixtures(channels, seed)
    order = assign_blocks(S, 16)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(channels))
    blocks = [order[start : start + 16] for start in range(0, channels, 16)]
    assert all((np.diff(block) > 0).all() for block in blocks)
    firsts = [block[0] for block in blocks if len(block) == 16]
    assert firsts == sorted(firsts)
    gain = coding_gain(S, order, 16)
    assert gain > 0 or (order == np.arange(channels)).all()
    np.testing.assert_array_equal(assign_blocks(S.copy(), 16), order)
    # Only what is correlated counts, not the unit.
    np.testing.assert_array_equal(assign_blocks(S * 64, 16), order)
    assert coding_gain(S * 64, order, 16) == pytest.approx(gain)


def test_no_swap_of_two_channels_would_gain_more() -> None:
    S = mixtures(22, seed=3, factors=5)
    order = assign_blocks(S, 6)
    best = coding_gain(S, order, 6)
    for i in range(22):
        for u in range(i):
            swapped = order.copy()
            swapped[[i, u]] = order[[u, i]]
            assert coding_gain(S, swapped, 6) <= best + 1e-9


def test_the_identity_stays_where_there_is_nothing_to_gain() -> None:
    identity = np.arange(40)
    for S in (np.eye(40), np.diag(np.arange(40.0)), np.zeros((40, 40)), np.ones((40, 40))):
        np.testing.assert_array_equal(assign_blocks(S, 16), identity)
        assert coding_gain(S, identity, 16) == 0
    blocks = np.kron(np.eye(4), np.full((16, 16), 0.9)) + 0.1 * np.eye(64)
    np.testing.assert_array_equal(assign_blocks(blocks, 16), np.arange(64))


def test_channels_without_variance_do_no_harm() -> None:
    S, group = planted([16] * 3, seed=1)
    dead = np.flatnonzero(group == 1)
    S[dead] = S[:, dead] = 0
    order = assign_blocks(S, 16)
    assert np.isfinite(coding_gain(S, order, 16))
    assert {tuple(block) for block in order.reshape(3, 16)} == {tuple(np.flatnonzero(group == g)) for g in range(3)}


def test_the_gain_is_that_of_the_transform() -> None:
    # Two pairs of channels, correlated by ρ: paired up they save −½ log₂(1 − ρ²) bits a pair; λ is a hundredth.
    rho = 0.9
    S = np.array([[1, 0, rho, 0], [0, 1, 0, rho], [rho, 0, 1, 0], [0, rho, 0, 1]])
    order = assign_blocks(S, 2)
    np.testing.assert_array_equal(order, [0, 2, 1, 3])
    assert coding_gain(S, order, 2) == pytest.approx(-np.log2(1 - (rho / 1.01) ** 2) / 4)
    assert coding_gain(S, np.arange(4), 2) == 0


def test_the_widest_site_takes_seconds() -> None:
    S = mixtures(1280, seed=0, factors=200)
    start = time.process_time()
    order = assign_blocks(S, 16)
    assert time.process_time() - start < 20
    assert coding_gain(S, order, 16) > 0
