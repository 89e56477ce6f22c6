"""Pruning by activation density: the densest channels are kept and the network gets physically smaller.

    C_l ← round(C_l·AD_l)

**Published** (arXiv 2101.04354): this update. **Reconstructed**: the densest channels are kept; tensors that share
their channels (a residual stream: everything that is added into it) are cut alike, by the mean of their densities.
Layers, norms, the inputs of the next layers and the optimizer's moments are cut in place. Channels that an
operation other than those depends on (zero-padded shortcuts, the logits) are not pruned.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from actcodec.density.network import DensityNetwork
from actcodec.density.rules import next_channels
from actcodec.networks.channels import cut_channels
from actcodec.networks.permutation import ChannelTie


def prune_by_density(network: DensityNetwork, optimizer: torch.optim.Optimizer | None = None) -> bool:
    """Cut every tie of ``network`` by the densities counted since the last reset; return whether anything was cut."""
    changed = False
    for tie, layers in network.ties:
        counters = [counter for name in layers if (counter := network.counter(name)) is not None and counter.positions]
        if not counters:
            continue
        by_channel = torch.stack([c.nonzero.double() / c.positions for c in counters]).mean(0)
        count = next_channels(len(by_channel), float(by_channel.mean()))
        if count == len(by_channel):
            continue
        densest = torch.argsort(by_channel, descending=True, stable=True)[:count]
        cut_tie(network, tie, layers, densest.sort().values, optimizer)
        changed = True
    return changed


def prune_to(network: DensityNetwork, channels: Mapping[str, int]) -> None:
    """Cut ``network`` to ``channels`` outputs of every layer: room for the tensors of a network that was pruned so."""
    for tie, layers in network.ties:
        producer = _producer(network, tie)
        if network.channels()[producer] > channels[producer]:
            cut_tie(network, tie, layers, torch.arange(channels[producer]), None)


def cut_tie(
    network: DensityNetwork,
    tie: ChannelTie,
    layers: tuple[str, ...],
    keep: Tensor,
    optimizer: torch.optim.Optimizer | None,
) -> None:
    """Keep the channels ``keep`` (ascending, int64) of ``tie``, drop the others; ``layers`` are those counted in it."""
    present = network.channels()[_producer(network, tie)]
    for path, axis in tie.modules:
        cut_channels(network.graph.get_submodule(path), axis, keep, present, optimizer)
    for name in layers:
        counter = network.counter(name)
        if counter is not None:
            counter.channels = len(keep)
            counter.reset()


def _producer(network: DensityNetwork, tie: ChannelTie) -> str:
    """Return a layer whose outputs are the channels of ``tie``."""
    names = {layer.name for layer in network.layers}
    return next(path for path, axis in tie.modules if axis == 0 and path in names)
