"""Whole widths from learned ones, within a budget of real stream bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.learn.draft import Widths
from actcodec.learn.search.layer import SearchLayer
from actcodec.params import MAX_WIDTH

FloatArray = NDArray[np.float64]

_BISECTIONS = 40


def whole_widths(layers: Sequence[SearchLayer], budget: int) -> list[Widths]:
    """Return widths (C,) of every layer whose streams take at most ``budget`` bytes an image.

    b_g = round(β_g − t) of the learned widths β_g, t the least that fits (bisected); then the groups that rounding took
    the most from get a bit back while it fits. Every site keeps at least one coefficient.
    Raises ActcodecError where even the smallest streams do not fit.
    """
    learned = [layer.widths.bits().detach().double().numpy() for layer in layers]
    low, high = -1.0, float(MAX_WIDTH) + 1
    if _bytes(layers, _rounded(learned, high)) > budget:
        raise ActcodecError("target_bits", f"{budget} bytes an image cannot be reached by the sites that are searched")
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _bytes(layers, _rounded(learned, middle)) <= budget:
            high = middle
        else:
            low = middle
    groups = _topped_up(layers, learned, _rounded(learned, high), budget)
    return [widths[layer.choice.group] for layer, widths in zip(layers, groups, strict=True)]


def _rounded(learned: Sequence[FloatArray], lowered: float) -> list[Widths]:
    """Return whole widths of all groups; the first of a site's widest groups is never dropped."""
    rounded = []
    for widths in learned:
        whole = np.clip(np.floor(widths - lowered + 0.5), 0, MAX_WIDTH).astype(np.uint8)
        if not whole.any():
            whole[int(np.argmax(widths))] = 1
        rounded.append(whole)
    return rounded


def _bytes(layers: Sequence[SearchLayer], groups: Sequence[Widths]) -> int:
    return sum(layer.stream_bytes(widths[layer.choice.group]) for layer, widths in zip(layers, groups, strict=True))


def _topped_up(
    layers: Sequence[SearchLayer], learned: Sequence[FloatArray], groups: list[Widths], budget: int
) -> list[Widths]:
    lost = [(float(wanted[g] - groups[s][g]), s, g) for s, wanted in enumerate(learned) for g in range(len(wanted))]
    left = budget - _bytes(layers, groups)
    for _, site, group in sorted(lost, key=lambda entry: (-entry[0], entry[1], entry[2])):
        if groups[site][group] == MAX_WIDTH:
            continue
        layer, more = layers[site], groups[site].copy()
        more[group] += 1
        extra = layer.stream_bytes(more[layer.choice.group]) - layer.stream_bytes(groups[site][layer.choice.group])
        if extra <= left:
            groups[site], left = more, left - extra
    return groups
