"""Reverse water-filling on measured distortions, counted in the bytes of the real stream.

    minimise  Σ_l N_l Σ_k s_k·D_k(b_k)  +  ρ·Σ_l (stream bits_l + table bits_l / batch)

over the width b_k of every coefficient and the transform of every site. Within a site the widths follow the lower
convex hull of each coefficient's loss, steepest step first; sites meet in ρ alone, which is bisected until the
streams, row padding included, fit the target. What is left of the budget goes to the best steps that still fit.
Classical form (λ_k and θ in place of measured losses): b = max(0, ½·log₂(λ/θ)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.learn.allocation.choice import Choice, make_choice
from actcodec.learn.draft import StreamSettings, Widths
from actcodec.learn.option import SiteOption
from actcodec.params import MAX_WIDTH
from actcodec.tables.geometry import round_up

_BISECTIONS = 80


def allocate(
    sites: Sequence[Sequence[SiteOption]], target_bits: float, table_batch: int, settings: StreamSettings
) -> tuple[Choice, ...]:
    """Choose transform and widths of every site (given with its options) for ``target_bits`` a value.

    The target bounds 8·stream bytes / values over all sites. Raises ActcodecError for a target outside 0…8 or
    below what the smallest stream of these sites takes.
    """
    if not 0 < target_bits <= MAX_WIDTH:
        raise ActcodecError("target_bits", f"{target_bits} is outside 0…{MAX_WIDTH}")
    choices = [
        [choice for option in options for choice in site_choices(option, table_batch, settings)] for options in sites
    ]
    return pick(choices, target_bits, table_batch)


def pick(choices: Sequence[Sequence[Choice]], target_bits: float, table_batch: int) -> tuple[Choice, ...]:
    """Choose one of the ``choices`` of every site: least loss at equal price of a bit, within ``target_bits`` a value.

    Raises ActcodecError for a target below what the smallest stream of these sites takes.
    """
    values = sum(site[0].option.statistics.site.values for site in choices)
    budget = math.floor(target_bits * values / 8)
    least = sum(min(choice.stream_bytes for choice in site) for site in choices)
    if least > budget:
        problem = f"{target_bits} bits a value cannot be reached; the smallest streams take {8 * least / values:.3f}"
        raise ActcodecError("target_bits", problem)
    picked, rho = _bisect(choices, budget, table_batch)
    return tuple(_top_up(choices, picked, budget, 8 * rho / table_batch))


def site_choices(option: SiteOption, table_batch: int, settings: StreamSettings) -> list[Choice]:
    """Return the trade-off of one option: the last step of the hull that fits each size of the stream."""
    site = option.statistics.site
    path = _path(option, table_batch * site.height * site.width)
    if settings.order == "position-major":
        # The one plane's pitch decides the size: of a wide site's thousands of steps most need not be built.
        path = list({round_up(site.width * int(widths.sum()), settings.align): widths for widths in path}.values())
    best: dict[int, Choice] = {}
    for widths in path:
        choice = make_choice(option, widths, settings)
        best[choice.stream_bytes] = choice
    return list(best.values())


def _path(option: SiteOption, table_share: int) -> list[Widths]:
    """Return the widths after every step, steepest first; at least one coefficient is stored.

    ``table_share`` is the number of positions that share a coefficient's table bytes.
    """
    channels = option.loss.shape[1]
    if option.transform == "bypass":
        return [np.full(channels, MAX_WIDTH, np.uint8)]
    part = option.statistics.blocks[0]
    # A kept coefficient's row of P (unless the convolution has it), column of R, bias and shifts. This orders the steps
    # only; what a choice costs is counted by the format.
    row = 1 if option.transform == "identity" else part.stop - part.start
    rows = 1 if option.transform == "folded" else 2
    overhead = 8 * (rows * row + 5) / table_share
    steps = [(slope, k, width) for k in range(channels) for slope, width in _hull(option.loss[:, k], overhead)]
    # A hull's slopes fall, so sorting keeps each coefficient's steps in order.
    steps.sort(key=lambda step: (-step[0], step[1], step[2]))
    widths = np.zeros(channels, np.uint8)
    path = []
    # A site that never changes has no steps; a stream of it still has to be one.
    for _, k, width in steps or [(0.0, 0, 1)]:
        widths = widths.copy()
        widths[k] = width
        path.append(widths)
    return path


def _hull(loss: NDArray[np.float64], overhead: float) -> list[tuple[float, int]]:
    """Return (slope, width) of the vertices of the lower convex hull of loss over bits, from 0 bits on.

    Any width above 0 costs ``overhead`` bits more than its own.
    """
    vertices: list[tuple[float, int]] = []
    width = 0
    while width < MAX_WIDTH:
        paid = width + (overhead if width else 0.0)
        slopes = [
            (loss[width] - loss[further]) / (further + overhead - paid) for further in range(width + 1, MAX_WIDTH + 1)
        ]
        # Of equal slopes the furthest: fewer vertices, the same hull.
        best = len(slopes) - 1 - int(np.argmax(slopes[::-1]))
        if slopes[best] <= 0:
            break
        width += best + 1
        vertices.append((float(slopes[best]), width))
    return vertices


def _bisect(choices: Sequence[Sequence[Choice]], budget: int, batch: int) -> tuple[list[int], float]:
    """Return the choice of every site at the smallest ρ whose streams fit ``budget`` bytes, and ρ."""
    losses = [np.array([c.loss for c in site]) for site in choices]
    bits = [np.array([c.bits(batch) for c in site]) for site in choices]
    stream = [np.array([c.stream_bytes for c in site]) for site in choices]

    def pick(rho: float) -> list[int]:
        return [int(np.argmin(d + rho * b)) for d, b in zip(losses, bits, strict=True)]

    def fits(picked: list[int]) -> bool:
        return sum(int(s[i]) for s, i in zip(stream, picked, strict=True)) <= budget

    # At ρ = ∞ the fewest bits win; tables may make that another choice than the smallest stream.
    found = [int(np.argmin(b)) for b in bits]
    if not fits(found):
        found = [int(np.argmin(s)) for s in stream]
    top = max(float(np.max(d)) for d in (x[np.isfinite(x)] for x in losses)) + 1e-300
    low, high = math.log(top) - 80, math.log(top) + 10
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        picked = pick(math.exp(middle))
        if fits(picked):
            found, high = picked, middle
        else:
            low = middle
    return found, math.exp(high)


def _top_up(choices: Sequence[Sequence[Choice]], picked: list[int], budget: int, table_price: float) -> list[Choice]:
    """Spend what is left of ``budget``: again and again the step with the most loss removed a byte.

    ``table_price`` is what a byte of tables counts as loss.
    """
    chosen = [site[index] for site, index in zip(choices, picked, strict=True)]
    while True:
        left = budget - sum(choice.stream_bytes for choice in chosen)
        best_gain, best = 0.0, None
        for number, site in enumerate(choices):
            now = chosen[number]
            for choice in site:
                extra = choice.stream_bytes - now.stream_bytes
                if not 0 < extra <= left:
                    continue
                gain = (now.loss - choice.loss + table_price * (now.table_bytes - choice.table_bytes)) / extra
                if gain > best_gain:
                    best_gain, best = gain, (number, choice)
        if best is None:
            return chosen
        chosen[best[0]] = best[1]
