"""Which channels share a block, so that block-diagonal projection gains most.

    minimise Σ_j log det S′_j,   S′ = S + λI,  λ = ε·tr S / C

S is the covariance of a site, S′_j its part of block j. Half of that sum, in bits, is the rate of all coefficients of
the blocks' Karhunen–Loève transforms at distortion λ, up to a constant: at high rate it is the transform coding gain,
and variances below λ, which would not be coded, count for nothing.

With P = S′_B⁻¹ of block B, replacing its channel i by channel u of another block changes log det S′_B by

    log (P_ii·(S′_uu − s_uᵀ P s_u) + (P s_u)_i²),   s_u = S′_Bu                             (Schur complements)

and a swap changes the sum by two such terms. Swaps of disjoint pairs of blocks do not see each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actcodec.learn.calibrate import block_slices

FloatArray = NDArray[np.float64]
Order = NDArray[np.int64]

_RIDGE = 1e-2
"""ε: the share of the mean variance that is taken as distortion."""
_TOLERANCE = 1e-9
"""A smaller gain is rounding."""
_WORK = 5 * 10**7
"""Pairs of channels that are compared at most: 30 rounds of swaps for 1280 channels."""


def assign_blocks(covariance: FloatArray, block: int) -> Order:
    """Return the order (C,) whose blocks of ``block`` channels have the least Σ log det found; C×C ``covariance``.

    Channels ascend inside a block and full blocks by their first channel; where ``block`` does not divide C the
    smaller block comes last. The identity where nothing better was found; the same input gives the same order.
    """
    channels = len(covariance)
    identity = np.arange(channels)
    if channels <= block:
        return identity
    S = _ridged(covariance)
    parts = block_slices(channels, block)
    # Swaps alone do not get a group of channels out of a full block into the smaller one: it is tried first as well.
    starts = [parts] if channels % block == 0 else [parts, (parts[-1], *parts[:-1])]
    orders = [_canonical(_descend(S, _greedy(S, start), block), block) for start in starts]
    order = min(orders, key=lambda found: _log_dets(S, found, block))
    return order if _log_dets(S, order, block) < _log_dets(S, identity, block) - _TOLERANCE * channels else identity


def coding_gain(covariance: FloatArray, order: Order, block: int) -> float:
    """Return what ``order`` (C,) saves against the identity, in bits a channel: the drop of Σ log₂ det S′_j over 2C."""
    S = _ridged(covariance)
    drop = _log_dets(S, np.arange(len(S)), block) - _log_dets(S, order, block)
    return float(drop / (2 * len(S) * np.log(2)))


def _ridged(covariance: FloatArray) -> FloatArray:
    """Return S′, scaled to mean variance 1: a constant in the sum."""
    level = float(np.trace(covariance)) / len(covariance)
    if level <= 0:
        return np.eye(len(covariance))
    return covariance / level + _RIDGE * np.eye(len(covariance))


def _log_dets(S: FloatArray, order: Order, block: int) -> float:
    parts = (order[part] for part in block_slices(len(S), block))
    return float(sum(np.linalg.slogdet(S[np.ix_(part, part)])[1] for part in parts))


def _greedy(S: FloatArray, parts: Sequence[slice]) -> Order:
    """Fill one block after another, ``parts`` in that order, with the channels that correlate most with those in it.

    A block starts with the channel of the highest correlation to any that is left.
    """
    deviation = np.sqrt(np.diag(S))
    correlation = np.abs(S) / np.outer(deviation, deviation)
    np.fill_diagonal(correlation, 0)
    left = np.ones(len(S), bool)
    order = np.empty(len(S), np.int64)
    for part in parts:
        kinship = np.where(left, correlation, 0).max(1)
        for place in range(part.start, part.stop):
            chosen = int(np.where(left, kinship, -1).argmax())
            kinship = correlation[chosen] if place == part.start else kinship + correlation[chosen]
            left[chosen] = False
            order[place] = chosen
    return order


def _descend(S: FloatArray, order: Order, block: int) -> Order:
    """Swap channels between blocks as long as that lowers the sum, or until the work is spent.

    A round finds the best swap of every pair of blocks and makes those of disjoint pairs, best first.
    """
    order = order.copy()
    channels = len(S)
    count = -(-channels // block)
    for _ in range(_WORK // channels**2):
        change = _swaps(S, order, block)
        tiles = change.reshape(count, block, count, block).transpose(0, 2, 1, 3).reshape(count, count, -1)
        best = np.triu(tiles.min(2), 1)
        swapped = np.zeros(count, bool)
        for pair in np.argsort(best, axis=None, kind="stable"):
            a, b = divmod(int(pair), count)
            if best[a, b] > -_TOLERANCE:
                break
            if not (swapped[a] or swapped[b]):
                i, u = divmod(int(tiles[a, b].argmin()), block)
                order[[a * block + i, b * block + u]] = order[[b * block + u, a * block + i]]
                swapped[[a, b]] = True
        if not swapped.any():
            break
    return order


def _swaps(S: FloatArray, order: Order, block: int) -> FloatArray:
    """Return the change of the sum where the channels at two places are swapped, places padded to whole blocks.

    Pairs inside a block and places that do not exist are infinite.
    """
    channels = len(S)
    padded = -(-channels // block) * block
    # [u, i]: the change of the block of i where the channel at place u replaces that at place i.
    replaced = np.full((padded, padded), np.inf)
    S = S[np.ix_(order, order)]
    for part in block_slices(channels, block):
        rows = S[part]
        P = np.linalg.inv(rows[:, part])
        W = P @ rows
        own = np.diag(P)
        # No conditional variance is below the ridge.
        left = np.maximum(np.diag(S) - np.einsum("bu,bu->u", rows, W), _RIDGE)
        replaced[:channels, part] = np.log(own * left[:, None] + W.T**2)
        replaced[part, part] = np.inf
    return np.asarray(replaced + replaced.T)


def _canonical(order: Order, block: int) -> Order:
    """Return the same blocks with ascending channels, full blocks by their first."""
    whole = len(order) // block * block
    blocks = np.sort(order[:whole].reshape(-1, block), axis=1)
    return np.concatenate([blocks[np.argsort(blocks[:, 0])].reshape(-1), np.sort(order[whole:])])
