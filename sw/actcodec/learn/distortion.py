"""What a coefficient loses at each width, measured on its own samples.

    q = clamp(round((z − o)/Δ), 0, 2^b − 1),  ẑ = o + Δ·q,  D(b) = E[(z − ẑ)²]

(o, Δ) is the best uniform quantizer found: several starting ranges, then alternate between assigning codes and the
least squares fit of o and Δ to them (Lloyd's iteration restricted to uniform levels). The formula 2^−2b is badly wrong
at 1–2 bits, where most coefficients live.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from actcodec.params import MAX_WIDTH

FloatArray = NDArray[np.float64]

# Share of the samples outside the starting range, on each side.
_TAILS = (0.0, 0.0002, 0.001, 0.004, 0.015, 0.04, 0.12)
_ITERATIONS = 10
# A fit has settled when it gains less than this share.
_SETTLED = 1e-6
_FAST = {"contract", "reassoc", "nsz", "arcp"}


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
    # (starts, K): the lower and the upper end of every starting range.
    tails = np.quantile(columns, [*_TAILS, *(1 - t for t in _TAILS)], axis=1).astype(np.float64)
    for width in range(1, MAX_WIDTH + 1):
        _fit(columns, tails[: len(_TAILS)], tails[len(_TAILS) :], (1 << width) - 1, offset[width], step[width])
        _errors(columns, offset[width], step[width], (1 << width) - 1, distortion[width])
    # More bits never hurt: a finer quantizer that was found worse is a local optimum.
    distortion = np.minimum.accumulate(distortion, axis=0)
    return Quantizers(offset, step, distortion)


@numba.njit(inline="always")
def _sums(column: Any, offset: float, step: float, top: int) -> tuple[float, float, float, float]:
    """Return the sums of (z − ẑ)², q, q² and q·z over a column; a fused pass, nothing is stored."""
    start, size = np.float32(offset), np.float32(step)
    inverse, highest = np.float32(1) / size, np.float32(top)
    error = codes = squares = products = 0.0
    for z in column:
        # Halves round up, as the codec's rounding shift does.
        q = min(max(np.floor((z - start) * inverse + np.float32(0.5)), np.float32(0)), highest)
        residual = np.float64(z - (start + size * q))
        error += residual * residual
        codes += np.float64(q)
        squares += np.float64(q * q)
        products += np.float64(q) * np.float64(z)
    return error, codes, squares, products


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _fit(columns: Any, lows: Any, highs: Any, top: int, offsets: Any, steps: Any) -> None:
    """Write the best offset and step of every column: the best starting range, then least squares again and again."""
    for k in range(len(columns)):
        column = columns[k]
        count, mean = len(column), 0.0
        for z in column:
            mean += np.float64(z)
        mean /= count
        best, found = np.inf, (0.0, 0.0, 0.0, 0.0)
        for start in range(len(lows)):
            # Steps are kept above 0: a coefficient that never changes has no range.
            step = max((highs[start, k] - lows[start, k]), 1e-6) / top
            sums = _sums(column, lows[start, k], step, top)
            if sums[0] < best:
                best, found = sums[0], sums
                offsets[k], steps[k] = lows[start, k], step
        step = steps[k]
        for _ in range(_ITERATIONS):
            # z ≈ o + Δ·q over the codes of the present quantizer.
            mean_q = found[1] / count
            spread = found[2] / count - mean_q * mean_q
            if spread > 0:
                step = (found[3] / count - mean_q * mean) / spread
            step = max(step, 1e-6)
            offset = mean - step * mean_q
            found = _sums(column, offset, step, top)
            gained = found[0] < best * (1 - _SETTLED)
            if found[0] < best:
                best = found[0]
                offsets[k], steps[k] = offset, step
            if not gained:
                break


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _errors(columns: Any, offsets: Any, steps: Any, top: int, out: Any) -> None:
    """Write the mean squared error of every column's quantizer."""
    for k in range(len(columns)):
        out[k] = _sums(columns[k], offsets[k], steps[k], top)[0] / len(columns[k])
