"""Which construction of principal components suits a site: measured, one site at a time.

Every candidate basis codes its site alone, at the best widths that ``target_bits`` a value of this site allow, and the
one with the least KL divergence of the network's output is taken. The states of the uncompressed network before every
site are kept, so a measurement runs the network behind the site only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from actcodec.learn.allocation.choice import Choice
from actcodec.learn.allocation.waterfill import site_choices
from actcodec.learn.calibrate import SiteStatistics
from actcodec.learn.divergence import kl_divergence
from actcodec.learn.draft import StreamSettings
from actcodec.learn.option import SiteOption, projection
from actcodec.learn.pca import Basis
from actcodec.learn.progress import track
from actcodec.networks.sites import SiteFunction
from actcodec.networks.stages import StagedNetwork, State

CANDIDATES: tuple[Basis, ...] = ("pca", "pca-uncentred", "gradient", "fisher", "dct")


@torch.no_grad()
def choose_bases(
    staged: StagedNetwork,
    statistics: Sequence[SiteStatistics],
    inputs: Sequence[Tensor],
    target_bits: float,
    table_batch: int,
    settings: StreamSettings,
    layer: Callable[[Choice], nn.Module],
    progress: bool = True,
) -> tuple[SiteOption, ...]:
    """Return the projection of every site that disturbs the network least."""
    options = [[projection(site, basis) for basis in CANDIDATES] for site in statistics]
    layers = [[layer(_affordable(option, target_bits, table_batch, settings)) for option in site] for site in options]
    losses = [[0.0] * len(CANDIDATES) for _ in statistics]
    for x in track(iter(inputs), "bases", len(inputs), progress):
        states: dict[int, State] = {}
        reference = staged.run(x, None, states.__setitem__)
        for site, state in states.items():
            for number, candidate in enumerate(layers[site]):
                logits = staged.resume(site, state, _only(site, candidate))
                losses[site][number] += float(kl_divergence(reference, logits).sum())
    return tuple(
        site[min(range(len(site)), key=found.__getitem__)] for site, found in zip(options, losses, strict=True)
    )


def _only(coded: int, layer: nn.Module) -> SiteFunction:
    return lambda site, tensor: layer(tensor) if site == coded else tensor


def _affordable(option: SiteOption, target_bits: float, table_batch: int, settings: StreamSettings) -> Choice:
    budget = target_bits * option.statistics.site.values / 8
    choices = site_choices(option, table_batch, settings)
    fitting = [choice for choice in choices if choice.stream_bytes <= budget]
    return min(fitting, key=lambda c: c.loss) if fitting else min(choices, key=lambda c: c.stream_bytes)
