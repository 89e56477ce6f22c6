"""Cycles of the array for a tile, by dataflow; the formulas of docs/accelerator.md.

A tile is ``rows`` × ``columns`` positions of ``outputs`` output channels of one layer. g groups of c input and k output
channels each (k the tile's share), R × S the kernel, T = rows · columns positions, A × B the array's rows and columns:

    weight-stationary  ⌈g / p⌉ · ⌈R·S·c / A⌉ · ⌈k / B⌉ · Σ_blocks (T_block + 2A + B − 2)      blocks of ≤ accumulators
    output-stationary  g · ⌈T / A⌉ · ⌈k / B⌉ · (R·S·c + 2A + B − 2)
    channel-parallel   ⌈g / p⌉ · R·S · ⌈c / A⌉ · ⌈k / B⌉ · T
    row-stationary     ⌈R / A⌉ · ⌈g·c·k / P⌉ · ⌈rows / B⌉ · S · columns                 P = ⌊A / R⌋ · max(1, ⌊B / rows⌋)

p groups share the array where their weights fit along its diagonal, zeros elsewhere: min(⌊A / (R·S·c)⌋, ⌊B / k⌋), of a
channel-parallel one min(⌊A / c⌋, ⌊B / k⌋), at least 1. The first two are SCALE-Sim's: A cycles to load, A + B − 2 to
fill and drain, T (or the sum's length) to stream.
Layers without weights go through a vector unit that is as wide as the array has columns.
"""

from __future__ import annotations

import math

from actcodec.graph import Layer
from actcodec_sim.accelerator.config import Array


def tile_cycles(array: Array, layer: Layer, rows: int, columns: int, outputs: int) -> int:
    """Cycles for ``rows`` × ``columns`` positions of ``outputs`` channels of ``layer``."""
    positions = rows * columns
    if not positions or not outputs:
        return 0
    taps = math.prod(layer.kernel)
    if not layer.multiplies:
        return -(-positions * outputs * taps // array.columns)
    groups, c, k = _groups(layer, outputs)
    if layer.kind == "depthwise" and array.depthwise == "per-column" and array.dataflow != "row-stationary":
        # Each column is fed by itself: a group a column.
        groups, c, k = 1, 1, outputs
    A, B = array.rows, array.columns
    if array.dataflow == "weight-stationary":
        block = array.accumulators or positions
        blocks = -(-positions // block)
        groups = -(-groups // max(1, min(A // (taps * c), B // k)))
        return groups * -(-taps * c // A) * -(-k // B) * (positions + blocks * (2 * A + B - 2))
    if array.dataflow == "output-stationary":
        return groups * -(-positions // A) * -(-k // B) * (taps * c + 2 * A + B - 2)
    if array.dataflow == "channel-parallel":
        groups = -(-groups // max(1, min(A // c, B // k)))
        return groups * taps * -(-c // A) * -(-k // B) * positions
    height, width = layer.kernel
    parallel = max(1, A // height) * max(1, B // rows)
    return -(-height // A) * -(-groups * c * k // parallel) * -(-rows // B) * width * columns


def _groups(layer: Layer, outputs: int) -> tuple[int, int, int]:
    """Groups that ``outputs`` channels are in, input and output channels of each."""
    each = layer.outputs // layer.groups
    groups = min(layer.groups, -(-outputs // each))
    return groups, layer.inputs // layer.groups, min(each, outputs)
