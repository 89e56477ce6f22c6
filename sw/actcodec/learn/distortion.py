"""What a coefficient loses at each width, measured on its own samples.

    q = clamp(round((z − o)/Δ), 0, 2^b − 1),  ẑ = o + Δ·q,  D(b) = E[(z − ẑ)²]

(o, Δ) is the best uniform quantizer found: several starting ranges, then alternate between assigning codes and the
least squares fit of o and Δ to them (Lloyd's iteration restricted to uniform levels). The formula 2^−2b is badly wrong
at 1–2 bits, where most coefficients live.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actcodec.params import MAX_WIDTH

FloatArray = NDArray[np.float64]

# Share of the samples outside the starting range, on each side.
_TAILS = (0.0, 0.0002, 0.001, 0.004, 0.015, 0.04, 0.12)
_ITERATIONS = 10


@dataclass(frozen=True, eq=False)
class Quantizers:
    """Best uniform quantizers of K coefficients: ``offset``, ``step``, ``distortion`` are (MAX_WIDTH+1, K).

    Row b is for b bits. At 0 bits the offset is the mean and the distortion the variance.
    """

    offset: FloatArray
    step: FloatArray
    distortion: FloatArray


def measure_quantizers(z: FloatArray) -> Quantizers:
    """Fit a quantizer of every width 0…8 to every column of the samples ``z`` (M, K)."""
    columns = np.ascontiguousarray(z.T, dtype=np.float32)
    offset = np.zeros((MAX_WIDTH + 1, len(columns)))
    step = np.ones_like(offset)
    distortion = np.zeros_like(offset)
    offset[0], distortion[0] = columns.mean(1, dtype=np.float64), columns.var(1, dtype=np.float64)
    tails = np.quantile(columns, [*_TAILS, *(1 - t for t in _TAILS)], axis=1)
    starts = list(zip(tails[: len(_TAILS)], tails[len(_TAILS) :], strict=True))
    for width in range(1, MAX_WIDTH + 1):
        offset[width], step[width], distortion[width] = _best_of(columns, width, starts)
    # More bits never hurt: a finer quantizer that was found worse is a local optimum.
    distortion = np.minimum.accumulate(distortion, axis=0)
    return Quantizers(offset, step, distortion)


def _best_of(
    columns: NDArray[np.float32], width: int, starts: list[tuple[FloatArray, FloatArray]]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    top = (1 << width) - 1
    best = np.full(len(columns), np.inf)
    kept = np.zeros((2, len(columns)))
    for low, high in starts:
        offset, step = low, _positive(high - low) / top
        error = _error(columns, offset, step, top)
        better = error < best
        best = np.where(better, error, best)
        kept = np.where(better, np.stack([offset, step]), kept)
    offset, step = kept
    for _ in range(_ITERATIONS):
        offset, step = _refit(columns, offset, step, top)
        error = _error(columns, offset, step, top)
        better = error < best
        best = np.where(better, error, best)
        kept = np.where(better, np.stack([offset, step]), kept)
    return kept[0], kept[1], best


def _codes(columns: NDArray[np.float32], offset: FloatArray, step: FloatArray, top: int) -> NDArray[np.float32]:
    # Halves round up, as the codec's rounding shift does.
    scaled = (columns - offset[:, None].astype(np.float32)) / step[:, None].astype(np.float32)
    return np.clip(np.floor(scaled + np.float32(0.5)), 0, top)


def _error(columns: NDArray[np.float32], offset: FloatArray, step: FloatArray, top: int) -> FloatArray:
    q = _codes(columns, offset, step, top)
    residual = columns - (offset[:, None] + step[:, None] * q).astype(np.float32)
    return np.asarray(np.einsum("km,km->k", residual, residual, dtype=np.float64) / columns.shape[1])


def _refit(
    columns: NDArray[np.float32], offset: FloatArray, step: FloatArray, top: int
) -> tuple[FloatArray, FloatArray]:
    """Least squares of z ≈ o + Δ·q over the codes of the present quantizer."""
    q = _codes(columns, offset, step, top)
    mean_q, mean_z = q.mean(1, dtype=np.float64), columns.mean(1, dtype=np.float64)
    count = columns.shape[1]
    cross = np.einsum("km,km->k", q, columns, dtype=np.float64) / count - mean_q * mean_z
    spread = np.einsum("km,km->k", q, q, dtype=np.float64) / count - mean_q**2
    fitted = np.where(spread > 0, cross / np.where(spread > 0, spread, 1), step)
    fitted = _positive(fitted)
    return mean_z - fitted * mean_q, fitted


def _positive(step: FloatArray) -> FloatArray:
    """Keep steps above 0: a coefficient that never changes has no range."""
    return np.maximum(step, 1e-6)
