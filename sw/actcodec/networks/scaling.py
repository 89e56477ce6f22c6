"""Channel counts under a width multiplier."""

from __future__ import annotations


def scaled(channels: int, width: float) -> int:
    """Return ``width``·``channels`` rounded to a multiple of 8, at least 8 and never below nine tenths of the product.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018, reference implementation.
    """
    exact = width * channels
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * exact else rounded + 8
