"""Compiled loops of a site whose coefficients have several candidate widths at once.

    r = clamp(⌊x/scale + ½⌋)    z = P·r + bias
    q_j = clamp(⌊(z − o_j)/Δ_j + ½⌋, 0, top_j)    ẑ = Σ_j π_j·(o_j + Δ_j·q_j)
    y = R·ẑ + bias'    out = scale·clamp(⌊y + ½⌋)

j runs over the candidates of a coefficient, π_j their shares; one without a share is computed for its gradient only.
With top 0 it is the constant o_j: the coefficient is dropped. Straight-through and tile by tile as in `tuning.kernels`;
gradients by o, Δ and top are those of learned step size quantization (LSQ, arXiv 1902.08153).
"""

from __future__ import annotations

import numba
import numpy as np

from actcodec.learn.tuning.kernels import (
    FAST,
    TILE,
    Array,
    clamp,
    columns_times,
    dot,
    load_gradient,
    load_rounded,
    rows_times,
    through_output,
)


@numba.njit(inline="always")
def _mix(z: Array, k: int, offset: Array, step: Array, top: Array, share: Array, mixed: Array) -> None:
    """mixed[t] = Σ_j π_j·(o_j + Δ_j·q_j) of coefficient ``k``."""
    half, zero = np.float32(0.5), np.float32(0)
    for t in range(TILE):
        mixed[t] = zero
    for j in range(share.shape[1]):
        portion = share[k, j]
        if portion == zero:
            continue
        low, size, most, inverse = offset[k, j], step[k, j], top[k, j], np.float32(1) / step[k, j]
        for t in range(TILE):
            q = min(max(np.floor((z[t] - low) * inverse + half), zero), most)
            mixed[t] += portion * (low + size * q)


@numba.njit(cache=True, nogil=True, boundscheck=False, fastmath=FAST, error_model="numpy")
def forward(
    x: Array,
    out: Array,
    blocks: Array,
    P: Array,
    bias: Array,
    R: Array,
    bias_out: Array,
    offset: Array,
    step: Array,
    top: Array,
    share: Array,
    scale: np.float32,
    low: np.float32,
    high: np.float32,
) -> None:
    """Write what a reader gets for x (positions, C) float32 into ``out``.

    ``blocks`` (J, 2): first and last channel, which are those of its coefficients as well; ``P``, ``R`` (C, b); the
    candidates' arrays (C, candidates).
    """
    side = P.shape[1]
    rounded, mixed = np.empty((side, TILE), np.float32), np.empty((side, TILE), np.float32)
    acc = np.empty(TILE, np.float32)
    half, inverse = np.float32(0.5), np.float32(1) / scale
    for first in range(0, x.shape[0], TILE):
        count = min(TILE, x.shape[0] - first)
        for j in range(blocks.shape[0]):
            c0, c1 = blocks[j, 0], blocks[j, 1]
            channels = c1 - c0
            load_rounded(x, first, count, c0, c1, inverse, rounded)
            for c in range(channels):
                for t in range(TILE):
                    rounded[c, t] = min(max(rounded[c, t], low), high)
            for k in range(channels):
                rows_times(P, c0 + k, channels, rounded, bias[c0 + k], acc)
                _mix(acc, c0 + k, offset, step, top, share, mixed[k])
            for c in range(c0, c1):
                rows_times(R, c, channels, mixed, bias_out[c], acc)
                for t in range(count):
                    out[first + t, c] = min(max(np.floor(acc[t] + half), low), high) * scale


@numba.njit(cache=True, nogil=True, boundscheck=False, fastmath=FAST, error_model="numpy")
def backward(
    x: Array,
    gradient: Array,
    blocks: Array,
    P: Array,
    bias: Array,
    R: Array,
    bias_out: Array,
    offset: Array,
    step: Array,
    top: Array,
    share: Array,
    scale: np.float32,
    low: np.float32,
    high: np.float32,
    dx: Array,
    dP: Array,
    dbias: Array,
    dR: Array,
    dbias_out: Array,
    doffset: Array,
    dstep: Array,
    dtop: Array,
    dshare: Array,
) -> None:
    """Write the gradient by x into ``dx`` and add all others to theirs; arguments as of `forward`."""
    side = P.shape[1]
    rounded, inside = np.empty((side, TILE), np.float32), np.empty((side, TILE), np.float32)
    z, mixed = np.empty((side, TILE), np.float32), np.empty((side, TILE), np.float32)
    g_out, g_z = np.empty((side, TILE), np.float32), np.empty((side, TILE), np.float32)
    acc = np.empty(TILE, np.float32)
    half, zero, one = np.float32(0.5), np.float32(0), np.float32(1)
    inverse = one / scale
    for first in range(0, x.shape[0], TILE):
        count = min(TILE, x.shape[0] - first)
        for b in range(blocks.shape[0]):
            c0, c1 = blocks[b, 0], blocks[b, 1]
            channels = c1 - c0
            load_rounded(x, first, count, c0, c1, inverse, rounded)
            clamp(rounded, inside, channels, low, high)
            for k in range(channels):
                rows_times(P, c0 + k, channels, rounded, bias[c0 + k], z[k])
                _mix(z[k], c0 + k, offset, step, top, share, mixed[k])
            load_gradient(gradient, first, count, c0, c1, g_out)
            for c in range(channels):
                rows_times(R, c0 + c, channels, mixed, bias_out[c0 + c], acc)
                dbias_out[c0 + c] += through_output(acc, g_out[c], scale, low, high)
                for k in range(channels):
                    dR[c0 + c, k] += dot(g_out[c], mixed[k])
            for k in range(channels):
                row = c0 + k
                columns_times(R, c0, k, channels, g_out, acc)
                for t in range(TILE):
                    g_z[k, t] = zero
                for j in range(share.shape[1]):
                    portion = share[row, j]
                    start, size, most = offset[row, j], step[row, j], top[row, j]
                    finer = one / size
                    by_share, by_offset, by_step, by_top = zero, zero, zero, zero
                    for t in range(TILE):
                        place = (z[k, t] - start) * finer
                        raw = np.floor(place + half)
                        q = min(max(raw, zero), most)
                        g = acc[t]
                        by_share += g * (start + size * q)
                        if q == raw:
                            g_z[k, t] += portion * g
                            by_step += g * (q - place)
                        else:
                            by_offset += g
                            by_step += g * q
                            if raw > zero:
                                by_top += g * size
                    dshare[row, j] += by_share
                    doffset[row, j] += portion * by_offset
                    dstep[row, j] += portion * by_step
                    dtop[row, j] += portion * by_top
            for k in range(channels):
                total = zero
                for t in range(TILE):
                    total += g_z[k, t]
                dbias[c0 + k] += total
                for c in range(channels):
                    dP[c0 + k, c] += dot(g_z[k], rounded[c])
            for c in range(channels):
                columns_times(P, c0, c, channels, g_z, acc)
                for t in range(count):
                    dx[first + t, c0 + c] = acc[t] * inside[c, t] * inverse
