"""Format v1 written a second time, slowly: int64 formulas and bits in lists, nothing shared with the code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.tables import SiteTable


def round_half_up(value: NDArray[Any], shift: NDArray[Any] | int) -> NDArray[np.int64]:
    """⌊value / 2^shift + 1/2⌋ as one floor division of integers."""
    power = np.left_shift(np.int64(1), np.asarray(shift, dtype=np.int64))
    return (2 * value.astype(np.int64) + power) // (2 * power)


def dense_forward(site: SiteTable) -> NDArray[np.int64]:
    """P as one matrix (K, C)."""
    full = np.zeros((len(site.arrays.P), site.info.channels), dtype=np.int64)
    for block in site.info.blocks:
        (c0, c1), (k0, k1) = block.channels, block.coefficients
        full[k0:k1, c0:c1] = site.arrays.P[k0:k1, : c1 - c0]
    return full


def dense_backward(site: SiteTable) -> NDArray[np.int64]:
    """R as one matrix (C, K)."""
    full = np.zeros((site.info.channels, len(site.arrays.P)), dtype=np.int64)
    for block in site.info.blocks:
        (c0, c1), (k0, k1) = block.channels, block.coefficients
        full[c0:c1, k0:k1] = site.arrays.R[c0:c1, : k1 - k0]
    return full


def encode_sums(site: SiteTable, x: NDArray[np.uint8]) -> NDArray[np.int64]:
    """acc_k of activations (…, C): (…, K)."""
    return (x.astype(np.int64) - site.info.zero) @ dense_forward(site).T + site.arrays.bias.astype(np.int64)


def codes_of(site: SiteTable, x: NDArray[np.uint8]) -> NDArray[np.int64]:
    """code_k of activations (…, C): (…, K); 0 where the width is 0."""
    rounded = round_half_up(encode_sums(site, x), site.arrays.shift.astype(np.int64))
    return np.clip(rounded, 0, 2 ** site.arrays.width.astype(np.int64) - 1)


def decode_sums(site: SiteTable, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """acc_c of codes (…, K): (…, C)."""
    scaled = codes * 2 ** site.arrays.left_shift.astype(np.int64)
    return scaled @ dense_backward(site).T + site.arrays.bias_out.astype(np.int64)


def activations_of(site: SiteTable, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """x̂_c of codes (…, K): (…, C)."""
    info = site.info
    return np.clip(round_half_up(decode_sums(site, codes), info.output_shift) + info.zero, info.low, info.high)


def plane_coefficients(site: SiteTable) -> list[range]:
    """Coefficients of every plane, in table order."""
    ranges = [range(*block.coefficients) for block in site.info.blocks]
    return ranges if site.info.order == "block-major" else [range(ranges[0].start, ranges[-1].stop)]


def _padding(bits: int, align: int) -> int:
    return 0 if bits % align == 0 else align - bits % align


def pack_slowly(site: SiteTable, codes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Stream of codes (H, W, K), bit by bit: table order, least significant bit first, rows padded to the pitch."""
    bits: list[int] = []
    for members in plane_coefficients(site):
        for row in codes:
            count = 0
            for position in row:
                for k in members:
                    for place in range(int(site.arrays.width[k])):
                        bits.append(int(position[k]) // 2**place % 2)
                        count += 1
            bits += [0] * _padding(count, site.info.align_bits)
    return np.packbits(np.array(bits, dtype=np.uint8), bitorder="little")


def unpack_slowly(site: SiteTable, stream: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Codes (H, W, K) of a stream, bit by bit."""
    bits = iter(np.unpackbits(stream, bitorder="little").tolist())
    codes = np.zeros((site.info.height, site.info.width, len(site.arrays.P)), dtype=np.int64)
    for members in plane_coefficients(site):
        for row in codes:
            count = 0
            for position in row:
                for k in members:
                    width = int(site.arrays.width[k])
                    position[k] = sum(next(bits) * 2**place for place in range(width))
                    count += width
            for _ in range(_padding(count, site.info.align_bits)):
                next(bits)
    assert next(bits, None) is None
    return codes
