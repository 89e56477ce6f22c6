"""Rounding and saturation of format v1: the one place where software knows how.

Everything is exact integer arithmetic in NumPy. The RTL has one counterpart, `actcodec_rtl.requantize`,
and an exhaustive test holds the two together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def round_shift(value: NDArray[Any] | int, shift: NDArray[Any] | int) -> IntArray:
    """``(value + (1 << (shift − 1))) >> shift`` for shift > 0, ``value`` for shift = 0.

    Arithmetic shift, so halves round towards +∞. Broadcasts; returns int64.
    """
    v = np.asarray(value, dtype=np.int64)
    s = np.asarray(shift, dtype=np.int64)
    half = np.where(s > 0, np.int64(1) << np.maximum(s - 1, 0), np.int64(0))
    return np.asarray((v + half) >> s, dtype=np.int64)


def saturate(value: NDArray[Any] | int, low: NDArray[Any] | int, high: NDArray[Any] | int) -> IntArray:
    """Clamp to low…high, both included. Broadcasts; returns int64."""
    return np.asarray(np.clip(np.asarray(value, dtype=np.int64), low, high), dtype=np.int64)


def requantize_code(acc: NDArray[Any] | int, shift: NDArray[Any] | int, width: NDArray[Any] | int) -> IntArray:
    """Encoder: ``clamp(round_shift(acc, shift), 0, 2^width − 1)``; 0 where width is 0."""
    high = (np.int64(1) << np.asarray(width, dtype=np.int64)) - 1
    return saturate(round_shift(acc, shift), 0, high)


def requantize_activation(
    acc: NDArray[Any] | int, shift: NDArray[Any] | int, zero: int, low: int, high: int
) -> IntArray:
    """Decoder: ``clamp(round_shift(acc, shift) + zero, low, high)``."""
    return saturate(round_shift(acc, shift) + zero, low, high)
