"""Networks: definitions, checkpoints, the activation sites inside them, BatchNorm folding."""

from __future__ import annotations

from actcodec.networks.fold import fold_batchnorm
from actcodec.networks.registry import NETWORKS, Network, load_network, network_spec
from actcodec.networks.sites import SitedNetwork, SiteSpec, find_sites, network_macs

__all__ = [
    "NETWORKS",
    "Network",
    "SiteSpec",
    "SitedNetwork",
    "find_sites",
    "fold_batchnorm",
    "load_network",
    "network_macs",
    "network_spec",
]
