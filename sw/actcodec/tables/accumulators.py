"""Exact worst cases of the accumulators over all inputs, from the integers of the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from actcodec.tables.model import SiteTable

Range = tuple[NDArray[np.int64], NDArray[np.int64]]


def _with_rounding(
    low: NDArray[np.int64], high: NDArray[np.int64], bias: NDArray[np.int64], shift: NDArray[np.int64]
) -> Range:
    """Ranges that hold the sum before and after the rounding constant 2^(s−1) is added."""
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), np.int64(0))
    # The bias is in the accumulator before the first product, so it has to fit by itself as well.
    return np.minimum(low + bias, bias), np.maximum(high + bias, bias) + half


def encode_accumulator_range(site: SiteTable) -> Range:
    """Lowest and highest value of acc_k (with rounding) over all x ∈ 0…255: two arrays (K,).

    acc_k = Σ P[k,c]·(x_c − zero) + bias_k is extreme where every x_c is 0 or 255. Of a folded site the sum is the
    convolution's, whose range the tables hold; the port carries it without the bias.
    """
    if site.arrays.acc_range is not None:
        lowest, highest = site.arrays.acc_range.astype(np.int64).T
        bias, shift = (array.astype(np.int64) for array in (site.arrays.bias, site.arrays.shift))
        low, high = _with_rounding(lowest, highest, bias, shift)
        return np.minimum(low, lowest), np.maximum(high, highest)
    P = site.arrays.P.astype(np.int64)
    at_zero, at_full = P * -site.info.zero, P * (255 - site.info.zero)
    return _with_rounding(
        np.minimum(at_zero, at_full).sum(axis=1),
        np.maximum(at_zero, at_full).sum(axis=1),
        site.arrays.bias.astype(np.int64),
        site.arrays.shift.astype(np.int64),
    )


def decode_accumulator_range(site: SiteTable) -> Range:
    """Lowest and highest value of acc_c (with rounding) over all codes 0…2^b_k − 1: two arrays (C,)."""
    largest = ((np.int64(1) << site.arrays.width.astype(np.int64)) - 1) << site.arrays.left_shift.astype(np.int64)
    reach = np.zeros(site.arrays.R.shape, dtype=np.int64)
    for block in site.info.blocks:
        (c0, c1), (k0, k1) = block.channels, block.coefficients
        reach[c0:c1, : k1 - k0] = largest[k0:k1]
    product = site.arrays.R.astype(np.int64) * reach
    bias = site.arrays.bias_out.astype(np.int64)
    shift = np.full(bias.shape, site.info.output_shift, dtype=np.int64)
    return _with_rounding(np.minimum(product, 0).sum(axis=1), np.maximum(product, 0).sum(axis=1), bias, shift)
