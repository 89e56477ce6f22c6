"""Compiled loops of the differentiable codec: one pass over a site's positions forward, one backward.

A naive layer makes about fifteen passes over a tensor that does not fit the cache (scale, round, clamp, two matrix
products, masks, and as many backward). Here a tile of positions is turned channel by channel, goes through rounding,
projection, quantizer and decoder inside the first-level cache, and is written once. Backward recomputes the tile from
x, so nothing but x is kept between the two.

    r = clamp(⌊x/scale + ½⌋)    z = P·r + bias    q = clamp(⌊z + ½⌋, 0, top)
    y = R·q + bias'             out = scale·clamp(⌊y + ½⌋)

Straight-through: rounding has derivative 1, a clamp 0 outside its range. The result of a row depends on nothing but the
row, and sums run in a fixed order: the same input gives the same bytes.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TILE = 64
"""Positions of a tile: eight vectors of eight floats, and all tiles of a block of 16 stay in 32 KiB."""
FAST = {"contract", "reassoc", "nsz", "arcp"}


@numba.njit(inline="always")
def load_rounded(x: Array, first: int, count: int, c0: int, c1: int, inverse: Any, rounded: Array) -> None:
    """Turn a tile of ``x`` to [channel, position] and round it; positions beyond ``count`` become 0."""
    for t in range(count):
        for c in range(c0, c1):
            rounded[c - c0, t] = x[first + t, c]
    for c in range(c1 - c0):
        for t in range(count, TILE):
            rounded[c, t] = np.float32(0)
        for t in range(TILE):
            rounded[c, t] = np.floor(rounded[c, t] * inverse + np.float32(0.5))


@numba.njit(inline="always")
def clamp(rounded: Array, inside: Array, channels: int, low: Any, high: Any) -> None:
    """Clamp a tile of ``rounded`` [channel, position]; ``inside`` becomes 1 where that left it as it was, else 0."""
    for c in range(channels):
        for t in range(TILE):
            value = rounded[c, t]
            rounded[c, t] = min(max(value, low), high)
            inside[c, t] = np.float32(1) if rounded[c, t] == value else np.float32(0)


@numba.njit(inline="always")
def load_gradient(gradient: Array, first: int, count: int, c0: int, c1: int, out: Array) -> None:
    """Turn a tile of ``gradient`` to [channel, position]; positions beyond ``count`` become 0."""
    for c in range(c1 - c0):
        for t in range(count):
            out[c, t] = gradient[first + t, c0 + c]
        for t in range(count, TILE):
            out[c, t] = np.float32(0)


@numba.njit(inline="always")
def through_output(y: Array, g: Array, scale: Any, low: Any, high: Any) -> Any:
    """Turn the gradient ``g`` by scale·clamp(⌊y + ½⌋) to that by y, in place; return its sum."""
    total = np.float32(0)
    for t in range(TILE):
        value = np.floor(y[t] + np.float32(0.5))
        g[t] = g[t] * scale if low <= value <= high else np.float32(0)
        total += g[t]
    return total


@numba.njit(inline="always")
def rows_times(matrix: Array, row: int, count: int, source: Array, start: Any, out: Array) -> None:
    """out[t] = start + Σ_i matrix[row, i]·source[i, t] over i < ``count``."""
    for t in range(TILE):
        out[t] = start
    whole = count - count % 4
    for i in range(0, whole, 4):
        m0, m1, m2, m3 = matrix[row, i], matrix[row, i + 1], matrix[row, i + 2], matrix[row, i + 3]
        for t in range(TILE):
            out[t] += m0 * source[i, t] + m1 * source[i + 1, t] + m2 * source[i + 2, t] + m3 * source[i + 3, t]
    for i in range(whole, count):
        m0 = matrix[row, i]
        for t in range(TILE):
            out[t] += m0 * source[i, t]


@numba.njit(inline="always")
def columns_times(matrix: Array, first: int, column: int, count: int, source: Array, out: Array) -> None:
    """out[t] = Σ_i matrix[first + i, column]·source[i, t] over i < ``count``."""
    for t in range(TILE):
        out[t] = np.float32(0)
    whole = count - count % 4
    for i in range(0, whole, 4):
        m0, m1 = matrix[first + i, column], matrix[first + i + 1, column]
        m2, m3 = matrix[first + i + 2, column], matrix[first + i + 3, column]
        for t in range(TILE):
            out[t] += m0 * source[i, t] + m1 * source[i + 1, t] + m2 * source[i + 2, t] + m3 * source[i + 3, t]
    for i in range(whole, count):
        m0 = matrix[first + i, column]
        for t in range(TILE):
            out[t] += m0 * source[i, t]


@numba.njit(inline="always")
def dot(a: Array, b: Array) -> Any:
    """Σ_t a[t]·b[t]."""
    total = np.float32(0)
    for t in range(TILE):
        total += a[t] * b[t]
    return total


@numba.njit(cache=True, nogil=True, boundscheck=False, fastmath=FAST, error_model="numpy")
def forward_project(
    x: Array,
    out: Array,
    blocks: Array,
    P: Array,
    bias: Array,
    R: Array,
    bias_out: Array,
    top: Array,
    scale: np.float32,
    low: np.float32,
    high: np.float32,
) -> None:
    """Write what a reader gets for x (positions, C) float32 into ``out``.

    ``blocks`` (J, 4): first and last channel, first and last coefficient. ``P`` (K, b), ``R`` (C, b) as in the plan;
    ``top`` (K,) is 2^b − 1; ``low`` and ``high`` bound x/scale.
    """
    side = P.shape[1]
    rounded, codes = np.empty((side, TILE), np.float32), np.empty((side, TILE), np.float32)
    acc = np.empty(TILE, np.float32)
    half, zero, inverse = np.float32(0.5), np.float32(0), np.float32(1) / scale
    for first in range(0, x.shape[0], TILE):
        count = min(TILE, x.shape[0] - first)
        for j in range(blocks.shape[0]):
            c0, c1, k0, k1 = blocks[j, 0], blocks[j, 1], blocks[j, 2], blocks[j, 3]
            load_rounded(x, first, count, c0, c1, inverse, rounded)
            for c in range(c1 - c0):
                for t in range(TILE):
                    rounded[c, t] = min(max(rounded[c, t], low), high)
            for k in range(k0, k1):
                rows_times(P, k, c1 - c0, rounded, bias[k], acc)
                most = top[k]
                for t in range(TILE):
                    codes[k - k0, t] = min(max(np.floor(acc[t] + half), zero), most)
            for c in range(c0, c1):
                rows_times(R, c, k1 - k0, codes, bias_out[c], acc)
                for t in range(TILE):
                    acc[t] = min(max(np.floor(acc[t] + half), low), high) * scale
                for t in range(count):
                    out[first + t, c] = acc[t]


@numba.njit(cache=True, nogil=True, boundscheck=False, fastmath=FAST, error_model="numpy")
def backward_project(
    x: Array,
    gradient: Array,
    blocks: Array,
    P: Array,
    bias: Array,
    R: Array,
    bias_out: Array,
    top: Array,
    scale: np.float32,
    low: np.float32,
    high: np.float32,
    dx: Array,
    dP: Array,
    dbias: Array,
    dR: Array,
    dbias_out: Array,
) -> None:
    """Write the gradient by x into ``dx`` and add those by P, bias, R, bias' to theirs.

    Arguments as of `forward_project`; ``gradient`` (positions, C) is that by ``out``.
    """
    side = P.shape[1]
    rounded, codes = np.empty((side, TILE), np.float32), np.empty((side, TILE), np.float32)
    inside, unclamped = np.empty((side, TILE), np.float32), np.empty((side, TILE), np.float32)
    g_out, g_code = np.empty((side, TILE), np.float32), np.empty((side, TILE), np.float32)
    acc = np.empty(TILE, np.float32)
    half, zero, one = np.float32(0.5), np.float32(0), np.float32(1)
    inverse = one / scale
    for first in range(0, x.shape[0], TILE):
        count = min(TILE, x.shape[0] - first)
        for j in range(blocks.shape[0]):
            c0, c1, k0, k1 = blocks[j, 0], blocks[j, 1], blocks[j, 2], blocks[j, 3]
            channels, kept = c1 - c0, k1 - k0
            load_rounded(x, first, count, c0, c1, inverse, rounded)
            clamp(rounded, inside, channels, low, high)
            for k in range(kept):
                rows_times(P, k0 + k, channels, rounded, bias[k0 + k], acc)
                most = top[k0 + k]
                for t in range(TILE):
                    value = np.floor(acc[t] + half)
                    codes[k, t] = min(max(value, zero), most)
                    unclamped[k, t] = one if codes[k, t] == value else zero
            load_gradient(gradient, first, count, c0, c1, g_out)
            for c in range(channels):
                rows_times(R, c0 + c, kept, codes, bias_out[c0 + c], acc)
                dbias_out[c0 + c] += through_output(acc, g_out[c], scale, low, high)
                for k in range(kept):
                    dR[c0 + c, k] += dot(g_out[c], codes[k])
            for k in range(kept):
                columns_times(R, c0, k, channels, g_out, acc)
                total = zero
                for t in range(TILE):
                    g_code[k, t] = acc[t] * unclamped[k, t]
                    total += g_code[k, t]
                dbias[k0 + k] += total
                for c in range(channels):
                    dP[k0 + k, c] += dot(g_code[k], rounded[c])
            for c in range(channels):
                columns_times(P, k0, c, kept, g_code, acc)
                for t in range(TILE):
                    acc[t] = acc[t] * inside[c, t] * inverse
                for t in range(count):
                    dx[first + t, c0 + c] = acc[t]


@numba.njit(cache=True, nogil=True, boundscheck=False, fastmath=FAST, error_model="numpy")
def forward_identity(
    x: Array,
    out: Array,
    p: Array,
    bias: Array,
    r: Array,
    bias_out: Array,
    top: Array,
    scale: np.float32,
    low: np.float32,
    high: np.float32,
) -> None:
    """`forward_project` of diagonal P and R, given as ``p`` and ``r`` (C,)."""
    half, zero, inverse = np.float32(0.5), np.float32(0), np.float32(1) / scale
    for m in range(x.shape[0]):
        for c in range(x.shape[1]):
            value = min(max(np.floor(x[m, c] * inverse + half), low), high)
            code = min(max(np.floor(value * p[c] + bias[c] + half), zero), top[c])
            out[m, c] = min(max(np.floor(code * r[c] + bias_out[c] + half), low), high) * scale


@numba.njit(cache=True, nogil=True, boundscheck=False, fastmath=FAST, error_model="numpy")
def backward_identity(
    x: Array,
    gradient: Array,
    p: Array,
    bias: Array,
    r: Array,
    bias_out: Array,
    top: Array,
    scale: np.float32,
    low: np.float32,
    high: np.float32,
    dx: Array,
    dp: Array,
    dbias: Array,
    dr: Array,
    dbias_out: Array,
) -> None:
    """`backward_project` of diagonal P and R."""
    half, zero, inverse = np.float32(0.5), np.float32(0), np.float32(1) / scale
    for m in range(x.shape[0]):
        for c in range(x.shape[1]):
            raw = np.floor(x[m, c] * inverse + half)
            value = min(max(raw, low), high)
            raw_code = np.floor(value * p[c] + bias[c] + half)
            code = min(max(raw_code, zero), top[c])
            y = np.floor(code * r[c] + bias_out[c] + half)
            g = gradient[m, c] * scale if low <= y <= high else zero
            dbias_out[c] += g
            dr[c] += g * code
            g = g * r[c] if raw_code == code else zero
            dbias[c] += g
            dp[c] += g * value
            dx[m, c] = g * p[c] * inverse if raw == value else zero
