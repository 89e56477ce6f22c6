"""From chosen widths to a site's plan: quantizer folded into P, decoder refitted to the codes that really occur."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actcodec.learn.allocation.choice import Choice
from actcodec.learn.draft import PROJECTED, StreamSettings, draft_info, stored_widths
from actcodec.learn.plan import PlanArrays, SitePlan

FloatArray = NDArray[np.float64]

_RIDGE = 1e-6
_CLAMPED_FITS = 8
"""Rounds of the fit behind a clamp. Most of the gain is the first fit's."""


def build_site(choice: Choice, settings: StreamSettings) -> SitePlan:
    """Return the plan of a site.

    P ← P/Δ and bias ← −(P·(μ − zero) + o)/Δ, so that rounding P·(x − zero) + bias gives the code. R and bias_out are
    the least squares fit, block by block, of x − zero to the codes of the sample: whatever norm eᵀGe the network
    sees, the same linear decoder is optimal. Of a folded site x is what the convolution computes, and they are fitted
    to the activation behind the decoder's clamp.
    """
    option, stats = choice.option, choice.option.statistics
    info = draft_info(stats.site, stats.range, option.transform, choice.widths, settings)
    width = stored_widths(option.transform, choice.widths)
    if option.transform == "bypass":
        return _bypass(choice, settings)
    C, K, b = info.channels, len(width), settings.params.block
    projected = option.transform in PROJECTED
    kept = np.flatnonzero(choice.widths > 0) if projected else np.arange(C)
    step = option.step[choice.widths[kept], kept]
    offset = option.offset[choice.widths[kept], kept]
    live = (width > 0)[:, None]
    forward = np.where(live, option.P[kept] / step[:, None], 0)
    bias = np.where(width > 0, -(option.P[kept] @ (stats.mean - stats.range.zero) + offset) / step, 0)
    x = stats.sample.astype(np.float64) - stats.range.zero
    top = (1 << width.astype(np.int64)) - 1
    P, R, bias_out = np.zeros((K, b)), np.zeros((C, b)), np.zeros(C)
    for block in info.blocks:
        (c0, c1), (k0, k1) = block.channels, block.coefficients
        P[k0:k1, : c1 - c0] = forward[k0:k1, c0:c1]
        z = x[:, c0:c1] @ forward[k0:k1, c0:c1].T + bias[k0:k1]
        codes = np.clip(np.floor(z + 0.5), 0, top[k0:k1])
        if option.transform == "folded":
            low, high = (float(end - stats.range.zero) for end in (stats.range.low, stats.range.high))
            R[c0:c1, : k1 - k0], bias_out[c0:c1] = fit_clamped(codes, x[:, c0:c1], low, high)
        elif projected:
            R[c0:c1, : k1 - k0], bias_out[c0:c1] = _fit(codes, x[:, c0:c1])
        else:
            for i in range(c1 - c0):
                R[c0 + i, i : i + 1], bias_out[c0 + i] = _fit(codes[:, [i]], x[:, c0 + i])
    return SitePlan(info, PlanArrays(P, R, bias, bias_out, width, choice.group[kept], np.arange(C, dtype=np.uint16)))


def fit_clamped(codes: FloatArray, x: FloatArray, low: float, high: float) -> tuple[FloatArray, FloatArray]:
    """Return R and bias for which clamp(codes·Rᵀ + bias) is close to clamp(x), in the least squares sense.

    The start is the fit to x itself. Where x lies beyond the range, any number beyond it is right: what the fit before
    gave is the target there, or the end of the range where that was inside. The best of all rounds is returned.
    """
    wanted = np.clip(x, low, high)
    R, bias = best = _fit(codes, x)
    least = np.inf
    for _ in range(_CLAMPED_FITS):
        fitted = codes @ R.T + bias
        error = float(((np.clip(fitted, low, high) - wanted) ** 2).mean())
        if error < least:
            best, least = (R, bias), error
        target = np.where(x <= low, np.minimum(fitted, low), np.where(x >= high, np.maximum(fitted, high), x))
        R, bias = _fit(codes, target)
    return best


def _fit(codes: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return R and bias of x ≈ codes·Rᵀ + bias in the least squares sense (a slight ridge for dead codes)."""
    mean_q, mean_x = codes.mean(0), x.mean(0)
    centred = codes - mean_q
    gram = centred.T @ centred / len(codes)
    cross = centred.T @ (x - mean_x) / len(codes)
    R = np.linalg.solve(gram + _RIDGE * np.eye(len(gram)), cross).T
    return R, mean_x - mean_q @ R.T


def _bypass(choice: Choice, settings: StreamSettings) -> SitePlan:
    stats, b = choice.option.statistics, settings.params.block
    C, zero = stats.site.channels, float(stats.range.zero)
    unit = np.zeros((C, b))
    unit[np.arange(C), np.arange(C) % b] = 1
    arrays = PlanArrays(
        P=unit,
        R=unit.copy(),
        bias=np.full(C, zero),
        bias_out=np.full(C, -zero),
        width=choice.widths,
        group=np.zeros(C, np.uint16),
        channel_order=np.arange(C, dtype=np.uint16),
    )
    return SitePlan(draft_info(stats.site, stats.range, "bypass", choice.widths, settings), arrays)
